"""Upgrades: one at a time, whole or not at all, with a copy of an SQLite file first, and never backwards."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import event, inspect, text
from sqlalchemy.engine import Engine

from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.errors import StoreError
from engine.migrate import Schema, config, state, upgrade
from engine.operations import Call
from engine.registry import Registry, load
from engine.store.copies import KEPT
from engine.store.sqlite import SqliteStore
from engine.store.stores import Store
from engine.types import LOCAL
from tests.conftest import Database

ROOT = Path(__file__).parents[2]
WORLD = '''
from engine import World, action

class Archive(World):
    """An archive that ships migrations."""

    @action
    def keep(self) -> None:
        """Keep."""
'''
FIRST = 'op.execute("create table archive_note (id integer primary key, words text)")'
CHANGES = """
    op.execute("create table archive_shelf (id integer primary key)")
    op.execute("insert into archive_note (id, words) values (7, 'half')")
    op.execute("update person set name = 'nobody'")
    op.execute("alter table archive_note add column colour text")
"""
REBUILDS = """
    with op.batch_alter_table("session") as batch:  # which SQLite can do only by making it anew
        batch.alter_column("handle", existing_type=sa.String(), type_=sa.Text())
        batch.add_column(sa.Column("mood", sa.Text()))
"""
FAILS = '    raise RuntimeError("out of ink")'
DIES = "    import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
ORPHANS = """
    op.execute("delete from session")
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Every test has an archive of its own."""
    yield
    sys.modules.pop("archive", None)


def shipped(folder: Path, *steps: str) -> list[Definition]:
    """A world with these steps as its migrations."""
    (folder / "migrations").mkdir(parents=True, exist_ok=True)
    (folder / "archive.py").write_text(WORLD)
    for number, step in enumerate(steps, 1):
        before = f'"archive_{number - 1}"' if number > 1 else None
        (folder / "migrations" / f"archive_{number}.py").write_text(
            f'"""Step {number}."""\nimport sqlalchemy as sa\nfrom alembic import op\n'
            f'revision = "archive_{number}"\ndown_revision = {before}\nbranch_labels = depends_on = None\n'
            f"def upgrade():\n    {step.strip()}\n"
        )
    return [load(str(folder)).worlds["archive"]]


def content(store: Store) -> dict[str, object]:
    """Every table with its columns and rows, portably."""
    with store.connection() as connection:
        found = inspect(connection)
        return {
            table: (
                [(column["name"], str(column["type"])) for column in found.get_columns(table)],
                sorted(map(repr, connection.execute(text(f'select * from "{table}"')).all())),
            )
            for table in found.get_table_names()
        }


def played(store: Store, worlds: list[Definition]) -> None:
    """Bring a database up to date and write something into it."""
    upgrade(store, worlds)
    dispatcher = Dispatcher(store, Registry([world.cls for world in worlds], []))
    dispatcher.dispatch(Call(principal=LOCAL, world="archive", action="keep"))


def copies(store: Store) -> list[Path]:
    """The copies from before upgrades, the oldest first."""
    assert store.file is not None
    return sorted(store.file.parent.glob(f"{store.file.name}.before-*Z"))


def test_failed_migration_leaves_the_database_as_it_was_and_is_named(
    store_of: Callable[..., Store], tmp_path: Path, database: Database
) -> None:
    store = store_of()
    played(store, shipped(tmp_path / "worlds", FIRST))
    before = content(store)
    worlds = shipped(tmp_path / "worlds", FIRST, CHANGES, CHANGES.replace("archive_shelf", "archive_box") + FAILS)
    with pytest.raises(StoreError, match=r"The migration .*archive_[23]\.py failed: .* The database is as it was"):
        upgrade(store, worlds)
    worlds = shipped(tmp_path / "worlds", FIRST, CHANGES, FAILS)
    with pytest.raises(StoreError, match=r"archive_3\.py failed: RuntimeError: out of ink") as raised:
        upgrade(store, worlds)
    assert content(store) == before and state(store, worlds) == Schema(behind=("archive",))
    if database == "sqlite":
        assert str(copies(store)[-1]) in str(raised.value)
    shipped(tmp_path / "worlds", FIRST, CHANGES, "pass")
    upgrade(store, worlds)
    assert state(store, worlds) == Schema() and "archive_shelf" in content(store)


def test_core_is_not_upgraded_if_a_world_then_fails(store_of: Callable[..., Store], tmp_path: Path) -> None:
    store = store_of()
    upgrade(store, [])
    with store.connection() as connection:
        command.downgrade(config(connection), "0001_core")
    before = content(store)
    with pytest.raises(StoreError, match="out of ink"):
        upgrade(store, shipped(tmp_path / "worlds", FIRST, FAILS))
    assert content(store) == before
    assert state(store, shipped(tmp_path / "worlds", FIRST)).behind == ("core", "archive")


CHILD = """
import sys
from pathlib import Path
from engine.application import open_store
from engine.migrate import upgrade
from engine.registry import load
from engine.settings import Settings
store = open_store(Settings(database_url=sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
upgrade(store, load(sys.argv[2]).worlds.values())
store.close()
"""


def upgrading(store: Store, folder: Path) -> "subprocess.Popen[str]":
    """A process that says it is ready, waits for a line, and upgrades."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, store.url, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def test_upgrade_that_is_killed_in_the_middle_leaves_the_database_as_it_was(
    store_of: Callable[..., Store], tmp_path: Path
) -> None:
    store = store_of()
    worlds = shipped(tmp_path / "worlds", FIRST)
    played(store, worlds)
    before = content(store)
    shipped(tmp_path / "worlds", FIRST, CHANGES + DIES)
    child = upgrading(store, tmp_path / "worlds")
    _, said = child.communicate("go\n", timeout=60)
    assert child.returncode == -signal.SIGKILL, said
    assert content(store) == before
    shipped(tmp_path / "worlds", FIRST, CHANGES)
    upgrade(store, worlds)
    assert state(store, worlds) == Schema() and "archive_shelf" in content(store)


def test_processes_that_upgrade_at_once_all_end_well(store_of: Callable[..., Store], tmp_path: Path) -> None:
    store = store_of()
    played(store, shipped(tmp_path / "worlds", FIRST))
    worlds = shipped(tmp_path / "worlds", FIRST, CHANGES)
    before = 0 if store.file is None else len(copies(store))
    children = [upgrading(store, tmp_path / "worlds") for _ in range(3)]
    for child in children:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    assert [(child.communicate(timeout=60)[1], child.returncode) for child in children] == [("", 0)] * 3
    assert state(store, worlds) == Schema()
    assert store.file is None or len(copies(store)) == before + 1  # the others found nothing to do


def test_table_that_is_made_anew_takes_nothing_along(store_of: Callable[..., Store], tmp_path: Path) -> None:
    store = store_of()
    played(store, shipped(tmp_path / "worlds", FIRST))
    before = content(store)
    upgrade(store, shipped(tmp_path / "worlds", FIRST, REBUILDS))
    after = content(store)
    assert after["journal"] == before["journal"] and "mood" in str(after["session"])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_migration_that_leaves_rows_without_what_they_refer_to_is_refused(
    store_of: Callable[..., Store], tmp_path: Path
) -> None:
    store = store_of()
    played(store, shipped(tmp_path / "worlds", FIRST))
    before = content(store)
    with pytest.raises(StoreError, match=r"rows that refer to nothing: .*journal refers to session"):
        upgrade(store, shipped(tmp_path / "worlds", FIRST, ORPHANS))
    assert content(store) == before


def test_database_ahead_is_refused_by_name_and_nothing_is_changed(
    store_of: Callable[..., Store], tmp_path: Path
) -> None:
    store = store_of()
    worlds = shipped(tmp_path / "worlds", FIRST)
    played(store, worlds)
    with store.connection() as connection:
        connection.execute(text("update version_archive set version_num = 'archive_9'"))
        command.downgrade(config(connection), "0001_core")
    before = content(store)
    assert state(store, worlds) == Schema(behind=("core",), ahead=(("version_archive", "archive_9"),))
    with pytest.raises(StoreError, match="ahead of this Turnkeeper: version_archive says archive_9") as raised:
        upgrade(store, worlds)
    assert "Install the newer version" in (raised.value.hint or "") and content(store) == before


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_last_copies_from_before_an_upgrade_are_kept_and_open(
    store_of: Callable[..., Store], tmp_path: Path
) -> None:
    store, steps = store_of(), [FIRST]
    played(store, shipped(tmp_path / "worlds", *steps))
    for number in range(KEPT + 2):
        before = content(store)
        steps.append(f'op.execute("create table archive_{number} (id integer primary key)")')
        copy = upgrade(store, shipped(tmp_path / "worlds", *steps))
        assert copy is not None and copy == copies(store)[-1] and copy.stat().st_mode & 0o777 == 0o600
        kept = SqliteStore(str(copy))
        assert content(kept) == before
        kept.close()
    assert len(copies(store)) == KEPT


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_disk_that_fills_up_in_the_middle_leaves_the_database_as_it_was(
    store_of: Callable[..., Store], tmp_path: Path
) -> None:
    store = store_of()
    played(store, shipped(tmp_path / "worlds", FIRST))
    before = content(store)
    worlds = shipped(tmp_path / "worlds", FIRST, CHANGES + REBUILDS)

    def full(connection: object, *_: object) -> None:
        connection.exec_driver_sql("pragma max_page_count = 1")  # type: ignore[attr-defined]

    event.listen(Engine, "begin", full)
    try:
        with pytest.raises(StoreError, match=r"archive_2\.py failed: The disk is full") as raised:
            upgrade(store, worlds)
    finally:
        event.remove(Engine, "begin", full)
    assert "Free some room" in (raised.value.hint or "") and content(store) == before


def test_start_on_a_database_that_is_up_to_date_only_reads(store_of: Callable[..., Store], tmp_path: Path) -> None:
    store = store_of()
    worlds = shipped(tmp_path / "worlds", FIRST)
    played(store, worlds)
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement.lower())

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert upgrade(store, worlds) is None
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert 0 < len(statements) <= 8, statements
    assert not [statement for statement in statements if not statement.startswith(("select", "pragma", "begin"))]
