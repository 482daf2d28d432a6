"""Puts the engine together: settings in, a dispatcher on an open, up-to-date store out."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.background.hooked import make_known
from engine.background.jobs import jobs_of
from engine.background.sweeping import Task
from engine.background.worker import Worker
from engine.dispatch import Dispatcher
from engine.effects import ToolCaller
from engine.errors import StoreError
from engine.keys import keys_of
from engine.migrate import upgrade
from engine.registry import Registry, load
from engine.settings import Settings
from engine.store.sqlite import SqliteStore
from engine.store.stores import Store


def open_store(settings: Settings) -> Store:
    """The store that the settings name, with the installation's keys. Raises StoreError."""
    store = _store(settings)
    store.keys = keys_of(settings.secrets.get_secret_value(), settings.data_dir)
    return store


def _store(settings: Settings) -> Store:
    """The store; an SQLite file's folder is made, unless it is a URI."""
    if settings.is_postgres:
        return _postgres(settings)
    if settings.sqlite_path.startswith("file:"):
        return SqliteStore(settings.sqlite_path, settings.limits)
    path = Path(settings.sqlite_path)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_private(path)
    except OSError as error:
        raise StoreError(
            f"The folder {path.parent} cannot be made: {error.strerror}.",
            hint="Set TURNKEEPER_DATA_DIR to one you may write to.",
        ) from error
    return SqliteStore(str(path), settings.limits)


def _make_private(path: Path) -> None:
    """Make a new database's file, so that only its owner may read it; SQLite gives its companions the same mode."""
    with contextlib.suppress(FileExistsError, PermissionError, IsADirectoryError):  # SQLite says better what is wrong
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _postgres(settings: Settings) -> Store:
    try:
        from engine.store.postgres import PostgresStore  # the driver comes with the extra `postgres` only
    except ImportError as error:
        raise StoreError(
            "TURNKEEPER_DATABASE_URL names PostgreSQL, whose driver is not installed.",
            hint="Install turnkeeper[postgres].",
        ) from error
    writers, readers = settings.database_writers, settings.database_readers
    return PostgresStore(settings.database_url or "", settings.limits, writers=writers, readers=readers)


@contextmanager
def opened(
    settings: Settings,
    registry: Registry | None = None,
    *,
    work: str | None = None,
    sweeping: Callable[[Dispatcher], Mapping[str, Task]] = lambda dispatcher: {},
    tools: ToolCaller | None = None,
) -> Iterator[Dispatcher]:
    """A dispatcher on an upgraded database that knows the hooks which are loaded, for as long as the block lasts.

    `work` says as which kind of worker the process does what is to be done after commits, if it does; `sweeping` what
    it tidies up then beside sessions. `tools` calls the tools of other servers.
    Raises DefinitionError, StoreError.
    """
    registry = registry or load(settings.worlds_path)
    store = open_store(settings)
    try:
        upgrade(store, registry.worlds.values())
        make_known(store, registry)
        dispatcher = Dispatcher(store, registry)
        jobs = jobs_of(dispatcher, settings, sweeping(dispatcher), tools) if work else ()
        with Worker(store, work or "", jobs, settings.lease) as worker:
            dispatcher.listeners.append(worker.tell)
            yield dispatcher
            dispatcher.finish()
    finally:
        store.close()
