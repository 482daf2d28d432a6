"""Walking through a graph: what leads from names to others, of names that are aliases as of what they stand for."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlmodel import col

from worlds.graph.facts import Fact, Kind
from worlds.graph.index import Index, index_of
from worlds.graph.view import View, chunks
from worlds.graph.ways import Reading, Step, Ways

NEAR = 200
"""Names from which steps are asked of the database before a whole graph is read into memory."""


def near(view: View, ways: Ways) -> Reading:
    """The steps from a few names, from the database."""
    return _by_aliases(view, lambda numbers: _from_facts(view, ways, numbers))


def far(view: View, ways: Ways) -> Reading:
    """The steps from very many names: of a graph as it is now from memory, unless it is too large for that."""
    index = index_of(view.graph) if view.as_of in (None, view.graph.revision) else None
    return near(view, ways) if index is None else _by_aliases(view, _in_memory(index, ways, view.valid_at))


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


def _from_facts(view: View, ways: Ways, numbers: Iterable[int]) -> Iterator[Step]:
    numbers = list(numbers)
    for wanted, one, other in ((ways.along, Fact.node, Fact.target), (ways.against, Fact.target, Fact.node)):
        for some in chunks(numbers) if wanted else ():
            where: list[Any] = [col(Fact.kind) == Kind.RELATION.value, col(one).in_(some)]
            if ways.types is not None:
                where.append(col(Fact.type).in_(sorted(ways.types)))
            yield from view.select(one, other, Fact.id, Fact.weight, where=where)


Refuse = Callable[[Step], None]
