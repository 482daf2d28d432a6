"""What a store is: transactions on a database, the same promises on each of them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from engine.keys import Keys
from engine.limits import Limits
from engine.store.groups import Member
from engine.store.memory import Memory
from engine.store.records import Transaction
from engine.store.watching import Watch

T = TypeVar("T")


class Store(Protocol):
    """Transactions on a database. Everything raises StoreError where the database cannot be used."""

    url: str
    """Where the database is, as the settings name it."""
    offset: timedelta
    """What shifts the clock, for tests and authors."""
    keys: Keys | None
    """What seals the secrets that the database keeps; without, they stand in it as they are."""
    memory: Memory
    """What was worked out from sessions, for who asks this process next."""
    group_seconds: float
    """Work of a group after which no further caller joins it."""

    @property
    def limits(self) -> Limits:
        """The limits in force."""

    def write(
        self,
        work: Callable[[Transaction], T],
        told: Callable[[T], None] | None = None,
        *,
        lane: object = None,
        caller: object = None,
    ) -> T:
        """Run `work` in a transaction; its commit is on disk before this returns. Raises Busy.

        Callers of one `lane` (a session) go one after the other, and not more by
        one `caller` (a principal) than the limits say may wait. `told` gets the result after the
        commit and before the next one of that lane; it must return at once.
        """

    def submit(self, *members: Member[Any]) -> None:
        """Queue members for the writer; each is told of its outcome by its `done`. Raises Busy."""

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on one unchanging snapshot; it cannot write."""

    def snapshot(self, *, unbounded: bool = False) -> AbstractContextManager[Transaction]:
        """A reading transaction for as long as the block lasts; an `unbounded` one may take longer than an action."""

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection in a writing transaction, for migrations."""

    def migrating(self) -> AbstractContextManager[Connection]:
        """A connection in a writing transaction, under the lock of whoever changes the tables. Raises Busy."""

    @property
    def file(self) -> Path | None:
        """The database's file, if it is one."""

    def backup(self, target: Path) -> None:
        """Write all of the database, as it is at one moment, to a file that only its owner may read."""

    def now(self) -> datetime:
        """The store's clock, UTC."""

    def watching(self) -> Watch:
        """What waits until something may have been committed, by this process or another; to be closed."""

    def close(self) -> None:
        """Carry out what was accepted, then give every connection back."""
