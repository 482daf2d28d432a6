"""The arrows of a chart, as every picture of it shows them, and which of its states are marked."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

from engine.charts import ROOT, Chart, Delay, Node, Transition

_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60))


@dataclass(frozen=True, slots=True)
class Arrow:
    """One way between two nodes, and what is said beside it."""

    source: str
    target: str
    label: str


def arrows(chart: Chart) -> tuple[Arrow, ...]:
    """Every arrow: by source as the document has them, those to one target together.

    A transition from the root is one from each state at the top that is not final. One without targets leads back to
    its source, and one with several has an arrow to each. From a history an arrow leads to its default.
    """
    found: list[Arrow] = []
    for node in chart.nodes:
        by_target: dict[str, dict[Arrow, None]] = {}
        for arrow in _leaving(chart, node):
            by_target.setdefault(arrow.target, {})[arrow] = None
        found += (arrow for same in by_target.values() for arrow in same)
    return tuple(found)


def innermost(chart: Chart, active: Collection[str]) -> list[str]:
    """Those of the active states that hold no other of them, in document order."""
    holding = {above for state in active for above in chart.ancestors[state]}
    return chart.in_order(state for state in active if state not in holding)


def around(chart: Chart, active: Collection[str]) -> list[str]:
    """The states that active ones are in, in document order, whether they are named as active or not."""
    return chart.in_order({above for state in active for above in chart.ancestors[state]} - {ROOT})


def _leaving(chart: Chart, node: Node) -> Iterator[Arrow]:
    if node.kind.is_history:
        yield from (Arrow(node.name, target, "") for target in chart.initial_of(node.name))
        return
    ways = chart.leaving[node.name]
    if node.parent == ROOT and node.name not in chart.finals:
        ways = tuple(way for way in chart.transitions if way.source in (ROOT, node.name))
    for way in ways:
        for target in dict.fromkeys((*way.targets, *way.choices)) or (node.name,):
            yield Arrow(node.name, target, _label(chart, way))


def _label(chart: Chart, way: Transition) -> str:
    delay = next((delay for delay in _delays(chart, way.source) if delay.event in way.events), None)
    parts = [way.label or ", ".join(way.events)]
    parts += [] if way.events else ["at once"]
    parts += [] if delay is None else [f"after {_span(delay.after)}"]
    parts += [f"on {', '.join(way.events)}"] if delay is None and _is_caused(chart, way) else []
    parts += [] if way.guard is None and not way.conditions else ["[guarded]"]
    return " ".join(filter(None, parts))


def _is_caused(chart: Chart, way: Transition) -> bool:
    """Whether it has a name of its own beside the event that it hears: an action is called as its event is."""
    is_action = way.label in way.events and (chart.calls is None or way.label in chart.calls)
    return bool(way.label and way.events) and not is_action


def _delays(chart: Chart, source: str) -> Iterator[Delay]:
    """The delays that may be running where a transition from `source` is possible, its own before others."""
    for name in (source, *chart.ancestors[source], *chart.in_order(chart.descendants[source])):
        yield from chart.node[name].delays


def _span(span: timedelta) -> str:
    left, parts = span.total_seconds(), []
    for unit, seconds in _UNITS:
        whole, left = divmod(left, seconds)
        parts += [f"{whole:.0f} {unit}"] if whole else []
    parts += [f"{left:g} s"] if left or not parts else []
    return " ".join(parts)
