"""Attempts that failed make the next ones wait: by account, or by browser if it is familiar, and by address.

An attempt is counted before it is decided, so that many at once gain nothing.
"""

import hashlib
import hmac
import ipaddress
from datetime import datetime, timedelta

from sqlmodel import col, delete, select

from engine.store.access import AttemptRow
from engine.store.records import Transaction

LONGEST = timedelta(minutes=15)
"""How long anybody waits at most."""
FORGOTTEN = timedelta(hours=24)
"""After how long without an attempt none is counted any more."""
FREE = {"account": 5, "familiar": 5, "address": 30}
"""Attempts without waiting. Many people may share an address."""


def sources_of(login: str, address: str) -> dict[str, str]:
    """What an attempt to sign in counts for: the account, and the address it comes from.

    One of this machine says nothing: it is that of a proxy that does not tell who asks, or one's own. Whoever has
    addresses of IPv6 has 2⁶⁴ of them at least (RFC 6177), so those count together.
    """
    found = {"account": login.strip().lower()[:200]}
    try:
        at = ipaddress.ip_address(address)
    except ValueError:
        return found | ({"address": address[:200]} if address else {})
    at = getattr(at, "ipv4_mapped", None) or at
    if at.is_loopback:
        return found
    return found | {"address": str(ipaddress.ip_network((at, 64), strict=False) if at.version == 6 else at)}


def attempted(transaction: Transaction, **sources: str) -> timedelta | None:
    """Count an attempt from each source; how long is to be waited first, if it may not be decided yet.

    One that has to wait is not counted: else others could keep a person out for ever.
    """
    rows = [_row(transaction, kind, source) for kind, source in sorted(sources.items())]
    waits = [datetime.fromisoformat(row.until) - transaction.now for row in rows]
    if max(waits) > timedelta():
        return max(waits)
    for row, kind in zip(rows, sorted(sources), strict=True):
        row.failures += 1
        over = row.failures - FREE[kind]
        wait = min(timedelta(seconds=2.0 ** min(over, 20)), LONGEST) if over >= 0 else timedelta()
        row.until = (transaction.now + wait).isoformat(timespec="microseconds")
        row.at = transaction.at
    transaction.db.flush()
    return None


def succeeded(transaction: Transaction, **sources: str) -> None:
    """Forget what failed for the account, or in the browser; of the address only that this attempt was counted."""
    for kind, source in sorted(sources.items()):
        row = _row(transaction, kind, source)
        row.failures = max(row.failures - 1, 0) if kind == "address" else 0
        row.until = transaction.at
    transaction.db.flush()


def sweep(transaction: Transaction, most: int = 500) -> None:
    """Delete what is so old that it does not count."""
    before = (transaction.now - FORGOTTEN).isoformat(timespec="microseconds")
    over = select(AttemptRow.key).where(AttemptRow.at < before).limit(most)
    transaction.run(delete(AttemptRow).where(col(AttemptRow.key).in_(over)))


def _row(transaction: Transaction, kind: str, source: str) -> AttemptRow:
    key = _key(transaction, kind, source)
    row = transaction.db.get(AttemptRow, key, with_for_update=transaction.dialect == "postgresql")
    if row is None:
        row = AttemptRow(key=key, failures=0, until=transaction.at, at=transaction.at)
        transaction.db.add(row)
    elif transaction.now - datetime.fromisoformat(row.at) > FORGOTTEN:
        row.failures = 0
    return row


def _key(transaction: Transaction, kind: str, source: str) -> str:
    """A keyed hash: the table says neither who tried nor from where."""
    return hmac.new(transaction.secret("attempts").encode(), f"{kind} {source}".encode(), hashlib.sha256).hexdigest()
