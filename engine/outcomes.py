"""Where effects end: the actions that their outcomes come back as, and what must fit for that.

What a world lists in `effects=` is checked against its actions when it is declared, so that a wrong one fails at
import.
"""

import json
import typing
from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from inspect import isclass
from types import UnionType
from typing import Any

from pydantic import BaseModel

from engine.actions import Action
from engine.effects import EFFECT_MARK, Effect, EffectOptions, Ended, GaveUp, name_of
from engine.errors import DefinitionError, InvalidArguments
from engine.signatures import refuse_secrets, signature_model, type_hints
from engine.types import Json


def build_effects(owner: str, given: Iterable[Any], actions: Mapping[str, Action]) -> dict[str, Effect]:
    """The effects that a world lists, by name, checked against its actions. Raises DefinitionError."""
    found: dict[str, Effect] = {}
    for function in given:
        if not hasattr(function, EFFECT_MARK):
            raise DefinitionError(
                f"{owner}: effects= names {getattr(function, '__qualname__', function)!s}, which is no effect.",
                hint="Mark it: `@effect(…)` on `async def …(call: EffectCall, …)`.",
            )
        one = _built(owner, function)
        if one.name in found:
            raise DefinitionError(
                f"{owner}: two effects are named {one.name!r}.", hint="Give one of them @effect(name=…)."
            )
        found[one.name] = one
    for one in found.values():
        _check_outcomes(f"{owner}: effect {one.name}", one, actions)
        _check_compensation(f"{owner}: effect {one.name}", one, found)
    return found


def outcome_arguments(action: Action, ended: Ended) -> dict[str, Json]:
    """What the action gets that an effect's outcome comes back as. Raises InvalidArguments."""
    fields = action.parameters.model_fields
    if isinstance(ended, GaveUp):
        return {"reason": ended.reason} if "reason" in fields else {}
    if ended.value is None:
        return {}
    if isinstance(ended.value, dict):
        return ended.value
    name = _one_parameter(action)
    if name is None:
        raise InvalidArguments(
            f"The effect returned {json.dumps(ended.value)[:80]}, and {action.name} takes"
            f" {', '.join(fields) or 'nothing'}.",
            hint="Let the action take one parameter, or the handler return a mapping.",
        )
    return {name: ended.value}


def _built(owner: str, function: Any) -> Effect:
    options: EffectOptions = getattr(function, EFFECT_MARK)
    name = name_of(function)
    parameters = signature_model(f"{owner}: effect {name}", function)
    refuse_secrets(f"{owner}: effect {name}", parameters)
    return Effect(
        name=name,
        function=function,
        parameters=parameters,
        on_success=options.on_success,
        on_failure=options.on_failure,
        compensate=None if options.compensate is None else name_of(options.compensate),
        attempts=options.attempts,
        deadline=options.deadline,
        timeout=options.timeout,
    )


def _check_outcomes(label: str, one: Effect, actions: Mapping[str, Action]) -> None:
    for option, name in (("on_success", one.on_success), ("on_failure", one.on_failure)):
        if name is None:
            continue
        action = actions.get(name)
        if action is None:
            raise DefinitionError(
                f"{label}: {option}={name!r} is no action of the world.",
                hint=f"Its actions are: {', '.join(actions) or 'none'}.",
            )
        if action.read_only or action.asks:
            raise DefinitionError(
                f"{label}: {option}={name!r} cannot be what an outcome comes back as.",
                hint="Name an action that changes something, without prepare= and confirm=: nobody is there to ask.",
            )
    if one.on_success is not None:
        _check_fit(label, one, actions[one.on_success])
    if one.on_failure is not None:
        needed = [name for name in _required(actions[one.on_failure]) if name != "reason"]
        if needed:
            raise DefinitionError(
                f"{label}: on_failure={one.on_failure!r} needs {', '.join(needed)}, but is given a `reason` alone.",
                hint="Give these parameters defaults, or keep what they say in the session's data.",
            )


def _check_fit(label: str, one: Effect, action: Action) -> None:
    """Insist that what a handler returns can be the arguments of its action, as far as its type tells."""
    returned = type_hints(label, one.function).get("return", Any)
    required, taken = _required(action), list(action.parameters.model_fields)
    names = _fields_of(returned)
    if names is not None:
        fits = set(required) <= set(names) <= set(taken)
    elif returned in (None, type(None)):
        fits = not required
    elif _tells_nothing(returned):
        return
    else:
        fits = _one_parameter(action) is not None
    if not fits:
        gives = ", ".join(names) if names else "nothing" if names == () or returned is type(None) else str(returned)
        raise DefinitionError(
            f"{label} returns {gives}, but on_success={action.name!r} takes {', '.join(taken) or 'nothing'}"
            f" and needs {', '.join(required) or 'nothing'}.",
            hint="Return a mapping or a model with the action's parameters, or the value of its only one.",
        )


def _one_parameter(action: Action) -> str | None:
    """The one parameter that an outcome which is no mapping goes to."""
    fields = action.parameters.model_fields
    required = [name for name, known in fields.items() if known.is_required()]
    if len(required) == 1:
        return required[0]
    return next(iter(fields)) if not required and len(fields) == 1 else None


def _required(action: Action) -> list[str]:
    return [name for name, known in action.parameters.model_fields.items() if known.is_required()]


def _fields_of(annotation: Any) -> tuple[str, ...] | None:
    """The fields of a model, dataclass or typed mapping; None for what has none of its own."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return tuple(annotation.model_fields)
    if is_dataclass(annotation) or hasattr(annotation, "__required_keys__"):
        return tuple(typing.get_type_hints(annotation))
    return None


def _tells_nothing(annotation: Any) -> bool:
    """Whether a type does not say which arguments its values make."""
    kind = typing.get_origin(annotation) or annotation
    return not isclass(kind) or kind in (object, Any, UnionType) or issubclass(kind, Mapping)


def _check_compensation(label: str, one: Effect, effects: Mapping[str, Effect]) -> None:
    if one.compensate is None:
        return
    other = effects.get(one.compensate)
    if other is None:
        raise DefinitionError(
            f"{label}: compensate={one.compensate!r} is no effect of the world.",
            hint=f"List it in effects=[…], where there are: {', '.join(effects)}.",
        )
    known = {*one.parameters.model_fields, "result"}
    needed = [n for n, field in other.parameters.model_fields.items() if field.is_required() and n not in known]
    if needed:
        raise DefinitionError(
            f"{label}: compensate={one.compensate!r} needs {', '.join(needed)}, which {one.name} does not take.",
            hint=f"It may take any of: {', '.join(sorted(known))}.",
        )
