"""What stands around a chart of the W3C's tests: its variables, its queue from outside, and a clock that is moved.

For these tests only: the engine has transactions, timers and actions instead.
"""

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from engine.charts import Chart, Configuration, Event
from engine.statechart import Moment, begin, send
from tests.engine.scxml.expressions import ExpressionError, evaluated


class Processor(str):
    """The name of SCXML's own event processor, which documents may call by its short one, too."""

    def __eq__(self, other: object) -> bool:
        return other in ("scxml", str(self), f"{self}/")

    __hash__ = str.__hash__


PROCESSOR = Processor("http://www.w3.org/TR/scxml/#SCXMLEventProcessor")
SESSION = "session-1"
LOCATION = f"#_scxml_{SESSION}"
SYSTEM = ("_event", "_name", "_sessionid", "_ioprocessors", "_x")
"""The variables that no document may write."""

MOST = 100
"""How many events from outside a test hears at most."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an event carries beside its name, as `_event` shows it."""

    data: Any = None
    type: str = "internal"
    sendid: str | None = None
    origin: str | None = None
    origintype: str | None = None
    invokeid: str | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """An event as `_event` shows it."""

    name: str
    type: str
    sendid: str | None
    origin: str | None
    origintype: str | None
    invokeid: str | None
    data: Any


class Failure(Exception):
    """What makes an executable element fail: the name of its error event, and of the message that was not sent."""

    def __init__(self, name: str, sendid: str | None = None) -> None:
        super().__init__(name)
        self.event = Event(name, Envelope(type="platform", sendid=sendid))


@dataclass
class Machine:
    """The context of a test's chart."""

    name: str | None
    variables: dict[str, Any] = field(default_factory=dict)
    moment: Moment | None = None
    outside: deque[Event] = field(default_factory=deque)
    delayed: list[tuple[float, int, str | None, Event]] = field(default_factory=list)
    now: float = 0.0
    _numbers: "count[int]" = field(default_factory=count)

    def evaluate(self, text: str, moment: Moment | None) -> Any:
        """The value of an expression. Raises Failure."""
        self.moment = moment
        try:
            return evaluated(text, self)
        except ExpressionError:
            raise Failure("error.execution") from None

    def value_of(self, name: str) -> Any:
        """A variable. Raises KeyError."""
        if name == "_event":
            return self._event()
        system = {
            "_name": self.name,
            "_sessionid": SESSION,
            "_ioprocessors": {PROCESSOR: {"location": LOCATION}, "scxml": {"location": LOCATION}},
        }
        return system[name] if name in system else self.variables[name]

    def is_active(self, state: str) -> bool:
        """Whether a state is active."""
        return self.moment is not None and state in self.moment.active

    def _event(self) -> Seen | None:
        event = None if self.moment is None else self.moment.event
        if event is None:
            return None
        sent = event.data if isinstance(event.data, Envelope) else Envelope(event.data, type="platform")
        return Seen(event.name, sent.type, sent.sendid, sent.origin, sent.origintype, sent.invokeid, sent.data)

    def assign(self, location: str, value: Any) -> None:
        """Write a declared variable. Raises Failure."""
        if location in SYSTEM or location not in self.variables:
            raise Failure("error.execution")
        self.variables[location] = value

    def fresh_id(self) -> str:
        """The name of a message that the document did not name."""
        return f"send-{next(self._numbers)}"

    def post(self, event: Event, delay: float, sendid: str | None) -> None:
        """Send an event to this very session, now or after seconds."""
        if delay:
            heapq.heappush(self.delayed, (self.now + delay, next(self._numbers), sendid, event))
        else:
            self.outside.append(event)

    def cancel(self, sendid: str) -> None:
        """Take back what is still delayed of that name."""
        self.delayed = [entry for entry in self.delayed if entry[2] != sendid]
        heapq.heapify(self.delayed)

    def next_event(self) -> Event | None:
        """The next event from outside; the clock moves on to it."""
        if not self.outside and self.delayed:
            self.now, _, _, event = heapq.heappop(self.delayed)
            return event
        return self.outside.popleft() if self.outside else None


def run(chart: Chart, machine: Machine, raised: tuple[Event, ...]) -> Configuration:
    """Where a chart ends: in a final state, or where nothing is left to hear."""
    configuration = begin(chart, machine, raised=raised).configuration
    for _ in range(MOST):
        event = None if chart.is_final(configuration.active) else machine.next_event()
        if event is None:
            return configuration
        configuration = send(chart, configuration, event, machine).configuration
    raise AssertionError(f"{MOST} events did not end it: {chart.atomic(configuration.active)}")
