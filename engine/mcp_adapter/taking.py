"""The engine's own arguments, taken out of those of a call and checked: session, revision, key."""

import re
from typing import Any

from engine.arguments import MOST
from engine.errors import InvalidArguments

TEXT_LIMIT = 200
"""Characters of a handle, a key, or the name of a world or person."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def taken(arguments: dict[str, Any], name: str, kind: type[Any]) -> Any:
    """An argument, removed from the others; None if it is not given. Raises InvalidArguments."""
    value = arguments.pop(name, None)
    if value is not None and not _fits(value, kind):
        wanted = f"text of 1 to {TEXT_LIMIT} characters" if kind is str else f"a whole number from 0 to {MOST}"
        raise InvalidArguments(f"$.{name} must be {wanted}, received {ascii(value)[:80]}.", path=f"$.{name}")
    return value


def _fits(value: object, kind: type[Any]) -> bool:
    """Whether the database can hold it: text without lone surrogates, a number of 63 bits."""
    if kind is str:
        return isinstance(value, str) and 1 <= len(value) <= TEXT_LIMIT and _LONE_SURROGATE.search(value) is None
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST
