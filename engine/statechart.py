"""The state machine core: SCXML's algorithm (W3C recommendation of 2015, appendix D) as pure functions.

A chart, a configuration and an event in; a configuration and effects out.
Nothing here reads a clock, a database or a global, or keeps anything between
two calls. What an author wrote is called with the context that the caller
gave, and what it raises goes through to the caller, who has the old
configuration still.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from engine.charts import DONE, ROOT, Chart, Configuration, Content, Event, Kind, Node, Transition

MACROSTEP = 100
"""How many microsteps an event may cause at most, before the chart counts as one that never comes to rest.

An event from within that nothing hears counts as one: a guard that raises it, and then says no, raises it again.
"""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The effect of entering a state with a delay: `event` is due `after` that, unless the state is left before."""

    state: str
    event: str
    after: timedelta


@dataclass(frozen=True, slots=True)
class Cancel:
    """The effect of leaving a state, whatever was set while it was active: that is due no longer."""

    state: str


@dataclass(frozen=True, slots=True)
class Asked:
    """The effect that something carried out asked for: what it is, is the caller's."""

    what: Any


Effect = Schedule | Cancel | Asked


@dataclass(frozen=True, slots=True)
class Step:
    """What came of an event: where the chart is now, and what is to be done about time, in order."""

    configuration: Configuration
    effects: tuple[Effect, ...] = ()
    taken: tuple[Transition, ...] = ()
    """The transitions, in the order in which they were taken."""


class Endless(Exception):
    """A chart did not come to rest: it would go on taking transitions by itself."""


class Apart(Exception):
    """Targets were to be entered together that stand, as it is, for `states` that cannot be active together."""

    def __init__(self, targets: tuple[str, ...], states: tuple[str, ...]) -> None:
        super().__init__(f"{' and '.join(targets)} cannot be entered together: they stand for {' + '.join(states)}")


def begin(chart: Chart, context: Any = None, *, raised: tuple[Event, ...] = ()) -> Step:
    """Enter a chart's initial states, hear what was raised before, and come to rest. Raises Endless, Apart."""
    moment = Moment(chart, Configuration(pending=raised), context)
    moment.enter([Transition(source=ROOT, targets=chart.initial_of(ROOT), content=chart.initial_content)])
    return moment.settled()


def send(chart: Chart, configuration: Configuration, event: Event, context: Any = None) -> Step:
    """Take what an event causes, and come to rest. Raises Endless, Apart."""
    moment = Moment(chart, configuration, context)
    moment.hear(event)
    return moment.settled()


def move(chart: Chart, configuration: Configuration, targets: tuple[str, ...], context: Any = None) -> Step:
    """Be in other states instead, as by a transition from the root, and come to rest. Raises Endless, Apart.

    Nothing is carried out on exit: who begins in other states never was in those.
    """
    moment = Moment(chart, configuration, context)
    moment.take([Transition(source=ROOT, targets=targets)], quietly=True)
    return moment.settled()


def microstep(chart: Chart, configuration: Configuration, context: Any = None) -> Step | None:
    """The next step of a chart that is not at rest; None if it is. `send` is these until there are no more."""
    moment = Moment(chart, configuration, context)
    return moment.result() if moment.advance() else None


def entered(chart: Chart, targets: Iterable[str]) -> frozenset[str]:
    """The states that are active once targets are entered, with nothing carried out on the way."""
    targets = tuple(targets)
    entry = _Entry(chart, {})
    for target in targets:
        entry.add(target)
    for target in targets:
        entry.add_above(target, ROOT)
    return frozenset(entry.states)


def is_legal(chart: Chart, active: Collection[str]) -> bool:
    """Whether states with all they are in can be active together: of each compound state exactly one of its own."""
    return all(
        sum(child in active for child in chart.children[state]) == 1
        for state in (ROOT, *active)
        if chart.node[state].kind is Kind.COMPOUND
    )


def can_be_together(chart: Chart, names: Collection[str]) -> bool:
    """Whether one configuration can hold all these states. What histories stand for shows when they are entered."""
    states = [name for name in names if not chart.node[name].kind.is_history]
    active = entered(chart, states)
    return not states or (active.issuperset(states) and is_legal(chart, active))


class Moment:
    """A step under way: what guards and content see of it. It lives as long as the call that made it."""

    __slots__ = ("_caused", "_effects", "_history", "_pending", "_taken", "active", "chart", "context", "event")

    def __init__(self, chart: Chart, configuration: Configuration, context: Any) -> None:
        self.chart = chart
        self.context = context
        self.active = set(configuration.active)
        """The states that are active now, in the middle of it."""
        self.event: Event | None = None
        """What is being heard; None before the first event."""
        self._history = configuration.history
        self._pending = deque(configuration.pending)
        self._effects: list[Effect] = []
        self._taken: list[Transition] = []
        self._caused = 0

    def raise_event(self, event: Event) -> None:
        """Hand an internal event back: it is heard when no transition without an event is possible any more."""
        self._pending.append(event)

    def ask(self, what: Any) -> None:
        """Hand something back as an effect, at its place among the others."""
        self._effects.append(Asked(what))

    def result(self) -> Step:
        """What was done so far."""
        configuration = Configuration(frozenset(self.active), self._history, tuple(self._pending))
        return Step(configuration, tuple(self._effects), tuple(self._taken))

    def settled(self) -> Step:
        """Go on until nothing is left to do. Raises Endless, Apart."""
        while self.advance():
            pass
        return self.result()

    def advance(self) -> bool:
        """Take the next microstep by itself, if there is one. Raises Endless, Apart."""
        while not self.chart.is_final(self.active):
            if self.chart.has_eventless and (enabled := self._selected(None)):
                self._count()
                self.take(enabled)
                return True
            if not self._pending:
                return False
            self._count()
            if self.hear(self._pending.popleft()):
                return True
        self._pending.clear()
        return False

    def _count(self) -> None:
        self._caused += 1
        if self._caused > MACROSTEP:
            active = ", ".join(self.chart.atomic(self.active))
            raise Endless(
                f"no rest after {MACROSTEP} microsteps; active: {active}."
                " Let a guard say no in the end to what is taken by itself there, and raise no event"
            )

    def hear(self, event: Event) -> bool:
        """Take the transitions of an event, if there are any."""
        self.event = event
        enabled = self._selected(event.name)
        if enabled:
            self.take(enabled)
        return bool(enabled)

    def take(self, transitions: list[Transition], *, quietly: bool = False) -> None:
        """One microstep: leave, `quietly` without what is done on exit, do what the transitions do, enter."""
        self._taken += transitions
        self._leave(transitions, quietly)
        for transition in transitions:
            if transition.content is not None:
                transition.content(self.context, self)
        self.enter(transitions)

    # which transitions

    def _selected(self, event: str | None) -> list[Transition]:
        """The optimal set of transitions: of each innermost state the first, those within others before these."""
        asked: dict[int, bool] = {}
        found: list[Transition] = []
        for state in self.chart.atomic(self.active):
            transition = self._first(state, event, asked)
            if transition is not None and not any(transition is other for other in found):
                found.append(transition)
        return found if len(found) < 2 else self._without_conflicts(found)

    def _first(self, state: str, event: str | None, asked: dict[int, bool]) -> Transition | None:
        leaving = self.chart.leaving
        sources = (state,) if state in self.chart.finals else (state, *self.chart.ancestors[state])
        for source in sources:
            for transition in leaving[source]:
                if (not transition.events if event is None else transition.hears(event)) and self._allowed(
                    transition, asked
                ):
                    return transition
        return None

    def _allowed(self, transition: Transition, asked: dict[int, bool]) -> bool:
        """What a guard answers; it is asked once in a step, however many states it is asked for."""
        if transition.guard is None:
            return True
        if id(transition) not in asked:
            asked[id(transition)] = transition.guard(self.context, self)
        return asked[id(transition)]

    def _without_conflicts(self, enabled: list[Transition]) -> list[Transition]:
        kept: list[Transition] = []
        for transition in enabled:
            rivals = [other for other in kept if self._exits(transition) & self._exits(other)]
            within = self.chart.descendants
            if all(transition.source in within[other.source] for other in rivals):
                kept = [other for other in kept if not any(other is rival for rival in rivals)] + [transition]
        return kept

    # leaving

    def _exits(self, transition: Transition) -> set[str]:
        domain = self._domain(transition)
        return set() if domain is None else self.active & self.chart.descendants[domain]

    def _targets(self, transition: Transition) -> tuple[str, ...]:
        chosen = self.event.chosen if self.event is not None and transition.choices else ()
        return tuple(target for target in chosen if target in transition.choices) if chosen else transition.targets

    def _domain(self, transition: Transition) -> str | None:
        """The state within which a transition leaves and enters others; None if it does neither."""
        targets = self._effective(self._targets(transition))
        if not targets:
            return None
        chart, source = self.chart, transition.source
        inside = chart.descendants[source]
        if (transition.internal or source == ROOT) and chart.node[source].kind is Kind.COMPOUND and inside >= targets:
            return source
        return next(
            above
            for above in chart.ancestors[source]
            if chart.node[above].kind is Kind.COMPOUND and chart.descendants[above] >= targets
        )

    def _effective(self, targets: Iterable[str]) -> set[str]:
        """Targets, with what its histories stand for in place of these."""
        found: set[str] = set()
        for target in targets:
            if self.chart.node[target].kind.is_history:
                found |= self._effective(self._history.get(target) or self.chart.initial_of(target))
            else:
                found.add(target)
        return found

    def _leave(self, transitions: list[Transition], quietly: bool) -> None:
        exits = set().union(*map(self._exits, transitions))
        leaving = self.chart.in_order(exits)[::-1]
        recalled = {name: self._recalled(name, state) for state in leaving for name in self.chart.histories[state]}
        if recalled:
            self._history = {**self._history, **recalled}
        for state in leaving:
            node = self.chart.node[state]
            for content in () if quietly else node.on_exit:
                content(self.context, self)
            self._effects.append(Cancel(state))
            self.active.remove(state)

    def _recalled(self, history: str, state: str) -> frozenset[str]:
        if self.chart.node[history].kind is Kind.SHALLOW:
            return frozenset(child for child in self.chart.children[state] if child in self.active)
        return frozenset(filter(self.chart.is_atomic, self.chart.descendants[state] & self.active))

    # entering

    def enter(self, transitions: list[Transition]) -> None:
        """Enter what transitions lead to, outermost first, and say what is done by that.

        What a history stands for may lie in a state that was not left: it is not entered a second time (SCXML 3.13;
        appendix D would). Raises Apart.
        """
        entry, joined = _Entry(self.chart, self._history), tuple[str, ...]()
        for transition in transitions:
            targets = self._targets(transition)
            for target in targets:
                entry.add(target)
            for target in self._effective(targets):
                entry.add_above(target, self._domain(transition))
            joined = targets if len(targets) > 1 else joined
        if joined and not is_legal(self.chart, self.active | entry.states):
            raise Apart(joined, tuple(self.chart.atomic(entry.states)))
        for state in self.chart.in_order(entry.states - self.active):
            node = self.chart.node[state]
            self.active.add(state)
            self._effects += [Schedule(state, delay.event, delay.after) for delay in node.delays]
            for content in node.on_entry:
                content(self.context, self)
            for content in entry.contents.get(state, {}).values():
                content(self.context, self)
            if node.kind is Kind.FINAL:
                self._say_done(node)

    def _say_done(self, final: Node) -> None:
        if final.parent == ROOT:
            return
        data = None if final.done_data is None else final.done_data(self.context, self)
        self.raise_event(Event(f"{DONE}{final.parent}", data))
        above = self.chart.node[final.parent].parent
        if self.chart.node[above].kind is Kind.PARALLEL and self._is_done(above):
            self.raise_event(Event(f"{DONE}{above}"))

    def _is_done(self, state: str) -> bool:
        node, children = self.chart.node[state], self.chart.children[state]
        if node.kind is Kind.PARALLEL:
            return all(map(self._is_done, children))
        return any(child in self.active and self.chart.node[child].kind is Kind.FINAL for child in children)


class _Entry:
    """What is to be entered: the states, and by state what is carried out after its own entry."""

    __slots__ = ("_chart", "_history", "contents", "states")

    def __init__(self, chart: Chart, history: Mapping[str, frozenset[str]]) -> None:
        self._chart = chart
        self._history = history
        self.states: set[str] = set()
        self.contents: dict[str, dict[str, Content]] = {}

    def add(self, name: str) -> None:
        """A target, and what is in it."""
        node = self._chart.node[name]
        if node.kind.is_history:
            recalled = self._history.get(name)
            if not recalled:
                self._carry_out(node.parent, node)
            self._add_within(recalled or node.initial, node.parent)
            return
        self.states.add(name)
        if node.kind is Kind.COMPOUND:
            self._carry_out(name, node)
            self._add_within(self._chart.initial_of(name), name)
        elif node.kind is Kind.PARALLEL:
            self._add_regions(name)

    def add_above(self, name: str, domain: str | None) -> None:
        """What a target is in, up to what is not left, with the other regions of that."""
        for above in self._chart.ancestors[name]:
            if above == domain:
                return
            self.states.add(above)
            if self._chart.node[above].kind is Kind.PARALLEL:
                self._add_regions(above)

    def _add_within(self, targets: Iterable[str], state: str) -> None:
        for target in targets:
            self.add(target)
        for target in targets:
            self.add_above(target, state)

    def _add_regions(self, state: str) -> None:
        for region in self._chart.children[state]:
            if self.states.isdisjoint(self._chart.descendants[region]):
                self.add(region)

    def _carry_out(self, state: str, node: Node) -> None:
        if node.initial_content is not None:
            self.contents.setdefault(state, {})[node.name] = node.initial_content
