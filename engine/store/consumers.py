"""Who hears of changes, and how far each is in a session."""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.store.records import Record, Transaction

_HEARD = "revision, attempts, due_at, parked_at, error"


@dataclass(frozen=True, slots=True)
class Registered:
    """A row of `consumer`: who hears of a world's changes, or with `world` None of all worlds'."""

    name: str
    kind: str
    world: str | None
    since: str
    from_start: bool

    def concerns(self, world: str) -> bool:
        """Whether it hears of a world's changes."""
        return self.world in (None, world)


@dataclass(frozen=True, slots=True)
class Heard:
    """Up to which revision of a session a consumer has heard, and what keeps it from more: a row of `heard`."""

    revision: int
    attempts: int = 0
    due_at: str | None = None
    parked_at: str | None = None
    error: str | None = None


def register(transaction: Transaction, name: str, kind: str, world: str | None, *, from_start: bool = False) -> None:
    """Make a consumer known. One that is known keeps its `since`; it may come to hear of more worlds, not of fewer."""
    values = (name, kind, world, transaction.at, from_start)
    transaction.execute(
        "insert into consumer (name, kind, world, since, from_start) values (?, ?, ?, ?, ?)"
        " on conflict (name) do nothing",
        values,
    )
    if world is None:
        transaction.execute("update consumer set world = null where name = ? and world is not null", (name,))
    else:
        transaction.execute("update consumer set world = null where name = ? and world <> ?", (name, world))


def begin_elsewhere(transaction: Transaction, consumer: Registered, after: int, until: int) -> None:
    """Have a consumer of one world begin at the present in other worlds' sessions, before it comes to hear of them.

    In those with ids beyond `after`, up to `until`.
    """
    transaction.execute(
        "insert into heard (consumer, session_id, revision, attempts) select ?, id, revision, 0 from session"
        " where id > ? and id <= ? and world <> ? and updated_at > ? and hidden is null"
        " on conflict (consumer, session_id) do nothing",
        (consumer.name, after, until, consumer.world, consumer.since),
    )


def registered(transaction: Transaction) -> list[Registered]:
    """Every consumer, by name."""
    found = transaction.execute("select name, kind, world, since, from_start from consumer order by name").fetchall()
    return [Registered(name, kind, world, since, bool(start)) for name, kind, world, since, start in found]


def forget(transaction: Transaction, name: str) -> bool:
    """Delete a consumer and how far it was; whether there was one."""
    return bool(transaction.execute("delete from consumer where name = ?", (name,)).rowcount == 1)


def heard_in(transaction: Transaction, session_id: int) -> dict[str, Heard]:
    """How far consumers are in a session, by name: those that have said so."""
    found = transaction.execute(f"select consumer, {_HEARD} from heard where session_id = ?", (session_id,))
    return {row[0]: Heard(*row[1:]) for row in found.fetchall()}


def position(transaction: Transaction, record: Record, consumer: Registered) -> int:
    """Up to which revision a consumer has heard that has not said so: what came after is for it.

    It hears of nothing that another session did, nor of what is no longer kept, nor of what was before it unless it
    is told from the start.
    """
    first = max(record.copied_to, record.floor if record.floor > 1 else 0)
    if consumer.from_start:
        return first
    return last_before(transaction, record, consumer.since, first)


def last_before(transaction: Transaction, record: Record, at: str, low: int) -> int:
    """The last revision from `low` on that is as old as that: times do not fall from one revision to the next."""
    if record.updated_at <= at:
        return record.revision
    high = record.revision
    while low < high:
        middle = (low + high + 1) // 2
        statement = "select at from journal where session_id = ? and revision = ?"
        found = transaction.execute(statement, (record.id, middle)).fetchone()
        if found is not None and found[0] <= at:
            low = middle
        else:
            high = middle - 1
    return low


def keep(transaction: Transaction, name: str, session_id: int, heard: Heard) -> None:
    """Note how far a consumer is, if it is still known: never less far than it is said to be."""
    transaction.execute(
        f"insert into heard (consumer, session_id, {_HEARD}) select name, ?, ?, ?, ?, ?, ? from consumer"
        " where name = ? on conflict (consumer, session_id) do update set revision = excluded.revision,"
        " attempts = excluded.attempts, due_at = excluded.due_at, parked_at = excluded.parked_at,"
        " error = excluded.error where heard.revision <= excluded.revision",
        (session_id, heard.revision, heard.attempts, heard.due_at, heard.parked_at, heard.error, name),
    )


def next_due(transaction: Transaction, names: Sequence[str]) -> str | None:
    """When the next of these consumers is due that is not yet, ISO 8601."""
    statement = "select min(due_at) from heard where consumer = ? and due_at is not null and due_at > ?"
    found = [transaction.execute(statement, (name, transaction.at)).fetchone()[0] for name in names]
    return min((at for at in found if at is not None), default=None)
