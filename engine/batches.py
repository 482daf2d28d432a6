"""Batches: what exceeds a transaction is written ahead in short ones, where no reader sees it, and shown by one change.

A batch is a hidden row of `session`, with rows, journal and further row sets
under its id. It is adopted by a change of a session (whose row set it becomes),
or published as a session of its own; else it is given up and deleted, in short
transactions too. `sweep` deletes what a killed process left.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, groupby
from typing import TypeVar

from sqlalchemy import Table, select

from engine import parts
from engine.bites import Still, drain, put
from engine.copying import Piece, in_parts
from engine.definition import Definition
from engine.errors import StoreError
from engine.failpoints import reach
from engine.pasts import count_rows
from engine.references import Placed, in_circle, row_groups, table_groups
from engine.registry import Registry
from engine.store import hidden
from engine.store.records import Record, Transaction
from engine.store.stores import Store

T = TypeVar("T")
logger = logging.getLogger(__name__)

DELETED = 50
"""Rows that are deleted at once."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is being written ahead, under its id."""

    store: Store
    definition: Definition
    owner_id: int
    id: int

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a short transaction. Raises Conflict if the batch was swept meanwhile."""

        def attempt(transaction: Transaction) -> T:
            hidden.touch(transaction, self.id)
            return work(transaction)

        return self.store.write(attempt)

    def put(self, pieces: Iterable[Piece]) -> None:
        """Write pieces, in as many transactions as it takes; they are made while none is open. Raises Conflict."""
        put(self.write, pieces, lambda _: reach("mid_batch"))

    def row_set(self) -> int:
        """A further row set, that lives and dies with the batch, or with the session that the batch becomes."""
        name, version = self.definition.name, self.definition.version
        insert = partial(hidden.insert_hidden, kind="rows", world=name, version=version, owner_id=self.owner_id)
        return self.write(partial(insert, of=self.id))

    def record(self, transaction: Transaction) -> Record:
        """The batch's row, to be changed and published. Raises Conflict if it was swept."""
        return hidden.batch_record(transaction, self.id)


@contextmanager
def begun(store: Store, definition: Definition, owner_id: int) -> Iterator[Batch]:
    """A new batch; what is neither adopted nor published when the block ends is deleted, or left for `sweep`.

    What came of the block stands, whatever becomes of the deletion.
    """
    name, version = definition.name, definition.version
    insert = partial(hidden.insert_hidden, kind="batch", world=name, version=version, owner_id=owner_id)
    batch_id = store.write(insert)
    try:
        yield Batch(store, definition, owner_id, batch_id)
    finally:
        try:
            if store.write(partial(hidden.give_up, batch_id=batch_id)):
                delete(store, definition, batch_id)
        except StoreError:
            logger.warning("batch %d is left to be swept", batch_id, exc_info=True)


def delete(store: Store, definition: Definition | None, session_id: int, still: Still | None = None) -> None:
    """Delete a hidden session and its row sets, in as many transactions as it takes, while it is `still` to go: erased.

    Where the world is not known here, the database deletes the rows of each with it, in one. Another process may be
    at it, too, and once it is gone, the database may give its id to a new one.
    """
    still = still or partial(hidden.is_erased, session_id=session_id)
    for rows_id in store.read(partial(hidden.row_sets_of, session_id=session_id)):
        _delete_rows(store, definition, rows_id, still)
        store.write(partial(_if_still, still=still, piece=partial(hidden.delete_row, session_id=rows_id)))
    _delete_rows(store, definition, session_id, still)
    for table in (hidden.SNAPSHOT, hidden.JOURNAL):
        drain(store, partial(hidden.delete_some, table=table, session_id=session_id, most=DELETED), still)
    store.write(partial(_if_still, still=still, piece=partial(hidden.delete_row, session_id=session_id)))


def sweep(store: Store, registry: Registry, before: datetime) -> int:
    """Delete erased sessions, batches and parts nobody wrote to since `before`, and row sets of no use; how many."""
    swept = 0
    for session_id, world, kind in store.read(partial(hidden.left_over, before=before)):
        if kind == "erased" or store.write(partial(hidden.give_up, batch_id=session_id, before=before)):
            delete(store, registry.definition(world), session_id)
            swept += 1
    swept += parts.sweep(store, registry, before)
    for rows_id, world in store.read(hidden.unused_rows):
        delete(store, registry.definition(world), rows_id, partial(_unused, rows_id=rows_id))
        swept += 1
    for session_id, world in store.read(hidden.resting):
        swept += _emptied(store, registry.definition(world), session_id)
    return swept


def _unused(transaction: Transaction, rows_id: int) -> bool:
    return bool(hidden.unused_rows(transaction, rows_id))


def _if_still(transaction: Transaction, still: Still, piece: Piece) -> None:
    if still(transaction):
        piece(transaction)


def _emptied(store: Store, definition: Definition | None, session_id: int) -> bool:
    """Delete the rows of a session's own row set, which only the removed past showed; whether there were any."""
    if definition is None or not store.read(lambda tx: count_rows(tx, definition, session_id, 1)):
        return False
    _delete_rows(store, definition, session_id, lambda tx: bool(hidden.resting(tx, session_id)))
    return True


def _delete_rows(store: Store, definition: Definition | None, rows_id: int, still: Still) -> None:
    for group in reversed(table_groups(() if definition is None else definition.rows)):
        if in_circle(group):
            for piece in store.read(partial(_circle, group=group, rows_id=rows_id)):
                store.write(partial(_if_still, still=still, piece=piece))
        else:
            drain(store, partial(hidden.delete_some, table=group[0], session_id=rows_id, most=DELETED), still)


def _circle(transaction: Transaction, group: list[Table], rows_id: int) -> list[Piece]:
    """The deletion of rows that may refer to each other: each before those it refers to."""
    rows: list[Placed] = [
        (table, dict(row))
        for table in group
        for row in transaction.run(select(table).where(table.c.session_id == rows_id)).mappings()
    ]
    ordered = list(row_groups(rows))[::-1]
    return [_deleted(list(chain.from_iterable(some)), rows_id) for some in in_parts(ordered, DELETED)]


def _deleted(rows: list[Placed], rows_id: int) -> Piece:
    def write(transaction: Transaction) -> None:
        transaction.defer_references()
        for table, some in groupby(rows, key=lambda row: row[0]):
            names = [column.name for column in table.primary_key if column.name != "session_id"]
            keys = [tuple(values[name] for name in names) for _, values in some]
            hidden.delete_keys(transaction, table, rows_id, keys)

    return write
