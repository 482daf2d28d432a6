"""Reading the index of a graph: a page at a time, kept in memory, so that one walk goes on where another had to stop.

All pages are of one revision, that of the first, and the index is brought forward from there. So what is told between
two walks is in it, and what was taken back is not.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from engine import World
from worlds.graph.facts import Fact, Import, Kind
from worlds.graph.recalled import NEVER
from worlds.graph.walks.index import CHANGED, EACH, Index, Page, Told, arranged, page_of

_COLUMNS: tuple[Any, ...] = (Fact.node, Fact.target, Fact.type, Fact.id, Fact.weight, Fact.valid_from, Fact.valid_to)
_RELATION = Kind.RELATION.value


@dataclass(frozen=True, slots=True)
class Pace:
    """How many relations are kept in memory at most, how many are read at once, and within how many seconds of a walk.

    Of more, or where the time was not enough yet, walks read the database.
    """

    most: int = 750_000
    page: int = 50_000
    seconds: float = 2.5


@dataclass(frozen=True, slots=True)
class Begun:
    """At which revision the reading began, and of which imports that was."""

    revision: int
    parts: frozenset[int]


def index_of(graph: World, pace: Pace = Pace()) -> Index | None:
    """The index of the graph as it is now, from memory if it is there.

    None if the graph is too large for it, or not all of it is read yet.
    """
    return graph.cached(
        "relations",
        lambda: _made(graph, pace),
        size=lambda index: NEVER if index is None else index.size,
        forward=lambda index, revision: None if index is None else _brought(graph, index, revision),
    )


def _made(graph: World, pace: Pace) -> Index | None:
    """The index, of pages that are in memory and of others; None if there are too many, or there is no time now."""
    until = time.monotonic() + pace.seconds
    begun = graph.cached(
        "relations begun",
        lambda: Begun(graph.revision, _parts(graph)),
        size=lambda _: 100,
        forward=lambda begun, _: begun if _changes(graph, begun.parts, begun.revision) is not None else None,
    )
    pages, count = [], 0
    for page, is_new in _pages(graph, begun, pace.page):
        pages.append(page)
        count += len(page.ids)
        if count > pace.most or (is_new and time.monotonic() > until):
            return None
    return _brought(graph, Index(arranged(pages), begun.parts), begun.revision)


def _pages(graph: World, begun: Begun, most: int) -> Iterator[tuple[Page, bool]]:
    """The pages of the relations that stood when the reading began, and which are read now; the last has fewer."""
    stood = graph.rows(Fact).at(begun.revision).standing()
    wanted = select(*_COLUMNS).where(col(Fact.kind) == _RELATION, *stood).order_by(col(Fact.id)).limit(most)
    read, last, page = list[int](), 0, None

    def make() -> Page:
        read.append(last)
        return page_of(graph.select(wanted.where(graph.rows(Fact).after(last))))

    while page is None or len(page.ids) == most:
        key = ("relations", begun, last, most)
        page = graph.cached(key, make, size=lambda page: EACH * len(page.ids), forward=lambda page, _: page)
        yield page, last in read
        last = page.ids[-1] if page.ids else last


def _brought(graph: World, index: Index, revision: int) -> Index | None:
    """The index with what came to stand and what ceased to after a revision."""
    changes = _changes(graph, index.parts, revision)
    return None if changes is None else index.with_changes(*changes)


def _changes(graph: World, parts: frozenset[int], revision: int) -> tuple[list[int], list[Told]] | None:
    """The relations that ended after a revision, and those that began and stand; None if they are too many."""
    if parts != _parts(graph):
        return None
    since, until = col(Fact.since) > revision, col(Fact.until) > revision
    ended = graph.select(select(Fact.id, Fact.kind).where(until).limit(CHANGED + 1))
    columns: tuple[Any, ...] = (*_COLUMNS, Fact.kind)
    began = graph.select(select(*columns).where(since, *graph.rows(Fact).standing()).limit(CHANGED + 1))
    if len(ended) + len(began) > CHANGED:
        return None
    return [id for id, kind in ended if kind == _RELATION], [tuple(row[:-1]) for row in began if row[-1] == _RELATION]


def _parts(graph: World) -> frozenset[int]:
    return frozenset(part.id for part in graph.rows(Import))
