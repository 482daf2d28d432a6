"""Selects of a world's own, bounded to one session: whatever they say, they read its rows and no other's.

A statement is looked at once, and is kept bounded for as long as there is the statement: one that a world keeps, with
parameters for what changes, costs a third of one that is made for each call.
"""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import CompoundSelect, Select, Table, bindparam
from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.sql import visitors

from engine.models import STANDING_PARTS, HistoryRow, Part, Row, of_parts_in, table_of

_BOUNDED: "WeakKeyDictionary[Any, dict[tuple[type[Row], ...], Any]]" = WeakKeyDictionary()


def within(statement: Any, models: tuple[type[Row], ...]) -> Any:
    """A select of these Row classes with what bounds it to a session. Raises TypeError for others."""
    if not isinstance(statement, Select | CompoundSelect):
        raise TypeError(f"select(…) takes a select of Row classes, received {statement!r:.80}")
    known = _BOUNDED.setdefault(statement, {})
    if models not in known:
        known[models] = _bounded(statement, models)
    return known[models]


def values(row_set: int, told: tuple[int, ...], standing: tuple[int, ...]) -> Mapping[str, Any]:
    """What the parameters are of a session with these parts that stand or stood, and those that stand."""
    return {"turnkeeper_session": row_set, "turnkeeper_parts": (0, *told), STANDING_PARTS: (0, *standing)}


def _bounded(statement: Any, models: tuple[type[Row], ...]) -> Any:
    read = {part for part in visitors.iterate(statement) if isinstance(part, Table)}
    for part in read.difference(map(table_of, models)):
        raise TypeError(f"select(…) reads {part.name}, which is no table of this world's sessions")
    conditions = [one for model in models if table_of(model) in read for one in _conditions(model)]
    return statement.options(*conditions)


def _conditions(model: type[Row]) -> list[Any]:
    has_parts = issubclass(model, HistoryRow) and not issubclass(model, Part)
    conditions = (_own, _told) if has_parts else (_own,)
    return [with_loader_criteria(model, one, include_aliases=True) for one in conditions]


# Functions, since SQLAlchemy does not turn an expression of a class into one of its aliases.


def _own(row: Any) -> Any:
    return row.session_id == bindparam("turnkeeper_session")


def _told(row: Any) -> Any:
    return of_parts_in(row, "turnkeeper_parts")
