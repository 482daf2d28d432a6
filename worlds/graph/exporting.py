"""A graph on its way out: its nodes and edges a page at a time, so that no more than that is in memory."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from engine import Refused
from worlds.graph.exchange import Format, writer
from worlds.graph.exchange.elements import Edge, Node, Told
from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View

PAGE = 1_000
ANSWER = 900_000
"""Bytes that one answer takes; what is larger is written by `turnkeeper graph export`."""

_MORE = (Fact.valid_from, Fact.valid_to, Fact.weight, Fact.source, Fact.attributes)
_NAMES = ("valid_from", "valid_to", "weight", "source", "attributes")


def exported(view: View, format: Format) -> Iterator[str]:
    """A graph in a format, piece by piece."""
    return writer(format)(nodes(view), edges(view))


def answered(view: View, format: Format) -> str:
    """A graph in a format as one answer. Raises Refused where it does not fit."""
    pieces, size = [], 0
    for piece in exported(view, format):
        pieces.append(piece)
        size += len(piece.encode())
        if size > ANSWER:
            raise Refused(
                "graph_too_large",
                f"As {format} the graph has more than {ANSWER:,} bytes, which is more than one answer takes.",
                hint="Read a part of it with subgraph, or write it to a file: turnkeeper graph export FILE.",
            )
    return "".join(pieces)


def nodes(view: View) -> Iterator[Node]:
    """The entities, as they were told, with what was observed; then the names that only relations know."""
    for rows in _pages(view, Kind.ENTITY, Fact.node, Fact.subject, Fact.type):
        yield from _entities(view, rows)
    seen: set[int] = set()
    for edge in edges(view):
        for name, type in ((edge.source, edge.source_type), (edge.target, edge.target_type)):
            if type is None and (number := view.named(name).node) not in seen:
                seen.add(number)
                yield Node(name, None)


def edges(view: View) -> Iterator[Edge]:
    """The relations, as they were told; those that are the same by an alias are there once."""
    seen: set[tuple[Any, ...]] = set()
    for rows in _pages(view, Kind.RELATION, Fact.node, Fact.subject, Fact.type, Fact.target, Fact.object):
        ends = [(view.standing_for(row[1], row[2]), view.standing_for(row[4], row[5])) for row in rows]
        types = _types(view, {end.node for pair in ends for end in pair})
        for row, (source, target) in zip(rows, ends, strict=True):
            same = (source.node, row[3], target.node, *row[6:8])
            if len(view.all_names((source.node, target.node))) > 2:
                if same in seen:
                    continue
                seen.add(same)
            told = types.get(source.node), types.get(target.node)
            yield Edge(source.name, row[3], target.name, _more(row[6:]), *told)


def _pages(view: View, kind: Kind, *columns: Any) -> Iterator[Sequence[Any]]:
    """Facts of a kind in the order they were told: id, the columns, and what is known beside."""
    last = 0
    asked: tuple[Any, ...] = (Fact.id, *columns, *_MORE)
    wanted = select(*asked).where(*view.conditions(), col(Fact.kind) == kind.value)
    while rows := view.graph.select(wanted.where(col(Fact.id) > last).order_by(col(Fact.id)).limit(PAGE)):
        yield rows
        last = rows[-1][0]


def _entities(view: View, rows: Sequence[Any]) -> Iterator[Node]:
    names = [view.standing_for(row[1], row[2]) for row in rows]
    first = _first(view, {name.node for name in names})
    observations = _observations(view, {name.node for name in names})
    for row, name in zip(rows, names, strict=True):
        if first[name.node] == row[0]:
            yield Node(name.name, row[3], tuple(observations.get(name.node, {}).values()), _more(row[4:]))
        elif name.node == row[1]:
            yield Node(name.name, row[3], more=_more(row[4:]), again=True)


def _first(view: View, numbers: set[int]) -> dict[int, int]:
    """The id of the fact by which an entity is shown: the first of its own name, else of an alias of it."""
    own: dict[int, int] = {}
    others: dict[int, int] = {}
    for node, id in view.about(Fact.node, Fact.id, nodes=view.all_names(numbers), kind=Kind.ENTITY):
        number = view.standing_for(node, "").node
        known = own if number == node else others
        known[number] = min(id, known.get(number, id))
    return others | own


def _observations(view: View, numbers: set[int]) -> Mapping[int, dict[Any, Told]]:
    """What was observed of entities, in the order it was told; what is said of two aliases alike is there once."""
    found: dict[int, dict[Any, Told]] = {}
    columns = (Fact.id, Fact.node, Fact.object, *_MORE)
    for row in sorted(
        view.about(*columns, nodes=view.all_names(numbers), kind=Kind.OBSERVATION), key=lambda one: one[0]
    ):
        number = view.standing_for(row[1], "").node
        same = row[0] if len(view.all_names((number,))) == 1 else (row[2], *row[3:5])
        found.setdefault(number, {}).setdefault(same, Told(row[2], _more(row[3:])))
    return found


def _types(view: View, numbers: set[int]) -> dict[int, str]:
    """The types of those names that are entities."""
    found: dict[int, str] = {}
    rows = view.about(Fact.node, Fact.type, nodes=view.all_names(numbers), kind=Kind.ENTITY)
    for node, type in sorted(rows, key=lambda row: view.standing_for(row[0], "").node == row[0], reverse=True):
        found.setdefault(view.standing_for(node, "").node, type)
    return found


def _more(values: Sequence[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(_NAMES, values, strict=True) if value is not None}
