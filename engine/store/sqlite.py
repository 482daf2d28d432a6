"""The store on SQLite: WAL, `synchronous=FULL`, one writer a process, a pool of read-only connections.

Several processes may use one file; each waits for its turn up to `BUSY_SECONDS`.
"""

import importlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from engine.errors import Busy, EngineError, InvalidArguments, Refused, StoreError
from engine.limits import DEFAULT, Limits
from engine.store import raw
from engine.store.records import Transaction

T = TypeVar("T")

BUSY_SECONDS = 10
READERS = 40
"""Reading connections at most, made when needed: one for each of the threads that may ask at once (anyio's limit)."""
FIXED_IN = (3, 51, 3)
"""The SQLite release that mended the WAL-reset bug of 3.7.0 to 3.51.2 (sqlite.org/wal.html)."""


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

    def __init__(self, path: str, limits: Limits = DEFAULT) -> None:
        self.path = path
        self.limits = limits
        self.offset = timedelta()
        self._turn = threading.Lock()
        self._writing = self._engine("BEGIN IMMEDIATE", size=1)
        self._reading = self._engine("BEGIN", size=READERS, read_only=True)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection in a writing transaction, for migrations. Raises StoreError."""
        with self._turn, self._explained(), self._writing.begin() as connection:
            yield connection

    def now(self) -> datetime:
        """The store's clock, UTC."""
        return datetime.now(UTC) + self.offset

    def write(self, work: Callable[[Transaction], T], told: Callable[[T], None] | None = None) -> T:
        """Run `work` in a transaction of its own; its commit is on disk before this returns. Raises StoreError.

        `told` is called after the commit and before the next one, so in their order; it must return at once.
        """
        with self._turn:
            with self._transaction(self._writing, writable=True) as transaction:
                result = work(transaction)
            if told is not None:
                told(result)
            return result

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one unchanging snapshot; it cannot write. Raises StoreError."""
        with self.snapshot() as transaction:
            return work(transaction)

    @contextmanager
    def snapshot(self) -> Iterator[Transaction]:
        """A reading transaction for as long as the block lasts. Raises StoreError."""
        with self._transaction(self._reading, writable=False) as transaction:
            yield transaction

    def close(self) -> None:
        """Give every connection back."""
        self._reading.dispose()
        self._writing.dispose()

    @contextmanager
    def _transaction(self, engine: Engine, *, writable: bool) -> Iterator[Transaction]:
        with self._explained(), engine.begin() as connection:
            transaction = Transaction(connection, self.now(), writable=writable, limits=self.limits)
            try:
                yield transaction
            finally:
                transaction.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as error:
            if "SQLite" not in str(error):
                raise
            raise InvalidArguments(f"A number is too large for the database: {error}.") from error
        except (SQLAlchemyError, SQLITE.Error) as error:
            raise explained(error, self.path) from error

    def _engine(self, begin: str, *, size: int, read_only: bool = False) -> Engine:
        engine = create_engine(
            f"sqlite:///{self.path}",
            module=SQLITE,
            poolclass=QueuePool,
            pool_size=size,
            max_overflow=0,
            connect_args={"check_same_thread": False, "isolation_level": None, "cached_statements": 512},
        )
        event.listen(engine, "connect", lambda driver, _: _configure(driver, read_only))
        raw.guard(engine)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
        return engine


def explained(error: Exception, path: str) -> EngineError:
    """What a database error means to an operator, or a broken constraint to a caller, and what to do."""
    text = str(error.orig if isinstance(error, DBAPIError) else error)
    if "constraint failed" in text:
        return Refused("constraint", f"A row breaks a rule of its table: {text}.", hint="Nothing was changed.")
    for sign, reason, hint in _KNOWN:
        if sign in text:
            kind = Busy if "locked" in sign else StoreError
            return kind(f"{reason}: {path} ({text}).", hint=hint)
    return StoreError(f"The database {path} failed: {text}.", hint="The log has the details; nothing was changed.")


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


def _into_wal(driver: Any) -> None:
    """Switch a file to WAL. Where several processes do so to a new file at once, SQLite fails without waiting."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            driver.execute("pragma journal_mode = wal")
            return
        except SQLITE.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _configure(driver: Any, read_only: bool) -> None:
    driver.execute(f"pragma busy_timeout = {BUSY_SECONDS * 1000}")
    if not read_only:
        _into_wal(driver)
    for pragma in ("synchronous = full", "foreign_keys = on", "trusted_schema = off", "temp_store = memory"):
        driver.execute(f"pragma {pragma}")
    if read_only:
        driver.execute("pragma query_only = on")
