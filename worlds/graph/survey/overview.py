"""What a graph looks like as a whole: how much there is of what, and what stands out."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from heapq import nlargest

from sqlmodel import col, func, select

from worlds.graph.facts import Fact, Import, Kind
from worlds.graph.naming import brief
from worlds.graph.recalled import NEVER, recalled, size_of
from worlds.graph.survey import structure
from worlds.graph.survey.shape import PAGE, SHARE, Shape, names_of, shape_of
from worlds.graph.survey.summary import (
    Bridge,
    Communities,
    Community,
    Holding,
    Hub,
    Hubs,
    Joint,
    Names,
    Overview,
    Pattern,
    TypeCount,
    Types,
)
from worlds.graph.view import View

TYPES = 50
"""Types, and kinds of relation between types, that an overview names."""
LONGEST = 500
"""Characters of a name or type that an overview gives."""


def overview(view: View, top: int, seconds: float | None = None, page: int = PAGE) -> Overview:
    """The graph as a whole, with so many of each thing that stands out, read within a time, so much at once."""
    return recalled(view, lambda: _overview(view, top, seconds, page), "overview", top, size=_size)


def _size(found: Overview) -> int:
    """The bytes that an overview takes; one of part of a graph is not to be remembered."""
    return size_of(found) if found.exact else NEVER


def _overview(view: View, top: int, seconds: float | None, page: int) -> Overview:
    began, within = time.monotonic(), SHARE * view.graph.limits.seconds if seconds is None else seconds
    counts = _counts(view)
    shape = shape_of(view, within - (time.monotonic() - began), page)
    neighbours = shape.neighbours
    hasty = 1 if shape.whole else structure.HASTY
    found = (
        structure.ranks(neighbours, structure.STEPS // hasty),
        structure.communities(neighbours, structure.PAIRS // hasty),
        structure.held(neighbours, structure.HELD // hasty),
    )
    told = _Told(view, shape, found, top)
    parts = structure.parts(neighbours)
    return Overview(
        revision=view.graph.revision if view.as_of is None else view.as_of,
        exact=shape.whole,
        how=_how(shape, counts),
        entities=len(shape.types) if shape.whole else counts[Kind.ENTITY.value],
        observations=counts[Kind.OBSERVATION.value],
        relations=len(shape.sources) if shape.whole else counts[Kind.RELATION.value],
        facts=sum(counts.values()),
        imports=view.graph.rows(Import).at(view.as_of).count(),
        types=_types(shape),
        components=len(parts),
        largest_component=max(map(len, parts), default=0),
        hubs=told.hubs(),
        communities=told.communities(),
        holding=told.holding(),
        orphans=told.names(told.orphans),
        dangling=told.names(shape.dangling),
    )


def _how(shape: Shape, counts: Counter[str]) -> str:
    if shape.whole:
        return "the whole graph was read"
    read, all_told = len(shape.sources), counts[Kind.RELATION.value]
    return f"time was short, so types and all below are of what was told first: {read:,} of {all_told:,} relations"


class _Told:
    """What was found, in names, of which only those are read that are told."""

    def __init__(
        self,
        view: View,
        shape: Shape,
        found: tuple[structure.Ranks, structure.Communities, structure.Held],
        top: int,
    ) -> None:
        self.shape, self.top = shape, top
        self.ranks, self.found, self.held = found
        scores = self.ranks.scores
        self.foremost = nlargest(top, range(len(scores)), key=scores.__getitem__)
        self.groups = [nlargest(len(group), group, key=scores.__getitem__) for group in self.found.groups[:top]]
        self.orphans = [shape.numbers[place] for place in range(len(shape.types)) if not shape.neighbours[place]]
        places = {*self.foremost, *(place for group in self.groups for place in group[:top])}
        places |= {end for one, other, _ in self.held.bridges[:top] for end in (one, other)}
        places |= {place for place, _ in self.held.joints[:top]}
        wanted = [shape.numbers[place] for place in sorted(places)] + [*self.orphans[:top], *shape.dangling[:top]]
        self.called = {number: cut(name) for number, name in names_of(view, wanted).items()}

    def name(self, place: int) -> str:
        return self.called[self.shape.numbers[place]]

    def names(self, numbers: Sequence[int]) -> Names:
        return Names(count=len(numbers), names=[self.called[number] for number in numbers[: self.top]])

    def hubs(self) -> Hubs:
        """The foremost of those that have neighbours, with their scores."""
        ranks, types, numbers = self.ranks, self.shape.types, self.shape.numbers
        how = "PageRank" if ranks.exact else f"PageRank, stopped after {ranks.rounds} rounds: scores are approximate"
        hubs = [
            Hub(
                name=self.name(place),
                type=None if numbers[place] not in types else cut(types[numbers[place]]),
                score=round(ranks.scores[place], 6),
                neighbours=len(self.shape.neighbours[place]),
            )
            for place in self.foremost
            if self.shape.neighbours[place]
        ]
        return Hubs(exact=ranks.exact, how=how, entities=hubs)

    def communities(self) -> Communities:
        """The largest, each with the foremost of its members."""
        found, numbers = self.found, self.shape.numbers
        of = sum(bool(to) for to in self.shape.neighbours)
        sample = f"Louvain, on a sample: {found.looked_at:,} of {of:,} related entities, around a few that were drawn"
        largest = [
            Community(
                size=len(group),
                foremost=[self.name(place) for place in group[: min(5, self.top)]],
                types=_most(Counter(self.shape.types.get(numbers[place], "") for place in group), 3),
            )
            for group in self.groups
        ]
        how = "Louvain" if found.exact else sample
        return Communities(exact=found.exact, how=how, count=len(found.groups), largest=largest)

    def holding(self) -> Holding:
        """Bridges with the relations they consist of, and joints."""
        held = self.held
        shown = [(one, other) for one, other, _ in held.bridges[: self.top]]
        types = self._relating(shown)
        partly = f"in part: the largest component, of {held.skipped:,} entities, was not looked into"
        return Holding(
            exact=held.exact,
            how="all components" if held.exact else partly,
            bridge_count=len(held.bridges),
            bridges=[
                Bridge(one=self.name(one), other=self.name(other), relation_types=types[one, other], cut_off=weight)
                for one, other, weight in held.bridges[: self.top]
            ],
            joint_count=len(held.joints),
            joints=[Joint(name=self.name(place), parts=count) for place, count in held.joints[: self.top]],
        )

    def _relating(self, pairs: Iterable[tuple[int, int]]) -> Mapping[tuple[int, int], list[str]]:
        """The types of the relations between places, whichever way."""
        found: dict[tuple[int, int], set[str]] = {pair: set() for pair in pairs}
        ends, shape = {end for pair in found for end in pair}, self.shape
        for source, kind, target in zip(shape.sources, shape.kinds, shape.targets, strict=True) if found else ():
            if source in ends and target in ends:
                for pair in found.keys() & {(source, target), (target, source)}:
                    found[pair].add(cut(shape.types_told[kind]))
        return {pair: sorted(types) for pair, types in found.items()}


def _counts(view: View) -> Counter[str]:
    """How many facts of each kind there are."""
    counted = select(Fact.kind, func.count()).where(*view.conditions()).group_by(col(Fact.kind))
    return Counter({kind: count for kind, count in view.graph.select(counted)})


def _types(shape: Shape) -> Types:
    told, of = shape.types_told, [*shape.types.values(), *(None for _ in shape.dangling)].__getitem__
    entities = Counter(shape.types.values())
    relations = Counter({told[kind]: count for kind, count in Counter(shape.kinds).items()})
    counted = Counter(zip(map(of, shape.sources), shape.kinds, map(of, shape.targets), strict=True))
    patterns = {(source, told[kind], target): count for (source, kind, target), count in counted.items()}
    ordered = sorted(patterns.items(), key=lambda item: (-item[1], tuple(part or "" for part in item[0])))[:TYPES]
    return Types(
        entities=_most(entities, TYPES),
        relations=_most(relations, TYPES),
        patterns=[
            Pattern(
                source_type=None if source is None else cut(source),
                relation_type=cut(type),
                target_type=None if target is None else cut(target),
                count=count,
            )
            for (source, type, target), count in ordered
        ],
        left_out=sum(max(len(found) - TYPES, 0) for found in (entities, relations, patterns)),
    )


def _most(counted: Counter[str], most: int) -> list[TypeCount]:
    ordered = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [TypeCount(type=cut(type), count=count) for type, count in ordered[:most]]


def cut(text: str) -> str:
    """A text, of which the end is left out where it is very long."""
    return brief(text, LONGEST)
