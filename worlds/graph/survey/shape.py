"""The shape of a graph as it is read: which entities of which types there are, and what leads where, in numbers."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import col, func, select

from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View

PAGE = 5_000
"""Facts that are read at once."""
SECONDS = 1.5
"""Within which a graph is read: what comes of it takes twice as long, and an action has five."""
Edge = tuple[int, str, int]
"""A relation: from where, of which type, to where."""


@dataclass(frozen=True)
class Shape:
    """Entities by number with their types, and the relations between names, each once, in the order they were told."""

    types: dict[int, str]
    relations: Sequence[Edge]
    whole: bool = True
    """Whether all was read."""

    @cached_property
    def numbers(self) -> list[int]:
        """All that is an entity or stands in a relation, entities first."""
        ends = (end for source, _, target in self.relations for end in (source, target))
        return list(dict.fromkeys((*self.types, *ends)))

    @cached_property
    def place(self) -> dict[int, int]:
        """Where each of these numbers stands among them."""
        return {number: place for place, number in enumerate(self.numbers)}

    @cached_property
    def neighbours(self) -> list[list[int]]:
        """By place, the places of what it is related to, whichever way; nothing is its own neighbour."""
        found: list[dict[int, None]] = [{} for _ in self.numbers]
        place = self.place
        for source, _, target in self.relations:
            if source != target:
                one, other = place[source], place[target]
                found[one][other] = found[other][one] = None
        return [list(places) for places in found]

    @property
    def dangling(self) -> list[int]:
        """What stands in relations and is no entity."""
        return self.numbers[len(self.types) :]


def shape_of(view: View) -> Shape:
    """The whole graph, names that are aliases read as what they stand for; what was told first, if time is short."""
    until = time.monotonic() + SECONDS
    entities, whole = _read(view, Kind.ENTITY, (Fact.id, Fact.node, Fact.type), until)
    relations, all_read = _read(view, Kind.RELATION, (Fact.id, Fact.node, Fact.type, Fact.target), until)
    stands = {number: name.node for number, name in view.aliases.items()}
    own = {number: type for number, type in reversed(entities) if number not in stands}
    merged = {stands[number]: type for number, type in reversed(entities) if number in stands}
    types = {stands.get(number, number): "" for number, _ in entities}
    if stands:
        relations = [(stands.get(source, source), type, stands.get(to, to)) for source, type, to in relations]
    kept = {number: own.get(number, merged.get(number, "")) for number in types}
    return Shape(kept, list(dict.fromkeys(relations)), whole and all_read)


def _read(view: View, kind: Kind, columns: tuple[Any, ...], until: float) -> tuple[list[Any], bool]:
    """Facts of a kind without their ids, in the order they were told, and whether these are all there are.

    They are read so many at a time that the collector of garbage is not called to look at them all.
    """
    found: list[Any] = []
    last, types = -1, dict[str, str]()
    wanted = select(*columns).where(*view.conditions(), col(Fact.kind) == kind.value).order_by(col(Fact.id)).limit(PAGE)
    while page := view.graph.select(wanted.where(col(Fact.id) > last)):  # in the order of the key: no page is sorted
        found += [(row[1], types.setdefault(row[2], row[2]), *row[3:]) for row in page]
        last = page[-1][0]
        if len(page) < PAGE:
            break
        if time.monotonic() > until:
            return found, False
    return found, True


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
