"""How far things are from each other in a graph: searches along steps, bounded in names and in time."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from worlds.graph.walks.ways import Reading

LOOKS = 4_096
"""Steps after which a search looks whether it may go on."""


class Stopped(Exception):
    """A search came to more names than it may, or took longer: it says after how many."""


@dataclass(slots=True)
class Bounds:
    """How many names a search may come to, and how many seconds it may take."""

    names: int
    seconds: float
    clock: Callable[[], float] = time.monotonic
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.clock()

    def check(self, count: int) -> None:
        """Insist that a search that came to so many names may go on. Raises Stopped."""
        if count > self.names:
            raise Stopped(f"after {count:,} names, which is as many as one search may come to")
        if self.clock() - self.begun > self.seconds:
            raise Stopped(f"after {count:,} names and {self.seconds:g} s, which is as long as one search may take")


class Ball:
    """What was come to from names, by distance.

    `edge` are the names farthest away, in the order they were told of. `came` says by which fact, and from which name,
    one comes to each first: of the steps from nearer names by the one told first; `steps` how many there are.
    """

    def __init__(self, reading: Reading, names: Iterable[int], bounds: Bounds) -> None:
        self.reading, self.bounds = reading, bounds
        self.distance = dict.fromkeys(names, 0)
        self.edge = list(self.distance)
        self.came: dict[int, tuple[int, int]] = {}
        self.steps: dict[int, int] = {}
        self.radius = 0

    def grow(self) -> list[int]:
        """Come to all that is one step farther away; what that is. Raises Stopped."""
        self.bounds.check(len(self.distance))
        self.radius += 1
        distance, came, steps, here = self.distance, self.came, self.steps, self.radius
        new = []
        for count, (source, target, fact, _) in enumerate(self.reading(self.edge), 1):
            known = distance.get(target)
            if known is None:
                distance[target], came[target], steps[target] = here, (fact, source), 1
                new.append(target)
            elif known == here:
                steps[target] += 1
                came[target] = min(came[target], (fact, source))
            if not count % LOOKS:
                self.bounds.check(len(distance))
        self.edge = sorted(new, key=lambda name: (came[name], name))
        return self.edge

    def way_to(self, name: int) -> list[int]:
        """The names on the way to one that was come to, from where it began."""
        way = [name]
        while way[-1] in self.came:
            way.append(self.came[way[-1]][1])
        return way[::-1]


def shortest(
    source: int, target: int, forth: Reading, back: Reading, bounds: Bounds, most: int | None = None
) -> Sequence[int] | None:
    """The names of a way with the fewest steps, `most` at most: sought from both ends, the smaller side first.

    None is certain. Raises Stopped.
    """
    one, other = Ball(forth, [source], bounds), Ball(back, [target], bounds)
    if source == target:
        return [source]
    while one.edge and other.edge and (most is None or one.radius + other.radius < most):
        grown, met = (one, other) if len(one.edge) <= len(other.edge) else (other, one)
        meeting = next((name for name in grown.grow() if name in met.distance), None)
        if meeting is not None:
            return [*one.way_to(meeting), *other.way_to(meeting)[-2::-1]]
    return None
