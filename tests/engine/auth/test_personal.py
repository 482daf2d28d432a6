"""Personal data: all of it as files, and none of it left once somebody is deleted."""

import json
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import inspect
from sqlmodel import Field, col, text, update

from engine import Row, World, action
from engine.auth.people.backups import holding
from engine.auth.people.browsers import sign_in
from engine.auth.people.forgetting import forget
from engine.auth.people.naming import Who, who_is
from engine.auth.people.personal import export
from engine.dispatch import Call, Dispatcher
from engine.errors import EngineError, NotFound, Unauthenticated
from engine.store.access import ClientRow, CodeRow, GrantRow, InvitationRow, RefreshRow, TokenRow
from engine.store.records import Transaction
from engine.store.tables import SessionRow
from engine.types import LOCAL, OPERATOR, Principal
from tests.conftest import Database
from tests.engine.auth.people import account, code, come, structured, tool

ANN = account("ann")
BEN = Principal("https://idp.example", "benedict-7731", "Benedict Q. Testperson")
LOGIN, MAIL = "benq", "benedict@mail.example"
NAMES = (BEN.subject, BEN.name, BEN.issuer, LOGIN, MAIL, f"{BEN.issuer} {BEN.subject}")
Make = Callable[..., Dispatcher]


class Remark(Row, table=True):
    """One remark."""

    number: int = Field(primary_key=True)
    said: str


class Diary(World):
    """A diary."""

    @action
    def note(self, number: int, said: str) -> None:
        """Write a remark down."""
        self.rows(Remark).add(number=number, said=said)


def note(dispatcher: Dispatcher, who: Principal, session: str, said: str) -> None:
    arguments = {"number": len(said), "said": said}
    dispatcher.dispatch(Call(principal=who, world="diary", action="note", arguments=arguments, session=session))


def doors(transaction: Transaction, person: int, other: int) -> None:
    """What authorization keeps of somebody who uses it all, and of somebody else."""
    at, later = transaction.at, "2999-01-01T00:00:00.000000+00:00"
    for name, kind, service in (("own", "dynamic", None), ("both", "dynamic", None), ("desk", "registered", None)):
        transaction.db.add(
            ClientRow(
                id=name, kind=kind, name=f"{name} client", method="none", redirect_uris="[]", grant_types="[]",
                service_id=service, created_at=at,
            )
        )  # fmt: skip
    transaction.db.flush()
    for client, whose in (("own", person), ("both", person), ("both", other), ("desk", person)):
        grant = GrantRow(person_id=whose, client_id=client, resource="", scope="", created_at=at, used_at=at)
        transaction.db.add(grant)
        transaction.db.flush()
        assert grant.id is not None
        mark = f"{client} {whose}"
        transaction.db.add(
            TokenRow(hash=mark, person_id=whose, grant_id=grant.id, resource="", scope="", created_at=at)
        )
        transaction.db.add(RefreshRow(hash=mark, grant_id=grant.id, created_at=at, expires_at=later))
        transaction.db.add(
            CodeRow(hash=mark, grant_id=grant.id, redirect_uri="", explicit=True, challenge="", expires_at=later)
        )
    name = f"script of {LOGIN}"
    transaction.db.add(TokenRow(hash="personal", person_id=person, name=name, resource="", scope="a b", created_at=at))
    for row in (
        InvitationRow(hash="1", purpose="password", person_id=person, expires_at=later),
        InvitationRow(hash="2", purpose="account", login=LOGIN, expires_at=later),
        InvitationRow(hash="3", purpose="account", login="cy", expires_at=later),
    ):
        transaction.db.add(row)
    transaction.db.flush()
    transaction.keep_connection(f"legacy-{person}", person, "/mcp", json.dumps({"who": BEN.name}))
    transaction.subscribe(f"legacy-{person}", "session://diary/state")
    sign_in(transaction, person, timedelta(days=1))


@pytest.fixture
def lived(dispatcher_of: Make) -> tuple[Dispatcher, dict[str, str]]:
    """A database in which Ben did all that can be done here; and his sessions, hers, and a fork of his."""
    dispatcher = dispatcher_of(Diary)
    ann = come(dispatcher, ANN, login="ann")
    sessions = {"hers": dispatcher.main(ANN, "diary")}
    assert not tool(dispatcher, ANN, "share_session", session=sessions["hers"], person=MAIL, role="editor").is_error
    ben = come(dispatcher, BEN, login=LOGIN, mail=MAIL)
    assert not tool(dispatcher, ANN, "share_session", session=sessions["hers"], person=LOGIN, role="editor").is_error
    sessions["main"] = dispatcher.main(BEN, "diary")
    sessions["keyed"] = dispatcher.start(BEN, "diary", key="with a key").session
    note(dispatcher, BEN, sessions["main"], "mine")
    note(dispatcher, BEN, sessions["hers"], "in hers")
    note(dispatcher, ANN, sessions["hers"], "all her own")
    assert not tool(dispatcher, BEN, "share_session", session=sessions["main"], person="ann").is_error
    sessions["fork"] = dispatcher.fork(ANN, sessions["main"]).session
    dispatcher.erase(BEN, dispatcher.start(BEN, "diary").session)
    dispatcher.store.write(lambda tx: doors(tx, ben, ann))
    return dispatcher, sessions


def ben_of(dispatcher: Dispatcher, name: str = LOGIN) -> Who:
    return dispatcher.store.read(lambda tx: who_is(tx, name))


def everything(transaction: Transaction) -> dict[str, list[str]]:
    """Every value of every column of every table of the database, as text."""
    found: dict[str, list[str]] = {}
    connection = transaction.db.connection()
    for table in inspect(connection).get_table_names():
        rows = connection.execute(text(f'select * from "{table}"')).mappings().all()
        for row in rows:
            for column, value in row.items():
                found.setdefault(f"{table}.{column}", []).append(str(value))
    return found


def places(dispatcher: Dispatcher, *names: str) -> set[str]:
    """The columns in which any of these texts stand."""
    values = dispatcher.store.read(everything)
    wanted = [name.lower() for name in names]
    return {column for column, texts in values.items() if any(one in t.lower() for t in texts for one in wanted)}


def test_nothing_in_any_table_names_somebody_who_was_deleted(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, _ = lived
    before = places(dispatcher, *NAMES)
    assert {"person.name", "person.mail", "person.subject", "person.issuer", "account.login"} < before
    assert {"token.name", "invitation.login", "connection.parameters"} < before
    assert forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher)) == 2
    assert places(dispatcher, *NAMES) == set()


def test_what_was_theirs_is_gone_and_what_was_others_stays(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, sessions = lived
    ben = ben_of(dispatcher).id
    forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher))
    values = dispatcher.store.read(everything)
    assert sorted(values["session.handle"]) == sorted([sessions["hers"], sessions["fork"]])
    assert set(values["journal.session_id"]) == set(values["session.id"])
    assert set(values[f"{Remark.__tablename__}.session_id"]) == set(values["session.id"])
    assert sorted(values["client.id"]) == ["both", "desk"]
    assert len(values["oauth_grant.id"]) == len(values["token.hash"]) == len(values["refresh.hash"]) == 1
    assert values["code.hash"] == values["token.hash"] and values["token.hash"][0].startswith("both ")
    assert values["invitation.login"] == ["cy"] and values["account.login"] == ["ann"]
    for table in ("browser", "connection", "subscription", "offer", "taker", "share", "start_key"):
        assert not [column for column in values if column.startswith(f"{table}.")], table
    holding_id = {column for column, texts in values.items() if "person_id" in column and str(ben) in texts}
    assert holding_id == {"journal.person_id"}


def test_elsewhere_entries_read_a_deleted_person(lived: tuple[Dispatcher, dict[str, str]], tmp_path: Path) -> None:
    dispatcher, sessions = lived
    forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher))
    history = structured(tool(dispatcher, ANN, "session_history", session=sessions["hers"]))["result"]["changes"]
    by = {change["arguments"]["said"]: change["by"] for change in history if change["action"] == "note"}
    assert by == {"in hers": "a deleted person", "all her own": "Ann"}
    fork = structured(tool(dispatcher, ANN, "session_history", session=sessions["fork"]))["result"]["changes"]
    assert {change["by"] for change in fork} == {"a deleted person"}
    assert "a deleted person" in str(dispatcher.query(OPERATOR, sessions["hers"], "select name from person").rows)
    assert not tool(dispatcher, ANN, "undo", session=sessions["hers"]).is_error


def test_a_deleted_person_comes_back_as_somebody_new(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, sessions = lived
    before = ben_of(dispatcher).id
    forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher))
    for name in (LOGIN, f"{BEN.issuer} {BEN.subject}"):
        with pytest.raises(NotFound):
            ben_of(dispatcher, name)
    again = come(dispatcher, BEN, login=LOGIN, mail=MAIL)
    assert again != before
    assert structured(tool(dispatcher, BEN, "list_sessions"))["result"]["sessions"] == []
    for session in sessions.values():
        assert code(tool(dispatcher, BEN, "get_session", session=session)) == "not_found"
    assert dispatcher.start(BEN, "diary", key="with a key").replayed is None


def test_nothing_of_what_came_of_a_file_names_them_either(
    lived: tuple[Dispatcher, dict[str, str]], tmp_path: Path
) -> None:
    dispatcher, sessions = lived
    dispatcher.export(ANN, sessions["hers"], tmp_path / "hers.db")
    dispatcher.import_file(ANN, tmp_path / "hers.db")
    assert places(dispatcher, f"{BEN.name}") >= {"person.name", "person.subject"}
    forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher))
    assert places(dispatcher, *NAMES) == set()


def test_a_deletion_that_was_cut_off_is_gone_on_with(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, _ = lived
    ben = ben_of(dispatcher)

    def orphaned(transaction: Transaction) -> None:
        transaction.run(update(SessionRow).where(col(SessionRow.owner_id) == ben.id).values(hidden="erased"))

    dispatcher.store.write(orphaned)
    assert forget(dispatcher.store, dispatcher.registry, ben) == 0
    assert str(ben.id) not in dispatcher.store.read(everything)["session.owner_id"]


def test_who_is_deleted_while_they_begin_a_session_owns_none(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, _ = lived
    ben = ben_of(dispatcher)
    forget(dispatcher.store, dispatcher.registry, ben)
    with pytest.raises(Unauthenticated, match="was deleted"):
        dispatcher.store.write(lambda tx: tx.lock_person(ben.id))


def test_nobody_is_deleted_twice(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, _ = lived
    ben = ben_of(dispatcher)
    forget(dispatcher.store, dispatcher.registry, ben)
    with pytest.raises(NotFound, match="benq was deleted already"):
        forget(dispatcher.store, dispatcher.registry, ben)


def test_who_acts_while_they_are_deleted_leaves_nothing(lived: tuple[Dispatcher, dict[str, str]]) -> None:
    dispatcher, sessions = lived
    ben = ben_of(dispatcher)

    def acting(worker: int) -> set[str]:
        met: set[str] = set()
        for turn in range(15):
            try:
                if turn % 2:
                    dispatcher.start(BEN, "diary", main=turn % 4 == 1)
                else:
                    said = "x" * (1000 * worker + turn + 100)
                    note(dispatcher, BEN, sessions["hers" if turn % 4 else "main"], said)
            except EngineError as error:
                met.add(error.code)
        return met

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(acting, worker) for worker in range(3)]
        deleting = pool.submit(forget, dispatcher.store, dispatcher.registry, ben)
        assert set().union(*(worker.result() for worker in workers)) <= {"not_found", "unauthenticated"}
        assert deleting.result() >= 2
    values = dispatcher.store.read(everything)
    assert str(ben.id) not in values["session.owner_id"]


def test_the_local_person_can_be_deleted_and_begins_anew(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Diary)
    session = dispatcher.main(LOCAL, "diary")
    assert forget(dispatcher.store, dispatcher.registry, ben_of(dispatcher, "local")) == 1
    assert dispatcher.main(LOCAL, "diary") != session


def test_an_export_has_all_that_is_held_and_nobody_elses(
    lived: tuple[Dispatcher, dict[str, str]], tmp_path: Path
) -> None:
    dispatcher, sessions = lived
    folder = tmp_path / "out" / "ben"
    written = export(dispatcher, ben_of(dispatcher), folder)
    assert (written.sessions, written.entries) == (2, 4)
    assert sorted(str(file.relative_to(folder)) for file in written.files) == sorted(
        ["person.json", "entries.jsonl", *(f"sessions/{sessions[name]}.db" for name in ("main", "keyed"))]
    )
    assert {stat.S_IMODE(file.stat().st_mode) for file in written.files} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    found = json.loads((folder / "person.json").read_text())
    assert found["person"] == {"issuer": BEN.issuer, "subject": BEN.subject, "name": BEN.name, "mail": MAIL}
    assert found["account"][0]["login"] == LOGIN and "password" not in found["account"][0]
    assert {grant["client"]["name"] for grant in found["grants"]} == {"own client", "both client", "desk client"}
    assert f"script of {LOGIN}" in {token["name"] for token in found["tokens"]}
    assert [one["session"] for one in found["shared_with_them"]] == [sessions["hers"]]
    assert [(one["session"], one["with"]) for one in found["shared_by_them"]] == [(sessions["main"], "Ann")]
    assert len(found["offered_to_them"]) == 2 and len(found["invitations"]) == 2
    assert all(found[name] for name in ("browsers", "connections", "keys_of_starts"))
    entries = [json.loads(line) for line in (folder / "entries.jsonl").read_text().splitlines()]
    assert [(entry["session"], entry["action"]) for entry in entries] == [
        (sessions["hers"], "note"),
        *((sessions["fork"], action) for action in ("start", "note", "share")),
    ]
    assert entries[0]["arguments"] == {"number": 7, "said": "in hers"}
    dispatcher.import_file(BEN, folder / "sessions" / f"{sessions['main']}.db")


def test_a_session_of_a_world_that_is_gone_is_exported_as_the_database_has_it(
    lived: tuple[Dispatcher, dict[str, str]], tmp_path: Path
) -> None:
    dispatcher, sessions = lived
    changed = update(SessionRow).where(col(SessionRow.handle) == sessions["main"]).values(world="gone")
    dispatcher.store.write(lambda tx: tx.run(changed))
    export(dispatcher, ben_of(dispatcher), tmp_path / "ben")
    found = json.loads((tmp_path / "ben" / "sessions" / f"{sessions['main']}.json").read_text())
    assert found["session"]["world"] == "gone"
    assert [entry["action"] for entry in found["journal"]] == ["start", "note", "share"]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_backups_that_still_hold_data_are_found(
    database: Database, lived: tuple[Dispatcher, dict[str, str]], dispatcher_of: Make, tmp_path: Path
) -> None:
    dispatcher, sessions = lived
    dispatcher_of(Diary, file="before-he-came.db")
    own, ben = dispatcher.store.file, ben_of(dispatcher)
    assert own is not None
    backup, session, hers = (tmp_path / name for name in ("backup.db", "his.db", "hers.db"))
    dispatcher.store.backup(backup)
    dispatcher.export(BEN, sessions["keyed"], session)
    dispatcher.export(ANN, sessions["hers"], hers)
    dispatcher.export(ANN, dispatcher.start(ANN, "diary").session, tmp_path / "innocent.db")
    (tmp_path / "dump").write_bytes(b"PGDMP and so on")
    (tmp_path / "notes.txt").write_text(BEN.name)
    (tmp_path / "broken.db").write_bytes(b"SQLite format 3\0 and then nothing")
    forget(dispatcher.store, dispatcher.registry, ben)
    found = [file.name for file in holding(tmp_path, own, ben)]
    assert found == ["backup.db", "broken.db", "dump", "hers.db", "his.db"]
