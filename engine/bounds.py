"""Selects of a world's own, bounded to one session: whatever they say, they read its rows and no other's.

A statement is looked at once, and is kept bounded for as long as there is the statement: one that a world keeps, with
parameters for what changes, costs a third of one that is made for each call.
"""

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Alias, Column, CompoundSelect, Select, Table, TableClause, bindparam
from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.sql import visitors

from engine.models import NOW, STANDING_AT, STANDING_PARTS, HistoryRow, Part, Row, of_parts_in, table_of
from engine.store import search

SESSION = "turnkeeper_session"
"""The parameter that says whose rows are read."""

_BOUNDED: "WeakKeyDictionary[Any, dict[tuple[type[Row], ...], Any]]" = WeakKeyDictionary()


def within(statement: Any, models: tuple[type[Row], ...]) -> Any:
    """A select of these Row classes with what bounds it to a session. Raises TypeError for others."""
    if not isinstance(statement, Select | CompoundSelect):
        raise TypeError(f"select(…) takes a select of Row classes, received {statement!r:.80}")
    known = _BOUNDED.setdefault(statement, {})
    if models not in known:
        known[models] = _bounded(statement, models)
    return known[models]


def values(row_set: int, told: tuple[int, ...], standing: tuple[int, ...], at: int | None) -> Mapping[str, Any]:
    """What the parameters are of a session with these parts that stand or stood, and those that stand.

    `at` is the revision at which it is looked at; None is now.
    """
    then = NOW if at is None else at
    return {SESSION: row_set, "turnkeeper_parts": (0, *told), STANDING_PARTS: (0, *standing), STANDING_AT: then}


def _bounded(statement: Any, models: tuple[type[Row], ...]) -> Any:
    parts, own = [*visitors.iterate(statement)], {table_of(model): model for model in models}
    read = {part for part in parts if isinstance(part, TableClause)}
    for part in read.difference(own):
        if part.name not in search.names(own):
            raise TypeError(f"select(…) names {part.name}, which is no table of this world's sessions by its class")
    _insist_on_classes(parts)
    return statement.options(*(one for table, model in own.items() if table in read for one in _conditions(model)))


def _insist_on_classes(parts: Iterable[Any]) -> None:
    """Insist that tables are named by their classes: what names them otherwise would not be bounded."""
    named, bare = set[Any](), set[Any]()
    for part in parts:
        of = part.table if isinstance(part, Column) else part
        table = of.element if isinstance(of, Alias) else of
        if isinstance(part, Column | Table) and isinstance(table, Table):
            is_named = "parententity" in part._annotations
            if isinstance(part, Column) and not is_named:
                raise TypeError(f"select(…) names the column {table.name}.{part.name}; name it by its class")
            (named if is_named else bare).add(table)
    for table in bare - named:
        raise TypeError(f"select(…) names the table {table.name}; name its class")


def _conditions(model: type[Row]) -> list[Any]:
    has_parts = issubclass(model, HistoryRow) and not issubclass(model, Part)
    conditions = (_own, _told) if has_parts else (_own,)
    return [with_loader_criteria(model, one, include_aliases=True) for one in conditions]


# Functions, since SQLAlchemy does not turn an expression of a class into one of its aliases; with the parameters' names
# in them, since it takes globals for parameters.


def _own(row: Any) -> Any:
    return row.session_id == bindparam("turnkeeper_session")


def _told(row: Any) -> Any:
    return of_parts_in(row, "turnkeeper_parts")
