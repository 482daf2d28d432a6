"""Lines between boxes of a drawing: bowed around what is in their way, and where their labels can be read."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from worlds.graph.pictures.layout import Box, Point

BOWS = (0.0, 0.08, -0.08, 0.16, -0.16, 0.28, -0.28, 0.42, -0.42)
"""How far aside a line may go, in parts of its length."""
PLACES = (0.5, 0.42, 0.58, 0.34, 0.66, 0.27, 0.73, 0.2, 0.8)
"""Where along a line its label may be."""
SAMPLES = 20
Bend = tuple[Point, Point, Point]
"""A quadratic Bézier curve."""


@dataclass(frozen=True, slots=True)
class Line:
    """A curve from the border of one box to that of another, or around the corner of one."""

    points: tuple[Point, ...]
    """Three, or four of a loop: of a quadratic or a cubic Bézier curve."""

    def at(self, share: float) -> Point:
        """The point so far along it."""
        return _on(self.points, share)


def line_of(source: int, target: int, boxes: Sequence[Box], *, returned: bool) -> Line:
    """A line that goes through as few boxes as may be; one that another comes back along goes aside of it."""
    if source == target:
        return _loop(boxes[source])
    others = [box for place, box in enumerate(boxes) if place not in (source, target)]
    bows = [bow for bow in BOWS if bow > 0] if returned else BOWS  # which is to the right of either way
    best = min(bows, key=lambda bow: (_through(_bent(boxes[source], boxes[target], bow), others), BOWS.index(bow)))
    return Line(_clipped(_bent(boxes[source], boxes[target], best), boxes[source], boxes[target]))


def labels_of(lines: Sequence[Line], sizes: Mapping[int, Point], boxes: Sequence[Box]) -> dict[int, Box]:
    """Where labels of these sizes are on their lines: on no box and no other label. There are none where no room is."""
    taken: dict[int, Box] = {}
    tracks = [[line.at(step / SAMPLES) for step in range(SAMPLES + 1)] for line in lines]
    for at in sorted(sizes, key=lambda at: (-math.dist(lines[at].points[0], lines[at].points[-1]), at)):
        free = []
        for order, (x, y) in enumerate(_spots(lines[at], *sizes[at])):
            box = Box(x, y, *sizes[at])
            if not any(box.overlaps(other, 3) for other in (*boxes, *taken.values())):
                free.append((_crossed(box, at, tracks), order, box))
        if free:
            taken[at] = min(free, key=lambda found: found[:2])[2]
    return taken


def _spots(line: Line, width: float, height: float) -> list[Point]:
    """Where the label of a line may be: on it, if enough of it is still to be seen; beside it, if it is a loop."""
    (x, y), (to_x, to_y) = line.points[0], line.points[-1]
    if len(line.points) == 4:
        out, up = line.at(0.5)
        return [(out + width / 2 + 6, up - 4), (out, up - height), (out - width / 2, up - height)]
    across, down = abs(to_x - x), abs(to_y - y)
    long = math.hypot(across, down)
    hidden = long * min(width / across if across else math.inf, height / down if down else math.inf)
    return [line.at(share) for share in PLACES] if hidden < 0.8 * long - 8 else []


def _crossed(box: Box, own: int, tracks: Iterable[Sequence[Point]]) -> int:
    """How many other lines go through a box."""
    return sum(any(map(box.holds, track)) for at, track in enumerate(tracks) if at != own)


def _loop(box: Box) -> Line:
    right, top = box.left + box.width, box.top
    begin, end = (right - 14, top), (right, top + min(12, box.height / 2))
    return Line((begin, (right - 14, top - 26), (right + 26, end[1]), end))


def _bent(source: Box, target: Box, bow: float) -> Bend:
    across, down = target.x - source.x, target.y - source.y
    middle = ((source.x + target.x) / 2 - 2 * bow * down, (source.y + target.y) / 2 + 2 * bow * across)
    return ((source.x, source.y), middle, (target.x, target.y))


def _through(bend: Bend, boxes: Iterable[Box]) -> int:
    track = [_on(bend, step / SAMPLES) for step in range(1, SAMPLES)]
    return sum(any(box.holds(point, 3) for point in track) for box in boxes)


def _on(points: Sequence[Point], share: float) -> Point:
    """A point on a Bézier curve (de Casteljau)."""
    while len(points) > 1:
        points = [_between(one, other, share) for one, other in pairwise(points)]
    return points[0]


def _between(one: Point, other: Point, share: float) -> Point:
    return (one[0] + (other[0] - one[0]) * share, one[1] + (other[1] - one[1]) * share)


def _clipped(bend: Bend, source: Box, target: Box) -> Bend:
    """The part of a curve that is outside of both boxes."""
    begin = _border(lambda share: source.holds(_on(bend, share)))
    end = 1 - _border(lambda share: target.holds(_on(bend, 1 - share), 1.5))
    if end <= begin:
        begin, end = 0.4, 0.6
    return (_on(bend, begin), _on_two(bend, begin, end), _on(bend, end))


def _on_two(bend: Bend, begin: float, end: float) -> Point:
    """The middle point of a part of a quadratic curve: its blossom at both ends."""
    return _between(_between(bend[0], bend[1], begin), _between(bend[1], bend[2], begin), end)


def _border(inside: Callable[[float], bool]) -> float:
    """How far along a curve leaves where it begins."""
    steps = (step / 64 for step in range(1, 65))
    high = next((share for share in steps if not inside(share)), 1.0)
    low = max(high - 1 / 64, 0.0)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return high
