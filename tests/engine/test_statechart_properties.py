"""What holds of every chart, configuration and event: hypothesis looks for one of which it does not."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.charts import ROOT, Chart, Event, Kind
from engine.configurations import configuration_of, is_known, text_of, upgraded
from engine.statechart import Cancel, Effect, Endless, Schedule, Step, begin, microstep, move, send
from tests.engine.random_charts import EVENTS, chart_of, outlines

CHARTS = outlines().map(lambda outline: chart_of(outline, delays=True))
SENT = st.lists(st.sampled_from(EVENTS), max_size=6)


def steps(chart: Chart, events: list[str]) -> list[Step]:
    """Every step of a chart that is given these events, up to its end."""
    try:
        done = [begin(chart, [])]
        for event in events:
            if chart.is_final(done[-1].configuration.active):
                break
            done.append(send(chart, done[-1].configuration, Event(event), []))
    except Endless:
        assume(False)
    return done


def is_legal(chart: Chart, active: frozenset[str]) -> bool:
    """SCXML 3.11: of a compound state exactly one child, of a parallel one all, and of each state what it is in."""
    for state in (ROOT, *active):
        inside = [child in active for child in chart.children[state]]
        if chart.node[state].kind is Kind.COMPOUND and sum(inside) != 1:
            return False
        if chart.node[state].kind is Kind.PARALLEL and not all(inside):
            return False
        if not active.issuperset(chart.ancestors[state][:-1]):
            return False
    return bool(active)


@given(CHARTS, SENT)
@settings(deadline=None)
def test_configuration_is_legal_and_at_rest_after_every_event(chart: Chart, events: list[str]) -> None:
    for step in steps(chart, events):
        assert is_legal(chart, step.configuration.active)
        assert step.configuration.pending == ()
        assert chart.is_final(step.configuration.active) or microstep(chart, step.configuration, []) is None


@given(CHARTS, SENT)
@settings(deadline=None)
def test_every_configuration_is_what_its_text_says(chart: Chart, events: list[str]) -> None:
    for step in steps(chart, events):
        text = text_of(chart, step.configuration)
        assert configuration_of(chart, text) == step.configuration
        assert is_known(chart, text)
        assert upgraded(chart, text, lambda name: name) == text


@given(CHARTS, SENT, st.sampled_from(EVENTS))
@settings(deadline=None)
def test_chart_that_is_stored_between_microsteps_goes_the_same_way(chart: Chart, events: list[str], event: str) -> None:
    *_, last = steps(chart, events)
    assume(not chart.is_final(last.configuration.active))
    said: list[str] = []
    expected: list[str] = []
    try:
        at_once = send(chart, last.configuration, Event(event), expected)
    except Endless:
        assume(False)
    stored = text_of(chart, replace(last.configuration, pending=(Event(event),)))
    while step := microstep(chart, configuration_of(chart, stored), said):
        stored = text_of(chart, step.configuration)
    assert (configuration_of(chart, stored).active, said) == (at_once.configuration.active, expected)


@given(CHARTS, SENT)
@settings(deadline=None)
def test_due_is_just_what_belongs_to_active_states(chart: Chart, events: list[str]) -> None:
    due: Counter[str] = Counter()
    active: frozenset[str] = frozenset()
    for step in steps(chart, events):
        left = {effect.state for effect in step.effects if isinstance(effect, Cancel)}
        assert active - step.configuration.active <= left
        for effect in step.effects:
            due = told(due, effect)
        active = step.configuration.active
        assert {state for state, count in due.items() if count} == {s for s in active if chart.node[s].delays}


def told(due: Counter[str], effect: Effect) -> Counter[str]:
    """How often each state waits after an effect, which is once at most."""
    assert isinstance(effect, Schedule | Cancel)
    if isinstance(effect, Schedule):
        assert not due[effect.state]
        return due + Counter([effect.state])
    return due - Counter({effect.state: due[effect.state]})


@given(CHARTS, SENT, st.integers(min_value=0, max_value=12))
@settings(deadline=None)
def test_content_that_fails_leaves_a_configuration_that_goes_on_as_before(
    chart: Chart, events: list[str], patience: int
) -> None:
    """Whatever content fails, and whenever: the same event does the same afterwards."""
    *_, last = steps(chart, events)
    before = deepcopy(last.configuration)
    for event in EVENTS:
        said: list[str] = []
        try:
            expected = send(chart, last.configuration, Event(event), said)
        except Endless:
            assume(False)
        if len(said) > patience:
            with pytest.raises(Broken):
                send(chart, last.configuration, Event(event), Breaking(patience))
        assert last.configuration == before
        assert send(chart, last.configuration, Event(event), []) == expected


class Broken(Exception):
    """What failing content raises."""


class Breaking(list[Any]):
    """A context that takes so many words, and no more."""

    def __init__(self, patience: int) -> None:
        self.patience = patience

    def append(self, what: Any) -> None:
        if len(self) == self.patience:
            raise Broken
        super().append(what)


@given(CHARTS, SENT, st.data())
@settings(deadline=None)
def test_chart_can_be_moved_into_any_state(chart: Chart, events: list[str], data: st.DataObject) -> None:
    *_, last = steps(chart, events)
    target = data.draw(st.sampled_from(chart.states))
    try:
        step = move(chart, last.configuration, (target,), [])
    except Endless:
        assume(False)
    assert is_legal(chart, step.configuration.active)
    assert target in step.configuration.active or len(step.taken) > 1
