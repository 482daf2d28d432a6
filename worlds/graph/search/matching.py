"""Which entities a query means, and how well each fits: sets of entities, put together as the query says.

Of each term the facts are taken that have it. Where they are too many, those with the lowest ids are, and whether an
entity fits that another term gives is seen by its own facts. If that leaves open whether there are more, `complete`
says so. All of this depends on nothing but the facts of the view: every database finds the same, and what was told
later, or is only being written, changes nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from math import log
from typing import Any

from sqlmodel import col, literal, select

from engine import Phrase, Prefix, Word
from worlds.graph import kept
from worlds.graph.facts import Fact, Kind
from worlds.graph.search.query import All, Leaf, Other, Query, Related, Some, Typed, leaves
from worlds.graph.view import View, chunks

MOST = 1_000
"""Facts of one term that are taken: of a term with more, the first by their ids."""
MORE, ENOUGH = 20_000, 20
"""Facts that are taken instead, where those gave fewer entities than this."""
RARE = 100_000
"""A term counts the more, the farther below this it is how many facts have it: by the logarithm."""
OF_A_NAME = 2.0
"""How much more a name or a type counts than an observation."""
AT_ONCE = 5_000
"""Entities that one statement looks for."""
_SPACED = literal(" ").concat(col(Fact.words)).concat(" ")
_SAID = (Kind.ENTITY.value, Kind.OBSERVATION.value, Kind.ALIAS.value)


@dataclass(frozen=True, slots=True)
class Hits:
    """What has a term, and how well the best of its facts fits; the names that have it; whether these are all."""

    scores: dict[int, float]
    names: list[tuple[int, str]]
    facts: int
    complete: bool


@dataclass(frozen=True, slots=True)
class Matches:
    """Entities that fit, and those that are called as was asked; what counts for how well; whether these are all."""

    entities: Set[int]
    called: Set[int]
    hits: Sequence[Hits]
    complete: bool


def fits(term: Leaf, words: str) -> bool:
    """Whether the words of a fact have a term."""
    return not isinstance(term, Typed | Related) and term.spaced in f" {words} "


class Search:
    """Queries of one view; what is asked of the database is asked once."""

    def __init__(self, view: View, most: int = MOST) -> None:
        """`most` facts of a term are taken."""
        self._view = view
        self._most = most
        self._facts = view.graph.rows(Fact)
        self._had: dict[Leaf, int] = {}
        self._taken: dict[Leaf, Hits] = {}
        self._entities: set[int] = set()
        """Nodes that are known to be entities."""

    def found(self, tree: Query, called: Collection[str] = ()) -> Matches:
        """The entities that fit a query; those that are `called` so are looked for, too, however many have the words.

        Where the first facts of its terms give few, more are taken.
        """
        found = self._matches(tree, called)
        if found.complete or len(found.entities) >= ENOUGH:
            return found
        return Search(self._view, MORE)._matches(tree, called)

    def has(self, word: str) -> bool:
        """Whether a fact has a word."""
        return bool(self._hits(Word(word)).scores)

    def _matches(self, tree: Query, called: Collection[str]) -> Matches:
        self._take_words(tree)
        cover = self._cover(tree)
        begun = [self._everything()] if cover is None else [*map(self._hits, cover)]
        named = frozenset(self._view.named(name).node for name in called)
        found = self._fitting(tree, named.union(*(hits.scores for hits in begun)))
        self._find_entities(found - self._entities)
        hits = [self._taken[leaf] for leaf in dict.fromkeys(_wanted(tree))]
        there = found & self._entities
        return Matches(there, there & named, hits, all(hits.complete for hits in begun))

    def _take_words(self, tree: Query) -> None:
        """Take the facts of all words: also of those by which nothing is found, since they count for the order."""
        terms = [leaf for leaf in dict.fromkeys(leaves(tree)) if not isinstance(leaf, Typed | Related)]
        new = [term for term in terms if term not in self._taken]
        self._had |= zip(new, self._facts.counts(new, most=self._most + 1), strict=True)
        for term in new:
            self._hits(term)

    def _size(self, leaf: Leaf) -> int:
        """How many facts have a term; up to one too many."""
        if isinstance(leaf, Typed | Related) and leaf not in self._taken:
            given = {"kind": _kind(leaf).value, "type": leaf.type, "then": self._view.valid_at, "most": self._most + 1}
            now = self._view.as_of is None
            count = kept.count_of_type_now() if now else kept.count_of_type(self._view.recorded())
            return int(self._view.graph.select(count, given)[0][0])
        return self._hits(leaf).facts

    def _cover(self, tree: Query) -> list[Leaf] | None:
        """Terms of which any entity that fits has one, as few facts as may be; None if that may be any entity."""
        match tree:
            case All(of):
                covers = [cover for cover in map(self._cover, of) if cover is not None]
                return min(covers, key=lambda cover: sum(map(self._size, cover)), default=None)
            case Some(of):
                parts = [self._cover(part) for part in of]
                return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
            case Other(Other(part)):
                return self._cover(part)
            case Other():
                return None
        return [tree]

    def _fitting(self, tree: Query, among: Set[int]) -> Set[int]:
        """Those of some entities that fit."""
        match tree:
            case All(of):
                for part in sorted(of, key=self._cost):
                    among = self._fitting(part, among)
                return among
            case Some(of):
                found: Set[int] = frozenset()
                for part in sorted(of, key=self._cost):
                    found |= self._fitting(part, among - found)
                return found
            case Other(part):
                return among - self._fitting(part, among)
        if tree not in self._taken:
            return self._looked_at(tree, among)
        hits = self._taken[tree]
        known = among & hits.scores.keys()
        return known if hits.complete else known | self._looked_at(tree, among - known)

    def _cost(self, tree: Query) -> bool:
        """Whether facts of entities have to be read to see which fit."""
        return not all(leaf in self._taken and self._taken[leaf].complete for leaf in leaves(tree))

    def _looked_at(self, leaf: Leaf, nodes: Set[int]) -> Set[int]:
        """Those of some entities that have a term, seen by their facts."""
        view, names = self._view, self._view.all_names(nodes)
        told: Iterator[Iterable[Any]]
        if isinstance(leaf, Typed | Related):
            told = (view.about(end, nodes=names, kind=_kind(leaf), of=end, types=[leaf.type]) for end in _ends(leaf))
        else:
            own = (col(Fact.kind).in_(_SAID), _SPACED.like(f"%{leaf.spaced}%"))
            told = (view.select(Fact.node, where=(col(Fact.node).in_(some), *own)) for some in chunks(names, AT_ONCE))
        return frozenset(self._standing(number) for (number,) in chain.from_iterable(told))

    def _find_entities(self, among: Set[int]) -> None:
        found = self._view.about(Fact.node, nodes=self._view.all_names(among), kind=Kind.ENTITY)
        self._entities |= {self._standing(number) for (number,) in found}

    def _standing(self, number: int) -> int:
        other = self._view.aliases.get(number)
        return number if other is None else other.node

    def _hits(self, leaf: Leaf) -> Hits:
        """What has a term."""
        if leaf not in self._taken:
            filters = isinstance(leaf, Typed | Related)
            self._taken[leaf] = self._filtered(_ends(leaf), _is(leaf)) if filters else self._searched(leaf)
            if isinstance(leaf, Typed):
                self._entities |= self._taken[leaf].scores.keys()
        return self._taken[leaf]

    def _everything(self) -> Hits:
        found = self._filtered((Fact.node,), (col(Fact.kind) == Kind.ENTITY.value,))
        self._entities |= found.scores.keys()
        return found

    def _filtered(self, ends: tuple[Any, ...], where: tuple[Any, ...]) -> Hits:
        """What facts of a kind lead from, or to."""
        found = select(*ends).where(*self._view.conditions(), *where).order_by(col(Fact.id), col(Fact.since))
        rows = self._view.graph.select(found.limit(self._most + 1))
        scores = {self._standing(number): 0.0 for row in rows[: self._most] for number in row}
        return Hits(scores, [], len(rows), len(rows) <= self._most)

    def _searched(self, term: Any) -> Hits:
        """What has words; of too many facts the first that stand, and more are read as long as most of them do not."""
        if term not in self._had:
            self._had |= {term: self._facts.counts([term], most=self._most + 1)[0]}
        if self._had[term] <= self._most:
            return self._scored(self._told(term))
        read = self._most + 1
        while True:
            # Whether these are too many, those say that stand: or what was told later would change the past's answer.
            rows = self._told(term, first=read)
            if len(rows) > self._most or self._facts.counts([term], most=read + 1)[0] <= read:
                return self._scored(rows)
            read *= 8

    def _told(self, term: Any, *, first: int | None = None) -> Sequence[Any]:
        """The first facts that have words: what each is about, if that is an entity, its name, and how well it fits."""
        found, view = self._facts.matching(term, first=first, name="term"), self._view
        given = {**found.values, "then": view.valid_at, "most": self._most + 1}
        if view.as_of is None:
            return view.graph.select(found.keep(kept.of_words_now), given)
        return view.graph.select(kept.of_words(found, view.recorded), given)

    def _scored(self, rows: Sequence[Any]) -> Hits:
        hits = Hits({}, [], len(rows), len(rows) <= self._most)
        rare = log(RARE / len(rows)) if rows else 0.0
        for number, there, name, rank in rows[: self._most]:
            node = self._standing(number)
            rank *= rare
            if there:
                self._entities.add(node)
            if name is not None:
                rank *= OF_A_NAME
                hits.names.append((node, name))
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
