"""What was worked out of a session before, for who asks again: whether it still is so, or was so at a past of it."""

from collections.abc import Hashable
from typing import Any

from engine.store.memory import Address, Remembered
from engine.store.records import Record, Transaction


def recalled(transaction: Transaction, record: Record, key: Hashable) -> Remembered | None:
    """What is remembered of a session as it is, or as it was at a revision that it went on from."""
    if transaction.memory is None:
        return None
    found = transaction.memory.get(_address(record, key))
    if found is None or found.revision > record.revision:
        return None
    if found.revision == record.revision:
        return found if found.at == record.updated_at else None
    return found if _went_on(transaction, record, found) else None


def remember(transaction: Transaction, record: Record, key: Hashable, value: Any, size: int) -> None:
    """Remember what was worked out of a session as it is."""
    if transaction.memory is not None:
        new = Remembered(record.revision, record.updated_at, value, size)
        transaction.memory.put(_address(record, key), new)


def _address(record: Record, key: Hashable) -> Address:
    return Address(record.handle, record.id, record.rows_at, key)


def _went_on(transaction: Transaction, record: Record, found: Remembered) -> bool:
    """Whether a session has that very revision in its past, and showed the same rows ever since."""
    if not transaction.has(record.id, found.revision, found.at):
        return False
    switched = "select 1 from journal where session_id = ? and adopted is not null and revision > ? and revision <= ?"
    return transaction.execute(switched, (record.id, found.revision, record.revision)).fetchone() is None
