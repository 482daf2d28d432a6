"""Going through all sessions, some ids at a time, and going on where one stopped, in whatever process."""

import time
from collections.abc import Callable
from functools import partial

from engine.store.records import Transaction
from engine.store.stores import Store

SPAN = 2_000
"""Ids of sessions among which something is looked for at once."""
NOTED_EVERY = 5.0
"""Seconds after which it is noted how far one is."""


def through(
    store: Store, name: str, bite: Callable[[int, int], int], go_on: Callable[[], bool], span: int = SPAN
) -> None:
    """Have `bite` do something about the sessions with ids beyond the first number, up to the second: all of them.

    It gives up to which id it came, which is less far where `go_on` said so meanwhile. One bite is always taken, so
    that calls of little time come through, too; the next call goes on where this one stopped.
    """
    at = noted = store.read(partial(_at, name=name))
    last, noted_at = store.read(last_id), time.monotonic()
    while at < last:
        at = bite(at, at + span)
        if not go_on():
            break
        if time.monotonic() - noted_at > NOTED_EVERY:
            store.write(partial(_note, name=name, at=at))
            noted, noted_at = at, time.monotonic()
    at = 0 if at >= last else at
    if at != noted:
        store.write(partial(_note, name=name, at=at))


def last_id(transaction: Transaction) -> int:
    """The id of the newest session, 0 if there is none."""
    return int(transaction.execute("select coalesce(max(id), 0) from session").fetchone()[0])


def _at(transaction: Transaction, name: str) -> int:
    found = transaction.execute("select at from progress where name = ?", (name,)).fetchone()
    return 0 if found is None else int(found[0])


def _note(transaction: Transaction, name: str, at: int) -> None:
    transaction.execute(
        "insert into progress (name, at) values (?, ?) on conflict (name) do update set at = excluded.at", (name, at)
    )
