"""MCP on standard input and output, in both eras, with all worlds and with one."""

import json
import subprocess
from pathlib import Path
from typing import Any

import anyio
import mcp_types as t
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import ResourceUpdated

from tests.serving import ROOT, SECONDS, pipes

pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]
WORLDS = ROOT / "tests" / "engine" / "mcp_adapter" / "worlds"
BOTH = ("auto", "legacy")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def act(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result
    content: Any = result.structured_content
    return dict(content)


@pytest.mark.parametrize("mode", ["auto", "2026-07-28", "legacy"])
async def test_all_worlds_are_there_under_joined_names(tmp_path: Path, mode: str) -> None:
    async with Client(pipes(tmp_path, WORLDS), mode=mode) as client:
        assert client.protocol_version == ("2025-11-25" if mode == "legacy" else "2026-07-28")
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "counter_add" in names and "desk_write" in names and "undo" in names
        added = await act(client, "counter_add", a=4)
        assert (added["revision"], added["result"]) == (2, "Added 4, total is now 5")
        uris = [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "session://counter/total" in uris
        (contents,) = (await client.read_resource("session://counter/total")).contents
        assert isinstance(contents, t.TextResourceContents) and contents.text == "5"
        with pytest.raises(MCPError) as caught:
            await client.read_resource("session://counter/nothing")
        assert caught.value.error.code == t.INVALID_PARAMS
        assert "counter_resume" in [prompt.name for prompt in (await client.list_prompts()).prompts]


@pytest.mark.parametrize("mode", BOTH)
async def test_one_world_is_there_under_bare_names_and_lasts(tmp_path: Path, mode: str) -> None:
    async with Client(pipes(tmp_path, WORLDS, world="desk"), mode=mode) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert names[:2] == ["write", "stamp"] and names[-1] == "end_session"
        await act(client, "write", text="one")
        await act(client, "write", text="two")
        await act(client, "undo")
        fork = await act(client, "fork_session", at=2)
        assert (await act(client, "redo"))["revision"] == 5
    async with Client(pipes(tmp_path, WORLDS, world="desk"), mode=mode) as client:
        assert (await act(client, "count"))["result"] == 2
        assert (await act(client, "count", session=fork["session"]))["result"] == 1
        changes = (await act(client, "session_history"))["result"]["changes"]
        assert [change["action"] for change in changes] == ["start", "write", "write", "undo", "redo"]


@pytest.mark.parametrize("mode", BOTH)
async def test_the_person_is_asked_and_progress_is_told(tmp_path: Path, mode: str) -> None:
    heard: list[float] = []

    async def confirm(context: Any, params: t.ElicitRequestParams) -> t.ElicitResult:
        return t.ElicitResult(action="accept", content={"confirm": True})

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    parameters = pipes(tmp_path, WORLDS, world="desk")
    async with Client(parameters, mode=mode, elicitation_callback=confirm) as client:
        await act(client, "write", text="x")
        assert (await act(client, "burn"))["result"] == 1
        await client.call_tool("copy", {"times": 2}, progress_callback=hear)
        assert heard == [1.0, 2.0]
    async with Client(parameters, mode=mode) as client:
        await act(client, "write", text="x")
        refused = await client.call_tool("burn", {})
        content: Any = refused.structured_content
        assert content["messages"][0]["code"] == "confirmation_required"


async def test_a_client_of_the_older_revisions_hears_of_changes(tmp_path: Path) -> None:
    sender, receiver = anyio.create_memory_object_stream[str](10)

    async def note(message: Any) -> None:
        if isinstance(message, t.ResourceUpdatedNotification):
            sender.send_nowait(str(message.params.uri))

    with sender, receiver:
        parameters = pipes(tmp_path, WORLDS, world="desk")
        async with Client(parameters, mode="legacy", message_handler=note) as client:
            await client.subscribe_resource("session://desk/notes")
            await client.subscribe_resource("session://desk/stamps")
            await act(client, "stamp")
            with anyio.fail_after(SECONDS):
                assert await receiver.receive() == "session://desk/stamps"
            await client.unsubscribe_resource("session://desk/stamps")
            await act(client, "stamp")
            await act(client, "write", text="x")
            with anyio.fail_after(SECONDS):
                assert await receiver.receive() == "session://desk/notes"


async def test_a_client_of_the_present_revision_hears_of_changes(tmp_path: Path) -> None:
    async with Client(pipes(tmp_path, WORLDS)) as client:
        handle = (await act(client, "start_session", world="desk"))["session"]
        wanted = [f"session://{handle}/ink", "session://ses_nobody/ink"]
        async with client.listen(resource_subscriptions=wanted) as events:
            assert events.honored.resource_subscriptions == wanted[:1]
            for _ in range(2):
                await act(client, "desk_stamp", session=handle)
                with anyio.fail_after(SECONDS):
                    assert await anext(events) == ResourceUpdated(wanted[0])


@pytest.mark.parametrize("text", ['"\\ud83d"', "[" * 300 + "]" * 300])
def test_a_request_that_cannot_be_read_is_answered_if_it_says_its_number(tmp_path: Path, text: str) -> None:
    parameters = pipes(tmp_path, WORLDS, world="desk")
    params = f'{{"name":"write","arguments":{{"text":{text}}}}}'
    request = f'{{"jsonrpc":"2.0","id":"first","method":"tools/call","params":{params}}}'
    done = subprocess.run(
        [parameters.command, *parameters.args],
        input=f'no JSON\n{request}\n{{"jsonrpc":"2.0","id":2,"method":"ping"}}\n',
        capture_output=True,
        text=True,
        env=parameters.env,
        cwd=parameters.cwd,
        timeout=SECONDS,
    )
    answers = {answer["id"]: answer for answer in map(json.loads, done.stdout.splitlines())}
    assert answers["first"]["error"]["code"] == t.PARSE_ERROR and answers.keys() == {"first", 2}


async def test_what_an_action_prints_does_not_reach_the_wire(tmp_path: Path) -> None:
    worlds = tmp_path / "worlds"
    worlds.mkdir()
    source = "from engine import World, action\n\n\nclass Loud(World):\n    @action\n    def shout(self) -> str:\n"
    (worlds / "loud.py").write_text(source + '        print("not JSON")\n        return "done"\n')
    async with Client(pipes(tmp_path / "data", worlds, world="loud")) as client:
        for _ in range(2):
            assert (await act(client, "shout"))["result"] == "done"
