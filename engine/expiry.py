"""Expiry: sessions that nobody changed for as long as their world says are over. It is computed, never written."""

from datetime import datetime, timedelta

from engine.definition import Definition
from engine.errors import Refused
from engine.store.records import Record


def expired_at(record: Record, definition: Definition, now: datetime) -> str | None:
    """When a session expired, ISO 8601; None if it did not, or ended before."""
    idle = definition.expires_after
    if idle is None or record.ended_at is not None:
        return None
    changed = datetime.fromisoformat(record.updated_at)
    return (changed + idle).isoformat(timespec="microseconds") if now - changed >= idle else None


def check_open(record: Record, definition: Definition, now: datetime) -> None:
    """Insist that a session can still be changed. Raises Refused."""
    if (no := over(record, definition, now)) is not None:
        raise no


def over(record: Record, definition: Definition, now: datetime | None) -> Refused | None:
    """Why a session can be changed no more, if that is so; without `now`, whether it expired is not asked."""
    if record.ended_at is not None:
        return Refused("session_ended", f"The session ended at {record.ended_at}.", hint="Start or fork another one.")
    if now is None or (at := expired_at(record, definition, now)) is None:
        return None
    return Refused(
        "session_expired",
        f"The session expired at {at}: sessions of {definition.name} do so when nobody changes them for"
        f" {spelt(definition.expires_after or timedelta())}.",
        hint="It can still be read. Fork it to go on from here, or start another one.",
    )


def spelt(duration: timedelta) -> str:
    """A duration for people: `30 days`, `1 day, 2:00:00`."""
    return str(duration).removesuffix(", 0:00:00")
