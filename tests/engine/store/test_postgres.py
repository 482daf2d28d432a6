"""The store on PostgreSQL: what only several connections and a server can do to it."""

import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlmodel import Field

from engine import Row, World, action
from engine.dispatch import Dispatcher
from engine.errors import Disconnected, LimitExceeded, NotFound, StoreError
from engine.limits import Limits
from engine.migrate import upgrade
from engine.operations import Call
from engine.settings import Settings
from engine.store.postgres import PostgresStore
from engine.store.records import Transaction
from engine.types import LOCAL, Principal
from tests.conftest import Database
from tests.postgres import PostgresServer
from worlds.counter import Counter

Make = Callable[..., Dispatcher]


@pytest.fixture
def database() -> Database:
    """What is tested here is PostgreSQL."""
    return "postgresql"


def add(dispatcher: Dispatcher, *, by: Principal = LOCAL, key: str | None = None) -> int:
    call = Call(principal=by, world="counter", action="add", arguments={"a": 1}, key=key)
    return dispatcher.dispatch(call).revision


def together(*works: Callable[[], Any]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def first_calls(dispatchers: list[Dispatcher], who: Principal) -> list[int]:
    """The revisions that as many first calls at once are answered with."""
    revisions: list[int] = []
    together(*[partial(lambda each: revisions.append(add(each, by=who)), each) for each in dispatchers])
    return sorted(revisions)


def test_first_calls_of_several_processes_share_one_main_session(dispatcher_of: Make) -> None:
    dispatchers = [dispatcher_of(Counter) for _ in range(4)]
    for number in range(5):
        ann = Principal(issuer="test", subject=f"ann {number}")
        assert first_calls(dispatchers, ann) == [2, 3, 4, 5] and len(dispatchers[0].sessions(ann)) == 1


def test_main_session_that_was_just_chosen_stays_the_main_one(dispatcher_of: Make) -> None:
    one, two = dispatcher_of(Counter), dispatcher_of(Counter)
    for number in range(10):
        ann = Principal(issuer="test", subject=f"ann {number}")
        chosen: list[str] = []
        together(
            partial(lambda found, who: found.append(one.start(who, "counter", main=True).session), chosen, ann),
            partial(add, two, by=ann),
        )
        assert one.main(ann, "counter") == chosen[0]


def test_racing_starts_keep_within_the_limit(dispatcher_of: Make) -> None:
    dispatchers = [dispatcher_of(Counter, limits=Limits(sessions=3)) for _ in range(2)]
    ann = Principal(issuer="test", subject="ann")
    dispatchers[0].store.write(lambda transaction: transaction.ensure_person(ann))
    started: list[str] = []

    def start(dispatcher: Dispatcher) -> None:
        with suppress(LimitExceeded):
            started.append(dispatcher.start(ann, "counter").session)

    together(*[partial(start, dispatchers[number % 2]) for number in range(12)])
    assert len(started) == 3


def test_times_of_a_journal_never_go_back(dispatcher_of: Make) -> None:
    dispatchers = [dispatcher_of(Counter) for _ in range(2)]
    session = dispatchers[0].start(LOCAL, "counter").session
    call = Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}, session=session)
    together(*[partial(lambda d: [d.dispatch(call) for _ in range(50)], dispatchers[n % 2]) for n in range(4)])
    at = [entry["at"] for entry in dispatchers[0].history(LOCAL, session)]
    assert len(at) == 201 and at == sorted(at)


def test_stranger_is_told_at_once_that_there_is_no_such_session(dispatcher_of: Make) -> None:
    one, two = dispatcher_of(Counter), dispatcher_of(Counter)
    session = one.start(LOCAL, "counter").session
    locked, told = threading.Event(), threading.Event()

    def hold(transaction: Transaction) -> None:
        transaction.session(session)
        locked.set()
        assert told.wait(30)

    holder = threading.Thread(target=lambda: one.store.write(hold))
    holder.start()
    assert locked.wait(30)
    with pytest.raises(NotFound, match="There is no counter session"):
        two.dispatch(
            Call(principal=Principal("test", "bob"), world="counter", action="add", arguments={"a": 1}, session=session)
        )
    told.set()
    holder.join()


def test_deadlock_is_tried_again(dispatcher_of: Make) -> None:
    one, two = dispatcher_of(Counter), dispatcher_of(Counter)
    handles = [one.start(LOCAL, "counter").session for _ in range(2)]
    meet = threading.Barrier(2)
    tries: list[str] = []

    def crossing(first: str, second: str) -> Callable[[Transaction], None]:
        def work(transaction: Transaction) -> None:
            transaction.session(first)
            tries.append(first)
            if len(tries) <= 2:
                meet.wait(10)
            transaction.session(second)

        return work

    together(
        lambda: one.store.write(crossing(*handles)),
        lambda: two.store.write(crossing(*reversed(handles))),
    )
    assert len(tries) >= 3


def test_connection_that_is_cut_in_an_action_costs_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Counter)
    cut: list[int] = []

    def work(transaction: Transaction) -> int:
        person = transaction.ensure_person(Principal(issuer="test", subject="ann"))
        if not cut:
            row = transaction.db.connection().exec_driver_sql("select pg_backend_pid()").one()
            cut.append(row[0])
            with psycopg.connect(dispatcher.store.url, autocommit=True) as other:
                other.execute("select pg_terminate_backend(%s)", (row[0],))
        return person

    assert dispatcher.store.write(work) > 0 and len(cut) == 1


class Peg(Row, table=True):
    """Something to hang a coat on."""

    __tablename__ = "test_postgres__peg"
    number: int = Field(primary_key=True)


class Cloakroom(World, rows=[Peg]):
    """Pegs, and an action in the middle of which the connection may be cut."""

    @action
    def add(self, number: int, url: str) -> int:
        """Add a peg; the first time the connection is cut between reading and writing."""
        pegs = len(self.rows(Peg))
        if url and not CUT:
            CUT.append(number)
            with psycopg.connect(url, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and state = 'idle in transaction'"
                )
        self.rows(Peg).add(number=number)
        return pegs + len(self.rows(Peg))


CUT: list[int] = []


def test_connection_that_is_cut_while_a_world_uses_its_rows_costs_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Cloakroom)
    dispatcher.start(LOCAL, "cloakroom", main=True)
    calls = [{"number": 1, "url": dispatcher.store.url}, {"number": 2, "url": ""}]
    answers = [
        dispatcher.dispatch(Call(principal=LOCAL, world="cloakroom", action="add", arguments=call)) for call in calls
    ]
    assert CUT == [1]
    assert [(answer.revision, answer.value) for answer in answers] == [(2, 1), (3, 3)]


def test_reading_connection_that_died_in_the_pool_is_replaced(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Counter)
    add(dispatcher)
    assert dispatcher.sessions(LOCAL)
    with psycopg.connect(dispatcher.store.url, autocommit=True) as other:
        other.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
    assert len(dispatcher.sessions(LOCAL)) == 1 and add(dispatcher) == 3


def test_server_that_is_not_there_is_named() -> None:
    store = PostgresStore("postgresql://nobody@/none?host=/nowhere", writers=1, readers=1)
    with pytest.raises(Disconnected, match="cannot be reached"):
        store.read(lambda transaction: None)
    with pytest.raises(StoreError, match="cannot be reached"):
        store.write(lambda transaction: None)
    store.close()


def test_clock_is_the_databases(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Counter)
    with psycopg.connect(dispatcher.store.url, autocommit=True) as other:
        row = other.execute("select clock_timestamp()").fetchone()
    assert row is not None and row[0] <= dispatcher.store.now()


def test_url_names_the_kind_of_database_and_its_password_is_not_repeated() -> None:
    assert Settings(database_url="postgresql://ann:secret@db/turnkeeper").is_postgres
    with pytest.raises(StoreError) as raised:
        assert Settings(database_url="mysql://ann:secret@db/turnkeeper").sqlite_path
    assert "secret" not in str(raised.value)


# backups


def test_backup_is_a_dump_that_restores_into_an_empty_database(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(postgres_server.programs))
    url, empty, file = postgres_server.fresh(template="core"), postgres_server.fresh(), tmp_path / "copy.dump"
    secret = url.replace("turnkeeper@", "turnkeeper:hunter2@")  # trusted here, and yet no argument may show it
    store = PostgresStore(secret)
    store.write(lambda transaction: transaction.ensure_person(LOCAL))
    store.backup(file)
    store.close()
    assert file.stat().st_mode & 0o777 == 0o600 and b"hunter2" not in file.read_bytes()
    restore = str(postgres_server.programs / "pg_restore")
    subprocess.run([restore, "--no-owner", "--exit-on-error", f"--dbname={empty}", str(file)], check=True)
    again = PostgresStore(empty)
    upgrade(again, [])
    assert again.read(lambda transaction: transaction.person_id(LOCAL)) is not None
    again.close()
    for database in (url, empty):
        postgres_server.drop(database)


def test_backup_without_pg_dump_or_a_server_is_refused_with_what_to_do(
    tmp_path: Path, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, file = PostgresStore(f"{postgres_server.url()}_gone"), tmp_path / "copy.dump"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match="pg_dump, which is not on the PATH") as raised:
        store.backup(file)
    assert f"pg_dump --format=custom --file={file}" in (raised.value.hint or "")
    monkeypatch.setenv("PATH", str(postgres_server.programs))
    with pytest.raises(StoreError, match="pg_dump failed: "):
        store.backup(file)
    store.close()
    assert list(tmp_path.iterdir()) == []
