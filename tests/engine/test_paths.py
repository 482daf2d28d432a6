"""Which configurations a chart can come to, found by its core, and the shortest ways to its states."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from engine.charts import ROOT, Chart, Delay, Kind, Node, Transition
from engine.soundness.paths import BY_ITSELF, LIMIT, START, bare, graph, shortest, sought


def to(source: str, event: str, *targets: str, **other: Any) -> Transition:
    return Transition(source=source, events=tuple(event.split()), targets=targets, **other)


def maybe(context: object, moment: object) -> bool:
    raise AssertionError("a guard is the author's, and is not run")


def never(context: object, moment: object) -> None:
    raise AssertionError("content is not run")


DOOR = Chart(
    nodes=(
        Node(name="open"),
        Node(name="shut", delays=(Delay("rust", timedelta(minutes=90)),)),
        Node(name="gone", kind=Kind.FINAL),
    ),
    transitions=(
        to("open", "shut", "shut", guard=maybe, content=never, conditions=("is_calm",)),
        to("shut", "push", "open", choices=("open", "gone")),
        to("shut", "rust", "gone"),
        to("", "knock"),
    ),
)

ORDER = Chart(
    nodes=(
        Node(name="open"),
        Node(name="placed", kind=Kind.PARALLEL),
        Node(name="payment", kind=Kind.COMPOUND, parent="placed"),
        Node(name="due", parent="payment"),
        Node(name="paid", kind=Kind.FINAL, parent="payment"),
        Node(name="packing", kind=Kind.COMPOUND, parent="placed"),
        Node(name="waiting", parent="packing"),
        Node(name="packed", kind=Kind.FINAL, parent="packing"),
        Node(name="sent", kind=Kind.FINAL),
        Node(name="lost", kind=Kind.FINAL),
    ),
    transitions=(
        to("open", "place", "placed"),
        to("due", "pay", "paid"),
        to("waiting", "pack", "packed"),
        to("placed", "done.state.placed", "sent"),
    ),
)

GAME = Chart(
    nodes=(
        Node(name="chapters", kind=Kind.COMPOUND),
        Node(name="one", kind=Kind.COMPOUND, parent="chapters"),
        Node(name="gate", parent="one"),
        Node(name="yard", parent="one"),
        Node(name="two", parent="chapters"),
        Node(name="back", kind=Kind.DEEP, parent="chapters", initial=("two",)),
        Node(name="paused"),
        Node(name="over", kind=Kind.FINAL),
    ),
    transitions=(
        to("gate", "enter", "yard"),
        to("yard", "read", "two"),
        to("two", "win", "over"),
        to("chapters", "pause", "paused"),
        to("paused", "resume", "back"),
    ),
)


def test_shortest_ways_are_the_actions_to_each_state() -> None:
    assert shortest(DOOR) == {
        "open": (),
        "shut": ("shut [is_calm]",),
        "gone": ("shut [is_calm]", "push (gone)"),
    }


def test_delayed_event_is_a_step_that_says_how_long_it_takes() -> None:
    chart = replace(DOOR, transitions=(*DOOR.transitions[:1], *DOOR.transitions[2:]))
    assert shortest(chart)["gone"] == ("shut [is_calm]", "(after 1 h 30 min) rust")


def test_step_that_nobody_takes_is_told_with_what_it_needs() -> None:
    nodes = tuple(Node(name=name) for name in "abcd")
    ways = (
        to("a", "go", "b", conditions=("is_rich", "is_old")),
        to("b", "", "c", guard=maybe, label="begin", conditions=("is_in_stock",)),
        to("c", "bell", "d"),
    )
    chart = Chart(nodes, ways, calls={"go": frozenset([ROOT])})
    assert shortest(chart)["d"] == ("go [is_rich, is_old]", "(by itself) begin [is_in_stock]", "(raised) bell")
    certain = (to("b", "", "c"), to("c", "go", "d"))
    assert shortest(replace(chart, transitions=(*ways, *certain)))["d"] == ("go [is_rich, is_old]", "go")


def test_way_of_a_copy_is_told_only_where_there_is_no_other() -> None:
    chart = replace(ORDER, enterable=True)
    assert shortest(chart) == {**shortest(ORDER), "lost": ("on_copy (lost)",)}


def test_times_are_said_in_the_largest_units() -> None:
    for after, said in ((timedelta(days=2), "2 d"), (timedelta(seconds=1.5), "1.5 s"), (timedelta(), "0 s")):
        nodes = (Node(name="a", delays=(Delay("go", after),)), Node(name="b"))
        assert shortest(Chart(nodes, (to("a", "go", "b"),)))["b"] == (f"(after {said}) go",)


def test_what_comes_by_itself_is_no_step() -> None:
    assert shortest(ORDER)["sent"] == ("place", "pay", "pack")


def test_states_in_passing_are_reached_too() -> None:
    nodes = tuple(Node(name=name) for name in "abcd")
    chart = Chart(nodes, (to("a", "go", "b"), to("b", "", "c"), to("c", "back", "a")))
    assert shortest(chart) == {"a": (), "b": ("go",), "c": ("go",), "d": None}


def test_state_that_is_not_reached_has_no_way() -> None:
    assert shortest(ORDER)["lost"] is None


def test_states_within_have_the_way_of_what_they_are_in() -> None:
    ways = shortest(ORDER)
    assert ways["placed"] == ways["payment"] == ways["due"] == ways["waiting"] == ("place",)


def test_several_regions_are_combined() -> None:
    resting = {data["label"] for _, data in graph(ORDER).nodes(data=True) if data["rests"]}
    assert resting == {"open", "due, waiting", "paid, waiting", "due, packed", "sent"}


def test_what_a_history_recalls_is_part_of_a_situation() -> None:
    found = graph(GAME)
    paused = [situation for situation, label in found.nodes(data="label") if label == "paused"]
    recalled = {state for situation in paused for _, states in situation.recalled for state in states}
    assert recalled == {"gate", "yard", "two"}
    resumed = {found.nodes[other]["label"] for one in paused for other in found.successors(one)}
    assert resumed == {"gate", "yard", "two"}


def test_edges_are_named_by_what_is_sent_and_know_their_transitions() -> None:
    found = graph(DOOR)
    ways = {
        (found.nodes[one]["label"], key, found.nodes[other]["label"]): data["taken"]
        for one, other, key, data in found.edges(keys=True, data=True)
    }
    assert ways == {
        ("", BY_ITSELF, "open"): set(),
        ("open", "shut", "shut"): {0},
        ("open", "knock", "open"): {3},
        ("shut", "knock", "shut"): {3},
        ("shut", "push", "open"): {1},
        ("shut", "push (gone)", "gone"): {1},
        ("shut", "(after 1 h 30 min) rust", "gone"): {2},
    }


def test_guards_may_answer_either_way() -> None:
    nodes = tuple(Node(name=name) for name in "abcd")
    ways = (to("a", "go", "b", guard=maybe), to("a", "go", "c", guard=maybe), to("a", "go", "d"))
    assert set(shortest(Chart(nodes, ways)).values()) == {(), ("go",), ("go […]",)}


def test_choices_of_several_regions_are_made_at_once() -> None:
    nodes = (
        Node(name="p", kind=Kind.PARALLEL),
        Node(name="l", kind=Kind.COMPOUND, parent="p"),
        *(Node(name=name, parent="l") for name in ("l1", "l2")),
        Node(name="r", kind=Kind.COMPOUND, parent="p"),
        *(Node(name=name, parent="r") for name in ("r1", "r2")),
    )
    ways = (to("l1", "go", "l1", choices=("l1", "l2")), to("r1", "go", "r1", choices=("r1", "r2")))
    found = graph(Chart(nodes, ways))
    first = next(iter(found.successors(START)))
    assert {key: found.nodes[other]["label"] for _, other, key in found.out_edges(first, keys=True)} == {
        "go": "l1, r1",
        "go (l2)": "l2, r1",
        "go (r2)": "l1, r2",
        "go (l2, r2)": "l2, r2",
    }


def test_event_that_nothing_names_stands_for_all_others() -> None:
    chart = Chart((Node(name="a"),), (to("a", "help.me", "a"), to("a", "*", "a")))
    assert {key for *_, key in graph(chart).edges(keys=True)} == {BY_ITSELF, "help.me", "*"}


def test_bound_that_is_hit_is_said() -> None:
    nodes = tuple(Node(name=f"s{number}") for number in range(20))
    chart = Chart(nodes, tuple(to(f"s{number}", "on", f"s{number + 1}") for number in range(19)))
    assert graph(chart).graph["complete"]
    few = graph(chart, limit=5)
    assert not few.graph["complete"] and len(few) < 8
    ways = shortest(chart, few)
    assert ways["s3"] == ("on",) * 3 and ways["s19"] is None


def quests(number: int, steps: int, *more: Node, ways: tuple[Transition, ...] = ()) -> Chart:
    """Regions in which one goes on step by step, more situations than are looked at."""
    nodes, on = [Node(name="all", kind=Kind.PARALLEL)], list[Transition]()
    for quest in range(number):
        names = [f"q{quest}_{step}" for step in range(steps)]
        nodes += [Node(name=f"q{quest}", kind=Kind.COMPOUND, parent="all")]
        nodes += [Node(name=name, parent=f"q{quest}") for name in names[:-1]]
        nodes += [Node(name=names[-1], kind=Kind.FINAL, parent=f"q{quest}")]
        on += [to(one, f"go_{quest}", other) for one, other in pairwise(names)]
    return Chart((*nodes, *more), (*on, *ways))


def test_shortest_way_is_found_among_more_situations_than_are_looked_at() -> None:
    chart = quests(6, 10, Node(name="end", kind=Kind.FINAL), ways=(to("all", "done.state.all", "end"),))
    found = sought(chart)
    assert not found.graph["complete"] and len(found) < 2.5 * LIMIT
    ways = shortest(chart, found)
    assert [ways[f"q{quest}_9"] for quest in range(6)] == [(f"go_{quest}",) * 9 for quest in range(6)]
    assert sorted(ways["end"] or ()) == sorted(f"go_{quest}" for quest in range(6) for _ in range(9))


def test_histories_do_not_hide_the_shortest_way() -> None:
    more = (Node(name="back", kind=Kind.DEEP, parent="all", initial=("q0_0",)), Node(name="paused"), Node(name="lost"))
    ways = (to("all", "pause", "paused"), to("paused", "resume", "back"), to("q1_9", "lose", "lost"))
    assert shortest(quests(6, 10, *more, ways=ways))["lost"] == ("go_1",) * 9 + ("lose",)


def test_guards_that_can_be_answered_in_too_many_ways_hit_the_bound() -> None:
    region = [
        (Node(name=f"r{number}", kind=Kind.COMPOUND, parent="p"), Node(name=f"a{number}", parent=f"r{number}"))
        for number in range(20)
    ]
    nodes = (Node(name="p", kind=Kind.PARALLEL), *(node for pair in region for node in pair))
    chart = Chart(nodes, tuple(to(f"a{number}", "go", f"a{number}", guard=maybe) for number in range(20)))
    assert not graph(chart, limit=10).graph["complete"]


def test_chart_that_waits_for_ever_more_events_hits_the_bound() -> None:
    nodes = (Node(name="x", kind=Kind.COMPOUND), Node(name="f", kind=Kind.FINAL, parent="x"))
    chart = Chart(nodes, (to("x", "", "x"), to("x", "done.state.x", "x")))
    assert not graph(chart).graph["complete"]


def test_bare_chart_keeps_only_its_guards() -> None:
    final = Node(name="f", kind=Kind.FINAL, on_entry=(never,), on_exit=(never,), done_data=never)
    chart = Chart((final,), (to("f", "go", "f", guard=maybe, content=never),), initial_content=never)
    assert bare(chart).nodes == (Node(name="f", kind=Kind.FINAL),)
    assert bare(chart).transitions == (to("f", "go", "f", guard=maybe),)
    assert bare(chart).initial_content is None
