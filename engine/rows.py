"""A world's tables: Row classes, and the methods through which one session's rows are read and written.

Every write goes through the ORM session of the transaction, where its images
before and after are taken for the journal; what would go around it is refused.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    BigInteger,
    CompoundSelect,
    Select,
    Table,
    bindparam,
    event,
    func,
    inspect,
    literal,
    select,
    tuple_,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import ORMExecuteState
from sqlmodel import Session as DbSession
from sqlmodel import SQLModel

from engine import bounds
from engine.errors import Refused
from engine.limits import check_rows
from engine.models import (
    FIRST_OF_PARTS,
    NOW,
    HistoryRow,
    Part,
    Row,
    ends_now,
    standing,
    table_of,
    validated,
    values_of,
)
from engine.store import counting, matching, search
from engine.store.hidden import adopt_part
from engine.store.matching import Matching, Told
from engine.store.records import Transaction
from engine.store.schema import PART_BITS
from engine.terms import Term, Word
from engine.touched import Touched, by_key, image, key_of, own_key
from engine.types import Json, RowChange, Written

AnyRow = TypeVar("AnyRow", bound=Row)
AnyPart = TypeVar("AnyPart", bound=Part)


class Rows:
    """One session's rows and the shared ones in one transaction, and the images of those it touched."""

    def __init__(
        self,
        transaction: Transaction,
        session_id: int,
        revision: int,
        parts: type[Part] | None,
        pinned: int | None = None,
    ) -> None:
        """`session_id` is the row set: a record's `rows_at`; `parts` the table of what was written ahead.

        `pinned` is the revision at which rows of history are read where none is named, in place of now.
        """
        self.transaction = transaction
        self._session_id = session_id
        self._revision = revision
        self._parts = parts
        self._pinned = pinned
        self._known_parts: Sequence[tuple[int, int, int | None]] | None = None
        self.adopted: list[Written] = []
        """What was written ahead and is taken in by this change."""
        self._touched = Touched()
        self._locked = Touched()
        self._only_read = Touched()
        self._used = False
        self._failure: SQLAlchemyError | None = None
        self.writable = transaction.writable

    @property
    def db(self) -> DbSession:
        """The ORM session, watched."""
        self.transaction.check_time()
        db = self.transaction.db_of(self._session_id)
        if not self._used:
            self._used = True
            event.listen(db, "do_orm_execute", _refuse_bulk)
            if any(db.is_modified(row) for row in db.dirty):
                raise TypeError("a guard changed a row; guards only read, change rows in an action")
        return db

    @property
    def _dialect(self) -> str:
        """Of the database that the session's rows are read from: a copy in present form is in one of its own."""
        return self.db.get_bind().dialect.name

    @property
    def shared_db(self) -> DbSession:
        """The ORM session of the shared rows: of the database itself, also where the session's are read from a copy."""
        own = self.db
        return own if self.writable else self.transaction.db

    @property
    def most(self) -> int:
        """How many rows a transaction may touch."""
        return self.transaction.limits.rows

    def all(
        self,
        model: type[AnyRow],
        where: Iterable[Any],
        order_by: Any | None,
        equals: Mapping[str, Any],
        at: int | None = None,
    ) -> list[AnyRow]:
        """The session's rows of a table that fit, of a table of history those that stand now, or stood `at` then."""
        self.flush()
        statement = select(model).where(*self._own(model, at), *where).filter_by(**equals)
        ordered = statement.order_by(*_in_order(model)) if order_by is None else statement.order_by(order_by)
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
        if isinstance(found, HistoryRow) and model is not self._parts and not self._is_told(found.id):
            return None
        self._taken([found] if found else [])
        return found

    def count(self, model: type[AnyRow], where: Iterable[Any], equals: Mapping[str, Any], at: int | None = None) -> int:
        """How many of the session's rows of a table fit, as `all` takes them."""
        self.flush()
        statement = select(func.count()).select_from(model).where(*self._own(model, at), *where)
        return int(self.db.scalar(statement.filter_by(**equals)) or 0)

    def add(self, model: type[AnyRow], values: Mapping[str, Any]) -> AnyRow:
        """A new row, validated. Raises InvalidArguments; Refused if the key is taken."""
        if issubclass(model, HistoryRow):
            return self.add_all(model, (values,))[0]
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

    def add_all(self, model: type[AnyRow], rows: Iterable[Mapping[str, Any]]) -> list[AnyRow]:
        """New rows, validated; those of history together. Raises InvalidArguments; Refused if a key is taken."""
        if not issubclass(model, HistoryRow):
            return [self.add(model, values) for values in rows]
        self.insist_on_writing()
        next_id = self._highest(table_of(model).c.id, below=FIRST_OF_PARTS) + 1
        made: list[AnyRow] = []
        for number, values in enumerate(rows, next_id):
            given = {"id": number, **values, "since": self._revision + 1, "until": None}
            made.append(validated(model, {**given, "session_id": self._session_id}))
            self._touched.made(made[-1])
        self._taken()
        self._parts_changed()
        self.db.add_all(made)
        self.flush()
        return made

    def remove_all(self, rows: Iterable[AnyRow]) -> None:
        """Delete rows; those of history stand no longer."""
        self.insist_on_writing()
        for row in rows:
            if isinstance(row, HistoryRow) and row.since <= self._revision:
                if row.until is not None:
                    raise TypeError(f"a {type(row).__name__} was removed before; only what stands can be")
                row.until = self._revision + 1
                self._parts_changed()
            elif isinstance(row, Part):
                raise TypeError(f"a {type(row).__name__} was removed by the change that adopted it; do not adopt it")
            else:
                self._touched.gone(row)
                self.db.delete(row)
        self.flush()

    def select(
        self,
        statement: "Select[Any] | CompoundSelect[Any]",
        models: tuple[type[Row], ...],
        values: Mapping[str, Any],
        at: int | None = None,
    ) -> Sequence[Any]:
        """What a select of these Row classes gives, as tuples, of this session's rows. Raises TypeError for others."""
        bounded = bounds.within(statement, models)
        self.flush()
        at = self.at(at)
        own = bounds.values(self._session_id, self._told_parts(), self._parts_at(at, HistoryRow), at)
        return self.db.execute(bounded, {**values, **own}).all()

    def at(self, revision: int | None) -> int | None:
        """The revision at which rows of history are read; None is now."""
        return self._pinned if revision is None else revision

    def standing(self, model: type[HistoryRow], at: int | None, of: Any = None) -> tuple[Any, ...]:
        """The conditions for which rows of history stand now, or stood at a revision; `of` is an alias of the class."""
        at = self.at(at)
        return standing(model if of is None else of, at, self._parts_at(at, model))

    def after(self, model: type[HistoryRow], last: int, of: Any = None) -> Any:
        """The condition for rows of history with an id above `last`, such that their key finds them."""
        rows: Any = model if of is None else of
        if self._dialect == "sqlite":
            return rows.id > last
        # PostgreSQL cannot tell how many rows stand, and would for each page read all that come after, and sort them.
        return tuple_(rows.session_id, rows.id) > tuple_(bindparam(bounds.SESSION), literal(last, BigInteger))

    def matching(
        self, model: type[Row], term: Term, first: int | None, name: str | None, at: int | None = None
    ) -> Matching:
        """Which of the session's rows of a searched table have a term, or had, and how well they fit."""
        self._insist_on_search(model)
        self.flush()
        return matching.matching(self._dialect, model, self._told_until(at), term, first, name)

    def having(self, model: type[Row], term: Term, name: str | None) -> Matching:
        """Which rows of a searched table have a term, and how well they fit, for those that something else finds."""
        self._insist_on_search(model)
        return matching.having(self._dialect, model, self._session_id, term, name)

    def common(self, model: type[Row], terms: Collection[Term], most: int, at: int | None = None) -> frozenset[Term]:
        """Which of some terms more than `most` of the session's rows of a searched table have, or had."""
        self._insist_on_search(model)
        self.flush()
        return counting.common(self.db.connection(), table_of(model), self._told_until(at), [*terms], most)

    def known(self, model: type[Row], words: Collection[str]) -> frozenset[str]:
        """Which of these words the session's rows of a searched table have, or had. Raises ValueError as `Word`."""
        self._insist_on_search(model)
        self.flush()
        for word in words:
            Word(word)
        return counting.known(self.db.connection(), table_of(model), self._session_id, words)

    def _insist_on_search(self, model: type[Row]) -> None:
        if search.declared(table_of(model)) is None:
            raise TypeError(f"{model.__name__} is not searched: it says `__search__` of no column of words")

    def _own(self, model: type[Row], at: int | None) -> tuple[Any, ...]:
        mine = (table_of(model).c.session_id == self._session_id,)
        return (*mine, *self.standing(model, at)) if issubclass(model, HistoryRow) else mine

    def _parts_at(self, at: int | None, model: type[HistoryRow]) -> tuple[int, ...]:
        """The parts that were written ahead and stand."""
        if self._parts is None or model is self._parts:
            return ()
        told = self._known_part_rows()
        return tuple(id for id, since, until in told if _stood(since, until, at))

    def _told_parts(self, at: int = NOW) -> tuple[int, ...]:
        """The parts that stand or stood, until a revision: of others, no read sees a row."""
        return tuple(dict.fromkeys(id for id, since, _ in self._known_part_rows() if since <= at))

    def _told_until(self, at: int | None) -> Told:
        """What was told until a revision, or until now."""
        until = self.at(at)
        until = NOW if until is None else until
        return Told(self._session_id, until, self._told_parts(until))

    def _known_part_rows(self) -> Sequence[tuple[int, int, int | None]]:
        """Of each time that a part was taken in: its number, since when it stands, and until when."""
        if self._parts is None:
            return ()
        if self._known_parts is None:
            found = self.db.connection().execute(_parts_of(table_of(self._parts)), {"row_set": self._session_id})
            pinned = self._pinned
            self._known_parts = [tuple(part) for part in found if pinned is None or part.since <= pinned]
        return self._known_parts

    def _is_told(self, id: int) -> bool:
        return id < FIRST_OF_PARTS or id >> PART_BITS in self._told_parts()

    def adopt(self, model: type[AnyPart], written: Written, values: Mapping[str, Any]) -> AnyPart:
        """The row by which the session has what was written ahead. Raises TypeError, InvalidArguments, Conflict."""
        self.insist_on_writing()
        if model is not self._parts:
            raise TypeError(f"adopt({model.__name__}, …) takes the world's Part class")
        adopt_part(self.transaction, written.hidden_id, self._session_id)
        row = self.add_all(model, ({**values, "id": written.part},))[0]
        self.adopted.append(written)
        return row

    def _parts_changed(self) -> None:
        self._known_parts = None

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
            told_before = isinstance(row, HistoryRow) and row.since <= self._revision
            if told_before and not ends_now(row, self._revision + 1):
                raise TypeError(f"a {type(row).__name__} is history, which nothing changes; remove it and add another")
            if not self._known(row):
                raise TypeError(_only_read(type(row).__name__))
            validated(type(row), row.model_dump())
        self._refuse_strangers()
        try:
            with self.transaction.journaled():
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
        self.transaction.watch()
        check_rows(len(rows), self.transaction.limits)
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
        with self.transaction.journaled():
            if before is not None:
                values = values_of(model, before)
                key = [table.c[column.name] == values[column.name] for column in own_key(model)]
                connection.execute(table.delete().where(table.c.session_id == self._session_id, *key))
            if after is not None:
                connection.execute(table.insert().values(session_id=self._session_id, **values_of(model, after)))

    def retell(self, model: type[HistoryRow], changes: Iterable[RowChange]) -> list[RowChange]:
        """Take rows of history out and put others in, as undo and redo do: none is erased, but ended or begun anew.

        Each image that no longer stands ends the row of its id that does; each that stands begins one. What became of
        the rows.
        """
        self.flush()
        ends = [one.before["id"] for one in changes if one.before and _stands(one.before) and not _stands(one.after)]
        begins = [one.after for one in changes if one.after and _stands(one.after) and not _stands(one.before)]
        done = [*self._ended(model, ends), *self._begun(model, begins)]
        self.db.expire_all()
        self._parts_changed()
        return done

    def _ended(self, model: type[HistoryRow], ids: Sequence[int]) -> Iterator[RowChange]:
        table, ended = table_of(model), self._revision + 1
        for some in in_chunks(ids):
            own = (table.c.session_id == self._session_id, table.c.id.in_(some), table.c.until.is_(None))
            found = [image(row) for row in self.db.scalars(select(model).where(*own).order_by(*table.primary_key))]
            with self.transaction.journaled():
                self.db.connection().execute(table.update().where(*own).values(until=ended))
            yield from (RowChange(str(model.__tablename__), one, {**one, "until": ended}) for one in found)

    def _begun(self, model: type[HistoryRow], then: Sequence[Mapping[str, Json]]) -> list[RowChange]:
        after = [{**one, "since": self._revision + 1, "until": None} for one in then]
        rows = [{**values_of(model, one), "session_id": self._session_id} for one in after]
        self.transaction.insert_many(table_of(model), rows)
        return [RowChange(str(model.__tablename__), None, one) for one in after]

    def _numbered(self, model: type[AnyRow], values: Mapping[str, Any]) -> Mapping[str, Any]:
        table = table_of(model)
        for column in table.primary_key:
            if column.name != "session_id" and values.get(column.name) is None and column.type.python_type is int:
                return {**values, column.name: self._highest(column) + 1}
        return values

    def _highest(self, column: Any, below: int | None = None) -> int:
        """The highest value of a column among the session's rows; 0 if there are none."""
        given = {"row_set": self._session_id, "below": below}
        return int(self.db.connection().execute(_highest_of(column, below is not None), given).scalar() or 0)

    def _taken(self, rows: Iterable[SQLModel] = ()) -> None:
        self.transaction.watch()
        self._touched.seen(rows)
        check_rows(len(self._touched) + len(self._locked), self.transaction.limits)

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
    """One session's rows of one table. Iterating gives them by key; `len` and truth count them.

    Of a table of history they are those that stand, now or `at` a revision.
    """

    model: type[AnyRow]
    _open: Callable[[], AbstractContextManager[Rows]]
    _at: int | None = None

    def __iter__(self) -> Iterator[AnyRow]:
        return iter(self.where())

    def __len__(self) -> int:
        return self.count()

    def where(self, *conditions: Any, order_by: Any = None, **equals: Any) -> list[AnyRow]:
        """The rows that fit SQLAlchemy conditions and values, by key unless `order_by`."""
        with self._open() as rows:
            return rows.all(self.model, conditions, order_by, equals, self._at)

    def count(self, *conditions: Any, **equals: Any) -> int:
        """How many rows fit."""
        with self._open() as rows:
            return rows.count(self.model, conditions, equals, self._at)

    def find(self, **key: Any) -> AnyRow | None:
        """The row of that key, or None."""
        with self._open() as rows:
            return rows.find(self.model, key)

    def add(self, **values: Any) -> AnyRow:
        """A new row, validated; an integer key left out is the next free one. Raises Refused, InvalidArguments."""
        with self._open() as rows:
            return rows.add(self.model, values)

    def add_all(self, values: Iterable[Mapping[str, Any]]) -> list[AnyRow]:
        """New rows, as `add` makes them; many of history at once cost little more than one."""
        with self._open() as rows:
            return rows.add_all(self.model, values)

    def at(self, revision: int | None) -> "RowSet[AnyRow]":
        """The rows of a table of history that stood at a revision; None is now."""
        return replace(self, _at=revision)

    @property
    def revision(self) -> int | None:
        """The revision at which rows of history are read; None is now."""
        with self._open() as rows:
            return rows.at(self._at)

    def standing(self, of: Any = None) -> tuple[Any, ...]:
        """The conditions by which a select of your own finds these rows of history; `of` is an alias of the class."""
        if not issubclass(self.model, HistoryRow):
            raise TypeError(_without_history(self.model))
        with self._open() as rows:
            return rows.standing(self.model, self._at, of)

    def after(self, last: int, of: Any = None) -> Any:
        """The condition by which a select of your own reads rows of history by pages, in the order of their ids.

        `last` is the highest id of the page before, 0 for the first; `of` is an alias of the class.
        """
        if not issubclass(self.model, HistoryRow):
            raise TypeError(_without_history(self.model))
        with self._open() as rows:
            return rows.after(self.model, last, of)

    def matching(self, term: Term, *, first: int | None = None, name: str | None = None) -> Matching:
        """Which rows of a searched table have a term, or had, for a select of your own.

        `where` are its conditions, and `rank` says how well a row fits, the larger the better. `first` are the first
        so many by `id` and `since` of those told until `at`, the same on every database. `name` is for a select that
        is made once and kept, `self.select(found.keep(make), found.values)`: its parameters have that name, another
        for each term of the select.
        """
        with self._open() as rows:
            return rows.matching(self.model, term, first, name, self._at)

    def having(self, term: Term, *, name: str | None = None) -> Matching:
        """The same, for rows that your select finds by something else: the words of each are looked at."""
        with self._open() as rows:
            return rows.having(self.model, term, name)

    def common(self, terms: Collection[Term], *, most: int) -> frozenset[Term]:
        """Which of these terms more than `most` rows of a searched table have, or had, of those told until `at`."""
        with self._open() as rows:
            return rows.common(self.model, terms, most, self._at)

    def known(self, words: Collection[str]) -> frozenset[str]:
        """Which of these words rows of a searched table have, or had. Raises ValueError as `Word`."""
        with self._open() as rows:
            return rows.known(self.model, words)

    def remove(self, row: AnyRow) -> None:
        """Delete a row; one of history stands no longer."""
        self.remove_all((row,))

    def remove_all(self, gone: Iterable[AnyRow]) -> None:
        """Delete rows, as `remove` does; many at once cost little more than one."""
        with self._open() as rows:
            rows.remove_all(gone)


# Kept, since both are asked for in every action that tells something, and making them takes longer than their answer.


@cache
def _parts_of(table: Table) -> Select[Any]:
    own = table.c.session_id == bindparam("row_set")
    return select(table.c.id, table.c.since, table.c.until).where(own).order_by(table.c.id)


@cache
def _highest_of(column: Any, bounded: bool) -> Select[Any]:
    found = select(func.max(column)).where(column.table.c.session_id == bindparam("row_set"))
    return found.where(column < bindparam("below")) if bounded else found


def in_chunks(things: Sequence[Any], most: int = 500) -> Iterator[Sequence[Any]]:
    """Things, so many at a time as one statement takes."""
    return (things[at : at + most] for at in range(0, len(things), most))


def _in_order(model: type[Row]) -> Sequence[Any]:
    """The order of rows: by key. Of history by a computed one, or SQLite reads all of it rather than sort a few."""
    columns = table_of(model).c
    return (columns.id + 0, columns.since) if issubclass(model, HistoryRow) else tuple(table_of(model).primary_key)


def _stands(image: Mapping[str, Json] | None) -> bool:
    return image is not None and image["until"] is None


def _only_read(what: str) -> str:
    return (
        f"a {what} was changed that the journal does not know; take the row to change by rows(…).find or .where,"
        " or a shared one by shared(…).lock"
    )


def _without_history(model: type[Row]) -> str:
    return f"{model.__name__} is no HistoryRow: its rows are there, or they are not"


def _refuse_new_key(row: object) -> None:
    state: Any = inspect(row)
    for column in state.mapper.primary_key:
        if state.attrs[column.name].history.deleted:
            raise TypeError(f"the key {column.name} of a {type(row).__name__} cannot change; remove it and add another")


def _refuse_bulk(execution: ORMExecuteState) -> None:
    if execution.is_update or execution.is_delete or execution.is_insert:
        raise TypeError("a bulk statement would escape the journal; load the rows and change them")


def _stood(since: int, until: int | None, at: int | None) -> bool:
    """Whether a row of history stands now, or stood at a revision."""
    return until is None if at is None else since <= at and (until is None or until > at)
