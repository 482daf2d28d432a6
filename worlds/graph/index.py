"""A compact index of what leads where in a graph, in memory: for walks that read much of it.

It has all relations that stand at a revision, whenever they held; a walk says when. It never changes: what was told
since makes another one, which has the same arrays and knows beside what ended and what began.
"""

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from sqlmodel import col, func, select

from engine import World
from worlds.graph.facts import Fact, Import, Kind
from worlds.graph.ways import Step, Ways

MOST = 750_000
"""Relations that are kept in memory; more are read from the database as a walk comes to them."""
CHANGED = 5_000
"""Relations that began or ended since the arrays were made; after more, they are made anew."""
EACH = 60
"""Bytes that a relation takes, about."""

Told = tuple[int, int, str, int, float | None, str | None, str | None]
COLUMNS = (Fact.node, Fact.target, Fact.type, Fact.id, Fact.weight, Fact.valid_from, Fact.valid_to)


@dataclass(frozen=True, slots=True)
class Arrays:
    """Relations by their source: of names, the places at which these stand in `numbers`; of types, those in `types`.

    Those that leave place `p` are numbered from `leaving[p]` on to `leaving[p + 1]`; those that reach it are named in
    `reaching`, from `into[p]` on. What few relations have, a weight or a time, stands by their numbers.
    """

    places: Mapping[int, int]
    numbers: Sequence[int]
    types: Mapping[str, int]
    sources: Sequence[int]
    targets: Sequence[int]
    kinds: Sequence[int]
    ids: Sequence[int]
    leaving: Sequence[int]
    into: Sequence[int]
    reaching: Sequence[int]
    weights: Mapping[int, float]
    times: Mapping[int, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Index:
    """The relations of a graph: those of its arrays but for what ended, by fact, and those that began, by their ends."""

    arrays: Arrays
    parts: Collection[int]
    """The imports that are in it."""
    ended: frozenset[int] = frozenset()
    began: Mapping[int, Told] = field(default_factory=dict)
    leaving: Mapping[int, tuple[Told, ...]] = field(default_factory=dict)
    reaching: Mapping[int, tuple[Told, ...]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """The bytes that it takes, about."""
        return EACH * len(self.arrays.ids) + 150 * len(self.arrays.places) + 500 * (len(self.ended) + len(self.began))

    def steps(self, numbers: Iterable[int], ways: Ways, valid_at: str) -> Iterator[Step]:
        """The steps that lead from these names along relations that hold at a time."""
        arrays, ended = self.arrays, self.ended
        kinds = None if ways.types is None else {arrays.types.get(type, -1) for type in ways.types}
        odd = bool(ended or arrays.times)
        names, kind_of, ids, weight = arrays.numbers, arrays.kinds, arrays.ids, arrays.weights.get
        sources, targets = arrays.sources, arrays.targets
        for number in numbers:
            if (place := arrays.places.get(number)) is not None:
                if ways.along:
                    for edge in range(arrays.leaving[place], arrays.leaving[place + 1]):
                        if (kinds is None or kind_of[edge] in kinds) and not (odd and self._not(edge, valid_at)):
                            yield number, names[targets[edge]], ids[edge], weight(edge)
                if ways.against:
                    for at in range(arrays.into[place], arrays.into[place + 1]):
                        edge = arrays.reaching[at]
                        if (kinds is None or kind_of[edge] in kinds) and not (odd and self._not(edge, valid_at)):
                            yield number, names[sources[edge]], ids[edge], weight(edge)
            if self.began:
                yield from self._new_steps(number, ways, valid_at)

    def _not(self, edge: int, valid_at: str) -> bool:
        """Whether a relation ended, or does not hold at a time."""
        times = self.arrays.times.get(edge)
        return self.arrays.ids[edge] in self.ended or (times is not None and not _holds(*times, valid_at))

    def _new_steps(self, number: int, ways: Ways, valid_at: str) -> Iterator[Step]:
        for wanted, found, end in ((ways.along, self.leaving, 1), (ways.against, self.reaching, 0)):
            for fact in found.get(number, ()) if wanted else ():
                if (ways.types is None or fact[2] in ways.types) and _holds(fact[5], fact[6], valid_at):
                    yield number, int(fact[end]), fact[3], fact[4]

    def with_changes(self, ended: Iterable[int], began: Iterable[Told]) -> "Index | None":
        """The index after relations ended and others began; None if these are too many."""
        gone, new = frozenset(ended), {fact[3]: fact for fact in began}
        # What was taken back and told again, under its old number, is in both: it stands beside the arrays.
        stands = {id: fact for id, fact in self.began.items() if id not in gone} | new
        if len(self.ended | gone) + len(stands) > CHANGED:
            return None
        leaving, reaching = (_by_end(stands.values(), end) for end in (0, 1))
        return replace(self, ended=self.ended | gone, began=stands, leaving=leaving, reaching=reaching)


def index_of(graph: World) -> Index | None:
    """The index of the graph as it is now, from memory if it is there; None if the graph is too large for it."""
    return graph.cached(
        "relations",
        lambda: _made(graph),
        size=lambda index: 0 if index is None else index.size,
        forward=lambda index, revision: None if index is None else _brought(graph, index, revision),
    )


def _made(graph: World) -> Index | None:
    kind = col(Fact.kind) == Kind.RELATION.value
    if graph.select(select(func.count()).select_from(Fact).where(kind))[0][0] > MOST:
        return None
    facts = graph.select(select(*COLUMNS).where(kind, *graph.rows(Fact).standing()))
    return Index(arrays_of(facts), _parts(graph))


def _brought(graph: World, index: Index, revision: int) -> Index | None:
    """The index with what came to stand and what ceased to after a revision."""
    if index.parts != _parts(graph):
        return None
    since, until = col(Fact.since) > revision, col(Fact.until) > revision
    ended = graph.select(select(Fact.id, Fact.kind).where(until).limit(CHANGED + 1))
    began = graph.select(select(*COLUMNS, Fact.kind).where(since, *graph.rows(Fact).standing()).limit(CHANGED + 1))
    if len(ended) + len(began) > CHANGED:
        return None
    relation = Kind.RELATION.value
    return index.with_changes(
        [id for id, kind in ended if kind == relation], [tuple(fact[:-1]) for fact in began if fact[-1] == relation]
    )


def _parts(graph: World) -> frozenset[int]:
    return frozenset(part.id for part in graph.rows(Import))


def arrays_of(facts: Iterable[Told]) -> Arrays:
    """Relations in any order as arrays."""
    places: dict[int, int] = {}
    types: dict[str, int] = {}
    weights, times = {}, {}
    ordered = sorted(facts, key=lambda fact: fact[3])
    sources, targets, kinds, ids = array("I"), array("I"), array("I"), array("q")
    for source, target, type, id, *_ in ordered:
        sources.append(places.setdefault(source, len(places)))
        targets.append(places.setdefault(target, len(places)))
        kinds.append(types.setdefault(type, len(types)))
        ids.append(id)
    by_source = _sorted_by(sources)
    for edge, was in enumerate(by_source):
        weight, *time = ordered[was][4:]
        if weight is not None:
            weights[edge] = weight
        if any(time):
            times[edge] = (time[0], time[1])
    sources, targets, kinds, ids = (
        array(column.typecode, map(column.__getitem__, by_source)) for column in (sources, targets, kinds, ids)
    )
    return Arrays(
        places=places,
        numbers=array("q", places),
        types=types,
        sources=sources,
        targets=targets,
        kinds=kinds,
        ids=ids,
        leaving=_starts(sources, len(places)),
        into=_starts(targets, len(places)),
        reaching=_sorted_by(targets),
        weights=weights,
        times=times,
    )


def _sorted_by(column: "array[int]") -> "array[int]":
    """The numbers of relations by what a column says of them, otherwise as they are."""
    return array("I", sorted(range(len(column)), key=column.__getitem__))


def _starts(column: "array[int]", count: int) -> "array[int]":
    """Where, among what is sorted by a column, each of so many values begins, and where the last one ends."""
    counts = array("I", bytes(4 * (count + 1)))
    for value in column:
        counts[value + 1] += 1
    return array("I", accumulate(counts))


def _by_end(facts: Iterable[Told], end: int) -> dict[int, tuple[Told, ...]]:
    found: dict[int, tuple[Told, ...]] = {}
    for fact in facts:
        number = int(fact[end])  # type: ignore[arg-type]
        found[number] = (*found.get(number, ()), fact)
    return found


def _holds(since: str | None, until: str | None, at: str) -> bool:
    return (since is None or since <= at) and (until is None or until > at)
