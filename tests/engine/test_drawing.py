"""Charts as SVG: everything is seen, nothing lies on anything else, and the document needs nothing but itself."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from itertools import combinations, pairwise

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.charts import ROOT, Chart, Kind, Node, Transition
from engine.drawing.layouts import Box, Curve, Layout, layout_of
from engine.drawing.svg import svg

SVG = "{http://www.w3.org/2000/svg}"
KINDS = [*[Kind.ATOMIC] * 5, Kind.COMPOUND, Kind.COMPOUND, Kind.PARALLEL, Kind.FINAL, Kind.SHALLOW, Kind.DEEP]
HOLDING = (Kind.COMPOUND, Kind.PARALLEL)


def flat(*names: str, ways: tuple[Transition, ...] = ()) -> Chart:
    return Chart(tuple(Node(name=name) for name in names), ways)


def way(source: str, event: str, *targets: str) -> Transition:
    return Transition(source=source, events=(event,) if event else (), targets=targets)


DOOR = Chart(
    (Node(name="open"), Node(name="shut"), Node(name="gone", kind=Kind.FINAL)),
    (way("open", "shut", "shut"), way("shut", "push", "open"), way("shut", "burn", "gone"), way(ROOT, "knock")),
)

GAME = Chart(
    (
        Node(name="title"),
        Node(name="play", kind=Kind.PARALLEL),
        Node(name="scene", kind=Kind.COMPOUND, parent="play"),
        Node(name="hall", parent="scene"),
        Node(name="cellar", parent="scene"),
        Node(name="last scene", kind=Kind.DEEP, parent="scene", initial=("hall",)),
        Node(name="last room", kind=Kind.SHALLOW, parent="scene", initial=("hall",)),
        Node(name="music", parent="play"),
    ),
    (
        way("title", "begin", "play"),
        way("title", "resume", "last scene"),
        way("hall", "descend", "cellar"),
        way("cellar", "quit", "title"),
        way("scene", "restart", "cellar"),
        way("cellar", "leave", "scene"),
        way("cellar", "sing", "music"),
    ),
)


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """Charts of up to 40 nodes, at any depth, with arrows between any of them."""
    size, pick = draw(st.integers(0, 39)), st.tuples(st.sampled_from(KINDS), st.integers(0, 99), st.text(max_size=12))
    picks = draw(st.lists(pick, min_size=size, max_size=size))
    nodes = [Node(name="0")]
    for place, (kind, parent, name) in enumerate(picks, start=1):
        holding = [ROOT, *(node.name for node in nodes if node.kind in HOLDING)]
        nodes.append(Node(name=f"{place}{name}", kind=kind, parent=holding[parent % len(holding)]))
    chart = Chart(tuple(nodes))
    nodes = [_begun(chart, node, draw(st.integers(0, 99))) for node in nodes]
    names, sources = [node.name for node in nodes], (ROOT, *Chart(tuple(nodes)).states)
    ends = st.tuples(st.integers(0, 99), st.lists(st.integers(0, 99), max_size=2), st.text(max_size=40))
    ways = (
        way(sources[source % len(sources)], event, *(names[target % len(names)] for target in targets))
        for source, targets, event in draw(st.lists(ends, min_size=size // 2, max_size=size))
    )
    return Chart(tuple(nodes), tuple(ways))


def _begun(chart: Chart, node: Node, pick: int) -> Node:
    held = chart.in_order(chart.descendants[node.parent if node.kind.is_history else node.name])
    states = [name for name in held if not chart.node[name].kind.is_history]
    if not states:
        return Node(name=node.name, kind=Kind.ATOMIC, parent=node.parent)
    initial = (states[pick % len(states)],) if node.kind in (Kind.COMPOUND, Kind.SHALLOW, Kind.DEEP) else ()
    return Node(name=node.name, kind=node.kind, parent=node.parent, initial=initial)


def apart(one: Box, other: Box) -> bool:
    return (
        one.x + one.width <= other.x + 0.01
        or other.x + other.width <= one.x + 0.01
        or one.y + one.height <= other.y + 0.01
        or other.y + other.height <= one.y + 0.01
    )


def inside(one: Box, other: Box) -> bool:
    return (
        other.x <= one.x + 0.01
        and other.y <= one.y + 0.01
        and one.x + one.width <= other.x + other.width + 0.01
        and one.y + one.height <= other.y + other.height + 0.01
    )


def along(curve: Curve) -> Iterator[Box]:
    """Spots on a curve, as boxes without size."""
    if curve.loop:
        return
    for (x, y), (to_x, to_y) in pairwise(curve.points):
        for part in (0.1, 0.3, 0.5, 0.7, 0.9):
            eased = part * part * (3 - 2 * part)
            down = 3 * part * (1 - part) * 0.5 + part**3
            yield Box(x + (to_x - x) * eased, y + (to_y - y) * down, 0, 0)


def innermost_boxes(chart: Chart, layout: Layout) -> list[Box]:
    return [box for name, box in layout.boxes.items() if not chart.children[name]]


@settings(max_examples=60, deadline=None)
@given(charts())
@example(GAME)
@example(Chart(()))
def test_nothing_in_a_drawing_lies_on_anything_else_or_outside(chart: Chart) -> None:
    layout = layout_of(chart)
    assert set(layout.boxes) == {node.name for node in chart.nodes}
    for one, other in combinations(layout.boxes, 2):
        if one in chart.ancestors[other]:
            assert inside(layout.boxes[other], layout.boxes[one]), (one, other)
        elif other in chart.ancestors[one]:
            assert inside(layout.boxes[one], layout.boxes[other]), (one, other)
        else:
            assert apart(layout.boxes[one], layout.boxes[other]), (one, other)
    leaves, labels = innermost_boxes(chart, layout), [label.box for label in layout.labels]
    assert all(apart(one, other) for one, other in combinations([*leaves, *labels], 2))
    paper = Box(0, 0, layout.width, layout.height)
    spots = [spot for curve in layout.curves for spot in along(curve)]
    assert all(inside(shape, paper) for shape in (*layout.boxes.values(), *labels, *spots))
    assert all(apart(spot, shape) for shape in (*leaves, *labels) for spot in spots)


@settings(max_examples=60, deadline=None)
@given(charts(), st.text(max_size=20), st.data())
def test_drawing_of_any_chart_is_xml_and_always_the_same(chart: Chart, title: str, data: st.DataObject) -> None:
    active = data.draw(st.sets(st.sampled_from(chart.states)))
    drawn = svg(chart, active, title=title)
    assert drawn == svg(chart, active, title=title)
    names = [group.findtext(f"{SVG}title") for group in ElementTree.fromstring(drawn).iter(f"{SVG}g")]
    assert len(names) == len(chart.nodes)


def test_drawing_says_what_it_is_and_which_states_are_active_to_those_who_do_not_see_it() -> None:
    drawn = ElementTree.fromstring(svg(DOOR, {"shut"}, title="A door"))
    assert drawn.get("role") == "img"
    assert [(child.tag, child.text) for child in list(drawn)[:2]] == [
        (f"{SVG}title", "A door"),
        (f"{SVG}desc", "States: open, shut, gone. Active: shut."),
    ]


def test_drawing_has_no_script_and_leads_nowhere() -> None:
    drawn = svg(GAME, {"hall"})
    tags = {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(drawn).iter()}
    assert tags <= {"svg", "title", "desc", "style", "rect", "g", "text", "tspan", "circle", "path", "polygon"}
    assert "href" not in drawn and "url(" not in drawn and " id=" not in drawn
    assert "prefers-color-scheme:dark" in drawn


def test_innermost_active_states_are_filled_and_what_they_are_in_is_tinted() -> None:
    drawn = ElementTree.fromstring(svg(GAME, ["hall", "music"]))
    kinds = {group.findtext(f"{SVG}title"): _kinds(group) for group in drawn.iter(f"{SVG}g")}
    marked = {name: kind for name, found in kinds.items() for kind in ("current", "within") if kind in found}
    assert marked == {"hall": "current", "music": "current", "play": "within", "scene": "within"}
    assert "region" in kinds["scene"] and "region" in kinds["music"] and "region" not in kinds["play"]
    assert svg(GAME, ["hall", "music"]) == svg(GAME, {"play", "scene", "hall", "music"})


def _kinds(group: ElementTree.Element) -> list[str]:
    return group[1].get("class", "").split()


def test_histories_are_circles_and_final_states_have_two_borders() -> None:
    groups = {group.findtext(f"{SVG}title"): group for group in ElementTree.fromstring(svg(GAME)).iter(f"{SVG}g")}
    assert [groups[name].findtext(f"{SVG}text") for name in ("last scene", "last room")] == ["H*", "H"]
    assert groups["last room"].find(f"{SVG}circle") is not None
    final = next(group for group in ElementTree.fromstring(svg(DOOR)).iter(f"{SVG}g") if "gone" in group.itertext())
    assert len(final.findall(f"{SVG}rect")) == 2


def test_long_and_strange_names_are_shortened_and_whole_where_one_points_at_them() -> None:
    names = ("n" * 200, "<a> & b", "bell\x07\x00", "שלום", "two\nlines", "\u202egnp", "می\u200cخواهم", "\ud800")
    groups = list(ElementTree.fromstring(svg(flat(*names))).iter(f"{SVG}g"))
    assert [group.findtext(f"{SVG}title") for group in groups] == [
        names[0],
        "<a> & b",
        "bell\ufffd\ufffd",
        "שלום",
        "two lines",
        "\ufffdgnp",
        names[6],
        "\ufffd",
    ]
    assert groups[0].findtext(f"{SVG}text") == "n" * 31 + "…"


def test_arrows_with_the_same_ends_are_one_with_all_that_is_said() -> None:
    ways = tuple(way("a", f"event {number}", "b") for number in range(12))
    said = [text for text in ElementTree.fromstring(svg(flat("a", "b", ways=ways))).iter(f"{SVG}text")][-1]
    assert [line.text for line in said.iter(f"{SVG}tspan")][-2:] == ["event 6", "… 5 more"]
    assert said.findtext(f"{SVG}title") == "; ".join(f"event {number}" for number in range(12))


def test_states_lie_below_those_that_lead_to_them_and_what_leads_back_points_up() -> None:
    layout = layout_of(DOOR)
    assert layout.boxes["open"].y < layout.boxes["shut"].y < layout.boxes["gone"].y
    assert [curve.down for curve in layout.curves if not curve.loop] == [True, True, False, True]
    assert sum(curve.loop for curve in layout.curves) == 2
