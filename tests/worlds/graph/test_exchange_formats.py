"""The formats of graphs: what is written is read again, what is broken is told, and nothing is taken for more."""

import io
import json
import sys
from collections.abc import Iterable
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Refused
from worlds.graph import facts
from worlds.graph.exchange import Format, Problem, format_named, format_of, reader, writer
from worlds.graph.exchange.elements import DEEPEST, DOCUMENT, LONGEST, Edge, Node, Told

WHOLE = (Format.GRAPHML, Format.GEXF, Format.NODE_LINK, Format.CYTOSCAPE)
"""Formats that keep all there is, in its order."""
TEXT = (Format.TURTLE, Format.NQUADS, Format.JSONLD)

xml = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\n\t\r")
texts = st.text(xml, max_size=8) | st.sampled_from(["", "Ada", "e\u0301", "\u05d0\u202e!", "[1]", "true", "1", "a,b;c"])
attributes = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers(-9, 9) | texts | st.lists(texts), min_size=1
)
beside = st.fixed_dictionaries(
    {},
    optional={
        "valid_from": st.just("1815-12-10T00:00:00.000000+00:00"),
        "valid_to": st.just("1852-11-27T00:00:00.000000+00:00"),
        "weight": st.floats(allow_nan=False, allow_infinity=False),
        "source": texts.filter(bool),
        "attributes": attributes,
    },
)
observations = st.lists(st.builds(Told, texts, beside), max_size=3, unique_by=lambda told: told.text).map(tuple)
nodes = st.lists(st.builds(Node, texts, texts, observations, beside), max_size=4, unique_by=lambda node: node.name)
edges = st.lists(
    st.builds(Edge, texts, texts, texts, beside),
    max_size=4,
    unique_by=lambda edge: (edge.source, edge.type, edge.target),
)


def written(format: Format, nodes: Iterable[Node], edges: Iterable[Edge]) -> bytes:
    nodes, edges = list(nodes), list(edges)
    types = {node.name: node.type for node in nodes}
    ends = dict.fromkeys(name for edge in edges for name in (edge.source, edge.target) if name not in types)
    typed = [
        Edge(edge.source, edge.type, edge.target, edge.more, types.get(edge.source), types.get(edge.target))
        for edge in edges
    ]
    return "".join(writer(format)([*nodes, *(Node(name, None) for name in ends)], typed)).encode()


def read(format: Format, content: bytes) -> list[Any]:
    return list(reader(format)(io.BytesIO(content)))


def told(nodes: Iterable[Node], edges: Iterable[Edge]) -> list[dict[str, Any]]:
    found = []
    for node in nodes:
        found.append(facts.entity(node.name, node.type or "", **node.more))
        found += [facts.observation(node.name, seen.text, **seen.more) for seen in node.observations]
    return found + [facts.relation(edge.source, edge.type, edge.target, **edge.more) for edge in edges]


def in_order(found: Iterable[Any]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in found)


@pytest.mark.parametrize("format", WHOLE)
@settings(max_examples=50)
@given(nodes, edges)
def test_a_graph_that_is_written_and_read_is_the_same(format: Format, nodes: list[Node], edges: list[Edge]) -> None:
    assert read(format, written(format, nodes, edges)) == told(nodes, edges)


@pytest.mark.parametrize("format", TEXT)
@settings(max_examples=50)
@given(nodes, edges)
def test_rdf_keeps_all_but_the_order(format: Format, nodes: list[Node], edges: list[Edge]) -> None:
    assert in_order(read(format, written(format, nodes, edges))) == in_order(told(nodes, edges))


@settings(max_examples=50)
@given(nodes, edges)
def test_jsonl_keeps_what_the_memory_server_knows(nodes: list[Node], edges: list[Edge]) -> None:
    bare = [Node(one.name, one.type, tuple(Told(seen.text) for seen in one.observations)) for one in nodes]
    found = read(Format.JSONL, written(Format.JSONL, nodes, edges))
    assert found == told(bare, [Edge(one.source, one.type, one.target) for one in edges])


@settings(max_examples=50)
@given(nodes, edges)
def test_csv_keeps_relations_and_the_types_of_their_ends(nodes: list[Node], edges: list[Edge]) -> None:
    found = read(Format.CSV, written(Format.CSV, nodes, edges))
    assert [one for one in found if one["kind"] == "relation"] == told([], edges)
    typed = {one.name: one.type for one in nodes if one.type}
    ends = {name: typed[name] for edge in edges for name in (edge.source, edge.target) if name in typed}
    assert {one["subject"]: one["type"] for one in found if one["kind"] == "entity"} == ends


def test_jsonl_is_the_memory_servers_to_the_byte() -> None:
    nodes = [Node('A"\\\n\x01\u2028é', "t", (Told("seen"),)), Node("B", "", again=True)]
    assert (
        written(Format.JSONL, nodes, [Edge("B", "knows", "?")])
        == (
            '{"type":"entity","name":"A\\"\\\\\\n\\u0001\u2028é","entityType":"t","observations":["seen"]}\n'
            '{"type":"entity","name":"B","entityType":"","observations":[]}\n'
            '{"type":"relation","from":"B","to":"?","relationType":"knows"}'
        ).encode()
    )
    assert written(Format.JSONL, [], []) == b""


def test_a_broken_line_is_told_and_the_rest_is_taken() -> None:
    lines = [
        b'\xef\xbb\xbf{"type":"entity","name":"A","entityType":"t","observations":["one",2,"three"]}',
        b'{"type":"entity","name":"B", broken',
        b"\xff\xfe",
        b"",
        b'{"type":"entity","name":"C\\u0000","entityType":"t","observations":[]}',
        b'{"type":"entity","name":"C\\ud800","entityType":"t","observations":[]}',
        b'{"type":"entity","name":"raw \x01","entityType":"t","observations":[]}',
        b'{"type":"entity","name":"C\\u0001\\u202e","entityType":"t"}',
        b"[" * 100_000,
        b'{"type":"other"}',
        b'{"type":"relation","from":"A","to":7,"relationType":"t"}',
        b'{"type":"relation","from":"A","to":"A","relationType":"is"}',
        b"1" * 5_000,
        b"NaN",
    ]
    found = read(Format.JSONL, b"\n".join(lines))
    problems = [one for one in found if isinstance(one, Problem)]
    assert [one.line for one in problems] == [1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14]
    assert "an observation is 2, which is no text" in problems[0].what
    assert "Expecting property name" in problems[1].what and "no UTF-8: byte 0xff at position 1" in problems[2].what
    assert "holds a NUL" in problems[3].what and "lone surrogate" in problems[4].what
    assert "nested too deeply" in problems[6].what
    assert [one.what for one in problems if len(one.what) > 200 or not one.what.isprintable()] == []
    taken = [(one["kind"], one["subject"], one["object"]) for one in found if not isinstance(one, Problem)]
    assert taken == [
        ("entity", "A", ""),
        ("observation", "A", "one"),
        ("observation", "A", "three"),
        ("entity", "C\x01\u202e", ""),
        ("relation", "A", "A"),
    ]


def test_a_line_that_is_too_long_is_passed_over() -> None:
    content = b'{"type":"entity","name":"' + b"x" * LONGEST + b'"}\n{"type":"entity","name":"A","entityType":"t"}'
    problem, fact = read(Format.JSONL, content)
    assert problem == Problem(1, f"the line is longer than {LONGEST:,} bytes") and fact["subject"] == "A"


@pytest.mark.parametrize("format", [Format.GRAPHML, Format.GEXF])
def test_a_bomb_is_refused_by_name(format: Format) -> None:
    bomb = '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]><graphml>&b;</graphml>'
    with pytest.raises(Refused, match="document type") as refused:
        read(format, bomb.encode())
    assert refused.value.rule == "document_type"


@pytest.mark.parametrize(
    ("format", "content", "what"),
    [
        (Format.GRAPHML, b"<graphml>\n<graph>\n<node>", "GraphML, line 3: no element found"),
        (Format.GRAPHML, b"<graphml>" * (DEEPEST + 1), "more than 32 deep"),
        (Format.GRAPHML, b"<html>\n<p/></html>", 'GraphML, line 1: its outermost element is "html"'),
        (Format.GEXF, b"<graphml/>", 'its outermost element is "graphml"'),
        (Format.GRAPHML, b"<graphml>\x00</graphml>", "not well-formed"),
        (Format.GEXF, b"\xff\xfe<", "GEXF"),
        (Format.GEXF, b'<?xml version="1.0" encoding="klingon"?><gexf/>', "encoding"),
        (Format.NODE_LINK, b"[" * 100_000, "nested too deeply"),
        (Format.NODE_LINK, b'{"nodes": []}', "no lists nodes, and edges or links"),
        (Format.NODE_LINK, b"\xff", "no UTF-8 at byte 1"),
        (Format.CYTOSCAPE, b"7", "no elements"),
        (Format.CYTOSCAPE, b'{"elements": {"nodes": [}', "column 25"),
        (Format.CSV, b"a,b\n1,2\n", "line 1: its first line has to name columns"),
        (Format.CSV, b"", "line 1"),
        (Format.CSV, b'source,target\na,b\n"c,d\ne,f\n', "line 3: a quote is opened here"),
        (Format.TURTLE, b"<a> <b> .", "This is no Turtle"),
        (Format.TURTLE, b"[" * 5_000, "This is no Turtle"),
        (Format.JSONLD, b"{", "This is no JSON-LD"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_place(format: Format, content: bytes, what: str) -> None:
    with pytest.raises(Refused) as refused:
        read(format, content)
    assert what in refused.value.reason and refused.value.rule == "unreadable_file"


def test_a_document_has_a_size_at_most() -> None:
    with pytest.raises(Refused, match="read as a whole"):
        read(Format.NODE_LINK, b" " * (DOCUMENT + 1))


def test_json_ld_fetches_nothing() -> None:
    for context in ("http://127.0.0.1/c", ["http://127.0.0.1/c"]):
        with pytest.raises(Refused, match="nothing is fetched"):
            read(Format.JSONLD, json.dumps([{"@graph": [{"@context": context}]}]).encode())


def test_a_broken_row_or_statement_is_told_and_the_rest_is_taken() -> None:
    rows = b"from;to;relation;weight\nA;B;knows;2\nA;B\n\xff;B;knows;1\nA;C;knows;much\nC;A;knows;\n"
    found = read(Format.CSV, rows)
    assert [one.line for one in found if isinstance(one, Problem)] == [3, 4, 5]
    relations = [one for one in found if not isinstance(one, Problem) and one["kind"] == "relation"]
    assert [(one["subject"], one["object"], one.get("weight")) for one in relations] == [
        ("A", "B", 2.0),
        ("C", "A", None),
    ]
    found = read(Format.NQUADS, b'<urn:a:1> <urn:p:1> "x" .\nno statement\n<urn:a:1> <urn:p:1> <urn:a:2> <urn:g:1> .\n')
    assert [one.line for one in found if isinstance(one, Problem)] == [2]
    assert {(one["kind"], one["subject"], one["object"]) for one in found if not isinstance(one, Problem)} == {
        ("entity", "urn:a:1", ""),
        ("entity", "urn:a:2", ""),
        ("observation", "urn:a:1", "1: x"),
        ("relation", "urn:a:1", "urn:a:2"),
    }


def test_what_others_write_is_read() -> None:
    graph = nx.MultiDiGraph()
    graph.add_node("1", label="Ada", born=1815)
    graph.add_node("2", label="Bob")
    graph.add_edge("1", "2", weight=2.5, since="youth")
    for format, content in (
        (Format.GRAPHML, "\n".join(nx.generate_graphml(graph))),
        (Format.GEXF, "\n".join(nx.generate_gexf(graph))),
        (Format.NODE_LINK, json.dumps(nx.node_link_data(graph, edges="links"))),
    ):
        ada, bob, knows = read(format, content.encode())
        assert (ada["subject"], ada["type"], ada["attributes"]["born"]) == ("Ada", "node", 1815)
        assert bob["subject"] == "Bob" and (knows["subject"], knows["object"]) == ("Ada", "Bob")
        assert (knows["weight"], knows["attributes"]["since"]) == (2.5, "youth")
    desktop = {
        "elements": {
            "nodes": [{"data": {"id": "77", "SUID": 77, "shared_name": "Ada", "name": "Ada", "selected": False}}],
            "edges": [{"data": {"id": "9", "source": "77", "target": "77", "interaction": "is"}}],
        }
    }
    ada, knows = read(Format.CYTOSCAPE, json.dumps(desktop).encode())
    assert (ada["subject"], ada.get("attributes")) == ("Ada", None) and knows["type"] == "is"


def test_what_we_write_others_read() -> None:
    graph = [Node("Ada", "person", (Told("x"),)), Node("Bob", None)], [Edge("Ada", "knows", "Bob", {"weight": 2.0})]
    for found in (
        nx.parse_graphml(written(Format.GRAPHML, *graph).decode(), force_multigraph=True),
        nx.read_gexf(io.BytesIO(written(Format.GEXF, *graph))),
        nx.node_link_graph(json.loads(written(Format.NODE_LINK, *graph)), edges="edges"),
        nx.cytoscape_graph(json.loads(written(Format.CYTOSCAPE, *graph))),
    ):
        assert set(found) == {"Ada", "Bob"} and [edge[:2] for edge in found.edges] == [("Ada", "Bob")]
        assert next(iter(found.edges(data=True)))[2]["weight"] == 2.0


def test_a_name_of_a_megabyte_is_a_name() -> None:
    name = "x" * (1 << 20)
    for format in (*WHOLE, *TEXT, Format.JSONL, Format.CSV):
        found = read(format, written(format, [Node(name, "t")], [Edge(name, "is", name)]))
        assert {(one["kind"], len(one["subject"])) for one in found} == {("entity", 1 << 20), ("relation", 1 << 20)}


def test_a_type_and_a_source_have_a_length_at_most() -> None:
    for format in (Format.JSONL, Format.GRAPHML):
        node, edge = read(format, written(format, [Node("A", "t" * 501)], [Edge("A", "t" * 501, "A")]))
        assert "more than 500 characters" in node.what and "more than 500 characters" in edge.what
    _, edge = read(Format.GEXF, written(Format.GEXF, [Node("A", "t")], [Edge("A", "is", "A", {"source": "x" * 2_001})]))
    assert "more than 2,000 characters" in edge.what


def test_a_value_for_all_needs_no_name() -> None:
    told = b'<gexf><graph><attributes class="node"><default>z</default></attributes><node id="A"/></graph></gexf>'
    (ada,) = read(Format.GEXF, told)
    assert ada["subject"] == "A"


def test_mermaid_shows_a_few_and_says_so() -> None:
    nodes = [Node(f'n"{number}" <b>\n', "t") for number in range(70)]
    shown = written(Format.MERMAID, nodes, [Edge(nodes[0].name, "x|y", nodes[1].name), Edge(nodes[0].name, "", "?")])
    assert shown.decode().splitlines()[:2] == ["graph LR", '  n0["n#quot;0#quot; #lt;b#gt;"]']
    assert shown.decode().splitlines()[-2:] == ["  %% 60 of 71 nodes are shown", '  n0 -->|"x|y"| n1']


def test_dot_quotes_names() -> None:
    assert written(Format.DOT, [Node('a"\\', "t")], [Edge('a"\\', "is", "b\n")]).decode().splitlines() == [
        "digraph graph_ {",
        '  "a\\"\\\\" [class="t"];',
        '  "b\\n" [style=dashed];',
        '  "a\\"\\\\" -> "b\\n" [label="is"];',
        "}",
    ]


def test_a_format_is_known_by_name_or_content() -> None:
    assert format_named("memory.jsonl") is Format.JSONL and format_named("x.TTL") is Format.TURTLE
    graph = [Node("Ada", "person", (Told("x"),)), Node("Bob", "person")], [Edge("Ada", "knows", "Bob")]
    for format in (*WHOLE, *TEXT, Format.JSONL, Format.CSV):
        assert format_of("export.json", written(format, *graph)) is format
    signs = [Node("@id", "<graphml", (Told("@prefix <gexf"), Told("nodes"))), Node("@context", "elements")]
    for format in (Format.JSONL, Format.NODE_LINK, Format.CYTOSCAPE):
        assert format_of("export.json", written(format, signs, [])) is format
    with pytest.raises(Refused, match="Nothing says"):
        format_of("", b"\x00\x01")
    with pytest.raises(Refused, match="only written"):
        reader(Format.DOT)


def test_without_rdflib_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rdflib", None)
    with pytest.raises(Refused, match="not installed") as refused:
        read(Format.TURTLE, b"")
    assert "turnkeeper[rdf]" in (refused.value.hint or "")
