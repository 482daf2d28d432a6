"""Parts: rows of history that are written ahead in short transactions, and that one change of the session adopts.

They stand in the session's own row set, with their part's number as the upper
half of their id, and no read sees them before a row of the world's Part table
has that number. Until then a hidden row of `session` says that they are there:
adopting deletes it in the same transaction; what is given up, or was left by a
killed process, is deleted in short transactions.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy import JSON, Table
from sqlmodel import SQLModel

from engine.bites import SECONDS as SECONDS
from engine.bites import drain, put
from engine.copying import Piece
from engine.definition import Definition
from engine.errors import InvalidArguments, NotFound, StoreError
from engine.failpoints import reach
from engine.limits import check_stored, size
from engine.models import HistoryRow, Part, table_of
from engine.present import bring
from engine.registry import Registry
from engine.store import hidden
from engine.store.records import Transaction
from engine.store.schema import PART_BITS
from engine.store.stores import Store
from engine.types import Written, dumped, storable

ROWS = 200
"""Rows of a piece."""
DELETED = 100
"""Rows that are deleted at once."""

logger = logging.getLogger(__name__)
_PLAIN: Mapping[type, tuple[type, ...]] = {int: (int, bool), float: (float, int), str: (str,), bool: (bool, int)}
"""What a column of a kind takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A part that is being written: into which row set of which session, and what its session weighed then."""

    definition: Definition
    session_id: int
    rows_id: int
    hidden_id: int
    part: int
    stored: int

    def written(self, counted: "Counted", revision: int) -> Written:
        """What came of it."""
        return Written(
            part=self.part,
            count=counted.rows,
            revision=revision,
            bytes=counted.bytes,
            session_id=self.session_id,
            rows_id=self.rows_id,
            hidden_id=self.hidden_id,
        )


@dataclass(slots=True)
class Counted:
    """How many rows were made, and what they weigh as JSON."""

    rows: int = 0
    bytes: int = 0


def begin(transaction: Transaction, definition: Definition, session_id: int) -> Begun:
    """Begin a part of a session. Raises NotFound if it is gone; Large if it has to be brought to its version before."""
    record = transaction.session_by_id(session_id)
    if record is None:
        raise NotFound("The session was erased meanwhile.")
    bring(transaction, definition, record)
    part = _next(transaction, definition, record.rows_at)
    return Begun(
        definition=definition,
        session_id=record.id,
        rows_id=record.rows_at,
        hidden_id=hidden.insert_part(transaction, record, part),
        part=part,
        stored=record.stored,
    )


def check_model(definition: Definition, model: type[SQLModel]) -> None:
    """Insist that rows of a class can be written ahead. Raises TypeError."""
    if definition.parts is None:
        raise TypeError(f"{definition.name} has no Part table, whose rows say which parts stand; declare one")
    if model not in definition.rows or not issubclass(model, HistoryRow) or issubclass(model, Part):
        raise TypeError(f"write_ahead(…) takes a HistoryRow class of {definition.name}, received {model!r}")


def write(
    store: Store,
    begun: Begun,
    model: type[SQLModel],
    rows: Iterable[Mapping[str, Any]],
    *,
    revision: int,
    told: Callable[[], object] = lambda: None,
) -> Written:
    """Write a part's rows; `told` is called after each transaction. What it raises, and what `rows` does, ends it.

    Raises Conflict if the session is gone or shows other rows; LimitExceeded; InvalidArguments.
    """
    reach("part_begun")
    counted = Counted()
    version = begun.definition.version

    def attempt(work: Callable[[Transaction], int]) -> int:
        def touched(transaction: Transaction) -> int:
            hidden.touch_part(transaction, begun.hidden_id, begun.session_id, version)
            return work(transaction)

        return store.write(touched)

    def after(_: int) -> None:
        reach("part_mid")
        told()

    def checked() -> Iterator[Mapping[str, Any]]:
        for row in _filled(begun, model, rows, counted):
            yield row
            if counted.rows % ROWS == 0:
                check_stored(begun.stored + counted.bytes, store.limits)
        check_stored(begun.stored + counted.bytes, store.limits)

    put(attempt, _pieces(table_of(model), checked()), after)
    reach("part_written")
    return begun.written(counted, revision)


def give_up(store: Store, definition: Definition | None, written: Iterable[Written | Begun]) -> None:
    """Delete the rows of parts that were not adopted. What the database does not do now is left to be swept."""
    for one in written:
        try:
            if store.write(partial(hidden.drop_part, hidden_id=one.hidden_id)):
                _delete(store, definition, one.hidden_id, one.rows_id, one.part)
        except StoreError:
            logger.warning("part %d of row set %d is left to be swept", one.part, one.rows_id, exc_info=True)


def sweep(store: Store, registry: Registry, before: datetime) -> int:
    """Delete the rows of parts that were dropped, or that nobody wrote to since `before`; how many parts it were."""
    swept = 0
    for hidden_id, world, rows_id, part in store.read(partial(hidden.left_parts, before=before)):
        definition = registry.definition(world)
        if definition is None:
            continue  # whose tables are not known here, and with whose sessions they go
        store.write(partial(hidden.drop_part, hidden_id=hidden_id, before=before))
        if store.read(partial(hidden.is_dropped, hidden_id=hidden_id)):
            _delete(store, definition, hidden_id, rows_id, part)
            swept += 1
    return swept


def _delete(store: Store, definition: Definition | None, hidden_id: int, rows_id: int, part: int) -> None:
    first = part << PART_BITS
    last = first + (1 << PART_BITS) - 1
    still = partial(hidden.is_dropped, hidden_id=hidden_id)

    def some(transaction: Transaction, table: Table) -> bool:
        lowest = hidden.lowest_between(transaction, table, rows_id, first, last)
        if lowest is not None:
            hidden.delete_between(transaction, table, rows_id, lowest, min(last, lowest + DELETED - 1))
        return lowest is not None

    for table in _tables(definition):
        drain(store, partial(some, table=table), still)
    store.write(partial(_forget, hidden_id=hidden_id))


def _forget(transaction: Transaction, hidden_id: int) -> None:
    if hidden.is_dropped(transaction, hidden_id):
        hidden.delete_row(transaction, hidden_id)


def _tables(definition: Definition | None) -> list[Table]:
    """The tables of which rows are written ahead."""
    models = () if definition is None else definition.rows
    return [table_of(row) for row in models if issubclass(row, HistoryRow) and not issubclass(row, Part)]


def _next(transaction: Transaction, definition: Definition, rows_id: int) -> int:
    """The number of a new part of a row set: above all others, so that what is told later has the higher ids."""
    own = 0 if definition.parts is None else hidden.highest(transaction, table_of(definition.parts), rows_id)
    told = (hidden.highest(transaction, table, rows_id) >> PART_BITS for table in _tables(definition))
    return 1 + max(own, hidden.highest_part(transaction, rows_id), *told)


@dataclass(frozen=True, slots=True)
class _Columns:
    """What the columns of a table take, and what a row has in them that says nothing of them."""

    name: str
    defaults: Mapping[str, Any]
    kinds: Mapping[str, tuple[type, ...] | None]
    """None where a value is the database's to judge."""
    required: frozenset[str] = field(default_factory=frozenset)
    texts: frozenset[str] = field(default_factory=frozenset)
    keys: int = 0
    """Bytes of the names of the columns in a row's JSON."""


def _filled(
    begun: Begun, model: type[SQLModel], rows: Iterable[Mapping[str, Any]], counted: Counted
) -> Iterator[Mapping[str, Any]]:
    """Rows with all their columns. Raises InvalidArguments for one that cannot be kept."""
    columns = _columns(model)
    first, fixed = begun.part << PART_BITS, {"session_id": begun.rows_id, "since": 0, "until": None}
    for number, row in enumerate(rows, 1):
        if not columns.required <= row.keys():
            missing = ", ".join(sorted(columns.required - row.keys()))
            raise InvalidArguments(f"row {number} for {columns.name} lacks {missing}.")
        counted.bytes += columns.keys
        for name, value in row.items():
            is_plain = value.__class__ is str and value.isascii() and name in columns.texts and "\0" not in value
            counted.bytes += len(value) if is_plain else _weighed(columns, number, name, value)
        counted.rows = number
        yield {**columns.defaults, **row, **fixed, "id": first | number}


def _weighed(columns: _Columns, number: int, name: str, value: Any) -> int:
    """The bytes of a value as JSON. Raises InvalidArguments if the column cannot hold it."""
    kind = columns.kinds.get(name, ())
    if kind is not None and not isinstance(value, kind):
        raise _unfit(columns, number, name, value)
    if value.__class__ is str:
        if storable(value) == value:
            return size(value)
        raise InvalidArguments(
            f"row {number} for {columns.name}: {name} has NUL or half a character in it, which no database keeps.",
            hint="Replace such characters first: engine.storable does.",
        )
    return len(dumped(value)) if isinstance(value, dict | list) else 8


def _unfit(columns: _Columns, number: int, name: str, value: Any) -> InvalidArguments:
    if name not in columns.kinds:
        hint = f"It may have {', '.join(columns.kinds)}; the engine gives id, since and until."
        return InvalidArguments(
            f"row {number} for {columns.name} has {name!r}, which is none of its columns.", hint=hint
        )
    return InvalidArguments(f"row {number} for {columns.name}: {name} cannot be {value!r:.80}.")


def _columns(model: type[SQLModel]) -> _Columns:
    own = {column.name: column for column in table_of(model).columns}
    given = {name: column for name, column in own.items() if name not in ("session_id", "id", "since", "until")}
    fields = {name: model.model_fields[name] for name in given}
    return _Columns(
        name=model.__name__,
        defaults={
            name: one.get_default(call_default_factory=True) for name, one in fields.items() if not one.is_required()
        },
        kinds={name: _kinds(column) for name, column in given.items()},
        texts=frozenset(name for name, column in given.items() if str in (_kinds(column) or ())),
        required=frozenset(name for name, one in fields.items() if one.is_required()),
        keys=sum(len(name) + len('"":"",') for name in own) + len('{"id":12345678901234567890,"since":0,"until":null}'),
    )


def _kinds(column: Any) -> tuple[type, ...] | None:
    sort = getattr(column.type, "impl_instance", column.type)
    kind = None if isinstance(sort, JSON) else _PLAIN.get(sort.python_type)
    if kind is None:
        return None
    return (*kind, type(None)) if column.nullable else kind


def _pieces(table: Table, rows: Iterator[Mapping[str, Any]]) -> Iterator[Piece]:
    while some := list(islice(rows, ROWS)):
        yield partial(_insert, table=table, rows=some)


def _insert(transaction: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    transaction.insert_many(table, rows)
