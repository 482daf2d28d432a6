"""Which entities a query means: sets of entities, put together as the query says.

A search begins by the terms that fewest facts have, and looks which of the entities that these give have the others. If
that leaves open whether there are more, `complete` says so.
"""

from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

from engine import Phrase, Prefix, Word
from worlds.graph.search.query import All, Leaf, Other, Query, Some, leaves
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
    named = frozenset(terms.view.named(name).node for name in called)
    for cover in _covers(terms, tree):
        found = _begun_by(terms, tree, cover, named)
        if found.is_enough:
            return found
    terms = Terms(terms.view, MORE)
    return _begun_by(terms, tree, next(_covers(terms, tree)), named, before=found.entities)


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
            return [*dict.fromkeys(chain.from_iterable(covers))] if wide and covers else _cheapest(terms, covers)
        case Some(of):
            parts = [_cover(terms, part, wide=wide) for part in of]
            return None if None in parts else [leaf for part in parts if part is not None for leaf in part]
        case Other(Other(part)):
            return _cover(terms, part, wide=wide)
        case Other():
            return None
    return [tree]


def _cheapest(terms: Terms, covers: Sequence[list[Leaf]]) -> list[Leaf] | None:
    """The terms that fewest facts have; only where that would be too many is what was taken back told from the rest."""
    for roughly in (True, False):
        sizes = [[terms.size(leaf, roughly=roughly) for leaf in cover] for cover in covers]
        prices = [(max(each, default=0) > terms.most, sum(each)) for each in sizes]
        price, best = min(zip(prices, covers, strict=True), key=itemgetter(0), default=((False, 0), None))
        if not price[0]:
            break
    return best


def _begun_by(
    terms: Terms, tree: Query, cover: Collection[Leaf] | None, named: Set[int], before: Set[int] = frozenset()
) -> Matches:
    """The entities that fit, of those that some terms give, that are named so, or that were found before."""
    begun = [terms.everything()] if cover is None else [*map(terms.hits, cover)]
    among = {*named, *before, *chain.from_iterable(hits.scores for hits in begun)}
    found = terms.entities(_fitting(terms, tree, among))
    hits = [terms.scored(leaf) for leaf in dict.fromkeys(_wanted(tree))]
    return Matches(found, found & named, hits, all(hits.complete for hits in begun))


def _fitting(terms: Terms, tree: Query, among: Set[int]) -> Set[int]:
    """Those of some entities that fit."""
    match tree:
        case All(of):
            for part in sorted(of, key=lambda part: not all(map(terms.is_all_taken, leaves(part)))):
                among = _fitting(terms, part, among)
            return among
        case Some(of):
            return _fitting_some(terms, of, among)
        case Other(part):
            return among - _fitting(terms, part, among)
    return terms.among(tree, among)


def _fitting_some(terms: Terms, of: Sequence[Query], among: Set[int]) -> Set[int]:
    """Those that one of several fits. All that count for an entity are looked for, or their order would say which do.

    Of facts of which some were taken, those do, and others are looked at only for entities that nothing else gives.
    """
    taken = [part for part in of if terms.is_taken(part)]
    found = {node for part in taken for node in terms.known(part, among)}
    found.update(*(_fitting(terms, part, among) for part in of if part not in taken))
    rest = among - found
    return found.union(*(terms.among(part, rest) for part in taken))


def _wanted(tree: Query) -> Iterator[Word | Prefix | Phrase]:
    """The words and phrases that are to be there."""
    match tree:
        case All(of) | Some(of):
            for part in of:
                yield from _wanted(part)
        case Word() | Prefix() | Phrase():
            yield tree
