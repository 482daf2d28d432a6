"""What is still to come of a session after its commits: it is not swept, and the past that it needs is kept."""

from datetime import datetime

from engine.store.consumers import heard_in, position, registered
from engine.store.records import Record, Transaction

_EFFECT = (
    "select min(coalesce(journal.target, effect.revision)) from effect left join journal"
    " on journal.session_id = effect.session_id and journal.revision = effect.revision and journal.action = 'redo'"
    " where effect.session_id = ? and effect.state in ('waiting', 'parked')"
)
"""What was done again is undone by what was done first."""
_DELIVERY = "select min(revision) from delivery where session_id = ? and state = 'waiting'"


def is_owed(transaction: Transaction, record: Record) -> bool:
    """Whether something is still to come: news for a consumer, a timer, an effect, a delivery."""
    if record.timers not in (None, "null", "[]") or record.due_at is not None:
        return True
    effect, delivery = _first(transaction, _EFFECT, record.id), _first(transaction, _DELIVERY, record.id)
    return effect is not None or delivery is not None or heard_by_all(transaction, record) < record.revision


def highest_floor(transaction: Transaction, record: Record) -> int:
    """The highest revision at which the kept past may begin, so that nothing is missing for what is still to come.

    The entry at which it begins loses its images, so it must have been heard of; undoing a change, and with it an
    effect that waits, needs the one before it.
    """
    bounds = [record.revision, heard_by_all(transaction, record)]
    if (effect := _first(transaction, _EFFECT, record.id)) is not None:
        bounds.append(effect - 1)
    if (delivery := _first(transaction, _DELIVERY, record.id)) is not None:
        bounds.append(delivery)
    return max(1, min(bounds))


def heard_by_all(transaction: Transaction, record: Record) -> int:
    """The last revision of which every consumer has heard whom it concerns."""
    concerned = [consumer for consumer in registered(transaction) if consumer.concerns(record.world)]
    if not concerned:
        return record.revision
    heard = heard_in(transaction, record.id)
    return min(
        heard[consumer.name].revision if consumer.name in heard else position(transaction, record, consumer)
        for consumer in concerned
    )


def expired(
    transaction: Transaction, world: str, version: int, changed_before: datetime, after: int, until: int
) -> list[tuple[int, str]]:
    """Sessions of a world that nobody changed since a time, as (id, handle).

    Those with ids beyond `after`, up to `until`, that have not ended and are of no newer version.
    """
    found = transaction.execute(
        "select id, handle from session where id > ? and id <= ? and world = ? and version <= ? and updated_at <= ?"
        " and ended_at is null and hidden is null",
        (after, until, world, version, changed_before.isoformat(timespec="microseconds")),
    )
    return [(row[0], row[1]) for row in found.fetchall()]


def is_free(transaction: Transaction, session_id: int) -> bool:
    """Whether a session is there of which nothing is still to come."""
    record = transaction.session_by_id(session_id)
    return record is not None and not is_owed(transaction, record)


def _first(transaction: Transaction, statement: str, session_id: int) -> int | None:
    found = transaction.execute(statement, (session_id,)).fetchone()[0]
    return None if found is None else int(found)
