"""The server as people run it: started, played on from every side, stopped and started again."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client

from tests.serving import SECONDS, TLS, connected, pipes, serving, start

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


FIFTEEN_LINES = '''
from pydantic import BaseModel

from engine import World, action


class Words(BaseModel):
    said: list[str] = []


class Parrot(World):
    """A parrot that says everything again."""

    data: Words

    @action
    def say(self, word: str) -> list[str]:
        """Teach it a word."""
        self.data.said.append(word)
        return self.data.said
'''


async def total(client: Client, tool: str, a: int) -> dict[str, Any]:
    result = await client.call_tool(tool, {"a": a})
    assert not result.is_error
    content: Any = result.structured_content
    return dict(content)


async def test_a_game_is_gone_on_with_after_a_restart_and_from_every_side(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        async with connected(served) as client:
            first = await total(client, "counter_add", 1)
        async with connected(served, "/worlds/counter/mcp", mode="legacy") as client:
            assert (await total(client, "add", 1))["session"] == first["session"]
        async with connected(served, f"/sessions/{first['session']}/mcp") as client:
            assert (await total(client, "add", 1))["revision"] == 4
    with serving(tmp_path) as served:
        async with connected(served) as client, Client(pipes(tmp_path, world="counter")) as piped:
            assert (await total(client, "counter_add", 1))["result"] == "Added 1, total is now 5"
            assert (await total(piped, "add", 1))["result"] == "Added 1, total is now 6"
            assert (await total(client, "counter_add", 1))["result"] == "Added 1, total is now 7"


async def test_an_authors_file_is_a_world(tmp_path: Path) -> None:
    worlds = tmp_path / "worlds"
    worlds.mkdir()
    (worlds / "parrot.py").write_text(FIFTEEN_LINES)
    for words in (["hello"], ["hello", "pretty"]):
        with serving(tmp_path / "data", worlds) as served:
            async with connected(served) as client:
                result = await client.call_tool("parrot_say", {"word": words[-1]})
                content: Any = result.structured_content
                assert content["result"] == words


async def test_an_adventure_is_played_and_undone(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        async with connected(served, "/worlds/adventure/mcp") as client:
            for tool, arguments in (("command", {"text": "wait"}), ("look", {}), ("undo", {}), ("inventory", {})):
                result = await client.call_tool(tool, arguments)
                assert not result.is_error, result
            map_of = (await client.read_resource("session://adventure/map")).contents[0]
            assert map_of.mime_type == "text/plain"


async def test_a_server_prints_what_clients_need_and_stops_when_told(tmp_path: Path) -> None:
    served = start(tmp_path)
    assert httpx2.get(f"{served.url}/healthz", verify=TLS).json() == {"status": "ok"}
    async with connected(served) as client:
        await total(client, "counter_add", 1)
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(SECONDS) in (0, -signal.SIGINT, 130)
    printed = served.logged()
    assert f"{served.url}/mcp" in printed and f"{served.url}/worlds/counter/mcp" in printed
    assert "Traceback" not in printed
    assert json.dumps(f"{served.url}/mcp") in printed
