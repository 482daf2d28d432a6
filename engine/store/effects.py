"""Effects as they are kept: asked for by a change, claimed by a worker, and what came of them.

Times are the store's clock, shifted like everything that a session sees.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any

from engine.store.records import Transaction
from engine.store.workers import is_here


@dataclass(frozen=True, slots=True)
class EffectRecord:
    """An effect's row, as read."""

    id: int
    session_id: int
    revision: int
    number: int
    name: str
    arguments: str
    key: str
    state: str
    attempts: int
    created_at: str
    due_at: str
    deadline_at: str
    worker_id: str | None
    claimed_at: str | None
    result: str | None
    error: str | None
    compensates: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """An effect with the session that it is of."""

    row: EffectRecord
    handle: str
    world: str


@dataclass(frozen=True, slots=True)
class Asked:
    """An effect to be kept."""

    name: str
    arguments: str
    deadline: timedelta
    compensates: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What a process can carry out: by world its version here, and the names of its effects."""

    worlds: Mapping[str, tuple[int, Sequence[str]]]

    @property
    def condition(self) -> str:
        """The condition on a session and an effect of it."""
        return " or ".join(
            "(session.world = ? and session.version <= ? and effect.name in (" + ", ".join("?" * len(names)) + "))"
            for _, names in self.worlds.values()
        )

    @property
    def values(self) -> tuple[object, ...]:
        """The condition's values."""
        return tuple(value for world, (version, names) in self.worlds.items() for value in (world, version, *names))


_COLUMNS = ", ".join(f"effect.{field.name}" for field in fields(EffectRecord))
_OF_SESSION = " from effect join session on session.id = effect.session_id"
_DUE = f"{_OF_SESSION} where effect.state = 'waiting' and effect.worker_id is null and session.hidden is null"


def insert(transaction: Transaction, session_id: int, revision: int, asked: Iterable[Asked], *, after: int = 0) -> None:
    """Keep the effects that a change asked for, numbered `after` those it has."""
    for number, one in enumerate(asked, after + 1):
        deadline = _text(transaction, one.deadline)
        key = f"eff_{secrets.token_urlsafe(24)}"
        transaction.execute(
            "insert into effect (session_id, revision, number, name, arguments, key, state, attempts, created_at,"
            " due_at, deadline_at, compensates) values (?, ?, ?, ?, ?, ?, 'waiting', 0, ?, ?, ?, ?)",
            (
                session_id,
                revision,
                number,
                one.name,
                one.arguments,
                key,
                transaction.at,
                transaction.at,
                deadline,
                one.compensates,
            ),
        )


def insert_beside(transaction: Transaction, row: EffectRecord, asked: Asked) -> None:
    """Keep an effect beside another of the same change."""
    found = transaction.execute(
        "select max(number) from effect where session_id = ? and revision = ?", (row.session_id, row.revision)
    )
    insert(transaction, row.session_id, row.revision, [asked], after=found.fetchone()[0])


def of_change(transaction: Transaction, session_id: int, revision: int) -> list[EffectRecord]:
    """The effects of a change, or of the last redo of it: nobody claims one of them before this transaction ends."""
    found = transaction.execute(
        f"select {_COLUMNS} from effect where session_id = ? and revision = coalesce("
        "(select max(revision) from journal where session_id = ? and target = ? and action = 'redo'), ?)"
        f" order by number{_lock(transaction)}",
        (session_id, session_id, revision, revision),
    )
    return [EffectRecord(*row) for row in found.fetchall()]


def held(transaction: Transaction, effect: int, worker: str) -> EffectRecord | None:
    """An effect, if it still waits and that worker still holds it."""
    found = transaction.execute(
        f"select {_COLUMNS} from effect where id = ? and state = 'waiting' and worker_id = ?{_lock(transaction)}",
        (effect, worker),
    ).fetchone()
    return None if found is None else EffectRecord(*found)


def end(
    transaction: Transaction, effect: int, state: str, *, result: str | None = None, error: str | None = None
) -> None:
    """Say what became of an effect; a result that was kept before stays."""
    transaction.execute(
        "update effect set state = ?, result = coalesce(?, result), error = ?, worker_id = null where id = ?",
        (state, result, error, effect),
    )


def leave(transaction: Transaction, effect: int, *, result: str | None, error: str | None) -> None:
    """Have another process report an effect; one that has no result is tried again there."""
    transaction.execute(
        "update effect set worker_id = null, due_at = ?, result = coalesce(?, result), error = ? where id = ?",
        (transaction.at, result, error, effect),
    )


def try_again(transaction: Transaction, effect: int, worker: str, pause: timedelta, error: str) -> bool:
    """Have an effect wait for its next attempt, unless its deadline comes first; whether it waits, or is not held."""
    row = held(transaction, effect, worker)
    due = _text(transaction, pause)
    if row is not None and due >= row.deadline_at:
        return False
    if row is not None:
        transaction.execute(
            "update effect set worker_id = null, due_at = ?, error = ? where id = ?", (due, error, effect)
        )
    return True


def next_due(transaction: Transaction, known: Known) -> str | None:
    """When the next effect is due that this process can carry out and nobody holds."""
    statement = f"select effect.due_at{_DUE} and ({known.condition}) order by effect.due_at limit 1"
    found = transaction.execute(statement, known.values).fetchone()
    return None if found is None else str(found[0])


def claim(transaction: Transaction, known: Known, worker: str, most: int) -> list[Taken]:
    """Claim effects that are due, the longest due first; none for a worker that lost its lease."""
    if not is_here(transaction, worker):
        return []
    lock = " for update of effect skip locked" if transaction.dialect == "postgresql" else ""
    claimed = transaction.execute(
        f"with due as materialized (select effect.id{_DUE} and effect.due_at <= ? and ({known.condition})"
        f" order by effect.due_at, effect.id limit ?{lock})"
        " update effect set worker_id = ?, claimed_at = coalesce(claimed_at, ?), attempts = attempts + 1"
        " where id in (select id from due) returning id",
        (transaction.at, *known.values, most, worker, transaction.at),
    )
    ids = {row[0] for row in claimed.fetchall()}
    if not ids:
        return []
    found = transaction.execute(
        f"select handle, world, {_COLUMNS}{_OF_SESSION} where effect.worker_id = ? and effect.state = 'waiting'"
        " order by effect.due_at, effect.id",
        (worker,),
    )
    every = [_taken(row) for row in found.fetchall()]
    return [taken for taken in every if taken.row.id in ids]


def is_held(transaction: Transaction, worker: str) -> bool:
    """Whether a worker holds an effect."""
    found = transaction.execute("select 1 from effect where worker_id = ? limit 1", (worker,))
    return found.fetchone() is not None


def give_back(transaction: Transaction, worker: str) -> None:
    """Let go of what a worker holds: it is due at once for others."""
    transaction.execute("update effect set worker_id = null where worker_id = ?", (worker,))


def find(transaction: Transaction, effect: int) -> Taken | None:
    """The effect of that id, with its session, if that can be seen."""
    statement = f"select handle, world, {_COLUMNS}{_OF_SESSION} where session.hidden is null and effect.id = ?"
    row = transaction.execute(statement + (_lock(transaction, "effect") if transaction.writable else ""), (effect,))
    found = row.fetchone()
    return None if found is None else _taken(found)


def listed(transaction: Transaction, session_id: int | None, states: Sequence[str]) -> list[Taken]:
    """The effects in some states, of a session or of all, in the order in which they were asked for."""
    marks = ", ".join("?" * len(states))
    mine, values = ("", ()) if session_id is None else (" and effect.session_id = ?", (session_id,))
    found = transaction.execute(
        f"select handle, world, {_COLUMNS}{_OF_SESSION} where session.hidden is null and effect.state in ({marks})"
        f"{mine} order by effect.id",
        (*states, *values),
    )
    return [_taken(row) for row in found.fetchall()]


def resume(transaction: Transaction, row: EffectRecord, deadline: timedelta) -> None:
    """Have an effect tried at once, as if it had not been before; what it gave is only reported again."""
    transaction.execute(
        "update effect set state = 'waiting', attempts = 0, due_at = ?, deadline_at = ? where id = ?",
        (transaction.at, _text(transaction, deadline), row.id),
    )


def _taken(row: Sequence[Any]) -> Taken:
    return Taken(EffectRecord(*row[2:]), row[0], row[1])


def _text(transaction: Transaction, after: timedelta) -> str:
    return (transaction.now + after).isoformat(timespec="microseconds")


def _lock(transaction: Transaction, table: str = "") -> str:
    of = f" of {table}" if table else ""
    return f" for update{of}" if transaction.locks else ""
