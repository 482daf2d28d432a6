"""What the store does for retention: where a session's kept past begins, and what is older, a little at a time."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update

from engine.store.consumers import last_before
from engine.store.hidden import JOURNAL, SESSION, SNAPSHOT, START_KEY
from engine.store.owed import highest_floor
from engine.store.records import Entry, Record, Transaction

NOTHING = '{"value":null,"content":[]}'
"""The result of an entry that is forgotten but has to stay."""
AT_ONCE = 200
"""Entries that one transaction empties or deletes at most."""


def old(transaction: Transaction, before: datetime, keys_before: datetime, after: int, until: int) -> list[int]:
    """Sessions of which something is to be removed, by id: those with ids beyond `after`, up to `until`."""
    entry = JOURNAL.c
    mine = entry.session_id == SESSION.c.id
    floor_rises = select(1).where(mine, entry.revision == SESSION.c.floor + 1, entry.at <= _text(before)).exists()
    emptied = select(1).where(mine, _to_empty(SESSION.c.floor)).exists()
    forgotten = select(1).where(mine, entry.revision < SESSION.c.floor, entry.at <= _text(keys_before)).exists()
    below = and_(SESSION.c.floor > 1, or_(emptied, forgotten))
    within = and_(SESSION.c.hidden.is_(None), SESSION.c.id > after, SESSION.c.id <= until)
    chosen = select(SESSION.c.id).where(within, or_(floor_rises, below))
    return list(transaction.run(chosen.order_by(SESSION.c.id)).scalars())


def horizon(transaction: Transaction, record: Record, before: datetime) -> int:
    """The last revision that is as old as that and no longer needed, or the floor."""
    old_enough = last_before(transaction, record, _text(before), record.floor)
    return max(record.floor, min(old_enough, highest_floor(transaction, record)))


def raise_floor(transaction: Transaction, record: Record, floor: Entry) -> None:
    """Let a session's kept past begin with an entry, which then says what document, row set and timers were."""
    data, version = transaction.data_at(record.id, floor.revision)
    values: dict[str, object] = {"rows": None, "shared": None}
    if floor.timers is None and (timers := transaction.timers_at(record.id, floor.revision)) is not None:
        values["timers"] = timers
    if version in (0, floor.version):
        values["data"] = ("null" if data is None else data) if version else None
    else:
        holder = _with_document(transaction, record, floor.revision)
        emptied = update(JOURNAL).where(*_is(record.id, holder)).values(rows=None, shared=None, timers=None)
        transaction.run(emptied)
    rows_id = transaction.rows_at(record.id, floor.revision)
    if rows_id != record.id:
        values["adopted"] = rows_id
    transaction.run(update(JOURNAL).where(*_is(record.id, floor.revision)).values(**values))
    transaction.run(update(SESSION).where(SESSION.c.id == record.id).values(floor=floor.revision))
    transaction.run(delete(SNAPSHOT).where(SNAPSHOT.c.session_id == record.id, SNAPSHOT.c.revision < floor.revision))


def empty(transaction: Transaction, record: Record) -> int:
    """Take images and documents out of some entries below the floor; how many it were."""
    kept = _with_document(transaction, record, record.floor)
    entry = JOURNAL.c
    chosen = select(entry.revision).where(
        entry.session_id == record.id, _to_empty(record.floor), entry.revision != kept
    )
    revisions = list(transaction.run(chosen.order_by(entry.revision).limit(AT_ONCE)).scalars())
    if revisions:
        _change_stored(transaction, record, revisions, (entry.data, entry.rows, entry.shared, entry.timers))
        empty_them = update(JOURNAL).where(entry.session_id == record.id, entry.revision.in_(revisions))
        transaction.run(empty_them.values(data=None, rows=None, shared=None, timers=None))
    return len(revisions)


def forget(transaction: Transaction, record: Record, keys_before: datetime) -> int:
    """Delete some of the oldest entries below the floor, with their keys; how many it were."""
    entry = JOURNAL.c
    kept = _with_document(transaction, record, record.floor) or record.floor
    chosen = select(entry.revision).where(
        entry.session_id == record.id,
        entry.revision < record.floor,
        entry.at <= _text(keys_before),
        or_(entry.revision < kept, entry.result != NOTHING),
    )
    revisions = list(transaction.run(chosen.order_by(entry.revision).limit(AT_ONCE)).scalars())
    if revisions:
        _change_stored(transaction, record, revisions, (entry.arguments, entry.result))
        these = (entry.session_id == record.id, entry.revision.in_(revisions))
        transaction.run(delete(JOURNAL).where(*these, entry.revision < kept))
        transaction.run(update(JOURNAL).where(*these).values(arguments="{}", result=NOTHING, key=None))
    if record.created_at <= _text(keys_before):
        transaction.run(delete(START_KEY).where(START_KEY.c.session_id == record.id))
    return len(revisions)


def _with_document(transaction: Transaction, record: Record, floor: int) -> int:
    """The entry below the floor that still says what the document was there, if an older version wrote it; else 0.

    It stays, emptied of all else, since only with its version the document can be read.
    """
    entry = JOURNAL.c
    chosen = select(func.max(entry.revision)).where(
        entry.session_id == record.id, entry.revision <= floor, entry.data.is_not(None)
    )
    found = transaction.run(chosen).scalar()
    return 0 if found is None or found == floor else int(found)


def _to_empty(floor: "ColumnElement[int] | int") -> ColumnElement[bool]:
    entry = JOURNAL.c
    full = (column.is_not(None) for column in (entry.data, entry.rows, entry.shared, entry.timers))
    return and_(entry.revision < floor, or_(*full))


def _change_stored(
    transaction: Transaction, record: Record, revisions: list[int], columns: Iterable[ColumnElement[str]]
) -> None:
    """Count what is about to go no longer as stored."""
    freed = sum((func.coalesce(func.length(column), 0) for column in columns), start=func.coalesce(0, 0))
    chosen = select(func.sum(freed)).where(JOURNAL.c.session_id == record.id, JOURNAL.c.revision.in_(revisions))
    left = max(0, record.stored - int(transaction.run(chosen).scalar() or 0))
    record.stored = left
    transaction.run(update(SESSION).where(SESSION.c.id == record.id).values(stored=left))


def _is(session_id: int, revision: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return JOURNAL.c.session_id == session_id, JOURNAL.c.revision == revision


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
