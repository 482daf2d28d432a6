"""Where the items of ranks are, and the points that the lines between them go through."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from engine.drawing.layering import APART, Item, Key, Layers, Line, layers_of
from engine.drawing.straightening import straightened

Point = tuple[float, float]

SWEEPS = 24
"""How often the ranks are gone through, down and up."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is: by item its axis and upper edge, the points of each line, downwards, and the size of it."""

    axis: dict[Key, float]
    top: dict[Key, float]
    points: dict[int, list[Point]]
    width: float
    height: float


def arranged(items: Mapping[Key, Item], lines: Sequence[Line]) -> Places:
    """Items and lines at their places. The lines are such that none leads, by others, back to where it begins."""
    layers = layers_of(items, lines)
    return _placed(layers, straightened(layers, _axes(layers)))


@dataclass(frozen=True, slots=True)
class _Pull:
    """What an item is connected to, how far from the axis of that its own is wanted, and how much that counts."""

    other: Key
    shift: float
    weight: float
    upwards: bool


def _axes(layers: Layers) -> dict[Key, float]:
    """Where each item's axis is: as near to straight below what it is connected to as the order leaves room for."""
    axis = {key: at for rank in layers.ranks for key, at in zip(rank, _spaced(layers, rank, {}), strict=True)}
    pulls = _pulls(layers)
    for sweep in range(SWEEPS):
        upwards, both = sweep % 2 == 1, sweep >= SWEEPS - 4
        for rank in layers.ranks[::-1] if upwards else layers.ranks:
            near = {key: [pull for pull in pulls[key] if both or pull.upwards != upwards] for key in rank}
            wanted = {key: _wanted(axis, key, near[key] or pulls[key]) for key in rank}
            axis.update(zip(rank, _spaced(layers, rank, wanted), strict=True))
    return axis


def _wanted(axis: Mapping[Key, float], key: Key, pulls: list[_Pull]) -> tuple[float, float]:
    """Where an axis is wanted, and how much that counts: of what is connected to nothing, where it is."""
    weight = sum(pull.weight for pull in pulls)
    if not weight:
        return axis[key], 0.1
    return sum(pull.weight * (axis[pull.other] + pull.shift) for pull in pulls) / weight, weight


def _pulls(layers: Layers) -> dict[Key, list[_Pull]]:
    pulls: dict[Key, list[_Pull]] = {key: [] for key in layers.items}
    for number, upper, lower in layers.steps():
        passed = sum(key[0] in ("bend", "label", "top", "bottom") for key in (upper, lower))
        weight, shift = (1.0, 3.0, 9.0)[passed], layers.run(number, upper, lower)
        pulls[lower].append(_Pull(upper, shift, weight, True))
        pulls[upper].append(_Pull(lower, -shift, weight, False))
    return pulls


def _spaced(layers: Layers, rank: list[Key], wanted: Mapping[Key, tuple[float, float]]) -> list[float]:
    """The axes of a rank that are nearest to the wanted ones, by least squares, and far enough from each other."""
    gaps = [layers.items[one].right + layers.items[other].left + APART for one, other in pairwise(rank)]
    starts = list(accumulate(gaps, initial=0.0))
    blocks: list[tuple[float, float, int]] = []
    for key, start in zip(rank, starts, strict=True):
        at, weight = wanted.get(key, (start, 1.0))
        block = ((at - start) * weight, weight, 1)
        while blocks and blocks[-1][0] / blocks[-1][1] >= block[0] / block[1]:
            last = blocks.pop()
            block = (last[0] + block[0], last[1] + block[1], last[2] + block[2])
        blocks.append(block)
    shifts = [total / weight for total, weight, count in blocks for _ in range(count)]
    return [start + shift for start, shift in zip(starts, shifts, strict=True)]


def _placed(layers: Layers, axis: dict[Key, float]) -> Places:
    left = min((axis[key] - item.left for key, item in layers.items.items()), default=0.0)
    axis = {key: at - left for key, at in axis.items()}
    width = max((axis[key] + item.right for key, item in layers.items.items()), default=0.0)
    bands, bottom = _bands(layers, axis)
    top = {key: sum(bands[key]) / 2 - item.height / 2 for key, item in layers.items.items()}
    points = {number: list(_points(layers, number, axis, top, bands)) for number in layers.ways}
    return Places(axis, top, points, width, bottom)


def _points(
    layers: Layers, number: int, axis: Mapping[Key, float], top: Mapping[Key, float], bands: Mapping[Key, Point]
) -> Iterator[Point]:
    """A line's way: straight down through the room that it has in a rank, and sideways only between two ranks."""
    first, *passed, last = layers.ways[number]
    at = axis[first] + layers.ends[first, number, True]
    yield from ((at, top[first] + layers.items[first].height), (at, bands[first][1]))
    for key in passed:
        yield from ((axis[key], y) for y in bands[key])
    at = axis[last] + layers.ends[last, number, False]
    yield from ((at, bands[last][0]), (at, top[last]))


def _bands(layers: Layers, axis: Mapping[Key, float]) -> tuple[dict[Key, tuple[float, float]], float]:
    """By item, from where to where its rank reaches; between two ranks the more room the flatter lines would be."""
    sideways: dict[Key, float] = {}
    for number, upper, lower in layers.steps():
        run = abs(axis[upper] - axis[lower] + layers.run(number, upper, lower))
        sideways[upper] = max(sideways.get(upper, 0.0), run)
    bands: dict[Key, tuple[float, float]] = {}
    at = bottom = 0.0
    for rank in layers.ranks:
        bottom = at + max(layers.items[key].height for key in rank)
        bands |= {key: (at, bottom) for key in rank}
        at = bottom + 16.0 + min(max(sideways.get(key, 0.0) for key in rank) / 6, 44.0)
    return bands, bottom
