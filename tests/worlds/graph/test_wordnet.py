"""What is known of WordNet 3.0, asked of a part of it that was taken in from a file: against networkx on the files."""

import json
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import networkx as nx
import pytest
from typer.testing import CliRunner

from engine.application import opened
from engine.cli import app
from engine.dispatch import Dispatcher
from engine.settings import Settings
from tests.wordnet import FOLDER, Relation, Synset, relations, synsets, told, write_memory
from tests.worlds.graph.telling import value
from worlds.graph.facts import words

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir() and not os.environ.get("TURNKEEPER_REQUIRE_TOOLS"), reason="there is no WordNet (wordnet-base)"
)

EACH_NOUN, EACH_PAIR = 150, 4
"""Of so many nouns one is taken, with all that is above it, and of so many pairs of opposite adjectives one."""
UP = ("hypernym", "instance_hypernym")
TREE = (*UP, "hyponym", "instance_hyponym")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of WordNet: nouns with all that is above them, adjectives with their antonyms."""

    synsets: dict[str, Synset]
    relations: list[Relation]
    sample: list[str]

    def above(self) -> Any:
        """What leads up from nouns, for networkx."""
        return nx.DiGraph((one, other) for one, kind, other in self.relations if kind in UP)


@pytest.fixture(scope="module")
def part() -> Part:
    """The part of WordNet that is asked about, read by nothing of ours but the reader of its files."""
    found = synsets()
    assert (len(found), sum(len(synset.pointers) for synset in found.values())) == (117_659, 377_592)
    by_name = {synset.name: synset for synset in found.values()}
    assert len(by_name) == len(found)
    different = list(dict.fromkeys(relations(found)))
    nouns = [synset.name for synset in found.values() if synset.type == "noun"][::EACH_NOUN]
    sample = [*nouns, "dog.n.01", "cat.n.01", "domestic_cat.n.01"]
    opposed = _opposed([one for one in different if one[1] == "antonym" and by_name[one[0]].type == "adjective"])
    related = [*_tree(different, sample), *opposed]
    return Part({name: by_name[name] for one, _, other in related for name in (one, other)}, related, sample)


def _tree(different: list[Relation], sample: list[str]) -> list[Relation]:
    """What leads up from some nouns, and down again."""
    up = nx.DiGraph((one, other) for one, kind, other in different if kind in UP)
    kept = {*sample, *(above for name in sample for above in nx.descendants(up, name))}
    return [one for one in different if one[1] in TREE and one[0] in kept and one[2] in kept]


def _opposed(antonyms: list[Relation]) -> list[Relation]:
    """The antonyms of some pairs, both ways."""
    some = {"bad.a.01", "cold.a.01", *sorted({min(one, other) for one, _, other in antonyms})[::EACH_PAIR]}
    return [one for one in antonyms if min(one[0], one[2]) in some]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def graph(part: Part, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispatcher]:
    """A graph that took that part in as it is typed on a terminal."""
    folder = tmp_path_factory.mktemp("wordnet")
    url = request.getfixturevalue("postgres_server").fresh() if request.param == "postgresql" else None
    write_memory(folder / "wordnet.jsonl", part.synsets.values(), part.relations)
    others = [name for name in os.environ if name.startswith("TURNKEEPER_")]
    env = {**dict.fromkeys(others), "TURNKEEPER_DATA_DIR": str(folder), "TURNKEEPER_DATABASE_URL": url}
    typed = ["graph", "import", str(folder / "wordnet.jsonl"), "--json"]
    done = CliRunner(env=env).invoke(app, typed, prog_name="turnkeeper")
    count = {"entity": len(part.synsets), "observation": 2 * len(part.synsets), "relation": len(part.relations)}
    assert json.loads(done.stdout)["told"] == count, done.stderr
    with opened(Settings(auth="off", data_dir=folder, database_url=url)) as dispatcher:
        yield dispatcher


def ways(graph: Dispatcher, source: str, target: str, **how: Any) -> list[list[str]]:
    """The names on the paths between two synsets along what is above them."""
    found = value(graph, "paths", source=source, target=target, types=list(UP), **how)
    assert found["certain"]
    return [path["names"] for path in found["paths"]]


def test_a_dog_is_three_relations_from_a_cat(graph: Dispatcher) -> None:
    pets = ["dog.n.01", "domestic_animal.n.01", "domestic_cat.n.01", "cat.n.01"]
    beasts = ["dog.n.01", "canine.n.02", "carnivore.n.01", "feline.n.01", "cat.n.01"]
    assert ways(graph, "dog.n.01", "cat.n.01", k=2) == [pets, beasts]
    assert ways(graph, "cat.n.01", "dog.n.01", k=2) == [pets[::-1], beasts[::-1]]
    found = value(graph, "paths", source="dog.n.01", target="cat.n.01")["paths"][0]
    assert [hop["others"] for hop in found["hops"]] == [1, 1, 1]  # what is above says so, and what is below


def test_a_dog_is_eight_below_everything(graph: Dispatcher, part: Part) -> None:
    (shortest,) = ways(graph, "dog.n.01", "entity.n.01", direction="out")
    assert (shortest[1], len(shortest) - 1) == ("domestic_animal.n.01", 8)
    up = part.above()
    chance = random.Random(7)
    for name in chance.sample(part.sample, 25):
        (found,) = ways(graph, name, "entity.n.01", direction="out")
        assert len(found) == nx.shortest_path_length(up, name, "entity.n.01") + 1
        one, other = name, chance.choice(part.sample)
        (found,) = ways(graph, one, other)
        assert len(found) == nx.shortest_path_length(up.to_undirected(as_view=True), one, other) + 1


def test_what_is_above_and_below_is_as_networkx_has_it(graph: Dispatcher, part: Part) -> None:
    up = part.above()
    for name in random.Random(8).sample(part.sample, 10):
        found = value(graph, "neighbours", name=name, types=list(UP), direction="out", depth=5, limit=500)
        above = nx.single_source_shortest_path_length(up, name, 5)
        del above[name]
        assert {one["name"]: one["distance"] for one in found["neighbours"]} == above
    below = value(graph, "neighbours", name="animal.n.01", types=list(UP), direction="in", depth=5)
    assert below["total"] == len(nx.single_source_shortest_path_length(up.reverse(), "animal.n.01", 5)) - 1


def test_opposites_are_opposites_of_each_other(graph: Dispatcher, part: Part) -> None:
    pairs = {(one, other) for one, kind, other in part.relations if kind == "antonym"}
    assert ("good.a.01", "bad.a.01") in pairs and {(other, one) for one, other in pairs} == pairs
    sample = random.Random(9).sample(sorted(pairs), 10)
    for name in ("good.a.01", "hot.a.01", *(one for one, _ in sample)):
        leaving, reaching = (
            value(graph, "neighbours", name=name, types=["antonym"], direction=way)["neighbours"]
            for way in ("out", "in")
        )
        told = {other for one, other in pairs if one == name}
        assert {one["name"] for one in leaving} == {one["name"] for one in reaching} == told


def test_all_of_it_is_there(graph: Dispatcher, part: Part) -> None:
    seen = value(graph, "overview", top=50)
    assert seen["exact"] and (seen["entities"], seen["relations"]) == (len(part.synsets), len(part.relations))
    assert seen["hubs"]["exact"] and seen["components"] > 300  # adjectives with their opposites
    for name in ("dog.n.01", *random.Random(10).sample(sorted(part.synsets), 10)):
        assert value(graph, "open_nodes", names=[name])["entities"] == [told(part.synsets[name])]
    dogs = {name for name, synset in part.synsets.items() if {"dog", "dogs"} & heard(synset)}
    found = value(graph, "search", query="dog OR dogs", limit=100, detail="names")
    assert {one["name"] for one in found["results"]} == dogs and found["total"] == len(dogs) < 100


def heard(synset: Synset) -> set[str]:
    """The words by which a synset is found."""
    return set(words(synset.name, synset.gloss, *synset.words).split())
