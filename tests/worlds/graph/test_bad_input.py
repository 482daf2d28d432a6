"""Names that nobody expects, through every tool, resource and format: answered or refused, and nothing is lost."""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engine.dispatch import Dispatcher
from engine.errors import EngineError, Refused
from engine.mcp_adapter.catalog import Catalog, Endpoint
from engine.mcp_adapter.views import read
from engine.types import LOCAL, Outcome
from tests.worlds.graph.telling import Make, Telling, call, value
from tests.worlds.graph.test_exchange import stands, taken_in, written
from worlds.graph.exchange import FORMATS, Format

MIB = "M" * 2**20
LONG = "L" * 900_000
ODD = (
    "bell\x07 tab\t new\nline \r \x1b[31m \x7f\x85 \ufffe",
    "\u202e\u05d0\u05d1\u2066 \u0627\u0644\u0642\u0627\u0647\u0631\u0629\u2069",
    "Z" + "\u0301\u0489" * 300 + "algo",
    "e\u0301",
    "\u00e9",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \ufb01\u0130",
    "",
    "  ",
    "'\"<&>]]>`\\%s {0} $1 --> #35; \u2028",
    "null",
    'type:"x" AND (NOT',
    "../../etc/passwd?a=b#c",
)
TYPE = "next\x07\u202e<&>"
SAID = 6_000
"""Characters that an error has at most."""


def entity(name: str, *observations: str) -> dict[str, Any]:
    return {"type": "entity", "name": name, "entityType": TYPE, "observations": [*observations]}


def relation(source: str, type: str, target: str) -> dict[str, Any]:
    return {"type": "relation", "from": source, "to": target, "relationType": type}


def lines_of(names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Each name, related to itself, in a ring with the others, and from A."""
    for name, following in zip(names, (*names[1:], names[0]), strict=True):
        yield entity(name, name, "plain")
        yield relation(name, TYPE, following)
        yield relation(following, "back", name)
        yield relation(name, "self", name)
        yield relation("A", "has", name)


def imported(dispatcher_of: Make, folder: Path, *names: str) -> Dispatcher:
    """A graph of a file that is broken in the middle."""
    found = [json.dumps(line) for line in lines_of(names)]
    file = folder / "odd.jsonl"
    file.write_text("\n".join([*found[:3], found[3][:-9], "\x00\xff", '{"type":"entity"}', *found[3:]]))
    graph = dispatcher_of(Telling)
    outcome = taken_in(graph, file)
    assert [problem["line"] for problem in outcome.value["problems"]] == [4, 5, 6]
    assert outcome.value["told"] == {"entity": len(names), "observation": 2 * len(names), "relation": 4 * len(names)}
    return graph


def answer(graph: Dispatcher, tool: str, /, **arguments: Any) -> Outcome | EngineError:
    """What a tool answers, be it a refusal; neither repeats all of what is very long."""
    try:
        return taken_in(graph, **arguments) if tool == "import_graph" else call(graph, tool, **arguments)
    except EngineError as error:
        assert len(str(error)) < SAID, (tool, str(error)[:200])
        return error


def resource(graph: Dispatcher, uri: str) -> str:
    return str(read(graph, LOCAL, Catalog(graph.registry, Endpoint("graph")).address(uri))["text"])


def texts(drawing: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter()]


@pytest.fixture
def odd(dispatcher_of: Make, tmp_path: Path) -> Dispatcher:
    return imported(dispatcher_of, tmp_path, *ODD)


def test_odd_names_are_told_and_read_as_they_are(odd: Dispatcher) -> None:
    everything = value(odd, "read_graph")
    assert [one["name"] for one in everything["entities"]] == [*ODD]
    assert json.loads(resource(odd, "memory://knowledge-graph")) == everything
    for at, name in enumerate(ODD):
        other = ODD[(at + 1) % len(ODD)]
        (opened,) = value(odd, "open_nodes", names=[name])["entities"]
        assert opened == {"name": name, "entityType": TYPE, "observations": [name, "plain"][name == "plain" :]}
        assert name in [one["name"] for one in value(odd, "search_nodes", query=name)["entities"]]
        near = value(odd, "neighbours", name=name, direction="out")
        assert {one["name"] for one in near["neighbours"]} == {other, ODD[at - 1]}
        assert value(odd, "paths", source=name, target=other)["paths"][0]["names"] == [name, other]
        assert value(odd, "subgraph", names=[name], depth=0)["relations"][0]["from"] == name
        history = value(odd, "entity_history", name=name)
        assert history["name"] == name and history["total"] == 3 + 5 + 1


def test_odd_names_are_changed_and_it_is_undone(odd: Dispatcher) -> None:
    before = stands(odd)
    for name in (*ODD[:3], *ODD[6:9]):
        new = f"{name}?"
        told = [
            {"kind": "entity", "name": new, "type": TYPE},
            {"kind": "relation", "from": new, "type": TYPE, "to": name},
        ]
        told.append({"kind": "observation", "name": name, "text": new})
        first, second, third = value(odd, "assert_facts", facts=told)["facts"]
        assert (first["name"], second["to"], third["text"]) == (new, name, new)
        by = {"kind": "relation", "from": new, "type": TYPE, "to": "B"}
        assert value(odd, "supersede", fact=second["id"], by=by)["new"]["name"] == new
        assert value(odd, "merge", names=[new], into=name)["into"] == name
        assert value(odd, "neighbours", name=new)["name"] == name
        assert value(odd, "retract_facts", facts=[{"kind": "observation", "name": new, "text": new}])["count"] == 1
        call(odd, "create_relations", relations=[{"from": name, "relationType": "r", "to": new}])
        call(odd, "add_observations", observations=[{"entityName": name, "contents": [name * 2 + "!"]}])
        call(odd, "delete_observations", deletions=[{"entityName": name, "observations": [name]}])
        call(odd, "delete_relations", relations=[{"from": name, "to": name, "relationType": "self"}])
        call(odd, "delete_entities", entityNames=[name])
        for _ in range(9):
            call(odd, "undo")
        assert stands(odd) == before, name


def test_odd_words_where_others_are_meant_are_refused_with_what_would_be_right(odd: Dispatcher) -> None:
    for name in (*ODD, LONG):
        refused = [
            answer(odd, "neighbours", name=name + "?"),
            answer(odd, "neighbours", name="A", cursor=name),
            answer(odd, "neighbours", name="A", direction=name),
            answer(odd, "paths", source="A", target=name + "?"),
            answer(odd, "subgraph", names=[name + "?"]),
            answer(odd, "subgraph", names=["A"], format=name),
            answer(odd, "search", query="plain", cursor=name or "x"),
            answer(odd, "search", query="plain", as_of=name),
            answer(odd, "overview", valid_at=name),
            answer(odd, "entity_history", name=name + "?"),
            answer(odd, "entity_history", name=ODD[0], cursor=name),
            answer(odd, "assert_facts", facts=[{"kind": name}]),
            answer(odd, "assert_facts", facts=[{"kind": "observation", "name": name + "?", "text": "x"}]),
            answer(odd, "assert_facts", facts=[{"kind": "entity", "name": "x", "type": "y", "valid_from": name}]),
            answer(odd, "assert_facts", facts=[], functional=[name + "\0"]),
            answer(odd, "retract_facts", facts=[{"kind": "entity", "name": name + "?"}]),
            answer(odd, "supersede", fact={"kind": "entity", "name": name + "?"}, by={"kind": name}),
            answer(odd, "merge", names=[name + "?"], into=ODD[0]),
            answer(odd, "merge", names=[ODD[0]], into=name + "?"),
            answer(odd, "import_graph", text=name, format="graphml"),
            answer(odd, "import_graph", text=name, format=name),
        ]
        assert all(isinstance(one, EngineError) for one in refused), (name, refused)
        for query in (name, f'type:"{name}"', f'rel:"{name}"', f'"{name}"', f"{name}*", f"-({name})"):
            answer(odd, "search", query=query)
    assert value(odd, "search", query="rel:has")["total"] == len(ODD)


def test_odd_names_go_out_and_come_back(odd: Dispatcher) -> None:
    everything = {(fact[0], fact[1], fact[3]) for fact in stands(odd)}
    for format in (one for one, exchange in FORMATS.items() if exchange.read):
        there, other = everything, odd.start(LOCAL, "graph").session
        taken = taken_in(odd, session=other, text=written(odd, format), format=format.value)
        assert taken.value["problems"] == [], format
        back = {(fact[0], fact[1], fact[3]) for fact in stands(odd, other)}
        if format is Format.CSV:
            there = {fact for fact in there if fact[0] == '"relation"'}
        if format in (Format.GRAPHML, Format.GEXF):
            assert len(back) == len(there)
            there = {(kind, as_xml(name), as_xml(to)) for kind, name, to in there if kind != '"observation"'}
        assert there <= back, format


def as_xml(told: str) -> str:
    """A text as JSON, as it is after it was in XML, which has no control characters."""
    return json.dumps(re.sub("[^\t\n\r\x20-\ufffd\U00010000-\U0010ffff]", "\ufffd", json.loads(told)))


def test_odd_names_are_drawn_and_surveyed(odd: Dispatcher) -> None:
    drawn = texts(resource(odd, "session://graph/picture"))
    assert {"(no name)", "null", "\ufffd\u05d0\u05d1\ufffd \u0627\u0644\u0642\u0627\u0647\u0631\u0629\ufffd"} <= {
        *drawn
    }
    around = texts(resource(odd, "graph://picture/..%2F..%2Fetc%2Fpasswd%3Fa%3Db%23c"))
    assert "What is around ../../etc/passwd?a=b#c, at revision 2" in around
    assert value(odd, "overview", top=50)["entities"] == len(ODD)
    pairs = value(odd, "duplicates")["pairs"]
    assert {"e\u0301", "\u00e9"} in [{pair["keep"], pair["other"]} for pair in pairs]
    for format in Format:
        assert resource(odd, f"graph://export/{format}") == written(odd, format)


@pytest.fixture
def vast(dispatcher_of: Make, tmp_path: Path) -> Dispatcher:
    return imported(dispatcher_of, tmp_path, "small", MIB, LONG)


def test_a_name_of_a_mebibyte_is_kept_and_hides_nothing_beside_it(vast: Dispatcher) -> None:
    shown = f"{'M' * 1_000}… (1,048,576 characters)"
    near = value(vast, "neighbours", name="small")
    assert {one["name"] for one in near["neighbours"]} == {"A", shown, f"{'L' * 1_000}… (900,000 characters)"}
    assert shown in [one["name"] for one in value(vast, "subgraph", names=["A"])["entities"]]
    (path,) = value(vast, "paths", source="small", target=LONG)["paths"]
    assert len(path["names"]) == 2
    assert len(value(vast, "search", query="plain", detail="full")["results"]) == 3
    assert value(vast, "search", query=f"{'m' * 64}*")["results"][0]["name"] == shown
    for tool, arguments in (("overview", {}), ("duplicates", {}), ("entity_history", {"name": "small"})):
        assert len(json.dumps(value(vast, tool, **arguments))) < 20_000
    for uri in ("session://graph/picture", "graph://picture/small", "graph://export/mermaid"):
        assert len(resource(vast, uri)) < 60_000


def test_what_would_answer_a_mebibyte_is_refused_and_taken_back_by_number(vast: Dispatcher) -> None:
    for tool, arguments in (
        ("read_graph", {}),
        ("open_nodes", {"names": ["small"]}),
        ("open_nodes", {"names": [LONG]}),
        ("open_nodes", {"names": [MIB]}),
        ("search_nodes", {"query": "L" * 99}),
        ("subgraph", {"names": ["A"], "format": "jsonl"}),
        ("create_relations", {"relations": [{"from": LONG, "to": LONG, "relationType": "x"}]}),
    ):
        refused = answer(vast, tool, **arguments)
        assert isinstance(refused, EngineError) and "1,048,576" in str(refused), tool
    for uri in ("memory://knowledge-graph", "graph://export/jsonl"):
        with pytest.raises(EngineError, match="1,048,576"):
            resource(vast, uri)
    with pytest.raises(Refused, match="There is nothing about 'x"):
        resource(vast, "graph://picture/" + "x" * 10_000)
    leading = [one["relation"]["id"] for one in value(vast, "neighbours", name="small")["neighbours"]]
    gone = value(vast, "retract_facts", ids=leading)
    assert gone["count"] == 3 and len(json.dumps(gone)) < 20_000
    call(vast, "delete_entities", entityNames=[LONG])
    assert answer(vast, "undo") and answer(vast, "undo") and answer(vast, "undo")
    assert stands(vast) == []


def test_a_bomb_and_what_only_looks_like_a_file_take_nothing(dispatcher_of: Make) -> None:
    graph = dispatcher_of(Telling)
    graph.main(LOCAL, "graph")
    bomb = '<!DOCTYPE x [<!ENTITY a "a"><!ENTITY b "&a;&a;">]><graphml><graph><node id="&b;"/></graph></graphml>'
    deep = "[" * 100_000
    for format, text, said in (
        ("graphml", bomb, "document type"),
        ("gexf", bomb, "document type"),
        ("graphml", "<graphml>" + "<graph>" * 100, "32 deep"),
        ("node-link", deep, "deep"),
        ("cytoscape", deep, "deep"),
        ("jsonld", deep, "deep"),
        ("turtle", "@prefix : <<", "Turtle"),
        ("csv", "a,b\n", "source and target"),
    ):
        with pytest.raises(Refused) as refused:
            taken_in(graph, text=text, format=format)
        assert said in str(refused.value) and len(str(refused.value)) < SAID
    assert taken_in(graph, text=deep, format="jsonl").value["problems"][0]["line"] == 1
    assert stands(graph) == []


def test_a_cursor_that_was_made_up_is_refused(odd: Dispatcher) -> None:
    def sealed(told: Any) -> str:
        made = told if isinstance(told, bytes) else json.dumps(told).encode()
        return urlsafe_b64encode(made).decode().rstrip("=")

    for tool, asked in (("neighbours", {"name": "A", "limit": 2}), ("search", {"query": "plain", "limit": 2})):
        offset, revision, held, digest = json.loads(urlsafe_b64decode(value(odd, tool, **asked)["next"] + "==="))
        times: list[Any] = ["\0", "\ud800", "x" * 10_000, "2026", None, 5, {}]
        wrong: list[Any] = [
            b"[" * 100_000,
            b"[1,2",
            b"\xff",
            b"null",
            b'"abcd"',
            {},
            [[]],
            [offset, revision, held, {}],
        ]
        wrong += [[one, revision, held, digest] for one in (10**30, -1, 1.5, True, None)]
        wrong += [[offset, one, held, digest] for one in (10**30, -1, 1.0, True, None)]
        wrong += [[offset, revision, one, digest] for one in times]
        for told in wrong:
            assert isinstance(answer(odd, tool, cursor=sealed(told), **asked), Refused), told
        assert answer(odd, tool, cursor=sealed([offset, revision, held, digest]), **asked)
