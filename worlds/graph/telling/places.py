"""Where facts are the same, or in each other's way: by what names stand for, and what there is one of at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col

from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View, chunks

Values = Mapping[str, Any]
"""A fact by its columns."""
Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """The places of facts in a graph where of some types of relations there is one at a time."""

    view: View
    functional: frozenset[str]

    def is_single(self, fact: Values) -> bool:
        """Whether a fact is of what there is one at a time."""
        kind = fact["kind"]
        return bool(kind == Kind.ENTITY or (kind == Kind.RELATION and fact["type"] in self.functional))

    def of(self, fact: Values) -> Place:
        """Where facts are that say the same, or of which there is one at a time."""
        kind, number = Kind(fact["kind"]), self._number(fact, "node")
        if kind is Kind.ENTITY:
            return kind, number
        if kind is Kind.OBSERVATION:
            return kind, number, fact["target"]
        if kind is Kind.RELATION and fact["type"] in self.functional:
            return kind, number, fact["type"]
        return kind, number, fact["type"], self._number(fact, "target")

    def of_entity(self, fact: Values) -> Place:
        """Where the entity is that a fact is about."""
        return Kind.ENTITY, self._number(fact, "node")

    def standing(self, around: Sequence[Values]) -> Iterator[Fact]:
        """The facts that stand where these would, whenever they hold, and the entities that these are about."""
        others = [one for one in around if not self.is_single(one)]
        single = [one for one in around if self.is_single(one) and one["kind"] == Kind.RELATION]
        types = sorted(self.functional)
        yield from self._found([Kind.ENTITY], around)
        yield from self._found([Kind.RELATION], single, col(Fact.type).in_(types))
        for some in chunks(self._names(others, "target")):
            among = (col(Fact.target).in_(some), col(Fact.type).not_in(types))
            yield from self._found([Kind.OBSERVATION, Kind.RELATION], others, *among)

    def _found(self, kinds: Sequence[Kind], around: Sequence[Values], *among: Any) -> Iterator[Fact]:
        for some in chunks(self._names(around, "node")):
            yield from self.view.graph.rows(Fact).where(col(Fact.kind).in_(kinds), col(Fact.node).in_(some), *among)

    def _names(self, around: Sequence[Values], end: str) -> list[int]:
        """The numbers of all names; of a text, its own."""
        return self.view.all_names({self._number(one, end) for one in around})

    def _number(self, fact: Values, end: str) -> int:
        return self.view.standing_for(fact[end], "").node
