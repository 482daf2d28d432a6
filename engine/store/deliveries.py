"""What webhooks are told, message by message: made, taken, noted, replayed, forgotten.

Of the messages of one session that wait for one webhook, the first is due, and
the others have no time until it is their turn, so that order costs no search
and a long queue behind a message that fails is never looked through.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.errors import NotFound, Refused
from engine.store import webhooks, workers
from engine.store.records import Transaction
from engine.types import Change
from engine.webhooks import GIVEN_UP, Message, Webhook, body_of, is_wanted, new_id, type_of

GONE = 410
WAITING, DONE, DEAD = STATES = ("waiting", "done", "dead")
_ANEW = "update delivery set state = 'waiting', attempts = 0, due_at = null, done_at = null"


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt: the HTTP status, or what kept it from one. `at` is when it began, ISO 8601."""

    at: str
    seconds: float
    status: int | None = None
    error: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the message was taken."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as the log has it, with its attempts, the oldest first."""

    id: str
    webhook: str
    session: str
    revision: int
    type: str
    state: str
    created_at: str
    due_at: str | None
    done_at: str | None
    attempts: tuple[Attempt, ...]


def spread(transaction: Transaction, webhook: Webhook, session_id: int, changes: Sequence[Change]) -> int:
    """Make the messages about changes of a session, oldest first, that a webhook wants to hear of; how many it were."""
    wanted = [change for change in changes if is_wanted(webhook.types, type_of(change))]
    if not wanted:
        return 0
    _go_alone(transaction, webhook.id, session_id)
    others_wait = _first(transaction, webhook.id, session_id) is not None  # then one of them has its turn
    made = sum(_insert(transaction, webhook.id, session_id, change) for change in wanted)
    if not others_wait:
        _pass_on(transaction, webhook.id, session_id)
    return made


def _insert(transaction: Transaction, webhook: str, session_id: int, change: Change) -> int:
    made = transaction.execute(
        "insert into delivery (id, webhook_id, session_id, revision, type, body, state, attempts, created_at)"
        " values (?, ?, ?, ?, ?, ?, 'waiting', 0, ?) on conflict (webhook_id, session_id, revision) do nothing",
        (new_id(), webhook, session_id, change.revision, type_of(change), body_of(change), transaction.at),
    )
    return int(made.rowcount)


def due(transaction: Transaction) -> dict[str, datetime | None]:
    """Every enabled webhook, and when the first of its messages is due that nobody has taken."""
    found = transaction.execute(
        "select id, (select min(due_at) from delivery where webhook_id = webhook.id and state = 'waiting'"
        " and due_at is not null and worker_id is null) from webhook where disabled is null"
    ).fetchall()
    return {webhook: None if at is None else datetime.fromisoformat(at) for webhook, at in found}


def claim(transaction: Transaction, worker: str, webhook: str, limit: int) -> list[Message]:
    """Take so many of a webhook's messages that are due, if the worker still has its lease.

    Raises StoreError where its secrets cannot be opened here.
    """
    found = webhooks.find(transaction, webhook)
    if found is None or found.disabled is not None or not workers.is_here(transaction, worker):
        return []
    secrets = webhooks.signing(transaction, webhook)
    statement = (
        "select id, session_id, body, attempts from delivery where webhook_id = ? and state = 'waiting'"
        " and due_at is not null and due_at <= ? and worker_id is null order by due_at limit ?"
    ) + (" for update skip locked" if transaction.locks else "")
    rows = transaction.execute(statement, (webhook, transaction.at, limit)).fetchall()
    for row in rows:
        transaction.execute("update delivery set worker_id = ? where id = ?", (worker, row[0]))
    return [
        Message(row[0], webhook, found.url, row[2], transaction.now, secrets, row[1], attempt=row[3] + 1)
        for row in rows
    ]


def note(transaction: Transaction, worker: str, message: Message, attempt: Attempt, again: timedelta | None) -> bool:
    """Note what came of an attempt, to be repeated after `again` if it failed; whether it was still the worker's."""
    _go_alone(transaction, message.webhook, message.session_id)
    if not _end(transaction, worker, message, attempt, again):
        return False
    transaction.execute(
        "insert into delivery_attempt (delivery_id, number, at, seconds, status, error)"
        " select ?, coalesce(max(number), 0) + 1, ?, ?, ?, ? from delivery_attempt where delivery_id = ?",
        (message.id, attempt.at, attempt.seconds, attempt.status, attempt.error, message.id),
    )
    _pass_on(transaction, message.webhook, message.session_id)
    if attempt.is_taken:
        statement = "update webhook set failing_since = null where id = ? and failing_since is not null"
        transaction.execute(statement, (message.webhook,))
    else:
        _failed(transaction, message.webhook, attempt)
    return True


def _end(transaction: Transaction, worker: str, message: Message, attempt: Attempt, again: timedelta | None) -> bool:
    state = DONE if attempt.is_taken else DEAD if again is None else WAITING
    due_at = (transaction.now + again).isoformat(timespec="microseconds") if again and state == WAITING else None
    noted = transaction.execute(
        "update delivery set state = ?, attempts = attempts + 1, due_at = ?, done_at = ?, worker_id = null"
        " where id = ? and worker_id = ? and state = 'waiting'",
        (state, due_at, transaction.at if state == DONE else None, message.id, worker),
    )
    return bool(noted.rowcount == 1)


def _failed(transaction: Transaction, webhook: str, attempt: Attempt) -> None:
    """Note on a webhook that an attempt failed, and disable it where that says so."""
    since = "update webhook set failing_since = coalesce(failing_since, ?) where id = ? returning failing_since"
    row = transaction.execute(since, (transaction.at, webhook)).fetchone()
    if attempt.status == GONE:
        webhooks.disable(transaction, webhook, f"its endpoint answered {GONE} (gone) at {transaction.at[:19]}Z")
    elif row is not None and datetime.fromisoformat(row[0]) <= transaction.now - GIVEN_UP:
        webhooks.disable(transaction, webhook, f"every delivery has failed since {row[0][:19]}Z")


def give_back(transaction: Transaction, worker: str) -> None:
    """Let go of all that a worker has taken."""
    transaction.execute("update delivery set worker_id = null where worker_id = ?", (worker,))


def holds(transaction: Transaction, worker: str) -> bool:
    """Whether a worker has taken any message."""
    return transaction.execute("select 1 from delivery where worker_id = ? limit 1", (worker,)).fetchone() is not None


def replay(transaction: Transaction, delivery: str) -> None:
    """Have a message go out again, the same to the letter, with all its attempts. Raises NotFound, Refused."""
    statement = "select webhook_id, session_id, worker_id from delivery where id = ?"
    row = transaction.execute(statement, (delivery,)).fetchone()
    if row is None:
        raise NotFound(f"There is no delivery {delivery!r}.", hint="`turnkeeper webhooks deliveries` has them.")
    _go_alone(transaction, row[0], row[1])
    anew = transaction.execute(f"{_ANEW} where id = ? and worker_id is null", (delivery,))
    if anew.rowcount != 1:
        raise Refused("under_way", f"{delivery} is being delivered just now.", hint="See what comes of it first.")
    _turn_to_first(transaction, row[0], row[1])


def replay_dead(transaction: Transaction, webhook: str, limit: int) -> int:
    """Have so many of a webhook's dead messages go out again, the oldest of each session first; how many it were."""
    found = transaction.execute(
        "select id, session_id from delivery where webhook_id = ? and state = 'dead' order by session_id, revision"
        " limit ?",
        (webhook, limit),
    ).fetchall()
    for session_id in sorted({row[1] for row in found}):
        _go_alone(transaction, webhook, session_id)
        for delivery in (row[0] for row in found if row[1] == session_id):
            transaction.execute(f"{_ANEW} where id = ? and state = 'dead'", (delivery,))
        _turn_to_first(transaction, webhook, session_id)
    return len(found)


def logged(
    transaction: Transaction, webhook: str | None = None, state: str | None = None, limit: int = 100
) -> list[Delivery]:
    """The newest deliveries, of a webhook and in a state if these are given, the newest first."""
    asked = {f"{column} = ?": value for column, value in (("webhook_id", webhook), ("delivery.state", state)) if value}
    rows = transaction.execute(
        "select delivery.id, webhook_id, handle, delivery.revision, type, delivery.state, delivery.created_at,"
        " delivery.due_at, done_at from delivery join session on session.id = session_id"
        f" where {' and '.join(asked) or 'true'} order by delivery.created_at desc, delivery.revision desc limit ?",
        (*asked.values(), limit),
    ).fetchall()
    return [Delivery(*(*row, _attempts(transaction, row[0]))) for row in rows]


def counted(transaction: Transaction, webhook: str) -> dict[str, int]:
    """How many messages of a webhook are in each state."""
    statement = "select state, count(*) from delivery where webhook_id = ? group by state"
    found = dict(transaction.execute(statement, (webhook,)).fetchall())
    return {state: int(found.get(state, 0)) for state in STATES}


def sweep(transaction: Transaction, before: datetime, limit: int) -> int:
    """Forget so many of the messages that were taken before a time; how many it were."""
    statement = (
        "delete from delivery where id in (select id from delivery where state = 'done' and done_at < ? limit ?)"
    )
    return int(transaction.execute(statement, (before.isoformat(timespec="microseconds"), limit)).rowcount)


def _attempts(transaction: Transaction, delivery: str) -> tuple[Attempt, ...]:
    statement = "select at, seconds, status, error from delivery_attempt where delivery_id = ? order by number"
    return tuple(Attempt(*row) for row in transaction.execute(statement, (delivery,)).fetchall())


def _go_alone(transaction: Transaction, webhook: str, session_id: int) -> None:
    """Wait until nobody else changes what waits of a session for a webhook; on SQLite nobody does."""
    if transaction.locks:
        name = f"turnkeeper delivery {webhook} {session_id}"
        transaction.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))


def _first(transaction: Transaction, webhook: str, session_id: int) -> tuple[str, str | None] | None:
    """The first message of a session that waits for a webhook, and when it is due."""
    statement = (
        "select id, due_at from delivery where webhook_id = ? and session_id = ? and state = 'waiting'"
        " order by revision limit 1"
    )
    row = transaction.execute(statement, (webhook, session_id)).fetchone()
    return None if row is None else (row[0], row[1])


def _pass_on(transaction: Transaction, webhook: str, session_id: int) -> None:
    """Have the first message that waits be due, unless it is already."""
    if (first := _first(transaction, webhook, session_id)) is not None and first[1] is None:
        transaction.execute("update delivery set due_at = ? where id = ?", (transaction.at, first[0]))


def _turn_to_first(transaction: Transaction, webhook: str, session_id: int) -> None:
    """The same where a later one may have its turn: it waits again, or if it is on its way, passes on when it ends."""
    first = _first(transaction, webhook, session_id)
    if first is None or first[1] is not None:
        return
    mine = "webhook_id = ? and session_id = ? and state = 'waiting'"
    transaction.execute(
        f"update delivery set due_at = null where {mine} and due_at is not null and worker_id is null",
        (webhook, session_id),
    )
    under_way = f"select 1 from delivery where {mine} and worker_id is not null limit 1"
    if transaction.execute(under_way, (webhook, session_id)).fetchone() is None:
        _pass_on(transaction, webhook, session_id)
