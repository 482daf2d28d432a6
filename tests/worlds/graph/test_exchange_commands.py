"""Import and export as they are typed, and over MCP."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcp_types as t
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from typer.testing import CliRunner

from engine.cli import app
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.limits import Limits
from engine.types import LOCAL
from tests.serving import pipes
from tests.worlds.graph.telling import Telling, call
from worlds.graph.exchange import Format
from worlds.graph.exporting import answered
from worlds.graph.facts import entity
from worlds.graph.view import View

LINES = (
    '{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea"]}\n'
    '{"type":"relation","from":"Ada","to":"Ada","relationType":"is"}'
)


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server uses, too."""
    return "asyncio"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Runs `turnkeeper graph` in this process."""

    def ran(*words: str) -> Any:
        names = [name for name in os.environ if name.startswith("TURNKEEPER_")]
        env = {**dict.fromkeys(names), "TURNKEEPER_DATA_DIR": str(tmp_path / "data")}
        return CliRunner(env=env).invoke(app, ["graph", *words], prog_name="turnkeeper")

    return ran


def test_a_memory_goes_in_and_comes_out_to_the_byte(run: Callable[..., Any], tmp_path: Path) -> None:
    memory, out = tmp_path / "memory.jsonl", tmp_path / "out.jsonl"
    memory.write_text(LINES)
    assert run("import", str(memory)).stdout == (
        f"{memory}, as jsonl: 1 entity, 1 observation, 1 relation new; 0 facts were there already\n"
    )
    assert json.loads(run("import", str(memory), "--json").stdout)["already_there"] == 3
    assert run("export", str(out)).stdout == f"{out}: {len(LINES)} bytes of jsonl\n"
    assert out.read_text() == LINES
    assert run("export", str(out), "--as-of", "1", "--force").exit_code == 0 and out.read_text() == ""
    for words, what in (
        (["export", str(out)], "There is a file"),
        (["export", str(tmp_path / "x.json")], "--format"),
        (["export", str(tmp_path / "x.jsonl"), "--valid-at", "soon"], "is no time"),
        (["export", str(tmp_path / "x.jsonl"), "--as-of", "0"], "numbered from 1"),
        (["import", str(tmp_path / "none.jsonl")], "cannot be read"),
    ):
        done = run(*words)
        assert done.exit_code == 1 and what in done.stderr and "Traceback" not in done.stderr
    odd = tmp_path / os.fsdecode(b"odd \xff.jsonl")
    odd.write_text(LINES.replace("Ada", "Bob"))
    assert run("import", str(odd)).exit_code == 0
    memory.write_text(LINES + "\nbroken")
    assert "not taken: line 3: it is no JSON" in run("import", str(memory)).stdout


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_gives_a_text_and_reads_a_format(mode: Any, tmp_path: Path) -> None:
    async with Client(pipes(tmp_path, world="graph"), mode=mode) as client:
        done = await client.call_tool("import_graph", {"text": LINES, "source": "a chat"})
        assert done.structured_content is not None and not done.is_error
        assert done.structured_content["result"]["told"] == {"entity": 1, "observation": 1, "relation": 1}
        (contents,) = (await client.read_resource("graph://export/jsonl")).contents
        assert isinstance(contents, t.TextResourceContents) and contents.text == LINES
        wrong = await client.call_tool("import_graph", {"text": LINES, "format": "graphml"})
        assert wrong.is_error and wrong.structured_content is not None
        assert wrong.structured_content["messages"][0]["code"] == "unreadable_file"
        with pytest.raises(MCPError):
            await client.read_resource("graph://export/klingon")


def test_what_does_not_fit_into_an_answer_is_refused(dispatcher_of: Callable[..., Dispatcher]) -> None:
    graph = dispatcher_of(Telling, limits=Limits(result=1_000))
    call(graph, "tell", facts=[entity(f"entity {number}", "t") for number in range(30)])
    with pytest.raises(Refused, match="more than 1,000 bytes") as refused:
        graph.look(LOCAL, "graph", None, lambda world: answered(View(world), Format.JSONL))
    assert "turnkeeper graph export" in (refused.value.hint or "")
