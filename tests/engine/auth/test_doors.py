"""Two people and every door: another's session is answered like one that never was."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from engine.types import Json
from tests.engine.auth.conftest import House, Person

NEVER = "ses_AAAAAAAAAAAAAAAAAAAAAAAA"
Answer = Callable[[House, str, str], Any]


@dataclass(frozen=True)
class Door:
    """A request about a session, by token and handle, as JSON-RPC."""

    method: str
    params: Callable[[str], Mapping[str, Json]]
    path: Callable[[str], str] = lambda handle: "/mcp"


def tool(name: str, **arguments: Json) -> Callable[[str], Mapping[str, Json]]:
    return lambda handle: {"name": name, "arguments": {"session": handle, **arguments}}


def bound(name: str, **arguments: Json) -> Callable[[str], Mapping[str, Json]]:
    return lambda handle: {"name": name, "arguments": arguments}


def resource(name: str) -> Callable[[str], Mapping[str, Json]]:
    return lambda handle: {"uri": f"session://{handle}/{name}"}


def own(handle: str) -> str:
    return f"/sessions/{handle}/mcp"


def world(handle: str) -> str:
    return "/worlds/desk/mcp"


DOORS = {
    "action": Door("tools/call", tool("desk_knock")),
    "reading action": Door("tools/call", tool("desk_look")),
    "action at the world": Door("tools/call", tool("knock"), world),
    "action at the session": Door("tools/call", bound("knock"), own),
    "tools of the session": Door("tools/list", lambda handle: {}, own),
    "resources of the session": Door("resources/list", lambda handle: {}, own),
    "prompts of the session": Door("prompts/list", lambda handle: {}, own),
    "get_session": Door("tools/call", tool("get_session")),
    "get_session of the past": Door("tools/call", tool("get_session", at=1)),
    "session_history": Door("tools/call", tool("session_history")),
    "undo": Door("tools/call", tool("undo")),
    "redo": Door("tools/call", tool("redo")),
    "fork_session": Door("tools/call", tool("fork_session")),
    "share_session": Door("tools/call", tool("share_session", person="eve", role="editor")),
    "end_session": Door("tools/call", tool("end_session")),
    "erase": Door("tools/call", tool("end_session", erase=True)),
    "session tool at the session": Door("tools/call", bound("undo"), own),
    "state": Door("resources/read", resource("state")),
    "history": Door("resources/read", resource("history")),
    "history since": Door("resources/read", resource("history?since=1")),
    "diagram": Door("resources/read", resource("diagram")),
    "drawing": Door("resources/read", resource("diagram.svg")),
    "state at the session": Door("resources/read", resource("state"), own),
    "resume": Door("prompts/get", lambda handle: {"name": "desk_resume", "arguments": {"session": handle}}),
    "completion": Door(
        "completion/complete",
        lambda handle: {
            "ref": {"type": "ref/resource", "uri": "session://{session}/state"},
            "argument": {"name": "session", "value": handle[:12]},
        },
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_another_persons_session_is_answered_like_one_that_never_was(house: House, ada: Person, door: str) -> None:
    hers = house.client().tokens(ada)["access_token"]
    theirs = house.client().tokens(house.person("eve"))["access_token"]
    handle = house.call(hers, "desk_knock").json()["result"]["structuredContent"]["session"]
    assert len(handle) == len(NEVER)
    before = house.call(hers, "session_history").json()
    assert said(house, theirs, door, handle) == said(house, theirs, door, NEVER)
    if door != "completion":
        assert said(house, hers, door, handle) != said(house, hers, door, NEVER)
    assert before["result"]["structuredContent"]["session"] in (handle, None)


def said(house: House, token: str, door: str, handle: str) -> tuple[int, str]:
    """A door's answer about a session, with its handle taken out."""
    found = DOORS[door]
    params = dict(found.params(handle))
    name = params.get("name") or params.get("uri")
    answer = house.send(token, found.method, params, found.path(handle), name if isinstance(name, str) else None)
    return answer.status_code, answer.text.replace(handle[:12], "…").replace(handle[12:], "…")


def test_subscription_to_another_persons_session_is_refused_like_one_that_never_was(house: House, ada: Person) -> None:
    hers = house.client().tokens(ada)["access_token"]
    theirs = house.client().tokens(house.person("eve"))["access_token"]
    handle = house.call(hers, "desk_knock").json()["result"]["structuredContent"]["session"]
    headers = {"accept": "application/json, text/event-stream", "authorization": f"Bearer {theirs}"}
    opened = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    first = house.http.post("/mcp", json=rpc("initialize", opened), headers=headers)
    headers |= {"mcp-session-id": first.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    house.http.post("/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
    answers = [
        house.http.post("/mcp", json=rpc("resources/subscribe", {"uri": f"session://{one}/state"}), headers=headers)
        for one in (handle, NEVER)
    ]
    texts = {answer.text.replace(one, "…") for answer, one in zip(answers, (handle, NEVER), strict=True)}
    assert len(texts) == 1 and "error" in texts.pop()
    stranger = {**headers, "authorization": f"Bearer {hers}"}
    assert house.http.post("/mcp", json=rpc("ping", {}), headers=stranger).status_code == 404


def rpc(method: str, params: Json) -> Json:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
