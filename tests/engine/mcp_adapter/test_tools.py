"""Tools on every endpoint, in both eras, over HTTP: what is listed and what calling them gives."""

from typing import Any

import mcp_types as t
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.engine.mcp_adapter.answers import (
    DESK,
    ERAS,
    SESSION_TOOLS,
    begun,
    called,
    code,
    footer,
    schemas,
    structured,
    text,
)
from tests.serving import Served, connected, post

pytestmark = pytest.mark.anyio


async def names(client: Client) -> list[str]:
    return [tool.name for tool in (await client.list_tools(cache_mode="bypass")).tools]


def tools_of(served: Served, path: str, person: str) -> dict[str, Any]:
    listed = post(served, path, "tools/list", person=person).json()["result"]["tools"]
    return {tool["name"]: tool for tool in listed}


@pytest.mark.parametrize("mode", ERAS)
async def test_all_worlds_together_list_joined_names_and_the_session_tools(
    served: Served, person: str, mode: str
) -> None:
    async with connected(served, mode=mode, person=person) as client:
        found = await names(client)
    assert found[-len(SESSION_TOOLS) :] == SESSION_TOOLS
    assert [name for name in found if name.startswith("desk_")] == [f"desk_{name}" for name in DESK]
    assert found.index("counter_add") < found.index("desk_write")


@pytest.mark.parametrize("mode", ERAS)
async def test_a_worlds_endpoint_lists_bare_names(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        assert await names(client) == DESK + SESSION_TOOLS


@pytest.mark.parametrize("mode", ERAS)
async def test_a_sessions_endpoint_lists_only_what_is_about_it(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        on_session = [name for name in SESSION_TOOLS if name not in ("start_session", "list_sessions")]
        assert await names(client) == DESK + on_session
        for tool in (await client.list_tools()).tools:
            assert "session" not in tool.input_schema["properties"]
            assert "world" not in tool.input_schema["properties"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_lists_are_the_same_before_and_after_actions(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, cache=None) as client:

        async def everything() -> list[Any]:
            lists = (
                (await client.list_tools()).tools,
                (await client.list_resources()).resources,
                (await client.list_resource_templates()).resource_templates,
                (await client.list_prompts()).prompts,
            )
            return [[item.model_dump() for item in found] for found in lists]

        before = await everything()
        await client.call_tool("write", {"text": "hello"})
        await client.call_tool("lock", {})
        assert await everything() == before


async def test_every_tool_says_what_it_takes_gives_and_does(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        for tool in (await client.list_tools()).tools:
            assert tool.title and tool.description and tool.icons, tool.name
            assert tool.input_schema["type"] == "object"
            assert tool.output_schema is not None and tool.output_schema["type"] == "object"
            hints = tool.annotations
            assert hints is not None
            assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint), tool.name


async def test_annotations_and_icons_are_the_authors(served: Served, person: str) -> None:
    found = tools_of(served, "/worlds/desk/mcp", person)
    assert found["burn"]["annotations"]["destructiveHint"] is True
    assert found["count"]["annotations"]["readOnlyHint"] is True
    assert found["stamp"]["annotations"] == {
        "readOnlyHint": False,
        "destructiveHint": False,
        "idempotentHint": True,
        "openWorldHint": False,
    }
    assert found["stamp"]["title"] == "Put a stamp"
    assert found["stamp"]["icons"][0]["src"] == "https://example.org/stamp.svg"
    assert found["write"]["icons"][0]["src"].startswith("data:image/svg+xml,")
    assert found["end_session"]["annotations"]["destructiveHint"] is True


async def test_what_changes_something_takes_session_and_if_revision(served: Served, person: str) -> None:
    found = tools_of(served, "/worlds/desk/mcp", person)
    assert list(found["write"]["inputSchema"]["properties"]) == ["text", "session", "if_revision"]
    assert list(found["count"]["inputSchema"]["properties"]) == ["session"]
    assert found["write"]["inputSchema"]["required"] == ["text"]


async def test_starting_on_a_worlds_endpoint_shows_what_that_world_takes(served: Served, person: str) -> None:
    found = tools_of(served, "/worlds/desk/mcp", person)
    assert "colour" in found["start_session"]["inputSchema"]["properties"]["arguments"]["properties"]


@pytest.mark.parametrize("mode", ERAS)
async def test_an_action_is_carried_out_and_answered_with_the_envelope(served: Served, person: str, mode: str) -> None:
    async with connected(served, mode=mode, person=person) as client:
        first = await client.call_tool("counter_add", {"a": 4})
        second = await client.call_tool("counter_add", {"a": 5})
    assert structured(second) == {
        "session": structured(first)["session"],
        "revision": 3,
        "state": structured(second)["state"],
        "allowed_actions": ["add"],
        "result": "Added 5, total is now 10",
        "messages": [],
    }
    assert text(second).startswith("Added 5, total is now 10")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_text_ends_with_handle_revision_state_and_what_is_possible(
    served: Served, person: str, mode: str
) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        locked = await client.call_tool("lock", {})
        handle = structured(locked)["session"]
        assert footer(locked) == f"[{handle} · revision 2 · locked · possible: unlock, count]"
        refused = await client.call_tool("write", {"text": "no"})
        assert footer(refused) == footer(locked)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_is_answered_fits_the_declared_schema(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        declared = await schemas(client)
        calls: list[tuple[str, dict[str, Any]]] = [
            ("write", {"text": "one"}),
            ("write", {"text": 5}),
            ("write", {"text": "two", "if_revision": 1}),
            ("stamp", {}),
            ("count", {}),
            ("burn", {}),
            ("copy", {"times": 99}),
            ("copy", {"times": 1}),
            ("lock", {}),
            ("stamp", {}),
            ("unlock", {"session": "ses_nobody"}),
            ("undo", {}),
            ("redo", {}),
            ("redo", {}),
            ("start_session", {"arguments": {"colour": "red"}}),
            ("start_session", {"arguments": {"colour": "green"}}),
            ("list_sessions", {}),
            ("get_session", {}),
            ("get_session", {"at": 1}),
            ("get_session", {"at": 1000}),
            ("session_history", {"since": 2}),
            ("fork_session", {"at": 2}),
            ("fork_session", {"at": 77}),
            ("share_session", {"person": "nobody-was-here"}),
            ("end_session", {}),
        ]
        for tool, arguments in calls:
            result = await client.call_tool(tool, arguments)
            declared[tool].validate(structured(result))
            assert (result.is_error or False) == any(m["type"] == "error" for m in structured(result)["messages"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_refusal_names_the_rule_and_what_is_possible_instead(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        await client.call_tool("lock", {})
        refused = await client.call_tool("write", {"text": "no"})
        assert code(refused) == "wrong_state"
        assert structured(refused)["result"] is None
        assert structured(refused)["revision"] == 2
        (message,) = structured(refused)["messages"]
        assert message["type"] == "error" and message["severity"] == "recoverable"
        assert "Possible now: unlock, count" in message["content"]
        assert text(refused).startswith("Refused (wrong_state): ")


async def test_guards_that_see_arguments_are_asked_at_the_call(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        first = await client.call_tool("copy", {"times": 11})
        assert code(first) == "is_enough"
        second = await client.call_tool("write", {"text": "x"})
        assert "copy" in structured(second)["allowed_actions"]


async def test_wrong_arguments_are_a_tool_result_with_their_path(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        refused = await client.call_tool("copy", {"times": "many"})
        (message,) = structured(refused)["messages"]
        assert (message["code"], message["path"]) == ("invalid_arguments", "$.times")
        assert "received 'many'" in message["content"]


async def test_a_refused_first_call_starts_no_session(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        refused = await client.call_tool("write", {"text": 5})
        assert code(refused) == "invalid_arguments"
        assert structured(await client.call_tool("list_sessions", {}))["result"]["sessions"] == []


async def test_a_stale_write_is_refused_with_what_happened_since(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await client.call_tool("write", {"text": "one"})
        await client.call_tool("write", {"text": "two"})
        refused = await client.call_tool("stamp", {"if_revision": 2})
        assert code(refused) == "stale_revision"
        assert "3: write" in text(refused)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_if_revision_makes_a_retry_safe(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        await client.call_tool("stamp", {})
        first = await client.call_tool("stamp", {"if_revision": 2})
        again = await client.call_tool("stamp", {"if_revision": 2})
        assert structured(again)["replayed"] == 3 == structured(again)["revision"]
        assert structured(again)["result"] == structured(first)["result"] == 2
        assert "replayed" not in structured(first)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_key_in_meta_makes_a_retry_safe(served: Served, person: str, mode: str) -> None:
    meta: Any = {"turnkeeper/key": "k1"}
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        first = await client.call_tool("write", {"text": "one"}, meta=meta)
        await client.call_tool("stamp", {})
        again = await client.call_tool("write", {"text": "one"}, meta=meta)
        assert structured(again)["replayed"] == structured(first)["revision"] == 2
        assert structured(again)["revision"] == 3
        assert structured(again)["result"] == structured(first)["result"]
        assert code(await client.call_tool("write", {"text": "two"}, meta=meta)) == "key_reused"
        assert code(await client.call_tool("stamp", {}, meta=meta)) == "key_reused"


async def test_a_revision_in_meta_makes_a_stale_write_visible(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await client.call_tool("stamp", {})
        meta: Any = {"turnkeeper/if-revision": 1}
        refused = await client.call_tool("write", {"text": "late"}, meta=meta)
        assert code(refused) == "stale_revision"
        assert structured(refused)["revision"] == 2
        assert code(await client.call_tool("undo", {}, meta=meta)) == "stale_revision"


async def test_a_key_of_a_start_gives_the_same_session_again(served: Served, person: str) -> None:
    meta: Any = {"turnkeeper/key": "mine"}
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        first = await client.call_tool("start_session", {}, meta=meta)
        again = await client.call_tool("start_session", {}, meta=meta)
        assert structured(again)["session"] == structured(first)["session"]
        assert structured(again)["replayed"] == 1
        refused = await client.call_tool("start_session", {"arguments": {"colour": "red"}}, meta=meta)
        assert code(refused) == "key_reused"


async def test_keys_that_are_no_keys_are_refused(served: Served, person: str) -> None:
    wrong: list[Any] = [5, "", "x" * 201, ["a"]]
    for key in wrong:
        params = {"name": "stamp", "arguments": {}, "_meta": {"turnkeeper/key": key}}
        answer = post(served, "/worlds/desk/mcp", "tools/call", params, person=person).json()["result"]
        assert answer["structuredContent"]["messages"][0]["code"] == "invalid_arguments", key
    assert called(served, "list_sessions", person=person)["result"]["sessions"] == []


@pytest.mark.parametrize("path", ["/mcp", "/worlds/desk/mcp"])
async def test_a_session_is_addressed_by_handle(served: Served, person: str, path: str) -> None:
    handle = begun(served, person)
    name = "desk_write" if path == "/mcp" else "write"
    async with connected(served, path, person=person) as client:
        written = await client.call_tool(name, {"text": "here", "session": handle})
        assert structured(written)["session"] == handle
        assert structured(written)["revision"] == 2


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_bound_client_acts_on_its_session_alone(served: Served, person: str, mode: str) -> None:
    handle, other = begun(served, person), begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        written = await client.call_tool("write", {"text": "here"})
        assert structured(written)["session"] == handle
        assert code(await client.call_tool("write", {"text": "there", "session": other})) == "invalid_arguments"
        undone = await client.call_tool("undo", {})
        assert (structured(undone)["session"], structured(undone)["revision"]) == (handle, 3)
        assert structured(await client.call_tool("get_session", {}))["result"]["rows"]["desk__note"] == []


@pytest.mark.parametrize("mode", ERAS)
async def test_an_unknown_tool_is_a_protocol_error_that_names_the_known_ones(
    served: Served, person: str, mode: str
) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("wrote", {})
    assert caught.value.error.code == t.INVALID_PARAMS
    assert "write" in caught.value.error.message


async def test_another_worlds_session_is_no_session_of_this_one(served: Served, person: str) -> None:
    handle = begun(served, person, "counter")
    refused = called(served, "write", {"text": "x", "session": handle}, path="/worlds/desk/mcp", person=person)
    assert refused["messages"][0]["code"] == "not_found"


async def test_calls_of_another_world_are_unknown_on_a_worlds_endpoint(served: Served, person: str) -> None:
    params = {"name": "counter_add", "arguments": {"a": 1}}
    answer = post(served, "/worlds/desk/mcp", "tools/call", params, person=person).json()
    assert answer["error"]["code"] == t.INVALID_PARAMS


@pytest.mark.parametrize("mode", ERAS)
async def test_a_cart_is_bought_by_a_client_that_checks_every_answer_against_its_tools_schema(
    served: Served, person: str, mode: str
) -> None:
    async with connected(served, "/worlds/cart/mcp", mode=mode, person=person) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert {"release", "record_payment", "decline"}.isdisjoint(listed)
        assert structured(await client.call_tool("add", {"sku": "mint"}))["result"]["total"] == 380
        assert structured(await client.call_tool("checkout", {}))["state"] == "payment_due"
        paying = structured(await client.call_tool("pay", {}))
        assert (paying["state"], paying["allowed_actions"]) == ("paying", ["show", "cancel"])
        assert structured(await client.call_tool("cancel", {}))["result"]["currency"] == "EUR"
