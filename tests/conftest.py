"""What the tests share: stores of both kinds, real and fresh, and dispatchers on them."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Self

import pytest

from engine.dispatch import Dispatcher
from engine.hooks import Hook
from engine.limits import DEFAULT, Limits
from engine.migrate import upgrade
from engine.registry import Registry
from engine.store.postgres import PostgresStore
from engine.store.sqlite import SqliteStore
from engine.store.stores import Store
from engine.types import Change
from engine.world import World
from tests.postgres import FAST, PostgresServer, postgres

Database = Literal["sqlite", "postgresql"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run, with the core's tables in the template `core`."""
    with postgres(*FAST) as server:
        url = server.fresh(name="core")
        store = PostgresStore(url)
        upgrade(store, ())
        store.close()
        yield server


class Databases:
    """PostgreSQL databases with the core's tables, one at a time: while it is used, the next is made."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._aside = ThreadPoolExecutor(1)
        self._next = self._aside.submit(self._make)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._aside.shutdown()

    def take(self) -> str:
        """The url of one."""
        taken, self._next = self._next, self._aside.submit(self._make)
        return taken.result()

    def _make(self) -> str:
        return self._server.fresh(template="core")


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> Iterator[Databases]:
    """Databases for the tests of a whole run."""
    with Databases(postgres_server) as databases:
        yield databases


@pytest.fixture(scope="session")
def sqlite_core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with the core's tables, to be copied."""
    file = tmp_path_factory.mktemp("core") / "core.db"
    store = SqliteStore(str(file))
    upgrade(store, ())
    store.close()
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Which kind of database; a test of one kind says so by `parametrize("database", […], indirect=True)`."""
    kind: Database = request.param
    return kind


@pytest.fixture
def store_of(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Store]]:
    """Opens stores, each on the test's own database of that name, which has the core's tables."""
    urls: dict[str, str] = {}
    with ExitStack() as stack:

        def make(name: str = "turnkeeper.db", limits: Limits = DEFAULT) -> Store:
            store: Store
            if database == "sqlite":
                if not (tmp_path / name).exists():
                    shutil.copyfile(request.getfixturevalue("sqlite_core"), tmp_path / name)
                store = SqliteStore(str(tmp_path / name), limits)
            else:
                if name not in urls:
                    urls[name] = request.getfixturevalue("postgres_databases").take()
                    stack.callback(request.getfixturevalue("postgres_server").drop, urls[name])
                store = PostgresStore(urls[name], limits, writers=4, readers=4)
            stack.callback(store.close)
            return store

        yield make


@pytest.fixture
def dispatcher_of(store_of: Callable[..., Store]) -> Callable[..., Dispatcher]:
    """Makes dispatchers of worlds, each on the test's own database unless `file` names another."""

    def make(
        *worlds: type[World],
        listeners: Iterable[Callable[[Change], None]] = (),
        hooks: Iterable[Hook] = (),
        file: str = "turnkeeper.db",
        limits: Limits = DEFAULT,
    ) -> Dispatcher:
        store = store_of(file, limits)
        registry = Registry(worlds, hooks)
        upgrade(store, registry.worlds.values())
        return Dispatcher(store, registry, listeners)

    return make
