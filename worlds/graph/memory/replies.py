"""How the memory server answers: a text of indented JSON, and the same as structured content."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from engine import Refused, Reply, Text, World

Reader = Literal["read_graph", "search_nodes", "open_nodes"]
INSTEAD: dict[Reader, str] = {
    "read_graph": "overview says what there is, search finds entities, and subgraph gives what is around them",
    "search_nodes": "search answers by the page, and subgraph with a query gives what is around what it finds",
    "open_nodes": "open fewer names at once, or see with subgraph how they are related; on a terminal,"
    " `turnkeeper graph export FILE` writes all there is",
}
"""What to do where an answer is too large."""


def text(value: object) -> str:
    """JSON as `JSON.stringify(value, null, 2)` writes it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def reply(told: Sequence[Any], key: str) -> Reply:
    """What was told: the list as text, the list under its key as value."""
    return Reply(Text(text(told)), value={key: told})


def done(what: str) -> Reply:
    """That a deletion was carried out, whether or not there was anything to delete."""
    message = f"{what} deleted successfully"
    return Reply(Text(message), value={"success": True, "message": message})


def shown(graph: World, found: Any, tool: Reader) -> Reply:
    """A part of a graph, as text and as value. Raises Refused if that is more than an answer holds."""
    return Reply(Text(graph_text(graph, found, tool)), value=found)


def graph_text(graph: World, found: Any, tool: Reader) -> str:
    """A part of a graph as text. Raises Refused if that is more than an answer holds."""
    told = text(found)
    if len(json.dumps(told, ensure_ascii=False).encode()) + ROUND > graph.limits.result:
        raise too_large(graph, tool)
    return told


def too_large(graph: World, tool: Reader) -> Refused:
    """That an answer would be larger than any may be, with what to call instead."""
    most = f"The answer of {tool} would be longer than {graph.limits.result:,} bytes, the most that is given"
    return Refused("result_too_large", f"{most}. Instead, {INSTEAD[tool]}.")


ROUND = 64
"""Bytes of an answer around its text."""
