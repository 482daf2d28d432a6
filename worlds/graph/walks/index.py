"""A compact index of what leads where in a graph, in memory: for walks that read much of it.

It has all relations that stand at a revision, whenever they held; a walk says when. It never changes: what was told
since makes another one, which has the same arrays and knows beside what ended and what began.
"""

import time
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from sqlmodel import col, select

from engine import World
from worlds.graph.facts import Fact, Import, Kind
from worlds.graph.walks.ways import Step, Ways

MOST = 750_000
"""Relations that are kept in memory; more are read from the database as a walk comes to them."""
CHANGED = 5_000
"""Relations that began or ended since the arrays were made; after more, they are made anew."""
PAGE = 50_000
"""Relations that are read at once."""
SECONDS = 3.0
"""Within which an index is made, or not at all: who asks has an answer to get beside."""
NEVER = 1 << 60
"""The size of what is not to be remembered."""
EACH = 60
"""Bytes that a relation takes, about."""

Told = tuple[int, int, str, int, float | None, str | None, str | None]
COLUMNS: tuple[Any, ...] = (Fact.node, Fact.target, Fact.type, Fact.id, Fact.weight, Fact.valid_from, Fact.valid_to)


@dataclass(frozen=True, slots=True)
class Arrays:
    """Relations, numbered in the order they were told: of names, the places at which these stand in `numbers`.

    Those that leave place `p` are named in `leaving`, from `leaves[p]` on to `leaves[p + 1]`; those that reach it
    likewise in `reaching`. What few relations have, a weight or a time, stands by their numbers.
    """

    places: Mapping[int, int]
    numbers: Sequence[int]
    types: Mapping[str, int]
    sources: Sequence[int]
    targets: Sequence[int]
    kinds: Sequence[int]
    ids: Sequence[int]
    leaves: Sequence[int]
    leaving: Sequence[int]
    reaches: Sequence[int]
    reaching: Sequence[int]
    weights: Mapping[int, float]
    times: Mapping[int, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Index:
    """The relations of a graph: those of its arrays, but for facts that ended, and those that began, by their ends."""

    arrays: Arrays
    parts: Collection[int]
    """The imports that are in it."""
    ended: frozenset[int] = frozenset()
    began: Mapping[int, Told] = field(default_factory=dict)
    leaving: Mapping[int, Sequence[Told]] = field(default_factory=dict)
    reaching: Mapping[int, Sequence[Told]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        return EACH * len(self.arrays.ids) + 150 * len(self.arrays.places) + 500 * (len(self.ended) + len(self.began))

    def steps(self, numbers: Iterable[int], ways: Ways, valid_at: str) -> Iterator[Step]:
        """The steps that lead from these names along relations that hold at a time."""
        arrays = self.arrays
        kinds = None if ways.types is None else {arrays.types.get(type, -1) for type in ways.types}
        odd = bool(self.ended or arrays.times)
        names, kind_of, ids, weight = arrays.numbers, arrays.kinds, arrays.ids, arrays.weights.get
        for number in numbers:
            place = arrays.places.get(number, -1)
            for starts, found, ends in self._sides(ways) if place >= 0 else ():
                for edge in found[starts[place] : starts[place + 1]]:
                    if (kinds is None or kind_of[edge] in kinds) and not (odd and self._not(edge, valid_at)):
                        yield number, names[ends[edge]], ids[edge], weight(edge)
            if self.began:
                yield from self._new_steps(number, ways, valid_at)

    def _sides(self, ways: Ways) -> Sequence[tuple[Sequence[int], Sequence[int], Sequence[int]]]:
        """Where the relations that are to be followed from a place are found, and where they lead."""
        arrays = self.arrays
        out, into = (
            (arrays.leaves, arrays.leaving, arrays.targets),
            (arrays.reaches, arrays.reaching, arrays.sources),
        )
        return ((out,) if ways.along else ()) + ((into,) if ways.against else ())

    def _not(self, edge: int, valid_at: str) -> bool:
        """Whether a relation ended, or does not hold at a time."""
        times = self.arrays.times.get(edge)
        return self.arrays.ids[edge] in self.ended or (times is not None and not _holds(*times, valid_at))

    def _new_steps(self, number: int, ways: Ways, valid_at: str) -> Iterator[Step]:
        along = self.leaving.get(number, ()) if ways.along else ()
        against = self.reaching.get(number, ()) if ways.against else ()
        for fact in (*along, *against):
            if (ways.types is None or fact[2] in ways.types) and _holds(fact[5], fact[6], valid_at):
                yield number, fact[1] if fact[0] == number else fact[0], fact[3], fact[4]

    def with_changes(self, ended: Iterable[int], began: Iterable[Told]) -> "Index | None":
        """The index after relations ended and others began; None if these are too many."""
        gone, new = frozenset(ended), {fact[3]: fact for fact in began}
        # What was taken back and told again, under its old number, is in both: it stands beside the arrays.
        stands = {id: fact for id, fact in self.began.items() if id not in gone} | new
        if len(self.ended | gone) + len(stands) > CHANGED:
            return None
        leaving = _grouped((fact[0], fact) for fact in stands.values())
        reaching = _grouped((fact[1], fact) for fact in stands.values())
        return replace(self, ended=self.ended | gone, began=stands, leaving=leaving, reaching=reaching)


def index_of(graph: World) -> Index | None:
    """The index of the graph as it is now, from memory if it is there; None if the graph is too large for it."""
    return graph.cached(
        "relations",
        lambda: _made(graph),
        size=lambda index: NEVER if index is None else index.size,
        forward=lambda index, revision: None if index is None else _brought(graph, index, revision),
    )


def _made(graph: World) -> Index | None:
    """The index, read a page at a time; None if the graph is too large, or the machine too busy now."""
    until, building, last = time.monotonic() + SECONDS, _Building(), 0
    wanted = select(*COLUMNS).where(col(Fact.kind) == Kind.RELATION.value, *graph.rows(Fact).standing())
    while page := graph.select(wanted.where(col(Fact.id) > last).order_by(col(Fact.id)).limit(PAGE)):
        building.add(page)
        last = page[-1][3]
        if len(building.ids) > MOST or time.monotonic() > until:
            return None
    return Index(building.done(), _parts(graph))


def _brought(graph: World, index: Index, revision: int) -> Index | None:
    """The index with what came to stand and what ceased to after a revision."""
    if index.parts != _parts(graph):
        return None
    since, until = col(Fact.since) > revision, col(Fact.until) > revision
    ended = graph.select(select(Fact.id, Fact.kind).where(until).limit(CHANGED + 1))
    columns: tuple[Any, ...] = (*COLUMNS, Fact.kind)
    began = graph.select(select(*columns).where(since, *graph.rows(Fact).standing()).limit(CHANGED + 1))
    if len(ended) + len(began) > CHANGED:
        return None
    relation = Kind.RELATION.value
    return index.with_changes(
        [id for id, kind in ended if kind == relation], [tuple(fact[:-1]) for fact in began if fact[-1] == relation]
    )


def _parts(graph: World) -> frozenset[int]:
    return frozenset(part.id for part in graph.rows(Import))


class _Building:
    """Arrays on their way."""

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        self.types: dict[str, int] = {}
        self.sources, self.targets, self.kinds, self.ids = array("I"), array("I"), array("I"), array("q")
        self.weights: dict[int, float] = {}
        self.times: dict[int, tuple[str | None, str | None]] = {}

    def add(self, facts: Iterable[Told]) -> None:
        """Take relations in, in the order they were told."""
        places, types = self.places, self.types
        for edge, (source, target, type, id, weight, since, until) in enumerate(facts, len(self.ids)):
            self.sources.append(places.setdefault(source, len(places)))
            self.targets.append(places.setdefault(target, len(places)))
            self.kinds.append(types.setdefault(type, len(types)))
            self.ids.append(id)
            if weight is not None:
                self.weights[edge] = weight
            if since is not None or until is not None:
                self.times[edge] = since, until

    def done(self) -> Arrays:
        """The arrays."""
        leaves, leaving = _by_place(self.sources, len(self.places))
        reaches, reaching = _by_place(self.targets, len(self.places))
        return Arrays(
            places=self.places,
            numbers=array("q", self.places),
            types=self.types,
            sources=self.sources,
            targets=self.targets,
            kinds=self.kinds,
            ids=self.ids,
            leaves=leaves,
            leaving=leaving,
            reaches=reaches,
            reaching=reaching,
            weights=self.weights,
            times=self.times,
        )


def _by_place(column: "array[int]", count: int) -> "tuple[array[int], array[int]]":
    """Relations by the place that a column says they are at: where those of each begin, and which they are."""
    counts = array("I", bytes(4 * count))
    for place in column:
        counts[place] += 1
    starts = array("I", accumulate(counts, initial=0))
    free, found = starts[:], array("I", bytes(4 * len(column)))
    for edge, place in enumerate(column):
        found[free[place]] = edge
        free[place] += 1
    return starts, found


def _grouped(facts: Iterable[tuple[int, Told]]) -> dict[int, list[Told]]:
    found: dict[int, list[Told]] = {}
    for number, fact in facts:
        found.setdefault(number, []).append(fact)
    return found


def _holds(since: str | None, until: str | None, at: str) -> bool:
    return (since is None or since <= at) and (until is None or until > at)
