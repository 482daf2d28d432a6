"""A graph as it was recorded at a revision and as it held at a time: what every read goes through."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import col, select

from engine import World
from worlds.graph import kept
from worlds.graph.facts import Fact, Kind, node

CHUNK = 500
"""Numbers that one statement looks for."""


@dataclass(frozen=True, slots=True)
class Name:
    """What a name stands for: the number and the spelling of what it is an alias of, or its own."""

    node: int
    name: str


class View:
    """The facts of one graph. `as_of` is a revision, or None for now; `valid_at` a time as facts have it."""

    def __init__(self, graph: World, *, as_of: int | None = None, valid_at: str | None = None) -> None:
        self.graph = graph
        self.as_of = as_of
        self.valid_at = valid_at or instant(graph.now)

    def conditions(self, of: Any = Fact) -> tuple[Any, ...]:
        """By what a select finds facts, or those of an alias of the class, that were recorded and held then."""
        return self._conditions if of is Fact else self._conditions_of(of)

    @cached_property
    def _conditions(self) -> tuple[Any, ...]:
        """Made once: a walk has several selects, and making these takes longer than a look at an index."""
        return self._conditions_of(Fact)

    def _conditions_of(self, of: Any) -> tuple[Any, ...]:
        return (*self.recorded(of), *kept.held(of, self.valid_at))

    def recorded(self, of: Any = Fact) -> tuple[Any, ...]:
        """By what a select finds facts that were recorded then, whenever they held."""
        return self.graph.rows(Fact).at(self.as_of).standing(None if of is Fact else of)

    def holds(self, since: str | None, until: str | None) -> bool:
        """Whether what held from one time to another did so then."""
        return (since is None or since <= self.valid_at) and (until is None or until > self.valid_at)

    def select(self, *columns: Any, where: Sequence[Any] = (), most: int | None = None) -> Sequence[Any]:
        """Columns of the facts that fit, in the order they were told; the first of them, if there may be so many."""
        found = select(*columns).where(*self.conditions(), *where).order_by(col(Fact.id) + 0)
        return self.graph.select(found.limit(most))

    def about(
        self,
        *columns: Any,
        nodes: Collection[int],
        kind: Kind | Collection[Kind],
        of: Any = Fact.node,
        types: Collection[str] | None = None,
        to: Collection[int] | None = None,
        most: int | None = None,
        ever: bool = False,
    ) -> Iterator[Any]:
        """Columns of the facts of a kind about nodes, in the order they were told: of some types, or `to` some others.

        `of=Fact.target` finds what leads to the nodes instead. `most` is for each few hundred nodes. `ever` are also
        those that held at other times.
        """
        kinds = [kind] if isinstance(kind, Kind) else [*kind]
        wanted = kept.Wanted(
            tuple(one.key for one in columns), of.key, types is not None, to is not None, most is not None, ever
        )
        given = {"kinds": kinds, "types": [*(types or ())], "most": most}
        for some in chunks([*nodes]):
            for others in (None,) if to is None else chunks([*to]):
                yield from self.select_kept(kept.of_wanted(wanted), {**given, "nodes": some, "targets": others})

    def touching(self, *columns: Any, nodes: Collection[int], kinds: Collection[Kind], most: int) -> Sequence[Any]:
        """Columns, the id first, of the first facts of some kinds that are about nodes or lead to them; each once.

        One end after the other: of either end, SQLite would read all facts of these kinds.
        """
        ends = (Fact.node, Fact.target)
        found = {row[0]: row for of in ends for row in self.about(*columns, nodes=nodes, kind=kinds, of=of, most=most)}
        return [found[id] for id in sorted(found)[:most]]

    def select_kept(self, statement: Any, given: Mapping[str, Any]) -> Sequence[Any]:
        """What a statement that is kept finds, of the facts that were recorded then and, if it asks, held then."""
        return self.graph.select(statement, {"then": self.valid_at, **given}, at=self.as_of)

    @cached_property
    def aliases(self) -> Mapping[int, Name]:
        """What names that are aliases stand for, followed to the end."""
        direct = {number: Name(target, name) for _, number, target, name in self._rules(Kind.ALIAS)}
        return {number: _followed(number, direct) for number in direct}

    @cached_property
    def functional(self) -> frozenset[str]:
        """The types of which an entity has one relation at a time."""
        return frozenset(type for type, *_ in self._rules(Kind.FUNCTIONAL))

    def _rules(self, kind: Kind) -> Iterator[Any]:
        """What says how all else is read, as far as it held then: of each fact subject, node, target and object."""
        told = self.graph.cached(("rules", self.as_of), self._told_rules, size=lambda rows: 500 * (1 + len(rows)))
        for of, since, until, *row in told:
            if of == kind.value and self.holds(since, until):
                yield row

    def _told_rules(self) -> Sequence[Any]:
        """All aliases and functional types that were recorded then, whenever they held."""
        return [tuple(row) for row in self.select_kept(kept.of_rules(), {})]

    @cached_property
    def _members(self) -> Mapping[int, tuple[int, ...]]:
        members: dict[int, tuple[int, ...]] = {}
        for number, name in self.aliases.items():
            members[name.node] = (*members.get(name.node, (name.node,)), number)
        return members

    def named(self, name: str) -> Name:
        """What a name stands for."""
        number = node(name)
        return self.aliases.get(number) or Name(number, name)

    def standing_for(self, number: int, name: str) -> Name:
        """What a name stands for whose number is known."""
        return self.aliases.get(number) or Name(number, name)

    def all_names(self, numbers: Iterable[int]) -> list[int]:
        """The numbers of these names and of all their aliases."""
        return [one for number in numbers for one in self._members.get(number, (number,))]


def instant(moment: Any) -> str:
    """A time as facts have it: UTC, ISO 8601 with microseconds, so that texts are in the order of time."""
    return str(moment.isoformat(timespec="microseconds"))


def chunks(things: Sequence[Any], most: int = CHUNK) -> Iterator[Sequence[Any]]:
    """Things, so many at a time as one statement takes."""
    return (things[at : at + most] for at in range(0, len(things), most))


def _followed(number: int, direct: Mapping[int, Name]) -> Name:
    """The end of a chain of aliases; one that comes back to itself ends where it began."""
    seen, found = {number}, direct[number]
    while found.node in direct and found.node not in seen:
        seen.add(found.node)
        found = direct[found.node]
    return found
