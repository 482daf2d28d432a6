"""What the store keeps out of sight: batches being written, row sets of sessions, and erased sessions on their way out.

Each is a row of `session` with `hidden` set, so that what hangs on it needs no
tables of its own. A `part` is such a row, too, with the row set that rows are written
ahead into as `rows_id` and their part's number as `revision`; one that was given up is
`dropped` until its rows are deleted.
"""

import secrets
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, func, insert, or_, select, tuple_, update

from engine.errors import Conflict
from engine.store.access import OfferRow
from engine.store.records import Record, Transaction
from engine.store.tables import JournalRow, SessionRow, ShareRow, SnapshotRow, StartKeyRow

SESSION: Table = SessionRow.__table__  # type: ignore[attr-defined]
JOURNAL: Table = JournalRow.__table__  # type: ignore[attr-defined]
SNAPSHOT: Table = SnapshotRow.__table__  # type: ignore[attr-defined]
SHARE: Table = ShareRow.__table__  # type: ignore[attr-defined]
OFFER: Table = OfferRow.__table__  # type: ignore[attr-defined]
START_KEY: Table = StartKeyRow.__table__  # type: ignore[attr-defined]
PART = ("part", "dropped")
"""What a row says of rows that were written ahead."""


def new_handle() -> str:
    """A public name that nobody guesses."""
    return "ses_" + secrets.token_urlsafe(18)


def insert_hidden(
    transaction: Transaction, kind: str, *, world: str, version: int, owner_id: int, of: int | None = None
) -> int:
    """A new hidden row: a `batch`, or the `rows` of the session or batch `of`; its id."""
    values = {"handle": new_handle(), "world": world, "version": version, "owner_id": owner_id, "state": ""}
    times = {"created_at": transaction.at, "updated_at": transaction.at}
    made = insert(SESSION).values(**values, **times, revision=0, hidden=kind, rows_id=of).returning(SESSION.c.id)
    return int(transaction.run(made).scalar_one())


def touch(transaction: Transaction, batch_id: int) -> None:
    """Note that somebody still writes a batch. Raises Conflict if it was given up."""
    if not _changed(transaction, batch_id, SESSION.c.hidden == "batch", updated_at=transaction.at):
        raise _given_up()


def insert_part(transaction: Transaction, record: Record, part: int) -> int:
    """A new hidden row that keeps a part of a session's rows from being lost while it is written; its id."""
    values = {"handle": new_handle(), "world": record.world, "version": record.version, "owner_id": record.owner_id}
    times = {"created_at": transaction.at, "updated_at": transaction.at}
    kept = {"state": "", "revision": part, "hidden": "part", "rows_id": record.rows_at}
    return int(transaction.run(insert(SESSION).values(**values, **times, **kept).returning(SESSION.c.id)).scalar_one())


def highest_part(transaction: Transaction, rows_id: int) -> int:
    """The highest number of the parts that are being written, or deleted, in a row set; 0 if there is none."""
    mine = (SESSION.c.hidden.in_(PART), SESSION.c.rows_id == rows_id)
    return int(transaction.run(select(func.max(SESSION.c.revision)).where(*mine)).scalar() or 0)


def touch_part(transaction: Transaction, hidden_id: int, session_id: int, version: int) -> None:
    """Note that somebody still writes a part. Raises Conflict if it was given up, or is of no use any more."""
    values = (transaction.at, hidden_id, session_id, version)
    if transaction.execute(_TOUCH_PART, values).rowcount != 1:
        raise _given_up()


_TOUCH_PART = """
    update session set updated_at = ?
    where id = ? and hidden = 'part' and exists (
        select 1 from session as owner
        where owner.id = ? and owner.hidden is null and owner.version = ?
            and coalesce(owner.rows_id, owner.id) = session.rows_id)"""
"""Plain SQL: it runs in each of the many short transactions of an import."""


def adopt_part(transaction: Transaction, hidden_id: int, rows_id: int) -> None:
    """Let go of a part that the session's rows are to show. Raises Conflict if it was given up, or is of other rows."""
    mine = (SESSION.c.id == hidden_id, SESSION.c.hidden == "part", SESSION.c.rows_id == rows_id)
    if transaction.run(delete(SESSION).where(*mine)).rowcount != 1:
        raise _given_up()


def drop_part(transaction: Transaction, hidden_id: int, before: datetime | None = None) -> bool:
    """Give a part up unless it was adopted, or written to since `before`; whether its rows are to be deleted."""
    mine = SESSION.c.hidden == "part"
    if before is not None:
        mine &= SESSION.c.updated_at < _text(before)
    return _changed(transaction, hidden_id, mine, hidden="dropped")


def is_dropped(transaction: Transaction, hidden_id: int) -> bool:
    """Whether a part's rows are being deleted."""
    dropped = select(SESSION.c.id).where(SESSION.c.id == hidden_id, SESSION.c.hidden == "dropped")
    return transaction.run(dropped).first() is not None


def left_parts(transaction: Transaction, before: datetime) -> list[tuple[int, str, int, int]]:
    """Parts that are to be swept, as (id, world, row set, part): dropped ones, and those not written to since then."""
    stale = (SESSION.c.hidden == "part") & (SESSION.c.updated_at < _text(before))
    columns = (SESSION.c.id, SESSION.c.world, SESSION.c.rows_id, SESSION.c.revision)
    found = transaction.run(select(*columns).where(or_(SESSION.c.hidden == "dropped", stale)).order_by(SESSION.c.id))
    return [(row[0], row[1], row[2], row[3]) for row in found]


def lowest_between(transaction: Transaction, table: Table, rows_id: int, first: int, last: int) -> int | None:
    """The lowest id of a row set's rows of a table of history from one to another; None if there is none."""
    lowest = select(func.min(table.c.id)).where(table.c.session_id == rows_id, table.c.id.between(first, last))
    found = transaction.run(lowest).scalar()
    return None if found is None else int(found)


def highest(transaction: Transaction, table: Table, rows_id: int) -> int:
    """The highest id of a row set's rows of a table of history; 0 if there is none."""
    return int(transaction.run(select(func.max(table.c.id)).where(table.c.session_id == rows_id)).scalar() or 0)


def delete_between(transaction: Transaction, table: Table, rows_id: int, first: int, last: int) -> None:
    """Delete a row set's rows of a table of history with ids from one to another."""
    transaction.run(delete(table).where(table.c.session_id == rows_id, table.c.id.between(first, last)))


def batch_record(transaction: Transaction, batch_id: int) -> Record:
    """A batch's row. Raises Conflict if it was given up."""
    columns = [SESSION.c[field.name] for field in fields(Record)]
    found = transaction.run(select(*columns).where(SESSION.c.id == batch_id, SESSION.c.hidden == "batch")).one_or_none()
    if found is None:
        raise _given_up()
    return Record(*found)


def publish(transaction: Transaction, record: Record) -> None:
    """Make a batch a session that can be seen, as its record says. Raises Conflict if it was given up."""
    record.hidden = None
    record.updated_at = transaction.at
    values = {field.name: getattr(record, field.name) for field in fields(Record) if field.name != "id"}
    if not _changed(transaction, record.id, SESSION.c.hidden == "batch", **values):
        raise _given_up()


def keep_timers(transaction: Transaction, record: Record) -> None:
    """Have the journal of a copy end with the timers that it begins with, if it has any: they count from now."""
    if record.timers is not None:
        last = (JOURNAL.c.session_id == record.id, JOURNAL.c.revision == record.revision)
        transaction.run(update(JOURNAL).where(*last).values(timers=record.timers))


def adopt(transaction: Transaction, record: Record, rows_id: int) -> None:
    """Have a session show another row set: its own, an earlier one or a batch. Raises Conflict if it was given up."""
    if rows_id != record.id:
        earlier = (SESSION.c.hidden == "rows") & (SESSION.c.rows_id == record.id)
        mine = or_(SESSION.c.hidden == "batch", earlier)
        if not _changed(transaction, rows_id, mine, hidden="rows", rows_id=record.id):
            raise _given_up()
    record.rows_id = None if rows_id == record.id else rows_id
    _changed(transaction, record.id, SESSION.c.hidden.is_(None), rows_id=record.rows_id)


def hide(transaction: Transaction, session_id: int) -> None:
    """Take a session from everybody's sight for good: name, main place, shares, offers, keys are free at once."""
    _changed(transaction, session_id, SESSION.c.hidden.is_(None), hidden="erased", handle=new_handle(), main_of=None)
    for table in (SHARE, START_KEY, OFFER):
        transaction.run(delete(table).where(table.c.session_id == session_id))


def give_up(transaction: Transaction, batch_id: int, before: datetime | None = None) -> bool:
    """Give a batch up unless it was adopted, published, or written to since `before`; whether it is given up."""
    stale = SESSION.c.hidden == "batch"
    if before is not None:
        stale &= SESSION.c.updated_at < _text(before)
    return _changed(transaction, batch_id, stale, hidden="erased")


def left_over(transaction: Transaction, before: datetime) -> list[tuple[int, str, str]]:
    """What is to be swept, as (id, world, hidden): erased sessions, and batches not written to since `before`."""
    stale = (SESSION.c.hidden == "batch") & (SESSION.c.updated_at < _text(before))
    columns = (SESSION.c.id, SESSION.c.world, SESSION.c.hidden)
    found = transaction.run(select(*columns).where(or_(SESSION.c.hidden == "erased", stale)).order_by(SESSION.c.id))
    return [(row[0], row[1], row[2]) for row in found]


def is_erased(transaction: Transaction, session_id: int) -> bool:
    """Whether a session is on its way out."""
    erased = select(SESSION.c.id).where(SESSION.c.id == session_id, SESSION.c.hidden == "erased")
    return transaction.run(erased).first() is not None


def unused_rows(transaction: Transaction, rows_id: int | None = None) -> list[tuple[int, str]]:
    """Row sets, or that one, as (id, world), that their session neither shows nor has in what is kept of its past."""
    owner, entry = SESSION.alias("owner"), JOURNAL.c
    used = select(1).where(
        entry.session_id == owner.c.id,
        entry.revision >= owner.c.floor,
        entry.adopted.is_not(None),
        entry.adopted == SESSION.c.id,
    )
    shown = owner.c.rows_id.is_not_distinct_from(SESSION.c.id)
    of_a_session = select(1).where(
        owner.c.id == SESSION.c.rows_id, owner.c.hidden.is_(None), ~shown, ~used.correlate(owner, SESSION).exists()
    )
    chosen = select(SESSION.c.id, SESSION.c.world).where(SESSION.c.hidden == "rows", of_a_session.exists())
    if rows_id is not None:
        chosen = chosen.where(SESSION.c.id == rows_id)
    return [(row[0], row[1]) for row in transaction.run(chosen.order_by(SESSION.c.id))]


def resting(transaction: Transaction, session_id: int | None = None) -> list[tuple[int, str]]:
    """Sessions, or that one, as (id, world), whose own row set only the removed past showed, if it has rows at all.

    Once it is so, it stays so: the floor does not fall, and undo and redo end above it.
    """
    shown, entry = SESSION.alias("shown"), JOURNAL.c
    mine = entry.session_id == SESSION.c.id
    # The floor's entry names the row set of that revision if it is not the own one.
    another = select(1).where(mine, entry.revision == SESSION.c.floor, entry.adopted.is_not(None))
    own = select(1).where(mine, entry.revision >= SESSION.c.floor, entry.adopted == SESSION.c.id)
    chosen = (
        select(SESSION.c.id, SESSION.c.world)
        .join(shown, (shown.c.id == SESSION.c.rows_id) & (shown.c.rows_id == SESSION.c.id))
        .where(shown.c.hidden == "rows", SESSION.c.hidden.is_(None), SESSION.c.floor > 1)
        .where(another.exists(), ~own.exists())
    )
    if session_id is not None:
        chosen = chosen.where(SESSION.c.id == session_id)
    return [(row[0], row[1]) for row in transaction.run(chosen.order_by(SESSION.c.id))]


def row_sets_of(transaction: Transaction, session_id: int) -> list[int]:
    """The row sets of a session beside its own."""
    mine = select(SESSION.c.id).where(SESSION.c.hidden == "rows", SESSION.c.rows_id == session_id)
    return list(transaction.run(mine.order_by(SESSION.c.id)).scalars())


def delete_some(transaction: Transaction, table: Table, session_id: int, most: int) -> int:
    """Delete up to `most` of a session's rows of a table; how many it were."""
    keys = [column for column in table.primary_key if column.name != "session_id"]
    some = select(*keys).where(table.c.session_id == session_id).limit(most)
    return delete_keys(transaction, table, session_id, some)


def delete_keys(transaction: Transaction, table: Table, session_id: int, keys: Any) -> int:
    """Delete a session's rows with those keys, as tuples or a query; how many it were."""
    own = tuple_(*[column for column in table.primary_key if column.name != "session_id"])
    return int(transaction.run(delete(table).where(table.c.session_id == session_id, own.in_(keys))).rowcount)


def delete_row(transaction: Transaction, session_id: int) -> None:
    """Delete a hidden row, and what still hangs on it, also the parts that were being written into it."""
    transaction.run(delete(SESSION).where(SESSION.c.rows_id == session_id, SESSION.c.hidden.in_(PART)))
    transaction.run(delete(SESSION).where(SESSION.c.id == session_id, SESSION.c.hidden.is_not(None)))


def size_of(transaction: Transaction, session_id: int, revision: int, most: int) -> tuple[int, int]:
    """Entries and characters of a journal up to a revision, counted up to `most` entries."""
    own = JOURNAL.c
    parts = (own.arguments, own.result, *(func.coalesce(part, "") for part in (own.data, own.rows, own.timers)))
    length = sum((func.length(part) for part in parts[1:]), func.length(parts[0]))
    some = (
        select(length.label("length")).where(own.session_id == session_id, own.revision <= revision).limit(most)
    ).subquery()
    found = transaction.run(select(func.count(), func.coalesce(func.sum(some.c.length), 0)).select_from(some)).one()
    return int(found[0]), int(found[1])


def _changed(transaction: Transaction, session_id: int, condition: ColumnElement[bool], **values: Any) -> bool:
    changed = update(SESSION).where(SESSION.c.id == session_id, condition).values(**values)
    return bool(transaction.run(changed).rowcount == 1)


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")


def _given_up() -> Conflict:
    return Conflict("What was written ahead took too long and was swept.", revision=0, hint="Call again.")
