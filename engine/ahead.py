"""Undo and redo of what is too large for one transaction: the rows it leads to are written ahead, then shown."""

from collections.abc import Callable
from typing import TypeVar

from engine import batches
from engine.copying import paced, row_pieces
from engine.definition import Definition
from engine.errors import Conflict
from engine.history import Ahead, WriteAhead
from engine.pasts import lay
from engine.present import bring
from engine.store.stores import Store

T = TypeVar("T")

ATTEMPTS = 3
"""How often rows are written ahead for a session that goes on meanwhile."""


def written_ahead(store: Store, definition: Definition, needed: WriteAhead, then: Callable[[Ahead], T]) -> T:
    """What `then` gives, called with the rows written ahead. Raises Conflict where the session never stands still."""
    for _ in range(ATTEMPTS):
        with batches.begun(store, definition, needed.record.owner_id) as batch:
            _write(store, batch, needed)
            try:
                return then(Ahead(batch.id, needed.entry.revision, needed.record.revision))
            except WriteAhead as again:
                needed = again
    raise Conflict(
        f"The session went on {ATTEMPTS} times while the rows of revision {needed.entry.revision} were being written.",
        revision=needed.record.revision,
        hint="Try again when it is quieter.",
    )


def _write(store: Store, batch: batches.Batch, needed: WriteAhead) -> None:
    """Write the session's rows as they will be; nothing if it went on already."""
    with store.snapshot(unbounded=True) as source:
        record = source.session_by_id(needed.record.id)
        if record is not None and record.revision == needed.record.revision:
            bring(source, batch.definition, record)
            overlay = lay(batch.definition, {}, paced(needed.changes(batch.definition)))
            batch.put(row_pieces(source, batch.definition, record.rows_at, overlay, batch.id))
