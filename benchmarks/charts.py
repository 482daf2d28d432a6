"""What a step of a state machine costs, without a session around it: the part of an action that is the chart's."""

import statistics
import time
from collections.abc import Iterator
from enum import StrEnum

from engine import Compound, Parallel, World, action, transition
from engine.charts import Chart, Configuration, Event
from engine.statechart import begin, send

STEPS = 2_000
"""How many steps a round takes."""


class Door(StrEnum):
    OPEN = "open"
    SHUT = "shut"


class Order(StrEnum):
    PLACED = "placed"
    PAYMENT = "payment"
    DUE = "due"
    PAID = "paid"
    FULFILMENT = "fulfilment"
    PACKING = "packing"
    PACKED = "packed"


class Guarded(World, states=Door, start=Door.OPEN, rows=[]):
    """Two states and a transition between them that a guard lets pass."""

    @action(source=Door.SHUT, target=Door.OPEN)
    def push(self) -> None: ...

    @transition(source=Door.OPEN, target=Door.SHUT, on="pull", guards=[lambda door: None])
    def pull(self) -> None: ...


class Placed(
    World,
    states=[
        Parallel(
            Order.PLACED,
            Compound(Order.PAYMENT, Order.DUE, Order.PAID),
            Compound(Order.FULFILMENT, Order.PACKING, Order.PACKED),
        )
    ],
    rows=[],
):
    """Two regions that both hear one action."""

    @action(source=[Order.DUE, Order.PACKING], target=[Order.PAID, Order.PACKED])
    def finish(self) -> None: ...

    @action(source=[Order.PAID, Order.PACKED], target=[Order.DUE, Order.PACKING])
    def begin(self) -> None: ...


class Standing:
    """The context of a chart that is asked by itself: it gives its guards nothing to look at."""

    def at(self, moment: object, *, reading: bool = False, entering: str | None = None) -> "Standing":
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *raised: object) -> None: ...


def measured(rounds: int) -> Iterator[str]:
    """What a step costs, in lines for people."""
    for name, world, event in (("guarded, flat", Guarded, "pull"), ("two regions", Placed, "finish")):
        chart = world.definition.chart
        configuration = begin(chart).configuration
        found = [_microseconds(chart, configuration, Event(event)) for _ in range(rounds)]
        yield f"{name}: {statistics.median(found):.1f} µs ({min(found):.1f} to {max(found):.1f})"


def _microseconds(chart: Chart, configuration: Configuration, event: Event) -> float:
    context, started = Standing(), time.perf_counter()
    for _ in range(STEPS):
        send(chart, configuration, event, context)
    return (time.perf_counter() - started) / STEPS * 1e6
