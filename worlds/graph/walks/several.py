"""Several ways between two names, the shortest or cheapest first: networkx finds them, in the part that they lie in."""

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

import networkx as nx

from worlds.graph.walks.reach import LOOKS, Ball, Bounds, Stopped, shortest
from worlds.graph.walks.ways import Reading, Step

AHEAD = 100
"""Names whose steps are read together: the one that is wanted, and those that are likely to be next."""
CLOSE = 1 + 1e-9
"""By how much sums of the same weights may differ."""
LONGER = 1_000
"""Ways that are passed over because they have more relations than are wanted, before a search stops."""

Way = Sequence[int]


class Unfit(Exception):
    """The weight of a fact is no cost."""

    def __init__(self, fact: int, weight: float) -> None:
        super().__init__(f"fact {fact} has the weight {weight}")
        self.fact = fact
        self.weight = weight


@dataclass(frozen=True, slots=True)
class Ends:
    """Two names, the steps that lead on from any name, and those that lead back."""

    source: int
    target: int
    forth: Reading
    back: Reading


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a graph that has all ways which are no longer than `far`; `further` is what to try next.

    Without that, it has all ways there are.
    """

    graph: nx.DiGraph
    far: float
    further: float | None


Find = Callable[[Ends, float, Bounds], Part]


def cost_of(step: Step) -> float:
    """What a step costs: its weight, or 1. Raises Unfit."""
    weight = 1.0 if step[3] is None else step[3]
    if not 0 <= weight < math.inf:
        raise Unfit(step[2], weight)
    return weight


def shortest_ways(ends: Ends, k: int, bounds: Bounds, most: int | None) -> Iterator[Way]:
    """The `k` ways with the fewest steps, `most` at most, that come by no name twice. Raises Stopped."""
    first = shortest(ends.source, ends.target, ends.forth, ends.back, bounds, most)
    if first is None or len(first) == 1 or k == 1:
        yield from () if first is None else (first,)
    else:
        yield from _in_parts(ends, k, bounds, most, len(first) - 1, _short)


def cheapest_ways(ends: Ends, k: int, bounds: Bounds, most: int | None) -> Iterator[Way]:
    """The `k` ways of the least cost, of `most` steps at most, that come by no name twice. Raises Stopped, Unfit."""
    found = _Costs(ends.forth, ends.source, bounds)
    found.settle(until=ends.target)
    if ends.target not in found.settled:
        return
    if ends.source == ends.target or (k == 1 and most is None):
        yield found.way_to(ends.target)
    else:
        yield from _in_parts(ends, k, bounds, most, found.settled[ends.target], _cheap)


def _in_parts(ends: Ends, k: int, bounds: Bounds, most: int | None, far: float, find: Find) -> Iterator[Way]:
    """The first `k` ways, from ever larger parts of the graph."""
    given: set[tuple[int, ...]] = set()
    fits, next_far = _Fits(most), far
    while True:
        part = find(ends, next_far, bounds)
        for way in _simple(part, ends, bounds):
            if tuple(way) not in given and fits(way):
                given.add(tuple(way))
                yield way
            if len(given) == k:
                return
        if part.further is None or (find is _short and most is not None and part.far >= most):
            return
        next_far = part.further if find is _cheap or most is None else min(part.further, most)


class _Fits:
    """Whether ways have so few relations as is wanted. Raises Stopped after many that do not."""

    def __init__(self, most: int | None) -> None:
        self.most = most
        self.longer = 0

    def __call__(self, way: Way) -> bool:
        if self.most is None or len(way) - 1 <= self.most:
            return True
        self.longer += 1
        if self.longer > LONGER:
            raise Stopped(f"after {LONGER:,} ways that have more than {self.most} relations")
        return False


def _simple(part: Part, ends: Ends, bounds: Bounds) -> Iterator[list[int]]:
    """The ways in a part, in order, as far as all of them are in it."""
    if ends.source not in part.graph or ends.target not in part.graph:
        return
    for way in nx.shortest_simple_paths(part.graph, ends.source, ends.target, weight="cost"):
        bounds.check(len(part.graph))
        if part.further is not None and nx.path_weight(part.graph, way, "cost") > part.far * CLOSE:
            return
        yield way


def _short(ends: Ends, far: float, bounds: Bounds) -> Part:
    """The part in which ways of so many steps lie: each of their names is near the one end or the other."""
    one, other = Ball(ends.forth, [ends.source], bounds), Ball(ends.back, [ends.target], bounds)
    for ball, radius in ((one, (far + 1) // 2), (other, far // 2)):
        while ball.edge and ball.radius < radius:
            ball.grow()
    whole = not (one.edge and other.edge)
    graph = _graph(ends, one.distance.keys() | other.distance.keys(), _one, bounds)
    return Part(_between(graph, ends, math.inf if whole else far), far, None if whole else far + max(1, far // 4))


def _cheap(ends: Ends, far: float, bounds: Bounds) -> Part:
    """The part in which ways of so much cost lie."""
    one, other = _Costs(ends.forth, ends.source, bounds), _Costs(ends.back, ends.target, bounds)
    beyond, behind = one.settle(most=far * CLOSE), other.settle(most=far * CLOSE)
    if beyond is not None and behind is not None:
        graph = _graph(ends, one.settled.keys() & other.settled.keys(), cost_of, bounds)
        return Part(_between(graph, ends, far), far, max(1.5 * far, beyond, behind))
    # From one end, all was come to that it leads to.
    done = one if beyond is None else other
    return Part(_between(_graph(ends, done.settled.keys(), cost_of, bounds), ends, math.inf), far, None)


def _between(graph: nx.DiGraph, ends: Ends, far: float) -> nx.DiGraph:
    """What of a part lies on walks between the ends that are no longer than so much."""
    there = nx.single_source_dijkstra_path_length(graph, ends.source, weight="cost")
    back = nx.single_source_dijkstra_path_length(graph.reverse(copy=False), ends.target, weight="cost")
    return graph.subgraph([name for name in there if name in back and there[name] + back[name] <= far * CLOSE])


def _graph(ends: Ends, names: Collection[int], cost: Callable[[Step], float], bounds: Bounds) -> nx.DiGraph:
    """These names and the steps between them; of several between two names, the cheapest, told first.

    Steps are in the order they were told, however they were read: among ways that are as good, networkx goes by it.
    """
    among = {ends.source, ends.target}.union(names)
    graph, found = nx.DiGraph(), dict[tuple[int, int], tuple[float, int]]()
    graph.add_nodes_from(sorted(among))
    for count, step in enumerate(ends.forth(sorted(among)), 1):
        source, target, fact, _ = step
        if target in among and source != target:
            found[source, target] = min((cost(step), fact), found.get((source, target), (math.inf, 0)))
        if not count % LOOKS:
            bounds.check(len(among))
    told = sorted(found, key=lambda pair: (found[pair][1], pair))
    graph.add_edges_from((*pair, {"cost": found[pair][0]}) for pair in told)
    return graph


def _one(step: Step) -> float:
    return 1.0


class _Costs:
    """What it costs to come to names from one, the nearest first. `settled` are those of which it is known."""

    def __init__(self, reading: Reading, start: int, bounds: Bounds) -> None:
        self.reading, self.bounds = reading, bounds
        self.settled: dict[int, float] = {}
        self._open: dict[int, float] = {start: 0.0}
        self._queue: list[tuple[float, int]] = [(0.0, start)]
        self._came: dict[int, int] = {}
        self._steps: dict[int, list[Step]] = {}

    def settle(self, *, until: int | None = None, most: float = math.inf) -> float | None:
        """Go on until a name is settled, or all that costs no more; what the next one costs. Raises Stopped, Unfit."""
        while self._queue:
            cost, name = self._queue[0]
            if cost > most or until in self.settled:
                return cost
            heappop(self._queue)
            if name not in self.settled:
                self._settle(name, cost)
        return None

    def _settle(self, name: int, cost: float) -> None:
        self.settled[name] = cost
        for step in self._from(name):
            target, further = step[1], cost + cost_of(step)
            if target not in self.settled and further < self._open.get(target, math.inf):
                self._open[target], self._came[target] = further, name
                heappush(self._queue, (further, target))

    def _from(self, name: int) -> list[Step]:
        if name not in self._steps:
            self.bounds.check(len(self.settled))
            # The first of a heap are among the smallest, and cost nothing to find.
            likely = [
                other for _, other in self._queue[:AHEAD] if other not in self._steps and other not in self.settled
            ]
            wanted = dict.fromkeys([name, *likely])
            for one in wanted:
                self._steps[one] = []
            for step in self.reading(wanted):
                self._steps[step[0]].append(step)
        return self._steps.pop(name)

    def way_to(self, name: int) -> list[int]:
        """The names on the way to one that was come to."""
        way = [name]
        while way[-1] in self._came:
            way.append(self._came[way[-1]])
        return way[::-1]
