"""Each fact knows by which change it came, from whom, through which program and from which source."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import mcp_types as t
import pytest
from mcp.client import Client
from typer.testing import CliRunner

from engine.cli import app
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.preparing import prepared_call
from engine.types import Principal
from tests.serving import pipes
from tests.worlds.graph.telling import Make
from tests.worlds.graph.test_exchange import Watching
from worlds.graph import Graph

ANN, BEN = Principal("test", "ann"), Principal("test", "ben")
DESK, CHAT, LOADER = (replace(ANN, client="desk 1"), replace(BEN, client="chat 2"), replace(ANN, client="loader 3"))
TABLE = "source,type,target,source_type,provenance\nAnn,likes,tea,person,\nAnn,likes,figs,person,a diary"


def do(graph: Dispatcher, who: Principal, session: str, action: str, **arguments: Any) -> None:
    asked = Call(principal=who, world="graph", action=action, arguments=arguments, session=session)
    if action == "import_graph":
        asked = asyncio.run(prepared_call(graph, asked, Watching()))
    graph.dispatch(asked)


def episodes(history: Any) -> list[tuple[Any, ...]]:
    """What was told, from which source, and of what it came by and ended by: action, person, program."""

    def way(recorded: Any) -> Any:
        return recorded and (recorded["action"], recorded["by"], recorded["client"])

    facts = [(one["fact"], one["told"], one["ended"]) for one in history["episodes"]]
    return [
        (fact["text"] or fact["to"] or fact["type"], fact["source"], way(told), way(ended))
        for fact, told, ended in facts
    ]


def test_a_fact_knows_who_told_it_through_what_and_from_where(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    session = graph.start(ANN, "graph", main=True).session
    graph.main(BEN, "graph")
    do(graph, ANN, session, "share", person=graph.person("ben"), role="editor")
    do(
        graph,
        DESK,
        session,
        "create_entities",
        entities=[{"name": "Ann", "entityType": "person", "observations": ["a"]}],
    )
    do(graph, CHAT, session, "add_observations", observations=[{"entityName": "Ann", "contents": ["b"]}])
    do(graph, ANN, session, "create_relations", relations=[{"from": "Ann", "relationType": "knows", "to": "Bob"}])
    told = {"kind": "observation", "name": "Ann", "text": "c", "source": "a letter"}
    do(graph, CHAT, session, "assert_facts", facts=[told])
    do(graph, LOADER, session, "import_graph", text=TABLE, source="a table")
    do(graph, DESK, session, "undo")
    do(graph, CHAT, session, "redo")
    do(graph, CHAT, session, "delete_observations", deletions=[{"entityName": "Ann", "observations": ["a"]}])
    asked = Call(principal=BEN, world="graph", action="entity_history", arguments={"name": "Ann"}, session=session)
    created, loaded = ("create_entities", "ann", "desk 1"), ("import_graph", "ann", "loader 3")
    undone, redone = ("undo", "ann", "desk 1"), ("redo", "ben", "chat 2")
    assert episodes(graph.read(asked).value) == [
        ("person", None, created, None),
        ("a", None, created, ("delete_observations", "ben", "chat 2")),
        ("b", None, ("add_observations", "ben", "chat 2"), None),
        ("Bob", None, ("create_relations", "ann", None), None),
        ("c", "a letter", ("assert_facts", "ben", "chat 2"), None),
        ("tea", "a table", loaded, undone),
        ("figs", "a diary", loaded, undone),
        ("tea", "a table", redone, None),
        ("figs", "a diary", redone, None),
    ]


@pytest.fixture
def anyio_backend() -> str:
    """The loop that the server uses, too."""
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_a_client_calls_itself_is_told_of_its_facts_and_a_terminal_is_one(mode: Any, tmp_path: Path) -> None:
    file = tmp_path / "memory.jsonl"
    file.write_text('{"type":"entity","name":"Ann","entityType":"person","observations":["a"]}')
    names = [name for name in os.environ if name.startswith("TURNKEEPER_")]
    env = {**dict.fromkeys(names), "TURNKEEPER_DATA_DIR": str(tmp_path)}
    words = ["graph", "import", str(file), "--source", "an old memory"]
    ran = await asyncio.to_thread(CliRunner(env=env).invoke, app, words, prog_name="turnkeeper")
    assert ran.exit_code == 0, ran.output
    inspector = t.Implementation(name="inspector", version="2.1")
    async with Client(pipes(tmp_path, world="graph"), mode=mode, client_info=inspector) as client:
        await client.call_tool("add_observations", {"observations": [{"entityName": "Ann", "contents": ["b"]}]})
        await client.call_tool("import_graph", {"text": TABLE, "source": "a chat"})
        await client.call_tool("undo", {})
        history = (await client.call_tool("entity_history", {"name": "Ann"})).structured_content
    assert history is not None
    found = [
        (what, source, told[0], told[2], ended and ended[2])
        for what, source, told, ended in episodes(history["result"])
    ]
    assert found == [
        ("person", "an old memory", "import_graph", "terminal", None),
        ("a", "an old memory", "import_graph", "terminal", None),
        ("b", None, "add_observations", "inspector 2.1", None),
        ("tea", "a chat", "import_graph", "inspector 2.1", "inspector 2.1"),
        ("figs", "a diary", "import_graph", "inspector 2.1", "inspector 2.1"),
    ]
