"""Copies of sessions and row sets, as pieces: each so small that a short transaction holds some of them."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import chain, groupby, islice
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Table, insert, select

from engine.definition import Definition
from engine.models import values_of
from engine.pasts import Laid, Overlay, count_rows, shown_by, taken_back
from engine.present import model_of, told_rows
from engine.references import Placed, Values, in_circle, row_groups, table_groups
from engine.store.hidden import SNAPSHOT, size_of
from engine.store.records import Entry, Record, Transaction

T = TypeVar("T")

Piece: TypeAlias = Callable[[Transaction], None]
"""Some writing that takes about a millisecond, and can be done over if its transaction fails."""
ROWS = 50
"""Rows of a piece."""
REST = 0.0005
"""Seconds of rest."""
ENTRIES = 20
"""Journal entries of a piece."""
CHARACTERS = 1024 * 1024
"""Of a journal that is copied in one transaction."""


def is_large(transaction: Transaction, definition: Definition, record: Record, revision: int, most: int) -> bool:
    """Whether a session's past is too much to be copied in one transaction."""
    if record.revision - revision > most:
        return True
    entries, characters = size_of(transaction, record.id, revision, most + 1)
    sets = shown_by(transaction, record).between(record.floor, revision)
    rows = sum(count_rows(transaction, definition, rows_id, most + 1) for rows_id in sets)
    return entries + rows > most or characters > CHARACTERS


def session_pieces(
    source: Transaction, definition: Definition, record: Record, revision: int, into: Mapping[int, int]
) -> Iterator[Piece]:
    """A session's past up to a revision, but no keys and claims: journal, snapshots, row sets. `into` maps ids.

    A row set that only the past before the floor showed is left out.
    """
    shown = shown_by(source, record)
    entries = (_moved(entry, into, record.floor) for entry in _entries(source, record.id, revision))
    yield from (appended(some) for some in in_parts(entries, ENTRIES))
    yield from _snapshot_pieces(source, record, revision, into[record.id])
    for rows_id in shown.between(record.floor, revision):
        overlay = taken_back(source, definition, shown, rows_id, after=revision, upto=record.revision)
        yield from row_pieces(source, definition, rows_id, overlay, into[rows_id], revision)


def row_pieces(
    source: Transaction,
    definition: Definition,
    rows_id: int,
    overlay: Overlay,
    into: int,
    revision: int | None = None,
) -> Iterator[Piece]:
    """A row set, but for what is otherwise in the overlay, and what was written ahead and not adopted by a revision."""
    for group in table_groups(definition.rows):
        found = chain.from_iterable(_rows(source, definition, table, rows_id, overlay, revision) for table in group)
        yield from placed_pieces(found, into, circle=in_circle(group))


def placed_pieces(rows: Iterable[Placed], into: int, *, circle: bool) -> Iterator[Piece]:
    """Rows to be written into a row set; `circle` if they may refer to each other: then they are put in order."""
    groups = row_groups(list(rows)) if circle else ([row] for row in rows)
    held: list[Placed] = []
    for group in groups:
        held += group
        if len(held) >= ROWS:
            yield _inserted(held, into, circle)
            held = []
    if held:
        yield _inserted(held, into, circle)


def in_parts(things: Iterable[T], most: int) -> Iterator[list[T]]:
    """Things, a few at a time."""
    source = iter(things)
    while some := list(islice(source, most)):
        yield some


def paced(things: Iterable[T], every: int = 20) -> Iterator[T]:
    """Things, with a short rest after some: else others would have the interpreter only every 5 ms."""
    for number, thing in enumerate(things, 1):
        yield thing
        if number % every == 0:
            time.sleep(REST)


def _rows(
    source: Transaction, definition: Definition, table: Table, rows_id: int, overlay: Overlay, revision: int | None
) -> Iterator[Placed]:
    """The rows of a table in a row set: those that stand as they are, then those of the overlay."""
    model = model_of(definition, table.name)
    laid = [(values_of(model, one.image), one.stands) for one in paced(_by_key(overlay.get(table.name, {})))]
    names = [column.name for column in table.primary_key if column.name != "session_id"]
    replaced = {_key(values, names) for values, _ in laid}
    columns = [column for column in table.c if column.name != "session_id"]
    mine = (table.c.session_id == rows_id, *told_rows(source, definition, model, rows_id, revision))
    statement = select(*columns).where(*mine).order_by(*table.primary_key)
    for row in paced(source.run(statement, page=500, of=rows_id).mappings()):
        values: Values = dict(row)
        if not replaced or _key(values, names) not in replaced:
            yield table, values
    yield from ((table, values) for values, stands in laid if stands)


def _by_key(laid: Mapping[str, Laid]) -> list[Laid]:
    keys = {key: json.loads(key) for key in paced(laid)}
    return [laid[key] for key in sorted(laid, key=keys.__getitem__)]


def _key(values: Values, names: list[str]) -> tuple[Any, ...]:
    """A row's key. Times lose their zone, as they do in a column without one."""
    key = [values[name] for name in names]
    return tuple(value.replace(tzinfo=None) if isinstance(value, datetime) else value for value in key)


def _inserted(rows: list[Placed], into: int, circle: bool) -> Piece:
    def write(transaction: Transaction) -> None:
        if circle:
            transaction.defer_references()
        for table, some in groupby(rows, key=lambda row: row[0]):
            given = [{**values, "session_id": into} for _, values in some]
            transaction.run(insert(table), given)

    return write


def appended(entries: list[Entry]) -> Piece:
    """The writing of some journal entries."""

    def write(transaction: Transaction) -> None:
        for entry in entries:
            transaction.append(entry)

    return write


def _entries(source: Transaction, session_id: int, revision: int) -> Iterator[Entry]:
    """A journal up to a revision, read a little at a time."""
    after = 0
    while some := list(source.entries(session_id, after=after, limit=ENTRIES)):
        yield from (entry for entry in some if entry.revision <= revision)
        after = some[-1].revision
        if after >= revision:
            return


def _moved(entry: Entry, into: Mapping[int, int], floor: int) -> Entry:
    named = entry.adopted if entry.revision >= floor or entry.adopted in into else None
    adopted = None if named is None else into[named]
    return replace(entry, session_id=into[entry.session_id], adopted=adopted, key=None, shared=None)


def _snapshot_pieces(source: Transaction, record: Record, revision: int, into: int) -> Iterator[Piece]:
    own = SNAPSHOT.c
    found = source.run(
        select(own.revision, own.rows).where(own.session_id == record.id, own.revision <= revision),
        page=1,
    )
    for at, rows in found:
        kept = {"session_id": into, "revision": at, "rows": rows}
        yield _kept(kept)


def _kept(snapshot: Mapping[str, Any]) -> Piece:
    def write(transaction: Transaction) -> None:
        transaction.run(insert(SNAPSHOT).values(**snapshot))

    return write
