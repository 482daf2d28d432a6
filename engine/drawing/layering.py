"""Items in ranks one below the other: which rank, and in what order; and the way of lines through them.

The layered layout of Sugiyama, Tagawa and Toda (1981). A line takes room of its own in every rank that it passes, and
so does its label, so that none runs through an item and no two labels meet.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import networkx

Key = tuple[str, str, int]
"""What an item is, of which state and of which line."""

APART = 18.0
"""The room between two items of a rank."""

SWEEPS = 12
"""How often the ranks are gone through, down and up, for their order."""


@dataclass(frozen=True, slots=True)
class Item:
    """What takes room: how far it reaches to both sides of its axis, how high it is, and where lines meet it.

    A line that is not in `above` or `below`, by number, finds a place within `width`, the middle of which is the axis.
    """

    left: float
    right: float
    height: float
    width: float = 0.0
    above: Mapping[int, float] = field(default_factory=dict)
    below: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _End:
    """Where a line meets an item, and the other item that it comes from; each as a part of a place in the order."""

    number: int
    here: float
    other: Key
    there: float


Sides = dict[tuple[Key, bool], list[_End]]
"""By item, the lines that meet it above, and below."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line down from one item to another, with room for a label near one of its ends."""

    number: int
    upper: Key
    lower: Key
    label: Item | None = None
    near_upper: bool = True


@dataclass(slots=True)
class Layers:
    """The ranks, top first, with the items of each in order, what they are, and the way of each line through them."""

    ranks: list[list[Key]]
    items: dict[Key, Item]
    ways: dict[int, list[Key]]
    ends: dict[tuple[Key, int, bool], float] = field(default_factory=dict)
    """Where a line meets an item, from its axis: by item, line, and whether it is below the item."""

    beside: dict[Key, tuple[Key | None, Key | None]] = field(default_factory=dict)
    """What is before and after an item in its rank."""

    def steps(self) -> "list[tuple[int, Key, Key]]":
        """All parts of lines from one rank to the next."""
        return [(number, *step) for number, way in self.ways.items() for step in pairwise(way)]

    def run(self, number: int, upper: Key, lower: Key) -> float:
        """How much further to the right of its axis a line meets the upper item than the lower one."""
        return self.ends[upper, number, True] - self.ends[lower, number, False]


def layers_of(items: Mapping[Key, Item], lines: Sequence[Line]) -> Layers:
    """Items in their ranks and order. The lines are such that none leads, by others, back to where it begins."""
    layers = _layers(items, lines)
    _order(layers)
    for rank in layers.ranks:
        layers.beside |= {
            key: (before, after) for before, key, after in zip([None, *rank], rank, [*rank[1:], None], strict=False)
        }
    _meet(layers)
    return layers


# ranks


def _layers(items: Mapping[Key, Item], lines: Sequence[Line]) -> Layers:
    rank = _ranks(items, lines)
    all_items = dict(items)
    for line in lines:
        if line.label is not None:
            key = ("label", "", line.number)
            rank[key] = rank[line.upper] + 1 if line.near_upper else rank[line.lower] - 1
            all_items[key] = line.label
    used = {number: place for place, number in enumerate(sorted(set(rank.values())))}
    layers = Layers([[] for _ in used], all_items, {})
    for key, number in rank.items():
        layers.ranks[used[number]].append(key)
    for line in lines:
        layers.ways[line.number] = _way(layers, line, {key: used[number] for key, number in rank.items()})
    return layers


def _ranks(items: Mapping[Key, Item], lines: Sequence[Line]) -> dict[Key, int]:
    """Even ranks for items, so that labels have the odd ones; what lies on the edge comes first or last."""
    graph: networkx.DiGraph[Key] = networkx.DiGraph()
    graph.add_nodes_from(key for key in items if key[0] not in ("title", "top", "bottom"))
    graph.add_edges_from((line.upper, line.lower) for line in lines if {line.upper, line.lower} <= graph.nodes)
    generations = list(networkx.topological_generations(graph))
    rank = {key: 2 * place + 2 for place, keys in enumerate(generations) for key in keys}
    for key in graph.nodes:
        if graph.out_degree[key] and not graph.in_degree[key]:
            rank[key] = min(rank[below] for below in graph[key]) - 2
    last = 2 * len(generations) + 2
    return {key: rank.get(key, last if key[0] == "bottom" else 0) for key in items}


def _way(layers: Layers, line: Line, rank: Mapping[Key, int]) -> list[Key]:
    way, label = [line.upper], ("label", "", line.number)
    for place in range(rank[line.upper] + 1, rank[line.lower]):
        key = label if rank.get(label) == place else ("bend", str(place), line.number)
        if key != label:
            layers.items[key] = Item(3.0, 3.0, 0.0)
            layers.ranks[place].append(key)
        way.append(key)
    return [*way, line.lower]


# order


def _order(layers: Layers) -> None:
    """Order each rank so that few lines cross: by the mean place of what its items are connected to, up or down."""
    sides = _sides(layers)
    best, fewest = [list(rank) for rank in layers.ranks], _crossings(layers, sides)
    for sweep in range(SWEEPS):
        if not fewest:
            break
        down = sweep % 2 == 0
        ranks = layers.ranks[1:] if down else layers.ranks[-2::-1]
        for rank, beside in zip(ranks, layers.ranks if down else layers.ranks[:0:-1], strict=False):
            _sort(rank, beside, sides, under=not down)
        if (found := _crossings(layers, sides)) < fewest:
            best, fewest = [list(rank) for rank in layers.ranks], found
    layers.ranks = best


def _sides(layers: Layers) -> Sides:
    sides: Sides = {(key, under): [] for key in layers.items for under in (True, False)}
    for number, upper, lower in layers.steps():
        one, other = layers.items[upper], layers.items[lower]
        above, below = _share(one, one.below.get(number, 0.0)), _share(other, other.above.get(number, 0.0))
        sides[upper, True].append(_End(number, above, lower, below))
        sides[lower, False].append(_End(number, below, upper, above))
    return sides


def _share(item: Item, offset: float) -> float:
    """An offset from the axis in parts of a place in the order."""
    return 0.9 * offset / item.width if item.width else 0.0


def _sort(rank: list[Key], beside: list[Key], sides: Sides, *, under: bool) -> None:
    place = {key: number + 0.5 for number, key in enumerate(beside)}
    own = {key: (number + 0.5) * len(beside) / len(rank) for number, key in enumerate(rank)}

    def wanted(key: Key) -> tuple[bool, float]:
        near = [place[end.other] + end.there - end.here for end in sides[key, under]]
        return key[0] != "title", sum(near) / len(near) if near else own[key]

    rank.sort(key=wanted)


def _crossings(layers: Layers, sides: Sides) -> int:
    total = 0
    for rank, beside in pairwise(layers.ranks):
        place = {key: number for number, key in enumerate(beside)}
        ends = [
            (number + end.here, place[end.other] + end.there)
            for number, key in enumerate(rank)
            for end in sides[key, True]
        ]
        seen: list[float] = []
        for _, there in sorted(ends):
            total += len(seen) - bisect_right(seen, there)
            insort(seen, there)
    return total


# where lines meet items


def _meet(layers: Layers) -> None:
    """Spread the lines that meet an item over its sides, in the order of where they come from."""
    place = {key: number for rank in layers.ranks for number, key in enumerate(rank)}
    sides = {
        side: sorted((place[end.other] + end.there, end.number) for end in ends)
        for side, ends in _sides(layers).items()
    }
    for (key, under), met in sides.items():
        item = layers.items[key]
        given = item.below if under else item.above
        for number, at in _spread(item.width, [number for _, number in met], given).items():
            layers.ends[key, number, under] = at


def _spread(width: float, numbers: list[int], given: Mapping[int, float]) -> dict[int, float]:
    """Where lines in this order meet a side, from its middle: as given, or evenly between those that are."""
    if not given:
        step = min(26.0, max(width - 14.0, 0.0) / max(len(numbers), 1))
        return {number: (place - (len(numbers) - 1) / 2) * step for place, number in enumerate(numbers)}
    found: dict[int, float] = {}
    left, waiting = -width / 2, []
    for number in [*numbers, None]:
        if number is not None and number not in given:
            waiting.append(number)
            continue
        right = width / 2 if number is None else given[number]
        for place, one in enumerate(waiting, start=1):
            found[one] = left + (right - left) * place / (len(waiting) + 1)
        left, waiting = right, []
    return {**found, **{number: given[number] for number in numbers if number in given}}
