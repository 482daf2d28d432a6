"""What a session did: its journal read back, undone and done again.

Undo appends an entry that writes images back. `session.undo_top` is the entry
undo would take back next and each entry's `below` the one under it, so that
finding it costs one read; the same for redo. Where a change switched to another
row set, taking it back is switching back: a row set rests unchanged while it is
not shown. What is too large to write back in one transaction is written ahead.
"""

import json
from dataclasses import dataclass
from itertools import chain
from typing import cast

from engine.definition import Definition
from engine.errors import NotFound, Refused
from engine.models import HistoryRow
from engine.present import changes, document_at, model_of, shown_state, state, timers_at
from engine.recorded import past_removed
from engine.rows import Rows
from engine.store.records import Entry, Images, Record, Transaction
from engine.timers import Timer, restored
from engine.types import Json, RowChange

BESIDE = ("share", "end", "timer")
"""What is beside the undo and redo stacks: it neither is on them nor ends them."""
ON_COPY = "on_copy"
"""The change that a copied session begins with, beyond the past it has from its original: undo stops there."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """An undo or redo: which revision it is about, what it wrote, and the stacks after it."""

    target: int
    state: str
    data: str | None
    timers: tuple[Timer, ...]
    """As they were then; those that are over since have their whole delay anew."""
    rows: tuple[RowChange, ...]
    undo_top: int | None
    redo_top: int | None
    below: int | None
    adopted: int | None = None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was written ahead for an undo or redo: a row set, for which target, and at which revision of the session."""

    rows_id: int
    target: int
    revision: int


class WriteAhead(Exception):
    """What is to be written is too much for one transaction: write it ahead and come again."""

    def __init__(self, entry: Entry, record: Record, *, back: bool) -> None:
        super().__init__(f"revision {entry.revision} of {record.handle}")
        self.entry = entry
        self.record = record
        self.back = back

    def changes(self, definition: Definition) -> tuple[RowChange, ...]:
        """What is to be written."""
        return images(definition, self.entry, back=self.back)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where undo and redo work: the open session, what was written ahead for it, and how many rows are too many."""

    transaction: Transaction
    definition: Definition
    record: Record
    rows: Rows
    ahead: Ahead | None
    most: int

    def write(self, entry: Entry, *, back: bool) -> tuple[tuple[RowChange, ...], int | None]:
        """Write images, or find them written: what was written here, and the row set to show. Raises WriteAhead."""
        if self.definition.keeps_history:
            return _retold(self.definition, self.rows, images(self.definition, entry, back=back)), None
        if not many(entry, self.most):
            written = images(self.definition, entry, back=back)
            _write(self.transaction, self.definition, self.rows, written)
            return written, None
        wanted = (entry.revision, self.record.revision)
        if self.ahead is None or (self.ahead.target, self.ahead.revision) != wanted:
            raise WriteAhead(entry, self.record, back=back)
        return (), self.ahead.rows_id


def entry_at(transaction: Transaction, record: Record, revision: int) -> Entry:
    """The journal entry of a revision. Raises NotFound, Refused."""
    if 1 <= revision < record.floor:
        raise past_removed(transaction, record, f"Revision {revision} was removed")
    found = transaction.entry(record.id, revision) if 1 <= revision <= record.revision else None
    if found is None:
        raise NotFound(f"There is no revision {revision}.", hint=f"The session has revisions 1 to {record.revision}.")
    return found


def undo(desk: Desk) -> Reversal:
    """Take back the last action that still stands. Raises Refused, WriteAhead."""
    transaction, record = desk.transaction, desk.record
    if record.undo_top is None:
        raise Refused("nothing_to_undo", "There is nothing to undo: the session is as it was started.")
    if record.floor > 1 and record.undo_top <= record.floor:
        raise past_removed(transaction, record, f"Revision {record.undo_top} cannot be undone any more")
    entry = entry_at(transaction, record, record.undo_top)
    action = desk.definition.actions.get(entry.action)
    if action is not None and not action.options.undo:
        raise Refused(
            "cannot_undo",
            f"{entry.action} at revision {entry.revision} cannot be undone.",
            hint=f"Fork the session at revision {entry.revision - 1} instead.",
        )
    before = entry_at(transaction, record, entry.revision - 1)
    written, adopted = _taken_back(desk, entry)
    return Reversal(
        target=entry.revision,
        state=state(desk.definition, before.version, before.state),
        data=document_at(transaction, desk.definition, record, before.revision),
        timers=_timers(desk, before.revision),
        rows=written,
        undo_top=entry.below,
        redo_top=record.revision + 1,
        below=record.redo_top,
        adopted=adopted,
    )


def redo(desk: Desk) -> Reversal:
    """Do again what was undone last. Raises Refused, WriteAhead."""
    transaction, record = desk.transaction, desk.record
    if record.redo_top is None:
        raise Refused("nothing_to_redo", "There is nothing to redo: nothing was undone since the last action.")
    undone = entry_at(transaction, record, record.redo_top)
    if record.floor > 1 and (undone.target or 0) <= record.floor:
        raise past_removed(transaction, record, f"Revision {undone.target} cannot be done again any more")
    entry = entry_at(transaction, record, undone.target or 0)
    if undone.adopted is None:
        written, adopted = desk.write(entry, back=False)
    else:
        written, adopted = (), transaction.rows_at(record.id, undone.revision - 1)
    return Reversal(
        target=entry.revision,
        state=state(desk.definition, entry.version, entry.state),
        data=document_at(transaction, desk.definition, record, entry.revision),
        timers=_timers(desk, entry.revision),
        rows=written,
        undo_top=entry.revision,
        redo_top=undone.below,
        below=undone.below,
        adopted=adopted,
    )


def _timers(desk: Desk, revision: int) -> tuple[Timer, ...]:
    return restored(timers_at(desk.transaction, desk.definition, desk.record, revision), desk.transaction.now)


def _taken_back(desk: Desk, entry: Entry) -> tuple[tuple[RowChange, ...], int | None]:
    """Take the rows of an entry back: what was written, and the row set to show."""
    if entry.adopted is not None:
        return (), desk.transaction.rows_at(desk.record.id, entry.revision - 1)
    if many(entry, desk.most) and not desk.definition.keeps_history:
        earlier = desk.transaction.undone_by(desk.record.id, entry.revision)
        if earlier is not None:
            return (), earlier
    return desk.write(entry, back=True)


def stands(transaction: Transaction, entry: Entry) -> bool:
    """Whether what an entry did was not taken back since."""
    about = transaction.latest_about(entry.session_id, entry.target or entry.revision)
    if entry.target is not None:
        return about is not None and about.revision == entry.revision
    return about is None or about.action == "redo"


def described(transaction: Transaction, definition: Definition, entry: Entry) -> dict[str, Json]:
    """A journal entry for people and models."""
    plain: dict[str, Json] = {
        "revision": entry.revision,
        "action": entry.action,
        "arguments": json.loads(entry.arguments),
        "by": transaction.person_name(entry.person_id),
        "client": entry.client,
        "at": entry.at,
        "state": shown_state(definition, entry.version, entry.state),
        "result": json.loads(entry.result)["value"],
        "stands": stands(transaction, entry),
    }
    return plain if entry.target is None else {**plain, "about": entry.target}


def images(definition: Definition, entry: Entry | Images, *, back: bool) -> tuple[RowChange, ...]:
    """What doing an entry's change to the rows again, or taking it `back`, has to write, in order. Raises Refused."""
    found = changes(definition, entry)
    return tuple(change.back for change in reversed(found)) if back else found


def many(entry: Entry, most: int) -> bool:
    """Whether an entry has more images than that, or seems so: counted in the text, since reading it takes long."""
    return (entry.rows or "").count(',["') >= most


def _write(transaction: Transaction, definition: Definition, rows: Rows, changes: tuple[RowChange, ...]) -> None:
    """Take all rows out, then put all in: one by one, a value may still be where a unique one has to go."""
    transaction.defer_references()
    for change in changes:
        rows.put(model_of(definition, change.table), change.before, None)
    for change in changes:
        rows.put(model_of(definition, change.table), None, change.after)


def _retold(definition: Definition, rows: Rows, changes: tuple[RowChange, ...]) -> tuple[RowChange, ...]:
    """Have rows that are history end, and others begin: what became of them."""
    tables = dict.fromkeys(change.table for change in changes)
    models = {table: cast(type[HistoryRow], model_of(definition, table)) for table in tables}
    done = (rows.retell(model, [one for one in changes if one.table == table]) for table, model in models.items())
    return tuple(chain.from_iterable(done))


def stacks(transaction: Transaction, record: Record, entry: Entry) -> tuple[int | None, int | None]:
    """The undo and redo stacks as an entry left them; what is beside them, such as a share, is passed over."""
    while entry.action in BESIDE:
        if entry.revision <= record.floor:
            return None, None
        entry = entry_at(transaction, record, entry.revision - 1)
    if entry.action == "undo" and entry.target is not None:
        if entry.target < record.floor:
            return None, entry.revision
        return entry_at(transaction, record, entry.target).below, entry.revision
    if entry.action == "redo":
        return entry.target, entry.below
    return (None if entry.revision == 1 or entry.action == ON_COPY else entry.revision), None
