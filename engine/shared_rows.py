"""A world's tables for all its sessions: reading them, and locking what is to be changed.

A row that is only read may be stale by the commit, so it cannot be changed:
what an action decides on, it locks. Locked rows are taken in the order of their
keys, and stay locked until the transaction's end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Connection, func, select
from sqlmodel import SQLModel

from engine.errors import DefinitionError, EngineError, Refused
from engine.models import check_name, check_stored, check_unused, table_name, validated
from engine.rows import Rows
from engine.touched import key_of, own_key, table_of


class SharedRow(SQLModel):
    """Base of the tables that all sessions of a world share.

    `__public__ = True` lets the rows that a session touched go along, as copies, where it is exported.
    """

    __public__: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        if "__tablename__" not in vars(cls):
            cls.__tablename__ = table_name(cls)
        check_unused(cls)
        super().__init_subclass__(**options)


AnyShared = TypeVar("AnyShared", bound=SharedRow)
Seed = Callable[[], Iterable[SharedRow]]


@dataclass(frozen=True, slots=True)
class SharedSet(Generic[AnyShared]):
    """The shared rows of one table. Iterating gives them by key; `len` and truth count them."""

    model: type[AnyShared]
    _open: Callable[[], AbstractContextManager[Rows]]

    def __iter__(self) -> Iterator[AnyShared]:
        return iter(self.where())

    def __len__(self) -> int:
        return self.count()

    def where(self, *conditions: Any, order_by: Any = None, **equals: Any) -> list[AnyShared]:
        """The rows that fit SQLAlchemy conditions and values, by key unless `order_by`; only to read."""
        with self._open() as rows:
            return _read(rows, _selected(rows, self.model, conditions, order_by, equals))

    def count(self, *conditions: Any, **equals: Any) -> int:
        """How many rows fit."""
        with self._open() as rows:
            rows.flush()
            counted = select(func.count()).select_from(self.model).where(*conditions).filter_by(**equals)
            return int(rows.shared_db.scalar(counted) or 0)

    def find(self, **key: Any) -> AnyShared | None:
        """The row of that key, or None; only to read."""
        _check_key(self.model, "find", key)
        with self._open() as rows:
            return next(iter(_read(rows, _selected(rows, self.model, (), None, key))), None)

    def lock(self, **key: Any) -> AnyShared | None:
        """The row of that key, or None: it may be changed, and nobody else changes it until the transaction ends."""
        _check_key(self.model, "lock", key)
        return next(iter(self.lock_all(**key)), None)

    def lock_all(self, *conditions: Any, **equals: Any) -> list[AnyShared]:
        """The rows that fit, by key: they may be changed. Lock all that an action needs by one call, in one order."""
        with self._open() as rows:
            rows.insist_on_writing()
            rows.refresh()
            wanted = _selected(rows, self.model, conditions, None, equals).with_for_update(key_share=True)
            found = list(rows.shared_db.scalars(wanted.execution_options(populate_existing=True)))
            rows.hold(found)
            return found

    def add(self, **values: Any) -> AnyShared:
        """A new row, validated, with its whole key. Raises InvalidArguments; Refused if the key is taken."""
        with self._open() as rows:
            rows.insist_on_writing()
            row = validated(self.model, values)
            key = key_of(row)
            if None in key.values():
                raise TypeError(f"shared({self.model.__name__}).add takes the key {', '.join(key)}")
            if rows.shared_db.get(self.model, key) is not None:
                raise Refused("already_there", f"There is a {self.model.__name__} {key} already.")
            rows.hold_new(row)
            return row

    def remove(self, row: AnyShared) -> None:
        """Delete a row that is locked."""
        with self._open() as rows:
            rows.insist_on_writing()
            rows.drop(row)


def check_shared(row: type[SharedRow], tables: frozenset[str]) -> None:
    """Insist that a SharedRow class can be kept: a table of what JSON can say. Raises DefinitionError."""
    if not (isinstance(row, type) and issubclass(row, SharedRow)):
        raise DefinitionError(
            f"shared= names {row!r}, which is no SharedRow class.", hint="Write `class …(SharedRow, table=True)`."
        )
    if not hasattr(row, "__table__"):
        raise DefinitionError(
            f"{row.__name__} is not a table.", hint=f"Write `class {row.__name__}(SharedRow, table=True)`."
        )
    check_name(row)
    check_stored(row)
    if "session_id" in table_of(row).columns:
        raise DefinitionError(
            f"{row.__name__} has a column session_id, which the rows of one session have.",
            hint="Make it a Row, or call the column otherwise.",
        )
    for constraint in table_of(row).foreign_key_constraints:
        if any(key.target_fullname.split(".")[0] not in tables for key in constraint.elements):
            raise DefinitionError(
                f"{row.__name__}: the foreign key {', '.join(constraint.column_keys)} leads out of the shared tables.",
                hint=f"The world's shared tables are: {', '.join(sorted(tables))}.",
            )
        if constraint.ondelete or constraint.onupdate:
            raise DefinitionError(
                f"{row.__name__}: the foreign key {', '.join(constraint.column_keys)} lets the database change rows"
                " past the journal.",
                hint="Leave ondelete and onupdate out, and change the rows in the action.",
            )


def plant(connection: Connection, seed: Seed, tables: frozenset[str]) -> None:
    """Put a world's first shared rows into those of its tables that were just made. Raises DefinitionError."""
    for row in seed():
        if not isinstance(row, SharedRow):
            raise DefinitionError(f"seed= gave {row!r}, which is no SharedRow.", hint="Give rows of the shared tables.")
        if row.__tablename__ in tables:
            connection.execute(table_of(type(row)).insert(), _planted(row))


def _planted(row: SharedRow) -> dict[str, Any]:
    try:
        return validated(type(row), row.model_dump()).model_dump()
    except EngineError as error:
        raise DefinitionError(f"seed= gave a row that cannot be: {error.reason}") from error


def _selected(
    rows: Rows, model: type[AnyShared], where: Iterable[Any], order_by: Any | None, equals: Mapping[str, Any]
) -> Any:
    order = table_of(model).primary_key if order_by is None else (order_by,)
    return select(model).where(*where).filter_by(**equals).order_by(*order).limit(rows.most + 1)


def _read(rows: Rows, statement: Any) -> list[Any]:
    rows.flush()
    found = list(rows.shared_db.scalars(statement))
    rows.look_at(found)
    return found


def _check_key(model: type[SharedRow], method: str, key: Mapping[str, Any]) -> None:
    names = [column.name for column in own_key(model)]
    if sorted(key) != sorted(names):
        raise TypeError(f"{method}({model.__name__}) takes the key {', '.join(names)}, received {', '.join(key)}")
