"""Walking through a graph: what leads from names to others, of names that are aliases as of what they stand for."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from worlds.graph.facts import Fact, Kind
from worlds.graph.view import View, chunks
from worlds.graph.walks.index import Index
from worlds.graph.walks.indexing import Pace, index_of
from worlds.graph.walks.relations import COLUMNS
from worlds.graph.walks.ways import Reading, Step, Ways


class Near:
    """The steps from a few names, from the database. `rows` are the facts that were read, by their ids."""

    def __init__(self, view: View, ways: Ways) -> None:
        self.view, self.ways = view, ways
        self.rows: dict[int, Any] = {}
        self.reading = _by_aliases(view, self._steps)

    def __call__(self, numbers: Iterable[int], /) -> Iterator[Step]:
        return self.reading(numbers)

    def _steps(self, numbers: Iterable[int], /) -> Iterator[Step]:
        for some in chunks(list(numbers)):
            for id, source, _, _, target, _, weight in self._rows(Fact.node, some) if self.ways.along else ():
                yield source, target, id, weight
            for id, source, _, _, target, _, weight in self._rows(Fact.target, some) if self.ways.against else ():
                yield target, source, id, weight

    def _rows(self, end: Any, numbers: Sequence[int]) -> Iterator[Any]:
        for row in self.view.about(*COLUMNS, nodes=numbers, kind=Kind.RELATION, of=end, types=self.ways.types):
            self.rows[row[0]] = row
            yield row


def far(view: View, *ways: Ways, pace: Pace = Pace()) -> tuple[Reading, ...]:  # noqa: B008
    """The steps from very many names, for each of these ways.

    Of a graph as it is now they are from memory, unless it is too large for that, or not all of it is read yet.
    """
    index = index_of(view.graph, pace) if view.as_of in (None, view.graph.revision) else None
    if index is None:
        return tuple(Near(view, one) for one in ways)
    return tuple(_by_aliases(view, _in_memory(index, one, view.valid_at)) for one in ways)


def _in_memory(index: Index, ways: Ways, valid_at: str) -> Reading:
    return lambda numbers: index.steps(numbers, ways, valid_at)


def _by_aliases(view: View, reading: Reading) -> Reading:
    """A reading in which the numbers of aliases are those of what they stand for."""
    stands = {number: name.node for number, name in view.aliases.items()}
    if not stands:
        return reading

    def read(numbers: Iterable[int]) -> Iterator[Step]:
        for source, target, fact, weight in reading(view.all_names(numbers)):
            yield stands.get(source, source), stands.get(target, target), fact, weight

    return read
