"""An import as those see it who wait for it or listen: how far it is, on every way in, and that it came and went."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import mcp_types as t
import pytest
from mcp.client import Client

from tests.serving import PEOPLE, ROOT, Served, connected, environment, pipes, serving
from tests.subscribing import BOTH, hearing

pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]
PATH, URI = "/worlds/graph/mcp", "memory://knowledge-graph"
MANY = 3_000
TEXT = "\n".join(
    json.dumps({"type": "entity", "name": f"n{number}", "entityType": "t", "observations": []})
    for number in range(MANY)
)


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server uses, too."""
    return "asyncio"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the graph for several people."""
    with serving(tmp_path_factory.mktemp("heard"), command=PEOPLE) as server:
        yield server


@asynccontextmanager
async def reached(door: str, served: Served, folder: Path, mode: Any) -> AsyncIterator[Client]:
    """A client on pipes, or over HTTP."""
    if door == "stdio":
        async with Client(pipes(folder, world="graph"), mode=mode) as client:
            yield client
    else:
        async with connected(served, PATH, mode=mode, person=f"person-{uuid4().hex[:12]}") as client:
            yield client


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize("door", ["stdio", "http"])
async def test_a_client_that_gives_a_token_hears_how_far_an_import_is(
    served: Served, tmp_path: Path, door: str, mode: str
) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with reached(door, served, tmp_path, mode) as client:
        done = await client.call_tool("import_graph", {"text": TEXT}, progress_callback=hear)
        assert done.structured_content is not None
        assert done.structured_content["result"]["told"] == {"entity": MANY}
    steps = [progress for progress, _, _ in heard]
    assert steps == sorted(set(steps)) and steps[-1] == len(TEXT)
    assert {total for _, total, _ in heard} == {len(TEXT)}
    assert heard[-1][2] == f"{MANY:,} facts"


@pytest.mark.parametrize("mode", BOTH)
async def test_subscribers_of_the_graph_hear_of_an_import_and_that_it_was_taken_back(served: Served, mode: str) -> None:
    person = f"person-{uuid4().hex[:12]}"
    observed = [{"entityName": "n0", "contents": ["x"]}]
    async with (
        hearing(served, mode, person, URI, path=PATH) as (_, hear),
        connected(served, PATH, person=person) as other,
    ):
        for tool, arguments, entities in (
            ("import_graph", {"text": TEXT}, MANY),
            ("undo", {}, 0),
            ("redo", {}, MANY),
            ("add_observations", {"observations": observed}, MANY),
        ):
            assert not (await other.call_tool(tool, arguments)).is_error
            assert await hear() == URI
            (contents,) = (await other.read_resource(URI)).contents
            assert isinstance(contents, t.TextResourceContents)
            assert len(json.loads(contents.text)["entities"]) == entities, tool


def test_a_terminal_shows_a_bar_and_a_pipe_does_not(tmp_path: Path) -> None:
    (tmp_path / "memory.jsonl").write_text(TEXT)
    shown, terminal = pty.openpty()
    command = [sys.executable, "-m", "engine.cli", "graph", "import", str(tmp_path / "memory.jsonl")]
    told: dict[str, Any] = {"cwd": ROOT, "env": {**environment(tmp_path), "TERM": "xterm"}, "text": True}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, **told) as process:
        os.close(terminal)
        seen = b"".join(pieces(shown)).decode()
        assert process.stdout is not None
        assert f"{MANY:,} entities new" in process.stdout.read()
    assert f"100 % {MANY:,} facts" in seen, seen
    again = subprocess.run(command, capture_output=True, check=True, **told)
    assert (again.stderr, f"{MANY:,} facts were there already" in again.stdout) == ("", True)


def pieces(shown: int) -> Iterator[bytes]:
    """What is written to a terminal, until its other end is closed."""
    try:
        while piece := os.read(shown, 65_536):
            yield piece
    except OSError:  # so Linux says that nobody writes there any more
        pass
    finally:
        os.close(shown)
