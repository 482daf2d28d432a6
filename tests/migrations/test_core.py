"""The core's migrations: up, equal to the code, down, and up again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlmodel import SQLModel

from engine.migrate import CORE_VERSIONS, FOLDER, behind, config, new, upgrade
from engine.store.sqlite import SqliteStore
from engine.store.tables import CORE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """A store on a file that is not there yet."""
    store = SqliteStore(str(tmp_path / "turnkeeper.db"))
    yield store
    store.close()


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {CORE_VERSIONS}


def differences(connection: Connection) -> list[object]:
    options = {
        "include_object": lambda thing, name, kind, *_: kind != "table" or name in CORE,
        "compare_type": True,
        "compare_server_default": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), SQLModel.metadata))


def test_upgraded_tables_are_those_of_the_code(store: SqliteStore) -> None:
    upgrade(store, [])
    with store.connection() as connection:
        assert tables(connection) == CORE and differences(connection) == []
    assert behind(store, []) == []


def test_new_database_is_behind(store: SqliteStore) -> None:
    assert behind(store, []) == ["core"]


def test_downgrade_takes_everything_back_and_upgrade_makes_it_again(store: SqliteStore) -> None:
    upgrade(store, [])
    with store.connection() as connection:
        command.downgrade(config(connection), "base")
        assert tables(connection) == set()
    assert behind(store, []) == ["core"]
    upgrade(store, [])
    with store.connection() as connection:
        assert tables(connection) == CORE and differences(connection) == []


def test_upgrade_keeps_what_is_there(store: SqliteStore) -> None:
    upgrade(store, [])
    with store.connection() as connection:
        connection.exec_driver_sql("insert into person (issuer, subject, name) values ('a', 'b', 'c')")
    upgrade(store, [])
    with store.connection() as connection:
        assert connection.exec_driver_sql("select subject from person").scalar() == "b"


def test_new_migration_of_an_up_to_date_core_is_empty(store: SqliteStore, tmp_path: Path) -> None:
    upgrade(store, [])
    versions = shutil.copytree(FOLDER / "versions" / "core", tmp_path / "versions")
    assert new(store, None, "nothing new", versions).read_text().count("    pass") == 2
