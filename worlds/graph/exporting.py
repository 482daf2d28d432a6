"""A graph on its way out: its nodes and edges a page at a time, so that no more than that is in memory."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlmodel import col, select

from engine import Refused
from worlds.graph.exchange import Format, writer
from worlds.graph.exchange.elements import Edge, Node, Told, dumped
from worlds.graph.facts import Fact, Kind, nth
from worlds.graph.memory.entities import Place
from worlds.graph.naming import types_of
from worlds.graph.view import View, chunks

PAGE = 1_000
LOOSE = (Format.JSONL, Format.TURTLE, Format.NQUADS, Format.JSONLD)
"""Formats in which relations lead to names that stand nowhere else."""
_MORE: tuple[Any, ...] = (Fact.valid_from, Fact.valid_to, Fact.weight, Fact.source, Fact.attributes)
_ENDS: tuple[Any, ...] = (Fact.node, Fact.subject, Fact.type, Fact.target, Fact.object)
_NAMES = ("valid_from", "valid_to", "weight", "source", "attributes")


def exported(view: View, format: Format) -> Iterator[str]:
    """A graph in a format, piece by piece."""
    return writer(format)(nodes(view, loose=format in LOOSE), edges(view))


def answered(view: View, format: Format) -> str:
    """A graph in a format as one answer. Raises Refused where it does not fit."""
    pieces, size, most = [], 0, view.graph.limits.result
    for piece in exported(view, format):
        pieces.append(piece)
        size += len(dumped(piece).encode())
        if size > most:
            raise Refused(
                "graph_too_large",
                f"As {format} the graph has more than {most:,} bytes, which is more than one answer takes.",
                hint="search and subgraph give parts of it; or write it to a file: turnkeeper graph export FILE.",
            )
    return "".join(pieces)


def nodes(view: View, *, loose: bool = False) -> Iterator[Node]:
    """The entities, as they were told, with what was observed; unless `loose`, then the names of relations alone."""
    for rows in _pages(view, Kind.ENTITY, Fact.node, Fact.subject, Fact.type):
        yield from _entities(view, rows)
    if loose:
        return
    seen: set[int] = set()
    for edge in edges(view):
        for name, type in ((edge.source, edge.source_type), (edge.target, edge.target_type)):
            if type is None and (number := view.named(name).node) not in seen:
                seen.add(number)
                yield Node(name, None)


def edges(view: View) -> Iterator[Edge]:
    """The relations, as they were told; those that are the same by an alias are there once."""
    yield from _edges(view, _pages(view, Kind.RELATION, *_ENDS))


def nodes_of(view: View, names: Mapping[int, str]) -> Iterator[Node]:
    """What these numbers and names stand for, as `nodes` gives it."""
    told = view.about(
        Fact.id, Fact.node, Fact.subject, Fact.type, *_MORE, nodes=view.all_names(names), kind=Kind.ENTITY
    )
    rows = sorted(told, key=lambda row: row[0])
    yield from _entities(view, rows)
    there = {view.standing_for(row[1], row[2]).node for row in rows}
    yield from (Node(name, None) for number, name in names.items() if number not in there)


def edges_of(view: View, ids: Sequence[int]) -> Iterator[Edge]:
    """The relations of these facts, as `edges` gives them."""
    pages = (view.select(Fact.id, *_ENDS, *_MORE, where=(col(Fact.id).in_(some),)) for some in chunks(ids))
    yield from _edges(view, pages)


def _edges(view: View, pages: Iterable[Sequence[Any]]) -> Iterator[Edge]:
    first: dict[tuple[Any, ...], tuple[int, int]] = {}
    for rows in pages:
        ends = [(view.standing_for(row[1], row[2]), view.standing_for(row[4], row[5])) for row in rows]
        types = types_of(view, {end.node for pair in ends for end in pair})
        for row, (source, target) in zip(rows, ends, strict=True):
            if len(view.all_names((source.node, target.node))) > 2:
                same, pair = (source.node, row[3], target.node), (row[1], row[4])
                if first.setdefault(same, pair) != pair:
                    continue
            told = types.get(source.node), types.get(target.node)
            yield Edge(source.name, row[3], target.name, _more(row[6:]), *told)


def _pages(view: View, kind: Kind, *columns: Any) -> Iterator[Sequence[Any]]:
    """Facts of a kind in the order they were told: id, the columns, and what is known beside."""
    last = 0
    asked: tuple[Any, ...] = (Fact.id, *columns, *_MORE)
    wanted = select(*asked).where(*view.conditions(), col(Fact.kind) == kind.value)
    while rows := view.graph.select(wanted.where(view.graph.rows(Fact).after(last)).order_by(col(Fact.id)).limit(PAGE)):
        yield rows
        last = rows[-1][0]


def _entities(view: View, rows: Sequence[Any]) -> Iterator[Node]:
    """The entities that are shown at the place of these facts."""
    numbers = {view.standing_for(row[1], row[2]).node for row in rows}
    shown, types = _places(view, numbers)
    observations = _observations(view, numbers, types.keys())
    for row in rows:
        if (place := shown.get(row[0])) is not None:
            name = view.standing_for(row[1], row[2])
            told = tuple(observations.get(place, ()))
            yield Node(name.name, types[place], told, _more(row[4:]), again=place[1] != nth(1))


def _places(view: View, numbers: Collection[int]) -> tuple[dict[int, Place], dict[Place, str]]:
    """Which facts show an entity: the first of each, of whichever of its names; and its type, by its own name's."""
    shown: dict[int, Place] = {}
    types: dict[Place, str] = {}
    told_of: Counter[int] = Counter()
    columns = (Fact.id, Fact.node, Fact.type)
    for id, number, type in sorted(view.about(*columns, nodes=view.all_names(numbers), kind=Kind.ENTITY)):
        told_of[number] += 1
        place = view.standing_for(number, "").node, nth(told_of[number])
        if place not in types:
            shown[id] = place
        if place not in types or place[0] == number:
            types[place] = type
    return shown, types


def _observations(view: View, numbers: Collection[int], there: Collection[Place]) -> Mapping[Place, list[Told]]:
    """What was observed of entities, in the order it was told; what is said of two aliases alike is there once."""
    found: dict[Place, list[Told]] = {}
    first: dict[Any, int] = {}
    columns = (Fact.id, Fact.node, Fact.type, Fact.object, *_MORE)
    rows = view.about(*columns, nodes=view.all_names(numbers), kind=Kind.OBSERVATION)
    for _, number, which, text, *more in sorted(rows, key=lambda row: row[0]):
        stands = view.standing_for(number, "").node
        place = (stands, which) if (stands, which) in there else (stands, nth(1))
        if first.setdefault((place, text), number) == number:
            found.setdefault(place, []).append(Told(text, _more(more)))
    return found


def _more(values: Sequence[Any]) -> dict[str, Any]:
    return {name: value for name, value in zip(_NAMES, values, strict=True) if value is not None}
