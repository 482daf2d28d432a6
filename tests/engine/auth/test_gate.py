"""The gate: what a token opens and how far, what is said to who has none, or one that is not enough."""

import json
import re
from datetime import timedelta

import pytest

from tests.engine.auth.conftest import BASE, META, House, Person, answered

METADATA = f"{BASE}/.well-known/oauth-protected-resource"
ALL = "desk:read desk:write desk:burn"


def challenge(response: object) -> dict[str, str]:
    """What a WWW-Authenticate header says."""
    value = response.headers["www-authenticate"]  # type: ignore[attr-defined]
    assert value.startswith("Bearer ")
    return dict(re.findall(r'(\w+)="([^"]*)"', value))


@pytest.mark.parametrize("path", ["/mcp", "/worlds/desk/mcp", "/sessions/ses_never_was/mcp", "/worlds/moon/mcp"])
def test_without_a_token_a_client_is_told_where_to_get_one_and_of_no_error(house: House, path: str) -> None:
    refused = house.call(None, "knock", path)
    assert refused.status_code == 401
    said = challenge(refused)
    assert said["resource_metadata"] == METADATA + path and "error" not in said


def test_challenge_of_an_endpoint_names_its_scopes(house: House) -> None:
    assert challenge(house.call(None, "x"))["scope"] == ALL
    assert challenge(house.call(None, "x", "/worlds/safe/mcp"))["scope"] == "safe:read safe:write"
    assert challenge(house.call(None, "x", "/sessions/any/mcp"))["scope"] == ALL


@pytest.mark.parametrize(
    "value",
    ["Bearer wrong", "Bearer", "Bearer a b", "Basic abc", "bearer tka_", "Bearer " + "x" * 5000, 'Bearer "'],
)
def test_token_that_is_none_is_invalid(house: House, value: str) -> None:
    refused = house.http.post("/mcp", json={}, headers={"authorization": value})
    assert refused.status_code == 401 and challenge(refused)["error"] == "invalid_token"


def test_scheme_is_read_in_any_case_and_only_from_the_header(house: House, ada: Person) -> None:
    token = house.client().tokens(ada)["access_token"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert house.http.post("/mcp", json=body, headers={"authorization": f"bearer {token}"}).status_code != 401
    assert house.http.post(f"/mcp?access_token={token}", json=body).status_code == 401


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("", ALL),
        ("/mcp", ALL),
        ("/worlds/desk/mcp", "desk:read desk:write desk:burn"),
        ("/sessions/ses_never_was/mcp", ALL),
    ],
)
def test_each_endpoint_has_metadata_that_names_its_own_address(house: House, path: str, scopes: str) -> None:
    found = house.http.get(f"/.well-known/oauth-protected-resource{path}").json()
    assert found["resource"] == BASE + path
    assert found["authorization_servers"] == [BASE] and " ".join(found["scopes_supported"]) == scopes


def test_endpoint_that_is_none_has_no_metadata(house: House) -> None:
    for path in ("/elsewhere", "/worlds/desk", "/worlds/%E2%82%AC/mcp", "/mcp%0A"):
        assert house.http.get(f"/.well-known/oauth-protected-resource{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/mcp%0A",
        "/worlds/desk/mcp%0A",
        "/worlds/%E2%82%AC/mcp",
        "/sessions/any/mcp%0A",
        "/sessions/%E2%82%AC/mcp",
        "/sessions/any%0D%0Ax-injected:%20yes/mcp",
        "/sessions/any%22,%20scope=%22all/mcp",
        f"/sessions/{'x' * 201}/mcp",
    ],
)
def test_path_that_can_be_no_endpoint_is_absent_with_a_token_and_without(house: House, ada: Person, path: str) -> None:
    token = house.client().tokens(ada)["access_token"]
    for given in (None, token, "wrong"):
        answer = house.send(given, "tools/list", {}, path)
        assert answer.status_code == 404 and answer.json()["error"] == "not_found"
        assert not {"www-authenticate", "x-injected"} & set(answer.headers)


def test_server_says_what_it_can_and_nothing_else(house: House) -> None:
    found = house.http.get("/.well-known/oauth-authorization-server").json()
    assert found == house.http.get("/.well-known/openid-configuration").json()
    assert found["issuer"] == BASE and found["code_challenge_methods_supported"] == ["S256"]
    assert found["authorization_response_iss_parameter_supported"] is True
    assert "jwks_uri" not in found and "offline_access" not in found["scopes_supported"]


@pytest.mark.parametrize(
    ("resource", "opens"),
    [
        (None, {"/mcp", "/worlds/desk/mcp", "/worlds/safe/mcp", "desk", "safe"}),
        (BASE, {"/mcp", "/worlds/desk/mcp", "/worlds/safe/mcp", "desk", "safe"}),
        (f"{BASE}/mcp", {"/mcp", "/worlds/desk/mcp", "/worlds/safe/mcp", "desk", "safe"}),
        (f"{BASE}/worlds/desk/mcp", {"/worlds/desk/mcp", "desk"}),
        ("desk", {"desk"}),
    ],
)
def test_resource_of_a_token_is_how_far_it_reaches(
    house: House, ada: Person, resource: str | None, opens: set[str]
) -> None:
    every = house.client().tokens(ada)["access_token"]
    handles = {
        world: house.call(every, f"{world}_{action}").json()["result"]["structuredContent"]["session"]
        for world, action in (("desk", "knock"), ("safe", "turn"))
    }
    paths = {world: f"/sessions/{handle}/mcp" for world, handle in handles.items()}
    asked = f"{BASE}{paths['desk']}" if resource == "desk" else resource
    token = house.client().tokens(ada, resource=asked)["access_token"]
    statuses = {
        name: house.send(token, "tools/list", {}, paths.get(name, name))
        for name in ("/mcp", "/worlds/desk/mcp", "/worlds/safe/mcp", "desk", "safe")
    }
    assert {name for name, answer in statuses.items() if "result" in answer.json()} == opens


@pytest.mark.parametrize(
    "resource",
    [
        "https://elsewhere.example",
        f"{BASE}/worlds/moon/mcp",
        f"{BASE}/mcp#part",
        f"{BASE}/mcp?x=1",
        f"{BASE}.evil.example/mcp",
        f"{BASE}/mcp/more",
        "not a url",
        "http://[",
    ],
)
def test_any_other_resource_is_an_invalid_target(ada: Person, house: House, resource: str) -> None:
    app = house.client()
    assert answered(ada.browser.get(app.address(resource=resource)))["error"] == "invalid_target"


def test_token_of_one_session_reaches_no_other(house: House, ada: Person) -> None:
    every = house.client().tokens(ada)["access_token"]
    first, second = (
        house.call(every, "start_session", world="desk", main=False).json()["result"]["structuredContent"]["session"]
        for _ in range(2)
    )
    path = f"/sessions/{first}/mcp"
    token = house.client().tokens(ada, resource=BASE + path)["access_token"]
    assert house.call(token, "knock", path).json()["result"]["structuredContent"]["session"] == first
    assert house.call(token, "knock", f"/sessions/{second}/mcp").status_code == 401
    for tool, arguments in (("fork_session", {}), ("get_session", {"session": second})):
        answer = house.call(token, tool, path, **arguments).json()
        assert answer.get("error") or answer["result"]["isError"], tool
    for uri in (f"session://{second}/state", "session://desk/state"):
        answer = house.send(token, "resources/read", {"uri": uri}, path, name=uri).json()
        assert "error" in answer or first in answer["result"]["contents"][0]["text"]


def test_missing_scope_is_told_before_anything_is_done(house: House, ada: Person) -> None:
    token = house.client().tokens(ada, scope="desk:read")["access_token"]
    refused = house.call(token, "desk_knock")
    said = challenge(refused)
    assert refused.status_code == 403
    assert (said["error"], said["scope"]) == ("insufficient_scope", "desk:write")
    assert said["resource_metadata"] == METADATA + "/mcp"
    assert house.call(token, "list_sessions").json()["result"]["structuredContent"]["result"]["sessions"] == []


def test_scope_that_an_action_names_is_asked_for_by_name(house: House, ada: Person) -> None:
    app = house.client()
    token = app.tokens(ada)["access_token"]
    assert challenge(house.call(token, "burn", "/worlds/desk/mcp"))["scope"] == "desk:burn"
    more = app.tokens(ada, scope="desk:read desk:write desk:burn")["access_token"]
    assert house.call(more, "burn", "/worlds/desk/mcp").json()["result"]["structuredContent"]["result"] == "ashes"


def test_scope_of_a_session_tool_follows_from_the_sessions_world(house: House, ada: Person) -> None:
    every = house.client().tokens(ada)["access_token"]
    handle = house.call(every, "safe_turn").json()["result"]["structuredContent"]["session"]
    token = house.client().tokens(ada, scope="desk:read desk:write safe:read")["access_token"]
    assert challenge(house.call(token, "undo", session=handle))["scope"] == "safe:write"
    assert challenge(house.call(token, "undo", f"/sessions/{handle}/mcp"))["scope"] == "safe:write"
    assert house.call(token, "session_history", session=handle).status_code == 200
    reader = house.client().tokens(ada, scope="desk:read")["access_token"]
    uri = f"session://{handle}/state"
    assert challenge(house.send(reader, "resources/read", {"uri": uri}, name=uri))["scope"] == "safe:read"


def test_legacy_requests_are_held_to_scopes_too(house: House, ada: Person) -> None:
    token = house.client().tokens(ada, scope="desk:read")["access_token"]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "desk_knock", "arguments": {}}}
    headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
    refused = house.http.post("/mcp", json=body, headers=headers)
    assert refused.status_code == 403 and challenge(refused)["scope"] == "desk:write"


CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "desk_knock", "_meta": META}}
TEXT = json.dumps(CALL)


def with_argument(value: str) -> str:
    return TEXT.replace('"name"', f'"arguments": {{"x": {value}}}, "name"')


@pytest.mark.parametrize(
    "body",
    [
        TEXT.encode("utf-16"),
        TEXT.encode("utf-32"),
        TEXT.encode("utf-8-sig"),
        with_argument('"\\ud800"').encode(),
        with_argument('"\ud800"').encode("utf-8", "surrogatepass"),
        with_argument("[" * 300 + "]" * 300).encode(),
        TEXT[:-1].encode(),
        b"",
    ],
    ids=["utf-16", "utf-32", "mark", "escaped surrogate", "surrogate", "depth", "cut off", "empty"],
)
def test_body_of_which_nobody_can_say_what_it_needs_is_refused_whatever_the_token(
    house: House, ada: Person, body: bytes
) -> None:
    few, all_of_them = (house.client().tokens(ada, scope=scope)["access_token"] for scope in ("desk:read", ALL))
    assert house.raw(few, "tools/call", TEXT.encode(), name="desk_knock").status_code == 403
    for token in (few, all_of_them):
        refused = house.raw(token, "tools/call", body, name="desk_knock")
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32700)


def test_scope_is_told_where_the_one_world_that_is_there_needs_no_name(house: House, ada: Person) -> None:
    everybodys, hers = (
        house.client().tokens(person, scope="desk:read safe:read")["access_token"]
        for person in (house.person("mallory"), ada)
    )
    assert challenge(house.call(everybodys, "start_session"))["scope"] == "desk:write"
    assert challenge(house.call(hers, "start_session", "/worlds/safe/mcp"))["scope"] == "safe:write"
    assert house.call(hers, "start_session").json()["result"]["isError"] is True


def test_what_is_for_others_is_not_told_by_a_scope(house: House) -> None:
    token = house.client().tokens(house.person("mallory"), scope="desk:read")["access_token"]
    for tool, arguments in (("safe_turn", {}), ("desk_polish", {}), ("start_session", {"world": "safe"})):
        assert house.call(token, tool, **arguments).status_code not in (401, 403), tool
    for uri in ("session://safe/state", "session://moon/state"):
        assert "error" in house.send(token, "resources/read", {"uri": uri}, name=uri).json()


def test_listening_needs_the_scope_to_read(house: House, ada: Person) -> None:
    every = house.client().tokens(ada)["access_token"]
    handle = house.call(every, "desk_knock").json()["result"]["structuredContent"]["session"]
    token = house.client().tokens(ada, scope="safe:read")["access_token"]
    for uri in ("session://desk/state", f"session://{handle}/state"):
        wanted = {"notifications": {"resourceSubscriptions": ["session://safe/state", uri]}}
        assert challenge(house.send(token, "subscriptions/listen", wanted))["scope"] == "desk:read"


def test_tool_that_could_be_granted_stays_listed_and_one_that_could_not_is_unknown(house: House, ada: Person) -> None:
    reading = house.client().tokens(ada, scope="desk:read")["access_token"]
    assert {"desk_knock", "desk_burn", "safe_turn"} <= set(house.tools(reading))
    kept = house.client(scope="desk:read").tokens(ada)["access_token"]
    listed = house.tools(kept)
    assert "desk_look" in listed and not {"desk_knock", "desk_burn", "safe_turn"} & set(listed)
    unknown, hidden = (house.call(kept, name).json()["error"] for name in ("desk_never", "desk_burn"))
    assert hidden["message"].replace("desk_burn", "desk_never") == unknown["message"]


def test_what_is_for_others_is_unlisted_and_unknown(house: House, ada: Person) -> None:
    mallory = house.person("mallory")
    hers, theirs = (house.client().tokens(person)["access_token"] for person in (ada, mallory))
    assert {"desk_polish", "safe_turn"} <= set(house.tools(hers))
    assert not {"desk_polish", "safe_turn"} & set(house.tools(theirs))
    unknown, hidden = (house.call(theirs, name).json()["error"] for name in ("desk_never", "desk_polish"))
    assert hidden["message"].replace("desk_polish", "desk_never") == unknown["message"]
    assert house.call(theirs, "turn", "/worlds/safe/mcp").status_code == 404
    allowed = house.call(theirs, "desk_knock").json()["result"]["structuredContent"]["allowed_actions"]
    assert "polish" not in allowed and "knock" in allowed


def test_revoked_on_the_account_page_is_revoked(house: House, ada: Person) -> None:
    app = house.client()
    tokens = app.tokens(ada)
    page = ada.browser.get("/account")
    assert "An app" in page.text
    (path,) = re.findall(r'action="[^"]*(/account/clients/\d+/revoke)"', page.text)
    key = re.findall(r'name="key" value="([^"]+)"', page.text)[0]
    assert house.person("eve").browser.post(path, data={"key": key}).status_code == 403
    assert house.call(tokens["access_token"], "desk_knock").status_code == 200
    assert ada.browser.post(path, data={"key": key}).status_code == 303
    assert house.call(tokens["access_token"], "desk_knock").status_code == 401
    assert app.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_clock_that_goes_on_ends_a_token_that_was_believed(house: House, ada: Person) -> None:
    token = house.client().tokens(ada)["access_token"]
    assert house.call(token, "desk_knock").status_code == 200
    house.context.store.offset = timedelta(hours=1, seconds=1)
    assert house.call(token, "desk_knock").status_code == 401


def test_events_of_a_session_are_opened_as_its_endpoint_is(house: House, ada: Person) -> None:
    handle = house.call(house.client().tokens(ada)["access_token"], "desk_knock").json()
    session = handle["result"]["structuredContent"]["session"]
    refused = house.http.get(f"/sessions/{session}/events")
    assert refused.status_code == 401
    assert challenge(refused)["resource_metadata"] == f"{METADATA}/sessions/{session}/mcp"
    elsewhere = house.client().tokens(ada, resource=f"{BASE}/worlds/safe/mcp")["access_token"]
    other = house.http.get(f"/sessions/{session}/events", headers={"authorization": f"Bearer {elsewhere}"})
    assert other.status_code == 404
    narrow = house.client().tokens(ada, scope="desk:write")["access_token"]
    short = house.http.get(f"/sessions/{session}/events", headers={"authorization": f"Bearer {narrow}"})
    assert (short.status_code, challenge(short)["scope"]) == (403, "desk:read")
    assert house.http.get("/sessions/a%20b/events").status_code == 404
