"""Pictures of graphs: that all of one can be read, by whoever looks, and that it is only a picture."""

from itertools import combinations
from xml.etree import ElementTree

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments, Refused
from engine.mcp_adapter.catalog import Catalog, Endpoint
from engine.mcp_adapter.views import read
from engine.types import LOCAL
from tests.browsing import chromium, needs_chromium
from tests.worlds.graph.telling import Make, call, facts_of, karate, told
from worlds.graph.facts import alias, entity, relation
from worlds.graph.pictures.drawing import svg
from worlds.graph.pictures.plan import Arrow, Node, Part, Plan, label_of, lines_of, plan_of

SVG = "{http://www.w3.org/2000/svg}"


def picture(dispatcher: Dispatcher, uri: str) -> str:
    found = read(dispatcher, LOCAL, Catalog(dispatcher.registry, Endpoint("graph")).address(uri))
    assert found["mimeType"] == "image/svg+xml"
    return str(found["text"])


def texts(drawing: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


def titles(drawing: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawing).iter(f"{SVG}title")]


def insist_on_room(plan: Plan) -> None:
    """No box and no label on another, nor outside."""
    boxes = [*plan.boxes, *plan.labels.values()]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    for box in boxes:
        assert box.left >= 0 and box.top >= 0
        assert box.left + box.width <= plan.width and box.top + box.height <= plan.height


any_text = st.text(max_size=60)


@st.composite
def parts(draw: st.DrawFn) -> Part:
    nodes = draw(st.lists(st.builds(Node, any_text, st.none() | any_text), max_size=25))
    ends = st.integers(0, max(len(nodes) - 1, 0))
    relations = draw(st.lists(st.tuples(ends, any_text, ends), max_size=40 if nodes else 0))
    return Part(nodes, relations, 0 if nodes else None)


@settings(max_examples=60, deadline=None)
@given(parts())
def test_nothing_in_a_picture_lies_on_anything_else_and_it_is_xml_that_leads_nowhere(part: Part) -> None:
    insist_on_room(plan_of(part))
    drawing = svg(part, "Any")
    assert drawing == svg(part, "Any")
    for element in ElementTree.fromstring(drawing).iter():
        assert element.tag.removeprefix(SVG) in {
            *("svg", "title", "desc", "style", "rect", "g", "path", "polygon", "text"),
        }
        assert not any("href" in name or name.startswith("on") for name in element.attrib)
    assert "url(" not in drawing.partition("<style>")[2].partition("</style>")[0] and "@import" not in drawing


@pytest.mark.parametrize(
    "graph",
    [
        nx.star_graph(50),
        nx.complete_graph(20),
        nx.balanced_tree(3, 3),
        nx.empty_graph(60),
        nx.path_graph(60),
        nx.disjoint_union(nx.cycle_graph(5), nx.complete_graph(8)),
        nx.les_miserables_graph().subgraph(list(nx.les_miserables_graph())[:60]),
    ],
    ids=["star", "complete", "tree", "orphans", "path", "two", "novel"],
)
def test_graphs_of_every_shape_have_room(graph: nx.Graph) -> None:
    place = {node: at for at, node in enumerate(graph)}
    types = ["knows", "is related to", "works with"]
    nodes = [Node(f"name {node} of some length", "person") for node in graph]
    edges = [(place[one], types[at % 3], place[other]) for at, (one, other) in enumerate(graph.edges)]
    insist_on_room(plan_of(Part(nodes, edges)))


def test_picture_of_the_karate_club_shows_every_member_and_says_what_lines_are(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, facts_of(karate()))
    drawing = picture(dispatcher, "session://graph/picture")
    assert {str(number) for number in range(1, 35)} <= set(texts(drawing))
    assert {"34 names, 78 relations", "all: person", "every line: knows"} <= set(texts(drawing))
    assert drawing == picture(dispatcher, "session://graph/picture")


def test_picture_around_an_entity_shows_what_is_nearest_and_says_what_is_left_out(dispatcher_of: Make) -> None:
    facts = [entity("hub", "thing"), *(relation("hub", "has", f"part {number}") for number in range(100))]
    dispatcher = told(dispatcher_of, [*facts, relation("part 0", "has", "screw"), alias("centre", "hub")])
    drawing = picture(dispatcher, "graph://picture/centre")
    assert titles(drawing)[0] == "What is around hub, at revision 2"
    assert {"60 names, 59 relations", "41 more names are left out"} <= set(texts(drawing))
    assert "screw" not in texts(drawing) and "part 0" in texts(drawing)
    small = picture(dispatcher, "graph://picture/screw")
    assert {"screw", "part 0", "hub"} <= set(texts(small))
    with pytest.raises(Refused, match="There is nothing about 'nobody'"):
        picture(dispatcher, "graph://picture/nobody")


def test_pictures_of_the_past_show_what_was_told_by_then(dispatcher_of: Make) -> None:
    dispatcher = told(dispatcher_of, [entity("A/B & <C>", "thing"), relation("A/B & <C>", "has", "D")])
    call(dispatcher, "tell", facts=[relation("D", "has", "E")])
    assert "E" in texts(picture(dispatcher, "session://graph/picture"))
    then = picture(dispatcher, "graph://at/2/picture")
    assert "E" not in texts(then) and "A/B & <C>" in texts(then)
    around = picture(dispatcher, "graph://at/2/picture/A%2FB%20%26%20%3CC%3E")
    assert {"A/B & <C>", "D"} <= set(texts(around)) and "E" not in texts(around)
    assert titles(around)[0] == "What is around A/B & <C>, at revision 2"
    with pytest.raises(InvalidArguments, match="'yesterday' is no time"):
        picture(dispatcher, "graph://at/yesterday/picture")


def test_names_that_are_odd_are_shown_short_and_told_in_full() -> None:
    zalgo, huge = "Z" + "\u0301" * 500 + "algo", "x" * 2**20
    odd = ["\u202eevil\x07", "القاهرة", "ירושלים", zalgo, huge, "", "a\ud800b", "long " * 30]
    part = Part([Node(name, "t" * 3000) for name in odd], [(at, name, 0) for at, name in enumerate(odd)])
    insist_on_room(plan_of(part))
    drawing = svg(part, "Odd")
    assert len(drawing) < 60_000
    assert {"\ufffdevil\ufffd", "القاهرة", "(no name)", "a\ufffdb"} <= set(texts(drawing))
    assert max(map(len, texts(drawing))) < 60
    assert any("(1,048,576 characters)" in title for title in titles(drawing))
    assert any(title.startswith(("long " * 30).strip()) for title in titles(drawing))


def test_what_is_too_long_to_be_written_whole_is_cut_where_it_can_be_read() -> None:
    written = {
        name: lines_of(name) for name in ("dilleniid_dicot_genus.n.01", "x" * 30, "of the people, by the people, " * 3)
    }
    assert [*written.values()] == [
        ["dilleniid_dicot_genus.n.01"],
        ["x" * 24, "x" * 6],
        ["of the people, by the", "people, of the people,…"],
    ]
    assert label_of(Arrow(0, 1, ("likes", "knows"))) == "likes, knows"
    assert label_of(Arrow(0, 1, ("derivationally related", "member of"))) == "derivationally relat… +1"


def test_relations_both_ways_and_of_several_types_are_all_told() -> None:
    part = Part([Node("A", "x"), Node("B", None)], [(0, "likes", 1), (0, "knows", 1), (1, "knows", 0), (0, "is", 0)], 0)
    plan = plan_of(part)
    assert len({line.points for line in plan.lines}) == 3
    assert {"A — likes, knows → B", "B — knows → A", "A — is → A", "B (no entity)"} <= set(titles(svg(part, "Two")))
    assert {"likes, knows", "(no entity)", "2 names, 4 relations"} <= set(texts(svg(part, "Two")))
    description = ElementTree.fromstring(svg(part, "Two")).find(f"{SVG}desc")
    assert description is not None
    assert description.text == "Names: A, B. Relations: A likes B; A knows B; B knows A; A is A."


@needs_chromium
def test_letters_stay_within_their_boxes_in_a_browser() -> None:
    names = [
        "MMMMM WWWWW",
        "illiterate",
        "Ärger im Überfluß",
        "The Provisional Society for the Study of Things",
        "القاهرة",
    ]
    ring = [(at, f"relates to {at}", (at + 1) % len(names)) for at in range(len(names))]
    drawing = svg(Part([Node(name, f"type {name[:9]}") for name in names], ring), "Widths")
    script = """() => [...document.querySelectorAll("g")].flatMap(group => {
        const rect = group.querySelector("rect")?.getBoundingClientRect()
        return rect ? [...group.querySelectorAll("text")].map(text => text.getBoundingClientRect())
            .filter(box => box.left < rect.left || box.right > rect.right || box.top < rect.top - 1
                || box.bottom > rect.bottom + 1).length : []
    })"""
    with chromium() as browser:
        page = browser.new_page()
        page.set_content(drawing)
        found = page.evaluate(script)
    assert len(found) >= len(names) and not any(found)
