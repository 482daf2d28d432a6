"""What takes in more than a transaction holds, over MCP: others act meanwhile, and subscribers hear of it."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.engine.mcp_adapter.answers import structured
from tests.serving import PEOPLE, Served, connected, serving
from tests.subscribing import BOTH, hearing

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]
MANY = 8_000
"""Sheets that are not written at once."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with the world archive."""
    with serving(tmp_path_factory.mktemp("archive"), Path(__file__).parent / "large", command=PEOPLE) as server:
        yield server


@pytest.mark.parametrize("mode", BOTH)
async def test_others_act_while_much_is_taken_in_and_subscribers_hear_of_it(served: Served, mode: str) -> None:
    person, newest = f"person-{uuid4().hex[:12]}", "session://archive/newest"
    heard: list[float] = []
    async with connected(served, "/worlds/archive/mcp", person=person) as other:
        handle = structured(await other.call_tool("start_session", {"main": True}))["session"]

        async def act(progress: float, total: float | None, message: str | None) -> None:
            if not heard:
                await other.call_tool("file", {"text": "meanwhile"})
            heard.append(progress)

        async with connected(served, "/worlds/archive/mcp", mode=mode, person=person) as client:
            result = structured(await client.call_tool("take_in", {"count": MANY}, progress_callback=act))
        assert (result["session"], result["result"], result["revision"]) == (handle, MANY + 2, 3)
        assert heard
    async with hearing(served, mode, person, newest, path="/worlds/archive/mcp") as (client, hear):
        for tool, arguments, rows in (("undo", {}, None), ("redo", {}, None), ("take_in", {"count": 1}, MANY + 4)):
            result = structured(await client.call_tool(tool, arguments))
            assert await hear() == newest
            assert rows is None or result["result"] == rows
