"""What a query may have meant that finds nothing: words that facts have, in place of those that none has."""

from collections.abc import Iterator, Mapping
from itertools import islice

from engine import Phrase, Word, World
from worlds.graph.search.query import All, Other, Query, Some, leaves
from worlds.graph.search.spelling import near
from worlds.graph.search.terms import Terms

_CONNECTING = ("and", "or", "not")
"""Words that may be meant as operators: what they exclude must not be found by a correction of them."""
WORDS = 10
"""Words of a query that are corrected."""


def corrections(graph: World, terms: Terms, tree: Query) -> dict[str, list[str]]:
    """Of each word that no fact has, those that may have been meant."""
    meant = {word: near(graph, word, terms.has) for word in islice(_unknown(terms, tree), WORDS)}
    return {word: better for word, better in meant.items() if better}


def mended(tree: Query, by: Mapping[str, list[str]]) -> Query:
    """A query with these words in place of others."""
    match tree:
        case Word(word):
            return Some(tuple(map(Word, by[word]))) if word in by else tree
        case Phrase(parts):
            return Phrase(tuple(by.get(word, [word])[0] for word in parts))
        case All(of):
            return All(tuple(mended(part, by) for part in of))
        case Some(of):
            return Some(tuple(mended(part, by) for part in of))
        case Other(part):
            return Other(mended(part, by))
    return tree


def _unknown(terms: Terms, tree: Query) -> Iterator[str]:
    for leaf in leaves(tree):
        parts = (leaf.text,) if isinstance(leaf, Word) else leaf.words if isinstance(leaf, Phrase) else ()
        yield from (word for word in parts if word not in _CONNECTING and not terms.has(word))
