"""What has each term of a query, in one view: by the index of words where few facts have it, or entity by entity.

Of each term the facts are taken that have it, of one that too many have those with the lowest ids; or it is seen by
their own facts which of some entities have it. All of this depends on nothing but what was told until the view's
revision: every database finds the same, and what was told later, or is only being written, changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from math import log
from typing import Any

from sqlmodel import col, select

from engine import Word
from worlds.graph import kept
from worlds.graph.facts import Fact, Kind
from worlds.graph.search.query import Leaf, Related, Typed
from worlds.graph.view import View, chunks

MOST = 1_000
"""Facts of one term that are taken: of a term with more, the first by their ids."""
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


def fits(term: Leaf, words: str) -> bool:
    """Whether the words of a fact have a term."""
    return not isinstance(term, Typed | Related) and term.spaced in f" {words} "


class Terms:
    """What has the terms of queries, in one view; what is asked of the database is asked once."""

    def __init__(self, view: View, most: int = MOST) -> None:
        """`most` facts of a term are taken."""
        self.view = view
        self.most = most
        self.at_once = True
        """Whether it is asked of each fact that has words whether it is about an entity; else only of what is left."""
        self._facts = view.graph.rows(Fact).at(view.as_of)
        self._common: dict[Leaf, bool] = {}
        """Whether too many facts have, or had, a word."""
        self._sizes: dict[Leaf, int] = {}
        """How many facts are of a type."""
        self._taken: dict[Leaf, Hits] = {}
        self._looked_at: dict[Leaf, Hits] = {}
        """What has a term of those entities that were looked at for it."""
        self._asked: dict[Leaf, set[int]] = defaultdict(set)
        """All of these."""
        self._entities: set[int] = set()
        """Nodes that are known to be entities."""

    def count(self, terms: Iterable[Leaf]) -> None:
        """See which words too many facts have to take them."""
        words = [term for term in terms if not isinstance(term, Typed | Related)]
        new = [*dict.fromkeys(word for word in words if word not in self._common)]
        common = self._facts.common(new, most=self.most)
        self._common |= {word: word in common for word in new}

    def size(self, leaf: Leaf, *, roughly: bool = False) -> int:
        """How many facts have a term; up to one too many. Roughly, what was taken back counts, too, of very many."""
        if isinstance(leaf, Typed | Related) and leaf not in self._taken:
            return self._counted(leaf)
        return self.most + 1 if roughly and self._is_looked_at(leaf) else self.hits(leaf).facts

    def has(self, word: str) -> bool:
        """Whether a fact has a word."""
        return bool(self.hits(Word(word)).scores)

    def hits(self, leaf: Leaf) -> Hits:
        """What has a term."""
        if leaf not in self._taken:
            filters = isinstance(leaf, Typed | Related)
            self._taken[leaf] = self._filtered(_ends(leaf), _is(leaf)) if filters else self._searched(leaf)
            if isinstance(leaf, Typed):
                self._entities |= self._taken[leaf].scores.keys()
        return self._taken[leaf]

    def everything(self) -> Hits:
        """All entities, as what has a term."""
        found = self._filtered((Fact.node,), (col(Fact.kind) == Kind.ENTITY.value,))
        self._entities |= found.scores.keys()
        return found

    def among(self, leaf: Any, nodes: Set[int]) -> Set[int]:
        """Those of some nodes that have a term."""
        if self._is_looked_at(leaf):
            return self._looked(leaf, nodes)
        hits = self.hits(leaf)
        known = nodes & hits.scores.keys()
        return known if hits.complete else known | self._looked(leaf, nodes - known)

    def is_taken(self, part: Any) -> bool:
        """Whether a part of a query is a term of which facts were taken."""
        return part in self._taken

    def known(self, leaf: Any, nodes: Set[int]) -> Set[int]:
        """Those of some nodes that have a term by the facts that were taken."""
        return nodes & self._taken[leaf].scores.keys()

    def is_all_taken(self, leaf: Leaf) -> bool:
        """Whether all facts are there that have a term: then nothing has to be looked at."""
        return leaf in self._taken and self._taken[leaf].complete

    def entities(self, among: Set[int]) -> Set[int]:
        """Those of some nodes that are entities."""
        for some in chunks(self.view.all_names(among - self._entities), AT_ONCE):
            found = self.view.select_kept(kept.of_entities(), {"nodes": some})
            self._entities |= {self._standing(number) for (number,) in found}
        return among & self._entities

    def scored(self, leaf: Leaf) -> Hits:
        """What is known to have a term, be it by facts that were taken or because it was looked at."""
        taken, looked = self._taken.get(leaf), self._looked_at.get(leaf)
        if taken is None or looked is None:
            return taken or looked or Hits({}, [], 0, True)
        best = {**taken.scores, **looked.scores}
        best |= {node: max(taken.scores[node], best[node]) for node in taken.scores.keys() & looked.scores.keys()}
        return replace(taken, scores=best, names=[*taken.names, *looked.names])

    def _is_looked_at(self, leaf: Leaf) -> bool:
        """Whether entities are looked at for a term: for a filter, or a word that too many have, until it is taken."""
        if leaf in self._taken or isinstance(leaf, Typed | Related):
            return leaf not in self._taken
        if leaf not in self._common:
            self.count((leaf,))
        return self._common[leaf]

    def _counted(self, leaf: Typed | Related) -> int:
        if leaf not in self._sizes:
            given = {"kind": _kind(leaf).value, "type": leaf.type, "most": self.most + 1}
            self._sizes[leaf] = int(self.view.select_kept(kept.count_of_type(), given)[0][0])
        return self._sizes[leaf]

    def _filtered(self, ends: tuple[Any, ...], where: tuple[Any, ...]) -> Hits:
        """What facts of a kind lead from, or to."""
        found = select(*ends).where(*self.view.conditions(), *where).order_by(col(Fact.id), col(Fact.since))
        rows = self.view.graph.select(found.limit(self.most + 1))
        scores = {self._standing(number): 0.0 for row in rows[: self.most] for number in row}
        return Hits(scores, [], len(rows), len(rows) <= self.most)

    def _searched(self, term: Any) -> Hits:
        """What has words; of too many facts the first that stand, and more are read as long as most of them do not."""
        read = self.most + 1
        while True:
            rows = self._told(term, first=read)
            # Whether these are too many, those say that stand: words that are taken back are not found.
            if len(rows) > self.most or self._common.get(term) is False or not self._facts.common([term], most=read):
                return self._ranked(rows)
            read *= 8

    def _told(self, term: Any, *, first: int) -> Sequence[Any]:
        """The first facts that have words: what each is about, if that is an entity, its name, and how well it fits."""
        found = self._facts.matching(term, first=first, name="term")
        statement = found.keep(kept.of_words if self.at_once else kept.of_words_alone)
        return self.view.select_kept(statement, {**found.values, "most": self.most + 1})

    def _ranked(self, rows: Sequence[Any]) -> Hits:
        hits = Hits({}, [], len(rows), len(rows) <= self.most)
        self._score(rows[: self.most], len(rows), hits)
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

    def _looked(self, leaf: Leaf, nodes: Set[int]) -> Set[int]:
        """Those of some nodes that have a term, seen by their facts; each is looked at once."""
        looked, asked = self._looked_at.setdefault(leaf, Hits({}, [], 0, True)), self._asked[leaf]
        if new := nodes - asked:
            asked |= new
            self._look(leaf, new, looked)
        return nodes & looked.scores.keys()

    def _look(self, leaf: Leaf, nodes: Set[int], looked: Hits) -> None:
        view, names = self.view, self.view.all_names(nodes)
        if isinstance(leaf, Typed | Related):
            for end in _ends(leaf):
                told = view.about(end, nodes=names, kind=_kind(leaf), of=end, types=[leaf.type])
                looked.scores.update((self._standing(number), 0.0) for (number,) in told)
            return
        found = self._facts.having(leaf, name="term")
        for some in chunks(names, AT_ONCE):
            rows = view.select_kept(found.keep(kept.of_words_about), {**found.values, "nodes": some})
            self._score(rows, self.most + 1, looked)

    def _standing(self, number: int) -> int:
        other = self.view.aliases.get(number)
        return number if other is None else other.node


def _kind(leaf: Typed | Related) -> Kind:
    return Kind.ENTITY if isinstance(leaf, Typed) else Kind.RELATION


def _is(leaf: Any) -> tuple[Any, ...]:
    return (col(Fact.kind) == _kind(leaf).value, col(Fact.type) == leaf.type)


def _ends(leaf: Leaf) -> tuple[Any, ...]:
    return (Fact.node, Fact.target) if isinstance(leaf, Related) else (Fact.node,)
