"""Which sessions have news for whom, who is passing it on, and that it was passed on.

A session is marked by the transaction of each change. Whoever passes its news
on has a row of `claim`, which goes with its worker; with that row goes the
right to say that anything was heard.
"""

from collections.abc import Mapping, Sequence

from engine.store.consumers import Registered
from engine.store.records import Transaction

_SIZES = (1, 8, 64)
"""How many sessions one statement claims: few sizes, since each is prepared."""
_FREE = "hidden is null and not exists (select 1 from claim where claim.session_id = session.id)"


def marked(transaction: Transaction, world: str, version: int, after: int, limit: int) -> list[int]:
    """Sessions of a world beyond an id that have news, which nobody passes on, by id; none of a newer version."""
    statement = (
        "select id from session where world = ? and news is not null and id > ? and version <= ?"
        f" and {_FREE} order by id limit ?"
    )
    return [row[0] for row in transaction.execute(statement, (world, after, version, limit)).fetchall()]


def due(transaction: Transaction, consumer: str, versions: Mapping[str, int], limit: int) -> list[int]:
    """Sessions in which a consumer is due, which nobody passes on, the longest due first.

    `versions` has the worlds that are loaded here, each with its version.
    """
    here = " or ".join(["(world = ? and version <= ?)"] * len(versions))
    statement = (
        "select session_id from heard join session on session.id = session_id"
        f" where consumer = ? and heard.due_at is not null and heard.due_at <= ? and ({here}) and {_FREE}"
        " order by heard.due_at limit ?"
    )
    worlds = [value for pair in versions.items() for value in pair]
    values = (consumer, transaction.at, *worlds, limit)
    return [row[0] for row in transaction.execute(statement, values).fetchall()]


def claim(transaction: Transaction, worker: str, sessions: Sequence[int]) -> list[int]:
    """Claim sessions for a worker: those of them that nobody else has claimed."""
    claimed: list[int] = []
    wanted = sorted(sessions)  # in one order, so that two that claim never wait for each other
    for start in range(0, len(wanted), _SIZES[-1]):
        some = wanted[start : start + _SIZES[-1]]
        size = next(size for size in _SIZES if size >= len(some))
        statement = (
            "insert into claim (session_id, worker_id) select id, ? from session where hidden is null"
            f" and id in ({', '.join('?' * size)}) order by id on conflict (session_id) do nothing returning session_id"
        )
        values = (worker, *some, *[0] * (size - len(some)))
        claimed += [row[0] for row in transaction.execute(statement, values).fetchall()]
    return claimed


def held(transaction: Transaction, worker: str) -> list[int]:
    """The sessions that a worker has claimed."""
    found = transaction.execute("select session_id from claim where worker_id = ?", (worker,)).fetchall()
    return [row[0] for row in found]


def release(transaction: Transaction, worker: str, session_id: int) -> bool:
    """Give a claim back; whether it was still that worker's. If not, nothing it did counts."""
    statement = "delete from claim where session_id = ? and worker_id = ?"
    return bool(transaction.execute(statement, (session_id, worker)).rowcount == 1)


def clear(transaction: Transaction, session_id: int, revision: int) -> bool:
    """Take the mark from a session that has not changed since a revision; whether it was taken.

    One that is being changed is let be: the change marks it anyway, and nobody has to wait for it here.
    """
    if transaction.locks:
        statement = (
            "update session set news = null where id = (select id from session where id = ? and revision = ?"
            " for no key update skip locked)"
        )
    else:
        statement = "update session set news = null where id = ? and revision = ?"
    return bool(transaction.execute(statement, (session_id, revision)).rowcount == 1)


def unheard(transaction: Transaction, consumer: Registered, after: int, until: int) -> list[int]:
    """Sessions of which a consumer that is told from the start may never have heard, without a mark, by id.

    Those with ids beyond `after`, up to `until`.
    """
    statement = (
        "select id from session where id > ? and id <= ? and news is null and hidden is null and revision > copied_to"
        " and world = coalesce(?, world)"
        " and not exists (select 1 from heard where heard.consumer = ? and heard.session_id = session.id) order by id"
    )
    values = (after, until, consumer.world, consumer.name)
    return [row[0] for row in transaction.execute(statement, values).fetchall()]


def mark(transaction: Transaction, sessions: Sequence[int]) -> None:
    """Mark sessions as if they had changed."""
    for session_id in sessions:
        transaction.execute("update session set news = 1 where id = ? and news is null", (session_id,))
