"""The pure core on charts that can be read: what is left and entered in which order, what is recalled, what is due."""

import json
from datetime import timedelta
from typing import Any

import pytest

from engine.charts import Chart, Configuration, Content, Delay, Event, Kind, Node, Transition
from engine.configurations import is_known, is_sound, shown
from engine.statechart import Cancel, Endless, Moment, Schedule, Step, begin, microstep, move, send

A_DAY = timedelta(days=1)


def says(what: str) -> Content:
    """Content that writes into the context, a list."""

    def say(context: Any, moment: Moment) -> None:
        context.append(what)

    return say


def raises(event: str) -> Content:
    """Content that hands an event back."""

    def say(context: Any, moment: Moment) -> None:
        moment.raise_event(Event(event))

    return say


def state(name: str, parent: str = "", kind: Kind = Kind.ATOMIC, **more: Any) -> Node:
    """A state that says when it is entered and left."""
    return Node(name=name, parent=parent, kind=kind, on_entry=(says(f"+{name}"),), on_exit=(says(f"-{name}"),), **more)


def way(source: str, event: str | None, *targets: str, **more: Any) -> Transition:
    events = () if event is None else (event,)
    return Transition(source=source, events=events, targets=targets, content=says(f"{source} {event}"), **more)


ORDER = Chart(
    (
        state("open", delays=(Delay("forgotten", A_DAY),)),
        state("placed", kind=Kind.PARALLEL),
        state("payment", "placed", Kind.COMPOUND),
        state("due", "payment", delays=(Delay("overdue", 2 * A_DAY),)),
        state("paid", "payment", Kind.FINAL),
        state("fulfilment", "placed", Kind.COMPOUND),
        state("packing", "fulfilment"),
        state("sent", "fulfilment", Kind.FINAL),
        Node(name="before", parent="placed", kind=Kind.DEEP, initial=("due",)),
        state("held"),
        state("done", kind=Kind.FINAL),
    ),
    (
        way("open", "place", "placed"),
        way("due", "pay", "paid"),
        way("packing", "send", "sent"),
        way("placed", "hold", "held"),
        way("held", "resume", "before"),
        way("placed", "done.state.placed", "done"),
        way("placed", "touch"),
    ),
)


def run(chart: Chart, *events: str) -> tuple[Step, list[str]]:
    """The last step, and what it said."""
    said: list[str] = []
    step = begin(chart, said)
    for event in events:
        said.clear()
        step = send(chart, step.configuration, Event(event), said)
    return step, said


def test_states_are_entered_from_the_outside_in_and_left_from_the_inside_out() -> None:
    entered = ["+placed", "+payment", "+due", "+fulfilment", "+packing"]
    assert run(ORDER, "place")[1] == ["-open", "open place", *entered]
    left = ["-packing", "-fulfilment", "-due", "-payment", "-placed"]
    assert run(ORDER, "place", "hold")[1] == [*left, "placed hold", "+held"]


def test_regions_are_done_together_and_one_by_one_in_either_order() -> None:
    assert ORDER.atomic(run(ORDER, "place", "pay")[0].configuration.active) == ["paid", "packing"]
    for events in (("pay", "send"), ("send", "pay")):
        step, said = run(ORDER, "place", *events)
        assert step.configuration.active == {"done"}
        assert said[-2:] == ["placed done.state.placed", "+done"]


def test_deep_history_recalls_the_innermost_states_and_its_default_before() -> None:
    assert ORDER.atomic(run(ORDER, "place", "pay", "hold", "resume")[0].configuration.active) == ["paid", "packing"]
    first = move(ORDER, begin(ORDER, []).configuration, ("before",), [])
    assert ORDER.atomic(first.configuration.active) == ["due", "packing"]


def test_state_that_was_not_left_is_not_entered_again_for_a_history() -> None:
    nodes = (
        state("out", kind=Kind.COMPOUND),
        *(state("in", "out", Kind.COMPOUND, delays=(Delay("late", A_DAY),)), state("a", "in"), state("b", "in")),
        Node(name="back", parent="out", kind=Kind.DEEP, initial=("a",)),
    )
    step, said = run(Chart(nodes, (way("a", "go", "back"),)), "go")
    assert (said, step.effects) == (["-a", "a go", "+a"], (Cancel("a"),))


@pytest.mark.parametrize(
    ("recalled", "known"),
    [(["due", "sent"], True), (["paid"], True), (["due", "paid"], False), (["open"], False), (["placed"], False)],
)
def test_history_recalls_what_is_within_its_parent_and_can_be_active_together(recalled: list[str], known: bool) -> None:
    assert is_known(ORDER, json.dumps({"in": ["held"], "history": {"before": recalled}})) is known


@pytest.mark.parametrize("text", ["{x", "{}", '{"in":[]}', '{"in":"due"}', '{"in":[1]}'])
def test_text_that_is_no_configuration_is_shown_as_it_stands(text: str) -> None:
    assert shown(text) == text and not is_sound(text)


def test_transition_without_target_leaves_nothing() -> None:
    step, said = run(ORDER, "place", "touch")
    assert (said, step.effects) == (["placed touch"], ())


def test_internal_transition_does_not_leave_its_source_and_an_external_one_does() -> None:
    nodes = (state("out", kind=Kind.COMPOUND), state("in", "out"))
    chart = Chart(nodes, (way("out", "stay", "in", internal=True), way("out", "go", "in")))
    assert run(chart, "stay")[1] == ["-in", "out stay", "+in"]
    assert run(chart, "go")[1] == ["-in", "-out", "out go", "+out", "+in"]


def test_transition_of_a_region_into_itself_leaves_all_regions() -> None:
    """SCXML 3.13: what is left lies within a compound state, never within a parallel one."""
    nodes = (
        state("both", kind=Kind.PARALLEL),
        *(state("left", "both", Kind.COMPOUND), state("l", "left")),
        *(state("right", "both", Kind.COMPOUND), state("r", "right")),
    )
    chart = Chart(nodes, (way("left", "go", "l"),))
    left = ["-r", "-right", "-l", "-left", "-both"]
    assert run(chart, "go")[1] == [*left, "left go", "+both", "+left", "+l", "+right", "+r"]


def test_delays_begin_when_their_state_is_entered_and_end_when_it_is_left() -> None:
    assert begin(ORDER, []).effects == (Schedule("open", "forgotten", A_DAY),)
    placed, _ = run(ORDER, "place")
    assert placed.effects == (Cancel("open"), Schedule("due", "overdue", 2 * A_DAY))
    assert run(ORDER, "place", "pay")[0].effects == (Cancel("due"),)


def test_event_nobody_hears_changes_nothing() -> None:
    before = run(ORDER, "place")[0].configuration
    assert send(ORDER, before, Event("nothing"), []) == Step(before)


def test_ended_chart_hears_only_what_its_final_state_does() -> None:
    chart = Chart((state("on"), state("off", kind=Kind.FINAL)), (way("", "go", "off"), way("off", "mourn")))
    assert run(chart, "go", "go")[1] == []
    assert run(chart, "go", "mourn")[1] == ["off mourn"]


def test_transition_within_comes_before_one_further_out() -> None:
    nodes = (state("out", kind=Kind.COMPOUND), state("in", "out"), state("else"))
    chart = Chart(nodes, (way("out", "go", "else"), way("in", "go")))
    assert run(chart, "go")[1] == ["in go"]


def test_of_two_that_conflict_the_first_in_the_document_is_taken() -> None:
    nodes = (
        state("both", kind=Kind.PARALLEL),
        *(state("left", "both", Kind.COMPOUND), state("l", "left")),
        *(state("right", "both", Kind.COMPOUND), state("r", "right")),
        *(state("x"), state("y")),
    )
    chart = Chart(nodes, (way("r", "go", "y"), way("l", "go", "x")))
    assert run(chart, "go")[1][-2:] == ["l go", "+x"]


def test_eventless_transitions_come_before_raised_events_and_these_before_the_next() -> None:
    nodes = (state("a"), Node(name="b", on_entry=(raises("late"), raises("later"))), state("c"), state("d"))
    ways = (way("a", "go", "b"), way("b", None, "c"), way("b", "late", "a"), way("c", "late"), way("c", "later", "d"))
    step, said = run(Chart(nodes, ways), "go")
    assert said == ["-a", "a go", "b None", "+c", "c late", "-c", "c later", "+d"]
    assert [taken.source for taken in step.taken] == ["a", "b", "c", "c"]


def test_descriptor_is_of_the_events_below_it_too() -> None:
    chart = Chart((state("a"), state("b")), (way("a", "error", "b"),))
    assert run(chart, "error.communication")[0].configuration.active == {"b"}
    assert run(chart, "errors")[0].configuration.active == {"a"}


def test_event_chooses_among_the_targets_a_transition_offers() -> None:
    chart = Chart((state("a"), state("b"), state("c")), (way("a", "go", "b", choices=("b", "c")),))
    start = begin(chart, []).configuration
    assert send(chart, start, Event("go"), []).configuration.active == {"b"}
    assert send(chart, start, Event("go", chosen=("c",)), []).configuration.active == {"c"}
    assert send(chart, start, Event("go", chosen=("a",)), []).configuration.active == {"a"}


def test_chart_without_rest_is_stopped_and_says_where() -> None:
    chart = Chart((state("ping"), state("pong")), (way("ping", None, "pong"), way("pong", None, "ping")))
    with pytest.raises(Endless, match="no rest after 100 microsteps; active: p"):
        begin(chart, [])


def test_guard_that_raises_an_event_and_says_no_is_stopped() -> None:
    def complains(context: Any, moment: Moment) -> bool:
        moment.raise_event(Event("tick"))
        return False

    chart = Chart((state("a"), state("b")), (way("a", None, "b", guard=complains), way("a", "go", "b")))
    with pytest.raises(Endless, match=r"no rest after 100 microsteps; active: a\. Let a guard say no in the end"):
        begin(chart, [])
    with pytest.raises(Endless):
        microstep(chart, Configuration(frozenset({"a"})), [])


@pytest.mark.parametrize("ways", [100, 101])
def test_a_hundred_microsteps_are_not_too_many(ways: int) -> None:
    places = [state(f"s{place}") for place in range(ways + 1)]
    chart = Chart(tuple(places), tuple(way(f"s{place}", None, f"s{place + 1}") for place in range(ways)))
    if ways == 100:
        assert begin(chart, []).configuration.active == {"s100"}
    else:
        with pytest.raises(Endless):
            begin(chart, [])


def test_what_content_raises_reaches_the_caller_who_has_the_old_configuration_still() -> None:
    def fail(context: Any, moment: Moment) -> None:
        raise RuntimeError("broken")

    chart = Chart((state("a"), state("b")), (Transition(source="a", events=("go",), targets=("b",), content=fail),))
    start = begin(chart, []).configuration
    with pytest.raises(RuntimeError, match="broken"):
        send(chart, start, Event("go"), [])
    assert start == Configuration(frozenset({"a"}))
