"""What a chart can do, for judging it.

Exactly, as its graph of situations shows; or state by state, where that is too large.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import networkx

from engine.charts import DONE, ROOT, Chart, Kind, Transition
from engine.soundness.delays import outrun
from engine.soundness.paths import BY_ITSELF, Exploration, Situation
from engine.soundness.structure import together

SITUATIONS = 1024
"""How many are looked at: a world is judged whenever it is imported."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What can happen. What cannot is not in here for certain; guards are taken to answer either way."""

    reached: frozenset[str]
    """The states that can be active."""
    taken: frozenset[int]
    """The places of the transitions that can be chosen."""
    moving: frozenset[str]
    """The innermost states with which anything can still happen."""
    spent: frozenset[str]
    """The states with which all comes to a stop when they are done, though the whole has not ended."""
    ending: frozenset[str]
    """The states from which a final state of the whole, or what is a fault by itself, can be reached."""
    endless: tuple[frozenset[int], ...] = ()
    """The places of transitions that are taken in turn, for ever."""
    stops: Mapping[tuple[str, ...], frozenset[int]] = field(default_factory=dict)
    """The innermost states with which no action can be taken, and the places of what may happen by itself, or not.

    As far as they were looked at together.
    """
    complete: bool = True
    """Whether all situations were looked at; else this was found state by state, and the stops among the first."""


def behaviour(chart: Chart, limit: int = SITUATIONS) -> Behaviour:
    """What a sound structure can do."""
    exploration = Exploration(chart, limit)
    found = exploration.broadly()
    if found.graph["complete"]:
        return _exact(chart, found)
    stops = _stops(chart, exploration.deeply())
    return replace(_StateByState(chart).found(), stops=stops, complete=False)


def _exact(chart: Chart, found: "networkx.MultiDiGraph[Situation]") -> Behaviour:
    going = {one for one, _, taken in found.edges(data="taken") if taken}
    stopped = {one for one in found if found.nodes[one]["rests"] and not chart.is_final(one.active)} - going
    all_done = (one for one in stopped if _is_all_final(chart, one))
    cycles = tuple(_cycles(found))
    restless = {one for cycle, _ in cycles for one in cycle}
    ends = restless | stopped | {one for one in found if chart.is_final(one.active)}
    return Behaviour(
        reached=frozenset(state for one in found for state in one.active),
        taken=frozenset(place for _, _, taken in found.edges(data="taken") for place in taken),
        moving=frozenset(state for one in going for state in chart.atomic(one.active)),
        spent=_done(chart, all_done) - _done(chart, going),
        ending=frozenset(state for one in _leading(found, ends) for state in one.active),
        endless=tuple(taken for _, taken in cycles),
        stops=_stops(chart, found),
    )


def _stops(chart: Chart, found: "networkx.MultiDiGraph[Situation]") -> dict[tuple[str, ...], frozenset[int]]:
    """The innermost states of what may stay for ever, with what any situation of these states may take still."""
    sure = {one for one, _, step in found.edges(data=True) if step["taken"] and step["sure"]}
    looked = (one for one, looked in found.nodes(data="looked") if looked and found.nodes[one]["rests"])
    resting = (one for one in looked if not chart.is_final(one.active))
    ways: dict[frozenset[str], set[int]] = {one.active: set() for one in resting if one not in sure}
    for one, _, taken in found.edges(data="taken"):
        if one.active in ways:
            ways[one.active] |= taken
    return {tuple(chart.atomic(active)): frozenset(taken) for active, taken in ways.items()}


def _is_all_final(chart: Chart, situation: Situation) -> bool:
    return all(chart.node[state].kind is Kind.FINAL for state in chart.atomic(situation.active))


def _done(chart: Chart, situations: Iterable[Situation]) -> frozenset[str]:
    """What is done in any of them: of a parallel state whose regions all are, that state only."""
    return frozenset(
        _completed(chart, state, one.active)
        for one in situations
        for state in one.active
        if chart.node[state].kind is Kind.FINAL and chart.node[state].parent != ROOT
    )


def _completed(chart: Chart, final: str, active: frozenset[str]) -> str:
    region = chart.node[final].parent
    above = chart.node[region].parent
    if chart.node[above].kind is not Kind.PARALLEL:
        return region
    finals = {chart.node[state].parent for state in active if chart.node[state].kind is Kind.FINAL}
    return above if finals.issuperset(chart.children[above]) else region


def _leading(found: "networkx.MultiDiGraph[Situation]", ends: set[Situation]) -> set[Situation]:
    """The ends, and all that can come to one."""
    return set(networkx.multi_source_dijkstra_path_length(found.reverse(copy=False), ends)) if ends else set()


def _cycles(found: "networkx.MultiDiGraph[Situation]") -> Iterator[tuple[set[Situation], frozenset[int]]]:
    """The situations that nothing leads out of and none of which can rest, and the transitions between them."""
    by_itself = networkx.DiGraph((one, other) for one, other, key in found.edges(keys=True) if key == BY_ITSELF)
    for cycle in networkx.strongly_connected_components(by_itself):
        within = found.subgraph(cycle)
        leaves = any(other not in cycle for one in cycle for other in by_itself[one])
        if within.number_of_edges() and not leaves and not any(found.nodes[one]["rests"] for one in cycle):
            yield cycle, frozenset(place for _, _, taken in within.edges(data="taken") for place in taken)


def overshadowing(chart: Chart, place: int) -> Transition | None:
    """One of the same source that is always chosen in place of a transition, if there is one."""
    transition = chart.transitions[place]
    ways = [way for way in chart.leaving[transition.source] if way.guard is None and way is not transition]
    if transition.source in chart.finals:
        ways = [way for way in ways if way.events]
    before = [way for way in ways if any(way is other for other in chart.transitions[:place])]
    if at_once := [way for way in (ways if transition.events else before) if not way.events]:
        return at_once[0]
    stems = [descriptor.removesuffix("*").removesuffix(".") for descriptor in transition.events]
    hearing = [next((way for way in before if way.hears(stem)), None) for stem in stems]
    return hearing[0] if hearing and None not in hearing else None


def comes(chart: Chart, source: str, descriptor: str, reached: Collection[str]) -> bool:
    """Whether an event that a descriptor stands for may come while its transition's source is active."""
    stem = descriptor.removesuffix("*").removesuffix(".")
    if not stem or chart.calls is None or chart.can_be_raised(stem):
        return True
    if stem not in chart.calls:
        return stem not in outrun(chart) and any(delay.event == stem for node in chart.nodes for delay in node.delays)
    return any((state == ROOT or state in reached) and together(chart, source, state) for state in chart.calls[stem])


class _StateByState:
    """A coarser answer that is quick for any chart: which states can be active together is not asked.

    It takes more for possible than is, so what it finds impossible is so.
    """

    def __init__(self, chart: Chart) -> None:
        self._chart = chart
        self._reached: set[str] = {ROOT}
        self._taken: set[int] = set()

    def found(self) -> Behaviour:
        """All that can happen, added to until nothing new is."""
        for target in self._chart.states if self._chart.enterable else self._chart.initial_of(ROOT):
            self._enter(target)
        known = -1
        while known < len(self._reached) + len(self._taken):
            known = len(self._reached) + len(self._taken)
            for place, transition in enumerate(self._chart.transitions):
                if transition.source in self._reached and self._can_be_chosen(place, transition):
                    self._taken.add(place)
                    for target in (*transition.targets, *transition.choices):
                        self._enter(target)
        return self._behaviour()

    def _behaviour(self) -> Behaviour:
        chart, reached = self._chart, frozenset(self._reached - {ROOT})
        leaving = {chart.transitions[place].source for place in self._taken}
        innermost = chart.atomic(reached)
        moving = {state for state in innermost if not leaving.isdisjoint((state, *chart.ancestors[state]))}
        moving |= {state for state in innermost if self._is_beside_others(state)}
        still = {state for state in innermost if state not in moving}
        finals = [state for state in innermost if chart.node[state].kind is Kind.FINAL and state not in chart.finals]
        spent = frozenset(chart.node[state].parent for state in finals)
        spent -= {chart.node[state].parent for state in finals if state in moving}
        return Behaviour(reached, frozenset(self._taken), frozenset(moving), spent, self._ending(still))

    def _ending(self, still: set[str]) -> frozenset[str]:
        """What leads to an end; all within one parallel leads where any of it does."""
        chart = self._chart
        ways: networkx.DiGraph[str] = networkx.DiGraph()
        ways.add_nodes_from(chart.node)
        for state, above in chart.ancestors.items():
            ways.add_edges_from((state, other) for other in above)
            ways.add_edges_from((other, state) for other in above if chart.node[other].kind is Kind.PARALLEL)
        for place in self._taken:
            ways.add_edges_from((chart.transitions[place].source, state) for state in self._entered(place))
        ends = self._reached & (chart.finals | still)
        leading = ends.union(*(networkx.ancestors(ways, end) for end in ends))
        return frozenset(leading.union(*(chart.ancestors[state] for state in leading)))

    def _entered(self, place: int) -> Iterator[str]:
        """What a transition may enter, with all that a history may recall."""
        way = self._chart.transitions[place]
        for target in (*way.targets, *way.choices):
            yield from self._within(target)
            if self._chart.node[target].kind.is_history:
                yield from self._chart.descendants[self._chart.node[target].parent] & self._reached

    def _enter(self, target: str) -> None:
        for state in self._within(target):
            self._reached.update((state, *self._chart.ancestors[state]))
            for above in self._chart.ancestors[state]:
                if self._chart.node[above].kind is Kind.PARALLEL:
                    self._reached.update(self._within(above))

    def _within(self, target: str) -> Iterator[str]:
        """A target and what is entered with it, below it."""
        node = self._chart.node[target]
        if not node.kind.is_history:
            yield target
        if node.kind is Kind.PARALLEL:
            below = self._chart.children[target]
        else:
            below = () if self._chart.is_atomic(target) else self._chart.initial_of(target)
        for name in below:
            yield from self._within(name)

    def _can_be_chosen(self, place: int, transition: Transition) -> bool:
        if overshadowing(self._chart, place) is not None:
            return False
        return not transition.events or any(self._can_come(transition, event) for event in transition.events)

    def _can_come(self, transition: Transition, descriptor: str) -> bool:
        if descriptor.startswith(DONE):
            heard = replace(transition, events=(descriptor,))
            return any(heard.hears(f"{DONE}{state}") for state in self._chart.states if self._can_be_done(state))
        return comes(self._chart, transition.source, descriptor, self._reached)

    def _can_be_done(self, state: str) -> bool:
        children = self._chart.children[state]
        if self._chart.node[state].kind is Kind.PARALLEL:
            return all(map(self._can_be_done, children))
        return any(child in self._reached and self._chart.node[child].kind is Kind.FINAL for child in children)

    def _is_beside_others(self, state: str) -> bool:
        return any(self._chart.node[above].kind is Kind.PARALLEL for above in self._chart.ancestors[state])
