"""The store on PostgreSQL: many machines on one database, each session's changes in order under its row's lock.

Callers of one session queue here, in their lane, and hold one connection
between them; a lane's callers share a commit, as on SQLite.
"""

import logging
import math
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import (
    BadStatement,
    Busy,
    Disconnected,
    EngineError,
    InvalidArguments,
    OutcomeUnknown,
    Refused,
    StoreError,
)
from engine.keys import Keys
from engine.limits import DEFAULT, Limits
from engine.store import raw
from engine.store.dumps import dump
from engine.store.groups import GROUP_SECONDS, Lost, Member, carry_out
from engine.store.memory import Memory
from engine.store.notices import Listening, Telling
from engine.store.records import Transaction, is_malformed, too_long
from engine.store.tables import CORE
from engine.store.waiting import Waiting, written
from engine.store.watching import Watch

T = TypeVar("T")
logger = logging.getLogger(__name__)

LOOK_UP_SECONDS = 10.0
"""How long the outcome of a commit is looked for."""
AGAIN = ("40001", "40P01")
"""Serialization failure and deadlock: the whole transaction may be tried again."""
BAD = ("0A", "42", "54")
"""Classes of errors in a statement itself: not supported, wrong or not allowed, more than the database can do."""

MIGRATING = int.from_bytes(b"turnkeep")
"""The advisory lock of whoever changes the tables."""


class PostgresStore:
    """Transactions on a PostgreSQL database. `offset` shifts the clock, for tests and authors.

    `url` is `postgresql://…` as libpq takes it. `writers` and `readers` are the connections at most.
    """

    def __init__(self, url: str, limits: Limits = DEFAULT, *, writers: int = 8, readers: int = 8) -> None:
        self.url = url
        self.limits = limits
        self.keys: Keys | None = None
        self.memory = Memory(limits.memory)
        self.offset = timedelta()
        self.group_seconds = GROUP_SECONDS
        self._reading = _engine(url, limits, QueuePool, autocommit=True, pool_size=readers, max_overflow=0)
        self._migrating = _engine(url, limits, NullPool, autocommit=False)
        self._waiting = Waiting(limits.waiting)
        self.telling = Telling(url)
        self._lanes: dict[object, deque[Member[Any]]] = {}
        self._lock = threading.Lock()
        self._ready: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._writers = [
            threading.Thread(target=self._write, name=f"turnkeeper-writer-{number}", daemon=True)
            for number in range(1, writers + 1)
        ]
        for writer in self._writers:
            writer.start()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a writing transaction, for migrations. Raises StoreError."""
        with _explaining(self.limits.seconds), self._migrating.begin() as connection:
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """As `connection`, one process at a time. Raises StoreError."""
        with self.connection() as connection:
            connection.exec_driver_sql(f"select pg_advisory_xact_lock({MIGRATING})")
            yield connection

    @property
    def file(self) -> None:
        """A server's database is no file."""
        return None

    def backup(self, target: Path) -> None:
        """Write all of it, as it is at one moment, to a file for `pg_restore`. Raises StoreError."""
        dump(self.url, target)

    def now(self) -> datetime:
        """The database's clock, UTC. Raises StoreError."""
        return self.read(lambda transaction: transaction.now)

    def write(
        self,
        work: Callable[[Transaction], T],
        told: Callable[[T], None] | None = None,
        *,
        lane: object = None,
        caller: object = None,
    ) -> T:
        """Run `work` in a transaction; its commit is on disk before this returns. Raises StoreError.

        `told` is called after the commit, and before the next one of that lane; it must return at once.
        """
        if threading.current_thread() in self._writers:
            raise TypeError("an action cannot dispatch another: it runs inside a transaction; use a hook")
        return written(self, Member(work, told=told, lane=lane, caller=caller))

    def submit(self, *members: Member[Any]) -> None:
        """Queue members, each in its lane; each is told of its outcome by its `done`. Raises Busy."""
        for member in members:
            self._waiting.enter(member)
            lane = object() if member.lane is None else member.lane
            with self._lock:
                waiting = self._lanes.get(lane)
                if waiting is None:
                    self._lanes[lane] = deque((member,))
                    self._ready.put(lane)
                else:
                    waiting.append(member)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one unchanging snapshot; it cannot write. Raises StoreError."""
        try:
            with self.snapshot() as transaction:
                return work(transaction)
        except Disconnected:
            # What is in the pool may have died since it was last used; a fresh connection tells whether the server has.
            self._reading.dispose()
            with self.snapshot() as transaction:
                return work(transaction)

    @contextmanager
    def snapshot(self, *, unbounded: bool = False) -> Iterator[Transaction]:
        """A reading transaction for as long as the block lasts; an `unbounded` one may take long. Raises StoreError."""
        with _explaining(self.limits.seconds), self._reading.connect() as connection:
            try:
                yield from self._snapshot(connection, unbounded)
            finally:
                if _driver(connection).closed:
                    connection.invalidate()
                else:
                    _driver(connection).rollback()

    def _snapshot(self, connection: Connection, unbounded: bool) -> Iterator[Transaction]:
        begun = _begun(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT clock_timestamp()")
        if unbounded:
            for limit in ("statement_timeout", "idle_in_transaction_session_timeout"):
                _driver(connection).execute(f"SET LOCAL {limit} = 0".encode())
        transaction = Transaction(
            connection,
            _executing(connection),
            begun[0] + self.offset,
            writable=False,
            dialect="postgresql",
            limits=self.limits.unbounded if unbounded else self.limits,
            keys=self.keys,
            memory=self.memory,
        )
        try:
            yield transaction
        finally:
            transaction.close()

    def watching(self) -> Watch:
        """What waits for commits: the server tells it."""
        return Listening(self.url)

    def close(self) -> None:
        """Carry out what was accepted, then give every connection back."""
        for _ in self._writers:
            self._ready.put(None)
        for writer in self._writers:
            writer.join()
        self.telling.close()
        self._reading.dispose()

    def _write(self) -> None:
        """A writer's thread: lane after lane, until the store is closed and everybody has been answered."""
        ground = PostgresGround(self)
        while (lane := self._ready.get()) is not None or (lane := self._left()) is not None:
            self._serve(lane, ground)
        ground.close()

    def _left(self) -> object:
        """For a writer that is to end: a lane that came back after the store was closed, if there is one."""
        ends = 0
        try:
            while (lane := self._ready.get_nowait()) is None:
                ends += 1
            ends += 1  # its own, for later
            return lane
        except queue.Empty:
            return None
        finally:
            for _ in range(ends):
                self._ready.put(None)

    def _serve(self, lane: object, ground: "PostgresGround") -> None:
        waiting = self._lanes[lane]
        for member in carry_out(ground, waiting.popleft(), lambda: waiting.popleft() if waiting else None):
            self._waiting.leave(member)
            member.finish()
        with self._lock:
            if waiting:
                self._ready.put(lane)
            else:
                del self._lanes[lane]


class PostgresGround:
    """A writer's connection."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._engine = _engine(store.url, store.limits, NullPool, autocommit=True)
        self._connection: Connection | None = None
        self._execute: Any = None
        self._now: Any = None
        self._xid = ""
        self._id = uuid.uuid4().hex
        self._number = 0

    @property
    def group_seconds(self) -> float:
        """Work of a group after which no further member begins."""
        return self._store.group_seconds

    def begin(self) -> None:
        """Begin a transaction that may write. Raises Lost."""
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                self._execute = _executing(self._connection)
                self._execute("DELETE FROM writer WHERE at < extract(epoch from now()) - 86400")
            self._number += 1
            self._now, self._xid = _begun(
                self._connection,
                f"BEGIN; INSERT INTO writer VALUES ('{self._id}', {self._number}, extract(epoch from now())::bigint)"
                " ON CONFLICT (id) DO UPDATE SET number = excluded.number, at = excluded.at;"
                " SELECT clock_timestamp(), pg_current_xact_id()::text",
            )
        except (SQLAlchemyError, psycopg.Error) as error:
            self.close()
            raise Lost(explained(error, self._store.limits.seconds), again=True) from error

    def savepoint(self) -> Transaction:
        """Begin a member's part."""
        assert self._connection is not None
        self._execute("SAVEPOINT part")
        return Transaction(
            self._connection,
            self._execute,
            self._now + self._store.offset,
            writable=True,
            dialect="postgresql",
            limits=self._store.limits,
            keys=self._store.keys,
        )

    def release(self, transaction: Transaction) -> None:
        """End a member's part."""
        transaction.check_time()
        transaction.close()
        self._execute("RELEASE part")

    def rollback_to(self, transaction: Transaction | None, error: BaseException) -> BaseException:
        """Take a member's part back. Raises Lost where only the whole transaction can be tried again."""
        seen = (
            _chained(explained(error, self._store.limits.seconds), error)
            if isinstance(error, SQLAlchemyError | psycopg.Error)
            else error
        )
        if transaction is not None:
            transaction.close()
        if _worth_trying_again(error):
            self._roll_back()
            raise Lost(seen, again=True) from error
        try:
            self._execute("ROLLBACK TO part")
            self._execute("RELEASE part")
        except psycopg.Error as failure:
            self.close()
            raise Lost(seen, again=isinstance(seen, Disconnected)) from failure
        return seen

    def commit(self, parts: list[Transaction]) -> None:
        """Commit; what was written is on disk. Raises Lost."""
        try:
            self._execute("COMMIT")
            self._store.telling.tell()
        except psycopg.Error as error:
            seen = _chained(explained(error, self._store.limits.seconds), error)
            if error.diag.severity_nonlocalized == "ERROR":  # the server said no, and goes on
                self._roll_back()
                raise Lost(seen, again=_worth_trying_again(error)) from error
            self.close()
            raise self._looked_up(seen) from error

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.invalidate()
            connection.close()

    def _roll_back(self) -> None:
        try:
            self._execute("ROLLBACK")
        except psycopg.Error:
            self.close()  # without its connection, the server rolls it back

    def _looked_up(self, error: EngineError) -> Lost:
        """What became of a commit in which the connection broke, by the number that it would have left."""
        until = time.monotonic() + LOOK_UP_SECONDS
        while time.monotonic() < until:
            try:
                with self._store.snapshot() as transaction:
                    if transaction.under_way(self._xid):
                        continue
                with self._store.snapshot() as transaction:
                    there = transaction.last_of(self._id) == self._number
                    return Lost(error, committed=there, again=not there)
            except StoreError:
                time.sleep(0.05)
        return Lost(
            OutcomeUnknown(
                "The database was cut off in the middle of a commit, and what became of it cannot be looked up now."
            ),
            unknown=True,
        )


@contextmanager
def _explaining(seconds: float) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        raise explained(error, seconds) from error


def explained(error: BaseException, seconds: float = DEFAULT.seconds) -> EngineError:
    """What a database error means to an operator, or a broken constraint to a caller, and what to do.

    `seconds` is what a statement may take.
    """
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = " ".join(str(cause).split())
    code = getattr(cause, "sqlstate", None) or ""
    if code.startswith("23"):
        return Refused("constraint", f"A row breaks a rule of its table: {_rule(cause)}.", hint="Nothing was changed.")
    if code == "57014":
        return too_long(seconds, seconds)
    if code in ("55P03", "53300", *AGAIN):
        return Busy(f"The database is in use by others for too long ({text}).", hint="Try again.")
    if code == "22003":
        return InvalidArguments(f"A number is too large for the database: {text}.")
    if code.startswith("22") or isinstance(cause, psycopg.DataError):
        return InvalidArguments(f"The database cannot hold a value: {text}.")
    if code == "53100":
        return StoreError(f"The database's disk is full ({text}).", hint="Free some room; nothing was changed.")
    if code == "25006":
        return StoreError(f"The transaction is read-only ({text}).", hint="Change things in an action.")
    if isinstance(cause, psycopg.OperationalError):
        return Disconnected(f"The database cannot be reached: {text}.", hint="Check that it runs, then try again.")
    kind = BadStatement if code[:2] in BAD or is_malformed(error) else StoreError
    return kind(f"The database failed: {text}.", hint="The log has the details; nothing was changed.")


def _rule(error: Any) -> str:
    """Which constraint was broken, without the row, which may be nobody's business."""
    kind = {"23502": "NOT NULL", "23503": "FOREIGN KEY", "23505": "UNIQUE", "23514": "CHECK"}.get(error.sqlstate, "A")
    found = error.diag
    return f"{kind} constraint failed: {found.constraint_name or f'{found.table_name}.{found.column_name}'}"


def _worth_trying_again(error: BaseException) -> bool:
    """A deadlock; or two that made one thing at once, such as a main session: the second will find the first's."""
    cause: Any = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return False
    return cause.sqlstate in AGAIN or (cause.sqlstate == "23505" and cause.diag.table_name in CORE)


def _chained(error: EngineError, cause: BaseException) -> EngineError:
    error.__cause__ = cause
    return error


def _driver(connection: Connection) -> "psycopg.Connection[Any]":
    driver: Any = connection.connection.driver_connection
    return driver  # type: ignore[no-any-return]


def _executing(connection: Connection) -> Callable[..., Any]:
    driver = _driver(connection)

    def execute(statement: str, values: tuple[object, ...] = ()) -> Any:
        return driver.execute(_translated(statement), values)

    return execute


def _begun(connection: Connection, statements: str) -> tuple[Any, ...]:
    """Run `BEGIN; SELECT …` in one round trip; the row that it gave."""
    cursor = _driver(connection).execute(statements.encode())
    while cursor.nextset():
        pass
    row: tuple[Any, ...] = cursor.fetchone() or ()
    return row


@cache
def _translated(statement: str) -> bytes:
    """The engine's statements with the driver's placeholders."""
    return statement.replace("%", "%%").replace("?", "%s").encode()


def _engine(url: str, limits: Limits, pool: Any, *, autocommit: bool, **options: Any) -> Engine:
    timeout = math.ceil(limits.seconds * 1000)
    settings = {
        "statement_timeout": timeout,
        "lock_timeout": timeout * 9 // 10,
        "idle_in_transaction_session_timeout": timeout * 12,
        "timezone": "UTC",
    }
    if autocommit:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    else:
        settings |= {"statement_timeout": 0, "idle_in_transaction_session_timeout": 0}
    plain = url.partition("://")[2]
    given = " ".join(f"-c {name}={value}" for name, value in settings.items())
    engine = create_engine(
        f"postgresql+psycopg://{plain}",
        poolclass=pool,
        use_native_hstore=False,
        connect_args={"options": given},
        **options,
    )
    raw.guard(engine)
    return engine
