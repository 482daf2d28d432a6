"""A part of a graph as an SVG drawing: one document that needs nothing else, for light and dark surroundings."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import chain

from engine import shortened, shown
from worlds.graph.pictures.layout import Point
from worlds.graph.pictures.plan import (
    EDGE,
    FULL,
    LEADING,
    NAME,
    SMALL,
    Part,
    Plan,
    label_of,
    legend_of,
    lines_of,
    plan_of,
    type_of,
)

INKS = ("#2f7fc1", "#c8503c", "#2b9268", "#a8760f", "#8a63d2", "#1687a0", "#bd4f96", "#6d7b8f")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "14 5", "1 5", "4 2 1 2 1 2", "20 4")
LIGHT = (
    (".paper", "fill:#fff"),
    (".box", "fill:#f7f9fc;stroke:#5b6b82"),
    (".asked", "fill:#dcebfa;stroke:#2b6cb0;stroke-width:2"),
    (".ink", "fill:#1b2533"),
    (".faint", "fill:#4d5b6e"),
)
DARK = (
    (".paper", "fill:#12181f"),
    (".box", "fill:#1d2733;stroke:#8fa1b8"),
    (".asked", "fill:#1c3a57;stroke:#63b3ed;stroke-width:2"),
    (".ink", "fill:#e6edf5"),
    (".faint", "fill:#b4c1d0"),
)
ALWAYS = (
    (" text", "unicode-bidi:plaintext"),
    (".none", "stroke-dasharray:4 3"),
    (".line", "fill:none;stroke-width:1.4"),
    *(
        (f".t{at}", f"stroke:{ink};stroke-dasharray:{dash or 'none'}")
        for at, (ink, dash) in enumerate(zip(INKS, DASHES, strict=True))
    ),
    *((f".h{at}", f"fill:{ink}") for at, ink in enumerate(INKS)),
)


def svg(part: Part, title: str) -> str:
    """A part of a graph as an SVG document."""
    plan = plan_of(part)
    width, height = _number(plan.width), _number(plan.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" role="img" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" font-family="system-ui, sans-serif">',
            f"<title>{_text(title)}</title>",
            f"<desc>{escape(_described(part), quote=False)}</desc>",
            f"<style>{_rules((*LIGHT, *ALWAYS))}@media (prefers-color-scheme:dark){{{_rules(DARK)}}}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
            *chain.from_iterable(_arrow(plan, at) for at in range(len(plan.arrows))),
            *chain.from_iterable(_box(plan, at) for at in range(len(plan.boxes))),
            *chain.from_iterable(_label(plan, at) for at in sorted(plan.labels)),
            *_legend(plan),
            "</svg>",
            "",
        ]
    )


def _described(part: Part) -> str:
    """The drawing in words, for those who do not see it."""
    names = [shortened(node.name[:200], 80) for node in part.nodes]
    told = [f"{names[source]} {shortened(type[:200], 80)} {names[target]}" for source, type, target in part.relations]
    more = [f"and {len(told) - 200:,} more relations"] if len(told) > 200 else []
    return f"Names: {', '.join(names) or 'none'}. Relations: {'; '.join([*told[:200], *more]) or 'none'}."


def _arrow(plan: Plan, at: int) -> Iterator[str]:
    arrow, points = plan.arrows[at], plan.lines[at].points
    kind = min(plan.kinds[type] for type in arrow.types)
    names = [plan.part.nodes[end].name[:FULL] for end in (arrow.source, arrow.target)]
    curve = "C" if len(points) == 4 else "Q"
    path = f"M{_point(points[0])} {curve}{' '.join(map(_point, points[1:]))}"
    types = ", ".join(type[:FULL] for type in arrow.types[:50])
    yield f"<g><title>{_text(f'{names[0]} — {types} → {names[1]}')}</title>"
    yield f'<path class="line t{kind}" d="{path}"/>'
    yield f'<polygon class="h{kind}" points="{" ".join(map(_point, _head(points)))}"/></g>'


def _head(points: Sequence[Point]) -> list[Point]:
    """The point of an arrow, in the direction its line comes in."""
    (x, y), (from_x, from_y) = points[-1], points[-2]
    long = ((x - from_x) ** 2 + (y - from_y) ** 2) ** 0.5 or 1.0
    along, aside = (
        ((x - from_x) / long * 8, (y - from_y) / long * 8),
        ((from_y - y) / long * 3.6, (x - from_x) / long * 3.6),
    )
    back = (x - along[0], y - along[1])
    return [(x, y), (back[0] + aside[0], back[1] + aside[1]), (back[0] - aside[0], back[1] - aside[1])]


def _box(plan: Plan, at: int) -> Iterator[str]:
    node, box = plan.part.nodes[at], plan.boxes[at]
    kinds = f"box{' none' * (node.type is None)}{' asked' * (at == plan.part.asked)}"
    place = (
        f'x="{_number(box.left)}" y="{_number(box.top)}" width="{_number(box.width)}" height="{_number(box.height)}"'
    )
    type = "no entity" if node.type is None else _full(node.type)
    yield f"<g><title>{_text(_full(node.name))} ({_text(type)})</title>"
    yield f'<rect class="{kinds}" rx="7" {place}/>'
    baseline = box.top + 6 + NAME - 1.5
    for number, line in enumerate(lines_of(node.name)):
        yield _written(line, box.x, baseline + LEADING * number, NAME, "ink")
    if plan.typed:
        yield _written(type_of(node), box.x, box.top + box.height - 8, SMALL, "faint")
    yield "</g>"


def _label(plan: Plan, at: int) -> Iterator[str]:
    box, arrow = plan.labels[at], plan.arrows[at]
    place = (
        f'x="{_number(box.left)}" y="{_number(box.top)}" width="{_number(box.width)}" height="{_number(box.height)}"'
    )
    yield f"<g><title>{_text(', '.join(type[:FULL] for type in arrow.types[:50]))}</title>"
    yield f'<rect class="paper" rx="3" {place}/>'
    yield _written(label_of(arrow), box.x, box.y + 4, SMALL, "faint") + "</g>"


def _legend(plan: Plan) -> Iterator[str]:
    kinds = legend_of(plan)
    top = plan.height - 18 * (len(kinds) + len(plan.caption)) - 8
    for at, text in enumerate(kinds):
        y = top + 18 * at
        yield f'<path class="line t{at}" d="M{_number(EDGE)},{_number(y - 4)} h36"/>'
        yield _written(text, EDGE + 44, y, SMALL + 1, "ink", "start")
    for at, text in enumerate(plan.caption, len(kinds)):
        yield _written(text, EDGE, top + 18 * at, SMALL + 1, "faint", "start")


def _written(text: str, x: float, y: float, size: float, kind: str, anchor: str = "middle") -> str:
    place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" text-anchor="{anchor}"'
    return f'<text class="{kind}" {place}>{_text(text)}</text>'


def _full(text: str) -> str:
    """A name as it is told by pointing at it: all of it, unless it is very long."""
    return text if len(text) <= FULL else f"{text[:FULL]}… ({len(text):,} characters)"


def _rules(styles: Sequence[tuple[str, str]]) -> str:
    """Rules that hold in this drawing only, also where it stands within a page."""
    return "".join(
        f"{','.join(f'.graph {kind.strip()}' for kind in kinds.split(','))}{{{style}}}" for kinds, style in styles
    )


def _text(text: str) -> str:
    return escape(shown(text), quote=False)


def _point(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
