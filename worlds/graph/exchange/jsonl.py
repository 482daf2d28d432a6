"""The memory server's own file: JSON on each line, entities first, then relations."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from worlds.graph.exchange.elements import (
    LONGEST,
    Edge,
    Found,
    Node,
    Problem,
    dumped,
    entity_facts,
    parsed,
    quoted,
    relation_facts,
)


def read(stream: BinaryIO) -> Iterator[Found]:
    """The facts of a file, and the lines that are none."""
    for number, line in enumerate(lines(stream), 1):
        if isinstance(line, Problem):
            yield Problem(number, line.what)
        elif line.strip():
            yield from _taken(number, line)


def write(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """A file as the memory server writes it, to the byte; no newline ends it."""
    between = ""
    for line in _lines(nodes, edges):
        yield between + line
        between = "\n"


def lines(stream: BinaryIO) -> Iterator[str | Problem]:
    """The lines of a stream as text; problems, without their line, for what is none."""
    first = True
    while line := stream.readline(LONGEST + 1):
        if len(line) > LONGEST:
            while line and not line.endswith(b"\n"):
                line = stream.readline(LONGEST)
            yield Problem(None, f"the line is longer than {LONGEST:,} bytes")
        else:
            yield _decoded(line.removeprefix(b"\xef\xbb\xbf") if first else line)
        first = False


def _decoded(line: bytes) -> str | Problem:
    try:
        return line.decode()
    except UnicodeDecodeError as wrong:
        return Problem(None, f"it is no UTF-8: byte {wrong.object[wrong.start]:#04x} at position {wrong.start + 1}")


def _taken(number: int, line: str) -> Iterator[Found]:
    try:
        item = parsed(line)
    except ValueError as wrong:
        yield Problem(number, f"{wrong}; the line begins {quoted(line.strip())}")
        return
    kind = item.get("type") if isinstance(item, dict) else None
    if kind == "entity":
        yield from entity_facts(number, item.get("name"), item.get("entityType"), _observations(item))
    elif kind == "relation":
        yield from relation_facts(number, item.get("from"), item.get("relationType"), item.get("to"))
    else:
        yield Problem(number, f"it is neither an entity nor a relation: {quoted(line.strip())}")


def _observations(item: dict[str, Any]) -> list[Any]:
    found = item.get("observations", [])
    return found if isinstance(found, list) else [found]


def _lines(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    for node in nodes:
        if node.type is not None:
            seen = [told.text for told in node.observations]
            yield dumped({"type": "entity", "name": node.name, "entityType": node.type, "observations": seen})
    for edge in edges:
        yield dumped({"type": "relation", "from": edge.source, "to": edge.target, "relationType": edge.type})
