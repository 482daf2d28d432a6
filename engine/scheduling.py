"""What a world's `self.after` asks for, checked at the call: which action, with which arguments, when, and how long."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from inspect import isclass
from json import loads
from typing import Any

from engine.actions import Action
from engine.arguments import canonical, parsed
from engine.charts import ROOT
from engine.definition import Definition
from engine.errors import DefinitionError, InvalidArguments
from engine.timers import LONGEST, Setting
from engine.types import Json


def asked_for(
    definition: Definition,
    delay: timedelta,
    action: str | Callable[..., Any],
    arguments: Mapping[str, Json],
    *,
    within: StrEnum | type[StrEnum] | None,
    entering: str | None,
) -> Setting:
    """A timer that was asked for, while `entering` is being entered. Raises DefinitionError."""
    found = action_named(definition, "after", action)
    label = f"{definition.cls.__name__}: self.after(…, {found.name!r})"
    if not (isinstance(delay, timedelta) and timedelta() < delay <= LONGEST):
        raise DefinitionError(
            f"{label}: {delay!r} is no time to wait for.",
            hint=f"Give a timedelta such as timedelta(minutes=15), of {LONGEST.days:,} days at most.",
        )
    if found.asks:
        raise DefinitionError(
            f"{label}: {found.name} has prepare= or confirm=, and when a timer is due there is nobody to ask.",
            hint="Have the timer do an action of its own, which asks for nothing.",
        )
    plain = _plain(label, found, arguments)
    if within is None:
        return Setting(found.name, plain, delay, entering)
    state = _state(definition, label, within)
    return Setting(found.name, plain, delay, state, insists=state != entering)


def action_named(definition: Definition, call: str, action: str | Callable[..., Any]) -> Action:
    """The action of a world that a name or a method stands for. Raises DefinitionError."""
    known = definition.actions
    found = known.get(action) if isinstance(action, str) else None
    found = found or next((one for one in known.values() if one.method is action), None)
    said = action if isinstance(action, str) else getattr(action, "__qualname__", repr(action))
    names = ", ".join(name for name, one in known.items() if not one.read_only)
    if found is None:
        raise DefinitionError(
            f"{definition.cls.__name__}: self.{call}(…): {said!r} is no action of this world.",
            hint=f"Name one of its actions, or give its method: {names}.",
        )
    if found.read_only:
        raise DefinitionError(
            f"{definition.cls.__name__}: self.{call}(…): {found.name!r} is read-only, so a timer of it does nothing.",
            hint=f"Name one that changes something: {names}.",
        )
    return found


def _plain(label: str, action: Action, arguments: Mapping[str, Json]) -> dict[str, Json]:
    try:
        plain: dict[str, Json] = loads(canonical(action.parameters, parsed(action.parameters, arguments)))
        parsed(action.parameters, plain)
    except InvalidArguments as error:
        raise DefinitionError(f"{label}: {error.reason}", hint=error.hint) from None
    return plain


def _state(definition: Definition, label: str, within: StrEnum | type[StrEnum]) -> str:
    if isclass(within) and within is definition.states:
        return ROOT
    node = definition.chart.node.get(str(within)) if isinstance(within, StrEnum) else None
    if node is None or node.kind.is_history or type(within) is not definition.states:
        raise DefinitionError(
            f"{label}: within={within!r} is no state of this world that one can be in.",
            hint="Name one around what the action leads to, or the enumeration itself for the whole session.",
        )
    return node.name
