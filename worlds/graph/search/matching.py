"""Which entities a query means, and how well each fits: sets of entities, put together as the query says.

Of each term the index gives the facts. Where they are too many, the entities that other terms of the query give are
looked at instead, whether they fit; where no term gives few enough, those of the facts with the lowest ids are taken,
and `complete` says so. Which facts are taken depends on nothing but the facts: every database finds the same entities.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, NamedTuple

from sqlmodel import col, func, literal, select

from engine import Phrase, Prefix, Word
from worlds.graph.facts import Fact, Kind
from worlds.graph.search.query import All, Leaf, Other, Query, Related, Some, Typed, leaves
from worlds.graph.view import View, chunks

EXACT = 2_000
"""Facts of one term up to which all are taken."""
FIRST = 1_000
"""Facts that are taken of a term with more, the first by their ids."""
FEW = 500
"""Facts of one term that are taken in any case, for the ranking's sake, before entities are looked at instead."""
LOOKED = 4
"""Facts of a term that are taken from the index in the time in which one entity is looked at."""
RARE = 100_000
"""A term counts the more, the farther below this it is how many facts have it: by the logarithm."""
OF_A_NAME = 2.0
"""How much more a name or a type counts than an observation."""
AT_ONCE = 5_000
"""Entities that one statement looks for."""
_TYPE = col(Fact.type).concat("")  # so that facts are found by what they are about, not by their type
_SPACED = literal(" ").concat(col(Fact.words)).concat(" ")
_SAID = (Kind.ENTITY.value, Kind.OBSERVATION.value, Kind.ALIAS.value)


class Match(NamedTuple):
    """An entity that fits, how well, and whether its name may be what was looked for."""

    node: int
    name: str
    type: str
    score: float
    named: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """Entities that fit, and whether they are all that do."""

    entities: Sequence[Match]
    complete: bool


@dataclass(frozen=True, slots=True)
class Hits:
    """What has a term, and how well the best of its facts fits; whose names have it; whether these are all."""

    scores: dict[int, float]
    named: set[int]
    complete: bool


def fits(term: Leaf, words: str) -> bool:
    """Whether the words of a fact have a term."""
    return not isinstance(term, Typed | Related) and term.spaced in f" {words} "


class Search:
    """One query of one view; what is asked of the database is asked once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._facts = view.graph.rows(Fact)
        self._sizes: dict[Leaf, int] = {}
        self._taken: dict[Leaf, Hits] = {}

    def matches(self, tree: Query) -> Matches:
        """The entities that fit a query."""
        self._measure(tree)
        cover = self._cover(tree)
        begun = [self._everything()] if cover is None else [*map(self._hits, cover)]
        found = self._fitting(tree, frozenset().union(*(hits.scores for hits in begun)))
        return Matches([*self._entities(found, tree)], all(hits.complete for hits in begun))

    def has(self, word: str) -> bool:
        """Whether a fact has a word."""
        self._measure(Word(word))
        return self._sizes[Word(word)] > 0 and bool(self._told(Word(word), limit=1))

    def _measure(self, tree: Query) -> None:
        """Have the sizes of the terms of a query: how many facts have each, or of words, had; up to one too many."""
        new = [leaf for leaf in dict.fromkeys(leaves(tree)) if leaf not in self._sizes]
        terms = [leaf for leaf in new if not isinstance(leaf, Typed | Related)]
        self._sizes |= zip(terms, self._facts.counts(terms, most=EXACT + 1), strict=True)
        for leaf in new:
            if isinstance(leaf, Typed | Related):
                found = select(col(Fact.id)).where(*self._view.conditions(), *_is(leaf)).limit(EXACT + 1).subquery()
                self._sizes[leaf] = self._view.graph.select(select(func.count()).select_from(found))[0][0]

    def _cover(self, tree: Query) -> list[Leaf] | None:
        """Terms of which any entity that fits has one, as few facts as may be; None if that may be any entity."""
        match tree:
            case All(of):
                covers = [cover for cover in map(self._cover, of) if cover is not None]
                return min(covers, key=lambda cover: sum(self._sizes[leaf] for leaf in cover), default=None)
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
                found = among & frozenset().union(*(self._taken[leaf].scores for leaf in of if leaf in self._taken))
                return found.union(*(self._fitting(part, among - found) for part in of))
            case Other(part):
                return among - self._fitting(part, among)
        if tree not in self._taken and self._sizes[tree] > min(EXACT, max(FEW, LOOKED * len(among))):
            return self._looked_at(tree, among)
        hits = self._hits(tree)
        known = among & hits.scores.keys()
        return known if hits.complete else known | self._looked_at(tree, among - known)

    def _cost(self, tree: Query) -> int:
        return max(self._sizes[leaf] for leaf in leaves(tree))

    def _looked_at(self, leaf: Leaf, nodes: frozenset[int]) -> frozenset[int]:
        """Those of some entities that have a term, seen by their facts."""
        if isinstance(leaf, Typed | Related):
            own = (col(Fact.kind) == _kind(leaf).value, _TYPE == leaf.type)
        else:
            own = (col(Fact.kind).in_(_SAID), _SPACED.like(f"%{leaf.spaced}%"))
        return frozenset(self._standing(row[0]) for end in _ends(leaf) for row in self._of(nodes, end, where=own))

    def _of(self, nodes: Collection[int], place: Any, *more: Any, where: tuple[Any, ...]) -> Iterator[Any]:
        for some in chunks(self._view.all_names(nodes), AT_ONCE):
            yield from self._view.select(place, *more, where=(col(place).in_(some), *where))

    def _entities(self, found: Collection[int], tree: Query) -> Iterator[Match]:
        """Those of some nodes that are entities; a name's own type counts more than that of its aliases."""
        hits = [self._taken[leaf] for leaf in _wanted(tree) if leaf in self._taken]
        named = set[int]().union(*(each.named for each in hits)) if hits else found
        told: dict[int, tuple[str, str]] = {}
        rows = self._of(found, Fact.node, Fact.subject, Fact.type, where=(col(Fact.kind) == Kind.ENTITY.value,))
        others = self._view.aliases
        for number, name, type in sorted(rows, key=lambda row: row[0] in others) if others else rows:
            stands = others.get(number)
            if stands is None:
                told.setdefault(number, (name, type))
            else:
                told.setdefault(stands.node, (stands.name, type))
        for node, (name, type) in told.items():
            score = sum(each.scores.get(node, 0.0) for each in hits)
            yield Match(node, name, type, score, node in named)

    def _standing(self, number: int) -> int:
        other = self._view.aliases.get(number)
        return number if other is None else other.node

    def _hits(self, leaf: Leaf) -> Hits:
        """What has a term."""
        if leaf not in self._taken:
            filters = isinstance(leaf, Typed | Related)
            self._taken[leaf] = self._filtered(_ends(leaf), _is(leaf)) if filters else self._searched(leaf)
        return self._taken[leaf]

    def _everything(self) -> Hits:
        return self._filtered((Fact.node,), (col(Fact.kind) == Kind.ENTITY.value,))

    def _filtered(self, ends: tuple[Any, ...], where: tuple[Any, ...]) -> Hits:
        """What facts of a kind lead from, or to."""
        found = select(*ends).where(*self._view.conditions(), *where).order_by(col(Fact.id), col(Fact.since))
        rows = self._view.graph.select(found.limit(EXACT + 1))
        taken = rows if len(rows) <= EXACT else rows[:FIRST]
        return Hits({self._standing(number): 0.0 for row in taken for number in row}, set(), taken is rows)

    def _searched(self, term: Any) -> Hits:
        """What has words; of too many facts the first that stand, and more are read as long as most of them do not."""
        if self._sizes[term] <= EXACT:
            return self._scored(self._told(term), complete=True)
        read = EXACT + 1
        while True:
            # Whether these are too many, those say that stand: or what was told later would change the past's answer.
            rows = self._told(term, first=read, limit=EXACT + 1)
            if len(rows) > EXACT:
                return self._scored(rows[:FIRST], complete=False)
            if self._facts.counts([term], most=read + 1)[0] <= read:
                return self._scored(rows, complete=True)
            read *= 8

    def _told(self, term: Any, *, first: int | None = None, limit: int | None = None) -> Sequence[Any]:
        """The facts that have words: what each is about, its kind, and how well it fits."""
        found = self._facts.matching(term, first=first)
        # By the id, which is computed, and nothing else: or a database might think it better to read all facts beside.
        same = (col(Fact.id) == found.c.id + 0, col(Fact.since) + 0 == found.c.since + 0)
        wanted = select(Fact.node, Fact.kind, found.c.rank).where(*same, *self._view.conditions())
        ordered = wanted if first is None else wanted.order_by(found.c.id, found.c.since)
        return self._view.graph.select(ordered.limit(limit))

    def _scored(self, rows: Sequence[Any], *, complete: bool) -> Hits:
        hits, rare = Hits({}, set(), complete), log(RARE / (len(rows) if complete else EXACT)) if rows else 0.0
        for number, kind, rank in rows:
            node = self._standing(number)
            rank *= rare
            if kind != Kind.OBSERVATION.value:
                rank *= OF_A_NAME
                hits.named.add(node)
            hits.scores[node] = max(rank, hits.scores.get(node, 0.0))
        return hits


def _kind(leaf: Typed | Related) -> Kind:
    return Kind.ENTITY if isinstance(leaf, Typed) else Kind.RELATION


def _is(leaf: Any) -> tuple[Any, ...]:
    return (col(Fact.kind) == _kind(leaf).value, col(Fact.type) == leaf.type)


def _ends(leaf: Leaf) -> tuple[Any, ...]:
    return (Fact.node, Fact.target) if isinstance(leaf, Related) else (Fact.node,)


def _wanted(tree: Query) -> Iterator[Word | Prefix | Phrase]:
    """The words and phrases that are to be there."""
    match tree:
        case All(of) | Some(of):
            for part in of:
                yield from _wanted(part)
        case Word() | Prefix() | Phrase():
            yield tree
