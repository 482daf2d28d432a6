"""Neighbours, paths and parts of graphs: against networkx on the same graphs, and against what is published of some."""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import action
from engine.errors import InvalidArguments, Refused
from engine.operations import Call
from engine.types import LOCAL
from tests.worlds.graph.telling import Make, Telling, call, facts_of, karate, told, value
from tests.worlds.graph.test_exchange import taken_in
from worlds.graph.facts import Fact, Import, alias, entity, observation, relation
from worlds.graph.view import View
from worlds.graph.walks.indexing import Pace, index_of
from worlds.graph.walks.reach import Bounds, Stopped, shortest
from worlds.graph.walks.several import Ends, cheapest_ways, shortest_ways
from worlds.graph.walks.walking import Near, far
from worlds.graph.walks.ways import Direction, Ways

NODES = [f"n{number}" for number in range(8)]
EDGES = st.lists(
    st.tuples(
        st.sampled_from(NODES), st.sampled_from("ab"), st.sampled_from(NODES), st.sampled_from([None, 0, 1, 2.5])
    ),
    max_size=25,
)


class Indexed(Telling, name="graph", rows=[Fact, Import]):
    """A graph that tells how it is walked."""

    @action(read_only=True)
    def index(self, most: int = 1_000, page: int = 1_000, seconds: float = 60) -> int | None:
        """How many relations the index has, if it is whole."""
        pace = Pace(most, page, seconds)
        index, view = index_of(self, pace), View(self)
        for ways in (Ways(), Ways(Direction.OUT), Ways(Direction.IN, frozenset("a"))):
            numbers = {number for step in view.select(Fact.node, Fact.target) for number in step}
            (reading,) = far(view, ways, pace=pace)
            assert sorted(reading(numbers), key=repr) == sorted(Near(view, ways)(numbers), key=repr)
        return None if index is None else len({step[2] for step in index.steps(numbers, Ways(), view.valid_at)})


def names(found: Any) -> dict[str, int]:
    return {one["name"]: one["distance"] for one in found["neighbours"]}


def oracle(edges: Iterable[Any], direction: str, types: list[str] | None) -> nx.DiGraph:
    """What networkx is asked: the steps there are, each at its least cost."""
    graph = nx.DiGraph()
    graph.add_nodes_from(NODES)
    for one, type, other, weight in edges:
        cost = 1 if weight is None else weight
        for source, target, goes in ((one, other, direction != "in"), (other, one, direction != "out")):
            if goes and (types is None or type in types):
                known = graph.get_edge_data(source, target, {"cost": math.inf})["cost"]
                graph.add_edge(source, target, cost=min(cost, known))
    return graph


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    edges=EDGES,
    more=EDGES,
    direction=st.sampled_from(["out", "in", "both"]),
    types=st.sampled_from([None, ["a"], ["b", "none"]]),
    depth=st.integers(1, 5),
    k=st.integers(1, 6),
)
def test_walks_agree_with_networkx(
    dispatcher_of: Make, edges: Any, more: Any, direction: str, types: Any, depth: int, k: int
) -> None:
    dispatcher = dispatcher_of(Telling)
    dispatcher.start(LOCAL, "graph", main=True)
    call(dispatcher, "tell", facts=[entity(name, "node") for name in NODES])
    how = {"direction": direction, "types": types}
    so_far: list[Any] = []
    for some in (edges, more):  # the second time, what is in memory is brought forward
        call(dispatcher, "tell", facts=[relation(one, type, other, weight=w) for one, type, other, w in some])
        so_far += some
        graph = oracle(so_far, direction, types)
        lengths = dict(nx.single_source_shortest_path_length(graph, "n0", cutoff=depth))
        del lengths["n0"]
        assert names(value(dispatcher, "neighbours", name="n0", depth=depth, **how)) == lengths
        for weighted in (False, True):
            found = value(dispatcher, "paths", source="n0", target="n1", k=k, weighted=weighted, **how)
            agree(graph, found, k, weighted)


def agree(graph: nx.DiGraph, found: Any, k: int, weighted: bool) -> None:
    """Paths are of this graph, simple, no two alike, and as short or cheap as the first ones of networkx."""
    assert found["certain"]
    weight = "cost" if weighted else None
    ways = [tuple(path["names"]) for path in found["paths"]]
    assert len(set(ways)) == len(ways) and all(len(set(way)) == len(way) for way in ways)
    assert all(graph.has_edge(*pair) for way in ways for pair in pairwise(way))
    all_ways = nx.all_simple_paths(graph, "n0", "n1")
    best = sorted(nx.path_weight(graph, way, "cost") if weighted else len(way) - 1 for way in all_ways)[:k]
    assert [path["cost"] if weighted else path["length"] for path in found["paths"]] == pytest.approx(best)
    assert all(weight is None or path["cost"] is not None for path in found["paths"])


def test_karate_club_members_are_as_near_as_the_paper_has_them(dispatcher_of: Make) -> None:
    club = karate()
    dispatcher = told(dispatcher_of, facts_of(club))
    found = value(dispatcher, "neighbours", name="34", limit=5)
    assert (found["total"], len(found["neighbours"]), found["left_out"]) == (17, 5, 12)
    in_order = [str(one + other - 34) for one, other in club.edges if 34 in (one, other)]
    assert [one["name"] for one in found["neighbours"]] == in_order[:5]
    rest = value(dispatcher, "neighbours", name="34", limit=50, cursor=None)["neighbours"]
    again = value(dispatcher, "neighbours", name="34", limit=5, cursor=found["next"])
    assert again["neighbours"] == rest[5:10] and again["left_out"] == 7
    everybody = value(dispatcher, "neighbours", name="17", depth=5, limit=500)
    assert names(everybody) == {str(n): d for n, d in nx.single_source_shortest_path_length(club, 17).items() if d}
    found = value(dispatcher, "paths", source="17", target="34", k=3)
    assert [path["length"] for path in found["paths"]] == [4, 4, 4] and found["certain"]
    text = call(dispatcher, "paths", source="17", target="1").content[0]["text"]
    assert text.startswith("2 relations: 17 ←knows– ") and text.endswith(" 1")


def test_valjean_knows_whom_hugo_has_him_meet_and_the_closest_by_how_often(dispatcher_of: Make) -> None:
    novel = nx.les_miserables_graph()
    people = [entity(name, "person") for name in novel]
    met = [relation(one, "meets", other, weight=1 / often) for one, other, often in novel.edges(data="weight")]
    dispatcher = told(dispatcher_of, [*people, *met])
    assert value(dispatcher, "neighbours", name="Valjean")["total"] == 36
    for one, other in (("Napoleon", "Gavroche"), ("Myriel", "MmeHucheloup"), ("Cravatte", "Brujon")):
        for edge in novel.edges.values():
            edge["cost"] = 1 / edge["weight"]
        found = value(dispatcher, "paths", source=one, target=other, weighted=True, k=3)
        ways = nx.shortest_simple_paths(novel, one, other, weight="cost")
        costs = [nx.path_weight(novel, way, "cost") for way, _ in zip(ways, range(3), strict=False)]
        assert [path["cost"] for path in found["paths"]] == pytest.approx(costs)


ODD = [
    entity("Ann", "person"),
    entity("Ann", "person"),
    entity("Anna", "human"),
    entity("Ben", "person"),
    relation("Ann", "likes", "Ann"),
    relation("Ann", "knows", "Ben"),
    relation("Ben", "knows", "Ann"),
    relation("Ann", "likes", "Ben"),
    relation("Ben", "visited", "Atlantis"),
    relation("Anna", "knows", "Ben"),
    alias("Anna", "Ann"),
    observation("Ann", "tall"),
    observation("Anna", "kind"),
]


def test_what_is_odd_in_a_graph_is_walked_through_all_the_same(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, ODD)
    found = value(dispatcher, "neighbours", name="Anna", depth=2)
    assert (found["name"], found["entityType"], found["total"]) == ("Ann", "person", 2)
    ben, atlantis = found["neighbours"]  # who likes herself is no neighbour of hers
    assert (ben["name"], ben["distance"], ben["relation"]["relationType"], ben["others"]) == ("Ben", 1, "knows", 3)
    assert (atlantis["name"], atlantis["entityType"], atlantis["distance"]) == ("Atlantis", None, 2)
    assert value(dispatcher, "neighbours", name="Atlantis")["neighbours"][0]["name"] == "Ben"
    path = value(dispatcher, "paths", source="Atlantis", target="Anna")["paths"][0]
    assert path["names"] == ["Atlantis", "Ben", "Ann"]
    assert [(hop["relation"]["from"], hop["others"]) for hop in path["hops"]] == [("Ben", 0), ("Ann", 2)]
    itself = value(dispatcher, "paths", source="Anna", target="Ann", k=3)
    assert [path["names"] for path in itself["paths"]] == [["Ann"]] and itself["certain"]
    none = call(dispatcher, "paths", source="Atlantis", target="Ann", direction="out")
    assert none.value["paths"] == [] and none.value["certain"]
    assert none.content[0]["text"] == "There is no such path from Atlantis to Ann, certainly."
    short = value(dispatcher, "paths", source="Atlantis", target="Ann", max_length=1)
    assert short["paths"] == [] and short["certain"]
    part = value(dispatcher, "subgraph", names=["Anna", "Nobody"], depth=2)
    assert [one["name"] for one in part["entities"]] == ["Ann", "Ben", "Atlantis"]
    told_of = [(one["from"], one["relationType"], one["to"]) for one in part["relations"]]
    assert told_of.count(("Ann", "knows", "Ben")) == 1 and ("Ann", "likes", "Ann") in told_of and len(told_of) == 5
    assert part["unknown"] == ["Nobody"]


def test_the_cheapest_counts_of_relations_that_are_equal_by_an_alias(dispatcher_of: Make) -> None:
    people = [entity("Ann", "person"), entity("Ben", "person"), entity("Benny", "person")]
    known = [relation("Ann", "knows", "Ben", weight=5), relation("Ann", "knows", "Benny", weight=2)]
    dispatcher = told(dispatcher_of, [*people, *known, alias("Benny", "Ben")])
    path = value(dispatcher, "paths", source="Ann", target="Ben", weighted=True)["paths"][0]
    assert path["cost"] == path["hops"][0]["relation"]["weight"] == 2


def test_of_paths_that_are_as_good_the_same_come_first_in_the_past(dispatcher_of: Make) -> None:
    over = [f"m{number}" for number in range(6)]
    ways = [relation(*ends) for one in over for ends in (("z", "r", one), (one, "r", "a"))]
    dispatcher = told(dispatcher_of, [entity(name, "node") for name in ("a", "z", *over)])
    call(dispatcher, "tell", facts=ways[::-1])  # 3
    how = {"source": "z", "target": "a", "k": 4}
    now = [value(dispatcher, "paths", weighted=weighted, as_of=3, **how)["paths"] for weighted in (False, True)]
    call(dispatcher, "tell", facts=[entity("b", "node")])
    assert now == [value(dispatcher, "paths", weighted=weighted, as_of=3, **how)["paths"] for weighted in (False, True)]


def test_a_walk_is_through_what_was_recorded_and_held(dispatcher_of: Make) -> None:
    then = {"valid_from": "2020-01-01T00:00:00.000000+00:00", "valid_to": "2021-01-01T00:00:00.000000+00:00"}
    dispatcher = told(dispatcher_of, [entity(name, "town") for name in "ABC"])  # revision 2
    call(dispatcher, "tell", facts=[relation("A", "road", "B"), relation("B", "road", "C", **then)])  # 3

    def length(**when: Any) -> int | None:
        found = value(dispatcher, "paths", source="A", target="C", **when)["paths"]
        assert bool(found) == ("C" in names(value(dispatcher, "neighbours", name="A", depth=2, **when)))
        return found[0]["length"] if found else None

    assert [length(), length(valid_at="2020-06-01"), length(valid_at="2021")] == [None, 2, None]
    call(dispatcher, "tell", facts=[relation("A", "rail", "C")])  # 4
    assert [length(), length(as_of=3), length(as_of=3, valid_at="2020")] == [1, None, 2]
    call(dispatcher, "delete_relations", relations=[{"from": "A", "to": "C", "relationType": "rail"}])  # 5
    assert [length(), length(as_of=4)] == [None, 1]
    session = dispatcher.main(LOCAL, "graph")
    for way, expected in (("undo", 1), ("redo", None), ("undo", 1), ("undo", None), ("redo", 1)):
        dispatcher.dispatch(Call(principal=LOCAL, world="graph", action=way, session=session))
        assert length() == expected
    assert [length(as_of=3), length(as_of=4), length(as_of=5)] == [None, 1, None]


def test_an_unknown_name_is_refused_with_likely_ones(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("Marie Curie", "person"), entity("Pierre Curie", "person")])
    for tool, arguments in (
        ("neighbours", {"name": "Mary Curie"}),
        ("paths", {"source": "marie curie", "target": "Pierre Curie"}),
        ("subgraph", {"names": ["Maria Curie"]}),
    ):
        with pytest.raises(Refused, match=r"Nothing in the graph is called") as refused:
            value(dispatcher, tool, **arguments)
        assert refused.value.rule == "no_such_name" and "'Marie Curie'" in str(refused.value.hint)
    with pytest.raises(Refused) as refused:
        value(dispatcher, "neighbours", name="%_ \\ 'ß")
    assert "search" in str(refused.value.hint)


def test_a_page_goes_on_in_the_graph_as_it_was(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("hub", "thing"), *(relation("hub", "has", f"n{n}") for n in range(9))])
    page = value(dispatcher, "neighbours", name="hub", limit=4)
    call(dispatcher, "delete_relations", relations=[{"from": "hub", "relationType": "has", "to": "n5"}])
    second = value(dispatcher, "neighbours", name="hub", limit=4, cursor=page["next"])
    third = value(dispatcher, "neighbours", name="hub", limit=4, cursor=second["next"])
    assert [one["name"] for each in (page, second, third) for one in each["neighbours"]] == [f"n{n}" for n in range(9)]
    assert third["next"] is None and third["left_out"] == 0
    for cursor, name in ((page["next"], "n1"), ("nonsense", "hub"), ("é", "hub"), ("W10", "hub")):
        with pytest.raises(Refused) as refused:
            value(dispatcher, "neighbours", name=name, cursor=cursor)
        assert refused.value.rule == "other_cursor"
    only = value(dispatcher, "neighbours", name="hub", entity_types=["thing"])
    assert only["total"] == 0


def test_a_weight_that_is_no_cost_is_refused(dispatcher_of: Make) -> None:
    bad = relation("B", "road", "C", weight=-1)
    dispatcher = told(dispatcher_of, [relation("A", "road", "B", weight=2), bad, relation("A", "rail", "C")])
    assert value(dispatcher, "paths", source="A", target="C")["paths"][0]["length"] == 1
    with pytest.raises(Refused, match=r"B –road→ C has the weight -1, which is no cost") as refused:
        value(dispatcher, "paths", source="A", target="C", weighted=True)
    assert refused.value.rule == "no_cost"
    found = value(dispatcher, "paths", source="A", target="C", weighted=True, types=["rail"])
    assert found["paths"][0]["cost"] == 1  # what has no weight costs 1
    with pytest.raises(InvalidArguments):
        value(dispatcher, "paths", source="A", target="C", k=11)


def test_a_part_of_a_graph_says_what_it_leaves_out_and_comes_in_formats(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, facts_of(karate()))
    part = value(dispatcher, "subgraph", names=["1"], limit=5)
    assert [one["name"] for one in part["entities"]] == ["1", "2", "3", "4", "5"]
    club = karate()
    here = {1, 2, 3, 4, 5}
    assert part["left_out"] == {"entities": 12, "relations": len(list(nx.edge_boundary(club, here)))}
    assert len(part["relations"]) == club.subgraph(here).number_of_edges()
    alone = value(dispatcher, "subgraph", names=["1", "2", "17"], depth=0)
    assert [(one["from"], one["to"]) for one in alone["relations"]] == [("1", "2")]
    for format, begins in (
        ("mermaid", "graph LR"),
        ("dot", "digraph"),
        ("jsonl", '{"type":"entity"'),
        ("gexf", "<?xml"),
    ):
        found = value(dispatcher, "subgraph", names=["1", "2"], depth=0, format=format)
        assert found["text"].startswith(begins) and found["entities"] == []
    text = call(dispatcher, "subgraph", names=["1"], limit=2).content[0]["text"]
    assert "Left out: 15 entities, and 23 relations with what is not shown." in text


def test_a_search_that_comes_to_too_much_stops_and_says_so() -> None:
    def ring(numbers: Iterable[int]) -> Any:
        return ((one, (one + way) % 1_000, one, None) for one in numbers for way in (1, -1))

    assert len(shortest(0, 400, ring, ring, Bounds(2_000, 60)) or ()) == 401
    with pytest.raises(Stopped, match="after 101 names, which is as many as one search may come to"):
        shortest(0, 400, ring, ring, Bounds(100, 60))
    ticks = iter(range(1_000))
    with pytest.raises(Stopped, match=r"and 7 s, which is as long"):
        list(cheapest_ways(Ends(0, 400, ring, ring), 1, Bounds(2_000, 7, lambda: float(next(ticks))), None))
    ways = shortest_ways(Ends(0, 400, ring, ring), 2, Bounds(900, 60), None)
    assert len(next(ways)) == 401  # what was found before it stopped is right
    with pytest.raises(Stopped):
        next(ways)


def test_a_part_is_around_what_a_search_finds(dispatcher_of: Make) -> None:
    people = [entity("Ada", "person"), entity("Ben", "person"), entity("Cid", "person"), entity("Town", "place")]
    seen = [observation(name, text) for name, text in (("Ada", "likes maps"), ("Ben", "a maps maps man"))]
    dispatcher = told(dispatcher_of, [*people, *seen, relation("Ada", "knows", "Cid"), relation("Town", "has", "Ben")])
    part = value(dispatcher, "subgraph", query="maps type:person", depth=0)
    assert {one["name"] for one in part["entities"]} == {"Ada", "Ben"} and part["found"] == 2
    assert part["left_out"] == {"entities": 0, "relations": 2}
    order = [hit["name"] for hit in value(dispatcher, "search", query="maps")["results"]]
    assert [one["name"] for one in value(dispatcher, "subgraph", query="maps")["entities"]][:2] == order
    only = call(dispatcher, "subgraph", query="maps", limit=1)
    assert [one["name"] for one in only.value["entities"]] == order[:1] and only.value["found"] == 2
    assert "2 entities fit the query; this starts at the best of them." in only.content[0]["text"]
    assert value(dispatcher, "subgraph", query="mpas", depth=0)["corrected"] == {"mpas": ["maps"]}
    none = call(dispatcher, "subgraph", query="xylophone")
    assert (none.value["found"], none.value["entities"], none.value["relations"]) == (0, [], [])
    assert none.content[0]["text"] == "No entity fits the query."
    for arguments, wrong in (
        ({}, "neither names nor a query"),
        ({"names": ["Ada"], "query": "maps"}, "both names and"),
    ):
        with pytest.raises(Refused, match=wrong) as refused:
            value(dispatcher, "subgraph", **arguments)
        assert refused.value.rule == "names_or_query" and "search takes it" in str(refused.value.hint)


def test_an_index_is_read_in_pages_while_the_graph_changes_and_kept(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Indexed)
    ring = [(f"n{n}", "ab"[n % 2], f"n{(n + 1) % 10}") for n in range(10)]
    call(dispatcher, "tell", facts=[relation(*one, weight=n or None) for n, one in enumerate(ring)])  # 2
    slow = {"page": 1, "seconds": 0}  # each call asks for the index four times, and each of these reads a page
    assert value(dispatcher, "index", most=9) is None  # too many: it is walked in the database
    assert value(dispatcher, "index", **slow) is None
    call(dispatcher, "tell", facts=[relation("n3", "a", "n3"), relation("n9", "b", "new")])
    call(dispatcher, "delete_relations", relations=[{"from": "n8", "relationType": "a", "to": "n9"}])
    assert [value(dispatcher, "index", **slow) for _ in range(3)] == [None, None, 11]
    session = dispatcher.main(LOCAL, "graph")
    for way, many in (("undo", 12), ("undo", 10), ("redo", 12), ("redo", 11)):
        dispatcher.dispatch(Call(principal=LOCAL, world="graph", action=way, session=session))
        assert value(dispatcher, "index", **slow) == many
    taken_in(dispatcher, text="source,target,type\nn0,n5,a\nn5,far,b\n", format="csv")
    whole = [value(dispatcher, "index", **slow) for _ in range(5)]
    assert set(whole) <= {None, 13} and whole[-1] == 13
    assert names(value(dispatcher, "neighbours", name="n0", depth=2))["far"] == 2
    dispatcher.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=session))
    assert [value(dispatcher, "index", **slow) for _ in range(5)][-1] == 11
    assert "far" not in names(value(dispatcher, "neighbours", name="n0", depth=5))


def test_a_weight_that_is_no_number_is_never_kept(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("A", "town"), relation("A", "road", "B", weight=0.0)])
    for weight in (float("nan"), float("inf"), -float("inf")):
        fact = {"kind": "relation", "from": "A", "relationType": "road", "to": "C", "weight": weight}
        with pytest.raises(InvalidArguments):
            call(dispatcher, "assert_facts", facts=[fact])
    table = "source,target,type,weight\nA,C,road,nan\nA,D,road,inf\nA,E,road,-2\nB,A,road,1e308\nB,B,road,1e308\n"
    assert len(taken_in(dispatcher, text=table, format="csv").value["problems"]) == 2
    found = value(dispatcher, "paths", source="A", target="B", weighted=True, types=["road"], direction="in")
    assert found["paths"][0]["cost"] == 1e308 and found["certain"]
    with pytest.raises(Refused, match="A –road→ E has the weight -2"):
        value(dispatcher, "paths", source="A", target="E", weighted=True)
    assert value(dispatcher, "paths", source="A", target="E")["paths"][0]["length"] == 1


def test_cycles_and_the_edges_of_what_may_be_asked(dispatcher_of: Make) -> None:
    ring = [relation(f"n{n}", "next", f"n{(n + 1) % 12}") for n in range(12)]
    dispatcher = told(dispatcher_of, [*ring, relation("n0", "next", "n0"), entity("alone", "thing")])
    far_away = value(dispatcher, "neighbours", name="n0", depth=5, direction="out", limit=500)
    assert names(far_away) == {f"n{n}": n for n in range(1, 6)} and far_away["next"] is None
    assert value(dispatcher, "neighbours", name="alone")["neighbours"] == []
    page, seen = value(dispatcher, "neighbours", name="n0", depth=5, limit=1), 0
    while page["next"] is not None:
        seen += 1
        page = value(dispatcher, "neighbours", name="n0", depth=5, limit=1, cursor=page["next"])
    assert seen == 9 and page["left_out"] == 0
    once = value(dispatcher, "paths", source="n0", target="n6", k=10)
    assert [path["length"] for path in once["paths"]] == [6, 6] and once["certain"]
    assert value(dispatcher, "paths", source="n0", target="n6", k=10, max_length=5)["paths"] == []
    around = value(dispatcher, "paths", source="n1", target="n0", direction="out", weighted=True)
    assert (around["paths"][0]["length"], around["paths"][0]["cost"]) == (11, 11)
    nowhere = value(dispatcher, "paths", source="n0", target="alone")
    assert nowhere["paths"] == [] and nowhere["certain"]
    part = value(dispatcher, "subgraph", names=["n0", "alone"], depth=5, limit=500)
    assert len(part["entities"]) == 12 and len(part["relations"]) == 11
    assert part["left_out"] == {"entities": 0, "relations": 2}
    for tool, wrong in (
        ("neighbours", {"name": "n0", "depth": 0}),
        ("neighbours", {"name": "n0", "depth": 6}),
        ("neighbours", {"name": "n0", "limit": 0}),
        ("neighbours", {"name": "n0", "limit": 501}),
        ("neighbours", {"name": "n0", "types": []}),
        ("paths", {"source": "n0", "target": "n1", "k": 0}),
        ("paths", {"source": "n0", "target": "n1", "max_length": 101}),
        ("subgraph", {"names": []}),
        ("subgraph", {"query": "n0", "depth": 6}),
    ):
        with pytest.raises(InvalidArguments):
            value(dispatcher, tool, **wrong)
