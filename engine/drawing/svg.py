"""A chart as an SVG drawing: one document that needs nothing else, for light and dark surroundings."""

from collections.abc import Collection, Iterator, Mapping
from html import escape

from engine.charts import Chart, Kind
from engine.drawing.arrows import around, innermost
from engine.drawing.layouts import INSIDE, LEADING, LONGEST, NAME, SAID, TOP, Box, Curve, Label, Layout, layout_of
from engine.drawing.lettering import shortened, shown
from engine.drawing.placing import Point

LIGHT = {
    ".paper": "fill:#fff",
    ".state": "fill:#f7f9fc;stroke:#5b6b82",
    ".holder": "fill:#5b6b82;fill-opacity:.05;stroke:#8a97aa",
    ".region": "stroke-dasharray:5 4",
    ".within": "fill:#2b6cb0;fill-opacity:.09;stroke:#2b6cb0",
    ".current": "fill:#2b6cb0;stroke:#1d4e89",
    ".inner": "fill:none",
    ".ink": "fill:#1b2533",
    ".title": "font-weight:600",
    ".light": "fill:#fff",
    ".line": "fill:none;stroke:#5b6b82",
    ".head,.dot": "fill:#5b6b82",
    ".said": "fill:#3d4a5c",
}
DARK = {
    ".paper": "fill:#12181f",
    ".state": "fill:#1d2733;stroke:#8fa1b8",
    ".holder": "fill:#8fa1b8;fill-opacity:.06;stroke:#66778d",
    ".within": "fill:#63b3ed;fill-opacity:.12;stroke:#63b3ed",
    ".current": "fill:#63b3ed;stroke:#bee3f8",
    ".inner": "fill:none",
    ".ink": "fill:#e6edf5",
    ".light": "fill:#0b1624",
    ".line": "stroke:#8fa1b8",
    ".head,.dot": "fill:#8fa1b8",
    ".said": "fill:#c3cfdd",
}


def svg(chart: Chart, active: Collection[str] = (), *, title: str = "") -> str:
    """The chart as an SVG document. The innermost active states are filled, and lightly what they are in."""
    layout = layout_of(chart)
    width, height = _number(layout.width), _number(layout.height)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="statechart" role="img" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" font-family="system-ui, sans-serif">',
            f"<title>{_text(title or 'State chart')}</title>",
            f"<desc>{_text(_described(chart, active))}</desc>",
            f"<style>{_rules(LIGHT)}@media (prefers-color-scheme:dark){{{_rules(DARK)}}}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
            *_drawn(chart, layout, active),
            "</svg>",
            "",
        ]
    )


def _rules(styles: Mapping[str, str]) -> str:
    """Rules that hold in this drawing only, also where it stands within a page."""
    return "".join(
        f"{','.join(f'.statechart {kind}' for kind in kinds.split(','))}{{{style}}}" for kinds, style in styles.items()
    )


def _described(chart: Chart, active: Collection[str]) -> str:
    now = ", ".join(map(shown, innermost(chart, active)))
    states = f"States: {', '.join(map(shown, chart.states))}."
    return f"{states} Active: {now}." if now else states


def _drawn(chart: Chart, layout: Layout, active: Collection[str]) -> Iterator[str]:
    current = [name for name in innermost(chart, active) if not chart.children[name]]
    within = {*around(chart, active), *active}
    for name in sorted(layout.boxes, key=chart.order.__getitem__):
        mark = "current" if name in current else "within" if name in within else ""
        yield from _state(chart, name, layout.boxes[name], mark)
    yield from (f'<circle class="dot" cx="{_number(x)}" cy="{_number(y)}" r="5"/>' for x, y in layout.dots)
    for curve in layout.curves:
        yield from _arrow(curve)
    yield from map(_label, layout.labels)


def _state(chart: Chart, name: str, box: Box, mark: str) -> Iterator[str]:
    node = chart.node[name]
    holds = bool(chart.children[name])
    yield f"<g><title>{_text(name)}</title>"
    if node.kind.is_history:
        x, y = box.x + box.width / 2, box.y + box.height / 2
        yield f'<circle class="state" cx="{_number(x)}" cy="{_number(y)}" r="{_number(box.width / 2)}"/>'
        yield _written("H*" if node.kind is Kind.DEEP else "H", x, y + 4, SAID, "ink", "middle")
    else:
        region = chart.node[node.parent].kind is Kind.PARALLEL
        yield _rectangle(box, " ".join(filter(None, ("holder" if holds else "state", "region" * region, mark))))
        if node.kind is Kind.FINAL:
            inner = Box(box.x + 3, box.y + 3, box.width - 6, box.height - 6)
            yield _rectangle(inner, f"state {mark} inner".replace("  ", " "))
        yield _name(name, box, holds, "light" if mark == "current" else "ink")
    yield "</g>"


def _name(name: str, box: Box, holds: bool, ink: str) -> str:
    text = shortened(name, LONGEST)
    if not holds:
        return _written(text, box.x + box.width / 2, box.y + box.height / 2 + 4.5, NAME, ink, "middle")
    return _written(text, box.x + INSIDE, box.y + TOP + NAME, NAME, f"{ink} title", "start")


def _rectangle(box: Box, kinds: str) -> str:
    place = f'x="{_number(box.x)}" y="{_number(box.y)}" width="{_number(box.width)}" height="{_number(box.height)}"'
    return f'<rect class="{kinds}" rx="6" {place}/>'


def _written(text: str, x: float, y: float, size: float, kinds: str, anchor: str) -> str:
    place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" text-anchor="{anchor}"'
    return f'<text class="{kinds}" {place}>{_text(text)}</text>'


def _arrow(curve: Curve) -> Iterator[str]:
    yield f'<path class="line" d="{_looped(curve.points) if curve.loop else _curved(curve.points)}"/>'
    x, y = curve.points[-1]
    if curve.loop:
        corners = [(x, y), (x + 8, y - 3), (x + 8, y + 5)]
    else:
        back = -8 if curve.down else 8
        corners = [(x, y), (x - 4, y + back), (x + 4, y + back)]
    yield f'<polygon class="head" points="{" ".join(map(_point, corners))}"/>'


def _looped(points: tuple[Point, ...]) -> str:
    return f"M{_point(points[0])} C{' '.join(map(_point, points[1:]))}"


def _curved(points: tuple[Point, ...]) -> str:
    parts, (x, y) = [f"M{_point(points[0])}"], points[0]
    for to in points[1:]:
        if abs(to[0] - x) < 0.05:
            parts.append(f"L{_point(to)}")
        else:
            middle = (y + to[1]) / 2
            parts.append(f"C{_point((x, middle))} {_point((to[0], middle))} {_point(to)}")
        x, y = to
    return " ".join(parts)


def _label(label: Label) -> str:
    x, y = label.box.x, label.box.y + LEADING - 3.5
    lines = "".join(
        f'<tspan x="{_number(x)}" y="{_number(y + LEADING * place)}">{_text(line)}</tspan>'
        for place, line in enumerate(label.lines)
    )
    full = _text("; ".join(label.all_lines))
    return f'<text class="said" font-size="{_number(SAID)}"><title>{full}</title>{lines}</text>'


def _text(text: str) -> str:
    return escape(shown(text), quote=False)


def _point(point: Point) -> str:
    return f"{_number(point[0])},{_number(point[1])}"


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
