"""Files that are damaged, foreign, newer, or made to harm: each is refused by name, and nothing is changed."""

import shutil
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.dispatch import Dispatcher
from engine.errors import Refused
from engine.files.opening import CELL
from engine.files.shapes import FORMATS
from engine.files.writing import APPLICATION_ID, digest_of
from engine.migrate import upgrade
from engine.registry import Registry
from engine.store.sqlite import SQLITE, SqliteStore
from engine.types import LOCAL
from tests.engine.files.gardens import ANN, BEDS, PLANTS, Garden, Park, grown

NAMES = {"damaged_file", "foreign_file", "newer_file"}


class Shed:
    """A store, and the file of a garden that was exported from another one."""

    def __init__(self, dispatcher: Dispatcher, store: str, path: Path, history: list[Any]) -> None:
        self.dispatcher = dispatcher
        self.store = store
        self.path = path
        self.file = path.read_bytes()
        self.history = history

    def refused(self, file: bytes | None = None) -> str:
        """The name of the refusal of a file, which changed nothing."""
        if file is not None:
            self.path.write_bytes(file)
        before = self.stored()
        with pytest.raises(Refused) as raised:
            self.dispatcher.import_file(ANN, self.path)
        assert self.stored() == before
        assert str(self.path) in raised.value.reason and "Nothing was changed." in str(raised.value)
        return raised.value.rule

    def stored(self) -> list[Any]:
        """How many sessions, people, entries and rows there are."""
        tables = ("session", "person", "journal", BEDS, PLANTS)
        with closing(SQLITE.connect(self.store)) as connection:
            return [connection.execute(f"select count(*) from {table}").fetchone() for table in tables]

    def edited(self, *statements: str, sound: bool = True) -> bytes:
        """The file after somebody edited it; `sound` mends the digest, too."""
        self.path.write_bytes(self.file)
        with closing(SQLITE.connect(str(self.path), isolation_level=None)) as connection:
            connection.execute("pragma writable_schema = on")
            for statement in statements:
                connection.execute(statement)
            with suppress(TypeError, SQLITE.Error):  # of what no export has, no digest can be made
                if sound:
                    connection.execute("update turnkeeper set digest = ?", (digest_of(connection),))
        return self.path.read_bytes()


@pytest.fixture(scope="module")
def shed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shed]:
    """A shed, made once."""
    folder = tmp_path_factory.mktemp("shed")
    stores = [SqliteStore(str(folder / name)) for name in ("from.db", "to.db")]
    registry = Registry([Garden])
    for store in stores:
        upgrade(store, registry.worlds.values())
    origin, dispatcher = (Dispatcher(store, registry) for store in stores)
    session, path = grown(origin), folder / "garden.db"
    dispatcher.erase(ANN, dispatcher.start(ANN, "garden").session)  # she is known, whichever test is the first
    origin.export(ANN, session, path)
    yield Shed(dispatcher, stores[1].path, path, origin.history(ANN, session))
    for store in stores:
        store.close()


# damaged


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=4))
def test_flipped_bytes_are_refused_or_were_of_no_account(shed: Shed, flips: list[tuple[float, int]]) -> None:
    file = bytearray(shed.file)
    for place, mask in flips:
        file[int(place * len(file))] ^= mask
    shed.path.write_bytes(file)
    before = shed.stored()
    try:
        outcome = shed.dispatcher.import_file(ANN, shed.path)
    except Refused as error:
        assert error.rule in NAMES and shed.stored() == before
    else:
        # SQLite's pages have bytes that mean nothing; then what came in is what went out.
        assert shed.dispatcher.history(ANN, outcome.session) == shed.history
        shed.dispatcher.erase(ANN, outcome.session)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_file_without_its_end_is_refused(shed: Shed, share: float) -> None:
    assert shed.refused(shed.file[: int(share * len(shed.file))]) in ("damaged_file", "foreign_file")


@pytest.mark.parametrize(
    "statement",
    [
        "update session set data = '{\"watered\": 99}'",
        "delete from journal where revision = 9",
        f"insert into {BEDS} values ('more', 1, null)",
        "update person set name = 'Eve'",
        "update turnkeeper set exported_at = '2000-01-01'",
        "drop table snapshot",
    ],
)
def test_edited_file_is_refused(shed: Shed, statement: str) -> None:
    assert shed.refused(shed.edited(statement, sound=False)) == "damaged_file"


# foreign and newer


def test_other_files_are_foreign(shed: Shed, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as connection:
        connection.execute("create table journal (revision)")
    assert shed.refused((tmp_path / "other.db").read_bytes()) == "foreign_file"
    assert shed.refused(b"") == "foreign_file"
    assert shed.refused(b"SQLite format 3\0") == "foreign_file"
    assert shed.refused(b"PK\x03\x04" * 1000) == "foreign_file"
    shutil.copy(shed.store, shed.path)
    assert shed.refused() == "foreign_file"


def test_other_tables_under_our_name_are_damaged(shed: Shed, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db", isolation_level=None)) as connection:
        connection.execute(f"pragma application_id = {APPLICATION_ID}")
        connection.execute("pragma user_version = 1")
        connection.execute("create table turnkeeper (world)")
    assert shed.refused((tmp_path / "other.db").read_bytes()) == "damaged_file"


def test_newer_format_is_refused(shed: Shed) -> None:
    file = bytearray(shed.file)
    file[60:64] = struct.pack(">i", max(FORMATS) + 1)
    assert shed.refused(bytes(file)) == "newer_file"


def test_file_that_says_it_is_of_another_format_is_damaged(shed: Shed) -> None:
    file = bytearray(shed.file)
    file[60:64] = struct.pack(">i", 2)
    assert shed.refused(bytes(file)) == "damaged_file"


def test_newer_world_is_refused(shed: Shed) -> None:
    newer = ("update turnkeeper set world_version = 2", "update session set version = 2")
    assert shed.refused(shed.edited(*newer)) == "newer_file"


# made to harm: the digest is right, but what it says is not


HARMFUL: dict[str, tuple[str, ...]] = {
    "trigger": (f"create trigger t after insert on {BEDS} begin delete from journal; end",),
    "view": ("create view v as select * from journal",),
    "view instead of a table": ("drop table snapshot", "create view snapshot as select 1 as row_set, 'x' as 'table'"),
    "index": ("create index i on journal (action)",),
    "virtual table": ("create virtual table f using fts5 (x)",),
    "default": ("create table more (a TEXT default (randomblob(9)))",),
    "check": ("create table more (a TEXT check (a > 1))",),
    "generated column": ("create table more (a TEXT, b TEXT as (a))",),
    "no rowid": ("create table more (a TEXT primary key) without rowid",),
    "another kind of column": ("drop table snapshot", "create table snapshot (row_set, 'table', row)"),
    "blob": ("update session set data = x'00'",),
    "half a revision": ("update session set floor = 1.5",),
    "long name": ("update person set name = replace(hex(zeroblob(150)), '00', 'ab')",),
    "two sessions": (
        "insert into session select 'ses_aaaaaaaaaaaaaaaaaaaaaaaa', world, version, owner, state, data,"
        " revision, undo_top, redo_top, forked_from, forked_at, created_at, updated_at, ended_at, floor from session",
    ),
    "no session": ("delete from session",),
    "two files": ("insert into turnkeeper select * from turnkeeper",),
    "handle with a slash": (
        "update session set handle = 'ses_../../../../etc/passwd'",
        "update turnkeeper set handle = 'ses_../../../../etc/passwd'",
    ),
    "unknown state": ("update session set state = 'spring'",),
    "unknown state in the past": ("update journal set state = 'spring' where revision = 2",),
    "state in the past that is no JSON": ("update journal set state = '{x' where revision = 2",),
    "state in the past of no states": ("update journal set state = '{\"in\":[]}' where revision = 2",),
    "document that does not fit": ('update session set data = \'{"watered": "much"}\'',),
    "document that is no JSON": ("update session set data = '{'",),
    "deep JSON": ("update journal set arguments = replace(hex(zeroblob(100000)), '00', '[') where revision = 2",),
    "arguments that are none": ("update journal set arguments = '[]' where revision = 2",),
    "result that is none": ("update journal set result = '1' where revision = 2",),
    "content that is none": ('update journal set result = \'{"value":1,"content":[1]}\' where revision = 2',),
    "gap": ("delete from journal where revision = 4",),
    "no beginning": ("delete from journal where revision = 1",),
    "no end": ("delete from journal where revision = 9",),
    "nobody": ("update journal set by = 77 where revision = 3",),
    "no time": ("update journal set at = 'yesterday' where revision = 3",),
    "another zone": ("update journal set at = '2026-01-01T00:00:00.000000+02:00' where revision = 3",),
    "version to come": ("update journal set version = 7 where revision = 3",),
    "version that never was": ("update journal set version = 0 where revision = 3",),
    "undo of nothing": ("update journal set target = null where revision = 6",),
    "undo of the start": ("update journal set target = 1 where revision = 6",),
    "undo of what is to come": ("update journal set target = 8 where revision = 6",),
    "undo top beyond the end": ("update session set undo_top = 70",),
    "undo top at the start": ("update session set undo_top = 1",),
    "redo top that is no undo": ("update session set redo_top = 5",),
    "below to come": ("update journal set below = 8 where revision = 3",),
    "negative row set": ("update journal set adopted = -1 where revision = 3",),
    "image that does not fit": (
        f'update journal set rows = \'[["{PLANTS}", null, {{"id": 1, "height": -1}}]]\' where revision = 4',
    ),
    "image that is no object": (f"update journal set rows = '[[\"{PLANTS}\", null, 5]]' where revision = 4",),
    "change of nothing": (f"update journal set rows = '[[\"{PLANTS}\", null, null]]' where revision = 4",),
    "changes that are none": ("update journal set rows = '{\"a\": 1}' where revision = 4",),
    "row that does not fit": (f"update {PLANTS} set height = -1.0",),
    "row of an unknown kind": (f"update {PLANTS} set kind = 'fungus'",),
    "row without a bed": (f"update {PLANTS} set bed = 'nowhere'",),
    "row twice": (
        *(f'insert into snapshot values (1, \'{BEDS}\', \'{{"name":"x","sunny":true,"beside":null}}\')',) * 2,
        "update journal set adopted = 1 where revision = 3",
        "update journal set adopted = 0 where revision = 4",
    ),
    "first revision beyond the end": ("update session set floor = 99",),
    "origin that is none": ("update session set forked_from = 'elsewhere', forked_at = 3",),
}


@pytest.mark.parametrize("statements", HARMFUL.values(), ids=HARMFUL.keys())
def test_file_made_to_harm_is_refused(shed: Shed, statements: tuple[str, ...]) -> None:
    assert shed.refused(shed.edited(*statements)) == "damaged_file"


def test_past_that_no_version_can_have_had_is_refused(shed: Shed, dispatcher_of: Callable[..., Dispatcher]) -> None:
    shed.path.write_bytes(shed.edited("update journal set state = '{x' where revision = 2"))
    with pytest.raises(Refused, match=r"there is no state '\{x', of revision 2") as raised:
        dispatcher_of(Park).import_file(ANN, shed.path)
    assert raised.value.rule == "damaged_file"


def test_huge_value_is_refused_before_it_is_read(shed: Shed) -> None:
    huge = f"update person set name = cast(zeroblob({CELL + 1}) as text)"
    assert shed.refused(shed.edited(huge, sound=False)) == "damaged_file"


def test_rows_of_a_table_that_the_world_does_not_have_are_refused(shed: Shed) -> None:
    shed.path.write_bytes(shed.edited('create table "more" (\n    "a" TEXT\n)', "insert into more values ('x')"))
    before = shed.stored()
    with pytest.raises(Refused, match="rows of more, which garden does not have") as raised:
        shed.dispatcher.import_file(ANN, shed.path)
    assert raised.value.rule == "unknown_table" and shed.stored() == before


def test_journal_of_a_store_cannot_be_reached_through_a_file(shed: Shed) -> None:
    """What writes beside the file while it is read is not looked at, and the file stays as it is."""
    shed.path.write_bytes(shed.file)
    Path(f"{shed.path}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 504)
    outcome = shed.dispatcher.import_file(ANN, shed.path)
    assert shed.path.read_bytes() == shed.file
    shed.dispatcher.erase(ANN, outcome.session)
    assert shed.dispatcher.sessions(LOCAL) == []


def test_the_same_file_is_taken_where_it_is_whole(shed: Shed) -> None:
    """What the tests above edit is refused for what they edit, and for nothing else."""
    shed.path.write_bytes(shed.edited())
    outcome = shed.dispatcher.import_file(ANN, shed.path)
    assert shed.dispatcher.history(ANN, outcome.session) == shed.history
    shed.dispatcher.erase(ANN, outcome.session)
