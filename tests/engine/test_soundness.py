"""Every fault of a chart that can be seen without running it: its place, what it is, and the remedy."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.charts import ROOT, Chart, Delay, Event, Kind, Node, Transition
from engine.soundness.behaviour import behaviour
from engine.soundness.faults import problems
from engine.statechart import Endless, begin, send


def to(source: str, event: str, *targets: str, **other: Any) -> Transition:
    return Transition(source=source, events=tuple(event.split()), targets=targets, **other)


def compound(name: str, *nodes: Node, parent: str = ROOT, **other: Any) -> tuple[Node, ...]:
    return Node(name=name, kind=Kind.COMPOUND, parent=parent, **other), *nodes


def maybe(context: object, moment: object) -> bool:
    raise AssertionError("a guard is the author's, and is not run")


def final(name: str, parent: str = ROOT) -> Node:
    return Node(name=name, kind=Kind.FINAL, parent=parent)


def flat(names: str, *transitions: Transition, finals: str = "", **other: Any) -> Chart:
    kinds = {name: Kind.FINAL for name in finals}
    return Chart(tuple(Node(name=name, kind=kinds.get(name, Kind.ATOMIC)) for name in names), transitions, **other)


def found(chart: Chart) -> list[tuple[str, str, str]]:
    return [(problem.place, problem.what, problem.remedy) for problem in problems(chart)]


# sound ones

DOOR = Chart(
    (Node(name="open"), Node(name="shut"), final("gone")),
    (
        to("open", "shut", "shut"),
        to("shut", "push", "open", choices=("open", "gone")),
        to(ROOT, "knock"),
        to("gone", "mourn"),
    ),
)

ORDER = Chart(
    (
        Node(name="open", delays=(Delay("expire", timedelta(days=1)),)),
        Node(name="placed", kind=Kind.PARALLEL),
        *compound("payment", Node(name="due", parent="payment"), final("paid", "payment"), parent="placed"),
        *compound(
            "fulfilment",
            Node(name="waiting", parent="fulfilment"),
            Node(name="packed", parent="fulfilment"),
            final("shipped", "fulfilment"),
            parent="placed",
        ),
        final("done"),
        final("cancelled"),
    ),
    (
        to("open", "place", "placed", guard=maybe),
        to("open", "expire", "cancelled"),
        to("due", "pay", "paid"),
        to("waiting", "pack", "packed"),
        to("packed", "ship", "shipped", guard=maybe),
        to("placed", "done.state.placed", "done"),
        to("placed", "cancel", "cancelled"),
        to(ROOT, "note"),
    ),
)

GAME = Chart(
    (
        *compound("chapters"),
        *compound("one", Node(name="gate", parent="one"), Node(name="yard", parent="one"), parent="chapters"),
        *compound("two", Node(name="hall", parent="two"), final("crowned", "two"), parent="chapters"),
        Node(name="back", kind=Kind.DEEP, parent="chapters", initial=("gate",)),
        Node(name="paused"),
        Node(name="judged"),
        final("over"),
    ),
    (
        to("gate", "enter", "yard"),
        to("yard", "leave", "gate"),
        to("yard", "read", "two"),
        to("hall", "win", "crowned"),
        to("two", "done.state.two", "judged"),
        to("judged", "", "over", guard=maybe),
        to("judged", "", "one"),
        to("chapters", "pause", "paused"),
        to("paused", "resume", "back"),
    ),
)


@pytest.mark.parametrize("chart", [DOOR, ORDER, GAME], ids=["flat", "order", "game"])
def test_sound_chart_has_no_problems(chart: Chart) -> None:
    assert found(chart) == []


@pytest.mark.parametrize("chart", [DOOR, ORDER, GAME], ids=["flat", "order", "game"])
def test_sound_chart_has_none_either_if_it_is_too_large_to_be_looked_at_wholly(chart: Chart) -> None:
    coarse = behaviour(chart, limit=1)
    assert coarse.reached == {*chart.states} and coarse.ending >= {*chart.states}
    assert len(coarse.taken) == len(chart.transitions)
    assert coarse.moving >= {*chart.atomic(chart.states)} - chart.finals and not coarse.spent - chart.finals


def test_world_of_many_regions_is_judged_without_looking_at_all_their_combinations_and_that_is_said() -> None:
    regions = [
        compound(f"r{n}", *(Node(name=f"{step}{n}", parent=f"r{n}") for step in "abcdef"), parent="p") for n in range(9)
    ]
    ways = [
        to(f"{one}{n}", f"go{n}", f"{other}{n}") for n in range(9) for one, other in zip("abcde", "bcdef", strict=True)
    ]
    nodes = (Node(name="p", kind=Kind.PARALLEL), *(node for region in regions for node in region), Node(name="x"))
    unreachable, stop, note = problems(Chart(nodes, tuple(ways)))
    assert (unreachable.place, unreachable.what) == ("state 'x'", "is unreachable: no action leads there")
    assert (stop.place, stop.what.split(":")[0]) == (
        "states " + " and ".join(f"'f{n}'" for n in range(9)),
        "are a dead end together",
    )
    assert (note.place, note.certain) == ("the chart", False)
    assert note.what.startswith("has more than 1,024 situations, and was judged state by state")


# structure


def test_names_are_there_and_once() -> None:
    chart = Chart((Node(name="a"), Node(name="a"), Node(name="")))
    assert found(chart) == [
        ("state 'a'", "is there twice", "name each state once; give one of them another name"),
        ("state ''", "has no name", "give it one, of at least one character"),
    ]


def test_chart_has_states() -> None:
    assert found(Chart(())) == [("the chart", "has no states", "name one, such as states=[State.OPEN]")]


def test_what_a_state_is_in_is_there_before_it() -> None:
    chart = Chart((Node(name="a", parent="x"), Node(name="b", parent="c"), *compound("c")))
    assert found(chart) == [
        ("state 'a'", "is in 'x', which is no state", "name a Compound or Parallel 'x' before it"),
        ("state 'b'", "is in 'c', which comes after it", "name a Compound or Parallel 'c' before it"),
    ]


@pytest.mark.parametrize(
    ("kind", "said"),
    [(Kind.ATOMIC, "an atomic state"), (Kind.FINAL, "a final state"), (Kind.DEEP, "a deep history")],
)
def test_only_compound_and_parallel_states_hold_others(kind: Kind, said: str) -> None:
    chart = Chart((Node(name="a", kind=kind), Node(name="b", parent="a"), Node(name="c")))
    assert found(chart) == [
        ("state 'a'", f"holds 'b', but is {said}", "write Compound('a', …) or Parallel('a', …), or put 'b' elsewhere")
    ]


def test_compound_state_has_states() -> None:
    assert found(Chart(compound("a"))) == [
        ("state 'a'", "is compound, but holds no states", "give Compound('a', …) states, or write it without")
    ]


def test_parallel_state_has_regions() -> None:
    assert found(Chart((Node(name="a", kind=Kind.PARALLEL),))) == [
        ("state 'a'", "is parallel, but has no regions", "give Parallel('a', …) regions, or write it without")
    ]


def test_region_is_not_final() -> None:
    assert found(Chart((Node(name="a", kind=Kind.PARALLEL), Node(name="b", parent="a"), final("c", "a")))) == [
        (
            "state 'c'",
            "is final, but a region of the parallel 'a'",
            "put it into a region: Parallel('a', Compound(…, Final('c')))",
        )
    ]


def test_state_starts_within() -> None:
    chart = Chart((*compound("a", Node(name="b", parent="a"), initial=("c",)), Node(name="c")))
    assert found(chart) == [("state 'a'", "starts in 'c', which is not within it", "name one of 'b'")]
    assert found(Chart((Node(name="a", initial=("x", "y")),))) == [
        ("state 'a'", "starts in 'x' and 'y', which is not within it", "write Compound('a', …) with states in it")
    ]


def test_chart_starts_in_a_state_of_its_own() -> None:
    assert found(flat("ab", initial=("c",))) == [
        ("the chart", "starts in 'c', which is no state", "start in one of 'a', 'b'")
    ]


def test_start_is_of_states_that_can_be_active_together() -> None:
    assert found(flat("ab", initial=("a", "b"))) == [
        ("the chart", "starts in 'a' and 'b', which cannot be active together", "start in one of them")
    ]
    inner = compound("x", Node(name="a", parent="x"), Node(name="b", parent="x"), initial=("a", "b"))
    assert found(Chart(inner)) == [
        ("state 'x'", "starts in 'a' and 'b', which cannot be active together", "name one of them")
    ]


def history(kind: Kind, *default: str) -> Chart:
    nodes = (
        *compound("x", *compound("y", Node(name="a", parent="y"), Node(name="b", parent="y"), parent="x")),
        Node(name="back", kind=kind, parent="x", initial=default),
        Node(name="c"),
    )
    return Chart(nodes, (to("c", "go", "back"), to("x", "stop", "c"), to("a", "on", "b")))


def test_history_has_a_default() -> None:
    assert found(history(Kind.SHALLOW)) == [
        ("state 'back'", "is a history without a default", "say History('back', default='y')")
    ]


@pytest.mark.parametrize(
    ("kind", "default", "relation"),
    [
        (Kind.SHALLOW, "c", "directly within"),
        (Kind.SHALLOW, "a", "directly within"),
        (Kind.DEEP, "c", "within"),
        (Kind.DEEP, "back", "within"),
        (Kind.DEEP, "nowhere", "within"),
    ],
)
def test_default_of_a_history_is_within_what_it_is_of(kind: Kind, default: str, relation: str) -> None:
    assert found(history(kind, default)) == [
        (
            "state 'back'",
            f"is a history with the default {default!r}, which is no state {relation} 'x'",
            f"say History('back', default='y'{', deep=True' if kind is Kind.DEEP else ''})",
        )
    ]


def test_history_is_within_what_it_recalls() -> None:
    stray = Chart((Node(name="a"), Node(name="back", kind=Kind.DEEP, initial=("a",))), (to("a", "go", "back"),))
    assert found(stray) == [
        (
            "state 'back'",
            "is a history outside of any state: what it is in is never left, so it would recall nothing",
            "put History('back', default='a', deep=True) into the Compound or Parallel that it is to lead back into",
        )
    ]


def test_default_of_a_history_is_of_states_that_can_be_active_together() -> None:
    assert found(history(Kind.DEEP, "a", "b")) == [
        (
            "state 'back'",
            "is a history with a default of 'a' and 'b', which cannot be active together",
            "name one of them",
        )
    ]


def test_right_defaults_of_histories_are_no_problem() -> None:
    assert found(history(Kind.SHALLOW, "y")) == found(history(Kind.DEEP, "a")) == []


def test_transition_leaves_and_leads_to_states_that_are_there() -> None:
    chart = flat("ab", to("x", "go", "a", label="go"), to("a", "on", "y"), to("b", "off", "a", choices=("z", "z")))
    assert found(chart) == [
        ("go", "leaves 'x', which is no state", "take one of 'a', 'b'"),
        ("a --on--> y", "leads to 'y', which is no state", "take one of 'a', 'b', or name it in states=[…]"),
        ("b --off--> a", "leads to 'z', which is no state", "take one of 'a', 'b', or name it in states=[…]"),
    ]


def test_transition_leaves_no_history() -> None:
    chart = history(Kind.DEEP, "a")
    wrong = Chart(chart.nodes, (*chart.transitions, to("back", "off", "c")))
    assert found(wrong) == [
        ("back --off--> c", "leaves 'back', which is a history, and no state one can be in", "take source='x'")
    ]


def test_targets_can_be_active_together() -> None:
    assert found(flat("ab", to("a", "go", "a", "b"))) == [
        (
            "a --go--> a b",
            "leads to 'a' and 'b', which cannot be active together",
            "name one target for each region of one Parallel, or only one",
        )
    ]


def test_targets_in_different_regions_are_no_problem() -> None:
    ways = (to("placed", "skip", "paid", "packed"),)
    assert found(Chart(ORDER.nodes, (*ORDER.transitions, *ways))) == []


def test_event_has_a_name() -> None:
    assert found(flat("a", Transition(source="a", events=("",)))) == [
        ("a ----> no other", "hears an event without a name", "name the event, or * for any")
    ]


def test_transition_has_an_event_a_guard_or_a_target() -> None:
    assert found(flat("a", Transition(source="a", label="nothing"))) == [
        (
            "nothing",
            "is taken by itself, always, and leads nowhere: it would be taken for ever",
            "give it a target=…, guards=[…], or on=done(…)",
        )
    ]


def test_behaviour_is_looked_at_only_when_the_structure_is_right() -> None:
    assert [what for _, what, _ in found(flat("ab", to("a", "go", "c")))] == ["leads to 'c', which is no state"]


# behaviour


def test_unreachable_states_and_dead_ends_are_found_with_their_remedies() -> None:
    assert found(flat("abc", to("a", "go", "b"))) == [
        (
            "state 'b'",
            "is a dead end: no action can be taken there",
            "give an action source='b', or write Final('b')",
        ),
        ("state 'c'", "is unreachable: no action leads there", "give an action target='c', or remove the state"),
    ]


def test_problem_knows_its_state_and_transition() -> None:
    way = to("b", "go", "c", label="go")
    assert [(problem.source, problem.transition) for problem in problems(flat("abc", to("a", "stay"), way))] == [
        ("b", None),
        ("c", None),
        ("b", way),
    ]


def test_state_reached_only_from_an_unreachable_one_is_unreachable() -> None:
    chart = flat("abc", to("a", "stay"), to("b", "go", "c", label="go"), finals="c")
    assert [(place, what.split(":")[0]) for place, what, _ in found(chart)] == [
        ("state 'b'", "is unreachable"),
        ("state 'c'", "is unreachable"),
        ("go", "can never be chosen"),
    ]


def test_unreachable_state_speaks_for_those_within() -> None:
    chart = Chart((Node(name="a"), *compound("x", Node(name="b", parent="x"))), (to("a", "stay"),))
    assert [place for place, *_ in found(chart)] == ["state 'x'"]


def test_state_is_unreachable_though_what_it_is_in_is_not() -> None:
    chart = Chart(compound("x", Node(name="b", parent="x"), Node(name="c", parent="x")), (to("x", "stay"),))
    assert [place for place, *_ in found(chart)] == ["state 'c'"]


def test_what_only_a_done_event_leads_to_is_unreachable_if_that_never_comes() -> None:
    nodes = (*compound("x", Node(name="b", parent="x"), final("f", "x")), Node(name="c"))
    chart = Chart(nodes, (to("b", "stay"), to("x", "done.state.x", "c"), to("c", "again", "x")))
    assert [place for place, *_ in found(chart)] == [
        "state 'f'",
        "state 'c'",
        "x --done.state.x--> c",
        "c --again--> x",
    ]


def test_dead_end_within_others_is_to_be_written_as_final() -> None:
    chart = Chart(compound("x", Node(name="b", parent="x"), Node(name="c", parent="x")), (to("b", "go", "c"),))
    assert found(chart) == [
        (
            "state 'c'",
            "is a dead end: no action can be taken there",
            "give an action source='c', or write Final('c') and a @transition(source='x', target=…, on=done('x'))",
        )
    ]


def test_state_that_what_it_is_in_leaves_is_no_dead_end() -> None:
    nodes = (*compound("x", Node(name="b", parent="x"), Node(name="c", parent="x")), final("d"))
    assert found(Chart(nodes, (to("b", "go", "c"), to("x", "stop", "d")))) == []


def test_region_at_rest_is_no_dead_end_while_others_move() -> None:
    nodes = (
        Node(name="p", kind=Kind.PARALLEL),
        *compound("l", Node(name="l1", parent="l"), Node(name="l2", parent="l"), parent="p"),
        *compound("r", Node(name="r1", parent="r"), parent="p"),
    )
    assert found(Chart(nodes, (to("l1", "go", "l2"), to("r1", "beat")))) == []
    assert [place for place, *_ in found(Chart(nodes, (to("l1", "go", "l2"),)))] == ["state 'l2'"]


def deadlocked(*more: Transition, **other: Any) -> Chart:
    """Two regions that come to a stop together, though each moves beside the other's first state."""
    nodes = (
        Node(name="p", kind=Kind.PARALLEL),
        *compound("l", Node(name="l1", parent="l"), Node(name="l2", parent="l"), parent="p"),
        *compound("r", Node(name="r1", parent="r"), Node(name="r2", parent="r"), parent="p"),
    )
    return Chart(nodes, (to("l1", "go", "l2"), to("r1", "run", "r2"), *more), **other)


def test_states_that_are_a_dead_end_only_together_are_found() -> None:
    assert found(deadlocked()) == [
        (
            "states 'l2' and 'r2'",
            "are a dead end together: nothing can happen any more while all of them are active",
            "give an action source='p', or one of them",
        )
    ]
    assert found(deadlocked(to("r2", "back", "r1"))) == []


def test_what_may_be_a_dead_end_is_uncertain() -> None:
    calls = dict.fromkeys(["go", "run"], frozenset([ROOT]))
    for way in (to("r2", "", "r1", guard=maybe, label="rest"), to("r2", "bell", "r1", label="rest")):
        (doubt,) = problems(deadlocked(way, calls=calls))
        assert (doubt.certain, doubt.place) == (False, "states 'l2' and 'r2'")
        assert doubt.what == "may be a dead end together: no action can be taken then, and rest may never be"
    *nodes, last = (timed := deadlocked(to("r2", "bell", "r1"), calls=calls)).nodes
    assert found(replace(timed, nodes=(*nodes, replace(last, delays=(Delay("bell", timedelta(1)),))))) == []


def test_done_event_that_a_guard_may_let_pass_leaves_a_doubt() -> None:
    nodes = (*compound("x", Node(name="b", parent="x"), final("f", "x")), final("c"))
    (doubt,) = problems(Chart(nodes, (to("b", "go", "f"), to("x", "done.state.x", "c", guard=maybe))))
    assert (doubt.certain, doubt.place) == (False, "state 'f'")


def test_parallel_state_in_another_may_be_the_last_to_be_done() -> None:
    nodes = (
        Node(name="p", kind=Kind.PARALLEL),
        Node(name="q", kind=Kind.PARALLEL, parent="p"),
        *compound("a", Node(name="a1", parent="a"), final("a2", "a"), parent="q"),
        *compound("b", Node(name="b1", parent="b"), final("b2", "b"), parent="q"),
        *compound("c", Node(name="c1", parent="c"), final("c2", "c"), parent="p"),
        final("end"),
    )
    ways = (*(to(f"{name}1", name, f"{name}2") for name in "abc"), to("p", "done.state.p", "end"))
    (doubt,) = problems(Chart(nodes, ways))
    assert (doubt.certain, doubt.place) == (False, "states 'a2' and 'b2' and 'c2'")
    region = compound("d", replace(nodes[1], parent="d"), *nodes[2:8], final("d2", "d"), parent="p")
    assert found(Chart((nodes[0], *region, *nodes[8:]), (*ways, to("q", "done.state.q", "d2")))) == []


def test_state_that_is_done_and_stays_so_is_a_dead_end() -> None:
    nodes = compound("x", Node(name="b", parent="x"), final("f", "x"))
    assert found(Chart(nodes, (to("b", "go", "f"),))) == [
        (
            "state 'x'",
            "is a dead end when it is done: nothing hears done.state.x, and no action can be taken then",
            "give it a @transition(source='x', target=…, on=done('x')), or an action source='x'",
        )
    ]


def test_parallel_state_that_is_done_and_stays_so_is_a_dead_end() -> None:
    ways = [way for way in ORDER.transitions if way.source not in ("placed", ROOT)]
    first = next(problems(Chart(ORDER.nodes, tuple(ways))))
    assert (first.place, first.what.split(":")[0]) == ("state 'placed'", "is a dead end when it is done")


def test_state_without_a_way_to_the_end_is_found() -> None:
    chart = flat("abcde", to("a", "end", "e"), to("a", "go", "b"), to("b", "on", "c"), to("c", "on", "b"), finals="e")
    remedy = "give an action source={!r} that leads on towards an end"
    assert found(Chart(chart.nodes[:3] + chart.nodes[4:], chart.transitions)) == [
        (f"state {name!r}", "has no way to an end: from there no actions lead to 'e'", remedy.format(name))
        for name in "bc"
    ]


def test_world_that_has_no_end_needs_no_way_there() -> None:
    assert found(flat("ab", to("a", "on", "b"), to("b", "on", "a"))) == []


def test_state_that_leads_to_a_dead_end_only_is_not_reported_beside_it() -> None:
    chart = flat("abcd", to("a", "end", "d"), to("a", "go", "b"), to("b", "on", "c"), finals="d")
    assert [place for place, *_ in found(chart)] == ["state 'c'"]


def test_state_that_has_no_way_to_the_end_speaks_for_those_within() -> None:
    nodes = (Node(name="a"), *compound("x", Node(name="b", parent="x"), Node(name="c", parent="x")), final("d"))
    chart = Chart(nodes, (to("a", "end", "d"), to("a", "go", "x"), to("b", "on", "c"), to("c", "on", "b")))
    assert [place for place, *_ in found(chart)] == ["state 'x'"]


def test_transition_of_an_unreachable_state_is_never_chosen() -> None:
    assert found(flat("ab", to("a", "stay"), to("b", "go", "a", label="go")))[1:] == [
        ("go", "can never be chosen: its source 'b' is unreachable", "lead to 'b', or take another source")
    ]


def test_transition_in_the_shadow_of_one_before_it_is_never_chosen() -> None:
    chart = flat("a", to("a", "help", label="help"), to("a", "help.me", "a"))
    assert found(chart) == [
        (
            "a --help.me--> a",
            "can never be chosen: 'help', before it, takes the same from 'a', without a guard",
            "put it before 'help', or give 'help' guards=[…]",
        )
    ]


def test_guarded_transition_has_no_shadow() -> None:
    assert found(flat("a", to("a", "help", guard=maybe), to("a", "help.me", "a"))) == []
    assert found(flat("a", to("a", "help.me"), to("a", "help", "a"))) == []


def test_state_that_is_left_at_once_hears_no_events() -> None:
    chart = flat("ab", to("a", "", "b"), to("a", "go", "b", label="go"), to("b", "back", "a"))
    assert found(chart) == [
        (
            "go",
            "can never be chosen: another leaves 'a' at once, without a guard",
            "give another guards=[…], or an event",
        )
    ]


def test_transition_that_others_always_precede_is_never_chosen() -> None:
    nodes = compound("x", Node(name="b", parent="x"))
    assert found(Chart(nodes, (to("b", "go", label="inner"), to("x", "go", label="outer")))) == [
        (
            "outer",
            "can never be chosen: another is always chosen before it, from within its source or beside it",
            "give guards=[…] to what is chosen before it, or remove it",
        )
    ]


def test_transition_by_itself_from_the_end_is_never_chosen() -> None:
    assert found(flat("ab", to("a", "go", "b"), to("b", "", "a", label="again"), finals="b")) == [
        ("again", "can never be chosen: all has ended in 'b'", "make it an action, or take another source")
    ]


def test_done_event_names_a_state_that_holds_others() -> None:
    chart = flat("a", to("a", "stay done.state.x"), to("a", "done.state.a", "a", label="end"))
    remedy = "name a Compound or Parallel in on=done(…)"
    assert found(chart) == [
        (
            "a --stay done.state.x--> no other",
            "can never be chosen at done.state.x: there is no state 'x'",
            remedy,
        ),
        ("end", "can never be chosen at done.state.a: 'a' is no state that holds others", remedy),
    ]


def test_done_event_is_of_a_state_that_can_be_done() -> None:
    nodes = compound("x", Node(name="b", parent="x"))
    assert found(Chart(nodes, (to("b", "stay"), to("x", "done.state.x", "x", label="end")))) == [
        ("end", "can never be chosen: 'x' is never done", "give Compound('x', …) a Final(…), and lead to it")
    ]


def test_second_transition_at_a_done_event_is_in_the_shadow_of_the_first() -> None:
    nodes = (*compound("x", Node(name="b", parent="x"), final("f", "x")), final("c"))
    ways = (to("b", "go", "f"), to("x", "done.state.x", "c"), to("x", "done.state.x", "x", label="end"))
    assert [(place, what.split(",")[0]) for place, what, _ in found(Chart(nodes, ways))] == [
        ("end", "can never be chosen: another")
    ]


def test_done_event_of_a_parallel_state_needs_all_its_regions_done() -> None:
    nodes = (*ORDER.nodes[:3], *(node for node in ORDER.nodes[3:] if node.name != "paid"))
    ways = [way for way in ORDER.transitions if way.targets != ("paid",)] + [to("due", "remind")]
    assert found(Chart(nodes, tuple(ways)))[1:] == [
        (
            "placed --done.state.placed--> done",
            "can never be chosen: the regions of 'placed' are never all done",
            "lead to a Final(…) in each region of 'placed'",
        )
    ]


def test_done_event_is_heard_where_it_happens() -> None:
    nodes = (*compound("x", Node(name="b", parent="x"), final("f", "x")), Node(name="c"))
    ways = (to("b", "go", "f"), to("x", "on", "c"), to("c", "back", "x"), to("c", "done.state.x", "x", label="end"))
    assert found(Chart(nodes, ways)) == [
        ("end", "can never be chosen: 'c' is never active when 'x' is done", "take source='x'")
    ]


def test_chart_that_never_comes_to_rest_is_found() -> None:
    chart = flat("abc", to("c", "go", "a"), to("a", "", "b", label="on"), to("b", "", "a"), initial=("c",))
    assert found(chart) == [
        (
            "on",
            "never comes to rest: 'a' --> 'b', 'b' --> 'a' would be taken by itself for ever",
            "give guards=[…] to what is to end it, or make it an action",
        )
    ]
    with pytest.raises(Endless):
        send(chart, begin(chart).configuration, Event("go"))


def test_circle_with_a_guard_may_come_to_rest() -> None:
    assert found(flat("ab", to("a", "", "b", guard=maybe), to("b", "", "a"), to("a", "stay"))) == []


def test_delay_has_an_action() -> None:
    chart = Chart((Node(name="a", delays=(Delay("due", timedelta(hours=1)),)),), (to("a", "stay"),))
    assert found(chart) == [
        (
            "state 'a'",
            "waits for 'due', which nothing hears there",
            "write a @transition(source='a', after=…) for what is due, or remove the delay",
        )
    ]


def test_delay_may_be_heard_by_what_its_state_is_in_or_holds() -> None:
    delays = (Delay("due", timedelta(hours=1)),)
    nodes = compound("x", Node(name="a", parent="x", delays=delays), Node(name="b", parent="x"), delays=delays)
    assert found(Chart(nodes, (to("x", "due", "b"),))) == []
    outer = Chart((nodes[0], Node(name="a", parent="x")), (to("a", "due", "a"),))
    assert found(outer) == []


def test_state_has_one_delay_of_an_event() -> None:
    delays = (Delay("due", timedelta(hours=1)), Delay("due", timedelta(hours=2)))
    assert found(Chart((Node(name="a", delays=delays),), (to("a", "due", "a"),))) == [
        ("state 'a'", "has 2 delays of 'due'", "keep one of them, or give each an action of its own")
    ]
