"""Which of the entities that fit a query are the best: by what fits, and by name where that is equal."""

from collections.abc import Collection, Iterator
from heapq import nlargest, nsmallest
from itertools import islice, product
from typing import Any, NamedTuple

from engine import Phrase, Prefix, Word
from worlds.graph.facts import Fact, Kind, words
from worlds.graph.search.matching import Matches
from worlds.graph.search.query import All, Query, Some, words_of
from worlds.graph.view import View

NAMES = 100
"""Names that alternatives within each other may make up."""


class Match(NamedTuple):
    """An entity that fits."""

    node: int
    name: str
    type: str


def called(tree: Query) -> frozenset[str]:
    """The words of a name that is just what is looked for; of alternatives, those of each."""
    match tree:
        case All(of):
            each = product(*(sorted(called(part)) or [""] for part in of))
            return frozenset(" ".join(filter(None, some)) for some in islice(each, NAMES)) - {""}
        case Some(of):
            return frozenset[str]().union(*map(called, of))
        case Word() | Prefix() | Phrase():
            return frozenset({" ".join(words_of(tree))})
    return frozenset()


def best(view: View, found: Matches, called: Collection[str], most: int) -> list[Match]:
    """The best entities: first those whose names have just such words, then by how well they fit, then by name.

    Names are read of those alone that may be among them.
    """
    exact = {node for hits in found.hits for node, name in hits.names if words(name) in called} | found.called
    scores = dict.fromkeys(found.entities, 0.0)
    for hits in found.hits:
        for node in scores.keys() & hits.scores.keys():
            scores[node] += hits.scores[node]
    worst = min(nlargest(most, scores.values()), default=0.0)
    likely = [node for node, score in scores.items() if score >= worst or node in exact]

    def place(match: Match) -> tuple[Any, ...]:
        return (match.node not in exact, -scores[match.node], match.name, match.node)

    return nsmallest(most, _entities(view, likely), key=place)


def _entities(view: View, nodes: Collection[int]) -> Iterator[Match]:
    """What entities are called, and what they are; a name's own type counts more than that of its aliases."""
    rows = view.about(Fact.node, Fact.subject, Fact.type, nodes=view.all_names(nodes), kind=Kind.ENTITY)
    told: dict[int, Match] = {}
    for number, name, type in sorted(rows, key=lambda row: row[0] in view.aliases):
        stands = view.standing_for(number, name)
        told.setdefault(stands.node, Match(stands.node, stands.name, type))
    yield from told.values()
