"""The way of each arrow in a drawing, through the layouts of all the states whose borders it crosses."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import networkx

from engine.charts import ROOT, Chart, Kind
from engine.drawing.arrows import arrows
from engine.drawing.layering import Key


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow between two items, with all that is said beside it."""

    source: Key
    target: Key
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What of an edge lies in the layout of one state, from its upper to its lower end."""

    level: str
    edge: int
    upper: Key
    lower: Key
    labelled: bool


def edges_of(chart: Chart) -> Iterator[Edge]:
    """The arrows, those with the same ends as one, and those from the dots at which a compound state begins."""
    for name in (ROOT, *chart.states):
        if chart.node[name].kind is Kind.COMPOUND:
            yield from (Edge(("dot", name, 0), state_key(target)) for target in chart.initial_of(name))
    said: dict[tuple[str, str], list[str]] = {}
    for arrow in arrows(chart):
        said.setdefault((arrow.source, arrow.target), []).extend([arrow.label] if arrow.label.strip() else [])
    for (source, target), labels in said.items():
        yield Edge(state_key(source), state_key(target), tuple(labels))


def state_key(name: str) -> Key:
    """The item that a state is drawn as."""
    return ("state", name, 0)


class Routes:
    """Which way each edge goes: through which levels, and whether down or up."""

    def __init__(self, chart: Chart, edges: tuple[Edge, ...]) -> None:
        self._chart = chart
        self._edges = edges
        self._meeting = {number: self._met(edge) for number, edge in enumerate(edges) if edge.source != edge.target}
        place = self._places()
        self.down = {
            number: None in (source, target) or place[level, source] < place[level, target]
            for number, (level, source, target) in self._meeting.items()
        }
        self.steps = {number: list(self._steps(number)) for number in self._meeting}

    def held(self, key: Key) -> dict[str, Key]:
        """By level, innermost first, the item of it that is or holds the one given."""
        kind, name, _ = key
        if kind == "dot":
            return {name: key, **self.held(state_key(name))} if name != ROOT else {ROOT: key}
        path = (name, *self._chart.ancestors[name])
        return {level: state_key(inner) for inner, level in pairwise(path)}

    def _met(self, edge: Edge) -> tuple[str, Key | None, Key | None]:
        """The level at which the ends are apart, and what they are there: None for the state around it itself."""
        ups, downs = self.held(edge.source), self.held(edge.target)
        for level, key in ups.items():
            if edge.target == state_key(level):
                return level, key, None
            if level in downs and downs[level] != key:
                return level, key, downs[level]
        level = edge.source[1]
        return level, None, downs[level]

    def _places(self) -> dict[tuple[str, Key | None], int]:
        """The order of each level's items, by which an edge goes down or up."""
        graphs: dict[str, networkx.DiGraph[Key]] = {}
        for level in self._chart.node:
            graphs[level] = networkx.DiGraph()
            graphs[level].add_nodes_from(self.items(level))
        for level, source, target in self._meeting.values():
            if source is not None and target is not None:
                graphs[level].add_edge(source, target)
        return {(level, key): place for level, graph in graphs.items() for place, key in enumerate(_ordered(graph))}

    def items(self, level: str) -> list[Key]:
        """What is laid out at a level: the dot at which it begins, and states and histories in document order."""
        chart = self._chart
        begins = chart.node[level].kind is Kind.COMPOUND and chart.initial_of(level)
        held = chart.in_order((*chart.children[level], *chart.histories[level]))
        return [*([("dot", level, 0)] if begins else []), *map(state_key, held)]

    def _steps(self, number: int) -> Iterator[Step]:
        edge, (level, source, target) = self._edges[number], self._meeting[number]
        near, far = ((edge.source, source), (edge.target, target))[:: 1 if self.down[number] else -1]
        top, bottom = ("top", "", number), ("bottom", "", number)
        for inner, key in self._below(near[0], level):
            yield Step(inner, number, key, bottom, False)
        yield Step(level, number, near[1] or top, far[1] or bottom, True)
        for inner, key in reversed(self._below(far[0], level)):
            yield Step(inner, number, top, key, False)

    def _below(self, end: Key, level: str) -> list[tuple[str, Key]]:
        return [(inner, key) for inner, key in self.held(end).items() if self._is_in(inner, level)]

    def _is_in(self, inner: str, level: str) -> bool:
        return inner in self._chart.descendants[level]


def _ordered(graph: "networkx.DiGraph[Key]") -> list[Key]:
    """Items in the order that leaves fewer edges against it: that of the document, or of a walk along the edges."""
    written = list(graph.nodes)
    walked = list(networkx.dfs_postorder_nodes(graph))[::-1]
    return min((written, walked), key=lambda order: _against(graph, order))


def _against(graph: "networkx.DiGraph[Key]", order: list[Key]) -> int:
    place = {key: number for number, key in enumerate(order)}
    return sum(place[source] > place[target] for source, target in graph.edges)
