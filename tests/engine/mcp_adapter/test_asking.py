"""Questions to the person: by multi-round-trip since 2026-07-28, by elicitation requests before."""

from pathlib import Path
from typing import Any

import mcp_types as t
import pytest
from mcp.client import Client

from tests.engine.mcp_adapter.answers import ERAS, begun, called, code, schemas, structured, text
from tests.engine.mcp_adapter.conftest import WORLDS
from tests.serving import PEOPLE, Served, connected, post, start

pytestmark = pytest.mark.anyio

CAN_ASK: dict[str, Any] = {"elicitation": {"form": {}}}
INVALID_STATE = "Invalid or expired requestState"


class Person:
    """Who answers: with the same action each time, and remembers what was asked."""

    def __init__(self, action: Any, **content: Any) -> None:
        self.action = action
        self.content = content
        self.asked: list[str] = []

    async def __call__(self, context: Any, params: t.ElicitRequestParams) -> t.ElicitResult:
        self.asked.append(params.message)
        return t.ElicitResult(action=self.action, content=self.content if self.action == "accept" else None)


async def act(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    return structured(await client.call_tool(tool, arguments))


def ask(
    served: Served, handle: str, person: str, tool: str = "burn", path: str = "/worlds/desk/mcp", **arguments: Any
) -> dict[str, Any]:
    """The first round of a call that asks: its questions and sealed state."""
    params = {"name": tool, "arguments": {**arguments, "session": handle}}
    answer = post(served, path, "tools/call", params, person=person, capabilities=CAN_ASK).json()["result"]
    assert answer["resultType"] == "input_required", answer
    return dict(answer)


def answer(
    served: Served,
    handle: str,
    person: str,
    state: str,
    *,
    tool: str = "burn",
    path: str = "/worlds/desk/mcp",
    responses: dict[str, Any] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """The second round, answered by accepting; the whole JSON-RPC answer."""
    accepted = {"confirm": {"action": "accept", "content": {"confirm": True}}}
    params = {
        "name": tool,
        "arguments": {**arguments, "session": handle},
        "inputResponses": accepted if responses is None else responses,
        "requestState": state,
    }
    return dict(post(served, path, "tools/call", params, person=person, capabilities=CAN_ASK).json())


def with_a_note(served: Served, person: str) -> str:
    handle = begun(served, person)
    called(served, "desk_write", {"text": "x", "session": handle}, person=person)
    return handle


@pytest.mark.parametrize("mode", ERAS)
async def test_what_is_confirmed_is_done(served: Served, person: str, mode: str) -> None:
    somebody = Person("accept", confirm=True)
    handle = with_a_note(served, person)
    path = f"/sessions/{handle}/mcp"
    async with connected(served, path, mode=mode, person=person, elicitation_callback=somebody) as client:
        burnt = await act(client, "burn")
        assert (burnt["revision"], burnt["result"]) == (3, 1)
        assert "replayed" not in burnt
        assert somebody.asked == ["Burn every note?"]


@pytest.mark.parametrize("mode", ERAS)
@pytest.mark.parametrize(
    "somebody", [Person("decline"), Person("cancel"), Person("accept", confirm=False)], ids=["decline", "cancel", "no"]
)
async def test_what_is_not_confirmed_is_not_done(served: Served, person: str, mode: str, somebody: Person) -> None:
    handle = with_a_note(served, person)
    path = f"/sessions/{handle}/mcp"
    async with connected(served, path, mode=mode, person=person, elicitation_callback=somebody) as client:
        refused = await client.call_tool("burn", {})
        assert code(refused) == "not_confirmed"
        assert structured(refused)["revision"] == 2
        assert (await act(client, "count"))["result"] == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_a_client_that_cannot_ask_is_told_which_can(served: Served, person: str, mode: str) -> None:
    handle = with_a_note(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        refused = await client.call_tool("burn", {})
        assert code(refused) == "confirmation_required"
        assert "Burn every note?" in text(refused) and "elicitation" in text(refused)
        (await schemas(client))["burn"].validate(structured(refused))
        for word in ("confirm", "confirmed", "yes"):
            assert code(await client.call_tool("burn", {word: True})) == "invalid_arguments"
        assert (await act(client, "count"))["result"] == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_nobody_is_asked_about_what_cannot_be_done(served: Served, person: str, mode: str) -> None:
    somebody = Person("accept", confirm=True)
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, elicitation_callback=somebody) as client:
        assert code(await client.call_tool("burn", {})) == "has_notes"
        await act(client, "write", text="x")
        assert code(await client.call_tool("burn", {"if_revision": 1})) == "stale_revision"
        assert code(await client.call_tool("burn", {"why": 5})) == "invalid_arguments"
        await act(client, "lock")
        assert code(await client.call_tool("burn", {})) == "wrong_state"
        assert somebody.asked == []


@pytest.mark.parametrize("mode", ERAS)
async def test_a_confirmed_retry_is_answered_from_the_record_without_asking(
    served: Served, person: str, mode: str
) -> None:
    somebody = Person("accept", confirm=True)
    meta: Any = {"turnkeeper/key": "burn-1"}
    handle = with_a_note(served, person)
    path = f"/sessions/{handle}/mcp"
    async with connected(served, path, mode=mode, person=person, elicitation_callback=somebody) as client:
        first = structured(await client.call_tool("burn", {}, meta=meta))
        again = structured(await client.call_tool("burn", {}, meta=meta))
        assert (first["revision"], again["revision"], again["replayed"]) == (3, 3, 3)
        assert len(somebody.asked) == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_an_answer_reaches_the_action(served: Served, person: str, mode: str) -> None:
    somebody = Person("accept", name="Ada")
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, elicitation_callback=somebody) as client:
        assert (await act(client, "sign"))["result"] == "Signed by Ada."
        assert somebody.asked == ["Who signs?"]


@pytest.mark.parametrize("mode", ERAS)
async def test_an_action_may_ask_round_after_round(served: Served, person: str, mode: str) -> None:
    somebody = Person("accept", name="Ada")
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, elicitation_callback=somebody) as client:
        assert (await act(client, "sign_fully"))["result"] == "Ada Ada"
        assert somebody.asked == ["First name?", "Last name?"]
        assert (await act(client, "session_history"))["result"]["changes"][-1]["action"] == "sign_fully"


async def test_an_answer_sent_twice_is_replayed_not_done_twice(served: Served, person: str) -> None:
    handle = with_a_note(served, person)
    asked = ask(served, handle, person)
    first = answer(served, handle, person, asked["requestState"])["result"]["structuredContent"]
    called(served, "desk_write", {"text": "later", "session": handle}, person=person)
    again = answer(served, handle, person, asked["requestState"])["result"]["structuredContent"]
    assert (first["revision"], first["result"]) == (3, 1)
    assert (again["revision"], again["replayed"], again["result"]) == (4, 3, 1)
    assert called(served, "desk_count", {"session": handle}, person=person)["result"] == 1


async def test_an_answer_to_an_older_revision_is_refused(served: Served, person: str) -> None:
    handle = with_a_note(served, person)
    asked = ask(served, handle, person)
    called(served, "desk_write", {"text": "unseen", "session": handle}, person=person)
    refused = answer(served, handle, person, asked["requestState"])["result"]
    assert refused["isError"]
    assert refused["structuredContent"]["messages"][0]["code"] == "stale_revision"
    assert called(served, "desk_count", {"session": handle}, person=person)["result"] == 2


async def test_an_answer_that_is_missing_or_misshapen_is_asked_for_again(served: Served, person: str) -> None:
    handle = with_a_note(served, person)
    asked = ask(served, handle, person)
    wrong: list[dict[str, Any]] = [
        {},
        {"other": {"action": "accept", "content": {"confirm": True}}},
        {"confirm": {"action": "accept", "content": {"confirm": "perhaps"}}},
    ]
    for responses in wrong:
        again = answer(served, handle, person, asked["requestState"], responses=responses)["result"]
        assert again["resultType"] == "input_required"
        assert list(again["inputRequests"]) == ["confirm"]
    assert called(served, "desk_count", {"session": handle}, person=person)["result"] == 1


async def test_request_state_is_good_for_that_very_request_alone(served: Served, person: str) -> None:
    handle, other = with_a_note(served, person), with_a_note(served, person)
    called(served, "share_session", {"session": handle, "person": person, "role": "editor"}, person=person)
    state = ask(served, handle, person)["requestState"]
    middle = len(state) // 2
    tampered = state[:middle] + ("A" if state[middle] != "A" else "B") + state[middle + 1 :]
    refused = {
        "tampered": answer(served, handle, person, tampered),
        "cut": answer(served, handle, person, state[:-4]),
        "nonsense": answer(served, handle, person, "nonsense"),
        "empty": answer(served, handle, person, ""),
        "another session": answer(served, other, person, state),
        "other arguments": answer(served, handle, person, state, why="spite"),
        "another tool": answer(served, handle, person, state, tool="sign"),
        "another person": answer(served, handle, f"other-{person}", state),
    }
    for why, answered in refused.items():
        assert answered["error"]["code"] == t.INVALID_PARAMS, why
        assert INVALID_STATE in answered["error"]["message"], why
    assert answer(served, handle, person, state)["result"]["structuredContent"]["result"] == 1


async def test_request_state_is_good_at_its_endpoint_alone(served: Served, person: str) -> None:
    handle = with_a_note(served, person)
    path = f"/sessions/{handle}/mcp"
    capable: dict[str, Any] = {"person": person, "capabilities": CAN_ASK}
    asked = post(served, path, "tools/call", {"name": "burn", "arguments": {}}, **capable).json()["result"]
    params = {
        "name": "burn",
        "arguments": {},
        "requestState": asked["requestState"],
        "inputResponses": {"confirm": {"action": "accept", "content": {"confirm": True}}},
    }
    elsewhere = post(served, "/worlds/desk/mcp", "tools/call", params, **capable).json()
    assert elsewhere["error"]["code"] == t.INVALID_PARAMS
    assert INVALID_STATE in elsewhere["error"]["message"]
    assert post(served, path, "tools/call", params, **capable).json()["result"]["structuredContent"]["result"] == 1


async def test_a_question_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    served = start(tmp_path, WORLDS, command=PEOPLE)
    try:
        handle = with_a_note(served, "ada")
        state = ask(served, handle, "ada")["requestState"]
    finally:
        served.kill()
    served = start(tmp_path, WORLDS, port=served.port, command=PEOPLE)
    try:
        done = answer(served, handle, "ada", state)["result"]["structuredContent"]
        assert (done["revision"], done["result"]) == (3, 1)
    finally:
        served.stop()
