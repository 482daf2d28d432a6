"""What a query may have meant that finds nothing: words and types of the graph in place of those that nothing has."""

from collections.abc import Iterator, Mapping

from engine import Phrase, Word
from worlds.graph.facts import words
from worlds.graph.search.matching import Search
from worlds.graph.search.query import All, Leaf, Other, Query, Some, Typed, leaves
from worlds.graph.search.spelling import MOST, near
from worlds.graph.view import View

_CONNECTING = ("and", "or", "not")
"""Words that may be meant as operators: what they exclude must not be found by a correction of them."""


def corrections(view: View, search: Search, tree: Query) -> dict[str, list[str]]:
    """Of each word and type that nothing has, as the query has it, those that may have been meant."""
    unknown = [leaf for leaf in leaves(tree) if not isinstance(leaf, Typed) or not search.has(leaf)]
    meant = {_typed(leaf.type): _types(view, search, leaf.type) for leaf in unknown if isinstance(leaf, Typed)}
    meant |= {word: near(view.graph, word) for word in _unknown_words(search, unknown)}
    return {what: better for what, better in meant.items() if better}


def mended(tree: Query, by: Mapping[str, list[str]]) -> Query:
    """A query with that in place."""
    match tree:
        case Word(word):
            return Some(tuple(map(Word, by[word]))) if word in by else tree
        case Phrase(parts):
            return Phrase(tuple(by.get(word, [word])[0] for word in parts))
        case Typed(type):
            return Some(tuple(map(Typed, by[_typed(type)]))) if _typed(type) in by else tree
        case All(of):
            return All(tuple(mended(part, by) for part in of))
        case Some(of):
            return Some(tuple(mended(part, by) for part in of))
        case Other(part):
            return Other(mended(part, by))
    return tree


def _unknown_words(search: Search, among: list[Leaf]) -> Iterator[str]:
    for leaf in among:
        parts = (leaf.text,) if isinstance(leaf, Word) else leaf.words if isinstance(leaf, Phrase) else ()
        yield from (word for word in parts if word not in _CONNECTING and not search.has(Word(word)))


def _types(view: View, search: Search, type: str) -> list[str]:
    """Types with the same words, be they written otherwise; or with one word that is like one of these."""
    if same := search.types(words(type)):
        return same
    return [found for called in _near(view, words(type).split()) for found in search.types(called)][:MOST]


def _near(view: View, parts: list[str]) -> Iterator[str]:
    """Words with one of them replaced by one that is like it."""
    for at, part in enumerate(parts):
        yield from (" ".join([*parts[:at], better, *parts[at + 1 :]]) for better in near(view.graph, part))


def _typed(type: str) -> str:
    return f"type:{type}"
