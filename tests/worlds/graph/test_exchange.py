"""Graphs in and out of files, on both databases: once and as a whole, beside what others tell, and the same again."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.asking import Answer, Question
from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.operations import Call
from engine.preparing import prepared_call
from engine.types import LOCAL, Outcome
from tests.worlds.graph.telling import Telling, call, told
from worlds.graph.exchange import FORMATS, Format
from worlds.graph.exporting import exported
from worlds.graph.facts import Fact, Kind, alias, entity, functional, observation, relation
from worlds.graph.view import View

Make = Callable[..., Dispatcher]

MEMORY = "\n".join(
    (
        '{"type":"entity","name":"Ada","entityType":"person","observations":["likes tea","writes"]}',
        '{"type":"entity","name":"Bob","entityType":"person","observations":[]}',
        '{"type":"entity","name":"Ada","entityType":"poet","observations":["writes","rides"]}',
        '{"type":"entity", broken in the middle',
        '{"type":"relation","from":"Ada","to":"Bob","relationType":"knows"}',
        '{"type":"relation","from":"Ada","to":"Bob","relationType":"knows"}',
        '{"type":"relation","from":"Bob","to":"Bob","relationType":"is"}',
        '{"type":"relation","from":"Bob","to":"nobody","relationType":"knows"}',
    )
)
FIRST = "1815-12-10T00:00:00.000000+00:00"
RICH = [
    entity("Ada", "person", valid_from=FIRST, source="a book", attributes={"born": 1815, "of": ["x"]}),
    entity("\u05d0\u202e e\u0301", ""),
    observation("Ada", "likes tea", source="a letter", weight=0.5),
    observation("Ada", "likes tea", valid_from=FIRST),
    relation("Ada", "knows", "nobody", weight=2.5, valid_from=FIRST, attributes={"deep": {"a": [1, None]}}),
    relation("\u05d0\u202e e\u0301", "is", "\u05d0\u202e e\u0301"),
]


class Watching:
    """An outside that hears how far the work is."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, float | None]] = []

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        raise AssertionError("nothing is asked")

    def can(self, question: type[Question]) -> bool:
        return False

    def require(self, *questions: type[Question]) -> None:
        raise AssertionError("nothing is asked")

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        self.heard.append((done, total))

    async def log(self, level: str, message: str) -> None:
        raise AssertionError("nothing is logged")


def prepared(dispatcher: Dispatcher, attached: Path | None = None, session: str | None = None, **given: Any) -> Call:
    asked = Call(principal=LOCAL, world="graph", action="import_graph", arguments=given, session=session)
    return asyncio.run(prepared_call(dispatcher, replace(asked, attached=attached), Watching()))


def taken_in(dispatcher: Dispatcher, attached: Path | None = None, session: str | None = None, **given: Any) -> Outcome:
    return dispatcher.dispatch(prepared(dispatcher, attached, session, **given))


def written(dispatcher: Dispatcher, format: str, session: str | None = None) -> str:
    return dispatcher.look(LOCAL, "graph", session, lambda graph: "".join(exported(View(graph), Format(format))))


def stands(dispatcher: Dispatcher, session: str | None = None) -> list[tuple[Any, ...]]:
    """Everything that stands, but for how it is stored."""
    names = ("kind", "subject", "type", "object", "valid_from", "valid_to", "weight", "attributes", "source")
    facts = dispatcher.look(
        LOCAL, "graph", session, lambda graph: [[getattr(fact, name) for name in names] for fact in graph.rows(Fact)]
    )
    return [tuple(json.dumps(value, sort_keys=True) for value in fact) for fact in facts]


def revision(dispatcher: Dispatcher) -> int:
    return dispatcher.now(LOCAL, dispatcher.main(LOCAL, "graph")).revision


def test_the_memory_servers_file_is_taken_in_once(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Telling)
    outcome = taken_in(graph, text=MEMORY, source="memory.jsonl")
    assert outcome.value == {
        "format": "jsonl",
        "told": {"entity": 2, "observation": 3, "relation": 3},
        "already_there": 3,
        "problems": [
            {"line": 4, "what": outcome.value["problems"][0]["what"]},
        ],
        "more_problems": 0,
    }
    assert "no JSON" in outcome.value["problems"][0]["what"]
    assert call(graph, "open_nodes", names=["Ada"]).value["entities"] == [
        {"name": "Ada", "entityType": "person", "observations": ["likes tea", "writes", "rides"]}
    ]
    again = taken_in(graph, text=MEMORY)
    assert (again.value["told"], again.value["already_there"], again.revision) == ({}, 11, 2)
    more = MEMORY + '\n{"type":"entity","name":"Bob","entityType":"robot","observations":["beeps"]}'
    assert taken_in(graph, text=more).value["told"] == {"observation": 1}
    assert revision(graph) == 3
    call(graph, "undo")
    call(graph, "undo")
    assert stands(graph) == []
    call(graph, "redo")
    assert written(graph, "jsonl").splitlines()[1] == MEMORY.splitlines()[1]


def test_a_file_is_there_as_a_whole_or_not_at_all(dispatcher_of: Make, tmp_path: Path) -> None:
    graph = dispatcher_of(Telling)
    nodes = "".join(f'<node id="n{number}"/>' for number in range(3_000))
    file = tmp_path / "broken.graphml"
    file.write_text(f"<graphml><graph>{nodes}\n<node>")
    with pytest.raises(Refused, match="GraphML, line 2"):
        taken_in(graph, file)
    assert (stands(graph), revision(graph)) == ([], 1)
    file.write_text(f"<graphml><graph>{nodes}\n</graph></graphml>")
    ready = prepared(graph, file)
    assert stands(graph) == []
    assert graph.dispatch(ready).value["told"] == {"entity": 3_000}
    assert taken_in(graph, file).revision == 2


def test_what_others_tell_meanwhile_is_not_there_twice(dispatcher_of: Make) -> None:
    graph = told(dispatcher_of, [entity("Eve", "person"), functional("married_to")])
    married = '{"type":"relation","from":"Bob","to":"Eve","relationType":"married_to"}'
    ready = prepared(graph, text=f"{MEMORY}\n{married}")
    same = [entity("Bob", "robot"), observation("Ada", "rides"), relation("Ada", "knows", "Bob")]
    call(graph, "tell", facts=[*same, relation("Bob", "married_to", "Zoe"), entity("Zoe", "person")])
    outcome = graph.dispatch(ready)
    assert outcome.value["told"] == {"entity": 1, "observation": 2, "relation": 2}
    assert outcome.value["already_there"] == 6
    assert outcome.value["problems"][1] == {
        "line": None,
        "what": '"Bob" has another "married_to" than "Eve" then, and an entity has one of these at a time',
    }
    found = [(fact[0], fact[1], fact[2], fact[3]) for fact in stands(graph)]
    assert len(found) == len(set(found)) == 7 + 5
    assert ('"entity"', '"Bob"', '"robot"', '""') in found and ('"entity"', '"Bob"', '"person"', '""') not in found
    assert ('"relation"', '"Bob"', '"married_to"', '"Eve"') not in found


def test_a_type_that_is_declared_meanwhile_has_the_file_read_again(dispatcher_of: Make) -> None:
    graph = told(dispatcher_of, [entity("Eve", "person")])
    ready = prepared(graph, text="source,type,target\nBob,married_to,Eve\nBob,married_to,Zoe")
    call(graph, "assert_facts", facts=[], functional=["married_to"])
    with pytest.raises(Refused, match="one at a time while this file was being read"):
        graph.dispatch(ready)
    outcome = taken_in(graph, text="source,type,target\nBob,married_to,Eve\nBob,married_to,Zoe")
    assert outcome.value["told"] == {"entity": 2, "relation": 1} and len(outcome.value["problems"]) == 1


def test_two_files_at_once_are_not_there_twice(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Telling)
    graph.main(LOCAL, "graph")
    first, second = prepared(graph, text=MEMORY), prepared(graph, text=MEMORY)
    graph.dispatch(first)
    with pytest.raises(Refused, match="taken in while"):
        graph.dispatch(second)
    assert len(stands(graph)) == 8


def test_names_that_are_aliases_count_as_what_they_stand_for(dispatcher_of: Make) -> None:
    graph = told(
        dispatcher_of,
        [
            entity("Augusta", "person"),
            entity("Ada", "person"),
            observation("Augusta", "likes tea"),
            observation("Ada", "likes tea"),
            relation("Augusta", "knows", "Bob"),
            relation("Ada", "knows", "Bob"),
            alias("Ada", "Augusta"),
        ],
    )
    outcome = taken_in(graph, text=MEMORY)
    assert outcome.value["told"] == {"entity": 1, "observation": 2, "relation": 2}
    assert [json.loads(line) for line in written(graph, "jsonl").splitlines()] == [
        {
            "type": "entity",
            "name": "Augusta",
            "entityType": "person",
            "observations": ["likes tea", "writes", "rides"],
        },
        {"type": "entity", "name": "Bob", "entityType": "person", "observations": []},
        {"type": "relation", "from": "Augusta", "to": "Bob", "relationType": "knows"},
        {"type": "relation", "from": "Bob", "to": "Bob", "relationType": "is"},
        {"type": "relation", "from": "Bob", "to": "nobody", "relationType": "knows"},
    ]


def test_a_relation_of_which_there_is_one_at_a_time_is_not_contradicted(dispatcher_of: Make) -> None:
    graph = told(dispatcher_of, [functional("lives_in"), relation("Ada", "lives_in", "London", valid_from=FIRST)])
    table = (
        "source,type,target,valid_from,valid_to\n"
        "Ada,lives_in,Paris,1840,\n"
        "Ada,lives_in,Paris,1800,1815-12-10\n"
        "Ada,lives_in,London,1815-12-10,\n"
        "Bob,lives_in,Rome,,\n"
        "Bob,lives_in,Oslo,,\n"
    )
    outcome = taken_in(graph, text=table)
    assert outcome.value["told"] == {"entity": 6, "relation": 2}
    assert [problem["what"].partition(",")[0] for problem in outcome.value["problems"]] == [
        '"Ada" has another "lives_in" than "Paris" then',
        '"Bob" has another "lives_in" than "Oslo" then',
    ]


@pytest.mark.parametrize(
    "format", [name.value for name, one in FORMATS.items() if one.read and name not in (Format.JSONL, Format.CSV)]
)
def test_a_graph_that_goes_out_and_in_is_the_same(dispatcher_of: Make, format: str) -> None:
    graph = told(dispatcher_of, RICH)
    content = written(graph, format)
    other = graph.start(LOCAL, "graph").session
    outcome = taken_in(graph, session=other, text=content)
    assert outcome.value["format"] == format and outcome.value["problems"] == []
    assert sorted(stands(graph, other)) == sorted(stands(graph))
    assert taken_in(graph, session=other, text=content).value["told"] == {}


def test_a_graph_is_written_as_it_was_and_as_it_held(dispatcher_of: Make) -> None:
    graph = told(dispatcher_of, [entity("Ada", "person"), observation("Ada", "young", valid_to=FIRST)])
    call(graph, "tell", facts=[entity("Bob", "person")])

    def at(**view: Any) -> list[Any]:
        lines = graph.look(LOCAL, "graph", None, lambda one: "".join(exported(View(one, **view), Format.JSONL)))
        return [(json.loads(line)["name"], json.loads(line)["observations"]) for line in lines.splitlines()]

    assert at() == [("Ada", []), ("Bob", [])]
    assert at(as_of=2) == [("Ada", [])]
    assert at(valid_at="1800-01-01T00:00:00.000000+00:00") == [("Ada", ["young"]), ("Bob", [])]


def test_several_entities_of_a_name_keep_what_is_theirs(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Telling)
    entities = [{"name": "A", "entityType": kind, "observations": [kind]} for kind in ("x", "y")]
    call(graph, "create_entities", entities=entities)
    assert [json.loads(line)["observations"] for line in written(graph, "jsonl").splitlines()] == [["x"], ["y"]]
    assert written(graph, "graphml").count("<node ") == 1


def test_pages_do_not_cut_a_graph(dispatcher_of: Make) -> None:
    table = "source,type,target,source_type,target_type\n" + "".join(
        f"n{number},next,n{(number + 1) % 2_500},t,t\n" for number in range(2_500)
    )
    graph = dispatcher_of(Telling)
    assert taken_in(graph, text=table).value["told"] == {"entity": 2_500, "relation": 2_500}
    lines = [json.loads(line) for line in written(graph, "jsonl").splitlines()]
    assert len({line["name"] for line in lines if line["type"] == "entity"}) == 2_500
    assert len({(line["from"], line["to"]) for line in lines if line["type"] == "relation"}) == 2_500 == len(lines) / 2


def test_a_fact_keeps_where_it_is_from(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Telling)
    taken_in(graph, text="source,target,provenance\nA,B,a letter\nA,C,\n", source="a table")
    found = graph.look(
        LOCAL, "graph", None, lambda one: [fact.source for fact in one.rows(Fact).where(kind=Kind.RELATION.value)]
    )
    assert found == ["a letter", "a table"]


def test_there_is_one_file_that_can_be_read(dispatcher_of: Make, tmp_path: Path) -> None:
    graph = dispatcher_of(Telling)
    graph.main(LOCAL, "graph")
    for given, attached, rule in (
        ({}, None, "no_file"),
        ({"text": ""}, tmp_path / "x.csv", "two_files"),
        ({}, tmp_path / "x.csv", "no_file"),
        ({}, tmp_path, "no_file"),
        ({"text": "?"}, None, "unknown_format"),
        ({"text": "?", "format": "dot"}, None, "not_read"),
        ({"text": "", "format": "jsonl", "source": "a\0"}, None, "nul_character"),
    ):
        with pytest.raises(Refused) as refused:
            taken_in(graph, attached, **given)
        assert refused.value.rule == rule
    assert taken_in(graph, text="", format="jsonl").value["told"] == {} and revision(graph) == 1
