"""Where everything in a drawing of a chart is: boxes within boxes, and the arrows between, with their labels.

Each state that holds others is laid out by itself, from the innermost out. An arrow that crosses its border does so at
a port above or below, which the layout around it takes up again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from engine.charts import ROOT, Chart, Kind
from engine.drawing.layering import Item, Key, Line
from engine.drawing.lettering import breadth, shortened
from engine.drawing.placing import Places, Point, arranged
from engine.drawing.routing import Edge, Routes, Step, edges_of, state_key

NAME, SAID = 13.0, 11.0
"""The sizes of the fonts of names and of labels."""

LONGEST, MOST = 32, 8
"""How many letters of a name or a label are shown, and how many labels of one arrow."""

LEADING = 14.0
MARGIN, INSIDE, TOP = 16.0, 14.0, 6.0
HISTORY, DOT = 26.0, 10.0
LOOP = 20.0


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    """What is said beside an arrow: the lines that are shown, in their box, and all of them."""

    box: Box
    lines: tuple[str, ...]
    all_lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """An arrow along its points, which all lead down or all up. A loop has the four points of a Bézier curve."""

    points: tuple[Point, ...]
    down: bool = True
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Layout:
    """All that is to be drawn, from the upper left corner on. A history's box is the square around its circle."""

    boxes: Mapping[str, Box]
    dots: tuple[Point, ...]
    curves: tuple[Curve, ...]
    labels: tuple[Label, ...]
    width: float
    height: float


def layout_of(chart: Chart) -> Layout:
    """The layout of a chart: the same each time."""
    edges = tuple(edges_of(chart))
    return _Composed(chart, edges, Routes(chart, edges)).layout()


class _Composed:
    """The layouts of all levels, and what they come to when put into each other."""

    def __init__(self, chart: Chart, edges: tuple[Edge, ...], routes: Routes) -> None:
        self._chart, self._edges, self._routes = chart, edges, routes
        self._loops = {edge.source[1]: edge for edge in edges if edge.source == edge.target}
        self._steps: dict[str, list[Step]] = {name: [] for name in chart.node}
        for steps in routes.steps.values():
            for step in steps:
                self._steps[step.level].append(step)
        self._size: dict[str, tuple[float, float]] = {}
        self._places: dict[str, Places] = {}
        self._boxes: dict[str, Box] = {}
        self._origin: dict[str, Point] = {}
        self._labels: list[Label] = []
        self._dots: list[Point] = []

    def layout(self) -> Layout:
        for name in reversed(list(self._chart.node)):
            self._size[name] = self._measured(name)
        self._put(ROOT, (MARGIN, MARGIN))
        curves = [Curve(tuple(self._points(number)), self._routes.down[number]) for number in self._routes.steps]
        curves += [self._loop(name) for name in self._loops]
        width, height = self._size[ROOT]
        return Layout(self._boxes, tuple(self._dots), tuple(curves), tuple(self._labels), width, height)

    # sizes, from within

    def _measured(self, name: str) -> tuple[float, float]:
        node = self._chart.node[name]
        if node.kind.is_history:
            return HISTORY, HISTORY
        if name != ROOT and not self._routes.items(name):
            busy = max(sum(end == state_key(name) for end in ends) for ends in self._ends())
            return max(breadth(shortened(name, LONGEST), NAME) + 22.0, 14.0 + 9.0 * busy, 44.0), 30.0
        if node.kind is Kind.PARALLEL:
            self._make_even(name)
        self._places[name] = arranged(self._items(name), [self._line(step) for step in self._steps[name]])
        places, (left, top) = self._places[name], self._inset(name)
        return places.width + 2 * left, places.height + top + (MARGIN if name == ROOT else INSIDE)

    def _make_even(self, name: str) -> None:
        """Make regions that hold states as high as the highest."""
        children = self._chart.children[name]
        highest = max((self._size[child][1] for child in children), default=0.0)
        self._size |= {child: (self._size[child][0], highest) for child in children if child in self._places}

    def _ends(self) -> Iterable[list[Key]]:
        return ([edge.source for edge in self._edges], [edge.target for edge in self._edges])

    def _inset(self, name: str) -> Point:
        return (MARGIN, MARGIN) if name == ROOT else (INSIDE, TOP)

    def _items(self, level: str) -> dict[Key, Item]:
        items: dict[Key, Item] = {}
        if level != ROOT:
            wide = breadth(shortened(level, LONGEST), NAME)
            items["title", level, 0] = Item(0.0, wide, NAME + 5)
        for key in self._routes.items(level):
            items[key] = Item(DOT / 2, DOT / 2, DOT, DOT) if key[0] == "dot" else self._item(key[1])
        for step in self._steps[level]:
            items |= {key: Item(3.0, 3.0, 0.0) for key in (step.upper, step.lower) if key[0] in ("top", "bottom")}
        return items

    def _item(self, name: str) -> Item:
        width, height = self._size[name]
        loop = self._loops.get(name)
        said = _said(loop) if loop is not None else ()
        right = 0.0 if loop is None else LOOP + _breadth(said)
        above, below = self._ports(name, "top"), self._ports(name, "bottom")
        return Item(width / 2, width / 2 + right, max(height, _height(said)), width, above, below)

    def _ports(self, name: str, side: str) -> dict[int, float]:
        """Where arrows cross the upper or lower border of a state, from its middle; not those that end at it."""
        if name not in self._places:
            return {}
        left, middle, places = self._inset(name)[0], self._size[name][0] / 2, self._places[name]
        return {key[2]: left + at - middle for key, at in places.axis.items() if key[0] == side}

    def _line(self, step: Step) -> Line:
        said = _said(self._edges[step.edge]) if step.labelled else ()
        label = Item(3.0, 6.0 + _breadth(said), _height(said)) if said else None
        return Line(step.edge, step.upper, step.lower, label, self._routes.down[step.edge])

    # places, from without

    def _put(self, level: str, origin: Point) -> None:
        places, self._origin[level] = self._places[level], origin
        for key, axis in places.axis.items():
            x, y = origin[0] + axis, origin[1] + places.top[key]
            if key[0] == "state":
                self._put_state(key[1], x, y)
            elif key[0] == "dot":
                self._dots.append((x, y + DOT / 2))
            elif key[0] == "label":
                self._labels.append(_label(self._edges[key[2]], x + 6.0, y))

    def _put_state(self, name: str, axis: float, y: float) -> None:
        width, height = self._size[name]
        room = self._item(name).height
        box = Box(axis - width / 2, y + (room - height) / 2, width, height)
        self._boxes[name] = box
        if name in self._loops and (said := _said(self._loops[name])):
            right = box.x + width + LOOP - 3.0
            self._labels.append(_label(self._loops[name], right, y + (room - _height(said)) / 2))
        if name in self._places:
            left, top = self._inset(name)
            self._put(name, (box.x + left, box.y + top))

    def _points(self, number: int) -> Iterator[Point]:
        """The points of an edge from its source to its target."""
        found: list[Point] = []
        for step in self._routes.steps[number]:
            x, y = self._origin[step.level]
            found += [(x + dx, y + dy) for dx, dy in self._places[step.level].points[number]]
        edge = self._edges[number]
        for end in (edge.source, edge.target):
            box = self._boxes.get(end[1])
            if (
                box is not None
                and end[0] == "state"
                and (end[1] in {step.level for step in self._routes.steps[number]})
            ):
                own = end is edge.source
                found = [(found[0][0], box.y), *found] if own else [*found, (found[-1][0], box.y + box.height)]
        return iter(found if self._routes.down[number] else found[::-1])

    def _loop(self, name: str) -> Curve:
        box = self._boxes[name]
        right, middle, out = box.x + box.width, box.y + box.height / 2, box.x + box.width + LOOP
        return Curve(((right, middle - 7), (out, middle - 9), (out, middle + 9), (right, middle + 7)), loop=True)


def _said(edge: Edge) -> tuple[str, ...]:
    lines = [shortened(label, LONGEST) for label in edge.said]
    return tuple(lines if len(lines) <= MOST else [*lines[: MOST - 1], f"… {len(lines) - MOST + 1} more"])


def _breadth(lines: Iterable[str]) -> float:
    return max((breadth(line, SAID) for line in lines), default=0.0)


def _height(lines: tuple[str, ...]) -> float:
    return LEADING * len(lines)


def _label(edge: Edge, x: float, y: float) -> Label:
    lines = _said(edge)
    return Label(Box(x, y, _breadth(lines), _height(lines)), lines, edge.said)
