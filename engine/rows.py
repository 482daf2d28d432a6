"""A world's tables: Row classes, and the methods through which one session's rows are read and written.

Every write goes through the ORM session of the transaction, where its images
before and after are taken for the journal; what would go around it is refused.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError
from sqlalchemy import (
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    UniqueConstraint,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Field, SQLModel
from sqlmodel import Session as DbSession

from engine.errors import DefinitionError, InvalidArguments, Refused
from engine.limits import check_rows
from engine.store.records import Transaction
from engine.store.schema import Large
from engine.touched import Touched, by_key, key_of, own_key
from engine.touched import table_of as table_of
from engine.types import Json, RowChange

NAME_LIMIT = 63
"""Characters of a table's name that every database takes."""


class Row(SQLModel):
    """Base of a world's tables. The engine adds `session_id` as leading key, fills it and filters by it."""

    session_id: int = Field(default=None, primary_key=True, foreign_key="session.id", ondelete="CASCADE", exclude=True)

    def __init_subclass__(cls, **options: Any) -> None:
        if "__tablename__" not in vars(cls):
            cls.__tablename__ = table_name(cls)
        check_unused(cls)
        super().__init_subclass__(**options)


AnyRow = TypeVar("AnyRow", bound=Row)
AnyModel = TypeVar("AnyModel", bound=SQLModel)


def table_name(row: type) -> str:
    """`<module>__<class>` in snake case, so that tables of two modules never meet: `worlds.cart` gives `cart__line`."""
    parts = [part for part in row.__module__.split(".") if part not in ("worlds", "__main__")]
    return f"{'_'.join(parts) or 'main'}__{snake(row.__name__)}"


def snake(name: str) -> str:
    """`CartLine` as `cart_line`."""
    return "".join(f"_{char.lower()}" if char.isupper() and index else char.lower() for index, char in enumerate(name))


class Rows:
    """One session's rows and the shared ones in one transaction, and the images of those it touched."""

    def __init__(self, transaction: Transaction, session_id: int) -> None:
        """`session_id` is the row set: a record's `rows_at`."""
        self._transaction = transaction
        self._session_id = session_id
        self._touched = Touched()
        self._locked = Touched()
        self._only_read = Touched()
        self._used = False
        self._failure: SQLAlchemyError | None = None
        self.writable = transaction.writable

    @property
    def db(self) -> DbSession:
        """The ORM session, watched."""
        self._transaction.check_time()
        db = self._transaction.db_of(self._session_id)
        if not self._used:
            self._used = True
            event.listen(db, "do_orm_execute", _refuse_bulk)
            if any(db.is_modified(row) for row in db.dirty):
                raise TypeError("a guard changed a row; guards only read, change rows in an action")
        return db

    @property
    def shared_db(self) -> DbSession:
        """The ORM session of the shared rows: of the database itself, also where the session's are read from a copy."""
        own = self.db
        return own if self.writable else self._transaction.db

    @property
    def most(self) -> int:
        """How many rows a transaction may touch."""
        return self._transaction.limits.rows

    def all(
        self, model: type[AnyRow], where: Iterable[Any], order_by: Any | None, equals: Mapping[str, Any]
    ) -> list[AnyRow]:
        """The session's rows of a table that fit."""
        self.flush()
        columns = table_of(model).c
        statement = select(model).where(columns.session_id == self._session_id, *where).filter_by(**equals)
        ordered = statement.order_by(*table_of(model).primary_key) if order_by is None else statement.order_by(order_by)
        found = list(self.db.scalars(ordered.limit(self.most + 1)))
        self._taken(found)
        return found

    def find(self, model: type[AnyRow], key: Mapping[str, Any]) -> AnyRow | None:
        """The session's row of that key, or None."""
        names = [column.name for column in own_key(model)]
        if sorted(key) != sorted(names):
            raise TypeError(f"find({model.__name__}) takes the key {', '.join(names)}, received {', '.join(key)}")
        self.flush()
        found = by_key(self.db, model, self._session_id, key)
        self._taken([found] if found else [])
        return found

    def count(self, model: type[AnyRow], where: Iterable[Any], equals: Mapping[str, Any]) -> int:
        """How many of the session's rows of a table fit."""
        self.flush()
        table = table_of(model)
        statement = select(func.count()).select_from(model).where(table.c.session_id == self._session_id, *where)
        return int(self.db.scalar(statement.filter_by(**equals)) or 0)

    def add(self, model: type[AnyRow], values: Mapping[str, Any]) -> AnyRow:
        """A new row, validated. Raises InvalidArguments; Refused if the key is taken."""
        self.insist_on_writing()
        row = validated(model, {**self._numbered(model, values), "session_id": self._session_id})
        key = key_of(row)
        if by_key(self.db, model, self._session_id, key) is not None:
            raise Refused("already_there", f"There is a {model.__name__} {key} already.")
        self._touched.made(row)
        self._taken()
        self.db.add(row)
        self.flush()
        return row

    def remove(self, row: AnyRow) -> None:
        """Delete a row."""
        self.insist_on_writing()
        self._touched.gone(row)
        self.db.delete(row)
        self.flush()

    def flush(self) -> None:
        """Write what was changed so far, so that queries see it."""
        if not self._used:
            return
        if self._failure is not None:
            raise self._failure
        changed = [row for row in self.db.dirty if self.db.is_modified(row)]
        if changed:
            self.insist_on_writing()
        for row in changed:
            _refuse_new_key(row)
            if not self._known(row):
                raise TypeError(_only_read(type(row).__name__))
            validated(type(row), row.model_dump())
        self._refuse_strangers()
        try:
            with self._transaction.journaled():
                self.db.flush()
        except SQLAlchemyError as error:
            self._failure = error
            raise

    def changes(self) -> tuple[RowChange, ...]:
        """What became of the session's rows touched: each once, as it was first and is last."""
        self._touched.flag_mutations()
        self.flush()
        return self._touched.changes()

    def shared_changes(self) -> tuple[RowChange, ...]:
        """What became of the shared rows touched."""
        self.refresh()
        for change in self._only_read.changes():
            raise TypeError(_only_read(change.table))
        return self._locked.changes()

    def hold(self, rows: Iterable[SQLModel]) -> None:
        """Take up shared rows that are locked: they may be changed."""
        for row in rows:
            self._only_read.forget(row)
            self._locked.seen((row,))
        self._taken()

    def hold_new(self, row: SQLModel) -> None:
        """Write a new shared row."""
        self._locked.made(row)
        self._taken()
        self.db.add(row)
        self.flush()

    def drop(self, row: SQLModel) -> None:
        """Delete a shared row. Raises TypeError if it is not locked."""
        if row not in self._locked:
            raise TypeError(f"a {type(row).__name__} is removed that is not locked; take it by shared(…).lock")
        self._locked.gone(row)
        self.db.delete(row)
        self.flush()

    def look_at(self, rows: Collection[SQLModel]) -> None:
        """Take up shared rows that may not be changed; a list or dict in them could be, which only images show."""
        self._transaction.watch()
        check_rows(len(rows), self._transaction.limits)
        for row in rows:
            if row not in self._locked and any(isinstance(value, list | dict) for value in vars(row).values()):
                self._only_read.seen((row,))

    def refresh(self) -> None:
        """Write what was changed, also in place, before locked rows are read anew."""
        self._locked.flag_mutations()
        self.flush()

    def put(self, model: type[SQLModel], before: Mapping[str, Json] | None, after: Mapping[str, Json] | None) -> None:
        """Take out the row of one image and put in that of another: how undo, redo and fork write."""
        table, connection = table_of(model), self.db.connection()
        with self._transaction.journaled():
            if before is not None:
                values = values_of(model, before)
                key = [table.c[column.name] == values[column.name] for column in own_key(model)]
                connection.execute(table.delete().where(table.c.session_id == self._session_id, *key))
            if after is not None:
                connection.execute(table.insert().values(session_id=self._session_id, **values_of(model, after)))

    def _numbered(self, model: type[AnyRow], values: Mapping[str, Any]) -> Mapping[str, Any]:
        table = table_of(model)
        for column in table.primary_key:
            if column.name != "session_id" and values.get(column.name) is None and column.type.python_type is int:
                highest = select(func.max(column)).where(table.c.session_id == self._session_id)
                return {**values, column.name: (self.db.scalar(highest) or 0) + 1}
        return values

    def _taken(self, rows: Iterable[SQLModel] = ()) -> None:
        self._transaction.watch()
        self._touched.seen(rows)
        check_rows(len(self._touched) + len(self._locked), self._transaction.limits)

    def _known(self, row: SQLModel) -> bool:
        return row in self._touched or row in self._locked

    def _refuse_strangers(self) -> None:
        if any(not self._known(row) for row in self.db.new):
            raise TypeError("a new row that the journal does not know; make it with rows(…).add(…)")
        if any(not (self._touched.lacks(row) or self._locked.lacks(row)) for row in self.db.deleted):
            raise TypeError("a row was deleted behind the journal's back; remove it with rows(…).remove(…)")

    def insist_on_writing(self) -> None:
        """Insist that this is an action. Raises TypeError."""
        if not self.writable:
            raise TypeError("guards, resources and read-only actions only read; change rows in an action")


@dataclass(frozen=True, slots=True)
class RowSet(Generic[AnyRow]):
    """One session's rows of one table. Iterating gives them by key; `len` and truth count them."""

    model: type[AnyRow]
    _open: Callable[[], AbstractContextManager[Rows]]

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.where())

    def __len__(self) -> int:
        with self._open() as rows:
            return rows.count(self.model, (), {})

    def where(self, *conditions: Any, order_by: Any = None, **equals: Any) -> list[AnyRow]:
        """The rows that fit SQLAlchemy conditions and values, by key unless `order_by`."""
        with self._open() as rows:
            return rows.all(self.model, conditions, order_by, equals)

    def count(self, *conditions: Any, **equals: Any) -> int:
        """How many rows fit."""
        with self._open() as rows:
            return rows.count(self.model, conditions, equals)

    def find(self, **key: Any) -> AnyRow | None:
        """The row of that key, or None."""
        with self._open() as rows:
            return rows.find(self.model, key)

    def add(self, **values: Any) -> AnyRow:
        """A new row, validated; an integer key left out is the next free one. Raises Refused, InvalidArguments."""
        with self._open() as rows:
            return rows.add(self.model, values)

    def remove(self, row: AnyRow) -> None:
        """Delete a row."""
        with self._open() as rows:
            rows.remove(row)


def fit_row(row: type[SQLModel]) -> None:
    """Have every database keep a table alike: integers of 64 bits, foreign keys that can wait for the commit."""
    for column in table_of(row).columns:
        if type(column.type) is Integer:
            column.type = Large
    for constraint in table_of(row).foreign_key_constraints:
        constraint.deferrable = True
        _index(table_of(row), [column.name for column in constraint.columns])


def _index(table: Table, names: list[str]) -> None:
    """Index what refers to other rows: each deletion of one of those looks for what refers to it."""
    known = [table.primary_key.columns, *(index.columns for index in table.indexes)]
    if not any([column.name for column in columns][: len(names)] == names for columns in known):
        Index(None, *(table.c[name] for name in names))


def check_row(row: type[Row]) -> None:
    """Insist that a Row class can be kept: a table, with a key of its own. Raises DefinitionError."""
    if not (isinstance(row, type) and issubclass(row, Row)):
        raise DefinitionError(f"rows= names {row!r}, which is no Row class.", hint="Write `class …(Row, table=True)`.")
    if not hasattr(row, "__table__"):
        raise DefinitionError(f"{row.__name__} is not a table.", hint=f"Write `class {row.__name__}(Row, table=True)`.")
    if len(table_of(row).primary_key) < 2:
        raise DefinitionError(f"{row.__name__} has no key of its own.", hint="Mark a column `Field(primary_key=True)`.")
    check_name(row)
    check_stored(row)
    for columns in _unique(table_of(row)):
        if "session_id" not in columns:
            raise DefinitionError(
                f"{row.__name__}: {', '.join(columns)} would be unique among all sessions together.",
                hint=f"Write `__table_args__ = (UniqueConstraint({', '.join(map(repr, ('session_id', *columns)))}),)`.",
            )
    for constraint in table_of(row).foreign_key_constraints:
        _check_reference(row, constraint)


def check_name(row: type[SQLModel]) -> None:
    """Insist that databases take a table's name. Raises DefinitionError."""
    name = table_of(row).name
    if len(name) > NAME_LIMIT:
        raise DefinitionError(
            f"{row.__name__}: the table {name} has {len(name)} characters; databases take {NAME_LIMIT}.",
            hint='Give it a shorter one: `__tablename__ = "…"` in the class.',
        )


def check_unused(row: type[SQLModel]) -> None:
    """Insist that no other class has a class's table. Raises DefinitionError."""
    name = str(row.__tablename__)
    if name in SQLModel.metadata.tables or name == "turnkeeper":  # which every exported session has
        raise DefinitionError(
            f"{row.__name__}: there is a table {name} already.",
            hint='Name the class otherwise, or give it `__tablename__ = "…"`.',
        )


def check_stored(row: type[SQLModel]) -> None:
    """Insist that the journal's JSON can say what a table's columns hold. Raises DefinitionError."""
    for column in table_of(row).columns:
        if isinstance(column.type, LargeBinary):
            raise DefinitionError(
                f"{row.__name__}.{column.name} holds bytes, which the journal's JSON cannot.",
                hint="Keep text: `base64.b64encode(…).decode()` in a str column.",
            )
        if isinstance(column.type, Numeric) and not isinstance(column.type, Float):
            raise DefinitionError(
                f"{row.__name__}.{column.name} is a Decimal, of which databases keep other digits than the journal.",
                hint="Keep an int in the smallest unit, such as cents, or a str column.",
            )


def _check_reference(row: type[Row], constraint: ForeignKeyConstraint) -> None:
    names = list(constraint.column_keys)
    if names == ["session_id"]:
        return
    if "session_id" not in names:
        raise DefinitionError(
            f"{row.__name__}: the foreign key {', '.join(names)} would reach into other sessions.",
            hint="Write a ForeignKeyConstraint whose columns begin with session_id on both sides.",
        )
    if constraint.ondelete or constraint.onupdate:
        raise DefinitionError(
            f"{row.__name__}: the foreign key {', '.join(names)} lets the database change rows past the journal.",
            hint="Leave ondelete and onupdate out, and change the rows in the action.",
        )


def _unique(table: Table) -> Iterator[list[str]]:
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield [column.name for column in constraint.columns]
    for index in table.indexes:
        if index.unique:
            yield [column.name for column in index.columns]


def validated(model: type[AnyModel], values: Mapping[str, Any]) -> AnyModel:
    """A row of these values. Raises InvalidArguments."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidArguments(f"{model.__name__}.{'.'.join(map(str, first['loc']))}: {first['msg']}.") from None


def values_of(model: type[SQLModel], values: Mapping[str, Json]) -> dict[str, Any]:
    """The values by column that an image stands for."""
    known = {name: value for name, value in values.items() if name in model.model_fields}
    row = model.model_validate({**known, "session_id": 0})
    return {name: getattr(row, name) for name in known}


def _only_read(what: str) -> str:
    return (
        f"a {what} was changed that the journal does not know; take the row to change by rows(…).find or .where,"
        " or a shared one by shared(…).lock"
    )


def _refuse_new_key(row: object) -> None:
    state: Any = inspect(row)
    for column in state.mapper.primary_key:
        if state.attrs[column.name].history.deleted:
            raise TypeError(f"the key {column.name} of a {type(row).__name__} cannot change; remove it and add another")


def _refuse_bulk(execution: ORMExecuteState) -> None:
    if execution.is_update or execution.is_delete or execution.is_insert:
        raise TypeError("a bulk statement would escape the journal; load the rows and change them")
