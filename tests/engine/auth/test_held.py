"""What is taken back while a request is on its way is taken back."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from httpx2 import Response
from sqlmodel import select
from starlette.testclient import TestClient

from engine.auth.granting import clients, grants
from engine.auth.granting.documents import Fetcher
from engine.auth.people import accounts, forgetting
from engine.auth.people.browsers import Browser, held_at
from engine.auth.people.naming import who_is
from engine.store.access import GrantRow
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, App, House, Person, key_in
from tests.engine.auth.holding import Parked, held_open

Act = Callable[[House, Person], object]


def out_everywhere(house: House, person: Person) -> None:
    form = {"key": key_in(person.browser.get("/account"))}
    assert person.browser.post("/account/sign-out-everywhere", data=form).status_code == 303


def removed(house: House, person: Person) -> None:
    assert house.context.store.write(lambda tx: accounts.remove(tx, person.name))


def deleted(house: House, person: Person) -> None:
    store = house.context.store
    forgetting.forget(store, house.dispatcher.registry, store.read(lambda tx: who_is(tx, person.name)))


@pytest.mark.parametrize("act", [out_everywhere, removed, deleted])
def test_consent_that_is_held_open_grants_nothing_to_who_was_signed_out(
    house: House, ada: Person, app: App, act: Act
) -> None:
    address = app.address()
    form = [("key", key_in(ada.browser.get(address))), ("decision", "allow"), ("scope", "desk:read")]
    headers = {
        "cookie": f"turnkeeper={ada.browser.cookies['turnkeeper']}",
        "content-type": "application/x-www-form-urlencoded",
    }
    answer = held_open(house, address, headers, urlencode(form).encode(), lambda: act(house, ada))
    assert answer.status == 303 and "/login?next=" in answer.headers["location"]
    assert house.context.store.read(lambda tx: tx.db.exec(select(GrantRow)).all()) == []


def test_consent_that_is_held_open_grants_nothing_to_a_client_that_was_removed(
    house: House, ada: Person, app: App
) -> None:
    address = app.address()
    form = [("key", key_in(ada.browser.get(address))), ("decision", "allow"), ("scope", "desk:read")]
    headers = {
        "cookie": f"turnkeeper={ada.browser.cookies['turnkeeper']}",
        "content-type": "application/x-www-form-urlencoded",
    }

    def gone() -> None:
        assert house.context.store.write(lambda tx: clients.remove(tx, app.id))

    answer = held_open(house, address, headers, urlencode(form).encode(), gone)
    assert answer.status == 400 and "location" not in answer.headers
    assert house.context.store.read(lambda tx: tx.db.exec(select(GrantRow)).all()) == []


def test_who_removes_an_account_waits_for_a_consent_under_way_and_ends_it(house: House, ada: Person, app: App) -> None:
    store, over = house.context.store, threading.Event()
    person_id = store.read(lambda tx: who_is(tx, "ada")).id
    browser = Browser(ada.browser.cookies["turnkeeper"], person_id)

    def remove() -> None:
        removed(house, ada)
        over.set()

    def consent(tx: Any) -> None:
        person = held_at(tx, browser)
        assert person is not None
        other.start()
        assert not over.wait(0.5)
        row = GrantRow(
            person_id=person,
            client_id=app.id,
            resource=house.context.base,
            scope="desk:read",
            redirect_uri=app.callback,
            created_at=tx.at,
            used_at=tx.at,
        )
        tx.db.add(row)
        tx.db.flush()

    other = threading.Thread(target=remove)
    store.write(consent)
    other.join(20)
    assert over.is_set()
    assert store.read(lambda tx: [grant.ended_at is None for grant in tx.db.exec(select(GrantRow))]) == [False]


def knocking(token: str) -> dict[str, Any]:
    """The head and the body of an action that is called."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "desk_knock", "arguments": {}, "_meta": meta}
    headers = {
        "authorization": f"Bearer {token}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "desk_knock",
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    return {"target": "/mcp", "headers": headers, "body": body}


def test_action_that_is_held_open_is_not_done_with_a_token_that_was_revoked(
    house: House, ada: Person, app: App
) -> None:
    tokens, others = app.tokens(ada), house.client().tokens(ada)["access_token"]
    assert held_open(house, **knocking(tokens["access_token"]), meanwhile=lambda: None).status == 200
    before = house.call(others, "session_history").json()

    def revoke() -> None:
        assert house.http.post("/revoke", data={"client_id": app.id, "token": tokens["refresh_token"]}).json() == {}

    refused = held_open(house, **knocking(tokens["access_token"]), meanwhile=revoke)
    assert refused.status == 401 and 'error="invalid_token"' in refused.headers["www-authenticate"]
    assert house.call(others, "session_history").json() == before


def test_request_that_does_not_arrive_is_waited_for_only_so_long(house: House, ada: Person, app: App) -> None:
    lifetimes = replace(house.context.lifetimes, body=timedelta(milliseconds=50))
    context = replace(house.context, lifetimes=lifetimes)
    hasty = guarded_app(house.dispatcher, ("127.0.0.1",), context, Fetcher())
    with TestClient(hasty, base_url=BASE, follow_redirects=False) as http:
        late = held_open(House(context, http, house.dispatcher), **knocking(app.tokens(ada)["access_token"]))
    assert late.status == 408 and late.headers["connection"] == "close"


def test_call_that_waits_for_its_person_is_not_carried_out_once_its_token_opens_nothing(
    house: House, ada: Person, app: App
) -> None:
    store, other = house.context.store, house.client()
    lost, kept = (client.tokens(ada)["access_token"] for client in (app, other))
    narrow = house.client().tokens(ada, scope="desk:read")["access_token"]
    assert house.call(kept, "desk_knock").status_code == 200
    named: dict[str, str] = {}

    def headers(token: str) -> dict[str, str]:
        accept = "application/json, text/event-stream"
        return {"authorization": f"Bearer {token}", "accept": accept, "content-type": "application/json", **named}

    def post(token: str, **message: Any) -> Response:
        return house.http.post("/mcp", json={"jsonrpc": "2.0", **message}, headers=headers(token))

    client = {"name": "raw", "version": "1"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {"elicitation": {"form": {}}}, "clientInfo": client}
    opened = post(kept, id=1, method="initialize", params=params)
    named |= {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    assert post(kept, method="notifications/initialized").status_code == 202
    revoked, going_on = (Parked(house, headers(token), "desk_sell") for token in (lost, kept))
    questions = [call.question["id"] for call in (revoked, going_on)]
    row = store.read(lambda tx: tx.db.exec(select(GrantRow).where(GrantRow.client_id == app.id)).one())
    store.write(lambda tx: grants.end(tx, row.id or 0))
    revoked.ended()
    # Both were asked at the same revision: the second is carried out only if the first was not.
    for question, token in zip(questions, (narrow, kept), strict=True):
        assert post(token, id=question, result={"action": "accept", "content": {}}).status_code == 202
    assert going_on.answer["result"]["isError"] is False, going_on.answer
    principal = store.read(lambda tx: who_is(tx, "ada")).principal
    [(session, _)] = house.dispatcher.sessions(principal)
    done = [entry["action"] for entry in house.dispatcher.history(principal, session.handle)]
    assert sorted(done) == ["knock", "sell", "start"], done
