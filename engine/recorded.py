"""What a session recorded when: how its own world asks for a past revision, which its rows of history tell of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import SQLModel

from engine.errors import Refused
from engine.store.consumers import last_before
from engine.store.hidden import JOURNAL
from engine.store.records import Record, Transaction

PERSON = SQLModel.metadata.tables["person"]
CHUNK = 500
"""Revisions that one statement looks for."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a revision came from: when, by which action, who did it, and through which program, as far as known."""

    revision: int
    at: str
    action: str
    by: str
    client: str | None
    about: int | None
    """The revision that an undo or redo is about."""


def origins(transaction: Transaction, record: Record, revisions: Collection[int]) -> Mapping[int, Origin]:
    """Where revisions came from, but for those whose past is no longer kept."""
    entry, person = JOURNAL.c, PERSON.c
    name = func.coalesce(func.nullif(person.name, ""), person.subject)
    columns = (entry.revision, entry.at, entry.action, name, entry.client, entry.target)
    wanted = sorted(revision for revision in revisions if revision >= record.floor)
    found: dict[int, Origin] = {}
    for start in range(0, len(wanted), CHUNK):
        mine = (entry.session_id == record.id, entry.revision.in_(wanted[start : start + CHUNK]))
        rows = transaction.run(select(*columns).join_from(JOURNAL, PERSON).where(*mine))
        found |= {row[0]: Origin(*row) for row in rows}
    return found


def revision_of(transaction: Transaction, record: Record, as_of: int | datetime) -> int:
    """The revision that is meant by its number, or by a time: the last one at or before it.

    Raises Refused: no_such_revision, before_start, not_yet, past_removed.
    """
    revision = as_of if isinstance(as_of, int) else _last_before(transaction, record, as_of)
    if not 1 <= revision <= record.revision:
        raise Refused(
            "no_such_revision",
            f"There is no revision {revision} yet." if revision > 0 else f"There is no revision {revision}.",
            hint=f"The session has revisions {record.floor} to {record.revision}.",
        )
    if revision < record.floor:
        raise past_removed(transaction, record, f"Revision {revision} was removed")
    return revision


def past_removed(transaction: Transaction, record: Record, what: str) -> Refused:
    """The refusal of what would need the past that is no longer kept."""
    floor = transaction.entry(record.id, record.floor)
    since = "" if floor is None else f" of {floor.at}"
    return Refused(
        "past_removed",
        f"{what}: this server keeps the past for a limited time, and of this session from revision {record.floor}"
        f"{since} on.",
        hint=f"Revisions {record.floor} to {record.revision} can be read and forked.",
    )


def _last_before(transaction: Transaction, record: Record, time: datetime) -> int:
    """The last revision at or before a time."""
    at = time.isoformat(timespec="microseconds")
    if at > max(transaction.at, record.updated_at):
        raise Refused("not_yet", f"{at} is still to come.", hint=f"It is {transaction.at}.")
    first = transaction.entry(record.id, record.floor)
    if first is not None and at < first.at:
        raise _too_early(transaction, record, at, first.at)
    return last_before(transaction, record, at, record.floor)


def _too_early(transaction: Transaction, record: Record, at: str, first: str) -> Refused:
    if record.floor > 1:
        return past_removed(transaction, record, f"What was recorded at {at} was removed")
    return Refused("before_start", f"At {at} there was no such session yet.", hint=f"It was started at {first}.")
