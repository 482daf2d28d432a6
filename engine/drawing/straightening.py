"""Lines made straight, as far as the order in the ranks leaves room for it."""

from collections.abc import Collection, Iterable, Iterator, Mapping

import networkx

from engine.drawing.layering import APART, Key, Layers

ROUNDS = 8
BEND = 12.0
"""What a bend counts, in units of length: a line is better bent once by much than twice by little."""

Pull = tuple[Key, float]
"""Another item, and how far from its axis one's own would be for a straight line."""


def straightened(layers: Layers, axis: Mapping[Key, float]) -> dict[Key, float]:
    """The axes, moved so that fewer lines bend. No two items change places or come too near to each other."""
    moved = dict(axis)
    groups = [[key] for rank in layers.ranks for key in rank if key[0] not in ("bend", "label")]
    for way in layers.ways.values():
        groups += _level(layers, moved, way[1:-1])
    _move(layers, moved, groups)
    _move(layers, moved, _straight(layers, moved))
    _move(layers, moved, groups)
    return moved


def _move(layers: Layers, axis: dict[Key, float], groups: list[list[Key]]) -> None:
    """Move each group, as a whole, to where it is best."""
    pulls = _pulls(layers)
    place = {key: number for number, rank in enumerate(layers.ranks) for key in rank}
    groups = sorted(groups, key=lambda group: place[group[0]])
    for sweep in range(ROUNDS):
        for group in groups if sweep % 2 == 0 else reversed(groups):
            shift = _best(layers, axis, group, pulls)
            axis |= {key: axis[key] + shift for key in group}


def _straight(layers: Layers, axis: Mapping[Key, float]) -> list[list[Key]]:
    """Items that straight lines connect, together."""
    graph: networkx.Graph[Key] = networkx.Graph()
    graph.add_nodes_from(key for rank in layers.ranks for key in rank)
    for number, upper, lower in layers.steps():
        if abs(axis[upper] - axis[lower] + layers.run(number, upper, lower)) < 0.5:
            graph.add_edge(upper, lower)
    return [sorted(part) for part in networkx.connected_components(graph)]


def _level(layers: Layers, axis: dict[Key, float], inner: list[Key]) -> Iterator[list[Key]]:
    """A line's own places in as few straight parts as there is room for."""
    part: list[Key] = []
    low, high = float("-inf"), float("inf")
    for key in inner:
        left, right = _room(layers, axis, key)
        if part and max(low, left) > min(high, right):
            yield _aligned(axis, part, low, high)
            part, low, high = [], float("-inf"), float("inf")
        part.append(key)
        low, high = max(low, left), min(high, right)
    if part:
        yield _aligned(axis, part, low, high)


def _aligned(axis: dict[Key, float], part: list[Key], low: float, high: float) -> list[Key]:
    mean = sum(axis[key] for key in part) / len(part)
    axis |= dict.fromkeys(part, min(max(mean, low), high))
    return part


def _room(layers: Layers, axis: Mapping[Key, float], key: Key, group: Collection[Key] = ()) -> tuple[float, float]:
    """From where to where an item's axis may be, all others but the group staying where they are."""
    before, after = (None if other in group else other for other in layers.beside[key])
    item, items = layers.items[key], layers.items
    low = float("-inf") if before is None else axis[before] + items[before].right + APART + item.left
    high = float("inf") if after is None else axis[after] - items[after].left - APART - item.right
    return min(low, axis[key]), max(high, axis[key])


def _pulls(layers: Layers) -> dict[Key, list[Pull]]:
    pulls: dict[Key, list[Pull]] = {key: [] for key in layers.items}
    for number, upper, lower in layers.steps():
        shift = layers.run(number, upper, lower)
        pulls[lower].append((upper, shift))
        pulls[upper].append((lower, -shift))
    return pulls


def _best(layers: Layers, axis: Mapping[Key, float], group: list[Key], pulls: Mapping[Key, list[Pull]]) -> float:
    """How far a group moves at its best: the least sideways way of its lines, and few bends."""
    within = set(group)
    rooms = [(low - axis[key], high - axis[key]) for key in group for low, high in [_room(layers, axis, key, within)]]
    low, high = max(low for low, _ in rooms), min(high for _, high in rooms)
    wanted = [axis[other] + shift - axis[key] for key in group for other, shift in pulls[key] if other not in within]
    shifts = {0.0, *(min(max(want, low), high) for want in wanted)}
    return min(shifts, key=lambda shift: (_cost(shift, wanted), abs(shift), shift))


def _cost(shift: float, wanted: Iterable[float]) -> float:
    return round(sum(abs(want - shift) + BEND * (abs(want - shift) > 0.5) for want in wanted), 3)
