"""Migrations: Alembic, with a version table for the core and one for each world that ships migrations.

A world without any gets its tables made, and additive changes applied; any
other difference is refused by name, with the command that writes a migration.
"""

from collections.abc import Iterable
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
from sqlmodel import SQLModel

from engine.definition import Definition
from engine.errors import StoreError
from engine.shared_rows import plant
from engine.store.stores import Store
from engine.store.tables import CORE

FOLDER = Path(__file__).parents[1] / "migrations"
CORE_VERSIONS = "turnkeeper_version"


def upgrade(store: Store, worlds: Iterable[Definition]) -> None:
    """Bring the core's tables and every world's up to date. Raises StoreError."""
    with store.connection() as connection:
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


def behind(store: Store, worlds: Iterable[Definition]) -> list[str]:
    """The names of what an upgrade would change: `core` and worlds."""
    with store.connection() as connection:
        found = [] if current(connection, CORE_VERSIONS) == _heads(config(connection)) else ["core"]
        for world in worlds:
            if world.migrations is None:
                found += [world.name] if _differences(connection, world) else []
            elif current(connection, version_table(world)) != _heads(config(connection, world)):
                found.append(world.name)
    return found


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
    versions, heads = current(connection, table), _heads(settings)
    known = {revision.revision for revision in ScriptDirectory.from_config(settings).walk_revisions()}
    if versions - known:
        raise StoreError(
            f"The database is ahead of this Turnkeeper: {table} says {', '.join(sorted(versions))}.",
            hint="Install the newer version that wrote it, or restore a backup.",
        )
    if versions != heads:
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
    for difference in _differences(connection, world):
        match difference:
            case ("add_table", table):
                table.create(connection)
            case ("add_column", _, table, column) if column.nullable or column.server_default is not None:
                operations.add_column(table, column._copy())
            case ("add_index", index):
                index.create(connection, checkfirst=True)  # adding its column or table made it
            case _:
                raise StoreError(
                    f"The tables of world {world.name!r} changed in a way that needs a migration: {_said(difference)}.",
                    hint=f"Take the change back, write a first migration with `turnkeeper migrate --new {world.name}`,"
                    " change again, and write the next.",
                )


def _differences(connection: Connection, world: Definition) -> list[Any]:
    return list(compare_metadata(_context(connection, world.tables), SQLModel.metadata))


def _context(connection: Connection, tables: frozenset[str]) -> MigrationContext:
    return MigrationContext.configure(
        connection,
        opts={
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
