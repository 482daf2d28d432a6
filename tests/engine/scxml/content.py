"""The executable content of SCXML documents as functions that the core carries out: for the W3C's tests only.

An element that fails ends its block and hands an error event back to the core, as the standard has it. In the engine an
exception aborts the whole transaction instead.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from xml.etree.ElementTree import Element

from engine.charts import Condition, Content, Event
from engine.statechart import Moment
from tests.engine.scxml.expressions import ExpressionError, assignments, literal
from tests.engine.scxml.running import LOCATION, PROCESSOR, Envelope, Failure, Machine

Execute = Callable[[Machine, Any], None]
"""What one element does, in a step or, with None for it, before the first."""
_DELAY = re.compile(r"(\d*\.?\d+)(m?s)")


def block(elements: Iterable[Element]) -> Content:
    """Elements that are carried out in order; the first that fails is the last, and hands back why."""
    steps = [_BUILDERS[element.tag](element) for element in elements]

    def carry_out(machine: Machine, moment: Moment) -> None:
        try:
            for step in steps:
                step(machine, moment)
        except Failure as failure:
            moment.raise_event(failure.event)

    return carry_out


def condition(text: str) -> Condition:
    """A guard; what cannot be evaluated is false, and hands back an error."""

    def holds(machine: Machine, moment: Moment) -> bool:
        try:
            return bool(machine.evaluate(text, moment))
        except Failure as failure:
            moment.raise_event(failure.event)
            return False

    return holds


def done_data(element: Element) -> Callable[[Machine, Moment], Any]:
    """The data of a final state's event: what fails is left out, and hands back an error."""

    def data(machine: Machine, moment: Moment) -> Any:
        try:
            return _payload(element, machine, moment)
        except Failure as failure:
            moment.raise_event(failure.event)
            return None

    return data


def _payload(element: Element, machine: Machine, moment: Moment) -> Any:
    """The content or the named parts of a message."""
    content = element.find("content")
    if content is not None:
        expression = content.get("expr")
        return literal(content.text or "") if expression is None else machine.evaluate(expression, moment)
    names = element.get("namelist", "").split()
    parts = {name: machine.evaluate(name, moment) for name in names} | dict(_parameters(element, machine, moment))
    return parts or None


def _parameters(element: Element, machine: Machine, moment: Moment) -> Iterator[tuple[str, Any]]:
    """The parameters that can be evaluated; one that cannot be is left out, and hands back an error."""
    for part in element.findall("param"):
        try:
            yield part.get("name", ""), machine.evaluate(part.get("expr") or part.get("location") or "", moment)
        except Failure as failure:
            moment.raise_event(failure.event)


def _raise(element: Element) -> Execute:
    event = Event(element.get("event", ""), Envelope())
    return lambda machine, moment: moment.raise_event(event)


def _log(element: Element) -> Execute:
    text = element.get("expr", "None")
    return lambda machine, moment: machine.evaluate(text, moment)


def _assign(element: Element) -> Execute:
    location, text = element.get("location", "").strip(), element.get("expr")

    def assign(machine: Machine, moment: Moment) -> None:
        value = literal(element.text or "") if text is None else machine.evaluate(text, moment)
        machine.assign(location, value)

    return assign


def script(element: Element) -> Execute:
    """A script, which may assign what is not declared, too."""

    def run(machine: Machine, moment: Moment | None) -> None:
        try:
            for name, text in assignments(element.text or ""):
                machine.variables[name] = machine.evaluate(text, moment)
        except ExpressionError:
            raise Failure("error.execution") from None

    return run


def _if(element: Element) -> Execute:
    branches: list[tuple[str | None, list[Execute]]] = [(element.get("cond"), [])]
    for part in element:
        if part.tag in ("elseif", "else"):
            branches.append((part.get("cond"), []))
        else:
            branches[-1][1].append(_BUILDERS[part.tag](part))
    tested = [(None if text is None else condition(text), steps) for text, steps in branches]

    def choose(machine: Machine, moment: Moment) -> None:
        for holds, steps in tested:
            if holds is None or holds(machine, moment):
                for step in steps:
                    step(machine, moment)
                return

    return choose


def _foreach(element: Element) -> Execute:
    array, item, index = element.get("array", ""), element.get("item", ""), element.get("index")
    steps = [_BUILDERS[part.tag](part) for part in element]

    def loop(machine: Machine, moment: Moment) -> None:
        found = machine.evaluate(array, moment)
        if not isinstance(found, list) or not item.isidentifier():
            raise Failure("error.execution")
        for place, value in enumerate(list(found)):
            machine.variables[item] = value
            if index is not None:
                machine.variables[index] = place
            for step in steps:
                step(machine, moment)

    return loop


def _send(element: Element) -> Execute:
    def send(machine: Machine, moment: Moment) -> None:
        def given(name: str) -> Any:
            text = element.get(f"{name}expr")
            return element.get(name) if text is None else machine.evaluate(text, moment)

        sendid = element.get("id")
        if (location := element.get("idlocation")) is not None:
            sendid = machine.fresh_id()
            machine.assign(location, sendid)
        target, kind = given("target"), given("type") or PROCESSOR
        if PROCESSOR != kind or not (target is None or target.startswith("#_")):
            raise Failure("error.execution", sendid)
        if target not in (None, LOCATION, "#_internal"):
            raise Failure("error.communication", sendid)
        name, data, delay = given("event"), _payload(element, machine, moment), _seconds(given("delay"))
        if target == "#_internal":
            moment.raise_event(Event(name, Envelope(data, sendid=sendid)))
        else:
            outside = Envelope(data, "external", sendid, origin=LOCATION, origintype=PROCESSOR)
            machine.post(Event(name, outside), delay, sendid)

    return send


def _seconds(text: str | None) -> float:
    if text is None:
        return 0.0
    found = _DELAY.fullmatch(text)
    if found is None:
        raise Failure("error.execution")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def _cancel(element: Element) -> Execute:
    def cancel(machine: Machine, moment: Moment) -> None:
        text = element.get("sendidexpr")
        machine.cancel(element.get("sendid", "") if text is None else machine.evaluate(text, moment))

    return cancel


_BUILDERS: dict[str, Callable[[Element], Execute]] = {
    "assign": _assign,
    "cancel": _cancel,
    "foreach": _foreach,
    "if": _if,
    "log": _log,
    "raise": _raise,
    "script": script,
    "send": _send,
}
