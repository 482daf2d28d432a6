"""Facts with the time when they hold: told, taken back, superseded, merged, and their history."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, Refused
from engine.operations import Call
from engine.retention import prune
from engine.types import LOCAL
from tests.worlds.graph.telling import call, told, value
from worlds.graph import Graph
from worlds.graph.memory.entities import everything
from worlds.graph.view import View

Make = Callable[..., Dispatcher]
LIVES = "lives in"


def person(*names: str) -> list[dict[str, Any]]:
    return [{"kind": "entity", "name": name, "type": "person"} for name in names]


def lives(name: str, to: str, **more: Any) -> dict[str, Any]:
    return {"kind": "relation", "from": name, "type": LIVES, "to": to, **more}


def graph_at(graph: Dispatcher, valid_at: str | None = None, as_of: int | None = None) -> Any:
    def seen(world: Any) -> Any:
        return everything(View(world, as_of=as_of, valid_at=valid_at))

    return graph.look(LOCAL, "graph", None, seen)


def home(graph: Dispatcher, year: int, as_of: int | None = None) -> list[str]:
    found = graph_at(graph, f"{year}-06-01T00:00:00.000000+00:00", as_of)
    return [one["to"] for one in found["relations"] if one["relationType"] == LIVES]


def refusal(graph: Dispatcher, tool: str, **arguments: Any) -> str:
    with pytest.raises(Refused) as caught:
        call(graph, tool, **arguments)
    return f"{caught.value.rule}: {caught.value}"


def revision(graph: Dispatcher) -> int:
    return graph.now(LOCAL, graph.main(LOCAL, "graph")).revision


def way(graph: Dispatcher, operation: str) -> None:
    graph.dispatch(Call(principal=LOCAL, world="graph", action=operation, session=graph.main(LOCAL, "graph")))


def test_what_there_is_one_of_at_a_time_closes_what_was_before_and_both_are_found(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    first = value(graph, "assert_facts", facts=[lives("Ann", "Paris", valid_from="2010")], functional=[LIVES])
    then = revision(graph)
    second = value(graph, "assert_facts", facts=[lives("Ann", "Rome", valid_from="2020")])
    assert second["ended"] == [first["facts"][0]["id"]]
    assert [(one["to"], one["valid_to"][:4]) for one in second["adjusted"]] == [("Paris", "2020")]
    assert (home(graph, 2015), home(graph, 2021)) == (["Paris"], ["Rome"])
    assert (home(graph, 2021, as_of=then), home(graph, 2009)) == (["Paris"], [])
    between = value(graph, "assert_facts", facts=[lives("Ann", "Oslo", valid_from="2005")])
    assert between["facts"][0]["valid_to"][:4] == "2010" and between["ended"] == []
    value(graph, "assert_facts", facts=[lives("Ann", "Bonn", valid_from="2012", valid_to="2013")])
    assert [home(graph, year) for year in (2006, 2011, 2012, 2014, 2022)] == [
        ["Oslo"],
        ["Paris"],
        ["Bonn"],
        ["Paris"],
        ["Rome"],
    ]


def test_without_dates_what_is_new_holds_from_now_on(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    assert value(graph, "assert_facts", facts=[lives("Ann", "Paris")], functional=[LIVES])["declared"] == [LIVES]
    new = value(graph, "assert_facts", facts=[lives("Ann", "Rome")])
    assert [one["to"] for one in graph_at(graph)["relations"]] == ["Rome"]
    assert home(graph, 2000) == ["Paris"] and new["facts"][0]["valid_from"] is not None
    before = revision(graph)
    again = value(graph, "assert_facts", facts=[lives("Ann", "Rome")], functional=[LIVES])
    assert again["known"] == [new["facts"][0]["id"]] and again["declared"] == [] and revision(graph) == before


def test_the_memory_servers_tool_closes_what_was_before_too(dispatcher_of: Make) -> None:
    def relate(*pairs: tuple[str, str], type: str = LIVES) -> Any:
        relations = [{"from": one, "relationType": type, "to": other} for one, other in pairs]
        return value(graph, "create_relations", relations=relations)["relations"]

    graph = dispatcher_of(Graph)
    value(graph, "assert_facts", facts=[*person("Ann", "Annie"), lives("Ann", "Paris")], functional=[LIVES])
    value(graph, "merge", names=["Annie"], into="Ann")
    assert relate(("Ann", "Paris")) == []
    assert len(relate(("Annie", "Rome"), ("Annie", "Rome"))) == 1
    then = revision(graph)
    assert (home(graph, 2000), graph_at(graph)["relations"]) == (
        ["Paris"],
        [{"from": "Ann", "to": "Rome", "relationType": LIVES}],
    )
    value(graph, "assert_facts", facts=[lives("Ann", "Oslo", valid_from="2100")])
    assert len(relate(("Ann", "Bonn"))) == 1
    assert [home(graph, year) for year in (2000, 2099, 2101)] == [["Paris"], ["Bonn"], ["Oslo"]]
    assert home(graph, 2099, as_of=then) == ["Rome"]
    assert len(relate(("Bob", "Ann"), ("Bob", "Cid"), ("Bob", "Ann"), type="knows")) == 3
    assert "contradictory: Both 'Dot --lives in--> Paris'" in refusal(
        graph,
        "create_relations",
        relations=[{"from": "Dot", "to": to, "relationType": LIVES} for to in ("Paris", "Rome")],
    )
    way(graph, "undo")
    way(graph, "undo")
    assert [one["to"] for one in graph_at(graph)["relations"]] == ["Rome"]


def test_what_was_an_entity_before_is_another_from_now_on(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    value(graph, "assert_facts", facts=[{**person("Ann")[0], "valid_to": "2010"}])
    again = {"entities": [{"name": "Ann", "entityType": "ghost", "observations": ["pale"]}]}
    assert value(graph, "create_entities", **again) == again
    types = [graph_at(graph, at)["entities"] for at in (None, "2005-01-01T00:00:00.000000+00:00")]
    assert [[one["entityType"] for one in found] for found in types] == [["ghost"], ["person"]]


def test_one_call_cannot_say_two_things_of_one_time(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    both = [lives("Ann", "Paris", valid_from="2010"), lives("Ann", "Rome", valid_from="2010")]
    said = refusal(graph, "assert_facts", facts=both, functional=[LIVES])
    assert (
        "contradictory: Both 'Ann --lives in--> Paris' and 'Ann --lives in--> Rome' would hold from 2010-01-01" in said
    )
    undated = [lives("Ann", to) for to in ("Paris", "Rome")]
    assert "contradictory" in refusal(graph, "assert_facts", facts=undated, functional=[LIVES])


def test_what_stands_is_not_told_twice_and_what_is_added_to_it_is(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    facts = [*person("Ann"), {"kind": "observation", "name": "Ann", "text": "tall"}, lives("Ann", "Paris")]
    first = value(graph, "assert_facts", facts=facts)
    assert [one["kind"] for one in first["facts"]] == ["entity", "observation", "relation"]
    assert value(graph, "assert_facts", facts=facts)["known"] == [one["id"] for one in first["facts"]]
    weighed = value(graph, "assert_facts", facts=[{**facts[2], "weight": 0.5, "source": "a letter"}])
    assert weighed["ended"] == [first["facts"][2]["id"]]
    assert (weighed["facts"][0]["weight"], weighed["facts"][0]["source"]) == (0.5, "a letter")
    assert len(graph_at(graph)["relations"]) == 1


def test_facts_that_cannot_be_told_are_refused_by_name(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    nobody = {"kind": "observation", "name": "Ann", "text": "tall"}
    assert "no_such_entity: Entity with name Ann not found" in refusal(graph, "assert_facts", facts=[nobody])
    for wrong, says in (
        (lives("Ann", "Paris", valid_from="2020", valid_to="2019"), "valid_from has to be before valid_to"),
        (lives("Ann", "Paris", valid_from="soon"), "'soon' is no time"),
        (lives("Ann", "Paris", weight=float("inf")), "finite"),
        (lives("Ann", "Paris", source="a\0b"), "NUL"),
        (lives("Ann", "Paris", source="x" * 2_001), "at most 2000 characters"),
        ({"kind": "rumour", "name": "Ann"}, "rumour"),
    ):
        with pytest.raises(InvalidArguments, match=says):
            call(graph, "assert_facts", facts=[wrong])


def test_what_was_wrong_is_taken_back_and_what_was_believed_stays(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    facts = [*person("Ann"), {"kind": "observation", "name": "Ann", "text": "tall"}, lives("Ann", "Paris")]
    ids = [one["id"] for one in value(graph, "assert_facts", facts=facts)["facts"]]
    gone = value(graph, "retract_facts", facts=[{"kind": "observation", "name": "Ann"}])
    assert [one["text"] for one in gone["facts"]] == ["tall"]
    gone = value(graph, "retract_facts", ids=[ids[0]])
    assert gone["count"] == 2 and [one["kind"] for one in gone["facts"]] == ["entity", "relation"]
    assert graph_at(graph) == {"entities": [], "relations": []}
    assert graph_at(graph, as_of=2)["entities"] == [{"name": "Ann", "entityType": "person", "observations": ["tall"]}]
    assert f"Fact {ids[0]} stands no longer: it ended at revision 4" in refusal(graph, "retract_facts", ids=[ids[0]])
    assert "There is no fact 99" in refusal(graph, "retract_facts", ids=[99])
    assert "No fact stands that fits" in refusal(graph, "retract_facts", facts=[{"kind": "entity", "name": "Ann"}])
    assert "nothing_to_retract" in refusal(graph, "retract_facts")


def test_one_fact_supersedes_another_from_a_time_on(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    told_of = value(graph, "assert_facts", facts=[*person("Ann"), lives("Ann", "Paris", valid_from="2010")])
    found = value(
        graph,
        "supersede",
        fact={"kind": "relation", "name": "Ann", "type": LIVES},
        by=lives("Ann", "Rome"),
        valid_from="2020",
    )
    assert found["ended"] == [told_of["facts"][1]["id"]]
    assert (home(graph, 2015), home(graph, 2021)) == (["Paris"], ["Rome"])
    entity = told_of["facts"][0]["id"]
    grown = {"kind": "entity", "name": "Ann", "type": "doctor"}
    value(graph, "supersede", fact=entity, by=grown, valid_from="2022")
    assert graph_at(graph)["entities"][0]["entityType"] == "doctor"
    newer = {"fact": found["new"]["id"], "by": lives("Ann", "Oslo")}
    assert "began_later" in refusal(graph, "supersede", **newer, valid_from="2019")
    assert "several_facts: 2 facts fit" in refusal(
        graph, "supersede", fact={"kind": "relation", "name": "Ann"}, by=lives("Ann", "Oslo")
    )
    assert "over_already" in refusal(graph, "supersede", fact=found["old"]["id"], by=lives("Ann", "Oslo"))
    assert "not_alike" in refusal(graph, "supersede", fact=found["new"]["id"], by=grown)


def test_a_merge_is_read_by_every_name_and_can_be_taken_back(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    seen = [{"kind": "observation", "name": name, "text": f"seen as {name}"} for name in ("Ann", "Annie", "A.")]
    value(graph, "assert_facts", facts=[*person("Ann", "Annie", "A."), *seen])
    first = value(graph, "merge", names=["A."], into="Annie")
    second = value(graph, "merge", names=["A."], into="Ann")
    assert [(one["name"], one["to"]) for one in (*first["aliases"], *second["aliases"])] == [
        ("A.", "Annie"),
        ("Annie", "Ann"),
    ]
    (one,) = graph_at(graph)["entities"]
    assert (one["name"], sorted(one["observations"])) == ("Ann", ["seen as A.", "seen as Ann", "seen as Annie"])
    assert value(graph, "merge", names=["A.", "Annie"], into="Ann") == {
        "into": "Ann",
        "aliases": [],
        "names": ["A.", "Annie"],
    }
    assert "cycle: A. is already another name of Ann" in refusal(graph, "merge", names=["Ann"], into="A.")
    assert "cycle" in refusal(graph, "merge", names=["Ann"], into="Ann")
    assert "Entity with name Bob not found" in refusal(graph, "merge", names=["Ann"], into="Bob")
    assert {one["fact"]["text"] for one in value(graph, "entity_history", name="A.")["episodes"]} >= {"seen as Ann"}
    value(graph, "retract_facts", ids=[second["aliases"][0]["id"]])
    assert [one["name"] for one in graph_at(graph)["entities"]] == ["Ann", "Annie"]
    way(graph, "undo")
    assert [one["name"] for one in graph_at(graph)["entities"]] == ["Ann"]


def test_the_history_of_an_entity_tells_who_told_what_and_how_it_ended(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    ann = replace(LOCAL, client="inspector 1.0")
    facts = [*person("Ann"), lives("Ann", "Paris", valid_from="2010", source="a letter")]
    graph.dispatch(Call(principal=ann, world="graph", action="assert_facts", arguments={"facts": facts}))
    value(graph, "supersede", fact=2, by=lives("Ann", "Rome"), valid_from="2020")
    way(graph, "undo")
    found = value(graph, "entity_history", name="Ann")
    told_by = [
        (one["fact"]["id"], one["told"]["action"], one["told"]["client"], (one["ended"] or {}).get("action"))
        for one in found["episodes"]
    ]
    assert told_by == [
        (1, "assert_facts", "inspector 1.0", None),
        (2, "assert_facts", "inspector 1.0", "supersede"),
        (3, "supersede", None, "undo"),
        (4, "supersede", None, "undo"),
        (2, "undo", None, None),
    ]
    assert found["episodes"][1]["fact"]["source"] == "a letter"
    assert found["episodes"][3]["ended"]["about"] == 3
    then = value(graph, "entity_history", name="Ann", as_of=2)["episodes"]
    assert [(one["fact"]["id"], one["ended"]) for one in then] == [(1, None), (2, None)]
    pages, cursor = [], None
    while True:
        page = value(graph, "entity_history", name="Ann", limit=2, cursor=cursor)
        pages.append([one["fact"]["id"] for one in page["episodes"]])
        if (cursor := page["cursor"]) is None:
            break
    assert pages == [[1, 2], [3, 4], [2]]
    assert "Nothing was told of Bob" in refusal(graph, "entity_history", name="Bob")
    assert "no_cursor" in refusal(graph, "entity_history", name="Ann", cursor="x")
    graph.store.offset += timedelta(days=9)
    value(graph, "assert_facts", facts=person("Bob"))
    prune(graph.store, timedelta(days=1))
    assert value(graph, "entity_history", name="Ann")["episodes"][0]["told"]["by"] is None


def test_a_thousand_facts_are_told_in_one_call(dispatcher_of: Make) -> None:
    graph = told(dispatcher_of, [])
    many = [lives(f"p{number % 10}", "x", valid_from=f"{1000 + number}") for number in range(1000)]
    found = value(graph, "assert_facts", facts=many, functional=[LIVES])
    assert len(found["facts"]) == 1000 and home(graph, 1500) == ["x"] * 10
