"""The graph beside the memory server itself: the same calls, the same answers, letter by letter."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.operations import Call
from engine.types import LOCAL
from tests.worlds.graph.memory_server import MemoryServer, memory_server
from tests.worlds.graph.sequences import ARGUMENTS, calls
from worlds.graph import Graph

TOLD = json.loads(Path(__file__).with_name("memory_tools.json").read_text())
WRONG: tuple[dict[str, Any], ...] = (
    {},
    {"entities": None, "relations": True, "observations": "x", "entityNames": 3, "deletions": {}, "query": []},
    {name: [1, {"name": [], "from": None, "contents": [None], "observations": ["x", 2.5]}] for name in (
        "entities", "relations", "observations", "entityNames", "deletions", "query", "names")},
)  # fmt: skip


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryServer]:
    """The memory server."""
    with memory_server(tmp_path_factory.mktemp("memory")) as server:
        yield server


@pytest.fixture
def dispatcher(dispatcher_of: Callable[..., Dispatcher]) -> Dispatcher:
    """A dispatcher of the graph."""
    return dispatcher_of(Graph)


def ours(dispatcher: Dispatcher, session: str, tool: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    """The text and the structured content of a tool's answer; of a refusal, its text."""
    call = Call(principal=LOCAL, world="graph", action=tool, arguments=arguments, session=session)
    reads = Graph.definition.actions[tool].read_only
    try:
        outcome = dispatcher.read(call) if reads else dispatcher.dispatch(call)
    except EngineError as error:
        return error.reason, None
    (block,) = outcome.content
    return str(block["text"]), outcome.value


def theirs(original: MemoryServer, tool: str, arguments: dict[str, Any]) -> tuple[str, Any]:
    result = original.call(tool, arguments)
    (block,) = result["content"]
    return block["text"], result.get("structuredContent")


def test_what_is_kept_of_its_tools_is_what_it_says(original: MemoryServer) -> None:
    tools = original.ask("tools/list")["result"]["tools"]
    assert [{key: value for key, value in tool.items() if key != "execution"} for tool in tools] == TOLD


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_sequence_of_calls_is_answered_alike(
    dispatcher: Dispatcher, original: MemoryServer, data: st.DataObject
) -> None:
    session = dispatcher.start(LOCAL, "graph").session
    original.forget()
    for tool, arguments in [*data.draw(calls), ("read_graph", {})]:
        assert ours(dispatcher, session, tool, arguments) == theirs(original, tool, arguments), (tool, arguments)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_arguments_that_do_not_fit_are_refused_alike(dispatcher: Dispatcher, original: MemoryServer) -> None:
    session = dispatcher.start(LOCAL, "graph").session
    original.forget()
    for tool in ARGUMENTS:
        for arguments in WRONG:
            assert ours(dispatcher, session, tool, arguments) == theirs(original, tool, arguments), (tool, arguments)
