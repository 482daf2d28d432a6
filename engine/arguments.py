"""A call's arguments: checked JSON in, values out, and back as the canonical JSON that the journal compares."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from engine.errors import InvalidArguments
from engine.limits import DEFAULT, Limits, check_arguments
from engine.types import Json

LEAST, MOST = -(2**63), 2**63 - 1
"""Integers that every part of the way can carry: signed, 64 bits."""
LONGEST = 400
"""Characters that are told of what is wrong: it may quote what was given."""


def parsed(
    model: type[BaseModel], arguments: Mapping[str, Json], invalid: Callable[[ValidationError], str] | None = None
) -> dict[str, Any]:
    """Arguments by parameter name, checked by the model made from a signature. Raises InvalidArguments.

    `invalid` gives the words for those that do not fit; without, they are the engine's.
    """
    if invalid is None:
        _refuse_vast(arguments)
    try:
        value = model.model_validate(arguments)
    except ValidationError as error:
        raise _invalid(model, error) if invalid is None else InvalidArguments(invalid(error)) from None
    return {name: getattr(value, name) for name in type(value).model_fields}


def canonical(model: type[BaseModel], arguments: Mapping[str, Any], limits: Limits = DEFAULT) -> str:
    """The canonical JSON of parsed arguments: sorted keys and sets, no spaces.

    Raises InvalidArguments; LimitExceeded if it is too large.
    """
    try:
        plain = _plain(model, arguments)
        _refuse_vast(plain)
        text = _compact(plain)
        text.isascii() or text.encode()  # which says whether it holds a lone surrogate
    except UnicodeEncodeError as error:
        raise InvalidArguments(f"The arguments hold a lone surrogate, which is no character ({error}).") from None
    except (PydanticSerializationError, UnicodeDecodeError) as error:
        raise InvalidArguments(f"The arguments cannot be written as JSON: {error}.") from None
    except RecursionError:
        raise InvalidArguments("The arguments are nested too deeply.", hint="Send something flatter.") from None
    except ValueError:
        raise InvalidArguments("The arguments hold a number that is not finite, which JSON cannot carry.") from None
    check_arguments(text, limits)
    return text


def _plain(model: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Json]:
    """Parsed arguments as JSON values. No parameter's name can be mistaken for one of pydantic's own."""
    value = model.__new__(model)
    names = {"__dict__": dict(arguments), "__pydantic_fields_set__": set(arguments)}
    value.__setstate__({**names, "__pydantic_extra__": None, "__pydantic_private__": None})
    plain = value.model_dump(mode="json")
    return {name: _ordered(arguments[name], part) for name, part in plain.items()}


def _ordered(value: Any, plain: Json) -> Json:
    """The JSON of a value with its sets in one order, which hashing differs about from process to process."""
    if isinstance(plain, list) and isinstance(value, Set | Sequence) and len(value) == len(plain):
        parts = [_ordered(*pair) for pair in zip(value, plain, strict=True)]
        return sorted(parts, key=_compact) if isinstance(value, Set) else parts
    if isinstance(plain, dict) and isinstance(value, dict) and len(value) == len(plain):
        return {key: _ordered(one, plain[key]) for one, key in zip(value.values(), plain, strict=True)}
    if isinstance(plain, dict) and (isinstance(value, BaseModel) or dataclasses.is_dataclass(value)):
        return {key: _ordered(getattr(value, key, None), part) for key, part in plain.items()}
    return _ordered(value.root, plain) if isinstance(value, BaseModel) and hasattr(value, "root") else plain


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _compact(plain: Json) -> str:
    return _CANONICAL.encode(plain)


def _refuse_vast(arguments: Mapping[str, Json]) -> None:
    """Insist on integers that can be kept. Raises InvalidArguments."""
    if not _has_vast(arguments):
        return
    for path, value in _leaves(arguments):
        if isinstance(value, int) and not LEAST <= value <= MOST:
            raise InvalidArguments(
                f"{path}: the integer is too large; integers go from {LEAST} to {MOST} (64 bits).", path=path
            )


def _has_vast(arguments: Mapping[str, Json]) -> bool:
    """Whether there is such an integer: told without paths, for a third of the time."""
    waiting: list[Json] = [*arguments.values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, int) and not LEAST <= value <= MOST:
            return True
    return False


def _leaves(arguments: Json) -> Iterator[tuple[str, Json]]:
    """What a JSON value holds that holds nothing itself, with its path."""
    waiting: list[tuple[str, Json]] = [("$", arguments)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", part) for index, part in enumerate(value)]
        else:
            yield path, value


def _invalid(model: type[BaseModel], error: ValidationError) -> InvalidArguments:
    first = error.errors(include_url=False, include_context=False)[0]
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    received = f", received {_shortened(first['input'])}" if first["type"] != "missing" else ""
    known = ", ".join(model.model_fields) or "none"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    said = first["msg"] if len(first["msg"]) <= LONGEST else f"{first['msg'][:LONGEST]}…"
    return InvalidArguments(f"{path}: {said}{received}.{more}", hint=f"The arguments are: {known}.", path=path)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"
