"""Searching a graph: the same sets on both databases as by plain lists; pages, budgets, times, slips of spelling."""

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Phrase, Prefix, Refused, Word
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.types import LOCAL, Principal
from tests.worlds.graph.telling import call, told
from tests.worlds.graph.test_exchange import prepared, taken_in
from worlds.graph import Graph
from worlds.graph.facts import alias, entity, observation, relation, words
from worlds.graph.search.query import All, Other, Query, Related, Some, Typed, parsed
from worlds.graph.search.terms import MOST, fits

Make = Callable[..., Dispatcher]
PEOPLE = [
    {"name": "Ada Lovelace", "entityType": "person", "observations": ["wrote the first programme", "likes horses"]},
    {"name": "Charles Babbage", "entityType": "person", "observations": ["built an engine", "likes machines"]},
    {"name": "Analytical Engine", "entityType": "machine", "observations": ["was never built"]},
    {"name": "José", "entityType": "pet dog", "observations": ["a well-known dog", "知识图谱 🐕"]},
]
RELATIONS = [
    {"from": "Charles Babbage", "to": "Analytical Engine", "relationType": "designed"},
    {"from": "Ada Lovelace", "to": "Charles Babbage", "relationType": "knew"},
]


def do(graph: Dispatcher, action: str, principal: Principal = LOCAL, **arguments: Any) -> Any:
    return graph.dispatch(Call(principal=principal, world="graph", action=action, arguments=arguments)).value


def search(graph: Dispatcher, query: str, principal: Principal = LOCAL, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = do(graph, "search", principal, query=query, **more)
    return found


def names(graph: Dispatcher, query: str, **more: Any) -> list[str]:
    return [hit["name"] for hit in search(graph, query, **more)["results"]]


@pytest.fixture
def people(dispatcher_of: Make) -> Dispatcher:
    """A graph of a few people and things."""
    graph = dispatcher_of(Graph)
    do(graph, "create_entities", entities=PEOPLE)
    do(graph, "create_relations", relations=RELATIONS)
    return graph


def test_queries_mean_sets_of_entities(people: Dispatcher) -> None:
    for query, found in (
        ("engine", {"Charles Babbage", "Analytical Engine"}),
        ("engine likes", {"Charles Babbage"}),
        ("likes -built", {"Ada Lovelace"}),
        ("horses OR never", {"Ada Lovelace", "Analytical Engine"}),
        ("pro* OR machin*", {"Ada Lovelace", "Charles Babbage", "Analytical Engine"}),
        ('"first programme"', {"Ada Lovelace"}),
        ('"programme first"', set()),
        ("type:person", {"Ada Lovelace", "Charles Babbage"}),
        ('type:"pet dog"', {"José"}),
        ("rel:knew", {"Ada Lovelace", "Charles Babbage"}),
        ("rel:knew -rel:designed", {"Ada Lovelace"}),
        ("jose", {"José"}),
        ("JOSÉ", {"José"}),
        ("图谱", {"José"}),
        ("谱图", set()),
        ("well-known", {"José"}),
        ("NOT type:person", {"Analytical Engine", "José"}),
        ("engine AND (NOT machine OR horses)", {"Charles Babbage"}),
    ):
        assert set(names(people, query)) == found, query
    assert names(people, "engine", types=["machine", "person"])[0] == "Analytical Engine"
    assert names(people, "engine", types=["person"]) == ["Charles Babbage"]


def test_details_are_as_asked_and_a_budget_says_what_it_leaves_out(people: Dispatcher) -> None:
    (hit,) = search(people, "horses")["results"]
    assert hit["snippet"] == "likes horses" and hit["observations"] is None
    (hit,) = search(people, "horses", detail="full")["results"]
    assert hit["observations"] == PEOPLE[0]["observations"]
    (hit,) = search(people, "horses", detail="names")["results"]
    assert hit["snippet"] is None and hit["observations"] is None
    do(people, "create_entities", entities=[_diary("diary"), _diary("diary two")])
    found = search(people, "diary", detail="full", max_tokens=200)
    assert [hit["name"] for hit in found["results"]] == ["diary", "diary two"][: len(found["results"])]
    assert found["left_out"]["observations"] > 0 and found["results"][0]["left_out"] > 0
    seen = len(found["results"][0]["observations"]) + found["results"][0]["left_out"]
    assert seen == 50 and found["total"] == 2
    if found["left_out"]["entities"]:
        assert names(people, "diary", detail="full", cursor=found["next"]) == ["diary two"]


def test_what_is_told_meanwhile_changes_no_order(people: Dispatcher) -> None:
    fruit = ["apple" if number % 3 else "pear" for number in range(20)]
    entities = [{"name": f"n{at:02}", "entityType": "t", "observations": [said]} for at, said in enumerate(fruit)]
    do(people, "create_entities", entities=entities)  # 4
    before, page = names(people, "apple OR pear", as_of=4), search(people, "apple OR pear", limit=10)
    assert before[0] == "n00"  # what is rarer counts more
    pears = {"name": "pears", "entityType": "t", "observations": [f"pear {number}" for number in range(40)]}
    do(people, "create_entities", entities=[pears])
    assert names(people, "apple OR pear", as_of=4) == before
    rest = names(people, "apple OR pear", limit=20, cursor=page["next"])
    assert [hit["name"] for hit in page["results"]] + rest == before


def test_what_is_called_so_comes_first_by_any_of_its_names(dispatcher_of: Make) -> None:
    facts = [observation("Bob's pub", "bob bob bob"), entity("Bob's pub", "pub"), entity("Robert Smith", "person")]
    graph = told(dispatcher_of, facts)
    call(graph, "tell", facts=[alias("Bob", "Robert Smith")])
    assert names(graph, "bob") == ["Robert Smith", "Bob's pub"]
    assert names(graph, "bob OR pub") == ["Robert Smith", "Bob's pub"]
    assert names(graph, "bob's pub -cat")[0] == names(graph, '"Bob\'s pub" OR cat')[0] == "Bob's pub"
    do(graph, "create_entities", entities=[{"name": "Pub", "entityType": "kind of house", "observations": []}])
    assert names(graph, "pub*", limit=1) == ["Pub"]


def test_what_two_names_of_one_both_have_is_shown_once(people: Dispatcher) -> None:
    do(people, "add_observations", observations=[{"entityName": "José", "contents": ["likes horses", "barks"]}])
    do(people, "merge", names=["José"], into="Ada Lovelace")
    (hit,) = search(people, "barks", detail="full")["results"]
    assert hit["observations"].count("likes horses") == 1 and "barks" in hit["observations"]


def _diary(name: str) -> dict[str, Any]:
    return {"name": name, "entityType": "text", "observations": [f"on day {day} nothing happened" for day in range(50)]}


def test_pages_go_on_in_the_graph_that_they_began_in(people: Dispatcher) -> None:
    entities = [{"name": f"n{number}", "entityType": "number", "observations": ["even"]} for number in range(7)]
    do(people, "create_entities", entities=entities)
    page, seen = search(people, "even", limit=3), list[str]()
    assert page["total"] == 7 and not page["at_least"]
    do(people, "delete_entities", entityNames=["n5"])
    while True:
        seen += [hit["name"] for hit in page["results"]]
        if page["next"] is None:
            break
        page = search(people, "even", limit=3, cursor=page["next"])
    assert sorted(seen) == [entity["name"] for entity in entities]
    cursor = search(people, "even", limit=3)["next"]
    for wrong in ({"query": "odd", "cursor": cursor}, {"query": "even", "types": ["number"], "cursor": cursor}):
        with pytest.raises(Refused, match="not of this search"):
            search(people, **wrong)
    for odd in ("", "x", "bnVsbA", "é", cursor[:-3]):
        with pytest.raises(Refused, match="not of this search"):
            search(people, "even", cursor=odd)


def test_scripts_with_marks_are_searched(people: Dispatcher) -> None:
    for name in ("हिन्दी की", "ภาษาไทย ปู"):
        do(people, "create_entities", entities=[{"name": name, "entityType": "language", "observations": []}])
        for query in (name.split()[0], f'"{name}"', f"{name[:2]}*"):
            assert names(people, query) == [name]
    assert names(people, "हिन्दी कि") == []


def test_a_word_that_nothing_has_is_corrected_and_named(people: Dispatcher) -> None:
    for wrong, right, name in (
        ("horsse", "horses", "Ada Lovelace"),
        ("mashines", "machines", "Charles Babbage"),
        ("lovelac", "lovelace", "Ada Lovelace"),
        ("analitical", "analytical", "Analytical Engine"),
        ("babagge", "babbage", "Charles Babbage"),
    ):
        found = search(people, wrong)
        assert found["corrected"] == {wrong: [right]} and found["results"][0]["name"] == name
    assert search(people, '"likes hosres"')["results"][0]["name"] == "Ada Lovelace"
    assert search(people, "likes horses")["corrected"] == {}
    assert search(people, "horses never")["corrected"] == {} and names(people, "xylophones") == []
    do(people, "add_observations", observations=[{"entityName": "José", "contents": ["eats a hot meal"]}])
    assert search(people, "hpt meal")["corrected"] and not search(people, "not meal")["total"]


def test_the_past_is_searched_as_it_was(people: Dispatcher) -> None:
    do(people, "delete_observations", deletions=[{"entityName": "Ada Lovelace", "observations": ["likes horses"]}])
    do(people, "add_observations", observations=[{"entityName": "Ada Lovelace", "contents": ["likes zebras"]}])
    assert names(people, "horses") == [] and names(people, "horses", as_of=3) == ["Ada Lovelace"]
    assert names(people, "zebras") == ["Ada Lovelace"] and names(people, "zebras", as_of=3) == []


def test_other_names_and_what_held_at_a_time_are_found(dispatcher_of: Make) -> None:
    then = {"valid_from": "2020-01-01T00:00:00.000000+00:00", "valid_to": "2021-01-01T00:00:00.000000+00:00"}
    facts = [
        *(
            entity("Robert", "person"),
            entity("Bobby", "singer"),
            entity("Ann", "person"),
            entity("Old Mill", "pub", **then),
        ),
        *(observation("Robert", "sails"), observation("Bobby", "sings"), observation("Ann", "ran a mill", **then)),
        *(relation("Bobby", "knows", "Ann"), relation("Ann", "owned", "Old Mill", **then)),
    ]
    graph = told(dispatcher_of, facts)  # 2
    call(graph, "tell", facts=[alias("Bobby", "Robert")])  # 3
    for query, now, before, in_2020 in (
        ("bobby", ["Robert"], ["Bobby"], ["Robert"]),
        ("sails sings", ["Robert"], [], ["Robert"]),
        ("sings -sails", [], ["Bobby"], []),
        ("robert bobby", ["Robert"], [], ["Robert"]),
        ("type:singer", ["Robert"], ["Bobby"], ["Robert"]),
        ("type:person rel:knows", ["Ann", "Robert"], ["Ann"], ["Ann", "Robert"]),
        ("mill", [], [], ["Ann", "Old Mill"]),
        ("rel:owned", [], [], ["Ann", "Old Mill"]),
        ("NOT type:person", [], ["Bobby"], ["Old Mill"]),
        ("person -mill", ["Ann", "Robert"], ["Ann", "Robert"], ["Robert"]),
    ):
        found = [names(graph, query, **more) for more in ({}, {"as_of": 2}, {"valid_at": "2020-06-01"})]
        assert [sorted(one) for one in found] == [now, before, in_2020], query
    (hit,) = search(graph, "bobby", detail="full")["results"]
    assert (hit["entityType"], hit["observations"]) == ("person", ["sails", "sings"])
    page = search(graph, "person", valid_at="2020-06-01", as_of=2, limit=1)
    call(graph, "delete_entities", entityNames=["Robert", "Bobby"])
    rest = search(graph, "person", valid_at="2020-06-01", as_of=2, limit=1, cursor=page["next"])
    assert {one["results"][0]["name"] for one in (page, rest)} == {"Ann", "Robert"} and rest["next"] is None
    with pytest.raises(Refused, match="not of this search"):
        search(graph, "person", valid_at="2020-06-02", as_of=2, limit=1, cursor=page["next"])
    assert names(graph, "sails") == [] and names(graph, "sails", as_of=3) == ["Robert"]


def every(graph: Dispatcher, query: str) -> set[str]:
    """What the pages of a search have."""
    found, seen = search(graph, query, limit=100, detail="names", max_tokens=10_000), set[str]()
    while found["next"] is not None:
        seen |= {hit["name"] for hit in found["results"]}
        found = search(graph, query, limit=100, detail="names", max_tokens=10_000, cursor=found["next"])
    return seen | {hit["name"] for hit in found["results"]}


def test_of_what_very_much_has_every_database_takes_the_first(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    early = [{"name": f"early {number}", "entityType": "number", "observations": ["common"]} for number in range(30)]
    do(graph, "create_entities", entities=early)
    lines = [
        {"type": "entity", "name": f"n{n}", "entityType": "number", "observations": ["common", rare]}
        for n, rare in enumerate(["even", "odd"] * 3 + ["even", "rare"] + ["even", "odd"] * (MOST // 2 - 4))
    ]
    taken_in(graph, text="\n".join(map(json.dumps, lines)), format="jsonl")
    do(graph, "delete_entities", entityNames=["early 3", "n0"])
    do(graph, "create_entities", entities=[{"name": "late", "entityType": "number", "observations": ["common"]}])
    first = {"late", *(f"early {n}" for n in range(30) if n != 3), *(f"n{n}" for n in range(1, MOST - 29))}
    assert every(graph, "common") == first and every(graph, "NOT rare") == first - {"n7"}
    for query in ("common OR com*", "common -xyz", "common type:number", "type:number"):
        found = search(graph, query)
        assert found["at_least"] and found["total"] == MOST, query
    for query, expected in (
        ("common rare", ["n7"]),
        ("rare -common", []),
        ("rare AND type:number", ["n7"]),
        ("common early -n5", [f"early {n}" for n in range(30) if n != 3]),
        ("late OR early", ["late", *(f"early {n}" for n in range(30) if n != 3)]),
    ):
        found = search(graph, query, limit=100)
        assert {hit["name"] for hit in found["results"]} == set(expected) and not found["at_least"], query
    assert search(graph, "odd")["total"] == MOST // 2 - 1
    session = graph.main(LOCAL, "graph")
    for _ in range(3):
        graph.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=session))
    found = search(graph, "common", limit=100)  # what stood once and does not keeps out nothing that does
    assert {hit["name"] for hit in found["results"]} == {f"early {n}" for n in range(30)} and not found["at_least"]


def numbers_taken_in(graph: Dispatcher, some: range, said: Callable[[int], list[str]]) -> None:
    """Take in a file of entities that are called by numbers, and what is said of each."""
    told = ({"type": "entity", "name": f"n{n}", "entityType": "number", "observations": said(n)} for n in some)
    taken_in(graph, text="\n".join(map(json.dumps, told)), format="jsonl")


def test_of_files_the_first_is_told_first_and_a_name_is_never_missed(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    numbers_taken_in(graph, range(700), lambda n: ["common"])
    numbers_taken_in(graph, range(700, 1400), lambda n: ["common", "rare"] if n == 1399 else ["common"])
    assert every(graph, "common") == {f"n{n}" for n in range(MOST)}
    last = json.dumps({"type": "entity", "name": "common", "entityType": "t", "observations": []})
    taken_in(graph, text=last, format="jsonl")
    for query in ("common", ' "common" ', "common -n7", "common type:t"):
        assert names(graph, query, limit=1) == ["common"], query
    do(graph, "create_entities", entities=[{"name": "0", "entityType": "t", "observations": ["common"]}])
    assert names(graph, "common type:t") == names(graph, "common", types=["t"]) == ["common", "0"]
    assert names(graph, "common rare") == ["n1399"]


def test_what_is_told_later_changes_no_page_of_the_past(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    numbers_taken_in(graph, range(1500), lambda n: ["bbb", "aaa"] if n >= 500 else ["bbb"])  # 2
    numbers_taken_in(graph, range(1500, 1520), lambda n: ["rare", "aaa"])  # 3
    session = graph.main(LOCAL, "graph")

    def pages(then: int, query: str, first: dict[str, Any] | None) -> tuple[list[str], list[Any]]:
        page = first or search(graph, query, limit=10, as_of=then)
        found, told = [hit["name"] for hit in page["results"]], []
        for _ in range(4 if page["next"] else 0):
            told.append((page["total"], page["at_least"]))
            page = search(graph, query, limit=10, cursor=page["next"], as_of=then)
            found += [hit["name"] for hit in page["results"]]
            if not page["next"]:
                break
        return found, told

    asked = [(2, "bbb aaa"), (3, "rare aaa"), (3, "aaa OR hoers"), (2, "type:number aaa")]
    first = [search(graph, query, limit=10, as_of=then) for then, query in asked]
    before = [pages(then, query, None) for then, query in asked]
    assert before[0][1][0] == (1000, False) and before[1][1][0] == (20, False)
    later = {
        "type": "entity",
        "name": "later",
        "entityType": "number",
        "observations": ["aaa", "rare", "zebras", "hoers"],
    }
    ahead = prepared(graph, text=json.dumps(later), format="jsonl")  # which nobody sees until it is carried out
    assert [pages(*one, page) for one, page in zip(asked, first, strict=True)] == before
    assert search(graph, "zebrsa")["corrected"] == {}
    graph.dispatch(ahead)  # 4
    assert [pages(*one, page) for one, page in zip(asked, first, strict=True)] == before
    assert (
        search(graph, "zebrsa")["corrected"] == {"zebrsa": ["zebras"]} != search(graph, "zebrsa", as_of=3)["corrected"]
    )
    graph.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=session))
    early = [{"name": f"early {n}", "entityType": "number", "observations": ["aaa", "bbb", "rare"]} for n in range(99)]
    do(graph, "create_entities", entities=early)  # by ids that are below all of the files
    assert [pages(*one, None) for one in asked] == before


def test_where_the_first_are_not_meant_more_are_looked_at(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    told = [("first", "common")] * (MOST + 1) + [("second", "common")] * (MOST + 1)
    told += [("third", "else")] * (MOST + 1) + [("third", "common")] * 7
    lines = [
        {"type": "entity", "name": f"n{n}", "entityType": type, "observations": [said]}
        for n, (type, said) in enumerate(told)
    ]
    taken_in(graph, text="\n".join(map(json.dumps, lines)), format="jsonl")
    asked = [search(graph, f"common type:{type}") for type in ("first", "second", "third")]
    assert [(found["total"], found["at_least"]) for found in asked] == [(MOST, True), (MOST, True), (7, False)]
    assert not any(found["corrected"] for found in asked)
    part = do(graph, "subgraph", query="common type:first", depth=0)
    assert part["at_least"] and not do(graph, "subgraph", query="n7", depth=0)["at_least"]


def test_what_was_taken_back_hides_nothing(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    ghosts = {*range(30), *range(MOST + 100, MOST + 270)}
    numbers_taken_in(graph, range(MOST + 300), lambda n: ["common ghost"] if n in ghosts else ["common"])
    numbers_taken_in(graph, range(2_000, 2_900), lambda n: ["ghost"])
    asked = ("common ghost", "ghost common", "ghost type:number", "common (ghost OR nothing)", "ghost")
    graph.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=graph.main(LOCAL, "graph")))
    for query in asked:
        found = search(graph, query)
        assert (found["total"], found["at_least"]) == (len(ghosts), False), query


def test_of_alternatives_each_counts_in_any_order(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    many = [{"name": f"n{n}", "entityType": "many", "observations": ["alpha", "beta"]} for n in range(MOST + 100)]
    few = {
        "Beta": ["alpha, and much else that makes it fit the less"],
        "One": ["alpha"],
        "Two": ["beta"],
        "Both": ["alpha", "beta"],
    }
    told = [*many, *({"name": name, "entityType": "few", "observations": said} for name, said in few.items())]
    taken_in(graph, text="\n".join(json.dumps({"type": "entity", **one}) for one in told), format="jsonl")
    for query in ("type:few (alpha OR beta)", "(beta OR alpha) type:few"):
        assert names(graph, query)[:2] == ["Beta", "Both"] and len(names(graph, query)) == 4, query


def test_a_corrected_search_finds_what_is_called_so(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    numbers_taken_in(graph, range(MOST + 9), lambda n: ["dragon"])
    taken_in(
        graph,
        text=json.dumps({"type": "entity", "name": "dragon", "entityType": "t", "observations": []}),
        format="jsonl",
    )
    assert names(graph, "dragon", limit=1) == names(graph, "drgaon", limit=1) == ["dragon"]


def test_the_past_is_as_exact_as_it_was(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Graph)
    for some in (range(MOST - 9), range(MOST - 9, MOST + 9)):  # 2, 3
        lines = [{"type": "entity", "name": f"n{n}", "entityType": "t", "observations": ["common"]} for n in some]
        taken_in(graph, text="\n".join(map(json.dumps, lines)), format="jsonl")
    asked = [search(graph, "common", limit=1, as_of=revision) for revision in (2, 3)]
    graph.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=graph.main(LOCAL, "graph")))
    asked.append(search(graph, "common", limit=1))
    assert [(found["total"], found["at_least"]) for found in asked] == [
        (MOST - 9, False),
        (MOST, True),
        (MOST - 9, False),
    ]


def test_what_was_imported_is_found_until_it_is_taken_back_and_in_forks(people: Dispatcher) -> None:
    lines = "\n".join(json.dumps({"type": "entity", **_diary(name)}) for name in ("diary", "log"))
    taken_in(people, text=lines, format="jsonl")
    session = people.main(LOCAL, "graph")
    assert set(names(people, "nothing happened")) == {"diary", "log"}
    fork = people.fork(LOCAL, session).session
    people.dispatch(Call(principal=LOCAL, world="graph", action="undo", session=session))
    assert names(people, "nothing happened") == [] and len(names(people, "nothing", as_of=4)) == 2
    asked = Call(principal=LOCAL, world="graph", action="search", session=fork, arguments={"query": "nothing happened"})
    assert people.dispatch(asked).value["total"] == 2


ODD = [
    "dog",
    "dogma",
    "hot",
    "é",
    "e\u0301",
    "ß",
    "SS",
    "狗",
    "🐕",
    "שלום",
    "\u202eabc",
    "a\u0007b",
    "\ud7a3",
    "ﬁ",
    "İ",
    "ǅ",
]
texts = st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map(" ".join)
entities = st.lists(
    st.fixed_dictionaries(
        {"name": texts, "entityType": st.sampled_from(["t", "u v"]), "observations": st.lists(texts, max_size=2)}
    ),
    min_size=1,
    max_size=5,
    unique_by=lambda entity: entity["name"],
)
relations = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(["r", "s"]), st.integers(0, 4)), max_size=3)
terms = st.one_of(
    st.sampled_from([word for word in ODD if words(word)]).map(lambda word: f'"{word}"'),
    st.sampled_from(["dog*", "do*", "a*", "s*", "type:t", 'type:"u v"', "rel:r", "rel:s", '"hot dog"', '"dog dog"']),
)
queries = st.recursive(
    terms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" ", " AND ", " OR ", " -"]), inner).map(lambda parts: f"({''.join(parts)})"),
        inner.map(lambda one: f"NOT {one}"),
    ),
    max_leaves=5,
)


def fitting(tree: Query, entities: list[Any], relations: list[Any]) -> set[str]:
    """The names of the entities that fit, by plain lists."""
    match tree:
        case All(of):
            return set.intersection(*(fitting(part, entities, relations) for part in of))
        case Some(of):
            return set.union(*(fitting(part, entities, relations) for part in of))
        case Other(part):
            return {entity["name"] for entity in entities} - fitting(part, entities, relations)
        case Typed(type):
            return {entity["name"] for entity in entities if entity["entityType"] == type}
        case Related(type):
            own = {entity["name"] for entity in entities}
            return own & {one[end] for one in relations for end in ("from", "to") if one["relationType"] == type}
        case Word() | Prefix() | Phrase():
            return {entity["name"] for entity in entities if any(fits(tree, told) for told in _told(entity))}


def _told(entity: dict[str, Any]) -> list[str]:
    return [words(entity["name"], entity["entityType"]), *map(words, entity["observations"])]


def test_what_is_found_is_what_plain_lists_say(dispatcher_of: Make) -> None:
    graph, numbers = dispatcher_of(Graph), count()

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(entities=entities, relations=relations, asked=st.lists(queries, min_size=1, max_size=4))
    def holds(entities: list[Any], relations: list[Any], asked: list[str]) -> None:
        somebody = Principal("test", f"person-{next(numbers)}")
        at = [entity["name"] for entity in entities]
        related = [
            {"from": at[one % len(at)], "to": at[other % len(at)], "relationType": type}
            for one, type, other in relations
        ]
        do(graph, "create_entities", somebody, entities=entities)
        do(graph, "create_relations", somebody, relations=related)
        for query in asked:
            found = search(graph, query, somebody, limit=100, max_tokens=100_000)
            if not found["corrected"]:
                expected = fitting(parsed(query), entities, related)
                assert {hit["name"] for hit in found["results"]} == expected, query
                assert found["total"] == len(expected) and not found["at_least"]

    holds()
