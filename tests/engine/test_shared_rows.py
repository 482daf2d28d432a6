"""Rows that all sessions of a world share: read, locked, journaled, given back, and not copied."""

import threading
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from types import new_class
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import JSON, Column
from sqlmodel import CheckConstraint, Field

from engine import Change, Refused, Row, SharedRow, World, action, on_enter, on_exit, resource
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError, InvalidArguments
from engine.operations import Call
from engine.registry import Registry
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import LOCAL, Outcome, Principal, RowChange

BEN = Principal("test", "ben")


class Bed(SharedRow, table=True):
    """A bed of a guest house."""

    __public__ = True
    __table_args__ = (CheckConstraint("free >= 0", name="free"),)
    room: int = Field(primary_key=True)
    free: int = Field(ge=-5)
    notes: list[str] = Field(default_factory=list, sa_column=Column(JSON))


class Night(Row, table=True):
    """A bed that a guest has."""

    room: int = Field(primary_key=True)
    beds: int


class Guest(BaseModel):
    name: str = "nobody"


def beds() -> Iterable[Bed]:
    yield Bed(room=1, free=2)
    yield Bed(room=2, free=4, notes=["view"])


def has_room(stay: "Stay") -> str | None:
    return None if stay.shared(Bed).where(Bed.free > 0) else "The house is full."


class Stay(World, rows=[Night], shared=[Bed], seed=beds, on_copy="move_out"):
    """One guest's stay."""

    data: Guest

    @action
    def do(self, what: str) -> None:
        """Run one of this module's functions on the stay."""
        STEPS[what](self)

    @action(guards=[has_room], compensate="leave")
    def take(self, room: int, beds: int = 1) -> int:
        """Take beds. Returns how many are left."""
        bed = self.shared(Bed).lock(room=room)
        if bed is None or bed.free < beds:
            raise Refused("taken", "There are not so many.")
        bed.free -= beds
        self.rows(Night).add(room=room, beds=beds)
        return bed.free

    @action(compensate="misbehave")
    def grab(self, room: int) -> None:
        """Take a bed, badly."""
        for bed in self.shared(Bed).lock_all(room=room):
            bed.free -= 1

    @action(undo=False)
    def burn(self) -> None:
        """Burn a bed."""
        for bed in self.shared(Bed).lock_all():
            self.shared(Bed).remove(bed)

    @action(read_only=True)
    def free(self) -> dict[int, int]:
        """What is free, by room."""
        return {bed.room: bed.free for bed in self.shared(Bed)}

    @resource(of=(Bed,))
    def house(self) -> dict[int, int]:
        """What is free, by room."""
        return self.free()

    @resource(of=(Night,))
    def nights(self) -> int:
        """How many nights."""
        return len(self.rows(Night))

    def leave(self, change: Change) -> None:
        for shared in change.shared:
            if shared.before and shared.after and (bed := self.shared(Bed).lock(room=shared.after["room"])):
                bed.free += shared.before["free"] - shared.after["free"]

    def misbehave(self, change: Change) -> None:
        self.rows(Night).add(room=9, beds=change.revision)

    def move_out(self) -> None:
        for night in self.rows(Night):
            self.rows(Night).remove(night)


BEDS = str(Bed.__tablename__)
STEPS: dict[str, Callable[[Stay], Any]] = {}


@pytest.fixture
def house(dispatcher_of: Callable[..., Dispatcher]) -> Dispatcher:
    return dispatcher_of(Stay)


def act(dispatcher: Dispatcher, name: str, by: Principal = LOCAL, session: str | None = None, **given: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=by, world="stay", action=name, arguments=given, session=session))


def do(dispatcher: Dispatcher, step: Callable[[Stay], Any]) -> Outcome:
    STEPS["step"] = step
    return act(dispatcher, "do", what="step")


def free(dispatcher: Dispatcher) -> dict[str, int]:
    found: dict[str, int] = act(dispatcher, "free").value
    return found


def nights(dispatcher: Dispatcher, session: str | None = None) -> list[int]:
    return dispatcher.look(LOCAL, "stay", session, lambda stay: [night.room for night in stay.rows(Night)])


def change_of(outcome: Outcome) -> Change:
    assert outcome.change is not None
    return outcome.change


def claims(dispatcher: Dispatcher, handle: str) -> int:
    """How many entries of a session's journal have images of shared rows."""

    def work(transaction: Transaction) -> int:
        record = transaction.session(handle)
        assert record is not None
        return sum(entry.shared is not None for entry in transaction.entries(record.id))

    return dispatcher.store.read(work)


# reading and changing


def test_the_first_rows_come_with_the_table_and_only_then(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Stay)
    assert free(dispatcher) == {"1": 2, "2": 4}
    act(dispatcher, "burn")
    assert free(dispatcher_of(Stay)) == {}


def test_sessions_see_each_others_changes_of_shared_rows(house: Dispatcher) -> None:
    assert act(house, "take", room=2, beds=3).value == 1
    assert act(house, "take", by=BEN, room=2).value == 0
    assert free(house) == {"1": 2, "2": 0}
    assert nights(house) == [2]


def test_shared_rows_are_found_by_condition_value_key_and_number(house: Dispatcher) -> None:
    def look(stay: Stay) -> None:
        shared = stay.shared(Bed)
        assert [bed.room for bed in shared] == [1, 2] and len(shared) == 2 and shared
        assert [bed.room for bed in shared.where(Bed.free > 2)] == [bed.room for bed in shared.where(free=4)] == [2]
        assert [bed.room for bed in shared.where(order_by=Bed.free.desc())] == [2, 1]  # type: ignore[attr-defined]
        assert shared.count(Bed.free > 2) == 1 and shared.count(room=7) == 0
        found = shared.find(room=1)
        assert found is not None and found.free == 2 and shared.find(room=7) is None and shared.lock(room=7) is None

    do(house, look)


def test_the_journal_has_the_images_of_shared_rows(house: Dispatcher) -> None:
    change = change_of(act(house, "take", room=1))
    before = {"room": 1, "free": 2, "notes": []}
    assert change.shared == (RowChange(BEDS, before, {**before, "free": 1}),)
    assert [row.table for row in change.rows] == [Night.__tablename__]


def test_a_shared_row_read_without_lock_cannot_be_changed(house: Dispatcher) -> None:
    def change(stay: Stay) -> None:
        for bed in stay.shared(Bed):
            bed.free = 0

    def change_inside(stay: Stay) -> None:
        found = stay.shared(Bed).find(room=2)
        assert found is not None
        found.notes.append("cheap")

    for step in (change, change_inside):
        with pytest.raises(
            TypeError, match=r"that the journal does not know; take .* a shared one by shared\(…\)\.lock"
        ):
            do(house, step)
    with pytest.raises(TypeError, match="is not locked"):
        do(house, lambda stay: stay.shared(Bed).remove(stay.shared(Bed).where()[0]))
    assert free(house) == {"1": 2, "2": 4}


def test_a_locked_row_may_be_changed_also_inside_and_was_read_before(house: Dispatcher) -> None:
    def change(stay: Stay) -> None:
        assert stay.shared(Bed).find(room=2)
        bed = stay.shared(Bed).lock(room=2)
        assert bed is not None
        bed.notes.append("cheap")
        assert [again.notes for again in stay.shared(Bed).lock_all(room=2)] == [["view", "cheap"]]
        bed.free = 3

    change_of(do(house, change))
    assert house.look(LOCAL, "stay", None, lambda stay: [bed.notes for bed in stay.shared(Bed)]) == [
        [],
        ["view", "cheap"],
    ]
    assert free(house) == {"1": 2, "2": 3}


def test_shared_rows_are_added_and_removed(house: Dispatcher) -> None:
    added = change_of(do(house, lambda stay: stay.shared(Bed).add(room=3, free=1)))
    assert [(row.before, row.after) for row in added.shared] == [(None, {"room": 3, "free": 1, "notes": []})]
    with pytest.raises(Refused, match="There is a Bed"):
        do(house, lambda stay: stay.shared(Bed).add(room=3, free=1))
    with pytest.raises(InvalidArguments, match=r"Bed\.free"):
        do(house, lambda stay: stay.shared(Bed).add(room=4, free=-9))

    def remove(stay: Stay) -> None:
        for bed in stay.shared(Bed).lock_all(room=3):
            stay.shared(Bed).remove(bed)

    removed = change_of(do(house, remove))
    assert [row.after for row in removed.shared] == [None] and free(house) == {"1": 2, "2": 4}


def test_what_breaks_a_rule_of_the_table_is_refused(house: Dispatcher) -> None:
    act(house, "grab", room=1)
    act(house, "grab", room=1)
    with pytest.raises(Refused) as refused:
        act(house, "grab", room=1)
    assert (refused.value.rule, free(house)["1"]) == ("constraint", 0)


def test_guards_and_read_only_actions_read_shared_rows_and_do_not_write(house: Dispatcher) -> None:
    act(house, "take", room=1, beds=2)
    act(house, "take", by=BEN, room=2, beds=4)
    assert "take" not in act(house, "free").allowed_actions
    with pytest.raises(Refused, match="The house is full"):
        act(house, "take", room=1)
    with pytest.raises(TypeError, match="only read"):
        house.look(LOCAL, "stay", None, lambda stay: stay.shared(Bed).lock(room=1))
    with pytest.raises(TypeError, match="only read"):
        house.look(LOCAL, "stay", None, lambda stay: stay.shared(Bed).add(room=5, free=1))


def test_a_key_that_does_not_fit_and_a_table_of_another_world_are_errors(house: Dispatcher) -> None:
    with pytest.raises(TypeError, match=r"lock\(Bed\) takes the key room, received name"):
        do(house, lambda stay: stay.shared(Bed).lock(name=1))
    with pytest.raises(TypeError, match="no shared table of stay"):
        do(house, lambda stay: stay.shared(SharedRow))


def test_a_change_of_nothing_cannot_hide_a_change_of_shared_rows(house: Dispatcher) -> None:
    def hide(stay: Stay) -> None:
        for bed in stay.shared(Bed).lock_all():
            bed.free = 0
        stay.unchanged()

    with pytest.raises(TypeError, match="but it changed something"):
        do(house, hide)


def test_a_change_of_shared_rows_concerns_the_resources_made_of_them(house: Dispatcher) -> None:
    change = change_of(act(house, "grab", room=1))
    tables = frozenset(row.table for row in (*change.rows, *change.shared))
    resources = house.registry.worlds[change.world].resources
    assert {name for name, resource in resources.items() if resource.touched_by(tables)} == {"house"}


def test_many_take_from_few_and_none_is_taken_twice(house: Dispatcher) -> None:
    act(house, "take", room=1)
    got, refused = list[int](), list[str]()
    barrier = threading.Barrier(8)

    def guest(number: int) -> None:
        barrier.wait()
        try:
            got.append(act(house, "take", by=Principal("test", str(number)), room=2).value)
        except Refused as refusal:
            refused.append(refusal.rule)

    threads = [threading.Thread(target=guest, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(got), refused, free(house)) == ([0, 1, 2, 3], ["taken"] * 4, {"1": 1, "2": 0})


def test_rows_locked_in_any_order_by_many_end_in_no_deadlock(house: Dispatcher) -> None:
    def both(stay: Stay) -> None:
        first, second = (
            stay.shared(Bed).lock(room=room) for room in ((1, 2) if stay.random.random() < 0.5 else (2, 1))
        )
        assert first is not None and second is not None
        first.notes = [*first.notes, "made"]
        second.notes = [*second.notes, "made"]

    STEPS["both"] = both
    threads = [
        threading.Thread(target=lambda by=by: [act(house, "do", by=by, what="both") for _ in range(4)])
        for by in (Principal("test", str(number)) for number in range(3))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = house.look(LOCAL, "stay", None, lambda stay: [bed.notes.count("made") for bed in stay.shared(Bed)])
    assert made == [12, 12]


# taking back


def test_undo_gives_back_what_was_taken_as_things_are_now(house: Dispatcher) -> None:
    act(house, "take", room=2, beds=2)
    act(house, "take", by=BEN, room=2)
    undone = change_of(act(house, "undo"))
    assert (free(house)["2"], nights(house)) == (3, [])
    assert [(row.before["free"], row.after["free"]) for row in undone.shared if row.before and row.after] == [(1, 3)]


def test_redo_of_a_claim_is_refused_and_the_action_can_be_called_again(house: Dispatcher) -> None:
    act(house, "take", room=2)
    act(house, "undo")
    with pytest.raises(Refused, match="decided anew") as refused:
        act(house, "redo")
    assert refused.value.rule == "touches_shared" and "Call take again" in str(refused.value)
    act(house, "take", room=2)
    assert (free(house)["2"], nights(house)) == (3, [2])


def test_undo_of_a_claim_without_compensation_is_refused_by_name(house: Dispatcher) -> None:
    do(house, lambda stay: stay.shared(Bed).add(room=3, free=1))
    revision = act(house, "free").revision
    with pytest.raises(Refused, match=f"do at revision 2 changed what all sessions share \\({BEDS}\\)") as refused:
        act(house, "undo")
    assert refused.value.rule == "touches_shared" and act(house, "free").revision == revision


def test_undo_of_what_cannot_be_undone_stays_refused_as_such(house: Dispatcher) -> None:
    act(house, "burn")
    with pytest.raises(Refused) as refused:
        act(house, "undo")
    assert refused.value.rule == "cannot_undo"


def test_a_compensation_that_changes_the_session_is_an_error_and_changes_nothing(house: Dispatcher) -> None:
    act(house, "grab", room=1)
    with pytest.raises(TypeError, match="changes shared rows only"):
        act(house, "undo")
    assert (free(house)["1"], nights(house)) == (1, [])


def test_an_undone_claim_and_what_came_before_can_be_undone_and_redone(house: Dispatcher) -> None:
    do(house, lambda stay: setattr(stay.data, "name", "Ann"))
    act(house, "take", room=2)
    act(house, "undo")
    act(house, "undo")
    act(house, "redo")
    assert house.look(LOCAL, "stay", None, lambda stay: stay.data.name) == "Ann"
    with pytest.raises(Refused, match="decided anew"):
        act(house, "redo")


# copies


def test_a_fork_begins_with_on_copy_as_a_change_of_its_own(house: Dispatcher) -> None:
    session = act(house, "take", room=2).session
    fork = house.fork(LOCAL, session)
    assert (fork.revision, nights(house, fork.session), nights(house)) == (3, [], [2])
    assert change_of(fork).action == "on_copy" and free(house)["2"] == 3
    with pytest.raises(Refused) as refused:
        act(house, "undo", session=fork.session)
    assert refused.value.rule == "nothing_to_undo"
    act(house, "take", session=fork.session, room=2)
    act(house, "undo", session=fork.session)
    assert (free(house)["2"], nights(house, house.fork(LOCAL, fork.session, 3).session)) == (3, [])


def test_a_fork_that_on_copy_leaves_alone_has_no_change_more(house: Dispatcher) -> None:
    session = act(house, "take", room=2).session
    fork = house.fork(LOCAL, session, 1)
    assert fork.revision == 1 and fork.change is None


def test_a_fork_has_none_of_the_claims_so_undoing_one_gives_nothing_back(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    class Plain(Stay, name="stay", rows=[Night], shared=[Bed], seed=beds):
        """A stay whose copies keep their nights."""

    dispatcher = dispatcher_of(Plain)
    fork = dispatcher.fork(LOCAL, act(dispatcher, "take", room=2).session).session
    assert nights(dispatcher, fork) == [2]
    act(dispatcher, "undo", session=fork)
    assert (nights(dispatcher, fork), nights(dispatcher), free(dispatcher)["2"]) == ([], [2], 3)
    assert (claims(dispatcher, dispatcher.main(LOCAL, "stay")), claims(dispatcher, fork)) == (1, 0)


class Key(StrEnum):
    OUT = "out"
    IN = "in"


class Lodger(World, name="stay", states=Key, start=Key.OUT, rows=[Night], shared=[Bed], seed=beds, on_copy="stay_out"):
    """A guest who has a bed as long as the state says so."""

    @action(source=Key.OUT, target=Key.IN)
    def go_in(self) -> None: ...

    @action(source=Key.IN, target=Key.OUT)
    def go_out(self) -> None: ...

    @on_enter(Key.IN)
    def have(self) -> None:
        for bed in self.shared(Bed).lock_all(room=1):
            bed.free -= 1

    @on_exit(Key.IN)
    def give_back(self) -> None:
        for bed in self.shared(Bed).lock_all(room=1):
            bed.free += 1

    def stay_out(self) -> None:
        self.enter(Key.OUT)


def test_a_copy_releases_nothing_on_leaving_a_state_that_it_never_entered(
    dispatcher_of: Callable[..., Dispatcher], tmp_path: Path
) -> None:
    inn = dispatcher_of(Lodger)
    session = act(inn, "go_in").session

    def left() -> int:
        found: int = inn.look(LOCAL, "stay", None, lambda stay: next(bed.free for bed in stay.shared(Bed)))
        return found

    fork = inn.fork(LOCAL, session)
    assert (fork.state, change_of(fork).action, change_of(fork).shared, left()) == ("out", "on_copy", (), 1)
    inn.export(LOCAL, session, tmp_path / "stay.db")
    assert (inn.import_file(LOCAL, tmp_path / "stay.db").state, left()) == ("out", 1)
    act(inn, "go_in", session=fork.session)
    assert left() == 0
    act(inn, "go_out", session=fork.session)
    assert left() == 1


def test_listeners_hear_of_what_a_fork_begins_with(dispatcher_of: Callable[..., Dispatcher]) -> None:
    heard: list[Change] = []
    dispatcher = dispatcher_of(Stay, listeners=[heard.append])
    fork = dispatcher.fork(LOCAL, act(dispatcher, "take", room=2).session)
    assert (heard[-1].session, heard[-1].action, heard[-1].revision) == (fork.session, "on_copy", 3)


def test_an_imported_session_claims_nothing_and_begins_as_a_fork_does(house: Dispatcher, tmp_path: Path) -> None:
    session = act(house, "take", room=2).session
    house.export(LOCAL, session, tmp_path / "stay.db")
    came = house.import_file(LOCAL, tmp_path / "stay.db")
    assert (came.revision, change_of(came).action, nights(house, came.session)) == (3, "on_copy", [])
    assert (claims(house, session), claims(house, came.session), free(house)["2"]) == (1, 0, 3)
    with pytest.raises(Refused, match="may hold what all sessions share") as refused:
        house.import_file(LOCAL, tmp_path / "stay.db", same_handle=True)
    assert refused.value.rule == "touches_shared" and nights(house) == [2]


# declaring


def declared(rows: Any = None, **options: Any) -> type[World]:
    return new_class("Declared", (World,), {"shared": rows or [Bed], **options})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rows": [Night]}, "names .*Night.*, which is no SharedRow class"),
        ({"rows": [SharedRow]}, "SharedRow is not a table"),
        ({"seed": "beds"}, "seed='beds' is no function"),
        ({"seed": lambda more: ()}, "seed takes more"),
        ({"on_copy": "nowhere"}, "on_copy='nowhere' is no method"),
        ({"on_copy": lambda stay, more: None}, "on_copy takes more"),
    ],
)
def test_a_wrong_declaration_of_shared_rows_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        declared(**options)


def test_a_seed_needs_a_shared_table() -> None:
    with pytest.raises(DefinitionError, match="no shared table to fill"):
        new_class("Bare", (World,), {"seed": beds})


def test_shared_tables_have_no_session_and_lead_nowhere_else() -> None:
    class Owned(SharedRow, table=True):
        id: int = Field(primary_key=True)
        session_id: int

    class Led(SharedRow, table=True):
        id: int = Field(primary_key=True, foreign_key="session.id")

    class Falling(SharedRow, table=True):
        id: int = Field(primary_key=True, foreign_key=f"{BEDS}.room", ondelete="CASCADE")

    for row, problem in ((Owned, "has a column session_id"), (Led, "leads out of the shared tables")):
        with pytest.raises(DefinitionError, match=problem):
            declared([row])
    with pytest.raises(DefinitionError, match="past the journal"):
        declared([Bed, Falling])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"compensate": "nowhere"}, "compensate='nowhere' is no method"),
        ({"compensate": lambda stay: None}, "takes the world and the change"),
        ({"compensate": lambda stay, change: None, "undo": False}, "is never undone"),
        ({"compensate": lambda stay, change: None, "read_only": True}, "is never undone"),
    ],
)
def test_a_compensation_that_cannot_be_is_refused(options: dict[str, Any], problem: str) -> None:
    def step(self: World) -> None:
        """Do."""

    with pytest.raises(DefinitionError, match=problem):
        new_class("Acting", (World,), {}, lambda body: body.update(step=action(**options)(step)))


def test_two_worlds_cannot_have_one_shared_table() -> None:
    class Hostel(World, rows=[], shared=[Bed]):
        """Another."""

    with pytest.raises(DefinitionError, match=f"The table {BEDS}"):
        Registry([Stay, Hostel])


def test_a_seed_that_cannot_be_is_refused_with_the_reason(
    dispatcher_of: Callable[..., Dispatcher], store_of: Callable[..., Store]
) -> None:
    class Wrong(World, name="stay", shared=[Bed], seed=lambda: [Bed(room=1, free=-7)]):
        """A house with a wrong bed."""

    class Strange(World, name="stay", shared=[Bed], seed=lambda: [Night(room=1, beds=1)]):  # type: ignore[list-item]
        """A house with a night."""

    with pytest.raises(DefinitionError, match=r"a row that cannot be: Bed\.free"):
        dispatcher_of(Wrong)
    with pytest.raises(DefinitionError, match="which is no SharedRow"):
        dispatcher_of(Strange)
    assert free(dispatcher_of(Stay)) == {"1": 2, "2": 4}
