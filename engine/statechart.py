"""The state machine core: which states a session may be in, and where an action leads.

Pure: nothing here reads a clock, a database or a global. States are strings;
a world without declared states has the single state `open`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count

import networkx

ONLY_STATE = "open"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORDS = {"as", "class", "classdef", "click", "default", "direction", "end", "note", "scale", "state", "style"}
"""What Mermaid reads as its own words."""


@dataclass(frozen=True, slots=True)
class Transition:
    """What one action may do to the state. `sources` None means any; no `targets` means it stays."""

    event: str
    sources: frozenset[str] | None
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """States, where a session starts, where it may end, and the ways between."""

    states: tuple[str, ...]
    initial: str
    finals: frozenset[str]
    transitions: tuple[Transition, ...]
    _by_event: dict[str, Transition] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_event", {way.event: way for way in self.transitions})

    def enabled(self, state: str, event: str) -> bool:
        """Whether `event` may be taken in `state`. A final state takes none, unless it names it."""
        way = self.transition(event)
        return state not in self.finals if way.sources is None else state in way.sources

    def transition(self, event: str) -> Transition:
        """The transition of that name."""
        return self._by_event[event]

    def leaving(self, transition: Transition) -> Iterable[str]:
        """The states a transition can be taken from."""
        if transition.sources is not None:
            return transition.sources
        return (state for state in self.states if state not in self.finals)

    def graph(self) -> "networkx.MultiDiGraph[str]":
        """States as nodes; an edge, keyed by its event, for each way between two."""
        graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph()
        graph.add_nodes_from(self.states)
        for way in self.transitions:
            graph.add_edges_from(
                (source, target, way.event) for source in self.leaving(way) for target in way.targets or (source,)
            )
        return graph


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a chart, and what would be right."""

    what: str
    remedy: str


def take(chart: Chart, state: str, event: str, chosen: str | None = None) -> str:
    """The state after `event`: the chosen one of its targets, else the first, else the same state."""
    way = chart.transition(event)
    return chosen or (way.targets[0] if way.targets else state)


def problems(chart: Chart) -> Iterator[Problem]:
    """Every fault that can be seen without running the chart."""
    graph = chart.graph()
    reachable = networkx.descendants(graph, chart.initial) | {chart.initial}
    for state in chart.states:
        if state not in reachable:
            yield Problem(
                f"state {state!r} is unreachable: no action leads there",
                f"give an action target={state!r}, or remove the state",
            )
        elif state not in chart.finals and not any(state in chart.leaving(way) for way in chart.transitions):
            yield Problem(
                f"state {state!r} is a dead end: no action can be taken there",
                f"give an action source={state!r}, or declare final={{{state!r}}}",
            )


def mermaid(chart: Chart, current: str | None = None) -> str:
    """The chart as a Mermaid stateDiagram-v2, with the current state marked."""
    ids = _ids(chart.states)
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{_quoted(state)}" as {ids[state]}' for state in chart.states if ids[state] != state]
    lines += [f"    [*] --> {ids[chart.initial]}"]
    lines += [f"    {ids[one]} --> {ids[other]}: {event}" for one, other, event in chart.graph().edges(keys=True)]
    lines += [f"    {ids[state]} --> [*]" for state in chart.states if state in chart.finals]
    if current is not None:
        lines += ["    classDef current fill:#2b6cb0,color:#fff,stroke-width:2px", f"    class {ids[current]} current"]
    return "\n".join(lines) + "\n"


def _ids(states: Iterable[str]) -> dict[str, str]:
    """By state, what Mermaid takes for its id: the state itself where that is a plain word."""
    ids = {state: state for state in states if _PLAIN.fullmatch(state) and state.lower() not in _WORDS}
    for state in states:
        if state not in ids:
            word = re.sub(r"\W+", "_", state, flags=re.ASCII).strip("_")
            base = word if _PLAIN.fullmatch(word) and word.lower() not in _WORDS else f"state_{word}"
            numbered = (f"{base}_{number}" for number in count(2))
            ids[state] = next(name for name in chain([base], numbered) if name not in ids.values())
    return ids


def _quoted(state: str) -> str:
    return " ".join(state.replace("#", "#35;").replace('"', "#quot;").split())
