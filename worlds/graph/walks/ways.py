"""Which relations a walk through a graph takes, and which way."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

Step = tuple[int, int, int, float | None]
"""From a name's number to another's, by which fact, and the weight of that."""


class Direction(StrEnum):
    """Which way relations are followed."""

    OUT = "out"
    """From what they are told of to what they name."""
    IN = "in"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Ways:
    """Relations of these types, or of all, followed in a direction."""

    direction: Direction = Direction.BOTH
    types: frozenset[str] | None = None

    @property
    def along(self) -> bool:
        """Whether they are followed as they are told."""
        return self.direction is not Direction.IN

    @property
    def against(self) -> bool:
        """Whether they are followed backwards."""
        return self.direction is not Direction.OUT

    @property
    def back(self) -> "Ways":
        """The same ways, walked back."""
        turned = {Direction.OUT: Direction.IN, Direction.IN: Direction.OUT}
        return replace(self, direction=turned.get(self.direction, self.direction))


def ways_of(direction: Direction, types: Sequence[str] | None) -> Ways:
    """Relations of these types, or of all, in a direction."""
    return Ways(direction, None if types is None else frozenset(types))


class Reading(Protocol):
    """What steps lead from names."""

    def __call__(self, numbers: Iterable[int], /) -> Iterator[Step]:
        """The steps from these names, in any order."""
