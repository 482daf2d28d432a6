"""Effects: work outside the transaction, such as a payment or a mail, that an action asks for.

`@effect` only marks an async function; the class statement of a world that lists it checks the rest (`outcomes`).
"""

import inspect
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Protocol, TypeVar, overload

from pydantic import BaseModel

from engine.arguments import canonical, parsed
from engine.errors import DefinitionError, InvalidArguments
from engine.limits import Limits, check_effects
from engine.signatures import type_hints
from engine.types import Json

EFFECT_MARK = "__turnkeeper_effect__"
MOST_ATTEMPTS = 100
LONGEST = timedelta(days=365)
"""How long an effect may be tried at most."""
LONGEST_ATTEMPT = timedelta(hours=1)

Handler = TypeVar("Handler", bound=Callable[..., Coroutine[Any, Any, Any]])


class ToolCaller(Protocol):
    """Calls a tool of another MCP server, under a key by which that server can tell a repeat. Raises Failed."""

    async def __call__(self, server: str, tool: str, arguments: Mapping[str, Json], key: str) -> Json:
        """What the tool answered."""
        ...


class Failed(Exception):
    """What an effect's handler raises to say that it failed for good: it is not tried again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = str(reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCall:
    """One attempt at an effect, as its handler sees it.

    `key` is the same at every attempt: pass it on to whoever can tell by it that something was asked for before.
    `revision` is that of the change which asked for the effect; after `deadline` it is not tried again.
    """

    key: str
    session: str
    world: str
    revision: int
    attempt: int
    deadline: datetime
    _tools: ToolCaller | None = field(default=None, repr=False)
    _calls: Iterator[int] = field(default_factory=lambda: count(1), repr=False)

    async def tool(self, server: str, tool: str, /, **arguments: Json) -> Json:
        """Call a tool of an MCP server that the operator named: its structured answer, or else its text.

        The first call of an attempt carries the effect's key, the next ones that key with their number. Raises
        Failed where the tool says no; what may go better later is raised otherwise, so that it is tried again.
        """
        if self._tools is None:
            raise Failed(f"This process calls no other servers, so it cannot call {tool} of {server}.")
        number = next(self._calls)
        return await self._tools(server, tool, arguments, self.key if number == 1 else f"{self.key}.{number}")


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A handler returned: what, as JSON."""

    value: Json


@dataclass(frozen=True, slots=True)
class GaveUp:
    """An effect failed for good, and why; `parked` where nobody but a person can say what is to become of it."""

    reason: str
    parked: bool = False


Ended = Succeeded | GaveUp
"""What became of an effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectOptions:
    """What the author said in `@effect(…)`."""

    name: str | None = None
    on_success: str | None = None
    on_failure: str | None = None
    compensate: Callable[..., Any] | str | None = None
    attempts: int = 5
    deadline: timedelta = timedelta(minutes=10)
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One effect of one world, checked. `compensate` is the name of the one that takes it back."""

    name: str
    function: Callable[..., Coroutine[Any, Any, Any]]
    parameters: type[BaseModel]
    on_success: str | None
    on_failure: str | None
    compensate: str | None
    attempts: int
    deadline: timedelta
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class Wanted:
    """An effect that a change asks for: its arguments as canonical JSON, and the id of the one that it takes back."""

    effect: Effect
    arguments: str
    compensates: int | None = None


@overload
def effect(handler: Handler, /) -> Handler: ...
@overload
def effect(
    *,
    name: str | None = None,
    on_success: str | None = None,
    on_failure: str | None = None,
    compensate: Callable[..., Any] | str | None = None,
    attempts: int = 5,
    deadline: timedelta = timedelta(minutes=10),
    timeout: timedelta = timedelta(seconds=30),
) -> Callable[[Handler], Handler]: ...
def effect(handler: Handler | None = None, /, **options: Any) -> Handler | Callable[[Handler], Handler]:
    """Make an `async def …(call: EffectCall, …)` an effect, which worlds list in `effects=[…]`.

    What it returns becomes the arguments of the action `on_success`: a mapping or a model its fields, None nothing,
    anything else the one parameter. `raise Failed(reason)` ends it, and `on_failure` gets the reason; any other
    exception, and `timeout`, is tried again, `attempts` times in all and not after the `deadline`. `compensate` is
    the effect that takes it back, given the same arguments and what it returned as `result`.
    """

    def mark(function: Handler) -> Handler:
        label = f"@effect {getattr(function, '__qualname__', repr(function))}"
        _check_handler(label, function)
        said = EffectOptions(**options)
        _check_numbers(label, said)
        setattr(function, EFFECT_MARK, said)
        return function

    return mark if handler is None else mark(handler)


def wanted(
    effects: Mapping[str, Effect], asked: object, given: Mapping[str, Any], limits: Limits, count: int
) -> Wanted:
    """What `self.effect(…)` asks for, after `count` others of the same change.

    Raises TypeError for an effect or a parameter that there is not, InvalidArguments, LimitExceeded.
    """
    check_effects(count + 1, limits)
    name = name_of(asked)
    one = effects.get(name)
    if one is None:
        known = ", ".join(effects) or "none"
        raise TypeError(f"there is no effect {name!r} of this world; in its effects=[…] are: {known}")
    return Wanted(one, arguments_of(one, given, limits))


def arguments_of(one: Effect, given: Mapping[str, Any], limits: Limits) -> str:
    """An effect's arguments as they are kept. Raises TypeError, InvalidArguments, LimitExceeded."""
    fields = one.parameters.model_fields
    unknown = [name for name in given if name not in fields]
    missing = [name for name, known in fields.items() if known.is_required() and name not in given]
    if unknown or missing:
        raise TypeError(
            f"effect {one.name} takes {', '.join(fields) or 'nothing'}; received {', '.join(given) or 'nothing'}"
        )
    try:
        return canonical(one.parameters, parsed(one.parameters, given), limits)
    except InvalidArguments as error:
        raise InvalidArguments(f"The effect {one.name} does not take this: {error.reason}", hint=error.hint) from None


def name_of(asked: object) -> str:
    """The name under which an effect was asked for, by itself or by its name."""
    options = getattr(asked, EFFECT_MARK, None)
    if isinstance(options, EffectOptions):
        return options.name or str(getattr(asked, "__name__", asked))
    return asked if isinstance(asked, str) else str(getattr(asked, "__qualname__", asked))


def compensation(effects: Mapping[str, Effect], one: Effect, row: Any, result: str | None, limits: Limits) -> Wanted:
    """The effect that takes another back: with the same arguments, and its `result` if the handler takes that.

    `row` is the one to be taken back, as it is kept. Raises TypeError, InvalidArguments.
    """
    other = effects[one.compensate or ""]
    values = {**json.loads(row.arguments), "result": None if result is None else json.loads(result)}
    given = {name: value for name, value in values.items() if name in other.parameters.model_fields}
    return Wanted(other, arguments_of(other, given, limits), row.id)


def _check_handler(label: str, function: Any) -> None:
    if not inspect.isfunction(function) or not inspect.iscoroutinefunction(function):
        raise DefinitionError(
            f"{label} is not async, but effects are carried out beside everything else.",
            hint="Write `async def …(call: EffectCall, …)`; what blocks goes to `await asyncio.to_thread(…)`.",
        )
    first = next(iter(inspect.signature(function).parameters.values()), None)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if first is None or first.kind not in positional or _annotated(label, function, first) not in (EffectCall, None):
        raise DefinitionError(
            f"{label}{inspect.signature(function)} does not take the call first.",
            hint="Write `async def …(call: EffectCall, …)`.",
        )


def _annotated(label: str, function: Any, parameter: inspect.Parameter) -> Any:
    """A parameter's type; None where it has none."""
    return type_hints(label, function).get(parameter.name)


def _check_numbers(label: str, options: EffectOptions) -> None:
    attempts = options.attempts
    if type(attempts) is not int or not 1 <= attempts <= MOST_ATTEMPTS:
        raise DefinitionError(
            f"{label}: attempts={attempts!r} is no number of attempts.", hint=f"Give 1 to {MOST_ATTEMPTS}."
        )
    for word, value, most in (("deadline", options.deadline, LONGEST), ("timeout", options.timeout, LONGEST_ATTEMPT)):
        if not isinstance(value, timedelta) or not timedelta() < value <= most:
            raise DefinitionError(
                f"{label}: {word}={value!r} is no time that an effect may take.",
                hint=f"Give a timedelta of more than nothing and of {most} at most.",
            )
