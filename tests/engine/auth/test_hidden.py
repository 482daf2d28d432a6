"""What is not for everybody: no public list has it, and who may not see it is answered as for what never was."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from engine.auth.people.naming import who_is
from engine.auth.tokens import TokenKind, hashed, mint
from engine.store.access import TokenRow
from engine.store.records import Transaction
from engine.types import OPERATOR, Json, Principal
from tests.engine.auth.conftest import BASE, META, House, Person, answered, scopes_in
from tests.engine.auth.holding import held_open

RESOURCES = "/.well-known/oauth-protected-resource"


def alike(ask: Callable[[str], Response]) -> Response:
    """The answer about a world that is for some, which is to the letter the one about a world that never was."""
    hidden, absent = ask("safe"), ask("moon")

    def said(answer: Response, world: str) -> tuple[int, str, list[str]]:
        headers = [f"{name}: {value}".replace(world, "…") for name, value in answer.headers.items()]
        return answer.status_code, answer.text.replace(world, "…"), headers

    assert said(hidden, "safe") == said(absent, "moon")
    return hidden


@pytest.mark.parametrize(
    "path",
    [RESOURCES, f"{RESOURCES}/mcp", f"{RESOURCES}/sessions/any/mcp", "/.well-known/oauth-authorization-server", "/mcp"],
)
def test_no_public_list_has_what_is_for_some(house: House, path: str) -> None:
    answer = house.http.get(path)
    said = answer.text + answer.headers.get("www-authenticate", "")
    assert "safe" not in said and "desk:polish" not in said
    assert "desk:burn" in said


def test_world_for_some_is_described_like_one_that_never_was(house: House) -> None:
    described = alike(lambda world: house.http.get(f"{RESOURCES}/worlds/{world}/mcp")).json()
    assert described["resource"] == f"{BASE}/worlds/safe/mcp"
    assert described["scopes_supported"] == ["safe:read", "safe:write"]
    assert alike(lambda world: house.call(None, "turn", f"/worlds/{world}/mcp")).status_code == 401


def test_before_sign_in_a_world_for_some_is_asked_for_like_one_that_never_was(house: House) -> None:
    app, stranger = house.client(), TestClient(house.http.app, base_url=BASE, follow_redirects=False)
    for ask in (
        lambda world: stranger.get(app.address(resource=f"{BASE}/worlds/{world}/mcp")),
        lambda world: stranger.get(app.address(scope=f"{world}:read")),
    ):
        assert alike(ask).headers["location"].startswith(f"{BASE}/login?")


def test_who_may_not_see_a_world_cannot_ask_for_it(house: House) -> None:
    app, mallory = house.client(), house.person("mallory")
    for error, ask in (
        ("invalid_target", lambda world: mallory.browser.get(app.address(resource=f"{BASE}/worlds/{world}/mcp"))),
        ("invalid_scope", lambda world: mallory.browser.get(app.address(scope=f"{world}:read"))),
    ):
        assert answered(alike(ask))["error"] == error
    assert app.tokens(mallory, scope="desk:read desk:polish safe:read")["scope"] == "desk:read"


def test_consent_offers_what_is_there_for_the_person(house: House, ada: Person) -> None:
    app, mallory = house.client(), house.person("mallory")
    assert scopes_in(mallory.browser.get(app.address())) == ["desk:read", "desk:write"]
    assert scopes_in(ada.browser.get(app.address())) == ["desk:read", "desk:write", "safe:read", "safe:write"]
    assert scopes_in(ada.browser.get(app.address(scope="desk:polish"))) == ["desk:polish"]
    assert (
        "error"
        not in house.send(
            app.tokens(ada, resource=f"{BASE}/worlds/safe/mcp")["access_token"], "tools/list", {}, "/worlds/safe/mcp"
        ).json()
    )


def test_token_narrowed_to_a_world_is_for_one_that_its_person_may_see(house: House, ada: Person) -> None:
    app, mallory = house.client(), house.person("mallory")
    code = app.code(mallory)
    refused = alike(lambda world: app.redeem(code, resource=f"{BASE}/worlds/{world}/mcp"))
    assert refused.json()["error"] == "invalid_target"
    token = app.redeem(code).json()["refresh_token"]
    refused = alike(lambda world: app.refresh(token, resource=f"{BASE}/worlds/{world}/mcp"))
    assert refused.json()["error"] == "invalid_target"
    assert app.redeem(app.code(ada), resource=f"{BASE}/worlds/safe/mcp").status_code == 200


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("tools/call", {"name": "start_session", "arguments": {"world": "safe"}}),
        ("tools/call", {"name": "safe_turn", "arguments": {}}),
        ("resources/read", {"uri": "session://safe/state"}),
        ("prompts/get", {"name": "safe_start"}),
    ],
)
def test_scope_of_what_a_person_may_not_see_is_not_named_as_missing(
    house: House, method: str, params: Mapping[str, Json]
) -> None:
    token = house.client().tokens(house.person("mallory"))["access_token"]

    def ask(world: str) -> Response:
        given = {
            name: value.replace("safe", world) if isinstance(value, str) else value for name, value in params.items()
        }
        if "world" in given.get("arguments", {}):
            given["arguments"] = {"world": world}
        return house.send(token, method, given, name=given.get("name", given.get("uri")))

    assert alike(ask).status_code in (200, 400)


def test_client_is_introduced_to_worlds_that_are_for_everybody(house: House) -> None:
    token = house.client().tokens(house.person("mallory"))["access_token"]
    said = house.send(token, "server/discover", {}).text
    assert "- desk: A desk." in said and "safe" not in said


def test_headers_of_a_call_tell_nothing_of_an_action_for_some(house: House, ada: Person) -> None:
    hers = house.client().tokens(ada, scope="desk:write desk:polish")["access_token"]
    theirs = house.client().tokens(house.person("mallory"))["access_token"]
    house.http.headers["mcp-param-cloth"] = "silk"

    def call(token: str, name: str) -> Response:
        return house.call(token, name, cloth="wool")

    assert "Mcp-Param-Cloth" in call(hers, "desk_polish").text, "one for whom it is there is told of the mistake"
    for name in ("desk_polish", "desk_sell"):
        hidden, absent = call(theirs, name), call(theirs, "desk_never")
        assert hidden.text.replace(name, "desk_never") == absent.text
        assert (hidden.status_code, hidden.headers["content-type"]) == (
            absent.status_code,
            absent.headers["content-type"],
        )


NEVER = "ses_" + "x" * 24
OLDER = "safe:read safe:write desk:read desk:write"
SESSION_CALLS: tuple[tuple[str, dict[str, Json]], ...] = (
    ("get_session", {}),
    ("session_history", {}),
    ("fork_session", {}),
    ("undo", {}),
    ("share_session", {"person": "ada"}),
    ("share_session", {"role": "owner"}),
    ("share_session", {"role": None}),
    ("end_session", {"erase": True}),
    ("desk_look", {}),
)


def token_of(house: House, name: str, scope: str) -> str:
    """A token with scopes that somebody was granted when more was there for them."""
    token = mint(TokenKind.ACCESS)

    def work(tx: Transaction) -> None:
        person = who_is(tx, name).id
        tx.db.add(
            TokenRow(hash=hashed(token), person_id=person, resource=BASE, scope=scope, created_at=tx.at, name="older")
        )
        tx.db.flush()

    house.context.store.write(work)
    return token


def listening(house: House, token: str, handle: str) -> str:
    """What a stream about a session, and about a main session that may be heard, begins with."""
    uris: list[Json] = [f"session://{handle}/state", "session://desk/state"]
    params: dict[str, Any] = {"notifications": {"resourceSubscriptions": uris}, "_meta": META}
    headers = {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "subscriptions/listen",
    }
    message = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    answer = held_open(house, "/mcp", headers, json.dumps(message).encode(), meanwhile=lambda: None)
    return f"{answer.status} {answer.text}"


@pytest.mark.parametrize("scope", ["desk:read desk:write", OLDER, None])
def test_session_shared_with_who_may_not_see_its_world_is_answered_like_one_that_never_was(
    house: House, ada: Person, scope: str | None
) -> None:
    mallory = house.person("mallory")
    token = house.client().tokens(mallory)["access_token"] if scope is None else token_of(house, "mallory", scope)
    hers = house.client().tokens(ada)["access_token"]
    session = house.call(hers, "start_session", world="safe").json()["result"]["structuredContent"]["session"]
    assert not house.call(hers, "share_session", session=session, person="mallory").json()["result"]["isError"]

    def answers(handle: str) -> list[str]:
        uri, own = f"session://{handle}/state", f"/sessions/{handle}/mcp"
        found = [house.call(token, name, session=handle, **given) for name, given in SESSION_CALLS]
        found += [house.call(token, name, own, **given) for name, given in SESSION_CALLS]
        found += [house.send(token, "resources/read", {"uri": uri}, path, name=uri) for path in ("/mcp", own)]
        found.append(house.send(token, "tools/list", {}, own))
        said = [f"{answer.status_code} {answer.headers.get('www-authenticate')} {answer.text}" for answer in found]
        return [text.replace(handle, "…") for text in (*said, listening(house, token, handle))]

    assert answers(session) == answers(NEVER)
    assert "session://desk/state" in listening(house, token, session)
    assert session not in house.call(token, "list_sessions").text
    ref: dict[str, Json] = {"type": "ref/resource", "uri": "session://{session}/state"}
    wanted: dict[str, Json] = {"ref": ref, "argument": {"name": "session", "value": "ses_"}}
    assert session not in house.send(token, "completion/complete", wanted).text
    assert not house.call(hers, "safe_turn", session=session).json()["result"]["isError"]


def test_operator_sees_what_is_for_some(house: House) -> None:
    desk = house.dispatcher.registry.worlds["desk"]
    assert desk.is_for(OPERATOR, desk.actions["polish"])
    assert not desk.is_for(Principal("tests", "mallory", "mallory"), desk.actions["polish"])
