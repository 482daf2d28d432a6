"""Storing a large session in present form: its rows are written ahead, then take the place of the older ones."""

from functools import partial

from sqlalchemy import update

from engine import batches
from engine.copying import row_pieces
from engine.definition import Definition
from engine.errors import Conflict
from engine.models import table_of
from engine.present import Large, bring, row_sets
from engine.store.records import Record, Transaction
from engine.store.stores import Store

ATTEMPTS = 3
"""How often rows are written ahead for a session that an older version of its world goes on with meanwhile."""


def upgrade_ahead(store: Store, needed: Large) -> None:
    """Store a session in present form. Raises Refused where it cannot be, Conflict where it never stands still."""
    if not any(_upgraded(store, needed) for _ in range(ATTEMPTS)):
        raise Conflict(
            f"The session went on {ATTEMPTS} times while it was being stored in its new form.",
            revision=needed.record.revision,
            hint="Try again when it is quieter.",
        )


def _upgraded(store: Store, needed: Large) -> bool:
    with batches.begun(store, needed.definition, needed.record.owner_id) as batch:
        with store.snapshot(unbounded=True) as source:
            record = source.session_by_id(needed.record.id)
            if record is None or record.version == needed.definition.version:
                return True
            older, into = record.version, _written(source, batch, record)
        return store.write(partial(_replaced, definition=needed.definition, record=record, older=older, into=into))


def _written(source: Transaction, batch: batches.Batch, record: Record) -> dict[int, int]:
    """Write the session's row sets in present form; where the rows of each are."""
    bring(source, batch.definition, record)
    into: dict[int, int] = {}
    for rows_id in row_sets(source, record):
        into[rows_id] = batch.row_set() if into else batch.id
        batch.put(row_pieces(source, batch.definition, rows_id, {}, into[rows_id]))
    return into


def _replaced(
    transaction: Transaction, definition: Definition, record: Record, older: int, into: dict[int, int]
) -> bool:
    """Put what was written in the place of what was; nothing if the session is not what it was. Whether it was done."""
    now = transaction.session(record.handle)
    if now is None or (now.revision, now.version) != (record.revision, older):
        return False
    if row_sets(transaction, now) != list(into) or not transaction.store_present(record, older):
        return False
    transaction.defer_references()
    for model in definition.rows:
        table = table_of(model)
        for rows_id, ahead in into.items():
            transaction.run(table.delete().where(table.c.session_id == rows_id))
            transaction.run(update(table).where(table.c.session_id == ahead).values(session_id=rows_id))
    return True
