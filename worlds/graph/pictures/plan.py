"""What a picture of a part of a graph has, and where: its boxes with names, its lines with labels, what is beneath."""

import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from engine import breadth, shortened, shown
from worlds.graph.pictures.layout import Box, Point, placed
from worlds.graph.pictures.lines import Line, labels_of, line_of

NAME, SMALL, LEADING = 13.0, 11.0, 16.0
"""Sizes of letters, and from one line to the next, in pixels."""
LONGEST, ALONE, FULL = 24, 28, 1_000
"""Characters of a name in a line of two, or alone, and those that are told by pointing at it."""
STYLED = 8
"""Types of relations that have a line of their own kind."""
LABELLED = 90
"""Lines, up to which they have labels."""
EDGE = 24.0
MARKS = 2
"""Marks on one letter that are shown: more would cover what is around."""


@dataclass(frozen=True, slots=True)
class Node:
    """An entity of a picture; `type` is None of a name that relations use and that is no entity."""

    name: str
    type: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """What a picture shows: nodes, relations between them by place, which it is about, and what it leaves out."""

    nodes: Sequence[Node]
    relations: Sequence[tuple[int, str, int]]
    asked: int | None = None
    said: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Arrow:
    """All relations from one node to another."""

    source: int
    target: int
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything is: a box for each node, a line for each arrow, a box for each label that found room."""

    part: Part
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]
    lines: Sequence[Line]
    labels: dict[int, Box]
    kinds: dict[str, int]
    """Types of relations, the most frequent first, with the kind of line they have."""
    typed: bool
    """Whether boxes tell types, since there are several."""
    width: float
    height: float
    caption: Sequence[str]


def plan_of(part: Part) -> Plan:
    """Everything in its place."""
    arrows = _arrows(part)
    kinds = {type: min(at, STYLED - 1) for at, (type, _) in enumerate(_frequent(part))}
    typed = len({node.type for node in part.nodes}) > 1
    texts = (
        {at: label_of(arrow) for at, arrow in enumerate(arrows)} if 1 < len(kinds) and len(arrows) <= LABELLED else {}
    )
    sizes = {at: (breadth(text, SMALL) + 6, SMALL + 5) for at, text in texts.items()}
    boxes = placed([_size(node, typed) for node in part.nodes], _lengths(part, arrows, sizes, typed))
    ways = {(arrow.source, arrow.target) for arrow in arrows}
    lines = [
        line_of(arrow.source, arrow.target, boxes, returned=(arrow.target, arrow.source) in ways) for arrow in arrows
    ]
    labels = labels_of(lines, sizes, boxes)
    caption = _caption(part, kinds, typed, len(arrows) - len(labels) if len(kinds) > 1 else 0)
    return _framed(Plan(part, boxes, arrows, lines, labels, kinds, typed, 0, 0, caption))


def label_of(arrow: Arrow) -> str:
    """What is written at an arrow."""
    told = ", ".join(type[: 2 * LONGEST] for type in arrow.types[:LONGEST])
    if len(arrow.types) == 1 or len(told) <= LONGEST:
        return calm(shortened(told, LONGEST))
    more = f" +{len(arrow.types) - 1}"
    return calm(shortened(arrow.types[0][: 2 * LONGEST], LONGEST - len(more))) + more


def calm(text: str) -> str:
    """Text without more marks on a letter than can be shown within a line."""
    kept, marks = [], 0
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks <= MARKS:
            kept.append(letter)
    return "".join(kept)


def name_of(name: str) -> str:
    """A name on one line."""
    return calm(shortened(calm(name[: 8 * LONGEST]), 2 * LONGEST)) or "(no name)"


def lines_of(name: str) -> list[str]:
    """What is written of a name: two lines at most, and one where it is hardly too long for that."""
    text = " ".join(shown(calm(name[: 8 * LONGEST])).split())
    if len(text) <= ALONE:
        return [text or "(no name)"]
    first, *rest = textwrap.wrap(text, LONGEST)
    return [first, shortened(" ".join(rest), LONGEST)]


def type_of(node: Node) -> str:
    return "(no entity)" if node.type is None else calm(shortened(node.type[: 2 * LONGEST], LONGEST))


def _size(node: Node, typed: bool) -> Point:
    lines = lines_of(node.name)
    broad = max(*(breadth(line, NAME) for line in lines), breadth(type_of(node), SMALL) if typed else 0.0)
    return max(broad + 18, 40.0), 12 + LEADING * len(lines) + 14 * typed


def _arrows(part: Part) -> list[Arrow]:
    found: dict[tuple[int, int], dict[str, None]] = {}
    for source, type, target in part.relations:
        found.setdefault((source, target), {})[type] = None
    return [Arrow(source, target, tuple(types)) for (source, target), types in found.items()]


def _frequent(part: Part) -> list[tuple[str, int]]:
    counted = Counter(type for _, type, _ in part.relations)
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))


def _lengths(part: Part, arrows: Sequence[Arrow], sizes: dict[int, Point], typed: bool) -> dict[tuple[int, int], float]:
    """How long lines should be: longer where both ends and a label are broad."""
    found: dict[tuple[int, int], float] = {}
    broad = [_size(node, typed)[0] for node in part.nodes]
    for at, arrow in enumerate(arrows):
        pair = (min(arrow.source, arrow.target), max(arrow.source, arrow.target))
        room = 60 + 0.3 * (broad[arrow.source] + broad[arrow.target]) + 0.85 * sizes.get(at, (0.0, 0.0))[0]
        found[pair] = max(found.get(pair, 0.0), room)
    return found


def _caption(part: Part, kinds: dict[str, int], typed: bool, unlabelled: int) -> list[str]:
    said = [f"{_counted(len(part.nodes), 'name', 'names')}, {_counted(len(part.relations), 'relation', 'relations')}"]
    if part.nodes and not typed:
        said.append(f"all: {type_of(part.nodes[0])}")
    if len(kinds) == 1:
        said.append(f"every line: {calm(shortened(next(iter(kinds))[: 2 * LONGEST], LONGEST))}")
    if unlabelled:
        said.append(
            f"{_counted(unlabelled, 'line is', 'lines are')} without a label: see the kind of line, or point at it"
        )
    return [*said, *part.said]


def _counted(count: int, one: str, more: str) -> str:
    return f"{count:,} {one if count == 1 else more}"


def _framed(plan: Plan) -> Plan:
    """Moved so that nothing is outside of the drawing, with room for what is written beneath."""
    corners = [(box.left, box.top) for box in (*plan.boxes, *plan.labels.values())]
    corners += [(box.left + box.width, box.top + box.height) for box in (*plan.boxes, *plan.labels.values())]
    corners += [line.at(step / 12) for line in plan.lines for step in range(13)]
    left, top = min((x for x, _ in corners), default=0.0), min((y for _, y in corners), default=0.0)
    across, down = EDGE - left, EDGE - top
    right = max((x for x, _ in corners), default=0.0) + across
    bottom = max((y for _, y in corners), default=0.0) + down
    beneath = [*plan.caption, *(legend_of(plan))]
    width = max(right, EDGE + max(breadth(text, SMALL + 1) + 60 for text in beneath)) + EDGE

    def moved(box: Box) -> Box:
        return Box(box.x + across, box.y + down, box.width, box.height)

    return Plan(
        plan.part,
        [moved(box) for box in plan.boxes],
        plan.arrows,
        [Line(tuple((x + across, y + down) for x, y in line.points)) for line in plan.lines],
        {at: moved(box) for at, box in plan.labels.items()},
        plan.kinds,
        plan.typed,
        width,
        bottom + 18 * len(beneath) + EDGE + 24,
        plan.caption,
    )


def legend_of(plan: Plan) -> list[str]:
    """What is written beside each kind of line."""
    if len(plan.kinds) < 2:
        return []
    names = [calm(shortened(type[: 2 * LONGEST], LONGEST)) for type in plan.kinds]
    rest = len(names) - STYLED
    return names if rest <= 0 else [*names[: STYLED - 1], f"one of {rest + 1:,} other types"]
