"""The session tools, over HTTP in both eras."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.client import Client
from mcp_types import Implementation

from tests.engine.mcp_adapter.answers import ERAS, begun, called, code, footer, schemas, structured, text
from tests.serving import Served, connected

pytestmark = pytest.mark.anyio


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    return structured(result)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_started_session_lasts_and_is_named_by_its_handle(served: Served, person: str, mode: str) -> None:
    async with connected(served, mode=mode, person=person) as client:
        started = await ask(client, "start_session", world="desk", arguments={"colour": "red"})
        assert (started["revision"], started["state"], started["result"]) == (1, "open", "The ink is red.")
        assert started["session"].startswith("ses_") and len(started["session"]) >= 26
        await ask(client, "desk_write", text="here", session=started["session"])
        (listed,) = (await ask(client, "list_sessions"))["result"]["sessions"]
        assert (listed["session"], listed["world"], listed["revision"]) == (started["session"], "desk", 2)
        assert (listed["role"], listed["main"], listed["ended"]) == ("owner", False, False)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_main_session_takes_the_place_of_the_one_before(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        first = (await ask(client, "stamp"))["session"]
        other = (await ask(client, "start_session"))["session"]
        assert (await ask(client, "stamp"))["session"] == first
        main = (await ask(client, "start_session", main=True))["session"]
        assert (await ask(client, "stamp"))["session"] == main
        listed = (await ask(client, "list_sessions"))["result"]["sessions"]
        assert {entry["session"]: entry["main"] for entry in listed} == {first: False, other: False, main: True}
        assert listed[0]["session"] == main


async def test_a_world_must_be_named_where_there_are_several(served: Served, person: str) -> None:
    async with connected(served, person=person) as client:
        refused = await client.call_tool("start_session", {})
        assert code(refused) == "invalid_arguments"
        assert all(world in text(refused) for world in ("adventure", "counter", "desk"))
        assert code(await client.call_tool("undo", {})) == "invalid_arguments"
        assert code(await client.call_tool("start_session", {"world": "moon"})) == "not_found"


@pytest.mark.parametrize("mode", ERAS)
async def test_undo_takes_back_and_redo_does_again(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        await ask(client, "write", text="one")
        await ask(client, "write", text="two")
        undone = await ask(client, "undo")
        assert undone["result"] == {"revision": 3, "action": "write"}
        assert (await ask(client, "count"))["result"] == 1
        assert (await ask(client, "undo"))["result"] == {"revision": 2, "action": "write"}
        assert (await ask(client, "redo"))["result"] == {"revision": 2, "action": "write"}
        again = await ask(client, "redo")
        assert (again["revision"], again["result"]) == (7, {"revision": 3, "action": "write"})
        now = (await ask(client, "get_session"))["result"]
        assert [note["text"] for note in now["rows"]["desk__note"]] == ["one", "two"]
        assert now["data"]["drops"] == 8


async def test_there_is_an_end_to_undoing(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await ask(client, "stamp")
        await ask(client, "undo")
        assert code(await client.call_tool("undo", {})) == "nothing_to_undo"
        await ask(client, "redo")
        assert code(await client.call_tool("redo", {})) == "nothing_to_redo"


async def test_a_retried_undo_is_not_done_twice(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await ask(client, "write", text="one")
        await ask(client, "write", text="two")
        first = await ask(client, "undo", if_revision=3)
        again = await ask(client, "undo", if_revision=3)
        assert (first["revision"], again["revision"], again["replayed"]) == (4, 4, 4)
        assert (await ask(client, "count"))["result"] == 1


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_past_revision_is_read_whole(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        handle = (await ask(client, "write", text="one"))["session"]
        await ask(client, "write", text="two")
        await ask(client, "lock")
        then = await ask(client, "get_session", at=2)
        assert then["revision"] == 4 and then["state"] == "locked"
        assert then["result"] == {
            "world": "desk",
            "revision": 2,
            "state": "open",
            "data": {"drops": 9, "colour": "blue"},
            "rows": {"desk__note": [{"id": 1, "text": "one"}], "desk__stamp": []},
            "more": False,
            "cursor": None,
        }
        missing = await client.call_tool("get_session", {"session": handle, "at": 9})
        assert code(missing) == "not_found"
        assert "revisions 1 to 4" in text(missing)


@pytest.mark.parametrize("mode", ERAS)
async def test_history_says_through_which_client_what_was_done(served: Served, person: str, mode: str) -> None:
    called = Implementation(name="a\x1b[31m\nclient " + "x" * 200, version="1.0")
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person, client_info=called) as client:
        await ask(client, "write", text="one")
        await ask(client, "undo")
        changes = (await ask(client, "session_history"))["result"]["changes"]
        assert {c["client"] for c in changes} == {"a\N{REPLACEMENT CHARACTER}[31m client " + "x" * 86}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_history_says_who_did_what_and_whether_it_stands(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        await ask(client, "write", text="one")
        await ask(client, "stamp")
        await ask(client, "undo")
        changes = (await ask(client, "session_history"))["result"]["changes"]
        assert [(c["revision"], c["action"], c["stands"]) for c in changes] == [
            (1, "start", True),
            (2, "write", True),
            (3, "stamp", False),
            (4, "undo", True),
        ]
        assert {c["by"] for c in changes} == {person}
        assert changes[1]["arguments"] == {"text": "one"}
        assert changes[3]["about"] == 3
        later = (await ask(client, "session_history", since=2, limit=1))["result"]["changes"]
        assert [c["revision"] for c in later] == [3]


@pytest.mark.parametrize("mode", ERAS)
async def test_a_fork_goes_its_own_way_from_a_revision(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        origin = (await ask(client, "write", text="one"))["session"]
        await ask(client, "write", text="two")
        forked = await client.call_tool("fork_session", {"at": 2})
        fork = structured(forked)["session"]
        assert fork != origin and structured(forked)["revision"] == 2
        assert footer(forked).startswith(f"[{fork} · revision 2 · open")
        await ask(client, "write", text="three", session=fork)
        notes = (await ask(client, "get_session", session=fork))["result"]["rows"]["desk__note"]
        assert [note["text"] for note in notes] == ["one", "three"]
        assert (await ask(client, "count", session=origin))["result"] == 2
        assert (await ask(client, "stamp"))["session"] == origin


async def test_a_forks_key_gives_the_same_fork_again(served: Served, person: str) -> None:
    meta: Any = {"turnkeeper/key": "fork-1"}
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await ask(client, "stamp")
        first = structured(await client.call_tool("fork_session", {}, meta=meta))
        again = structured(await client.call_tool("fork_session", {}, meta=meta))
        assert first["session"] == again["session"]
        assert again["replayed"] == 2


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_somebody_elses_session_is_answered_like_one_that_never_was(
    served: Served, person: str, mode: str
) -> None:
    theirs = begun(served, f"other-{person}")
    missing = "ses_" + "x" * (len(theirs) - 4)
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        calls: list[tuple[str, dict[str, Any]]] = [
            ("write", {"text": "mine now"}),
            ("count", {}),
            ("burn", {}),
            ("get_session", {}),
            ("session_history", {}),
            ("undo", {}),
            ("redo", {}),
            ("fork_session", {}),
            ("share_session", {"person": person}),
            ("end_session", {}),
            ("end_session", {"erase": True}),
        ]
        for tool, arguments in calls:
            answers = [
                (await client.call_tool(tool, {**arguments, "session": handle})).model_dump_json().replace(handle, "H")
                for handle in (theirs, missing)
            ]
            assert answers[0] == answers[1], tool
            assert '"not_found"' in answers[0], tool
        assert (await ask(client, "list_sessions"))["result"]["sessions"] == []


async def test_sharing_is_answered_the_same_whether_that_person_was_here_or_not(served: Served, person: str) -> None:
    friend = f"friend-{person}"
    handle = begun(served, person)
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        unknown = await ask(client, "share_session", session=handle, person=friend)
        begun(served, friend)
        known = await ask(client, "share_session", session=handle, person=friend)
        assert {**unknown, "revision": 3} == known
    async with connected(served, "/worlds/desk/mcp", person=friend) as client:
        assert (await ask(client, "count", session=handle))["result"] == 0
        refused = await client.call_tool("write", {"text": "x", "session": handle})
        assert code(refused) == "forbidden"
        assert "This needs the role editor; you are viewer here. Fork the session." in text(refused)
        shares = {s["session"]: s["role"] for s in (await ask(client, "list_sessions"))["result"]["sessions"]}
        assert shares[handle] == "viewer"
        own = (await ask(client, "fork_session", session=handle))["session"]
        assert (await ask(client, "write", text="mine", session=own))["revision"] == 4


async def test_an_editor_acts_but_does_not_end_and_a_share_can_be_taken_back(served: Served, person: str) -> None:
    friend = f"friend-{person}"
    begun(served, friend)
    handle = begun(served, person)
    called(served, "share_session", {"session": handle, "person": friend, "role": "editor"}, person=person)
    async with connected(served, "/worlds/desk/mcp", person=friend) as client:
        await ask(client, "write", text="together", session=handle)
        assert code(await client.call_tool("end_session", {"session": handle})) == "forbidden"
        assert code(await client.call_tool("end_session", {"session": handle, "erase": True})) == "forbidden"
        called(served, "share_session", {"session": handle, "person": friend, "role": None}, person=person)
        assert code(await client.call_tool("count", {"session": handle})) == "not_found"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_ended_session_is_read_and_forked_but_not_changed(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        handle = (await ask(client, "write", text="last"))["session"]
        ended = await ask(client, "end_session")
        assert (ended["session"], ended["revision"]) == (handle, 3)
        for tool, arguments in (("write", {"text": "more"}), ("undo", {}), ("end_session", {})):
            assert code(await client.call_tool(tool, {**arguments, "session": handle})) == "session_ended"
        assert (await ask(client, "count", session=handle))["result"] == 1
        fork = await ask(client, "fork_session", session=handle)
        assert (await ask(client, "write", text="on", session=fork["session"]))["result"]["text"] == "on"
        assert (await ask(client, "stamp"))["session"] not in (handle, fork["session"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_an_erased_session_is_gone_as_if_it_never_was(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        declared = await schemas(client)
        handle = (await ask(client, "write", text="secret"))["session"]
        gone = await client.call_tool("end_session", {"session": handle, "erase": True})
        declared["end_session"].validate(structured(gone))
        assert structured(gone)["messages"][0]["code"] == "erased"
        assert structured(gone)["session"] is None
        assert code(await client.call_tool("get_session", {"session": handle})) == "not_found"
        assert (await ask(client, "list_sessions"))["result"]["sessions"] == []
        assert (await ask(client, "count"))["result"] == 0


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_tool_acts_on_no_other_session_than_the_one_named(served: Served, person: str, mode: str) -> None:
    mine, other, total = begun(served, person), begun(served, person), begun(served, person, "counter")
    async with connected(served, f"/sessions/{mine}/mcp", mode=mode, person=person) as client:
        for arguments in ({"session": other}, {"world": "counter"}, {"session": ""}, {"session": "x" * 1_000_000}):
            for tool, more in (("end_session", {"erase": True}), ("undo", {}), ("get_session", {})):
                refused = await client.call_tool(tool, {**more, **arguments})
                assert code(refused) == "invalid_arguments"
                assert len(text(refused)) < 2000
        assert (await ask(client, "get_session", session=mine, world="desk"))["session"] == mine
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        for tool, arguments in (
            ("start_session", {"world": "counter"}),
            ("list_sessions", {"world": "counter"}),
            ("get_session", {"session": total}),
            ("end_session", {"session": mine, "world": "counter"}),
        ):
            assert code(await client.call_tool(tool, arguments)) == "invalid_arguments", tool
        for handle in ("", "x" * 201):
            assert code(await client.call_tool("stamp", {"session": handle})) == "invalid_arguments"
    async with connected(served, mode=mode, person=person) as client:
        refused = await client.call_tool("end_session", {"session": mine, "world": "counter"})
        assert code(refused) == "invalid_arguments"
        assert all(not s["ended"] for s in (await ask(client, "list_sessions"))["result"]["sessions"])


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_no_session_tool_starts_a_main_session(served: Served, person: str, mode: str) -> None:
    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        for tool, arguments in (
            ("get_session", {}),
            ("session_history", {}),
            ("undo", {}),
            ("redo", {}),
            ("fork_session", {}),
            ("share_session", {"person": person}),
            ("end_session", {}),
            ("end_session", {"erase": True}),
        ):
            assert code(await client.call_tool(tool, arguments)) == "not_started", tool
        assert (await ask(client, "list_sessions"))["result"]["sessions"] == []


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_repeated_end_of_a_main_session_ends_nothing_else(served: Served, person: str, mode: str) -> None:
    meta: Any = {"turnkeeper/key": "the end"}
    async with connected(served, mode=mode, person=person) as client:
        handle = (await ask(client, "desk_stamp"))["session"]
        first = structured(await client.call_tool("end_session", {"world": "desk"}, meta=meta))
        again = structured(await client.call_tool("end_session", {"world": "desk"}, meta=meta))
        assert (first["session"], again["session"], again["replayed"]) == (handle, handle, first["revision"])
        following = (await ask(client, "desk_stamp"))["session"]
        late = structured(await client.call_tool("end_session", {"world": "desk"}, meta=meta))
        assert late["session"] == handle
        assert (await ask(client, "desk_stamp"))["session"] == following
        long: Any = {"turnkeeper/key": "x" * 201}
        assert code(await client.call_tool("undo", {"world": "desk"}, meta=long)) == "invalid_arguments"


async def test_revision_zero_is_a_revision(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        await ask(client, "stamp")
        beside: Any = {"turnkeeper/if-revision": 2}
        stale = await client.call_tool("undo", {"if_revision": 0}, meta=beside)
        assert code(stale) == "stale_revision"


async def test_main_is_said_of_ones_own_sessions(served: Served, person: str) -> None:
    friend = f"friend-{person}"
    begun(served, friend)
    handle = called(served, "desk_stamp", {}, person=person)["session"]
    assert called(served, "share_session", {"session": handle, "person": friend}, person=person)["revision"] == 3
    async with connected(served, person=friend) as client:
        shared = {s["session"]: s["main"] for s in (await ask(client, "list_sessions"))["result"]["sessions"]}
        assert shared[handle] is False
    async with connected(served, person=person) as client:
        (own,) = (await ask(client, "list_sessions"))["result"]["sessions"]
        assert (own["main"], own["role"], own["handed_to_you"]) == (True, "owner", False)


async def test_the_schema_of_what_a_world_needs_to_start_is_whole(served: Served, person: str) -> None:
    async with connected(served, "/worlds/desk/mcp", person=person) as client:
        schema = {tool.name: tool.input_schema for tool in (await client.list_tools()).tools}["start_session"]
    Draft202012Validator(schema).validate({"arguments": {"colour": "red"}})
    assert not Draft202012Validator(schema).is_valid({"arguments": {"colour": "pink"}})
