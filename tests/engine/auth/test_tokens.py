"""What becomes of tokens: rotation and its grace, narrowing, machines, revocation, introspection, expiry."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from engine.auth.granting import clients, grants
from engine.auth.granting.clients import REGISTERED, Client
from engine.auth.tokens import hashed
from engine.store.tables import CORE
from engine.types import Principal
from tests.engine.auth.conftest import BASE, App, House, Person


@pytest.fixture
def machine(house: House) -> App:
    """A confidential client with a service account."""

    def work(tx: Any) -> None:
        service = tx.ensure_person(Principal(issuer="client", subject="robot"))
        clients.keep(
            tx,
            Client(
                id="robot",
                kind=REGISTERED,
                name="Robot",
                secret=hashed("of the robot"),
                method="client_secret_post",
                redirect_uris=(),
                grant_types=("client_credentials",),
                scopes=("desk:read", "desk:write"),
                uri=None,
                service_id=service,
            ),
        )

    house.context.store.write(work)
    return App(house, "robot", "of the robot", "")


def test_refresh_gives_new_tokens_and_the_old_access_token_goes_on(house: House, ada: Person, app: App) -> None:
    first = app.tokens(ada)
    second = app.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"] and second["scope"] == first["scope"]
    for tokens in (first, second):
        assert house.call(tokens["access_token"], "desk_knock").status_code == 200


def test_refresh_that_is_repeated_within_the_grace_gives_the_same_successor(ada: Person, app: App) -> None:
    first = app.tokens(ada)["refresh_token"]
    with ThreadPoolExecutor(4) as pool:
        answers = [answer.json() for answer in pool.map(lambda _: app.refresh(first), range(4))]
    assert len({(answer["access_token"], answer["refresh_token"]) for answer in answers}) == 1
    assert app.refresh(answers[0]["refresh_token"]).status_code == 200


def test_refresh_token_that_is_used_again_later_ends_the_family(house: House, ada: Person, app: App) -> None:
    first = app.tokens(ada)["refresh_token"]
    second = app.refresh(first).json()
    house.context.store.offset = timedelta(seconds=31)
    assert app.refresh(first).json()["error"] == "invalid_grant"
    assert app.refresh(second["refresh_token"]).json()["error"] == "invalid_grant"
    assert house.call(second["access_token"], "desk_knock").status_code == 401


def test_refresh_may_narrow_scopes_and_never_widens_them(house: House, ada: Person, app: App) -> None:
    first = app.tokens(ada, scope="desk:read desk:write")["refresh_token"]
    assert app.refresh(first, scope="desk:read desk:burn").json()["error"] == "invalid_scope"
    narrowed = app.refresh(first, scope="desk:read").json()
    assert narrowed["scope"] == "desk:read"
    assert house.call(narrowed["access_token"], "desk_knock").status_code == 403
    assert app.refresh(narrowed["refresh_token"]).json()["scope"] == "desk:read desk:write"


def test_refresh_token_is_bound_to_its_client_and_resource(house: House, ada: Person, app: App) -> None:
    first = app.tokens(ada, resource=f"{BASE}/worlds/desk/mcp")["refresh_token"]
    assert house.client().refresh(first).json()["error"] == "invalid_grant"
    assert app.refresh(first, resource=f"{BASE}/worlds/safe/mcp").json()["error"] == "invalid_target"
    assert app.refresh(first, resource=f"{BASE}/mcp").json()["error"] == "invalid_target"
    assert app.refresh(first, resource=f"{BASE}/worlds/desk/mcp").status_code == 200


def test_refresh_token_lasts_from_its_last_use(house: House, ada: Person, app: App) -> None:
    token = app.tokens(ada)["refresh_token"]
    house.context.store.offset = timedelta(days=29)
    token = app.refresh(token).json()["refresh_token"]
    house.context.store.offset = timedelta(days=58)
    token = app.refresh(token).json()["refresh_token"]
    house.context.store.offset = timedelta(days=89)
    assert app.refresh(token).json()["error"] == "invalid_grant"


def test_access_token_expires(house: House, ada: Person, app: App) -> None:
    token = app.tokens(ada)["access_token"]
    house.context.store.offset = timedelta(minutes=61)
    refused = house.call(token, "desk_knock")
    assert refused.status_code == 401 and 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_machine_acts_as_its_service_account(house: House, machine: App) -> None:
    answer = machine.token(grant_type="client_credentials")
    assert answer.status_code == 200 and "refresh_token" not in answer.json()
    assert answer.json()["scope"] == "desk:read desk:write"
    started = house.call(answer.json()["access_token"], "desk_knock").json()["result"]["structuredContent"]
    (record, _), *_ = house.dispatcher.sessions(Principal(issuer="client", subject="robot"))
    assert record.handle == started["session"]
    assert house.dispatcher.history(Principal("client", "robot"), record.handle)[-1]["client"] == "Robot"


def test_machine_gets_no_more_than_it_was_given(house: House, machine: App) -> None:
    assert machine.token(grant_type="client_credentials", scope="safe:read").json()["error"] == "invalid_scope"
    machine.secret = "guessed"
    assert machine.token(grant_type="client_credentials").json()["error"] == "invalid_client"
    assert house.client().token(grant_type="client_credentials").json()["error"] == "invalid_client"


def test_secret_in_the_wrong_place_is_refused(house: House, machine: App) -> None:
    form = {"grant_type": "client_credentials"}
    basic = house.http.post("/token", data=form, auth=("robot", "of the robot"))
    assert basic.status_code == 401 and basic.json()["error"] == "invalid_client"
    assert basic.headers["www-authenticate"].startswith("Basic ")
    both = house.http.post("/token", data={**form, "client_secret": "x"}, auth=("robot", "of the robot"))
    assert both.json()["error"] == "invalid_request"


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "basic cm9ib3Q=", "Bearer x", "Basic " + "A" * 500])
def test_malformed_basic_is_an_invalid_client(house: House, machine: App, value: str) -> None:
    answer = house.http.post("/token", data={"grant_type": "client_credentials"}, headers={"authorization": value})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_revoking_an_access_token_revokes_that_one_alone(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada)
    assert house.http.post("/revoke", data={"client_id": app.id, "token": tokens["access_token"]}).status_code == 200
    assert house.call(tokens["access_token"], "desk_knock").status_code == 401
    assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_revoking_a_refresh_token_revokes_the_grant(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada)
    assert house.http.post("/revoke", data={"client_id": app.id, "token": tokens["refresh_token"]}).status_code == 200
    assert house.call(tokens["access_token"], "desk_knock").status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_foreign_client_cannot_revoke_and_learns_nothing(house: House, ada: Person, app: App) -> None:
    tokens, other = app.tokens(ada), house.client()
    answers = [
        house.http.post("/revoke", data={"client_id": other.id, "token": token})
        for token in (tokens["refresh_token"], "tkr_never_was")
    ]
    assert [answer.status_code for answer in answers] == [200, 200] and answers[0].content == answers[1].content
    assert house.call(tokens["access_token"], "desk_knock").status_code == 200


def test_introspection_tells_a_confidential_client_of_its_own_tokens(house: House, ada: Person) -> None:
    app = house.client(token_endpoint_auth_method="client_secret_post")
    tokens = app.tokens(ada, resource=f"{BASE}/worlds/desk/mcp")

    def said(token: str, asking: App = app) -> dict[str, Any]:
        form = {"client_id": asking.id, "client_secret": asking.secret, "token": token}
        found: dict[str, Any] = house.http.post("/introspect", data=form).json()
        return found

    access = said(tokens["access_token"])
    assert access["active"] is True and access["aud"] == f"{BASE}/worlds/desk/mcp" and access["iss"] == BASE
    assert access["exp"] - access["iat"] == 3600 and access["client_id"] == app.id
    assert said(tokens["refresh_token"])["active"] is True
    assert said("tka_never_was") == {"active": False}
    other = house.client(token_endpoint_auth_method="client_secret_post")
    assert said(tokens["access_token"], other) == {"active": False}
    app.refresh(tokens["refresh_token"])
    assert said(tokens["refresh_token"]) == {"active": False}


def test_sweep_deletes_what_is_over_and_nothing_else(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada)
    assert house.context.store.write(grants.sweep) == 0
    house.context.store.offset = timedelta(hours=2)
    assert house.context.store.write(grants.sweep) == 2
    assert app.refresh(tokens["refresh_token"]).status_code == 200
    house.context.store.offset = timedelta(days=200)
    while house.context.store.write(grants.sweep):
        pass
    assert house.context.store.read(lambda tx: clients.find(tx, app.id)) is None


def test_database_shows_no_token(house: House, ada: Person, app: App) -> None:
    tokens = app.tokens(ada)
    app.refresh(tokens["refresh_token"])
    cookie = next(iter(ada.browser.cookies.values()))
    secrets = [tokens["access_token"], tokens["refresh_token"], cookie, "correct horse battery"]

    def work(tx: Any) -> str:
        tables = (table for table in SQLModel.metadata.tables.values() if table.name in CORE)
        return "\n".join(repr(tuple(row)) for table in tables for row in tx.run(select(table)))

    text = house.context.store.read(work)
    assert hashed(tokens["access_token"]) in text
    assert not [secret for secret in secrets if secret in text]
