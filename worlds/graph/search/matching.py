"""Which entities a query means, and how well each fits: sets of entities, put together as the query says.

Of each term the index gives the facts. Where they are too many, the entities that other terms of the query give are
looked at instead, whether they fit; where no term gives few, the best of many are taken, and `complete` says so.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlmodel import col, func, select

from engine import Phrase, Prefix, Word
from worlds.graph.facts import Fact, Kind
from worlds.graph.search.query import All, Leaf, Other, Query, Related, Some, Typed, leaves
from worlds.graph.view import View, chunks

MOST = 500
"""Facts of one term that are taken from the index."""
RANKED = 5_000
"""Facts of one term of which the best are taken; of more, those that were told first."""
OF_A_NAME = 2.0
"""How much more a name or a type counts than an observation."""
_TYPE = col(Fact.type).concat("")  # so that facts are found by what they are about, not by their type


@dataclass(frozen=True, slots=True)
class Match:
    """An entity that fits, and how well."""

    node: int
    name: str
    type: str
    score: float


@dataclass(frozen=True, slots=True)
class Matches:
    """Entities that fit, and whether they are all that do."""

    entities: Sequence[Match]
    complete: bool


def matches(view: View, tree: Query) -> Matches:
    """The entities that fit a query."""
    return Search(view).matches(tree)


def fits(term: Leaf, words: str) -> bool:
    """Whether the words of a fact have a term."""
    match term:
        case Word(word):
            return f" {word} " in f" {words} "
        case Prefix(start):
            return f" {start}" in f" {words}"
        case Phrase(parts):
            return f" {' '.join(parts)} " in f" {words} "
    return False


class Search:
    """One query of one view; what is asked of the database is asked once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.size = cache(self._size)
        self.hits = cache(self._hits)
        self._begun_with: Collection[Leaf] = ()
        self._words: dict[int, list[str]] = {}

    def matches(self, tree: Query) -> Matches:
        """The entities that fit a query."""
        cover = self._cover(tree)
        self._begun_with = cover or []
        given = [self._everything()] if cover is None else [self.hits(leaf) for leaf in cover]
        complete = all(self.size(leaf) <= MOST for leaf in cover or ()) if cover is not None else len(given[0]) <= MOST
        found = self._fitting(tree, frozenset().union(*given))
        wanted = [self.hits(leaf) for leaf in _wanted(tree) if self._is_taken(leaf, self._begun_with)]
        scores = {node: sum(hits.get(node, 0.0) for hits in wanted) for node in found}
        return Matches([*self._entities(scores)], complete)

    def _is_taken(self, leaf: Leaf, cover: Collection[Leaf]) -> bool:
        """Whether the index was asked for the facts of a term, all of them or the best."""
        return leaf in cover or self.size(leaf) <= MOST

    def _cover(self, tree: Query) -> list[Leaf] | None:
        """Terms of which any entity that fits has one, as few facts as may be; None if that may be any entity."""
        match tree:
            case All(of):
                covers = [cover for cover in map(self._cover, of) if cover is not None]
                return min(covers, key=lambda cover: sum(map(self.size, cover)), default=None)
            case Some(of):
                parts = [self._cover(part) for part in of]
                return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
            case Other(Other(part)):
                return self._cover(part)
            case Other():
                return None
        return [tree]

    def _fitting(self, tree: Query, among: frozenset[int]) -> frozenset[int]:
        """Those of some entities that fit."""
        match tree:
            case All(of):
                for part in sorted(of, key=self._cost):
                    among = self._fitting(part, among)
                return among
            case Some(of):
                return frozenset().union(*(self._fitting(part, among) for part in of))
            case Other(part):
                return among - self._fitting(part, among)
        if self.size(tree) <= MOST:
            return among & self.hits(tree).keys()
        known = among & self.hits(tree).keys() if tree in self._begun_with else frozenset()
        return known | self._looked_at(tree, among - known)

    def _cost(self, tree: Query) -> int:
        return max(map(self.size, leaves(tree)))

    def _looked_at(self, leaf: Leaf, nodes: frozenset[int]) -> frozenset[int]:
        """Those of some entities that have a term, seen by their facts."""
        match leaf:
            case Typed(type):
                own = (col(Fact.kind) == Kind.ENTITY.value, _TYPE == type)
                return frozenset(self._stand_for(self._of(nodes, Fact.node, where=own)))
            case Related(type):
                own = (col(Fact.kind) == Kind.RELATION.value, _TYPE == type)
                ends = (Fact.node, Fact.target)
                return frozenset(node for end in ends for node in self._stand_for(self._of(nodes, end, where=own)))
        self._read(nodes)
        return frozenset(node for node in nodes if any(fits(leaf, words) for words in self._words.get(node, ())))

    def _read(self, nodes: frozenset[int]) -> None:
        """Have the words of all facts of some entities."""
        new = nodes - self._words.keys()
        self._words |= {node: [] for node in new}
        for number, words in self._of(new, Fact.node, Fact.words, where=(col(Fact.words) != "",)):
            self._words[self._standing(number)].append(words)

    def _of(self, nodes: Collection[int], place: Any, *more: Any, where: tuple[Any, ...]) -> Iterable[Any]:
        for some in chunks(self._view.all_names(nodes)):
            yield from self._view.select(place, *more, where=(col(place).in_(some), *where))

    def _entities(self, scores: Mapping[int, float]) -> Iterator[Match]:
        """Those of some nodes that are entities."""
        own = (col(Fact.kind) == Kind.ENTITY.value,)
        found: dict[int, tuple[str, str]] = {}
        for number, name, type in self._of(scores, Fact.node, Fact.subject, Fact.type, where=own):
            stands = self._view.standing_for(number, name)
            if stands.node not in found or (stands.node == number and found[stands.node][0] != name):
                found[stands.node] = (stands.name, type)
        yield from (Match(node, *told, scores[node]) for node, told in found.items())

    def _stand_for(self, rows: Iterable[Any]) -> Iterable[int]:
        return (self._standing(row[0]) for row in rows)

    def _standing(self, number: int) -> int:
        other = self._view.aliases.get(number)
        return number if other is None else other.node

    def _everything(self) -> Mapping[int, float]:
        own = (col(Fact.kind) == Kind.ENTITY.value,)
        return dict.fromkeys(self._stand_for(self._first(Fact.node, where=own, most=MOST + 1)), 0.0)

    def _first(self, *columns: Any, where: tuple[Any, ...], most: int) -> Sequence[Any]:
        """Columns of the facts that fit and were told first, of very many."""
        found = select(*columns).where(*self._view.conditions(), *where)
        return self._view.graph.select(found.order_by(col(Fact.id)).limit(most))

    def _size(self, leaf: Leaf) -> int:
        """How many facts have a term, or of words, had: exactly up to `RANKED`, then that and one."""
        if isinstance(leaf, Typed | Related):
            found = select(col(Fact.id)).where(*self._view.conditions(), *_is(leaf)).limit(MOST + 1).subquery()
        else:
            found = self._view.graph.rows(Fact).matching(leaf, most=RANKED + 1, best=False)
        return int(self._view.graph.select(select(func.count()).select_from(found))[0][0])

    def _hits(self, leaf: Leaf) -> Mapping[int, float]:
        """The entities that have a term, and how well the best of their facts fits; of too many, the best."""
        if isinstance(leaf, Typed | Related):
            ends = (Fact.node,) if isinstance(leaf, Typed) else (Fact.node, Fact.target)
            few = self.size(leaf) <= MOST
            rows = self._view.select(*ends, where=_is(leaf)) if few else self._first(*ends, where=_is(leaf), most=MOST)
            return dict.fromkeys((self._standing(number) for row in rows for number in row), 0.0)
        found = self._view.graph.rows(Fact).matching(leaf, most=MOST, best=MOST < self.size(leaf) <= RANKED)
        same = (found.c.id == Fact.id, found.c.since == Fact.since)
        rows = self._view.graph.select(
            select(Fact.node, Fact.kind, found.c.rank).where(*same, *self._view.conditions())
        )
        best: dict[int, float] = {}
        for number, kind, rank in rows:
            node = self._standing(number)
            score = rank if kind == Kind.OBSERVATION.value else rank * OF_A_NAME
            best[node] = max(score, best.get(node, 0.0))
        return best


def _is(leaf: Typed | Related) -> tuple[Any, ...]:
    kind = Kind.ENTITY if isinstance(leaf, Typed) else Kind.RELATION
    return (col(Fact.kind) == kind.value, col(Fact.type) == leaf.type)


def _wanted(tree: Query) -> Iterable[Leaf]:
    """The words and phrases that are to be there."""
    match tree:
        case All(of) | Some(of):
            for part in of:
                yield from _wanted(part)
        case Other():
            return
        case Typed() | Related():
            return
        case _:
            yield tree
