"""What the store is asked about timers of all sessions: which are due, and which wait."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from engine.store.records import Transaction


@dataclass(frozen=True, slots=True)
class Waiting:
    """A session that waits for something: `timers` is its JSON list."""

    session: str
    world: str
    timers: str


def first_due(transaction: Transaction, worlds: Mapping[str, int], limit: int) -> list[tuple[str, datetime]]:
    """The sessions whose timers are due next, as (handle, when), of these worlds at these versions or older ones."""
    if not worlds:
        return []
    known = " or ".join(["(world = ? and version <= ?)"] * len(worlds))
    found = transaction.execute(
        f"select handle, due_at from session where due_at is not null and hidden is null and ({known})"
        " order by due_at limit ?",
        (*(value for pair in worlds.items() for value in pair), limit),
    )
    return [(handle, datetime.fromisoformat(due_at)) for handle, due_at in found.fetchall()]


def waiting(transaction: Transaction, *, session: str | None, failed: bool, limit: int) -> Iterator[Waiting]:
    """The sessions that have timers, or that one, the next due first; or only those of which timers `failed`."""
    statement = "select handle, world, timers from session where timers is not null and hidden is null"
    values: list[object] = []
    if session is not None:
        statement, values = statement + " and handle = ?", [session]
    if failed:
        statement, values = statement + " and timers like ?", [*values, '%"failed":%']
    found = transaction.execute(statement + " order by coalesce(due_at, ''), id limit ?", (*values, limit))
    return (Waiting(*row) for row in found.fetchall())
