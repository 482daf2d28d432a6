"""How a process opens a database: as the engine does, or by a mutant that takes no lock and no transaction."""

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from engine.dispatch import Dispatcher
from engine.errors import StoreError
from engine.store.postgres import PostgresStore
from engine.store.records import Dialect, Transaction
from engine.store.sqlite import SQLITE, SqliteStore
from engine.store.stores import Store
from tests.isolation.workload import registry

T = TypeVar("T")


def sound(url: str) -> Dispatcher:
    """A dispatcher as it should be."""
    return Dispatcher(_store(url), registry())


def _store(url: str) -> Store:
    path = url.removeprefix("sqlite:///")
    return PostgresStore(url) if path == url else SqliteStore(path)


def mutant(url: str) -> Dispatcher:
    """A dispatcher whose store lets everybody write at once."""
    path = url.removeprefix("sqlite:///")
    store = _store(url)
    return Dispatcher(Lockless(store, *(_sqlite(path) if path != url else _postgres(url))), registry())


def _sqlite(path: str) -> tuple[Engine, Dialect]:
    options: dict[str, Any] = {"module": SQLITE, "poolclass": NullPool, "isolation_level": "AUTOCOMMIT"}
    return create_engine(f"sqlite:///{path}", connect_args={"timeout": 10}, **options), "sqlite"


def _postgres(url: str) -> tuple[Engine, Dialect]:
    plain = url.partition("://")[2]
    engine = create_engine(f"postgresql+psycopg://{plain}", poolclass=NullPool, isolation_level="AUTOCOMMIT")
    return engine, "postgresql"


class Lockless:
    """A store that reads as it should, and writes with a lock no longer than a statement's."""

    def __init__(self, store: Store, engine: Engine, dialect: Dialect) -> None:
        self._store = store
        self._engine = engine
        self._dialect = dialect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(
        self,
        work: Callable[[Transaction], T],
        told: Callable[[T], None] | None = None,
        *,
        lane: object = None,
        caller: object = None,
    ) -> T:
        """Run `work`, each statement by itself."""
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection

            def execute(statement: str, values: tuple[object, ...] = ()) -> Any:
                return driver.execute(statement.replace("?", "%s") if self._dialect != "sqlite" else statement, values)

            limits, now = self._store.limits, self._store.now()
            transaction = Transaction(connection, execute, now, writable=True, dialect=self._dialect, limits=limits)
            try:
                return work(transaction)
            except (SQLAlchemyError, SQLITE.Error, psycopg.Error) as error:
                raise StoreError(f"Writing failed: {error}") from error
            finally:
                transaction.close()
