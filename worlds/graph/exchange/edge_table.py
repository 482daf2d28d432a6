"""Edges as CSV: a relation on each line, with the types of both ends."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from worlds.graph.exchange.elements import (
    LONGEST,
    UNTYPED,
    Edge,
    Found,
    Node,
    Problem,
    dumped,
    edge_facts,
    entity_facts,
    shown,
    unreadable,
)
from worlds.graph.exchange.jsonl import lines

COLUMNS = (
    "source",
    "type",
    "target",
    "weight",
    "valid_from",
    "valid_to",
    "provenance",
    "attributes",
    "source_type",
    "target_type",
)
_ALSO = {
    "from": "source",
    "subject": "source",
    "to": "target",
    "object": "target",
    "relation": "type",
    "relationtype": "type",
    "relation_type": "type",
    "predicate": "type",
    "label": "type",
}


def read(stream: BinaryIO) -> Iterator[Found]:
    """The relations of a table whose first line names its columns: source and target at least.

    The entities at their ends are told, too: of the types in source_type and target_type, and where these are empty,
    not; without such columns, as nodes. Raises Refused for a table without those columns.
    """
    csv.field_size_limit(LONGEST)
    problems: list[Problem] = []
    at = [0]
    text = _text(stream, problems, at)
    header = next(text, "")
    table = csv.reader(text, delimiter=max(",;\t", key=header.count), strict=True)
    names = _header(header, table.dialect.delimiter)
    while True:
        first = at[0] + 1
        try:
            row = next(table)
        except StopIteration:
            break
        except csv.Error as wrong:
            if "end of data" in str(wrong):
                raise unreadable("CSV of edges", first, "a quote is opened here, and nothing closes it") from None
            yield Problem(first, f"it is no row of a table: {wrong}")
            continue
        finally:
            yield from problems
            problems.clear()
        if row:
            yield from _taken(at[0], names, row)


def write(nodes: Iterable[Node], edges: Iterable[Edge]) -> Iterator[str]:
    """Each relation as a row. Observations, and entities without relations, have no place in it."""
    yield _row(COLUMNS)
    for edge in edges:
        more = shown(edge.more)
        if "attributes" in more:
            more["attributes"] = dumped(more["attributes"])
        ends = {"source_type": edge.source_type, "target_type": edge.target_type}
        values: dict[str, Any] = {"source": edge.source, "type": edge.type, "target": edge.target, **more, **ends}
        yield _row(["" if values.get(name) is None else values[name] for name in COLUMNS])


def _text(stream: BinaryIO, problems: list[Problem], at: list[int]) -> Iterator[str]:
    """The lines that are text; `at` is told the number of each."""
    for number, line in enumerate(lines(stream), 1):
        if isinstance(line, Problem):
            problems.append(Problem(number, line.what))
        else:
            at[0] = number
            yield line


def _header(line: str, delimiter: str) -> list[str]:
    found = [name.strip().casefold() for name in next(csv.reader([line.strip()], delimiter=delimiter), [])]
    names = [_ALSO.get(name, name) for name in found]
    if not {"source", "target"} <= set(names):
        raise unreadable("CSV of edges", 1, "its first line has to name columns, source and target among them")
    return names


def _taken(line: int, names: list[str], row: list[str]) -> Iterator[Found]:
    if len(row) != len(names):
        yield Problem(line, f"it has {len(row)} values, where the first line names {len(names)} columns")
        return
    values: dict[str, Any] = {name: value for name, value in zip(names, row, strict=True) if name}
    for end in ("source", "target"):
        if type := _type_of(values, f"{end}_type"):
            yield from entity_facts(line, values[end], type)
    yield from edge_facts(line, values["source"], values["target"], _filled(values))


def _type_of(values: dict[str, Any], column: str) -> str:
    return str(values.pop(column)) if column in values else UNTYPED


def _filled(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value != "" or name == "type"}


def _row(values: Iterable[Any]) -> str:
    made = io.StringIO(newline="")
    csv.writer(made).writerow(values)
    return made.getvalue()
