"""Batches: what exceeds a transaction is written ahead, unseen, and shown, taken back or swept as a whole."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import Connection, func, literal, select
from sqlmodel import Field, ForeignKeyConstraint, SQLModel

from engine import Row, World, action, resource
from engine.ahead import ATTEMPTS, written_ahead
from engine.batches import Batch, begun, delete, sweep
from engine.copying import Piece, placed_pieces
from engine.dispatch import Answer, Dispatcher
from engine.errors import Conflict, NotFound, Refused
from engine.forking import Fork, fork_ahead
from engine.history import Ahead, WriteAhead, entry_at
from engine.journal import write
from engine.limits import Limits
from engine.models import table_of
from engine.operations import Call, Done, Opened
from engine.retention import prune
from engine.store.hidden import hide
from engine.store.records import Transaction
from engine.store.tables import CORE
from engine.types import LOCAL, Change, Outcome, Principal, Role

Make = Callable[..., Dispatcher]
BEN = Principal("test", "ben", "Ben")
FEW = Limits(at_once=5, snapshot=4)
"""So few that nearly everything is written ahead."""


class Count(BaseModel):
    planted: int = 0


class Tree(Row, table=True):
    """A node of a forest, below another; a root may be below itself."""

    __table_args__ = (
        ForeignKeyConstraint(["session_id", "above"], ["test_batches__tree.session_id", "test_batches__tree.id"]),
    )
    __tablename__ = "test_batches__tree"
    id: int = Field(primary_key=True)
    above: int | None = None
    kind: str = "oak"


class Nest(Row, table=True):
    """Something on a tree."""

    __table_args__ = (
        ForeignKeyConstraint(["session_id", "tree"], ["test_batches__tree.session_id", "test_batches__tree.id"]),
    )
    __tablename__ = "test_batches__nest"
    name: str = Field(primary_key=True)
    tree: int


class Forest(World, rows=[Nest, Tree]):
    """Trees that refer to each other."""

    data: Count

    @action
    def plant(self, ids: list[int], above: int | None = None) -> int:
        """Plant trees below one, a nest on each."""
        for id in ids:
            self.rows(Tree).add(id=id, above=above)
            self.rows(Nest).add(name=f"nest {id}", tree=id)
        self.data.planted += len(ids)
        return self.data.planted

    @resource(of=[Tree])
    def height(self) -> int:
        """How many trees there are."""
        return len(self.rows(Tree))

    @action
    def hang(self, id: int, above: int) -> None:
        """Put a tree below another."""
        tree = self.rows(Tree).find(id=id)
        assert tree is not None
        tree.above = above

    @action
    def paint(self, kind: str) -> None:
        """Make all trees of one kind."""
        for tree in self.rows(Tree):
            tree.kind = kind

    @action
    def clear(self) -> None:
        """Fell everything, the nests first."""
        for nest in self.rows(Nest):
            self.rows(Nest).remove(nest)
        trees = self.rows(Tree).where()
        for tree in trees:
            tree.above = None
        for tree in trees:
            self.rows(Tree).remove(tree)


TREES, SESSIONS = table_of(Tree), SQLModel.metadata.tables["session"]
Shown = dict[int, tuple[int | None, str]]


def act(dispatcher: Dispatcher, action: str, session: str | None = None, **arguments: Any) -> Outcome:
    return dispatcher.dispatch(
        Call(principal=LOCAL, world="forest", action=action, arguments=arguments, session=session)
    )


def shown(dispatcher: Dispatcher, session: str) -> Shown:
    return dispatcher.look(
        LOCAL, "forest", session, lambda world: {tree.id: (tree.above, tree.kind) for tree in world.rows(Tree)}
    )


def then(dispatcher: Dispatcher, session: str, revision: int) -> Shown:
    past, _ = dispatcher.past(LOCAL, session, revision)
    return {tree["id"]: (tree["above"], tree["kind"]) for tree in past.rows[TREES.name]}


def counts(dispatcher: Dispatcher) -> dict[str, int]:
    """How many rows there are in every table but those of people and of writers, whoever may see them."""
    names = (CORE | {TREES.name, table_of(Nest).name}) - {"person", "writer"}

    def counted(connection: Connection) -> dict[str, int]:
        tables = [SQLModel.metadata.tables[name] for name in names]
        found = {table.name: connection.scalar(select(func.count()).select_from(table)) for table in tables}
        return {name: number for name, number in found.items() if number}

    return dispatcher.store.read(lambda transaction: counted(transaction.db.connection()))


def hidden(dispatcher: Dispatcher) -> list[str]:
    """Why what is hidden is."""
    statement = select(SESSIONS.c.hidden).order_by("hidden")
    found = dispatcher.store.read(lambda tx: list(tx.db.connection().execute(statement).scalars()))
    return [why for why in found if why is not None]


def grown(dispatcher: Dispatcher) -> tuple[str, dict[int, Shown]]:
    """A session with a long history, some of it written ahead, and what it showed at each revision."""
    session = dispatcher.start(LOCAL, "forest").session
    seen = {1: shown(dispatcher, session)}
    steps: list[tuple[str, dict[str, Any]]] = [
        ("plant", {"ids": list(range(20, 30))}),
        ("hang", {"id": 20, "above": 29}),
        ("hang", {"id": 29, "above": 20}),
        ("plant", {"ids": list(range(10)), "above": 25}),
        ("hang", {"id": 5, "above": 5}),
        ("paint", {"kind": "fir"}),
        *[("undo", {})] * 3,
        ("redo", {}),
        ("plant", {"ids": [77]}),
        ("undo", {}),
        *[("redo", {})] * 1,
        ("paint", {"kind": "elm"}),
        ("undo", {}),
        ("redo", {}),
        ("undo", {}),
        ("plant", {"ids": [78], "above": 20}),
    ]
    for name, arguments in steps:
        outcome = act(dispatcher, name, session, **arguments)
        seen[outcome.revision] = shown(dispatcher, session)
    return session, seen


def test_what_refers_to_rows_is_indexed_so_that_deleting_those_is_quick() -> None:
    found = {table.name: [list(index.columns.keys()) for index in table.indexes] for table in (TREES, table_of(Nest))}
    assert found == {TREES.name: [["session_id", "above"]], table_of(Nest).name: [["session_id", "tree"]]}


# undo and redo


def test_large_undo_is_one_change_and_its_repetition_writes_nothing_more(dispatcher_of: Make) -> None:
    told: list[Change] = []
    dispatcher = dispatcher_of(Forest, limits=FEW, listeners=[told.append])
    session = act(dispatcher, "plant", ids=[1, 2, 3]).session
    assert act(dispatcher, "undo", session).revision == 3
    assert (told[-1].adopted, told[-1].rows, told[-1].undone) == (True, (), 2)
    assert (shown(dispatcher, session), hidden(dispatcher)) == ({}, ["rows"])
    for _ in range(3):
        act(dispatcher, "redo", session)
        assert len(shown(dispatcher, session)) == 3
        act(dispatcher, "undo", session)
        assert shown(dispatcher, session) == {}
    assert hidden(dispatcher) == ["rows"]


def test_large_undo_that_was_submitted_is_answered_before_a_process_ends(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session = act(dispatcher, "plant", ids=list(range(1, 200))).session
    answers: list[Answer] = []
    dispatcher.submit(Call(principal=LOCAL, world="forest", action="undo", session=session), answers.append)
    dispatcher.finish()
    assert [answer.error for answer in answers] == [None] and shown(dispatcher, session) == {}


def test_every_revision_is_read_as_it_was_across_row_sets(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, seen = grown(dispatcher)
    assert {revision: then(dispatcher, session, revision) for revision in seen} == seen
    assert hidden(dispatcher) == ["rows"] * 3


def test_a_far_past_is_read_from_the_snapshot_after_it(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=Limits(snapshot=4, at_once=5))
    session = act(dispatcher, "plant", ids=[1, 2]).session
    for number in range(3, 15):
        act(dispatcher, "paint", session, kind=f"kind {number}")
    assert counts(dispatcher)["snapshot"] == 2
    for handle in (session, dispatcher.fork(LOCAL, session).session):
        ids = select(SESSIONS.c.id, literal(99), literal("stray")).where(SESSIONS.c.handle == handle)
        with dispatcher.store.connection() as connection:
            connection.execute(TREES.insert().from_select(["session_id", "id", "kind"], ids))
        found = [then(dispatcher, handle, revision) for revision in range(2, 15)]
        assert [trees[2][1] for trees in found] == ["oak", *(f"kind {number}" for number in range(3, 15))]
        assert [99 in trees for trees in found] == [False] * 11 + [True] * 2


def test_the_snapshot_of_another_row_set_says_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=Limits(snapshot=4, at_once=5))
    session = act(dispatcher, "plant", ids=[1]).session
    seen = {2: shown(dispatcher, session)}
    steps: list[tuple[str, dict[str, Any]]] = [("plant", {"ids": [5, 6, 7, 8]}), ("undo", {})]
    for name, arguments in [*steps, *[("paint", {"kind": f"kind {number}"}) for number in range(9)]]:
        outcome = act(dispatcher, name, session, **arguments)
        seen[outcome.revision] = shown(dispatcher, session)
    assert counts(dispatcher)["snapshot"] == 3 and hidden(dispatcher) == ["rows"]
    assert {revision: then(dispatcher, session, revision) for revision in seen} == seen


def test_no_snapshot_is_kept_where_it_would_be_larger_than_the_changes_it_spares(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=Limits(snapshot=4))
    session = act(dispatcher, "plant", ids=list(range(9))).session
    for number in range(3, 12):
        act(dispatcher, "plant", session, ids=[number + 10])
    assert "snapshot" not in counts(dispatcher)
    act(dispatcher, "clear", session)
    assert counts(dispatcher)["snapshot"] == 1


def test_large_undo_starts_again_when_the_session_went_on(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session = act(dispatcher, "plant", ids=[1, 2, 3]).session
    tries: list[Ahead] = []

    def go_on(ahead: Ahead) -> str:
        tries.append(ahead)
        if len(tries) < ATTEMPTS:
            raise needed
        return "done"

    with dispatcher.store.snapshot() as transaction:
        record = transaction.session(session)
        assert record is not None
        needed = WriteAhead(entry_at(transaction, record, 2), record, back=True)
    assert written_ahead(dispatcher.store, Forest.definition, needed, go_on) == "done"

    def always(ahead: Ahead) -> str:
        raise needed

    with pytest.raises(Conflict, match="The session went on 3 times"):
        written_ahead(dispatcher.store, Forest.definition, needed, always)
    assert hidden(dispatcher) == []


# forks


@pytest.mark.parametrize("revision", [1, 2, 4, 6, 9, 10, 12, 17, 19])
def test_large_fork_is_the_session_as_it_was_and_goes_on_by_itself(dispatcher_of: Make, revision: int) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, seen = grown(dispatcher)
    fork = dispatcher.fork(LOCAL, session, revision).session
    assert {at: then(dispatcher, fork, at) for at in range(1, revision + 1)} == {
        at: seen[at] for at in range(1, revision + 1)
    }
    dispatcher.erase(LOCAL, session)
    assert shown(dispatcher, fork) == seen[revision]
    act(dispatcher, "clear", fork)
    act(dispatcher, "undo", fork)
    assert shown(dispatcher, fork) == seen[revision]
    with pytest.raises(Refused):
        for _ in range(revision + 1):
            act(dispatcher, "undo", fork)
    assert shown(dispatcher, fork) == {}


def test_large_fork_is_the_same_as_one_made_at_once(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, seen = grown(dispatcher)
    at_once = dispatcher_of(Forest)
    ahead, small = dispatcher.fork(LOCAL, session, 12), at_once.fork(LOCAL, session, 12)
    for fork in (ahead, small):
        assert shown(dispatcher, fork.session) == seen[12]
    assert dispatcher.history(LOCAL, ahead.session) == dispatcher.history(LOCAL, small.session)
    assert dispatcher.past(LOCAL, ahead.session)[0] == dispatcher.past(LOCAL, small.session)[0]


def test_rows_that_refer_to_later_ones_are_written_and_deleted_in_an_order_that_can_be(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session = dispatcher.start(LOCAL, "forest").session
    for last in range(300, 0, -60):
        act(dispatcher, "plant", session, ids=list(range(last - 59, last + 1)), above=last + 1 if last < 300 else None)
    act(dispatcher, "hang", session, id=300, above=1)  # through 61, 121, 181 and 241 back to 300
    fork = dispatcher.fork(LOCAL, session).session
    assert shown(dispatcher, fork) == shown(dispatcher, session)
    for handle in (session, fork):
        dispatcher.erase(LOCAL, handle)
    assert counts(dispatcher) == {}


def fork_of(dispatcher: Dispatcher, session: str, revision: int, by: Principal = LOCAL) -> Fork:
    """A request to fork a session as it is now."""
    with dispatcher.store.snapshot() as transaction:
        record = transaction.session(session)
        assert record is not None
    owner_id = dispatcher.store.write(lambda tx: tx.ensure_person(by))
    return Fork(
        origin=record,
        definition=Forest.definition,
        principal=by,
        owner_id=owner_id,
        revision=revision,
        key=None,
        request="",
    )


def test_large_fork_is_of_the_revision_asked_for_though_its_origin_goes_on(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, seen = grown(dispatcher)
    store, revision = dispatcher.store, len(seen)
    wanted = fork_of(dispatcher, session, revision)
    act(dispatcher, "paint", session, kind="ash")

    def gone_on(work: Callable[[Transaction], Outcome]) -> Outcome:
        act(dispatcher, "clear", session)
        return store.write(work)

    fork = fork_ahead(store, wanted, gone_on).session
    assert shown(dispatcher, fork) == seen[revision] and shown(dispatcher, session) == {}
    assert {at: then(dispatcher, fork, at) for at in seen} == seen


def test_large_fork_is_whole_though_the_past_of_its_origin_is_removed_meanwhile(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    store, (session, seen) = dispatcher.store, grown(dispatcher)
    revision = 8
    before = dispatcher.past(LOCAL, session, revision)[0]
    store.offset += timedelta(days=20)
    act(dispatcher, "plant", session, ids=[79])
    wanted = fork_of(dispatcher, session, revision)

    def pruned(work: Callable[[Transaction], Outcome]) -> Outcome:
        store.offset += timedelta(days=20)
        assert prune(store, timedelta(days=10)) == 1
        sweep(store, dispatcher.registry, store.now() - timedelta(days=30))
        with pytest.raises(Refused, match="was removed"):
            dispatcher.past(LOCAL, session, revision)
        return store.write(work)

    fork = fork_ahead(store, wanted, pruned).session
    assert dispatcher.past(LOCAL, fork)[0] == before and before.data == '{"planted":20}'
    assert {at: then(dispatcher, fork, at) for at in range(1, revision + 1)} == {
        at: seen[at] for at in range(1, revision + 1)
    }


@pytest.mark.parametrize("half", [True, False], ids=["half", "whole"])
def test_large_fork_of_what_is_erased_meanwhile_leaves_nothing(dispatcher_of: Make, half: bool) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    store, (session, _) = dispatcher.store, grown(dispatcher)
    wanted = fork_of(dispatcher, session, 8)

    def erased(work: Callable[[Transaction], Outcome]) -> Outcome:
        if half:
            store.write(lambda tx: hide(tx, wanted.origin.id))
        else:
            dispatcher.erase(LOCAL, session)
        return store.write(work)

    with pytest.raises(NotFound, match="There is no session"):
        fork_ahead(store, wanted, erased)
    assert dispatcher.sessions(LOCAL) == [] and "batch" not in hidden(dispatcher)
    assert sweep(store, dispatcher.registry, store.now()) == half
    assert counts(dispatcher) == {}


def test_large_fork_by_one_who_may_see_its_origin_no_longer_leaves_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    store, (session, _) = dispatcher.store, grown(dispatcher)
    wanted = fork_of(dispatcher, session, 8, by=BEN)
    before = counts(dispatcher)

    def withdrawn(work: Callable[[Transaction], Outcome]) -> Outcome:
        share(None)
        return store.write(work)

    def share(role: Role | None) -> None:
        person = store.write(lambda tx: tx.ensure_person(BEN))
        store.write(lambda tx: tx.share(wanted.origin.id, person, role))

    share(Role.VIEWER)
    with pytest.raises(NotFound, match="There is no session"):
        fork_ahead(store, wanted, withdrawn)
    assert dispatcher.sessions(BEN) == [] and counts(dispatcher) == before
    share(Role.VIEWER)
    assert fork_ahead(store, wanted, store.write).session in {record.handle for record, _ in dispatcher.sessions(BEN)}


def test_large_fork_is_not_of_another_session_under_the_same_name(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    store, (session, _), file = dispatcher.store, grown(dispatcher), tmp_path / "forest.db"
    dispatcher.export(LOCAL, session, file)
    wanted = fork_of(dispatcher, session, 8)

    def imported_again(work: Callable[[Transaction], Outcome]) -> Outcome:
        dispatcher.erase(LOCAL, session)
        assert dispatcher.import_file(LOCAL, file, same_handle=True).session == session
        return store.write(work)

    with pytest.raises(NotFound, match="was erased meanwhile"):
        fork_ahead(store, wanted, imported_again)
    assert [record.handle for record, _ in dispatcher.sessions(LOCAL)] == [session]


def test_retry_of_a_large_fork_finds_the_first(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, _ = grown(dispatcher)
    first = dispatcher.fork(LOCAL, session, 8, key="k")
    before = counts(dispatcher)
    assert dispatcher.fork(LOCAL, session, 8, key="k").session == first.session
    assert counts(dispatcher) == before


# erasing


def test_erased_session_is_gone_with_all_it_had(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, _ = grown(dispatcher)
    dispatcher.fork(LOCAL, session, 3, key="k")
    for record, _ in dispatcher.sessions(LOCAL):
        dispatcher.erase(LOCAL, record.handle)
    assert counts(dispatcher) == {}


def test_session_on_its_way_out_is_out_of_sight_and_swept(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session, _ = grown(dispatcher)
    main = dispatcher.main(LOCAL, "forest")

    def hidden_now(transaction: Transaction) -> None:
        for handle in (session, main):
            record = transaction.session(handle)
            assert record is not None
            hide(transaction, record.id)

    dispatcher.store.write(hidden_now)
    assert dispatcher.sessions(LOCAL) == []
    with pytest.raises(NotFound):
        dispatcher.now(LOCAL, session)
    assert dispatcher.main(LOCAL, "forest") != main
    assert sweep(dispatcher.store, dispatcher.registry, dispatcher.store.now() - timedelta(hours=1)) == 2
    assert counts(dispatcher) == {"session": 1, "journal": 1}


def test_deletion_that_comes_late_spares_a_new_session_of_the_same_id(dispatcher_of: Make) -> None:
    """SQLite gives the highest id again once its row is gone, and several processes sweep."""
    dispatcher = dispatcher_of(Forest, limits=FEW)
    store = dispatcher.store

    def planted() -> tuple[str, int]:
        session = act(dispatcher, "plant", dispatcher.start(LOCAL, "forest").session, ids=list(range(9))).session
        return session, fork_of(dispatcher, session, 1).origin.id

    session, erased = planted()
    dispatcher.erase(LOCAL, session)
    session, id = planted()
    assert id == erased or not store.url.startswith("sqlite")
    before = counts(dispatcher)
    delete(store, Forest.definition, id)
    assert counts(dispatcher) == before and len(shown(dispatcher, session)) == 9


# batches themselves


def trees(batch: Batch, number: int) -> Iterator[Piece]:
    return placed_pieces(
        [(TREES, {"id": id, "above": None, "kind": "oak"}) for id in range(number)], batch.id, circle=False
    )


def person(dispatcher: Dispatcher) -> int:
    return dispatcher.store.write(lambda transaction: transaction.ensure_person(LOCAL))


def test_others_act_while_a_batch_is_being_written(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest)
    other = dispatcher.start(LOCAL, "forest").session
    with begun(dispatcher.store, Forest.definition, person(dispatcher)) as batch:

        def pieces() -> Iterator[Piece]:
            for number, piece in enumerate(trees(batch, 2000)):
                act(dispatcher, "plant", other, ids=[number])
                yield piece

        batch.put(pieces())
        assert len(shown(dispatcher, other)) == 2000 / 50
        assert [record.handle for record, _ in dispatcher.sessions(LOCAL)] == [other]
    assert len(shown(dispatcher, other)) == 2000 / 50 and hidden(dispatcher) == []


def test_a_batch_is_adopted_by_one_change_and_taken_back_by_one_undo(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest)
    session = act(dispatcher, "plant", ids=[500]).session
    with begun(dispatcher.store, Forest.definition, person(dispatcher)) as batch:
        batch.put(trees(batch, 100))

        def adopted(transaction: Transaction) -> Change:
            record = transaction.session(session)
            assert record is not None
            opened = Opened(transaction, Forest.definition, record, LOCAL, {}, None)
            done = Done(
                value=None,
                content=(),
                state=record.state,
                data=record.data,
                adopted=batch.id,
                undo_top=record.revision + 1,
                below=record.undo_top,
            )
            return write(opened, done, "import", "{}", record.owner_id, None)

        assert dispatcher.store.write(adopted).adopted
    assert len(shown(dispatcher, session)) == 100 and hidden(dispatcher) == ["rows"]
    act(dispatcher, "plant", session, ids=[100])
    assert [len(then(dispatcher, session, at)) for at in (1, 2, 3, 4)] == [0, 1, 100, 101]
    act(dispatcher, "undo", session)
    act(dispatcher, "undo", session)
    assert list(shown(dispatcher, session)) == [500]
    act(dispatcher, "redo", session)
    assert len(shown(dispatcher, session)) == 100
    fork = dispatcher.fork(LOCAL, session).session
    assert [len(then(dispatcher, fork, at)) for at in range(1, 8)] == [0, 1, 100, 101, 100, 1, 100]


def test_batch_that_fails_leaves_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest)
    with pytest.raises(ZeroDivisionError), begun(dispatcher.store, Forest.definition, person(dispatcher)) as batch:
        batch.row_set()
        batch.put(trees(batch, 2000))
        raise ZeroDivisionError
    assert counts(dispatcher) == {}


def test_abandoned_batch_is_swept_and_one_being_written_is_not(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest)
    store = dispatcher.store
    with begun(store, Forest.definition, person(dispatcher)) as batch:
        batch.put(trees(batch, 100))
        assert sweep(store, dispatcher.registry, store.now() - timedelta(minutes=5)) == 0
        store.offset = timedelta(minutes=6)
        batch.put(trees(batch, 0))
        batch.write(lambda transaction: None)
        assert sweep(store, dispatcher.registry, store.now() - timedelta(minutes=5)) == 0
        store.offset = timedelta(minutes=12)
        assert sweep(store, dispatcher.registry, store.now() - timedelta(minutes=5)) == 1
        assert counts(dispatcher) == {}
        with pytest.raises(Conflict, match="took too long and was swept"):
            batch.put(trees(batch, 100))
    assert counts(dispatcher) == {}


def test_row_set_that_no_kept_revision_shows_is_swept(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Forest, limits=FEW)
    session = act(dispatcher, "plant", ids=[1, 2, 3]).session
    for name in ("undo", "redo", "hang"):
        act(dispatcher, name, session, **({"id": 1, "above": 2} if name == "hang" else {}))
    store, registry = dispatcher.store, dispatcher.registry
    assert sweep(store, registry, store.now()) == 0 and hidden(dispatcher) == ["rows"]
    with store.connection() as connection:  # as if the past before revision 5 were kept no longer
        journal = SQLModel.metadata.tables["journal"]
        connection.execute(journal.update().where(journal.c.revision < 5).values(adopted=None))
    assert sweep(store, registry, store.now()) == 1 and hidden(dispatcher) == []
    assert shown(dispatcher, session) == {1: (2, "oak"), 2: (None, "oak"), 3: (None, "oak")}


KILLED = """
import sys, time
from engine.batches import begun
from engine.application import open_store
from engine.settings import Settings
from tests.engine.test_batches import Forest, trees
def pieces(batch):
    yield from trees(batch, 3000)
    print("written", flush=True)
    sys.stdin.read()
with begun(open_store(Settings(database_url=sys.argv[1])), Forest.definition, 1) as batch:
    batch.row_set()
    batch.put(pieces(batch))
"""


def test_process_killed_in_the_middle_leaves_nothing_that_can_be_seen(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher = dispatcher_of(Forest)
    act(dispatcher, "plant", ids=[1])
    before = counts(dispatcher)
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, dispatcher.store.url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        child.kill()
    assert len(dispatcher.sessions(LOCAL)) == 1 and hidden(dispatcher) == ["batch", "rows"]
    assert counts(dispatcher)[TREES.name] > 1000
    dispatcher.store.offset = timedelta(hours=1)
    assert sweep(dispatcher.store, dispatcher.registry, dispatcher.store.now() - timedelta(minutes=5)) == 1
    assert counts(dispatcher) == before
