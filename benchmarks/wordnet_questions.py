"""What is asked of a graph that has WordNet, and whether the answers are right: as networkx says of the same files."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import networkx as nx

from engine.types import Json
from tests.wordnet import Relation, Synset, relations, synsets

SEED, FAR = 3, 6
"""Synsets are distant that are so many relations apart, or more."""
NEAR, NEAREST = "dog.n.01", 10_000
"""The part of WordNet that a memory server is given: so many synsets, those nearest to this one."""
TOLD = 2
"""The revision at which a graph has all of it."""
_WORD = re.compile(r"[a-z]{4,}")

Arguments = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Question:
    """Calls of one tool. `arguments` makes those of a call; `right` says whether an answer is."""

    name: str
    tool: str
    arguments: Callable[[], Arguments]
    right: Callable[[Arguments, Any], bool]
    calls: int
    shared: bool = False
    """Whether the memory server has the tool, and a graph of the part that it is given knows the answer."""
    changed: bool = False
    """Whether each call comes just after somebody told something."""
    bounded: bool = False
    """Whether an answer may be a part of it, or a refusal where a server is short of time, which is counted."""


class WordNet:
    """All of it, and the part that a memory server is given."""

    def __init__(self) -> None:
        found = synsets()
        self.synsets: dict[str, Synset] = {synset.name: synset for synset in found.values()}
        self.relations: list[Relation] = list(dict.fromkeys(relations(found)))
        self.near = nx.Graph((one, other) for one, _, other in self.relations)
        nearest = (other for _, other in nx.bfs_edges(self.near, NEAR))
        self.part: dict[str, None] = dict.fromkeys([NEAR, *islice(nearest, NEAREST - 1)])
        self.types = {kind for _, kind, _ in self.relations}


def questions(wordnet: WordNet, calls: int) -> Sequence[Question]:
    """What is asked, in this order."""
    asking = _Asking(wordnet)
    few = max(3, calls // 5)
    return (
        Question("add_observations", "add_observations", asking.new, _added, calls, shared=True),
        Question("open_nodes", "open_nodes", asking.names, _opened, calls, shared=True),
        Question("search_nodes, a name", "search_nodes", asking.part_of_text, _found_name, few, shared=True),
        Question("search, mixed", "search", asking.query, _found_some, 2 * calls, bounded=True),
        Question("search, of the past", "search", asking.query_of_the_past, _found_some, calls, bounded=True),
        Question("neighbours", "neighbours", asking.name, asking.are_neighbours, calls),
        Question(f"paths, {FAR} and longer", "paths", asking.distant, asking.is_shortest, calls, bounded=True),
        Question(
            "paths, after a change", "paths", asking.distant, asking.is_shortest, calls, changed=True, bounded=True
        ),
        Question("overview", "overview", dict, _has_all(wordnet), 1, bounded=True),
    )


class _Asking:
    """Arguments by chance, the same ones in each run."""

    def __init__(self, wordnet: WordNet) -> None:
        self.wordnet = wordnet
        self.chance = random.Random(SEED)
        self.all, self.part = list(wordnet.synsets), list(wordnet.part)
        self.numbers = count()

    def name(self) -> Arguments:
        """One synset."""
        return {"name": self.chance.choice(self.all)}

    def names(self) -> Arguments:
        """One synset of the part, as open_nodes takes it."""
        return {"names": [self.chance.choice(self.part)]}

    def part_of_text(self) -> Arguments:
        """The name of a synset of the part."""
        return {"query": self.chance.choice(self.part)}

    def new(self) -> Arguments:
        """An observation that no synset of the part has."""
        told = f"was seen as number {next(self.numbers)}"
        return {"observations": [{"entityName": self.chance.choice(self.part), "contents": [told]}]}

    def query(self) -> Arguments:
        """What somebody who looks for a synset may type: each way in turn."""
        synset = self._with_words(2)
        one, other, *_ = self.chance.sample(_words(synset), 2)
        ways = (
            one,
            f"{one} {other}",
            f"{one} OR {other}",
            f'"{synset.words[0]}"',
            f"{one[:4]}* {other}",
            f"{one} type:{synset.type}",
            f"{one} NOT {self._with_words(1).name.partition('.')[0]}",
            one[:2] + one[3:],
        )
        return {"query": ways[next(self.numbers) % len(ways)]}

    def query_of_the_past(self) -> Arguments:
        """The same, of the graph as it was when all of it had just been told."""
        return {**self.query(), "as_of": TOLD}

    def _with_words(self, number: int) -> Synset:
        while True:
            synset = self.wordnet.synsets[self.chance.choice(self.all)]
            if len(_words(synset)) >= number:
                return synset

    def distant(self) -> Arguments:
        """Two synsets that are far from each other."""
        while True:
            one, other = self.chance.sample(self.all, 2)
            if self.distance(one, other) >= FAR:
                return {"source": one, "target": other}

    def distance(self, one: str, other: str) -> int:
        """How many relations apart two synsets are; 0 if nothing joins them."""
        near = self.wordnet.near
        if one not in near or other not in near or not nx.has_path(near, one, other):
            return 0
        return int(nx.shortest_path_length(near, one, other))

    def are_neighbours(self, asked: Arguments, answer: Any) -> bool:
        """Whether as many are near as WordNet has, but for itself."""
        near = self.wordnet.near
        expected = set(near[asked["name"]]) - {asked["name"]} if asked["name"] in near else set()
        return bool(answer["result"]["total"] == len(expected))

    def is_shortest(self, asked: Arguments, answer: Any) -> bool:
        """Whether a path is as short as networkx's."""
        expected = self.distance(str(asked["source"]), str(asked["target"]))
        return [path["length"] for path in answer["result"]["paths"]] == [expected]


def _words(synset: Synset) -> list[str]:
    """The words of what is said of a synset, but for short ones."""
    return sorted(set(_WORD.findall(synset.gloss.partition(";")[0].lower())))


def _added(asked: Any, answer: Any) -> bool:
    return bool(answer["results"][0]["addedObservations"] == asked["observations"][0]["contents"])


def _opened(asked: Any, answer: Any) -> bool:
    return bool([entity["name"] for entity in answer["entities"]] == asked["names"])


def _found_name(asked: Any, answer: Any) -> bool:
    return asked["query"] in (entity["name"] for entity in answer["entities"])


def _found_some(asked: Any, answer: Any) -> bool:
    """Whether something was found; of slips of the finger, or with words left out, it need not be."""
    query = str(asked["query"])
    return bool(answer["result"]["total"]) or "NOT" in query or query.isalpha()


def _has_all(wordnet: WordNet) -> Callable[[Arguments, Any], bool]:
    return lambda _, answer: bool(answer["result"]["entities"] == len(wordnet.synsets))
