"""An overview: published facts of known graphs, and what is odd in a graph."""

from itertools import pairwise

import networkx as nx
import pytest

from engine.types import LOCAL
from tests.worlds.graph.telling import Make, call, facts_of, karate, told, value
from worlds.graph.facts import alias, entity, observation, relation
from worlds.graph.pictures.picture import whole
from worlds.graph.survey.overview import overview
from worlds.graph.survey.structure import held, ranks
from worlds.graph.survey.summary import Overview
from worlds.graph.view import View


def test_karate_club_has_its_two_leaders_as_hubs_and_four_communities(dispatcher_of: Make) -> None:
    club = karate()
    club.add_nodes_from(sorted(club))
    found = value(told(dispatcher_of, facts_of(club)), "overview")
    assert (found["entities"], found["relations"], found["observations"]) == (34, 78, 0)
    assert [hub["name"] for hub in found["hubs"]["entities"][:5]] == ["34", "1", "33", "3", "2"]
    assert [hub["score"] for hub in found["hubs"]["entities"][:2]] == pytest.approx([0.1009, 0.0970], abs=1e-3)
    assert found["hubs"]["exact"] and found["communities"]["exact"] and found["holding"]["exact"]
    assert found["communities"]["count"] == 4  # Louvain's answer in the literature, of modularity 0.41
    leaders = {name for group in found["communities"]["largest"] for name in group["foremost"][:1]}
    assert {"1", "34"} <= leaders
    assert [(one["one"], one["other"]) for one in found["holding"]["bridges"]] == [("1", "12")]
    assert [joint["name"] for joint in found["holding"]["joints"]] == ["1"]


def test_les_miserables_is_about_valjean_and_myriel_holds_his_household_on(dispatcher_of: Make) -> None:
    found = value(told(dispatcher_of, facts_of(nx.les_miserables_graph(), relates="meets")), "overview")
    assert (found["entities"], found["relations"], found["components"]) == (77, 254, 1)
    assert [hub["name"] for hub in found["hubs"]["entities"][:2]] == ["Valjean", "Myriel"]
    assert found["hubs"]["entities"][0]["neighbours"] == 36
    assert found["holding"]["bridge_count"] == 18
    assert {joint["name"] for joint in found["holding"]["joints"]} >= {"Valjean", "Myriel"}
    assert found["types"]["patterns"] == [
        {"source_type": "person", "relation_type": "meets", "target_type": "person", "count": 254}
    ]


def test_florentine_families_are_held_together_by_the_medici(dispatcher_of: Make) -> None:
    found = value(told(dispatcher_of, facts_of(nx.florentine_families_graph(), relates="married")), "overview")
    assert (found["entities"], found["relations"]) == (15, 20)
    assert found["hubs"]["entities"][0]["name"] == "Medici"
    bridges = {(one["one"], one["other"], one["cut_off"]) for one in found["holding"]["bridges"]}
    assert (
        bridges
        == {
            ("Medici", "Acciaiuoli", 1),
            ("Acciaiuoli", "Medici", 1),
            ("Medici", "Salviati", 2),
            ("Salviati", "Pazzi", 1),
            ("Albizzi", "Ginori", 1),
            ("Guadagni", "Lamberteschi", 1),
        }
        & bridges
    )
    assert len(bridges) == found["holding"]["bridge_count"] == 5
    assert {joint["name"] for joint in found["holding"]["joints"]} == {"Medici", "Salviati", "Albizzi", "Guadagni"}


def test_what_is_odd_in_a_graph_is_told(dispatcher_of: Make) -> None:
    dispatcher = told(
        dispatcher_of,
        [
            entity("Ada", "person"),
            entity("Ada", "person"),
            observation("Ada", "writes programs"),
            entity("Countess", "person"),
            alias("Countess", "Ada"),
            relation("Ada", "knows", "Babbage"),
            relation("Countess", "knows", "Babbage"),
            relation("Ada", "admires", "Ada"),
            entity("Stone", "thing"),
            relation("Stone", "is", "Stone"),
        ],
    )
    found = value(dispatcher, "overview")
    assert (found["entities"], found["relations"], found["facts"]) == (2, 3, 10)
    assert found["orphans"] == {"count": 1, "names": ["Stone"]}
    assert found["dangling"] == {"count": 1, "names": ["Babbage"]}
    assert found["types"]["patterns"][-1]["target_type"] in (None, "thing")
    assert {hub["name"]: hub["type"] for hub in found["hubs"]["entities"]} == {"Ada": "person", "Babbage": None}
    assert [(one["one"], one["other"], one["relation_types"]) for one in found["holding"]["bridges"]] == [
        ("Ada", "Babbage", ["knows"])
    ]


def test_empty_graph_has_an_overview_and_a_past_one_too(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("Ada", "person"), relation("Ada", "knows", "Babbage")])
    call(dispatcher, "tell", facts=[entity("Babbage", "person"), entity("Byron", "poet")])
    first, now = value(dispatcher, "overview", as_of=2), value(dispatcher, "overview")
    assert (first["entities"], first["dangling"]["count"], first["revision"]) == (1, 1, 2)
    assert (now["entities"], now["dangling"]["count"], now["revision"]) == (3, 0, 3)
    assert value(dispatcher, "overview", as_of=1)["entities"] == 0


def test_overview_reads_what_held_then(dispatcher_of: Make) -> None:
    held = {"valid_from": "2020-01-01T00:00:00.000000+00:00", "valid_to": "2021-01-01T00:00:00.000000+00:00"}
    dispatcher = told(dispatcher_of, [entity("Ada", "person"), relation("Ada", "works_at", "Mill", **held)])
    assert value(dispatcher, "overview")["relations"] == 0
    assert value(dispatcher, "overview", valid_at="2020-06-01")["relations"] == 1


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_large_graph_is_answered_from_a_sample_that_says_so_and_is_always_the_same(dispatcher_of: Make) -> None:
    cliques = nx.connected_caveman_graph(170, 10)  # 7,650 pairs
    dispatcher = told(dispatcher_of, [relation(f"c{one}", "near", f"c{other}") for one, other in cliques.edges])
    found = value(dispatcher, "overview")
    assert found["communities"]["how"].startswith("Louvain, on a sample: ") and not found["communities"]["exact"]
    assert found["communities"]["largest"][0]["size"] >= 10
    assert found["hubs"]["exact"] and found["holding"]["exact"]
    call(dispatcher, "tell", facts=[observation("c1", "is near")])
    again = value(dispatcher, "overview")
    assert again["communities"] == found["communities"] and again["hubs"] == found["hubs"]


def test_what_would_take_too_long_is_worked_out_in_part() -> None:
    small, large = [[1], [0]], nx.connected_caveman_graph(20, 5)
    neighbours = [*small, *([to + 2 for to in large[place]] for place in large)]
    found = held(neighbours, most=100)
    assert (found.bridges, found.skipped, found.exact) == ([(0, 1, 1)], 100, False)
    assert held(neighbours).exact
    hasty, calm = ranks(neighbours, steps=1), ranks(neighbours)
    assert (hasty.rounds, hasty.exact, calm.exact) == (2, False, True)


@pytest.mark.parametrize("seed", range(5))
def test_bridges_joints_and_ranks_are_those_of_networkx(seed: int) -> None:
    graph = nx.gnm_random_graph(40, 45, seed=seed)
    neighbours = [list(graph[place]) for place in graph]
    found = held(neighbours)
    assert {(one, other) for one, other, _ in found.bridges} == {tuple(sorted(edge)) for edge in nx.bridges(graph)}
    assert {place for place, _ in found.joints} == set(nx.articulation_points(graph))
    for one, other, cut_off in found.bridges:
        without = nx.restricted_view(graph, [], [(one, other)])
        sides = [len(nx.node_connected_component(without, end)) for end in (one, other)]
        assert cut_off == min(sides)
    scores = ranks(neighbours)
    assert sum(scores.scores) == pytest.approx(1)
    for place, score in enumerate(scores.scores):  # what PageRank is defined by
        passed_on = sum(scores.scores[one] / len(neighbours[one]) for one in neighbours[place])
        lost = sum(scores.scores[one] for one, to in enumerate(neighbours) if not to)
        assert score == pytest.approx(0.15 / 40 + 0.85 * (passed_on + lost / 40), abs=5e-5)


def test_overview_can_be_read(dispatcher_of: Make) -> None:
    line = [entity(name, "stop") for name in "abc"] + [relation(one, "next", other) for one, other in pairwise("abc")]
    text = call(told(dispatcher_of, line), "overview").content[0]["text"]
    assert isinstance(text, str)
    assert "3 entities, 0 observations, 2 relations" in text
    assert "stop --next--> stop: 2" in text
    assert "Articulation points: 1 (exact: all components)\n  b: joins 2 parts" in text


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_was_not_read_in_time_is_said_and_not_remembered(dispatcher_of: Make) -> None:
    facts = facts_of(nx.path_graph(30))
    dispatcher = told(dispatcher_of, [*facts, observation("1", "is near")])

    def within(seconds: float | None) -> Overview:
        return dispatcher.look(LOCAL, "graph", None, lambda graph: overview(View(graph), 5, seconds, page=10))

    def drawn(seconds: float | None) -> str:
        return dispatcher.look(LOCAL, "graph", None, lambda graph: whole(View(graph), seconds, page=10))

    hasty = within(0)
    assert (hasty.exact, hasty.entities, hasty.relations, hasty.observations) == (False, 30, 29, 1)
    assert hasty.how == ("time was short, so types and all below are of what was told first: 10 of 29 relations")
    assert [pattern.count for pattern in hasty.types.patterns] == [9, 1]
    assert "11 names, 10 relations" in drawn(0) and "no time to read all of the graph" in drawn(0)
    calm = within(None)
    assert (calm.exact, calm.how) == (True, "the whole graph was read")
    assert within(0) == calm and "30 names, 29 relations" in drawn(0) and "no time" not in drawn(0)
