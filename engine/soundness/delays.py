"""Delays whose time never comes."""

from collections.abc import Iterator, Mapping

from engine.charts import Chart, Delay, Node, Transition


def outrun(chart: Chart) -> Mapping[str, Transition]:
    """By the event of a delay, the transition that is due before it, always taken then, and ends its wait.

    Of events that only delays send: others may come at any time.
    """
    if chart.calls is None:
        return {}
    found: dict[str, Transition] = {}
    for node in chart.nodes:
        for delay in node.delays:
            if delay.event not in chart.calls and not chart.can_be_raised(delay.event):
                ending = (_ending(chart, other.event) for other in _before(chart, node, delay))
                found.update((delay.event, way) for way in ending if way is not None)
    return found


def _before(chart: Chart, node: Node, delay: Delay) -> Iterator[Delay]:
    """What is due before a delay: of the same state, or of one around it, which was entered no later."""
    place = node.delays.index(delay)
    for at, other in enumerate(node.delays):
        if (other.after, at) < (delay.after, place):
            yield other
    for above in chart.ancestors[node.name]:
        yield from (other for other in chart.node[above].delays if other.after < delay.after)


def _ending(chart: Chart, event: str) -> Transition | None:
    """The only transition that hears an event, if it is always taken then and leaves the state that waited."""
    hearing = [way for way in chart.transitions if way.hears(event)]
    if len(hearing) != 1 or hearing[0].guard is not None or hearing[0].internal or not hearing[0].targets:
        return None
    waiting = [node.name for node in chart.nodes if any(delay.event == event for delay in node.delays)]
    return hearing[0] if waiting == [hearing[0].source] else None
