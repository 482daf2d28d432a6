"""Where boxes of a drawing stand: what is related near to each other, nothing on anything else, always the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx as nx

Point = tuple[float, float]

APART = 22.0
"""Between two boxes, at least."""
STRETCHES = ((1.25, 0.25), (1.25, 0.05), (1.9, 0.25), (1.9, 0.05))
"""What is tried: how much broader than high, since boxes are; which share of boxes may first lie on others."""
ROUNDS = 120
"""Of moving all boxes to where their distances fit best."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its centre."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """Where it begins."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """Where it begins."""
        return self.y - self.height / 2

    def overlaps(self, other: "Box", apart: float = 0.0) -> bool:
        """Whether less than so much is between them."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width + 2 * apart
            and abs(self.y - other.y) * 2 < self.height + other.height + 2 * apart
        )

    def holds(self, point: Point, room: float = 0.0) -> bool:
        """Whether a point is within, or so near."""
        return (
            abs(point[0] - self.x) * 2 < self.width + 2 * room and abs(point[1] - self.y) * 2 < self.height + 2 * room
        )


def placed(sizes: Sequence[Point], lengths: Mapping[tuple[int, int], float]) -> list[Box]:
    """Boxes of these widths and heights. `lengths` is how long a line between two of them should be."""
    graph = nx.Graph()
    graph.add_nodes_from(range(len(sizes)))
    graph.add_weighted_edges_from((one, other, length) for (one, other), length in lengths.items() if one != other)
    parts = sorted((sorted(part) for part in nx.connected_components(graph)), key=lambda part: (-len(part), part[0]))
    blocks = [_part(graph.subgraph(part), {place: sizes[place] for place in part}) for part in parts]
    boxes: dict[int, Box] = {}
    for block, (left, top) in zip(blocks, _packed([_extent(block) for block in blocks]), strict=True):
        from_left, from_top = min(box.left for box in block.values()), min(box.top for box in block.values())
        for place, box in block.items():
            boxes[place] = Box(box.x - from_left + left, box.y - from_top + top, box.width, box.height)
    return [boxes[place] for place in range(len(sizes))]


def _part(graph: nx.Graph, sizes: Mapping[int, Point]) -> dict[int, Box]:
    """The boxes of a connected part."""
    points = _relaxed(graph, _rays(graph))
    tried = [
        _pushed_apart(_spread({place: Box(broader * x, y, *sizes[place]) for place, (x, y) in points.items()}, share))
        for broader, share in STRETCHES
    ]
    return min(tried, key=lambda boxes: _crowded(graph, boxes))


def _crowded(graph: nx.Graph, boxes: Mapping[int, Box]) -> float:
    """How many boxes straight lines go through; the room that all take counts a little."""
    through = 0
    for one, other in graph.edges:
        here, there = boxes[one], boxes[other]
        track = [
            (here.x + (there.x - here.x) * step / 16, here.y + (there.y - here.y) * step / 16) for step in range(1, 16)
        ]
        through += sum(
            any(box.holds(point, 2) for point in track) for at, box in boxes.items() if at not in (one, other)
        )
    width, height = _extent(boxes)
    return through + width * height / 250_000


def _rays(graph: nx.Graph) -> dict[int, Point]:
    """A tree around the most central place: each further ring of it, each branch with as much room as it has ends."""
    order = sorted(graph)
    distances = {place: nx.single_source_shortest_path_length(graph, place) for place in order}
    centre = min(order, key=lambda place: (max(distances[place].values()), -graph.degree(place), place))
    tree = nx.bfs_tree(graph, centre, sort_neighbors=sorted)
    ends = dict.fromkeys(order, 1)
    for place in nx.dfs_postorder_nodes(tree, centre):
        ends[place] = max(1, sum(ends[child] for child in tree[place]))
    spans = {centre: (0.0, math.tau)}
    points = {centre: (0.0, 0.0)}
    for place in nx.bfs_tree(tree, centre):
        begin, end = spans[place]
        for child in tree[place]:
            to = begin + (end - begin) * ends[child] / sum(ends[one] for one in tree[place])
            spans[child], middle, begin = (begin, to), (begin + to) / 2, to
            ring = 100.0 * distances[centre][child]
            points[child] = (ring * math.cos(middle), ring * math.sin(middle))
    return points


def _relaxed(graph: nx.Graph, points: dict[int, Point]) -> dict[int, Point]:
    """Moved to where distances fit the lengths of the ways best: stress majorisation (Gansner and others, 2004)."""
    ways = {place: sorted(found.items()) for place, found in nx.all_pairs_dijkstra_path_length(graph)}
    order = sorted(graph)
    pulls = {place: [(to, far, far**-2) for to, far in ways[place] if to != place] for place in order}
    for _ in range(ROUNDS if len(order) > 1 else 0):
        moved = 0.0
        for place in order:
            x, y = points[place]
            total = across = down = 0.0
            for to, far, weight in pulls[place]:
                other_x, other_y = points[to]
                away_x, away_y = x - other_x, y - other_y
                share = far / (math.sqrt(away_x * away_x + away_y * away_y) or 1.0)
                across += weight * (other_x + away_x * share)
                down += weight * (other_y + away_y * share)
                total += weight
            points[place] = (across / total, down / total)
            moved = max(moved, abs(points[place][0] - x), abs(points[place][1] - y))
        if moved < 0.5:
            break
    return points


def _spread(boxes: dict[int, Box], share: float) -> dict[int, Box]:
    """Drawn larger, as long as more than a share of the boxes lie on others."""
    for _ in range(10):
        if _overlapping(boxes) <= share * len(boxes):
            break
        boxes = _scaled(boxes, 1.12)
    return boxes


def _scaled(boxes: Mapping[int, Box], by: float) -> dict[int, Box]:
    return {place: Box(box.x * by, box.y * by, box.width, box.height) for place, box in boxes.items()}


def _overlapping(boxes: Mapping[int, Box]) -> int:
    order = list(boxes.values())
    return sum(one.overlaps(other, APART) for at, one in enumerate(order) for other in order[at + 1 :])


def _pushed_apart(boxes: dict[int, Box]) -> dict[int, Box]:
    """Moved as little as may be, until no box is too near to another."""
    for turn in range(400):
        if turn and turn % 40 == 0:
            boxes = _scaled(boxes, 1.1)
        if not _push(boxes):
            break
    while _overlapping(boxes):
        boxes = _scaled(boxes, 1.1)
    return boxes


def _push(boxes: dict[int, Box]) -> bool:
    """Push each two boxes that are too near apart, the shorter way. Whether there were any."""
    order, pushed = sorted(boxes), False
    for at, one in enumerate(order):
        for other in order[at + 1 :]:
            first, second = boxes[one], boxes[other]
            if not first.overlaps(second, APART):
                continue
            pushed = True
            across = (first.width + second.width) / 2 + APART - abs(first.x - second.x) + 0.5
            down = (first.height + second.height) / 2 + APART - abs(first.y - second.y) + 0.5
            if across < down:
                step = across / 2 if first.x < second.x else -across / 2
                boxes[one] = Box(first.x - step, first.y, first.width, first.height)
                boxes[other] = Box(second.x + step, second.y, second.width, second.height)
            else:
                step = down / 2 if first.y < second.y else -down / 2
                boxes[one] = Box(first.x, first.y - step, first.width, first.height)
                boxes[other] = Box(second.x, second.y + step, second.width, second.height)
    return pushed


def _extent(boxes: Mapping[int, Box]) -> Point:
    found = boxes.values()
    return (
        max(box.left + box.width for box in found) - min(box.left for box in found),
        max(box.top + box.height for box in found) - min(box.top for box in found),
    )


def _packed(extents: Sequence[Point]) -> list[Point]:
    """Where parts begin, in rows that together are about as wide as a page."""
    area = sum((width + 2 * APART) * (height + 2 * APART) for width, height in extents)
    most = max([math.sqrt(1.6 * area), *(width for width, _ in extents)])
    places, left, top, tallest = [], 0.0, 0.0, 0.0
    for width, height in extents:
        if left and left + width > most:
            left, top, tallest = 0.0, top + tallest + 2 * APART, 0.0
        places.append((left, top))
        left, tallest = left + width + 2 * APART, max(tallest, height)
    return places
