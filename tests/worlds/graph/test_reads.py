"""Every read of a graph, at both times: as it was told, also before what was undone, and as it held."""

import re
from typing import Any

from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.mcp_adapter.catalog import Catalog, Endpoint
from engine.mcp_adapter.views import read
from engine.types import LOCAL
from tests.worlds.graph.telling import Make, call, value
from worlds.graph import Graph

OLD, NEW = "2015", "2022-05-03T12:00:00+02:00"
TOOLS: dict[str, dict[str, Any]] = {
    "search": {"query": "tall OR grey", "detail": "full"},
    "neighbours": {"name": "Ann", "depth": 2},
    "paths": {"source": "Ann", "target": "Anne"},
    "subgraph": {"names": ["Ann"], "format": "csv"},
    "overview": {},
    "entity_history": {"name": "Ann"},
    "duplicates": {"threshold": 0.5},
}
RESOURCES = ("export/jsonl", "export/graphml", "picture", "picture/Ann")
FIRST = [
    *({"kind": "entity", "name": name, "type": "person"} for name in ("Ann", "Anne", "Cid")),
    {"kind": "observation", "name": "Ann", "text": "tall", "valid_from": "2010", "valid_to": "2020"},
    {"kind": "relation", "from": "Ann", "type": "lives in", "to": "Paris", "valid_from": "2010"},
    {"kind": "relation", "from": "Ann", "type": "knows", "to": "Cid", "valid_from": "2010"},
    {"kind": "relation", "from": "Cid", "type": "knows", "to": "Anne", "valid_to": "2019"},
]
SECOND = [
    {"kind": "observation", "name": "Ann", "text": "grey", "valid_from": "2014"},
    {"kind": "relation", "from": "Ann", "type": "lives in", "to": "Rome", "valid_from": "2020"},
    {"kind": "relation", "from": "Ann", "type": "knows", "to": "Anne", "valid_from": "2014", "valid_to": "2021"},
    {"kind": "relation", "from": "Anne", "type": "lives in", "to": "Rome", "valid_from": "2020"},
]


def plain(found: Any) -> Any:
    """An answer without the revision that it names."""
    if isinstance(found, str):
        return re.sub(r"at revision \d+", "", found)
    if isinstance(found, dict):
        return {name: plain(one) for name, one in found.items() if name not in ("revision", "next")}
    return [plain(one) for one in found] if isinstance(found, list) else found


def answers(graph: Dispatcher, as_of: int | str | None, valid_at: str) -> dict[str, Any]:
    """What every read says, or why it does not."""
    found = {}
    for tool, arguments in TOOLS.items():
        try:
            found[tool] = plain(value(graph, tool, **arguments, as_of=as_of, valid_at=valid_at))
        except Refused as refused:
            found[tool] = refused.reason
    catalog = Catalog(graph.registry, Endpoint("graph"))
    held = f"graph://at/{as_of or 'now'}/held/{valid_at.replace('+', '%2B')}"
    for name in RESOURCES:
        found[name] = plain(read(graph, LOCAL, catalog.address(f"{held}/{name}"))["text"])
    return found


def test_any_time_is_read_the_same_before_and_after_an_undo_by_every_read(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    tools = Graph.definition.actions.items()
    takes_both = {name for name, tool in tools if {"as_of", "valid_at"} <= set(tool.parameters.model_fields)}
    assert takes_both == TOOLS.keys()
    call(graph, "assert_facts", facts=FIRST, functional=["lives in"])
    before = {(2, at): answers(graph, None, at) for at in (OLD, NEW)}
    call(graph, "assert_facts", facts=SECOND)
    time = graph.store.now().isoformat()
    before |= {(3, at): answers(graph, None, at) for at in (OLD, NEW)}
    call(graph, "undo")
    for (revision, at), found in before.items():
        assert answers(graph, revision, at) == found, (revision, at)
        for name, one in found.items():
            assert one != before[5 - revision, at][name], f"{name} at {at} does not tell what was told when"
    for name in before[2, OLD]:
        assert before[3, OLD][name] != before[3, NEW][name], f"{name} does not tell what held when"
    assert answers(graph, time, NEW) == before[3, NEW]
    now = answers(graph, None, NEW)
    assert now.pop("entity_history") != before[2, NEW]["entity_history"]
    assert all(before[2, NEW][name] == one for name, one in now.items())
    catalog = Catalog(graph.registry, Endpoint("graph"))
    then, now_again = (read(graph, LOCAL, catalog.address(f"graph://at/{at}/export/csv"))["text"] for at in (3, "now"))
    assert "Rome" in str(then) and "Rome" not in str(now_again)
