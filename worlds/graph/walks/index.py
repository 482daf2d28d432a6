"""A compact index of what leads where in a graph, in memory: for walks that read much of it.

It has all relations that stand at a revision, whenever they held; a walk says when. It never changes: what was told
since makes another one, which has the same arrays and knows beside what ended and what began.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain

from worlds.graph.walks.ways import Step, Ways

CHANGED = 5_000
"""Relations that began or ended since the arrays were made; after more, they are made anew."""
EACH = 60
"""Bytes that a relation takes, about."""

Told = tuple[int, int, str, int, float | None, str | None, str | None]
"""A relation: from what to what, its type, the fact's id, its weight, since when and until when it held."""


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
class Page:
    """Relations as they were read, by name's numbers; what few have, by their places on the page."""

    sources: Sequence[int]
    targets: Sequence[int]
    types: Sequence[str]
    kinds: Sequence[int]
    ids: Sequence[int]
    weights: Mapping[int, float]
    times: Mapping[int, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Index:
    """The relations of a graph: those of its arrays, but for facts that ended, and those that began, by their ends."""

    arrays: Arrays
    parts: frozenset[int]
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


def arranged(pages: Sequence[Page]) -> Arrays:
    """The arrays of relations that were read in pages, in their order."""
    numbers = array(
        "q", dict.fromkeys(chain.from_iterable(end for page in pages for end in (page.sources, page.targets)))
    )
    places = {number: place for place, number in enumerate(numbers)}
    types: dict[str, int] = {}
    sources, targets, kinds, ids = array("I"), array("I"), array("I"), array("q")
    weights: dict[int, float] = {}
    times: dict[int, tuple[str | None, str | None]] = {}
    for page in pages:
        weights |= {len(ids) + edge: weight for edge, weight in page.weights.items()}
        times |= {len(ids) + edge: held for edge, held in page.times.items()}
        sources.extend(map(places.__getitem__, page.sources))
        targets.extend(map(places.__getitem__, page.targets))
        kind_of = [types.setdefault(type, len(types)) for type in page.types]
        kinds.extend(map(kind_of.__getitem__, page.kinds))
        ids.extend(page.ids)
    leaves, leaving = _by_place(sources, len(places))
    reaches, reaching = _by_place(targets, len(places))
    return Arrays(
        places, numbers, types, sources, targets, kinds, ids, leaves, leaving, reaches, reaching, weights, times
    )


def page_of(facts: Sequence[Told]) -> Page:
    """A page of relations."""
    # Column by column: what is made for each row would be counted by the garbage collector, which costs more.
    types, weights = [fact[2] for fact in facts], [fact[4] for fact in facts]
    held = {edge: (fact[5], fact[6]) for edge, fact in enumerate(facts) if fact[5] is not None or fact[6] is not None}
    known = {type: at for at, type in enumerate(dict.fromkeys(types))}
    return Page(
        sources=array("q", [fact[0] for fact in facts]),
        targets=array("q", [fact[1] for fact in facts]),
        types=tuple(known),
        kinds=array("I", map(known.__getitem__, types)),
        ids=array("q", [fact[3] for fact in facts]),
        weights={edge: weight for edge, weight in enumerate(weights) if weight is not None},
        times=held,
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
