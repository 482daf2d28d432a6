"""What a session was: its journal read back, undone, done again, and forked.

Undo appends an entry that writes images back. `session.undo_top` is the entry
undo would take back next and each entry's `below` the one under it, so that
finding it costs one read; the same for redo.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import literal, select

from engine.definition import Definition
from engine.errors import NotFound, Refused
from engine.rows import Row, Rows, table_of
from engine.store.records import Entry, Record, Transaction
from engine.types import Json, RowChange


@dataclass(frozen=True, slots=True)
class Past:
    """A session as it was at a revision. `rows` are images by table."""

    revision: int
    state: str
    data: str | None
    rows: dict[str, list[Json]]


@dataclass(frozen=True, slots=True)
class Reversal:
    """An undo or redo: which revision it is about, what it wrote, and the stacks after it."""

    target: int
    state: str
    data: str | None
    rows: tuple[RowChange, ...]
    undo_top: int | None
    redo_top: int | None
    below: int | None


def entry_at(transaction: Transaction, record: Record, revision: int) -> Entry:
    """The journal entry of a revision. Raises NotFound."""
    found = transaction.entry(record.id, revision) if 1 <= revision <= record.revision else None
    if found is None:
        raise NotFound(f"There is no revision {revision}.", hint=f"The session has revisions 1 to {record.revision}.")
    return found


def undo(transaction: Transaction, definition: Definition, record: Record, rows: Rows) -> Reversal:
    """Take back the last action that still stands. Raises Refused."""
    if record.undo_top is None:
        raise Refused("nothing_to_undo", "There is nothing to undo: the session is as it was started.")
    entry = entry_at(transaction, record, record.undo_top)
    action = definition.actions.get(entry.action)
    if action is not None and not action.options.undo:
        raise Refused(
            "cannot_undo",
            f"{entry.action} at revision {entry.revision} cannot be undone.",
            hint=f"Fork the session at revision {entry.revision - 1} instead.",
        )
    changes = _inverse(entry)
    _write(definition, rows, changes)
    before = entry_at(transaction, record, entry.revision - 1)
    return Reversal(
        target=entry.revision,
        state=before.state,
        data=transaction.data_at(record.id, before.revision),
        rows=changes,
        undo_top=entry.below,
        redo_top=record.revision + 1,
        below=record.redo_top,
    )


def redo(transaction: Transaction, definition: Definition, record: Record, rows: Rows) -> Reversal:
    """Do again what was undone last. Raises Refused."""
    if record.redo_top is None:
        raise Refused("nothing_to_redo", "There is nothing to redo: nothing was undone since the last action.")
    undone = entry_at(transaction, record, record.redo_top)
    entry = entry_at(transaction, record, undone.target or 0)
    changes = images(entry)
    _write(definition, rows, changes)
    return Reversal(
        target=entry.revision,
        state=entry.state,
        data=transaction.data_at(record.id, entry.revision),
        rows=changes,
        undo_top=entry.revision,
        redo_top=undone.below,
        below=undone.below,
    )


def stands(transaction: Transaction, entry: Entry) -> bool:
    """Whether what an entry did was not taken back since."""
    about = transaction.latest_about(entry.session_id, entry.target or entry.revision)
    if entry.target is not None:
        return about is not None and about.revision == entry.revision
    return about is None or about.action == "redo"


def past(transaction: Transaction, definition: Definition, record: Record, revision: int) -> Past:
    """The session as it was at a revision. Raises NotFound."""
    entry = entry_at(transaction, record, revision)
    found = _rows_at(transaction, definition, record, revision)
    rows = {table: [by_key[key] for key in sorted(by_key, key=json.loads)] for table, by_key in found.items()}
    return Past(revision, entry.state, transaction.data_at(record.id, revision), rows)


def described(transaction: Transaction, entry: Entry) -> dict[str, Json]:
    """A journal entry for people and models."""
    plain: dict[str, Json] = {
        "revision": entry.revision,
        "action": entry.action,
        "arguments": json.loads(entry.arguments),
        "by": transaction.person_name(entry.person_id),
        "at": entry.at,
        "state": entry.state,
        "result": json.loads(entry.result)["value"],
        "stands": stands(transaction, entry),
    }
    return plain if entry.target is None else {**plain, "about": entry.target}


def copy_session(
    transaction: Transaction, definition: Definition, record: Record, revision: int, fork: Record, rows: Rows
) -> None:
    """Make `fork` the session as it was at a revision, with its history up to there, without keys."""
    then = entry_at(transaction, record, revision)
    for entry in transaction.entries(record.id, limit=revision):
        transaction.append(_moved(entry, fork.id))
    _copy_rows(transaction, definition, record, fork)
    for entry in transaction.entries(record.id, after=revision, newest=True):
        _write(definition, rows, _inverse(entry))
    fork.state, fork.data = then.state, transaction.data_at(record.id, revision)
    fork.revision = revision
    fork.undo_top, fork.redo_top = _stacks(transaction, record, then)


def images(entry: Entry) -> tuple[RowChange, ...]:
    """The row images of an entry, in order."""
    return tuple(RowChange(*parts) for parts in json.loads(entry.rows or "[]"))


def _inverse(entry: Entry) -> tuple[RowChange, ...]:
    return tuple(RowChange(change.table, change.after, change.before) for change in reversed(images(entry)))


def _write(definition: Definition, rows: Rows, changes: tuple[RowChange, ...]) -> None:
    """Take all rows out, then put all in: one by one, a value may still be where a unique one has to go."""
    rows.defer_references()
    for change in changes:
        rows.put(_model(definition, change.table), change.before, None)
    for change in changes:
        rows.put(_model(definition, change.table), None, change.after)


def _model(definition: Definition, table: str) -> type[Row]:
    found = next((row for row in definition.rows if row.__tablename__ == table), None)
    if found is None:
        raise Refused(
            "unknown_table",
            f"The past of this session has rows of {table}, which {definition.name} does not have any more.",
            hint="Keep the Row class, or install the version of the world that had it.",
        )
    return found


def _rows_at(
    transaction: Transaction, definition: Definition, record: Record, revision: int
) -> dict[str, dict[str, Json]]:
    found: dict[str, dict[str, Json]] = {
        str(row.__tablename__): dict(_images_now(transaction, row, record)) for row in definition.rows
    }
    for entry in transaction.entries(record.id, after=revision, newest=True):
        for change in reversed(images(entry)):
            rows = found[str(_model(definition, change.table).__tablename__)]
            if change.after is not None:
                rows.pop(_address(definition, change.table, change.after), None)
            if change.before is not None:
                rows[_address(definition, change.table, change.before)] = change.before
    return found


def _copy_rows(transaction: Transaction, definition: Definition, record: Record, fork: Record) -> None:
    for row in definition.rows:
        table = table_of(row)
        kept = [column for column in table.c if column.name != "session_id"]
        copied = select(literal(fork.id), *kept).where(table.c.session_id == record.id)
        transaction.db.connection().execute(table.insert().from_select(["session_id", *(c.name for c in kept)], copied))


def _images_now(transaction: Transaction, row: type[Row], record: Record) -> Iterator[tuple[str, Json]]:
    table = table_of(row)
    for found in transaction.db.scalars(
        select(row).where(table.c.session_id == record.id).order_by(*table.primary_key)
    ):
        image = found.model_dump(mode="json")
        yield _key(table, image), image


def _address(definition: Definition, name: str, image: Json) -> str:
    return _key(table_of(_model(definition, name)), image)


def _key(table: object, image: Json) -> str:
    return json.dumps([image[column.name] for column in table.primary_key if column.name != "session_id"])  # type: ignore[attr-defined]


def _moved(entry: Entry, session_id: int) -> Entry:
    values = {name: getattr(entry, name) for name in entry.__slots__}
    return Entry(**{**values, "session_id": session_id, "key": None})


def _stacks(transaction: Transaction, record: Record, entry: Entry) -> tuple[int | None, int | None]:
    """The undo and redo stacks as an entry left them; what is beside them, such as a share, is passed over."""
    while entry.action in ("share", "end"):
        entry = entry_at(transaction, record, entry.revision - 1)
    if entry.action == "undo" and entry.target is not None:
        return entry_at(transaction, record, entry.target).below, entry.revision
    if entry.action == "redo":
        return entry.target, entry.below
    return (None if entry.revision == 1 else entry.revision), None
