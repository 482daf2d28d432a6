"""Retention: what is older than the operator keeps it is removed from journals, in short transactions.

A session's present is never removed. Of its past, `floor` is the first revision
kept; of those before it, images and documents go at once, and the entries with
their keys, arguments and results 48 hours later, so that a late retry is
answered and not done again. What is still needed for what is to come after the
commit (`engine.store.owed`) stays.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from engine.store import pruning
from engine.store.progress import through
from engine.store.records import Record, Transaction
from engine.store.stores import Store

KEYS_FOR = timedelta(hours=48)
"""How long keys outlive the past."""


def prune(store: Store, retention: timedelta, go_on: Callable[[], bool] = lambda: True) -> int:
    """Remove what is older than that, for as long as `go_on` says; of how many sessions something was removed.

    The next call goes on where this one stopped. What a consumer, an effect or a webhook still needs stays.
    """
    now, pruned = store.now(), 0
    before, keys_before = now - retention, now - retention - KEYS_FOR

    def bite(after: int, until: int) -> int:
        nonlocal pruned
        with store.snapshot(unbounded=True) as transaction:
            found = pruning.old(transaction, before, keys_before, after, until)
        for session_id in found:
            done, whole = _prune_session(
                store,
                session_id,
                go_on,
                lambda tx, record: _raise(tx, record, pruning.horizon(tx, record, before)),
                pruning.empty,
                lambda tx, record: pruning.forget(tx, record, keys_before),
            )
            pruned += done
            if not go_on():
                return session_id if whole else session_id - 1
        return until

    through(store, "journals", bite, go_on)
    return pruned


def _prune_session(
    store: Store, session_id: int, go_on: Callable[[], bool], *steps: Callable[[Transaction, Record], int]
) -> tuple[bool, bool]:
    """Take each step until it finds nothing more to do: whether any did something, and whether that was all.

    It stops only after one that did something, so that the next call finds less to do.
    """
    done = False
    for step in steps:
        while store.write(partial(_stepped, session_id=session_id, step=step)):
            done = True
            if not go_on():
                return done, False
    return done, True


def _stepped(transaction: Transaction, session_id: int, step: Callable[[Transaction, Record], int]) -> int:
    record = transaction.session_by_id(session_id)
    return 0 if record is None else step(transaction, record)


def _raise(transaction: Transaction, record: Record, revision: int) -> int:
    floor = transaction.entry(record.id, revision)
    if floor is None or revision <= record.floor:
        return 0
    pruning.raise_floor(transaction, record, floor)
    return 1
