"""Pages of what is read: as many items as the limit on answers lets through, and whether there are more."""

import json
from collections.abc import Callable, Iterable
from typing import TypeVar

from engine.limits import size
from engine.types import Json, dumped

T = TypeVar("T")

AROUND = 512
"""Bytes for what stands around the items of a page."""


def weight(value: Json) -> int:
    """The bytes of a value where it takes most: indented, as a text inside JSON."""
    return size(dumped(json.dumps(value, indent=2, ensure_ascii=False)))


def page(
    items: Iterable[T], room: int, shown: Callable[[T], Json], shortened: Callable[[T, int], T]
) -> tuple[list[T], bool]:
    """The items that fit, one at least, and whether there are more. `shown` is how one stands in the answer.

    One that does not even fit alone is replaced by what `shortened` makes of it and its bytes.
    """
    found: list[T] = []
    used = AROUND
    for item in items:
        alone = weight(shown(item))
        if alone + AROUND > room:
            item = shortened(item, alone)
            alone = weight(shown(item))
        if found and used + alone > room:
            return found, True
        found.append(item)
        used += alone
    return found, False


def without(item: dict[str, Json], names: Iterable[str], bytes_: int) -> dict[str, Json]:
    """An item without what makes it large, saying so."""
    left = {name: value for name, value in item.items() if name not in tuple(names)}
    return {**left, "omitted": f"{', '.join(names)}: {bytes_:,} bytes, more than an answer may have"}
