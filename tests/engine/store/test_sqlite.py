"""The store on SQLite: durable, one writer at a time, and clear about what is wrong."""

import queue
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import Busy, Refused, StoreError
from engine.migrate import behind, upgrade
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.store.groups import Member
from engine.store.sqlite import SQLITE, SqliteStore, explained
from engine.types import LOCAL
from tests.conftest import Database


@pytest.fixture
def database() -> Database:
    """What is tested here is SQLite."""
    return "sqlite"


class Brick(Row, table=True):
    """A row of the one-file world."""

    id: int | None = Field(default=None, primary_key=True)
    colour: str = "red"
    note: str | None = None
    label: str | None = Field(default=None, index=True)


class Wall(World, rows=[Brick]):
    """A one-file world without migrations."""

    @action
    def lay(self, colour: str = "red") -> int:
        """Lay a brick."""
        self.rows(Brick).add(colour=colour)
        return self.rows(Brick).count()


TABLE = str(Brick.__tablename__)


def lay(dispatcher: Dispatcher) -> int:
    return int(dispatcher.dispatch(Call(principal=LOCAL, world="wall", action="lay")).value)


def altered(path: Path, *statements: str) -> None:
    """Change a database as an older or newer Turnkeeper would have left it."""
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


# transactions


def test_reading_transaction_cannot_write(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Wall)
    with pytest.raises(StoreError, match="read-only"):
        dispatcher.store.read(lambda transaction: transaction.ensure_person(LOCAL))
    assert dispatcher.store.read(lambda transaction: transaction.people("local")) == []


def test_snapshot_does_not_move_while_others_write(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Wall)
    lay(dispatcher)
    session = dispatcher.main(LOCAL, "wall")
    with dispatcher.store.snapshot() as transaction:
        before = transaction.session(session)
        lay(dispatcher)
        after = transaction.session(session)
    assert before is not None and after is not None and before.revision == after.revision == 2


def test_database_is_in_wal_mode_and_synchronous(dispatcher_of: Callable[..., Dispatcher]) -> None:
    with dispatcher_of(Wall).store.connection() as connection:
        found = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in ("journal_mode", "synchronous")]
        assert found == ["wal", 2] and connection.exec_driver_sql("pragma foreign_keys").scalar() == 1


def test_two_stores_on_one_file_see_each_others_commits(dispatcher_of: Callable[..., Dispatcher]) -> None:
    one, two = dispatcher_of(Wall), dispatcher_of(Wall)
    assert [lay(one), lay(two), lay(one)] == [1, 2, 3]


def test_reopened_store_has_all_that_was_acknowledged(dispatcher_of: Callable[..., Dispatcher]) -> None:
    first = dispatcher_of(Wall)
    lay(first)
    session = first.main(LOCAL, "wall")
    first.store.close()
    again = dispatcher_of(Wall)
    assert again.now(LOCAL, session).revision == 2 and lay(again) == 2


def test_clock_is_moved_by_an_offset(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Wall)
    before = dispatcher.look(LOCAL, "wall", None, lambda world: world.now)
    dispatcher.store.offset = timedelta(days=1)
    after = dispatcher.look(LOCAL, "wall", None, lambda world: world.now)
    assert timedelta(days=1) <= after - before < timedelta(days=1, minutes=1)


PROCESS = """
import sys
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.registry import Registry
from engine.migrate import upgrade
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL
from worlds.counter import Counter

store, registry = SqliteStore(sys.argv[1]), Registry([Counter])
print("ready", flush=True)
sys.stdin.readline()
upgrade(store, registry.worlds.values())
dispatcher = Dispatcher(store, registry)
for _ in range(25):
    print(dispatcher.dispatch(Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1})).revision)
store.close()
"""


def counting(file: Path) -> "subprocess.Popen[str]":
    """A process that says it is ready, waits for a line, and adds 25 times."""
    return subprocess.Popen(
        [sys.executable, "-W", "error::UserWarning", "-c", PROCESS, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def test_two_processes_that_begin_one_file_together_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "shared.db"
    with ExitStack() as stack:
        processes = [stack.enter_context(counting(file)) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None and process.stderr is not None
            assert process.stdout.readline() == "ready\n", process.stderr.read()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=60) for process in processes]
    assert [error for _, error in said] == ["", ""]
    assert sorted(int(line) for out, _ in said for line in out.split()) == list(range(2, 52))
    with sqlite3.connect(file) as connection:
        (data,) = connection.execute("select data from session").fetchone()
        revisions = [row[0] for row in connection.execute("select revision from journal order by revision")]
    connection.close()
    assert data == '{"total":51}' and revisions == list(range(1, 52))


def test_all_who_wait_for_a_locked_file_are_told_at_once_and_nothing_is_lost(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path / "turnkeeper.db"), busy_seconds=0.2)
    upgrade(store, ())
    answers: queue.SimpleQueue[Member[int]] = queue.SimpleQueue()
    with closing(SQLITE.connect(tmp_path / "turnkeeper.db")) as other:
        other.execute("begin immediate")
        store.submit(*(Member(lambda tx: tx.ensure_person(LOCAL), done=answers.put) for _ in range(50)))
        for _ in range(50):
            with pytest.raises(Busy, match="in use by another process"):
                answers.get(timeout=5).outcome()  # each after its own 0.2 s would take longer
    assert store.write(lambda transaction: transaction.ensure_person(LOCAL)) == 1
    store.close()


# what an operator is told


def test_directory_in_place_of_a_file_is_told_with_a_hint(tmp_path: Path) -> None:
    store = SqliteStore(str(tmp_path))
    with pytest.raises(StoreError, match="The database cannot be opened") as raised:
        upgrade(store, [])
    assert raised.value.hint == "Check that its folder exists and is writable."
    assert str(tmp_path) in str(raised.value) and "sqlalche.me" not in str(raised.value)


def test_missing_folder_is_told_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Check that its folder exists"):
        SqliteStore(str(tmp_path / "no" / "file.db")).write(lambda transaction: None)


def test_file_that_is_no_database_is_told_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "garbage.db"
    file.write_bytes(b"This is a letter to my aunt, and no database at all." * 100)
    for use in (lambda store: upgrade(store, []), lambda store: store.read(lambda transaction: transaction.people(""))):
        with pytest.raises(StoreError, match="This is not a Turnkeeper database") as raised:
            use(SqliteStore(str(file)))
        assert "restore it from a backup" in str(raised.value) and "Traceback" not in str(raised.value)
    assert file.read_bytes().startswith(b"This is a letter")


def test_damaged_file_is_told_with_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "damaged.db"
    store = SqliteStore(str(file))
    upgrade(store, Registry([Wall]).worlds.values())
    store.close()
    content = bytearray(file.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    file.write_bytes(content)
    store = SqliteStore(str(file))
    with pytest.raises(StoreError, match="The database is damaged") as raised:
        store.read(lambda transaction: transaction.people("ann"))
    assert raised.value.hint == "Restore it from a backup."
    store.close()


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("database is locked", Busy, "Try again."),
        ("attempt to write a readonly database", StoreError, "TURNKEEPER_DATA_DIR"),
        ("database or disk is full", StoreError, "Free some room"),
        ("CHECK constraint failed: ck_cart_quantity", Refused, "ck_cart_quantity"),
        ("something new", StoreError, "The log has the details"),
    ],
)
def test_database_errors_say_what_to_do(text: str, kind: type[Exception], said: str) -> None:
    error = explained(OperationalError("select 1", {}, sqlite3.OperationalError(text)), "/data/turnkeeper.db")
    assert type(error) is kind and said in str(error)
    assert "select 1" not in str(error) and "sqlalche.me" not in str(error)


# settings


def test_settings_name_the_users_own_file_unless_told_otherwise(tmp_path: Path) -> None:
    assert Settings(data_dir=tmp_path).sqlite_path == str(tmp_path / "turnkeeper.db")
    assert Settings(database_url="sqlite:////var/t.db").sqlite_path == "/var/t.db"
    with pytest.raises(StoreError, match=r"neither an SQLite file nor PostgreSQL.*Write sqlite:///"):
        assert Settings(database_url="mysql://x").sqlite_path


# migrating


def test_one_file_worlds_table_is_made(dispatcher_of: Callable[..., Dispatcher]) -> None:
    assert lay(dispatcher_of(Wall)) == 1


def test_second_upgrade_finds_nothing_to_do(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Wall)
    assert behind(dispatcher.store, [Wall.definition]) == []
    upgrade(dispatcher.store, [Wall.definition])


def test_additive_column_and_index_are_applied_and_data_kept(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path
) -> None:
    older = dispatcher_of(Wall)
    lay(older)
    older.store.close()
    altered(
        tmp_path / "turnkeeper.db",
        f"drop index ix_{TABLE}_label",
        f"alter table {TABLE} drop column label",
        f"alter table {TABLE} drop column note",
    )
    store = SqliteStore(str(tmp_path / "turnkeeper.db"))
    assert behind(store, [Wall.definition]) == ["wall"]
    store.close()
    newer = dispatcher_of(Wall)
    assert behind(newer.store, [Wall.definition]) == [] and lay(newer) == 2
    bricks = newer.look(LOCAL, "wall", None, lambda world: [(brick.colour, brick.note) for brick in world.rows(Brick)])
    assert bricks == [("red", None), ("red", None)]


@pytest.mark.parametrize(
    "change",
    [
        f"alter table {TABLE} add column weight integer",
        f"alter table {TABLE} rename column colour to paint",
        f"alter table {TABLE} drop column colour",
    ],
)
def test_any_other_change_is_refused_with_the_command_that_helps(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path, change: str
) -> None:
    dispatcher_of(Wall).store.close()
    file = tmp_path / "turnkeeper.db"
    altered(file, change)
    before = _schema(file)
    with pytest.raises(StoreError, match="world 'wall' changed in a way that needs a migration") as raised:
        dispatcher_of(Wall)
    assert "turnkeeper migrate --new wall" in (raised.value.hint or "")
    assert any(name in str(raised.value) for name in ("weight", "colour", "paint"))
    assert _schema(file) == before


def test_schema_that_is_ahead_is_refused_by_name(dispatcher_of: Callable[..., Dispatcher], tmp_path: Path) -> None:
    dispatcher_of(Wall).store.close()
    altered(tmp_path / "turnkeeper.db", "update turnkeeper_version set version_num = '9999_future'")
    with pytest.raises(StoreError, match="ahead of this Turnkeeper: turnkeeper_version says 9999_future") as raised:
        dispatcher_of(Wall)
    assert raised.value.hint is not None and "Install the newer version" in raised.value.hint


def test_world_that_is_gone_blocks_nobody(dispatcher_of: Callable[..., Dispatcher]) -> None:
    class Fence(World, rows=[]):
        @action
        def paint(self) -> None: ...

    lay(dispatcher_of(Wall))
    outcome = dispatcher_of(Fence).dispatch(Call(principal=LOCAL, world="fence", action="paint"))
    assert outcome.revision == 2


def _schema(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    found = [str(row[0]) for row in connection.execute("select sql from sqlite_master order by name")]
    connection.close()
    return found
