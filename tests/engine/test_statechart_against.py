"""The core against another implementation of SCXML, python-statemachine, on random charts and events.

Both are given the same chart and the same events; after each, the same states must be active, and the same content
must have been carried out in the same order. Where python-statemachine 3.2.2 differs from the standard, the standard is
followed here, and the charts are written, or its engine is told, so that the difference does not show:

- An internal transition to a target that is not within its source is refused; the standard takes it as external
  (3.5). Such transitions are not marked internal.
- States are numbered by depth, and `<parallel>` after `<state>`, where the standard goes by document order (3.13): the
  numbers are set to the document's, and the first child is always written down as initial.
- The content of a transition to a history is carried out twice, also as the history's own: those say nothing.
- See `Standard` for three more.
"""

from dataclasses import replace
from typing import Any
from xml.sax.saxutils import quoteattr

import hypothesis
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statemachine import StateChart
from statemachine.engines.sync import SyncEngine
from statemachine.event_data import TriggerData
from statemachine.io import load
from statemachine.orderedset import OrderedSet

from engine.charts import Configuration, Event, Kind
from engine.statechart import Endless, begin, send
from tests.engine.random_charts import EVENTS, Outline, chart_of, outlines

Trace = list[tuple[frozenset[str], tuple[str, ...]]]


def ours(outline: Outline, events: list[str]) -> Trace:
    """What our core does, up to the end of the chart."""
    chart = chart_of(outline)
    said: list[str] = []
    trace: Trace = []

    def note(configuration: Configuration) -> Configuration:
        trace.append((configuration.active, tuple(said)))
        said.clear()
        return configuration

    configuration = note(begin(chart, said).configuration)
    for event in events:
        if chart.is_final(configuration.active):
            break
        configuration = note(send(chart, configuration, Event(event), said).configuration)
    return trace


def theirs(outline: Outline, events: list[str], length: int) -> Trace:
    """What python-statemachine does with as many events."""
    kind = load(document(outline), format="scxml", trusted=True)
    places = {state.name: place for place, state in enumerate(outline.all())}
    for state in kind.states_map.values():
        state.document_order = places[state.id]
    kind._get_engine = lambda machine: Standard(machine)  # type: ignore[method-assign]
    machine = kind()
    trace = [state_of(machine)]
    for event in events[: length - 1]:
        machine.send(event)
        trace.append(state_of(machine))
    return trace


class Standard(SyncEngine):
    """Their engine, where it differs from the standard by the way it looks through what is active.

    - It selects among the active states in the order of a set; the standard, in document order (its own TODO).
    - It enters states that were not left again, where a history of theirs is the target from within: appendix D does,
      3.13 does not.
    - It ends when all regions of an outermost parallel state are final; the standard, in an outermost final state only.
    """

    def _prepare_entry_states(self, enabled: Any, leaving: Any, before: Any) -> Any:
        entered, *more = super()._prepare_entry_states(enabled, leaving, before)
        return [way for way in entered if way.state not in before or way.state in leaving], *more

    def _check_root_final_state(self) -> None:
        pass

    def _select_transitions(self, trigger_data: TriggerData, predicate: Any) -> OrderedSet[Any]:
        enabled: OrderedSet[Any] = OrderedSet()
        for state in sorted(self.sm.configuration, key=lambda state: state.document_order):
            if state.is_atomic:
                transition = self._first_transition_that_matches(state, trigger_data, predicate)
                if transition is not None:
                    enabled.add(transition)
        return self._filter_conflicting_transitions(enabled)


def state_of(machine: StateChart[Any]) -> tuple[frozenset[str], tuple[str, ...]]:
    said = tuple(machine.model.said)
    machine.model.said = []
    return frozenset(state.id for state in machine.configuration), said


def document(root: Outline) -> str:
    """The outline as an SCXML document."""
    initial = "" if root.initial is None else f" initial={quoteattr(root.initial)}"
    parts = "".join(map(element, root.children))
    return (
        f'<scxml xmlns="http://www.w3.org/2005/07/scxml" version="1.0" datamodel="python"{initial}>'
        f'<datamodel><data id="said" expr="[]"/></datamodel>{parts}</scxml>'
    )


def element(outline: Outline) -> str:
    """A state as an element."""
    if outline.kind.is_history:
        kind = "deep" if outline.kind is Kind.DEEP else "shallow"
        return f'<history id="{outline.name}" type="{kind}"><transition target="{outline.initial}"/></history>'
    tag = {Kind.PARALLEL: "parallel", Kind.FINAL: "final"}.get(outline.kind, "state")
    initial = "" if outline.initial is None else f' initial="{outline.initial}"'
    name, ways = outline.name, "".join(way_element(outline, number) for number in range(len(outline.ways)))
    crossing = f"<onentry>{note(f'+{name}')}</onentry><onexit>{note(f'-{name}')}</onexit>"
    return f'<{tag} id="{name}"{initial}>{crossing}{ways}{"".join(map(element, outline.children))}</{tag}>'


def way_element(outline: Outline, number: int) -> str:
    way = outline.ways[number]
    event = "" if way.event is None else f' event="{way.event}"'
    target = "" if way.target is None else f' target="{way.target}"'
    guard = "" if way.within is None else f" cond=\"In('{way.within}')\""
    internal = ' type="internal"' if way.internal else ""
    said = "" if way.silent else note(f"{outline.name}.{number}")
    return f"<transition{event}{target}{guard}{internal}>{said}</transition>"


def note(what: str) -> str:
    return f'<assign location="said" expr="said + [\'{what}\']"/>'


def comparable(root: Outline) -> Outline:
    """The outline without what python-statemachine refuses or does otherwise: see the top of this module."""
    histories = [outline.name for outline in root.all() if outline.kind.is_history]
    for outline in root.all():
        if outline.kind is Kind.COMPOUND and outline.initial is None:
            outline.initial = outline.children[0].name
        inside = {other.name for other in outline.all()} - {outline.name}
        outline.ways = [
            replace(way, internal=way.internal and way.target in inside, silent=way.target in histories)
            for way in outline.ways
        ]
    return root


@given(outlines().map(comparable), st.lists(st.sampled_from(EVENTS), max_size=8))
@settings(max_examples=300, deadline=None)
def test_random_charts_do_the_same_in_both(outline: Outline, events: list[str]) -> None:
    try:
        expected = ours(outline, events)
    except Endless:
        assume(False)
        return
    hypothesis.note(document(outline))
    assert theirs(outline, events, len(expected)) == expected
