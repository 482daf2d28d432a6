"""The shape of a graph as it is read: which entities of which types there are, and what leads where, in numbers."""

import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import col, func, select

from worlds.graph.facts import Fact, Kind
from worlds.graph.recalled import NEVER, recalled
from worlds.graph.view import View

PAGE = 20_000
"""Facts that are read at once."""
SHARE = 0.45
"""Of the time that an action has, in which a graph is read: what comes of it takes about as long."""


@dataclass(frozen=True)
class Shape:
    """Entities by number with their types, and the relations between names, each once, in the order they were told.

    A relation leads from a place in `numbers` (`sources`) to another (`targets`); `kinds` are places in `types_told`.
    """

    types: dict[int, str]
    numbers: Sequence[int]
    """All that is an entity or stands in a relation, entities first."""
    types_told: Sequence[str]
    sources: Sequence[int]
    kinds: Sequence[int]
    targets: Sequence[int]
    whole: bool = True
    """Whether all was read."""

    @cached_property
    def neighbours(self) -> list[list[int]]:
        """By place, the places of what it is related to, whichever way; nothing is its own neighbour."""
        found: list[list[int]] = [[] for _ in self.numbers]
        seen: set[int] = set()
        for one, other in zip(self.sources, self.targets, strict=True):
            pair = one << 32 | other if one < other else other << 32 | one
            if pair not in seen and one != other:
                seen.add(pair)
                found[one].append(other)
                found[other].append(one)
        return found

    @property
    def dangling(self) -> Sequence[int]:
        """What stands in relations and is no entity."""
        return self.numbers[len(self.types) :]

    @property
    def size(self) -> int:
        """The bytes that it takes, about, with its neighbours."""
        return 250 * len(self.numbers) + 50 * len(self.sources)


def shape_of(view: View, seconds: float | None = None, page: int = PAGE) -> Shape:
    """The whole graph, names that are aliases read as what they stand for; what was told first, if time is short.

    A whole one is remembered. Without `seconds`, there is a share of an action's time.
    """
    within = SHARE * view.graph.limits.seconds if seconds is None else seconds
    return recalled(
        view, lambda: _read(view, within, page), "shape", size=lambda shape: shape.size if shape.whole else NEVER
    )


def _read(view: View, seconds: float, page: int) -> Shape:
    until = time.monotonic() + seconds
    entities = _Pages(view, Kind.ENTITY, (Fact.id, Fact.node, Fact.type), until, page)
    relations = _Pages(view, Kind.RELATION, (Fact.id, Fact.node, Fact.type, Fact.target), until, page)
    types = _types(view, entities)
    stands = {number: name.node for number, name in view.aliases.items()}
    places = {number: place for place, number in enumerate(types)}
    told: dict[str, int] = {}
    sources, kinds, targets = array("I"), array("I"), array("I")
    seen: set[int] = set()
    for some in relations:
        for _, source, type, target in some:
            if stands:
                source, target = stands.get(source, source), stands.get(target, target)
            ends = places.setdefault(source, len(places)), places.setdefault(target, len(places))
            kind = told.setdefault(type, len(told))
            relation = (kind << 32 | ends[0]) << 32 | ends[1]
            if relation not in seen:
                seen.add(relation)
                sources.append(ends[0])
                kinds.append(kind)
                targets.append(ends[1])
    whole = entities.all_read and relations.all_read
    return Shape(types, array("q", places), list(told), sources, kinds, targets, whole)


def _types(view: View, entities: "_Pages") -> dict[int, str]:
    """The type of each entity; of one whose names were merged, that of the name it is shown by, if it has one."""
    aliases = view.aliases
    types: dict[int, str] = {}
    own: set[int] = set()
    for some in entities:
        for _, number, type in some:
            if number in aliases:
                types.setdefault(aliases[number].node, type)
            elif not aliases:
                types.setdefault(number, type)
            elif number not in own:
                own.add(number)
                types[number] = type
    return types


class _Pages:
    """Facts of a kind in the order they were told, some at a time; `all_read` says whether these were all.

    What is read is not kept, so that the collector of garbage has little to look at.
    """

    def __init__(self, view: View, kind: Kind, columns: tuple[Any, ...], until: float, page: int) -> None:
        self._graph, self._until, self._page = view.graph, until, page
        told = select(*columns).where(*view.conditions(), col(Fact.kind) == kind.value)
        self._wanted = told.order_by(col(Fact.id)).limit(page)  # in the order of the key: no page is sorted
        self.all_read = False

    def __iter__(self) -> Iterator[Sequence[Any]]:
        last = 0
        while page := self._graph.select(self._wanted.where(self._graph.rows(Fact).after(last))):
            yield page
            last = page[-1][0]
            if len(page) < self._page:
                break
            if time.monotonic() > self._until:
                return
        self.all_read = True


def names_of(view: View, numbers: Sequence[int]) -> dict[int, str]:
    """What these are called, be they entities or only named in relations."""
    found: dict[int, str] = {}
    for column, name in ((Fact.node, Fact.subject), (Fact.target, Fact.object)):
        missing = [number for number in numbers if number not in found]
        for at in range(0, len(missing), 500):
            some = (col(column).in_(missing[at : at + 500]), col(Fact.kind) != Kind.FUNCTIONAL.value)
            asked = select(column, func.min(name)).where(*view.conditions(), *some).group_by(col(column))
            found |= {number: text for number, text in view.graph.select(asked)}
    return found
