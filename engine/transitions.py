"""What a chart does by itself, beside its actions: transitions that nobody calls, and what is done on entry and exit.

The decorators only mark a method; the class statement of its world makes the chart of them.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from engine.actions import GuardFunction, plural
from engine.charts import DONE
from engine.errors import DefinitionError
from engine.signatures import insist_on_method, refuse_async
from engine.timers import LONGEST

CHART_MARK = "__turnkeeper_chart__"
Method = TypeVar("Method", bound=Callable[[Any], None])


@dataclass(frozen=True, slots=True, kw_only=True)
class Automatic:
    """A transition that is taken at an event from within, after a time, or as soon as its guards allow."""

    sources: tuple[StrEnum, ...]
    target: StrEnum | None
    on: str | None
    guards: tuple[GuardFunction | str, ...]
    internal: bool
    after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """What is done when any of these states is entered, or left."""

    states: tuple[StrEnum, ...]
    entering: bool


def transition(
    *,
    source: StrEnum | Iterable[StrEnum],
    target: StrEnum | None = None,
    on: str | None = None,
    after: timedelta | None = None,
    guards: GuardFunction | Iterable[GuardFunction | str] = (),
    internal: bool = False,
) -> Callable[[Method], Method]:
    """Make a method a transition that the session takes by itself, as a part of the change that brought it about.

    At the event `on`: `done(State.…)`, one raised by `self.raise_event`, or the name of an action. Or when `source`
    was active for as long as `after` says, as a change of its own. Without either, as soon as `source` is active and
    the `guards`, which see the world and nothing else, all answer None. The method is carried out between leaving and
    entering. Without `target` nothing is left or entered; `internal` does not leave `source` for a target within.
    """
    if on is not None and after is not None:
        raise DefinitionError(
            f"@transition: on={on!r} and after={after!r} exclude each other.",
            hint="Write a @transition for each: what an event does, and what happens when a time is over.",
        )
    if after is not None and not (isinstance(after, timedelta) and timedelta() < after <= LONGEST):
        raise DefinitionError(
            f"@transition: after={after!r} is no time that a state can last.",
            hint=f"Give a timedelta such as timedelta(minutes=15), of {LONGEST.days:,} days at most.",
        )
    if on is not None and not (isinstance(on, str) and on and on.split() == [on]):
        raise DefinitionError(
            f"@transition: on={on!r} names no event.",
            hint="Give done(State.…) or an event's name, and for each event a @transition of its own.",
        )
    if internal and target is None:
        raise DefinitionError(
            "@transition is internal, so it takes target=.",
            hint="An internal transition leads from a state to one within it, and does not leave the first.",
        )
    mark = Automatic(
        sources=_states("transition", source, several=True),
        target=None if target is None else _states("transition", target, several=False)[0],
        on=on,
        guards=plural("@transition", "guards", guards),
        internal=internal,
        after=after,
    )
    return _marking("transition", mark)


def on_enter(*states: StrEnum) -> Callable[[Method], Method]:
    """Have a method carried out whenever one of these states is entered. It may change the session, and may refuse."""
    return _marking("on_enter", Crossing(_states("on_enter", states, several=True), entering=True))


def on_exit(*states: StrEnum) -> Callable[[Method], Method]:
    """Have a method carried out whenever one of these states is left. It may change the session, and may refuse."""
    return _marking("on_exit", Crossing(_states("on_exit", states, several=True), entering=False))


def done(state: StrEnum) -> str:
    """The event that a state which holds others is done: a final state in it was entered, or in all its regions."""
    return f"{DONE}{_states('done', state, several=False)[0]}"


def marks_of(method: Callable[..., Any]) -> tuple[Automatic | Crossing, ...]:
    """What a method was marked as, in the order in which it was written."""
    return getattr(method, CHART_MARK, ())


def _marking(decorator: str, mark: Automatic | Crossing) -> Callable[[Method], Method]:
    def put(method: Method) -> Method:
        label = insist_on_method(decorator, method)
        refuse_async(label, method, "it runs inside the transaction of an action")
        if len(inspect.signature(method).parameters) != 1:
            raise DefinitionError(
                f"{label}{inspect.signature(method)}: @{decorator} calls a method without arguments.",
                hint="Write `def …(self) -> None`; what it needs from an action belongs into the session's data.",
            )
        setattr(method, CHART_MARK, (mark, *marks_of(method)))
        return method

    return put


def _states(decorator: str, given: Any, *, several: bool) -> tuple[StrEnum, ...]:
    found = (given,) if isinstance(given, StrEnum) or not isinstance(given, Iterable) else tuple(given)
    wrong = [state for state in found if not isinstance(state, StrEnum)]
    if wrong or not found or (len(found) > 1 and not several):
        raise DefinitionError(
            f"@{decorator}: {given!r} is not what it takes.",
            hint=f"Give {'members' if several else 'one member'} of the world's states, such as State.OPEN.",
        )
    return found
