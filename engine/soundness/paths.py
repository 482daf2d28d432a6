"""Which configurations a chart can come to, and the shortest way to each state.

The core itself finds them, on a chart that carries nothing out. A guard may answer either way, and each choice may be
made, so that nothing that can happen is left out; what content would raise counts as an event from outside.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from heapq import heappop, heappush
from itertools import combinations, count, islice

import networkx

from engine.charts import DONE, DUE, ROOT, Chart, Configuration, Event, Transition
from engine.soundness.delays import outrun
from engine.soundness.distances import steps_to
from engine.soundness.structure import in_transition
from engine.statechart import Apart, Moment, Step, can_be_together

LIMIT = 4096
"""How many situations are looked at."""
BRANCHES = 16
"""How many steps, on average of all situations, are tried from each."""
SOUGHT = 256
"""How many situations more are looked at for the way to one state."""
PENDING = 8
"""How many events may wait to be heard; more than that, and a chart does not come to rest."""
_TRIED, _TOGETHER = 256, 32
"""How many choices of several targets are tried of a transition, and how many that go together are taken up."""
BY_ITSELF = ""
"""The key of an edge that needs no event from outside."""
COPY = "on_copy"
"""What the key of an edge begins with that a copy begins by. It weighs more than any other way."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a chart is: the active states, what its histories recall, and the `done.state` events to be heard."""

    active: frozenset[str] = frozenset()
    recalled: frozenset[tuple[str, frozenset[str]]] = frozenset()
    pending: tuple[str, ...] = ()

    def near(self) -> Iterator[str]:
        """The states that are active, or that a history may make so again."""
        yield from (ROOT, *self.active)
        for _, states in self.recalled:
            yield from states


START = Situation()
"""Before the beginning: nothing is active."""


def graph(chart: Chart, limit: int = LIMIT) -> "networkx.MultiDiGraph[Situation]":
    """The situations that can be reached from START, those in passing too; an edge for each step between two.

    A node's `label` names its innermost states; `rests` says whether it may stay as it is, `looked` whether all steps
    from it are there. An edge's key is what
    somebody sends, `pay`, `push (gone)` or `(after 15 min) expire`, or BY_ITSELF; `taken` are the places of its
    transitions in the chart's, `by` those of one step that needs least. `weight` is how many steps it counts, and
    `sure` is whether somebody can take it, or time does: what guards allow or something raises may never be. `complete`
    of the whole is False if there may be more than was looked at.
    """
    return Exploration(chart, limit).broadly()


def sought(chart: Chart, limit: int = LIMIT) -> "networkx.MultiDiGraph[Situation]":
    """The same; where there are more situations than that, with what lies on the ways to states not among them."""
    exploration = Exploration(chart, limit)
    found = exploration.broadly()
    if not found.graph["complete"]:
        for state in _missed(chart, found):
            exploration.towards(state)
        if _missed(chart, found):
            exploration.deeply()
    return found


def _missed(chart: Chart, found: "networkx.MultiDiGraph[Situation]") -> list[str]:
    """The states that no way of steps leads to yet, as far as was looked."""
    lengths = networkx.single_source_dijkstra_path_length(found, START)
    reached = {state for situation, length in lengths.items() if length < LIMIT for state in situation.active}
    return [state for state in chart.states if state not in reached]


def shortest(
    chart: Chart, explored: "networkx.MultiDiGraph[Situation] | None" = None
) -> Mapping[str, tuple[str, ...] | None]:
    """By state, the fewest steps from the beginning that make it active; None where none was found.

    A step says what guards have to allow, `pay [is_rich]`, and whether nobody takes it: what the session does by itself
    if guards allow is `(by itself) begin [is_in_stock]`, what is raised within `(raised) bell`.
    `explored` is the chart's graph, if there is one already.
    """
    found = sought(chart) if explored is None else explored
    steps: dict[str, tuple[str, ...] | None] = dict.fromkeys(chart.states)
    distances, ways = networkx.single_source_dijkstra(found, START)
    for situation in sorted(distances, key=distances.__getitem__):
        for state in situation.active:
            if steps[state] is None:
                steps[state] = tuple(_steps(chart, found, ways[situation]))
    return steps


def _steps(chart: Chart, found: "networkx.MultiDiGraph[Situation]", way: list[Situation]) -> Iterator[str]:
    for one, other in networkx.utils.pairwise(way):
        edges = found.get_edge_data(one, other)
        key = min(edges, key=lambda key: (edges[key]["weight"], not edges[key]["sure"]))
        if edges[key]["weight"]:
            yield _told(key, [chart.transitions[place] for place in edges[key]["by"]], sure=edges[key]["sure"])


def _told(key: str, ways: list[Transition], *, sure: bool) -> str:
    needed = dict.fromkeys(name for way in ways for name in way.conditions or (("…",) if way.guard else ()))
    guards = f" [{', '.join(needed)}]" if needed else ""
    if key == BY_ITSELF:
        return f"(by itself) {' and '.join(in_transition(way, '', '').place for way in ways)}{guards}"
    return f"{'' if sure else '(raised) '}{key}{guards}"


def bare(chart: Chart) -> Chart:
    """The same chart, which carries nothing out when it runs: only its guards are the author's still."""
    nodes = (replace(node, initial_content=None, on_entry=(), on_exit=(), done_data=None) for node in chart.nodes)
    transitions = (replace(transition, content=None) for transition in chart.transitions)
    return replace(chart, nodes=tuple(nodes), transitions=tuple(transitions), initial_content=None)


def _undecided(chart: Chart) -> Chart:
    """The same chart with guards that ask what to answer, and a transition, guarded so, for each choice.

    A transition's label is its place in the chart's.
    """
    return replace(
        chart,
        transitions=tuple(
            way for place, transition in enumerate(chart.transitions) for way in _variants(chart, place, transition)
        ),
    )


def _variants(chart: Chart, place: int, transition: Transition) -> Iterator[Transition]:
    options = [option for option in _chosen(chart, transition) if option != transition.targets]
    for left, targets in zip(range(len(options), -1, -1), (transition.targets, *options), strict=True):
        guard = _asked if left or transition.guard is not None else None
        yield replace(transition, targets=targets, choices=(), guard=guard, label=str(place))


def _chosen(chart: Chart, transition: Transition) -> Iterator[tuple[str, ...]]:
    """What an event may choose of a transition: one target, several that go together, or, where the same event chooses
    of another transition, none.
    """
    if transition.events and all(event.startswith(DONE) for event in transition.events):
        return
    choices = transition.choices
    yield from ((choice,) for choice in choices)
    several = (found for size in range(2, len(choices) + 1) for found in combinations(choices, size))
    yield from islice((found for found in islice(several, _TRIED) if can_be_together(chart, found)), _TOGETHER)
    others = (other for other in chart.transitions if other.choices and other.choices != choices)
    if choices and any(not set(other.events).isdisjoint(transition.events) for other in others):
        yield ()


def _copied(chart: Chart) -> Iterator[tuple[str, ...]]:
    """Where a copy may begin: in any of the states, or several that go together."""
    if chart.enterable:
        yield from _chosen(chart, Transition(source=ROOT, choices=(*chart.states,)))


def _asked(answers: "_Answers", moment: Moment) -> bool:
    return answers.answer()


class _Answers:
    """What guards answer in one step: what is `given`, and no after that."""

    __slots__ = ("_given", "_said")

    def __init__(self, given: tuple[bool, ...]) -> None:
        self._given = given
        self._said: list[bool] = []

    def answer(self) -> bool:
        """The next guard's."""
        place = len(self._said)
        self._said.append(place < len(self._given) and self._given[place])
        return self._said[-1]

    def others(self) -> Iterator[tuple[bool, ...]]:
        """What could have been given instead, to be answered otherwise from some guard on."""
        for place in range(len(self._given), len(self._said)):
            yield (*self._said[:place], True)


class Exploration:
    """A graph in the making: first looked at broadly, and where that is cut, further."""

    def __init__(self, chart: Chart, limit: int) -> None:
        self._original = chart
        self._chart = _undecided(bare(chart))
        self._limit = limit
        self._left = limit * BRANCHES
        self._graph: networkx.MultiDiGraph[Situation] = networkx.MultiDiGraph(complete=True)
        self._queue = deque[Situation]()
        self._deep = False
        self._events = _events(chart)
        self._heard: dict[str, bool] = {}

    def broadly(self) -> "networkx.MultiDiGraph[Situation]":
        """The graph, the nearest situations first, as far as the limits go."""
        self._graph.add_node(START, label="", rests=False, looked=True)
        self._begin()
        while self._queue and len(self._graph) <= self._limit and self._left > 0:
            self._look(self._queue.popleft())
        self._graph.graph["complete"] &= not self._queue
        return self._graph

    def deeply(self) -> "networkx.MultiDiGraph[Situation]":
        """The graph with as many situations again, always going on from the last: so ends come into it."""
        self._left, self._deep = self._limit * BRANCHES, True
        most = len(self._graph) + self._limit
        while self._queue and len(self._graph) <= most and self._left > 0:
            self._look(self._queue.pop())
        return self._graph

    def towards(self, state: str) -> None:
        """Look for the shortest way to a state, where it is nearest first, whatever else could happen beside (A*)."""
        steps = steps_to(self._original, state)
        open_ones, closed, numbers, tries = [(0, 0, 0, START)], set[Situation](), count(1), SOUGHT
        while open_ones and tries:
            _, ahead, _, situation = heappop(open_ones)
            if state in situation.active:
                return
            if situation in closed:
                continue
            closed.add(situation)
            if not self._graph.nodes[situation]["looked"]:
                tries -= 1
                self._look(situation)
            for _, other, weight in self._graph.out_edges(situation, data="weight"):
                left = min((steps[near] for near in other.near() if near in steps), default=None)
                if left is not None and other not in closed:
                    heappush(open_ones, (weight - ahead + left, ahead - weight, next(numbers), other))

    def _look(self, situation: Situation) -> None:
        if self._graph.nodes[situation]["looked"]:
            return
        if len(situation.pending) > PENDING:
            self._graph.graph["complete"] = False
            return
        self._go_on(situation)
        self._graph.nodes[situation]["looked"] = self._left > 0

    def _begin(self) -> None:
        moment = Moment(self._chart, Configuration(), _Answers(()))
        moment.enter([Transition(source=ROOT, targets=self._chart.initial_of(ROOT))])
        self._add(START, BY_ITSELF, moment.result())
        for targets in _copied(self._original):
            moment = Moment(self._chart, Configuration(), _Answers(()))
            moment.enter([Transition(source=ROOT, targets=targets)])
            self._add(START, f"{COPY} ({', '.join(targets)})", moment.result(), weight=LIMIT)

    def _go_on(self, situation: Situation) -> None:
        """Every step from a situation: by itself, and where it may rest, at any event that is heard."""
        for advanced, step in self._tried(situation, Moment.advance):
            if advanced or situation.pending:
                self._add(situation, BY_ITSELF, step)
            else:
                self._graph.nodes[situation]["rests"] = True
        if self._graph.nodes[situation]["rests"]:
            for name in self._events:
                if self._original.enabled(situation.active, name):
                    self._send(situation, name)

    def _send(self, situation: Situation, name: str) -> None:
        """Have an event heard if it can come here: from outside, or raised by what is carried out, before the end."""
        sent = self._original.is_sent_in(situation.active, name)
        raised = self._original.can_be_raised(name) and not self._original.is_final(situation.active)
        if not sent and not raised:
            return
        for heard, step in self._tried(situation, lambda moment: moment.hear(Event(name))):
            if heard:
                self._add(situation, self._said(situation, name, step), step, sure=sent)

    def _tried(self, situation: Situation, act: Callable[[Moment], bool]) -> Iterator[tuple[bool, Step]]:
        """What an act does and gives, for all that guards may answer."""
        configuration = Configuration(
            situation.active, dict(situation.recalled), tuple(Event(name) for name in situation.pending)
        )
        scripts: list[tuple[bool, ...]] = [()]
        while scripts and self._left > 0:
            self._left -= 1
            answers = _Answers(scripts.pop())
            moment = Moment(self._chart, configuration, answers)
            try:
                acted = act(moment)
            except Apart:
                pass  # nobody gets there: the call would be refused
            else:
                yield acted, moment.result()
            scripts += answers.others()
        if scripts:
            self._graph.graph["complete"] = False

    def _add(self, situation: Situation, key: str, step: Step, *, sure: bool = True, weight: int = 1) -> None:
        then = step.configuration
        pending = tuple(event.name for event in then.pending if self._is_heard(event.name))
        target = Situation(then.active, frozenset(then.history.items()), pending)
        known = target in self._graph
        if not known:
            self._graph.add_node(target, label=", ".join(self._original.atomic(then.active)), rests=False, looked=False)
            # by the number of steps, so that what is nearest is looked at before a limit is reached
            (self._queue.appendleft if key == BY_ITSELF and not self._deep else self._queue.append)(target)
        by = tuple(int(way.label) for way in step.taken)
        if key == BY_ITSELF:
            weight, sure = int(any(self._original.transitions[place].guard for place in by)), False
        edge = self._graph.get_edge_data(situation, target, key)
        if edge is None:
            self._graph.add_edge(situation, target, key, taken=set(by), by=by, weight=weight, sure=sure)
            return
        edge["taken"].update(by)
        if weight < edge["weight"]:
            edge.update(weight=weight, by=by)

    def _is_heard(self, event: str) -> bool:
        if event not in self._heard:
            self._heard[event] = any(way.hears(event) for way in self._original.transitions)
        return self._heard[event]

    def _said(self, situation: Situation, name: str, step: Step) -> str:
        originals = [self._original.transitions[int(way.label)] for way in step.taken]
        chosen = [
            target
            for way, original in zip(step.taken, originals, strict=True)
            if way.targets != original.targets
            for target in way.targets
        ]
        waits = [
            delay.after
            for state in situation.active
            for delay in self._original.node[state].delays
            if delay.event == name
        ]
        after = f"(after {_spoken(min(waits))}) " if waits else ""
        if name.startswith(DUE):
            name = next((way.label for way in originals if way.label), name)
        return after + name + (f" ({', '.join(chosen)})" if chosen else "")


def _events(chart: Chart) -> tuple[str, ...]:
    """One event of each sort that the chart's transitions tell apart, in their order.

    `*` stands for one that nothing names. Those of `done.state` come by themselves only, and some delays are never due.
    """
    heard = [descriptor for transition in chart.transitions for descriptor in transition.events]
    stems = [descriptor.removesuffix("*").removesuffix(".") or "*" for descriptor in heard]
    due = [delay.event for node in chart.nodes for delay in node.delays]
    never = outrun(chart)
    return tuple(dict.fromkeys(name for name in stems + due if name not in never and not f"{name}.".startswith(DONE)))


def _spoken(after: timedelta) -> str:
    """A time as one says it: `15 min`, `1 h 30 min`, `2 d`."""
    seconds, parts = after.total_seconds(), list[str]()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count:.0f} {unit}"] if count else []
    parts += [f"{seconds:g} s"] if seconds or not parts else []
    return " ".join(parts)
