"""The shape of a graph as it is read: which entities of which types there are, and what leads where, in numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sqlmodel import col, func, select

from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View

Edge = tuple[int, str, int]
"""A relation: from where, of which type, to where."""


@dataclass(frozen=True)
class Shape:
    """Entities by number with their types, and the relations between names, each once, in the order they were told."""

    types: dict[int, str]
    relations: Sequence[Edge]

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
    """The whole graph, names that are aliases read as what they stand for."""
    entities = view.select(Fact.node, Fact.type, where=(col(Fact.kind) == Kind.ENTITY.value,))
    relations = view.select(Fact.node, Fact.type, Fact.target, where=(col(Fact.kind) == Kind.RELATION.value,))
    stands = {number: name.node for number, name in view.aliases.items()}
    own = {number: type for number, type in reversed(entities) if number not in stands}
    merged = {stands[number]: type for number, type in reversed(entities) if number in stands}
    types = {stands.get(number, number): "" for number, _ in entities}
    edges: Iterable[Edge] = ((source, type, target) for source, type, target in relations)
    if stands:
        edges = ((stands.get(source, source), type, stands.get(target, target)) for source, type, target in relations)
    return Shape({number: own.get(number, merged.get(number, "")) for number in types}, list(dict.fromkeys(edges)))


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
