"""Who does background work: a row for each process, renewed while it lives. What a dead one held is free again.

Times are the machine's or the database's own, not shifted: a test that moves the
clock takes nobody's lease away.
"""

import secrets
from datetime import datetime, timedelta

from engine.store.records import Transaction

FIRST = "serve"
"""The kind that goes first: while one of it lives, no other kind takes work."""


def enter(transaction: Transaction, kind: str, place: str, now: datetime, lease: timedelta) -> str:
    """A new worker's id."""
    worker = f"wrk_{secrets.token_hex(8)}"
    values = (worker, kind, place, _text(now), _text(now + lease))
    transaction.execute("insert into worker (id, kind, place, started_at, until) values (?, ?, ?, ?, ?)", values)
    return worker


def renew(transaction: Transaction, worker: str, now: datetime, lease: timedelta) -> bool:
    """Prolong a worker's lease; whether it still had one."""
    renewed = transaction.execute("update worker set until = ? where id = ?", (_text(now + lease), worker))
    return bool(renewed.rowcount == 1)


def evict(transaction: Transaction, now: datetime) -> int:
    """Forget the workers whose lease is over, so that others may take what they held; how many it were."""
    return int(transaction.execute("delete from worker where until <= ?", (_text(now),)).rowcount)


def leave(transaction: Transaction, worker: str) -> None:
    """Forget a worker: what it held is free."""
    transaction.execute("delete from worker where id = ?", (worker,))


def goes_first(transaction: Transaction, kind: str, now: datetime) -> bool:
    """Whether nobody who goes first lives, or this kind does."""
    if kind == FIRST:
        return True
    found = transaction.execute("select 1 from worker where kind = ? and until > ?", (FIRST, _text(now)))
    return found.fetchone() is None


def is_here(transaction: Transaction, worker: str) -> bool:
    """Whether a worker still has its lease, as this transaction sees it."""
    return transaction.execute("select 1 from worker where id = ?", (worker,)).fetchone() is not None


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
