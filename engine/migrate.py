"""Migrations: Alembic, with a version table for the core and one for each world that ships migrations.

An upgrade is one transaction under a lock, and an SQLite file is copied first.

A world without any gets its tables made, and additive changes applied; any
other difference is refused by name, with the command that writes a migration.
"""

import logging
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Enum, String, inspect
from sqlalchemy.schema import sort_tables
from sqlmodel import SQLModel

from engine.definition import Definition
from engine.errors import Busy, EngineError, StoreError
from engine.shared_rows import plant
from engine.store import search
from engine.store.copies import forget_old
from engine.store.stores import Store
from engine.store.tables import CORE

logger = logging.getLogger(__name__)

FOLDER = Path(__file__).parents[1] / "migrations"
CORE_VERSIONS = "turnkeeper_version"


WAIT_SECONDS = 120
"""How long a process waits for another that changes the tables."""
COPIES = "before-"


@dataclass(frozen=True, slots=True)
class Schema:
    """How a database stands to the code: what is `behind` (core, worlds), what `ahead` (version table, version)."""

    behind: tuple[str, ...] = ()
    ahead: tuple[tuple[str, str], ...] = ()

    def insist_not_ahead(self) -> None:
        """Raises StoreError."""
        if self.ahead:
            found = ", ".join(f"{table} says {version}" for table, version in self.ahead)
            raise StoreError(
                f"The database is ahead of this Turnkeeper: {found}.",
                hint="Install the newer version that wrote it, or restore a backup.",
            )


def upgrade(store: Store, worlds: Iterable[Definition]) -> Path | None:
    """Bring the core's tables and every world's up to date: all of them, or nothing is changed. Raises StoreError.

    Gives the copy of what an SQLite file was before. Where nothing is behind, nothing is locked or written.
    """
    worlds = tuple(worlds)
    until = time.monotonic() + WAIT_SECONDS
    while True:
        found = state(store, worlds)
        found.insist_not_ahead()
        if not found.behind:
            return None
        try:
            return _upgraded(store, worlds)
        except Busy:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def state(store: Store, worlds: Iterable[Definition]) -> Schema:
    """How the database stands to the code. Only reads. Raises StoreError."""
    with store.snapshot() as transaction:
        return _state(transaction.db.connection(), worlds)


def behind(store: Store, worlds: Iterable[Definition]) -> list[str]:
    """The names of what an upgrade would change: `core` and worlds. Raises StoreError where anything is ahead."""
    found = state(store, worlds)
    found.insist_not_ahead()
    return list(found.behind)


def _upgraded(store: Store, worlds: tuple[Definition, ...]) -> Path | None:
    copy: Path | None = None
    try:
        with store.migrating() as connection:
            found = _state(connection, worlds)  # another process may have been here first
            found.insist_not_ahead()
            if found.behind:
                for world in worlds:
                    _additions(connection, world)
                copy = _copied(store, connection)
                logger.info("upgrading %s; as it was: %s", ", ".join(found.behind), copy or "no copy")
                _bring_up(connection, worlds)
                _insist_on_references(connection)
    except Exception as error:
        if isinstance(error, Busy) or (_script(error) is None and not (copy and isinstance(error, StoreError))):
            raise
        raise _failed(error, copy) from error
    return copy


def _bring_up(connection: Connection, worlds: tuple[Definition, ...]) -> None:
    _upgrade(config(connection), CORE_VERSIONS, connection)
    for world in worlds:
        missing = _missing(connection, world)
        if world.migrations is not None:
            _adopt(connection, world)
            _upgrade(config(connection, world), version_table(world), connection)
        elif world.tables:
            _fit(connection, world)
        if missing and world.seed is not None:
            plant(connection, world.seed, missing)


def _copied(store: Store, connection: Connection) -> Path | None:
    """Copy an SQLite file beside itself, unless it is new. Nobody writes meanwhile: the lock is ours."""
    if store.file is None or not inspect(connection).get_table_names():
        return None
    version = "-".join(sorted(current(connection, CORE_VERSIONS))) or "first"
    at = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    copy = store.file.with_name(f"{store.file.name}.{COPIES}{version}-{at}")
    store.backup(copy)
    forget_old(store.file, COPIES)
    return copy


def _insist_on_references(connection: Connection) -> None:
    """What SQLite checks only when asked, as foreign keys are off while tables change. Raises StoreError."""
    if connection.dialect.name == "sqlite":
        broken = {f"{row[0]} refers to {row[2]}" for row in connection.exec_driver_sql("pragma foreign_key_check")}
        if broken:
            raise StoreError(f"The migrations leave rows that refer to nothing: {', '.join(sorted(broken))}.")


def _failed(error: Exception, copy: Path | None) -> StoreError:
    """What to tell of an upgrade that failed: by which migration, why, and where the copy is."""
    script = _script(error)
    reason = error.reason if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
    said = f"{reason.rstrip('.')}. The database is as it was"
    return StoreError(
        f"{said}." if script is None else f"The migration {script} failed: {said}.",
        hint=" ".join(
            part
            for part in (
                error.hint if isinstance(error, EngineError) else None,
                "Mend the migration, or go back to the version before." if script is not None else None,
                f"A copy of the database is {copy}." if copy is not None else None,
            )
            if part
        )
        or None,
    )


def _script(error: BaseException | None) -> str | None:
    """The migration in whose run an error was raised, with its folder."""
    while error is not None:
        for frame in traceback.extract_tb(error.__traceback__):
            if frame.name in ("upgrade", "downgrade") and Path(frame.filename) != Path(__file__):
                file = Path(frame.filename)
                if file.parent.name == "migrations" or "versions" in file.parts:
                    return str(file)
        error = error.__cause__
    return None


def _state(connection: Connection, worlds: Iterable[Definition]) -> Schema:
    behind, ahead = [], []
    for name, world in (("core", None), *((world.name, world) for world in worlds)):
        if world is not None and world.migrations is None:
            behind += [name] if _differences(connection, world) else []
            continue
        scripts = ScriptDirectory.from_config(config(connection, world))
        table = CORE_VERSIONS if world is None else version_table(world)
        versions = current(connection, table)
        if unknown := versions - {revision.revision for revision in scripts.walk_revisions()}:
            ahead.append((table, ", ".join(sorted(unknown))))
        elif versions != set(scripts.get_heads()):
            behind.append(name)
    return Schema(tuple(behind), tuple(ahead))


def new(store: Store, world: Definition | None, message: str, folder: Path) -> Path:
    """Write the migration that brings the tables from what they are to what the code says; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    with store.connection() as connection:
        settings = config(connection, world)
        settings.set_main_option("version_locations", str(folder))
        script: Any = command.revision(settings, message=message, autogenerate=True)
    return Path(script.path)


def version_table(world: Definition) -> str:
    """Where a world's version is kept."""
    return f"version_{world.name}"


def config(connection: Connection | None = None, world: Definition | None = None) -> Config:
    """Alembic's settings for the core, or for one world."""
    settings = Config()
    settings.set_main_option("script_location", str(FOLDER))
    versions = FOLDER / "versions" / "core" if world is None else world.migrations or FOLDER / "versions" / world.name
    settings.set_main_option("version_locations", str(versions))
    settings.set_main_option("path_separator", "newline")
    settings.attributes["connection"] = connection
    settings.attributes["version_table"] = CORE_VERSIONS if world is None else version_table(world)
    settings.attributes["tables"] = CORE if world is None else world.tables
    return settings


def _upgrade(settings: Config, table: str, connection: Connection) -> None:
    if current(connection, table) != _heads(settings):
        try:
            command.upgrade(settings, "heads")
        except CommandError as error:
            raise StoreError(f"The database cannot be upgraded: {error}.") from error


def _missing(connection: Connection, world: Definition) -> frozenset[str]:
    """The shared tables that are about to be made: those whose first rows are still to come."""
    return world.shared_tables - set(inspect(connection).get_table_names()) if world.shared else frozenset()


def _adopt(connection: Connection, world: Definition) -> None:
    """Take tables that were made before the world had migrations for what its first one makes."""
    if not current(connection, version_table(world)) and world.tables & set(inspect(connection).get_table_names()):
        settings = config(connection, world)
        for first in ScriptDirectory.from_config(settings).get_bases():
            command.stamp(settings, first)


def _fit(connection: Connection, world: Definition) -> None:
    """Make a world's tables, and add what is new in them."""
    operations = Operations(_context(connection, world.tables))
    for difference in _additions(connection, world):
        match difference:
            case ("add_table", table):
                table.create(connection)
            case ("add_column", _, table, column):
                operations.add_column(table, column._copy())
            case ("add_index", index):
                index.create(connection, checkfirst=True)  # adding its column or table made it
            case ("add_search", table):
                search.create(connection, table.name, table.info[search.SEARCH])


def _additions(connection: Connection, world: Definition) -> list[Any]:
    """What a world without migrations lacks in the database. Raises StoreError if that is not all that differs."""
    differences = [] if world.migrations is not None else _differences(connection, world)
    for difference in differences:
        match difference:
            case ("add_table" | "add_index" | "add_search", _):
                continue
            case ("add_column", _, _, column) if column.nullable or column.server_default is not None:
                continue
        raise StoreError(
            f"The tables of world {world.name!r} changed in a way that needs a migration: {_said(difference)}.",
            hint=f"Take the change back, write a first migration with `turnkeeper migrate --new {world.name}`,"
            " change again, and write the next.",
        )
    return differences


def _differences(connection: Connection, world: Definition) -> list[Any]:
    tables = sort_tables([SQLModel.metadata.tables[name] for name in sorted(world.tables)])
    if world.tables.isdisjoint(inspect(connection).get_table_names()):  # to compare would take much longer
        found: list[Any] = [("add_table", table) for table in tables]
    else:
        found = list(compare_metadata(_context(connection, world.tables), SQLModel.metadata))
    return [*found, *(("add_search", table) for table in tables if search.missing(connection, table))]


def _context(connection: Connection, tables: frozenset[str]) -> MigrationContext:
    return MigrationContext.configure(
        connection,
        opts={
            "include_name": lambda name, kind, _: kind != "table" or name in tables,  # others are not even looked at
            "include_object": lambda thing, name, kind, *_: kind != "table" or name in tables,
            "compare_type": types_differ,
        },
    )


def types_differ(context: Any, inspected: Any, declared: Any, inspected_type: Any, declared_type: Any) -> bool | None:
    """An Enum is kept as text, whose length grows with its members; None leaves the rest to Alembic."""
    return False if isinstance(declared_type, Enum) and isinstance(inspected_type, String) else None


def current(connection: Connection, table: str) -> set[str]:
    """The revisions that a version table names."""
    return set(MigrationContext.configure(connection, opts={"version_table": table}).get_current_heads())


def _heads(settings: Config) -> set[str]:
    return set(ScriptDirectory.from_config(settings).get_heads())


def _said(difference: Any) -> str:
    flat = difference[0] if isinstance(difference, list) else difference
    return " ".join(str(getattr(part, "name", part)) for part in flat if part is not None and part != {})
