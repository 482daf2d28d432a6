"""A session as a file: what export writes, what sql on a copy gives, and what neither does."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from engine.dispatch import Dispatcher
from engine.errors import Forbidden, NotFound, Refused, StoreError
from engine.files.opening import open_file
from engine.store.sqlite import SQLITE
from engine.types import OPERATOR, Principal, Role
from tests.engine.files.gardens import ANN, BEDS, BEN, PLANTS, Garden, Make, act, grown


def asked(path: Path, statement: str) -> list[Any]:
    """What anybody's SQLite says of a file."""
    connection = SQLITE.connect(str(path))
    try:
        return list(connection.execute(statement).fetchall())
    finally:
        connection.close()


def test_export_writes_the_rows_with_their_columns_and_without_the_session(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    exported = dispatcher.export(ANN, grown(dispatcher), path)
    assert (exported.rows, exported.entries, exported.revision) == (3, 9, 9)
    assert exported.bytes == path.stat().st_size
    assert asked(path, f"select * from {BEDS}") == [("back", 0, "front"), ("front", 1, None)]
    ((*plain, at),) = asked(path, f"select * from {PLANTS}")
    assert plain == [1, "back", "an old tree", 2, 4.25, '["an old tree","ä 😀"]', '"007"']
    assert datetime.fromisoformat(at)
    assert asked(path, f'select "table", "from", "to" from pragma_foreign_key_list(\'{PLANTS}\')') == [
        (BEDS, "bed", "name")
    ]


def test_export_writes_the_journal_and_whose_it_is_by_name_alone(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    session = grown(dispatcher)
    dispatcher.export(ANN, session, path)
    told = asked(
        path,
        "select revision, action, name, arguments ->> 'name', target from journal join person on id = by"
        " order by revision",
    )
    assert told[:2] == [(1, "start", "Ann", None, None), (2, "dig", "Ann", "front", None)]
    assert told[5:] == [
        (6, "undo", "Ann", None, 5),
        (7, "water", "Ann", None, None),
        (8, "share", "Ann", None, None),
        (9, "water", "Ben", None, None),
    ]
    assert asked(path, "select handle, world, revision, data ->> 'watered' from session") == [(session, "garden", 9, 2)]
    assert not any(secret in path.read_bytes() for secret in (b"issuer.test", b"subject-7431"))


def test_exported_file_says_what_it_is(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    session = grown(dispatcher)
    dispatcher.export(ANN, session, path)
    with open_file(path) as file:
        about = file.about
        assert sorted(file.worlds) == sorted([BEDS, PLANTS])
    assert (about["world"], about["world_version"], about["handle"], about["revision"]) == ("garden", 1, session, 9)
    assert datetime.fromisoformat(about["exported_at"]).tzinfo == UTC


def test_images_are_the_same_in_the_file(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    session = grown(dispatcher)
    dispatcher.export(ANN, session, path)
    then, _ = dispatcher.past(ANN, session)
    with open_file(path) as file:
        found = {name: [shape.image(row) for row in file.rows(shape)] for name, shape in file.worlds.items()}
    assert found == then.rows
    assert isinstance(found[BEDS][0]["sunny"], bool)


def test_export_does_not_replace_a_file_unless_told_to(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, path = dispatcher_of(Garden), tmp_path / "garden.db"
    session = grown(dispatcher)
    path.write_text("mine")
    with pytest.raises(Refused, match="There is a file") as raised:
        dispatcher.export(ANN, session, path)
    assert raised.value.rule == "file_exists" and path.read_text() == "mine"
    dispatcher.export(ANN, session, path, replace=True)
    assert asked(path, "select count(*) from journal") == [(9,)]
    assert sorted(found.name for found in tmp_path.iterdir() if "garden" in found.name) == ["garden.db"]


def test_export_into_a_folder_that_is_not_there_leaves_nothing(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Garden)
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        dispatcher.export(ANN, grown(dispatcher), tmp_path / "nowhere" / "garden.db")


def test_viewers_may_export_and_strangers_find_nothing(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    with pytest.raises(NotFound):
        dispatcher.export(Principal("test", "eve"), session, tmp_path / "eve.db")
    act(dispatcher, "share", person=dispatcher.person("ben"), role=Role.VIEWER.value)
    dispatcher.export(BEN, session, tmp_path / "ben.db")
    dispatcher.export(OPERATOR, session, tmp_path / "operator.db")
    with pytest.raises(Forbidden):
        dispatcher.export(Principal("test", "ben", scopes=frozenset()), session, tmp_path / "scope.db")
    assert {found.name for found in tmp_path.glob("*.db")} - {"turnkeeper.db"} == {"ben.db", "operator.db"}


# sql


def ask(dispatcher: Dispatcher, session: str, statement: str, **options: Any) -> list[tuple[Any, ...]]:
    return list(dispatcher.query(ANN, session, statement, **options).rows)


def test_query_sees_this_sessions_rows_alone(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    act(dispatcher, "dig", by=BEN, name="other")
    assert ask(dispatcher, session, f"select name from {BEDS} order by name") == [("back",), ("front",)]
    assert ask(dispatcher, session, "select count(*) from session") == [(1,)]
    answer = dispatcher.query(ANN, session, "select revision, action from journal order by revision limit 1")
    assert answer.columns == ("revision", "action") and answer.rows == ((1, "start"),) and not answer.cut


@pytest.mark.parametrize(
    "statement",
    [
        "delete from journal",
        "update session set state = 'x'",
        "insert into person values (9, 'x')",
        "create table x (y)",
        "create temp table x (y)",
        "drop table journal",
        "attach ':memory:' as other",
        "pragma query_only = off",
        "pragma application_id = 1",
        "vacuum into '/tmp/copy.db'",
        "select load_extension('x')",
        "begin",
        "with x as (select 1) delete from journal",
    ],
)
def test_query_that_would_do_more_than_read_is_refused(dispatcher_of: Make, statement: str) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    with pytest.raises(Refused) as raised:
        ask(dispatcher, session, statement)
    assert raised.value.rule == "not_read_only" and "begins with select" in str(raised.value)
    assert ask(dispatcher, session, "select count(*) from journal") == [(9,)]


@pytest.mark.parametrize(
    "statement", ["selec 1", "select nothing from journal", "select 1; select 2", "", "-- nothing", "select '\0'"]
)
def test_query_that_is_no_sql_is_refused_with_the_way_to_the_tables(dispatcher_of: Make, statement: str) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    with pytest.raises(Refused) as raised:
        ask(dispatcher, session, statement)
    assert raised.value.rule == "sql_error"


def test_query_is_cut_at_the_limit_and_says_so(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    answer = dispatcher.query(ANN, session, "select revision from journal order by revision", limit=2)
    assert answer.rows == ((1,), (2,)) and answer.cut
    assert not dispatcher.query(ANN, session, "select revision from journal", limit=9).cut


def test_query_without_end_is_stopped(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    endless = "with recursive n (i) as (select 1 union all select i + 1 from n) select max(i) from n"
    with pytest.raises(Refused, match="longer than 5 seconds, and was stopped") as raised:
        ask(dispatcher, session, endless)
    assert raised.value.rule == "too_slow"


def test_query_may_ask_for_the_tables(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Garden)
    session = grown(dispatcher)
    names = [row[0] for row in ask(dispatcher, session, "select name from sqlite_master where type = 'table'")]
    assert names == ["turnkeeper", "person", "session", "journal", "snapshot", BEDS, PLANTS]
    columns = ask(dispatcher, session, f"select name from pragma_table_info('{BEDS}')")
    assert columns == [("name",), ("sunny",), ("beside",)]
    assert json.loads(ask(dispatcher, session, "select json_group_array(action) from journal")[0][0])[0] == "start"
