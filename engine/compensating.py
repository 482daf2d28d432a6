"""Taking back what an action did to shared rows, or outside: by what its author named, never by writing images back.

Others have changed the shared rows since, so an old image of one would undo their work, too; and what an effect did
is not the session's.
"""

from collections.abc import Callable

from engine.definition import Definition
from engine.effects import Wanted
from engine.errors import Refused
from engine.history import entry_at
from engine.retelling import change_of, shared_images
from engine.rows import Rows
from engine.store.records import Entry, Record, Transaction
from engine.types import RowChange
from engine.withdrawing import ask_anew, withdraw
from engine.world import World


def compensate(
    transaction: Transaction, definition: Definition, record: Record, rows: Rows, opened: Callable[[], World]
) -> tuple[tuple[RowChange, ...], tuple[Wanted, ...]]:
    """Have the action that undo takes back next give back what it claimed, and take back what it had done outside.

    The images of the shared rows touched, and the effects that take others back. Raises Refused if it claimed
    something, or had something done, and does not say how to take it back.
    """
    entry = None if record.undo_top is None else entry_at(transaction, record, record.undo_top)
    action = None if entry is None else definition.actions.get(entry.action)
    if entry is None or (action is not None and not action.options.undo):
        return (), ()  # undo itself refuses it
    compensates = action is not None and action.compensate is not None
    wanted, done = withdraw(transaction, definition, record, entry, compensates=compensates)
    if not entry.shared and done:
        return (), wanted
    if action is None or action.compensate is None:
        raise Refused(
            "touches_shared",
            f"{entry.action} at revision {entry.revision} changed what all sessions share ({_tables(entry)}),"
            " which others may have changed since.",
            hint=f"Act against it, or fork the session at revision {entry.revision - 1}.",
        )
    world = opened()
    document = world.data.model_copy(deep=True) if definition.data is not None else None
    before = entry_at(transaction, record, entry.revision - 1)
    action.compensate(world, change_of(transaction, definition, record, entry, before))
    found = rows.shared_changes()
    if rows.changes() or world.data != document:
        raise TypeError(
            f"{definition.name}: compensate= of {entry.action} changes shared rows only; undo does the rest"
        )
    rows.db.expunge_all()  # undo writes rows past the ORM
    return found, wanted


def check_redo(transaction: Transaction, definition: Definition, record: Record) -> tuple[Wanted, ...]:
    """Insist that what redo would do again claimed no shared rows; the effects that it asks for. Raises Refused."""
    undone = None if record.redo_top is None else entry_at(transaction, record, record.redo_top)
    entry = None if undone is None or undone.target is None else entry_at(transaction, record, undone.target)
    if entry is not None and entry.shared:
        raise Refused(
            "touches_shared",
            f"{entry.action} at revision {entry.revision} changed what all sessions share ({_tables(entry)}),"
            " so it has to be decided anew.",
            hint=f"Call {entry.action} again instead.",
        )
    return () if entry is None else ask_anew(transaction, definition, record, entry)


def _tables(entry: Entry) -> str:
    return ", ".join(sorted({change.table for change in shared_images(entry)}))
