"""Which entities a query means: sets of entities, put together as the query says.

A search begins by the terms that fewest facts have, and looks which of the entities that these give have the others. If
that leaves open whether there are more, `complete` says so.
"""

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain

from engine import Phrase, Prefix, Word
from worlds.graph.search.query import All, Leaf, Other, Query, Related, Some, Typed, leaves
from worlds.graph.search.terms import Hits, Terms

MORE, ENOUGH = 20_000, 20
"""Facts of a term that are taken where fewer gave less than so many entities."""


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


def matches(terms: Terms, tree: Query, called: Collection[str] = ()) -> Matches:
    """The entities that fit a query; those that are `called` so are looked for, too, however many have the words.

    Where the first facts of what fewest have give few, it is begun by all that has to be there, then by more facts.
    """
    for cover in _covers(terms, tree):
        found = _begun_by(terms, tree, cover, called)
        if found.is_enough:
            return found
    terms = Terms(terms.view, MORE)
    return _begun_by(terms, tree, next(_covers(terms, tree)), called)


def _covers(terms: Terms, tree: Query) -> Iterator[list[Leaf] | None]:
    """By which terms to begin: first by as few facts as may be, then by all that has to be there."""
    if isinstance(tree, All):
        # Few are left of what must have several terms: whether these are entities is asked in the end.
        terms.at_once = False
        terms.count(leaves(tree))
    yield (cover := _cover(terms, tree))
    if (wide := _cover(terms, tree, wide=True)) != cover:
        yield wide


def _cover(terms: Terms, tree: Query, *, wide: bool = False) -> list[Leaf] | None:
    """Terms of which any entity that fits has one; None if that may be any entity."""
    match tree:
        case All(of):
            covers = [cover for cover in (_cover(terms, part, wide=wide) for part in of) if cover is not None]
            if wide and covers:
                return [*dict.fromkeys(chain.from_iterable(covers))]
            return min(covers, key=lambda cover: _price(terms, cover), default=None)
        case Some(of):
            parts = [_cover(terms, part, wide=wide) for part in of]
            return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
        case Other(Other(part)):
            return _cover(terms, part, wide=wide)
        case Other():
            return None
    return [tree]


def _price(terms: Terms, cover: Sequence[Leaf]) -> tuple[bool, int, int]:
    """How dear it is to begin by terms: whether facts are left out, of how many words then, and how many there are."""
    sizes = [*map(terms.size, cover)]
    incomplete = any(size > terms.most for size in sizes)
    words = sum(not isinstance(leaf, Typed | Related) for leaf in cover)
    return incomplete, words if incomplete else 0, sum(sizes)


def _begun_by(terms: Terms, tree: Query, cover: Collection[Leaf] | None, called: Collection[str]) -> Matches:
    """The entities that fit, of those that some terms give or that are called so."""
    begun = [terms.everything()] if cover is None else [*map(terms.hits, cover)]
    named = frozenset(terms.view.named(name).node for name in called)
    found = terms.entities(_fitting(terms, tree, named.union(*(hits.scores for hits in begun))))
    hits = [*chain.from_iterable(map(terms.counting, dict.fromkeys(_wanted(tree))))]
    return Matches(found, found & named, hits, all(hits.complete for hits in begun))


def _fitting(terms: Terms, tree: Query, among: Set[int]) -> Set[int]:
    """Those of some entities that fit."""

    def is_dear(part: Query) -> bool:
        return not all(map(terms.is_all_taken, leaves(part)))

    match tree:
        case All(of):
            for part in sorted(of, key=is_dear):
                among = _fitting(terms, part, among)
            return among
        case Some(of):
            found: Set[int] = frozenset()
            for part in sorted(of, key=is_dear):
                found |= _fitting(terms, part, among - found)
            return found
        case Other(part):
            return among - _fitting(terms, part, among)
    return terms.among(tree, among)


def _wanted(tree: Query) -> Iterator[Word | Prefix | Phrase]:
    """The words and phrases that are to be there."""
    match tree:
        case All(of) | Some(of):
            for part in of:
                yield from _wanted(part)
        case Word() | Prefix() | Phrase():
            yield tree
