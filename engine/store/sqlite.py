"""The store on SQLite: WAL, `synchronous=FULL`, one writer a process with group commit, a pool of readers.

Several processes may use one file: they write in turns (`turns.py`), each
waiting for its own up to `BUSY_SECONDS`.
"""

import importlib
import logging
import math
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import BadStatement, Busy, EngineError, InvalidArguments, Refused, StoreError
from engine.keys import Keys
from engine.limits import DEFAULT, Limits
from engine.store import raw
from engine.store.copies import copy_sqlite
from engine.store.groups import GROUP_SECONDS, Lost, Member, carry_out, in_doubt
from engine.store.memory import Memory
from engine.store.records import Transaction, is_malformed, too_long
from engine.store.turns import Turns
from engine.store.waiting import Waiting, written
from engine.store.watching import Asking, Watch

T = TypeVar("T")
logger = logging.getLogger(__name__)

BUSY_SECONDS = 10
READERS = 40
"""Reading connections at most, made when needed: one for each of the threads that may ask at once (anyio's limit)."""
FIXED_IN = (3, 51, 3)
"""The SQLite release that mended the WAL-reset bug of 3.7.0 to 3.51.2 (sqlite.org/wal.html)."""
BAD = (1, 18, 20, 25)
"""SQLITE_ERROR, SQLITE_TOOBIG, SQLITE_MISMATCH and SQLITE_RANGE: errors in a statement itself."""
STEPS = 10_000
"""Steps of SQLite's virtual machine between two looks at the clock."""


def sqlite_module() -> ModuleType:
    """The one SQLite library of this process: the standard one, or a newer wheel where that has the WAL-reset bug."""
    if sqlite3.sqlite_version_info >= FIXED_IN:
        return sqlite3
    try:
        return importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return sqlite3


SQLITE = sqlite_module()


class SqliteStore:
    """Transactions on one SQLite file. `offset` shifts the clock, for tests and authors."""

    def __init__(self, path: str, limits: Limits = DEFAULT, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.limits = limits
        self.keys: Keys | None = None
        self.memory = Memory(limits.memory)
        self.busy_seconds = busy_seconds
        self.offset = timedelta()
        self.group_seconds = GROUP_SECONDS
        self._reading = _engine(path, QueuePool, busy_seconds, begin="BEGIN", pool_size=READERS, max_overflow=0)
        self._migrating = _engine(path, NullPool, busy_seconds, begin="BEGIN IMMEDIATE")
        self._turns = Turns(_file(path), busy_seconds)
        self._writing = threading.Lock()
        self._waiting = Waiting(limits.waiting)
        self._queue: queue.SimpleQueue[Member[Any] | None] = queue.SimpleQueue()
        self._ground = SqliteGround(self)
        self._writer = threading.Thread(target=self._write, name="turnkeeper-writer", daemon=True)
        self._writer.start()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a writing transaction, for migrations. Raises StoreError."""
        with (
            self._writing,
            self._turns.turn(),
            explaining(self.path, self.limits.seconds),
            self._migrating.begin() as connection,
        ):
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """As `connection`, without foreign keys: a table that is made anew would take what refers to it along.

        Raises StoreError.
        """
        engine = _engine(self.path, NullPool, self.busy_seconds, begin="BEGIN IMMEDIATE", foreign_keys=False)
        with (
            self._writing,
            self._turns.turn(),
            explaining(self.path, self.limits.seconds),
            engine.begin() as connection,
        ):
            yield connection

    @property
    def file(self) -> Path:
        """The database's file."""
        return Path(_file(self.path))

    def backup(self, target: Path) -> None:
        """Write all of it, as it is at one moment, to a file that only its owner may read. Raises StoreError."""
        copy_sqlite(SQLITE, self.path, target)

    def now(self) -> datetime:
        """The store's clock, UTC."""
        return datetime.now(UTC) + self.offset

    def write(
        self,
        work: Callable[[Transaction], T],
        told: Callable[[T], None] | None = None,
        *,
        lane: object = None,
        caller: object = None,
    ) -> T:
        """Run `work` in a transaction; its commit is on disk before this returns. Raises StoreError.

        `told` is called after the commit and before the next one, so in their order; it must return at once.
        """
        if threading.current_thread() is self._writer:
            raise TypeError("an action cannot dispatch another: it runs inside a transaction; use a hook")
        return written(self, Member(work, told=told, lane=lane, caller=caller))

    def submit(self, *members: Member[Any]) -> None:
        """Queue members for the writer; each is told of its outcome by its `done`. Raises Busy."""
        for member in members:
            self._waiting.enter(member)
            self._queue.put(member)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one unchanging snapshot; it cannot write. Raises StoreError."""
        with self.snapshot() as transaction:
            return work(transaction)

    @contextmanager
    def snapshot(self, *, unbounded: bool = False) -> Iterator[Transaction]:
        """A reading transaction for as long as the block lasts; an `unbounded` one may take long. Raises StoreError."""
        limits = self.limits.unbounded if unbounded else self.limits
        with explaining(self.path, limits.seconds), self._reading.begin() as connection:
            clock: Clock = connection.info["clock"]
            execute = connection.connection.driver_connection.execute  # type: ignore[union-attr]
            transaction = Transaction(
                connection,
                execute,
                self.now(),
                writable=False,
                limits=limits,
                keys=self.keys,
                memory=self.memory,
            )
            clock.deadline = transaction.deadline
            try:
                yield transaction
            finally:
                transaction.close()
                clock.deadline = math.inf

    def watching(self) -> Watch:
        """What waits for commits: SQLite has a number for a connection that every commit of another changes."""
        connection = _engine(self.path, NullPool, self.busy_seconds, begin="BEGIN").raw_connection()
        execute: Any = connection.driver_connection.execute  # type: ignore[union-attr]
        return Asking(lambda: execute("pragma data_version").fetchone()[0], connection.close)

    def close(self) -> None:
        """Carry out what was accepted, then give every connection back."""
        self._queue.put(None)
        self._writer.join()
        self._turns.close()
        self._reading.dispose()

    def _write(self) -> None:
        """The writer's thread: group after group until the store is closed and everybody has been answered."""
        open_ = True
        while open_ or not self._queue.empty():
            member = self._queue.get()
            if member is None:
                open_ = False
                continue
            for ran in self._carried_out(member):
                self._answer(ran)
            if isinstance(member.error, Busy):
                self._turn_away(member.error)
        self._ground.close()

    def _answer(self, member: Member[Any]) -> None:
        self._waiting.leave(member)
        member.finish()

    def _turn_away(self, error: Busy) -> None:
        """Tell all who wait what the first of them waited for in vain, so that they do not wait as long again each."""
        for _ in range(self._queue.qsize()):
            member = self._queue.get()
            if member is None:
                self._queue.put(None)
            else:
                member.error = error
                self._answer(member)

    def _carried_out(self, first: Member[Any]) -> list[Member[Any]]:
        ended = False

        def more() -> Member[Any] | None:
            nonlocal ended
            if ended or self._queue.empty():
                return None
            member = self._queue.get()
            ended = member is None
            return member

        try:
            with self._writing, self._turns.turn():
                return carry_out(self._ground, first, more)
        except EngineError as error:
            first.error = error
            return [first]
        finally:
            if ended:
                self._queue.put(None)


class SqliteGround:
    """The writer's connection."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._engine = _engine(store.path, NullPool, store.busy_seconds)
        self._connection: Connection | None = None
        self._execute: Any = None
        self._driver: Any = None
        self._clock = Clock()

    @property
    def group_seconds(self) -> float:
        """Work of a group after which no further member begins."""
        return self._store.group_seconds

    def begin(self) -> None:
        """Begin a transaction that may write. Raises Lost."""
        try:
            if self._connection is None:
                self._open()
            self._execute("BEGIN IMMEDIATE")
        except (SQLAlchemyError, SQLITE.Error) as error:
            raise Lost(explained(error, self._store.path, self._store.limits.seconds)) from error

    def savepoint(self) -> Transaction:
        """Begin a member's part."""
        assert self._connection is not None
        self._execute("SAVEPOINT part")
        now, limits = self._store.now(), self._store.limits
        keys = self._store.keys
        transaction = Transaction(self._connection, self._execute, now, writable=True, limits=limits, keys=keys)
        self._clock.deadline = transaction.deadline
        return transaction

    def release(self, transaction: Transaction) -> None:
        """End a member's part."""
        transaction.check_time()
        transaction.close()
        self._clock.deadline = math.inf
        self._execute("RELEASE part")

    def rollback_to(self, transaction: Transaction | None, error: BaseException) -> BaseException:
        """Take a member's part back. Raises Lost where SQLite dropped everything, as it does when the disk is full."""
        self._clock.deadline = math.inf
        seen = error
        if isinstance(error, OverflowError | SQLAlchemyError | SQLITE.Error):
            seen = _chained(explained(error, self._store.path, self._store.limits.seconds), error)
        if transaction is not None:
            transaction.close()
        if not self._driver.in_transaction:
            self._reopen_unless_sound(error)
            raise Lost(seen) from error
        try:
            self._execute("ROLLBACK TO part")
            self._execute("RELEASE part")
        except SQLITE.Error as failure:
            self.close()
            raise Lost(seen) from failure
        return seen

    def commit(self, parts: list[Transaction]) -> None:
        """Commit; what was written is on disk. Raises Lost."""
        try:
            self._execute("COMMIT")
        except SQLITE.Error as error:
            seen = _chained(explained(error, self._store.path, self._store.limits.seconds), error)
            doubtful = _is_of_the_disk(error)
            if self._driver.in_transaction:
                self._execute("ROLLBACK")
                raise Lost(seen, doubtful=doubtful) from error
            self._reopen_unless_sound(error)
            raise self._looked_up([entry for part in parts for entry in part.wrote], seen, doubtful) from error

    def close(self) -> None:
        """Give the connection back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> None:
        self._connection = self._engine.connect()
        self._driver = self._connection.connection.driver_connection
        self._execute = self._driver.execute
        self._clock = self._connection.info["clock"]

    def _reopen_unless_sound(self, error: BaseException) -> None:
        """After an I/O error, what the connection believes of the file may not be what the file holds."""
        if _is_of_the_disk(error):
            self.close()

    def _looked_up(self, entries: list[tuple[int, int, str]], error: EngineError, doubtful: bool) -> Lost:
        """What became of a commit that failed, by the journal entries that it would have added.

        What is found was perhaps never synced, so it is carried over into the
        database file, which is synced, before anybody is told.
        """
        if not entries and doubtful:
            return Lost(in_doubt(error), unknown=True)
        try:
            with self._store.snapshot() as transaction:
                there = bool(entries) and all(transaction.has(*entry) for entry in entries)
            if not there:
                return Lost(error, doubtful=doubtful)
            if self._synced():
                return Lost(error, committed=True)
        except (Lost, EngineError, SQLITE.Error):
            logger.exception("what became of a commit on %s cannot be made sure of", self._store.path)
        return Lost(in_doubt(error), unknown=True)

    def _synced(self) -> bool:
        self.begin()
        self._execute("ROLLBACK")
        busy, *_ = self._execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        return not busy


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether reading, writing or syncing failed, so that nobody can say what the file holds."""
    return "I/O error" in str(error)


class Clock:
    """When the statement under way must end, in seconds of `time.monotonic`."""

    __slots__ = ("deadline",)

    def __init__(self) -> None:
        self.deadline = math.inf

    def over(self) -> bool:
        """Whether that is past; SQLite then interrupts the statement."""
        return time.monotonic() > self.deadline


@contextmanager
def explaining(path: str, seconds: float) -> Iterator[None]:
    """Database errors in the block come out as what they mean. Raises StoreError, Refused, InvalidArguments."""
    try:
        yield
    except (OverflowError, SQLAlchemyError, SQLITE.Error) as error:
        raise explained(error, path, seconds) from error


def explained(error: BaseException, path: str, seconds: float = DEFAULT.seconds) -> EngineError:
    """What a database error means to an operator, or a broken constraint to a caller, and what to do.

    `seconds` is what a statement may take.
    """
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if isinstance(error, OverflowError):
        return InvalidArguments(f"A number is too large for the database: {text}.")
    if "constraint failed" in text:
        return Refused("constraint", f"A row breaks a rule of its table: {text}.", hint="Nothing was changed.")
    if text == "interrupted":
        return too_long(seconds, seconds)
    for sign, reason, hint in _KNOWN:
        if sign in text:
            kind = Busy if "locked" in sign else StoreError
            return kind(f"{reason}: {path} ({text}).", hint=hint)
    cause = error.orig if isinstance(error, DBAPIError) else error
    kind = BadStatement if getattr(cause, "sqlite_errorcode", None) in BAD or is_malformed(error) else StoreError
    return kind(f"The database {path} failed: {text}.", hint="The log has the details; nothing was changed.")


_KNOWN = (
    ("locked", "The database is in use by another process for too long", "Try again."),
    (
        "readonly",
        "The database is read-only",
        "Make the file and its folder writable, or set another TURNKEEPER_DATA_DIR.",
    ),
    ("not a database", "This is not a Turnkeeper database", "Move the file away, or restore it from a backup."),
    ("malformed", "The database is damaged", "Restore it from a backup."),
    ("disk is full", "The disk is full", "Free some room; nothing was changed."),
    ("unable to open", "The database cannot be opened", "Check that its folder exists and is writable."),
)


def _chained(error: EngineError, cause: BaseException) -> EngineError:
    error.__cause__ = cause
    return error


def _engine(
    path: str, pool: Any, busy_seconds: float, *, begin: str | None = None, foreign_keys: bool = True, **options: Any
) -> Engine:
    """Connections to a file: for reading, for migrations, or with no `begin` for the writer's own statements."""
    if begin is None:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
    engine = create_engine(
        f"sqlite:///{path}",
        module=SQLITE,
        poolclass=pool,
        connect_args={"check_same_thread": False, "isolation_level": None, "cached_statements": 512},
        **options,
    )
    read_only = begin == "BEGIN"
    event.listen(engine, "connect", lambda driver, record: _configure(driver, record, busy_seconds, read_only))
    if not foreign_keys:
        event.listen(engine, "connect", lambda driver, _: driver.execute("pragma foreign_keys = off"))
    raw.guard(engine)
    if begin is not None:
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _file(path: str) -> str:
    """The file that a path or SQLite URI names."""
    return path.removeprefix("file:").partition("?")[0] if path.startswith("file:") else path


PRAGMAS = (
    "synchronous = full",
    "foreign_keys = on",
    "trusted_schema = off",
    "temp_store = memory",
    "secure_delete = on",  # what was deleted of a person is not to be read in the file's free space
)


def _into_wal(driver: Any, busy_seconds: float) -> None:
    """Switch a file to WAL. Where several processes do so to a new file at once, SQLite fails without waiting."""
    until = time.monotonic() + busy_seconds
    while True:
        try:
            driver.execute("pragma journal_mode = wal")
            return
        except SQLITE.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _configure(driver: Any, record: Any, busy_seconds: float, read_only: bool) -> None:
    driver.execute(f"pragma busy_timeout = {math.ceil(busy_seconds * 1000)}")
    if not read_only:
        _into_wal(driver, busy_seconds)
    for pragma in PRAGMAS:
        driver.execute(f"pragma {pragma}")
    if read_only:
        driver.execute("pragma query_only = on")
    record.info["clock"] = clock = Clock()
    driver.set_progress_handler(clock.over, STEPS)
