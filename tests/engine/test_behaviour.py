"""What a chart can do: exactly or state by state, nothing that can happen is taken for impossible."""

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import networkx
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.charts import ROOT, Chart, Event, Kind, Node, Transition
from engine.soundness.behaviour import behaviour
from engine.soundness.paths import graph
from engine.soundness.structure import misjoined, misplaced
from engine.statechart import Endless, begin, send


def maybe(context: object, moment: object) -> bool:
    raise AssertionError("a guard is the author's, and is not run")


def way(source: str, event: str, target: str, choices: tuple[str, ...], guarded: bool) -> Transition:
    """One of the chart's; without an event only with a guard, so that it may come to rest."""
    guard = maybe if guarded or not event else None
    return Transition(source=source, events=tuple(event.split()), targets=(target,), choices=choices, guard=guard)


@st.composite
def charts(draw: st.DrawFn) -> Chart:
    """Charts of right structure, two levels and a history deep."""
    nodes: list[Node] = []
    for top in "abcd"[: draw(st.integers(2, 4))]:
        kind = draw(st.sampled_from([Kind.ATOMIC, Kind.COMPOUND, Kind.PARALLEL, Kind.FINAL]))
        nodes += _within(draw, Node(name=top, kind=kind))
    names = [node.name for node in nodes]
    sources = st.sampled_from([ROOT, *(node.name for node in nodes if not node.kind.is_history)])
    done = [f"done.state.{node.name}" for node in nodes if node.kind in (Kind.COMPOUND, Kind.PARALLEL)]
    events = st.sampled_from(["go", "on", "go.on", "", *done])
    targets, choices = st.sampled_from(names), st.lists(st.sampled_from(names), max_size=1).map(tuple)
    ways = st.builds(way, sources, events, targets, choices, st.booleans())
    possible = st.frozensets(sources, min_size=1, max_size=2)
    calls = st.none() | st.dictionaries(st.sampled_from(["go", "on"]), possible)
    return Chart(tuple(nodes), tuple(draw(st.lists(ways, max_size=8))), calls=draw(calls))


def _within(draw: st.DrawFn, node: Node) -> Iterator[Node]:
    yield node
    inner = [Kind.ATOMIC, Kind.FINAL] if node.kind is Kind.COMPOUND else [Kind.ATOMIC, Kind.COMPOUND]
    for number in range(draw(st.integers(1, 2)) if node.kind in (Kind.COMPOUND, Kind.PARALLEL) else 0):
        name = f"{node.name}{number}"
        yield from _within(draw, Node(name=name, kind=draw(st.sampled_from(inner)), parent=node.name))
    if node.kind is Kind.COMPOUND and draw(st.booleans()):
        kind = draw(st.sampled_from([Kind.SHALLOW, Kind.DEEP]))
        yield Node(name=f"{node.name}h", kind=kind, parent=node.name, initial=(f"{node.name}0",))


@settings(deadline=None)
@given(charts())
def test_coarse_answer_takes_nothing_for_impossible_that_is_possible(chart: Chart) -> None:
    assert not list(misplaced(chart)) and not list(misjoined(chart))
    exact, coarse = behaviour(chart), behaviour(chart, limit=1)
    assert coarse.reached >= exact.reached and coarse.taken >= exact.taken
    assert {states for states, ways in coarse.stops.items() if not ways} <= exact.stops.keys()
    ended = {chart.node[state].parent for state in exact.reached if chart.node[state].kind is Kind.FINAL}
    assert coarse.moving >= exact.moving and coarse.spent & ended <= exact.spent
    found = graph(chart)
    ends = [situation for situation in found if chart.is_final(situation.active)]
    assert all(one.active <= coarse.ending for end in ends for one in (end, *networkx.ancestors(found, end)))


@settings(deadline=None)
@given(charts(), st.lists(st.sampled_from(["go", "on", "go.on"]), max_size=8), st.randoms(use_true_random=False))
def test_what_a_chart_does_is_never_reported_as_impossible(chart: Chart, events: list[str], random: Random) -> None:
    does = behaviour(chart)
    ways = tuple(replace(way, guard=_toss) if way.guard else way for way in chart.transitions)
    tossed = replace(chart, transitions=ways)
    try:
        step = begin(tossed, random)
        for event in (*events, None):
            assert step.configuration.active <= does.reached
            assert {tossed.transitions.index(way) for way in step.taken} <= does.taken
            if event is not None and _can_come(tossed, step.configuration.active, event):
                offered = sorted({one for way in tossed.transitions if way.hears(event) for one in way.choices})
                chosen = tuple(random.sample(offered, random.randint(0, min(1, len(offered)))))
                step = send(tossed, step.configuration, Event(event, chosen=chosen), random)
    except Endless:
        assert does.endless or any(way.guard for way in chart.transitions)


def _can_come(chart: Chart, active: frozenset[str], event: str) -> bool:
    raised = chart.can_be_raised(event) and not chart.is_final(active)
    return chart.enabled(active, event) and (raised or chart.is_sent_in(active, event))


def _toss(context: Random, moment: object) -> bool:
    return context.random() < 0.5
