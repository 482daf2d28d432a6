"""Which entities a query means, and how well each fits: sets of entities, put together as the query says.

Of each term the facts are taken that have it. A term that too many have is taken only where entities are looked for by
it, and then those with the lowest ids; whether an entity fits that another term gives is seen by its own facts. If that
leaves open whether there are more, `complete` says so. All of this depends on nothing but what was told until the
view's revision: every database finds the same, and what was told later, or is only being written, changes nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from itertools import chain
from math import log
from typing import Any

from sqlmodel import col, select

from engine import Phrase, Prefix, Word
from worlds.graph import kept
from worlds.graph.facts import Fact, Kind
from worlds.graph.search.query import All, Leaf, Other, Query, Related, Some, Typed, leaves
from worlds.graph.view import View, chunks

MOST = 1_000
"""Facts of one term that are taken: of a term with more, the first by their ids."""
MORE, ENOUGH = 20_000, 20
"""Facts that are taken where those gave fewer entities than this."""
RARE = 100_000
"""A term counts the more, the farther below this it is how many facts have it: by the logarithm."""
OF_A_NAME = 2.0
"""How much more a name or a type counts than an observation."""
AT_ONCE = 5_000
"""Entities that one statement looks for."""


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

    @property
    def is_enough(self) -> bool:
        """Whether these are all, or a page of them."""
        return self.complete or len(self.entities) >= ENOUGH


def fits(term: Leaf, words: str) -> bool:
    """Whether the words of a fact have a term."""
    return not isinstance(term, Typed | Related) and term.spaced in f" {words} "


class Search:
    """Queries of one view; what is asked of the database is asked once."""

    def __init__(self, view: View, most: int = MOST) -> None:
        """`most` facts of a term are taken."""
        self._view = view
        self._most = most
        self._facts = view.graph.rows(Fact).at(view.as_of)
        self._common: dict[Leaf, bool] = {}
        """Whether too many facts have, or had, a term."""
        self._taken: dict[Leaf, Hits] = {}
        self._looked: dict[Leaf, Hits] = {}
        """What has a term of those entities that were looked at for it."""
        self._asked: dict[Leaf, set[int]] = defaultdict(set)
        """All of these."""
        self._entities: set[int] = set()
        """Nodes that are known to be entities."""
        self._at_once = True
        """Whether it is asked together with what has words which of these are entities."""

    def found(self, tree: Query, called: Collection[str] = ()) -> Matches:
        """The entities that fit a query; those that are `called` so are looked for, too, however many have the words.

        Where the first facts of what fewest have give few, the first of all that has to be there are begun with, then
        more.
        """
        if isinstance(tree, All):
            # Few are left of what must have several terms: whether these are entities is asked in the end.
            self._at_once = False
            self._count(leaves(tree))
        cover, wide = self._cover(tree), self._cover(tree, wide=True)
        found = self._matches(tree, called, cover)
        if not found.is_enough and wide != cover:
            found = self._matches(tree, called, wide)
        if not found.is_enough:
            more = Search(self._view, MORE)
            found = more._matches(tree, called, more._cover(tree))
        return found

    def has(self, word: str) -> bool:
        """Whether a fact has a word."""
        return bool(self._hits(Word(word)).scores)

    def _matches(self, tree: Query, called: Collection[str], cover: Collection[Leaf] | None) -> Matches:
        begun = [self._everything()] if cover is None else [*map(self._hits, cover)]
        named = frozenset(self._view.named(name).node for name in called)
        found = self._fitting(tree, named.union(*(hits.scores for hits in begun)))
        self._find_entities(found - self._entities)
        hits = [*chain.from_iterable(map(self._counting, dict.fromkeys(_wanted(tree))))]
        there = found & self._entities
        return Matches(there, there & named, hits, all(hits.complete for hits in begun))

    def _counting(self, leaf: Leaf) -> Iterator[Hits]:
        """What counts for how well entities fit a term."""
        taken, looked = self._taken.get(leaf), self._looked.get(leaf)
        if taken:
            yield taken
        if looked:
            known = taken.scores if taken else {}
            scores = {node: score for node, score in looked.scores.items() if node not in known}
            yield replace(looked, scores=scores)

    def _count(self, terms: Iterable[Leaf]) -> None:
        """See which words too many facts have to take them."""
        words = [term for term in terms if not isinstance(term, Typed | Related)]
        new = [*dict.fromkeys(word for word in words if word not in self._common)]
        common = self._facts.common(new, most=self._most)
        self._common |= {word: word in common for word in new}

    def _is_common(self, word: Leaf) -> bool:
        if word not in self._common:
            self._count((word,))
        return self._common[word]

    def _size(self, leaf: Leaf) -> int:
        """How many facts have a term; up to one too many."""
        if leaf in self._taken:
            return self._taken[leaf].facts
        if isinstance(leaf, Typed | Related):
            given = {"kind": _kind(leaf).value, "type": leaf.type, "most": self._most + 1}
            return int(self._view.select_kept(kept.count_of_type(), given)[0][0])
        return self._most + 1 if self._is_common(leaf) else self._hits(leaf).facts

    def _cover(self, tree: Query, *, wide: bool = False) -> list[Leaf] | None:
        """Terms of which any entity that fits has one, as few facts as may be; None if that may be any entity.

        A `wide` one has the terms of all that has to be there.
        """
        match tree:
            case All(of):
                covers = [cover for cover in (self._cover(part, wide=wide) for part in of) if cover is not None]
                if wide and covers:
                    return [*dict.fromkeys(chain.from_iterable(covers))]
                return min(covers, key=self._facts_of, default=None)
            case Some(of):
                parts = [self._cover(part, wide=wide) for part in of]
                return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
            case Other(Other(part)):
                return self._cover(part, wide=wide)
            case Other():
                return None
        return [tree]

    def _facts_of(self, cover: Sequence[Leaf]) -> tuple[bool, int, int]:
        """How dear it is to begin with terms: whether some facts are left out, by words, and how many there are."""
        sizes = [*map(self._size, cover)]
        incomplete = any(size > self._most for size in sizes)
        by_words = sum(not isinstance(leaf, Typed | Related) for leaf in cover)
        return incomplete, by_words if incomplete else 0, sum(sizes)

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
        if tree not in self._taken and (isinstance(tree, Typed | Related) or self._is_common(tree)):
            return self._looked_at(tree, among)
        hits = self._hits(tree)
        known = among & hits.scores.keys()
        return known if hits.complete else known | self._looked_at(tree, among - known)

    def _cost(self, tree: Query) -> bool:
        """Whether facts of entities have to be read to see which fit."""
        return not all(leaf in self._taken and self._taken[leaf].complete for leaf in leaves(tree))

    def _looked_at(self, leaf: Leaf, nodes: Set[int]) -> Set[int]:
        """Those of some entities that have a term, seen by their facts; each is looked at once."""
        looked, asked = self._looked.setdefault(leaf, Hits({}, [], 0, True)), self._asked[leaf]
        if new := nodes - asked:
            asked |= new
            self._look(leaf, new, looked)
        return nodes & looked.scores.keys()

    def _look(self, leaf: Leaf, nodes: Set[int], looked: Hits) -> None:
        view, names = self._view, self._view.all_names(nodes)
        if isinstance(leaf, Typed | Related):
            for end in _ends(leaf):
                told = view.about(end, nodes=names, kind=_kind(leaf), of=end, types=[leaf.type])
                looked.scores.update((self._standing(number), 0.0) for (number,) in told)
            return
        found = self._facts.having(leaf, name="term")
        for some in chunks(names, AT_ONCE):
            rows = view.select_kept(found.keep(kept.of_words_about), {**found.values, "nodes": some})
            self._score(rows, self._most + 1, looked)

    def _find_entities(self, among: Set[int]) -> None:
        for some in chunks(self._view.all_names(among), AT_ONCE):
            found = self._view.select_kept(kept.of_entities(), {"nodes": some})
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
        read = self._most + 1
        while True:
            rows = self._told(term, first=read)
            # Whether these are too many, those say that stand: words that are taken back are not found.
            if len(rows) > self._most or self._common.get(term) is False or not self._facts.common([term], most=read):
                return self._scored(rows)
            read *= 8

    def _told(self, term: Any, *, first: int) -> Sequence[Any]:
        """The first facts that have words: what each is about, if that is an entity, its name, and how well it fits."""
        found = self._facts.matching(term, first=first, name="term")
        statement = found.keep(kept.of_words if self._at_once else kept.of_words_alone)
        return self._view.select_kept(statement, {**found.values, "most": self._most + 1})

    def _scored(self, rows: Sequence[Any]) -> Hits:
        hits = Hits({}, [], len(rows), len(rows) <= self._most)
        self._score(rows[: self._most], len(rows), hits)
        return hits

    def _score(self, rows: Sequence[Any], facts: int, hits: Hits) -> None:
        """Add facts that have a term: so many have it that each counts the less."""
        rare = log(RARE / facts) if facts else 0.0
        standing, scores = self._standing, hits.scores
        for number, there, name, rank in rows:
            node = standing(number)
            if there:
                self._entities.add(node)
            if name is None:
                score = rank * rare
            else:
                score = OF_A_NAME * rank * rare
                hits.names.append((node, name))
            if score >= scores.get(node, 0.0):
                scores[node] = score


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
