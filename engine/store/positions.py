"""What operators see of consumers and do about them: who waits, fails or is parked, and how it goes on."""

from dataclasses import dataclass

from engine.store.consumers import Registered
from engine.store.records import Record, Transaction

_NOT_THROUGH = (
    " from session left join heard on heard.session_id = session.id and heard.consumer = ?"
    " left join journal on journal.session_id = session.id and journal.revision = heard.revision + 1"
    " where session.hidden is null and session.world = coalesce(?, session.world)"
    " and coalesce(heard.revision, session.copied_to) < session.revision"
    " and (session.news is not null or heard.due_at is not null or heard.parked_at is not null)"
    " and (heard.consumer is not null or ? or session.updated_at > ?)"
)


@dataclass(frozen=True, slots=True)
class Standing:
    """In how many sessions a consumer waits, fails or is parked; `oldest` is since when, ISO 8601."""

    waiting: int
    failing: int
    parked: int
    oldest: str | None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A session in which a consumer failed at a revision: when it comes again, or since when it is parked."""

    session: str
    world: str
    revision: int
    attempts: int
    due_at: str | None
    parked_at: str | None
    error: str | None


def standing(transaction: Transaction, consumer: Registered) -> Standing:
    """How a consumer is doing."""
    columns = (
        "select coalesce(sum(case when coalesce(heard.attempts, 0) = 0 then 1 else 0 end), 0),"
        " coalesce(sum(case when heard.attempts > 0 and heard.parked_at is null then 1 else 0 end), 0),"
        " coalesce(sum(case when heard.parked_at is not null then 1 else 0 end), 0),"
        " min(coalesce(journal.at, session.updated_at))"
    )
    values = (consumer.name, consumer.world, consumer.from_start, consumer.since)
    found = transaction.execute(columns + _NOT_THROUGH, values).fetchone()
    return Standing(int(found[0]), int(found[1]), int(found[2]), found[3])


def troubles(transaction: Transaction, name: str) -> list[Trouble]:
    """Where a consumer failed and has not come through, those that are parked first."""
    found = transaction.execute(
        "select handle, world, heard.revision + 1, attempts, heard.due_at, parked_at, error from heard"
        " join session on session.id = heard.session_id where consumer = ? and attempts > 0 and hidden is null"
        " order by parked_at is null, parked_at, heard.due_at, handle",
        (name,),
    )
    return [Trouble(*row) for row in found.fetchall()]


def resume(transaction: Transaction, name: str, record: Record | None) -> int:
    """Have a consumer try again at once where it failed, in one session or in all; in how many that is."""
    statement = (
        "update heard set attempts = 0, parked_at = null, error = null, due_at = ? where consumer = ? and attempts > 0"
    )
    values: tuple[object, ...] = (transaction.at, name)
    if record is not None:
        statement, values = statement + " and session_id = ?", (*values, record.id)
    return int(transaction.execute(statement, values).rowcount)


def skip(transaction: Transaction, name: str, record: Record) -> int | None:
    """Have a consumer go on after the revision at which it failed in a session: that revision; None if it did not."""
    found = transaction.execute(
        "update heard set revision = revision + 1, attempts = 0, parked_at = null, error = null, due_at = ?"
        " where consumer = ? and session_id = ? and attempts > 0 returning revision",
        (transaction.at, name, record.id),
    ).fetchone()
    return None if found is None else int(found[0])
