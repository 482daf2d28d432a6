"""Worlds whose states hold others: what their sessions do, keep, refuse and say, on both databases."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from types import new_class
from typing import Any, cast

import pytest
from pydantic import BaseModel
from sqlmodel import Field

from engine import (
    Compound,
    Final,
    History,
    No,
    Parallel,
    Row,
    World,
    action,
    done,
    on_enter,
    on_exit,
    transition,
    upgrade,
)
from engine.dispatch import Call, Dispatcher
from engine.errors import DefinitionError, Refused
from engine.migrate import upgrade as upgrade_tables
from engine.registry import Registry
from engine.soundness.paths import shortest
from engine.statechart import Endless
from engine.states import States
from engine.types import LOCAL, Change, Outcome

Make = Callable[..., Dispatcher]


class State(StrEnum):
    DAY = "day"
    AWAKE = "awake"
    WORK = "work"
    DESK = "desk"
    BREAK = "break"
    BACK = "back"
    MOOD = "mood"
    FRESH = "fresh"
    TIRED = "tired"
    ASLEEP = "asleep"
    OVER = "over"


class Diary(BaseModel):
    said: list[str] = []
    coffee: int = 2
    bored: bool = False


class Page(Row, table=True):
    """What was written at the desk."""

    number: int = Field(primary_key=True)


def has_coffee(worker: "Worker") -> No | None:
    return None if worker.data.coffee else No("The coffee is out.", hint="Ask for more.")


def is_bored(worker: "Worker") -> str | None:
    return None if worker.data.bored else "not bored"


STATES: list[States] = [
    Parallel(
        State.DAY,
        Compound(State.AWAKE, Compound(State.WORK, State.DESK, State.BREAK, History(State.BACK, default=State.DESK))),
        Compound(State.MOOD, State.FRESH, State.TIRED),
    ),
    State.ASLEEP,
    Final(State.OVER),
]


class Worker(
    World,
    name="worker",
    states=STATES,
    rows=[Page],
):
    """Somebody's day."""

    data: Diary

    @action(source=State.DESK)
    def write(self) -> int:
        """Write a page."""
        self.data.said.append(f"write in {self.state}")
        self.rows(Page).add(number=len(self.rows(Page)) + 1)
        self.raise_event("strain")
        return len(self.rows(Page))

    @action(source=State.WORK, target=State.BREAK, guards=[has_coffee])
    def pause(self) -> None:
        """Have a coffee."""
        self.data.coffee -= 1

    @action(source=[State.BREAK, State.TIRED], target=[State.DESK, State.FRESH])
    def refresh(self, wholly: bool = True) -> None:
        """Go back to the desk, fresh."""
        self.enter(*((State.DESK, State.FRESH) if wholly else (State.DESK,)))

    @action(source=State.DAY, target=State.ASLEEP)
    def sleep(self) -> None:
        """Fall asleep."""
        self.data.said.append("sleep")

    @action(source=State.ASLEEP, target=State.BACK)
    def wake(self) -> None:
        """Wake up where the day was left."""

    @action(source=State.ASLEEP, target=State.OVER)
    def retire(self) -> None:
        """Never wake up to work again."""

    @action(source=State.DAY)
    def yawn(self, aloud: bool = False) -> None:
        """Yawn."""
        self.data.bored = True
        if aloud:
            self.raise_event("noise")

    @transition(source=State.FRESH, target=State.TIRED, on="strain")
    def tire(self) -> None:
        self.data.said.append(f"tire, fresh: {self.is_in(State.FRESH)}, at the desk: {self.is_in(State.DESK)}")

    @transition(source=State.DESK, target=State.BREAK, guards=[is_bored])
    def wander_off(self) -> None:
        self.data.bored = False
        self.data.said.append("wander off")

    @transition(source=State.DAY, on="noise")
    def be_told_off(self) -> None:
        raise Refused("quiet", "Yawn quietly, please.")

    @on_exit(State.DESK, State.WORK, State.DAY)
    def leave(self) -> None:
        self.data.said.append(f"leave, {self.state}")

    @on_enter(State.ASLEEP)
    def dream(self) -> None:
        if len(self.rows(Page)) > 1:
            raise RuntimeError("a nightmare")
        self.data.said.append("dream")


@pytest.fixture
def office(dispatcher_of: Make) -> Dispatcher:
    return dispatcher_of(Worker)


def act(dispatcher: Dispatcher, name: str, session: str | None = None, **given: Any) -> Outcome:
    return dispatcher.dispatch(Call(principal=LOCAL, world="worker", action=name, arguments=given, session=session))


def said(dispatcher: Dispatcher) -> list[str]:
    found: list[str] = dispatcher.look(LOCAL, "worker", None, lambda worker: worker.data.said)
    return found


def test_action_of_one_region_leaves_the_other_as_it_is(office: Dispatcher) -> None:
    assert act(office, "pause").state == "break + fresh"


def test_regions_hear_what_an_action_raises(office: Dispatcher) -> None:
    assert act(office, "write").state == "desk + tired"
    assert said(office) == ["write in day", "tire, fresh: False, at the desk: True"]


def test_action_chooses_a_target_for_each_region(office: Dispatcher) -> None:
    act(office, "write")
    act(office, "pause")
    assert act(office, "refresh").state == "desk + fresh"
    act(office, "write")
    act(office, "pause")
    assert act(office, "refresh", wholly=False).state == "desk + tired"


def test_states_are_left_from_the_inside_out_after_the_method(office: Dispatcher) -> None:
    act(office, "sleep")
    assert said(office) == ["sleep", "leave, desk", "leave, work", "leave, day", "dream"]


def test_transition_without_event_is_taken_as_soon_as_its_guards_allow(office: Dispatcher) -> None:
    assert act(office, "yawn").state == "break + fresh"
    assert said(office) == ["leave, day", "wander off"]


def test_history_is_kept_through_restart_undo_and_fork(office: Dispatcher, dispatcher_of: Make) -> None:
    act(office, "pause")
    session = act(office, "sleep").session
    fork = office.fork(LOCAL, session)
    again = dispatcher_of(Worker)
    assert act(again, "wake").state == "break + fresh"
    assert act(again, "undo").state == "asleep"
    assert act(again, "wake").state == "break + fresh"
    assert act(again, "wake", session=fork.session).state == "break + fresh"


def test_history_is_kept_in_a_file(office: Dispatcher, dispatcher_of: Make, tmp_path: Path) -> None:
    act(office, "pause")
    session = act(office, "sleep").session
    office.export(LOCAL, session, tmp_path / "day.session")
    other = dispatcher_of(Worker, file="other.db")
    found = other.import_file(LOCAL, tmp_path / "day.session")
    assert found.state == "asleep" and act(other, "wake", session=found.session).state == "break + fresh"


@pytest.mark.parametrize(("name", "given"), [("yawn", {"aloud": True}), ("sleep", {})])
def test_what_a_transition_or_an_entry_raises_undoes_the_whole(
    office: Dispatcher, name: str, given: dict[str, Any]
) -> None:
    act(office, "write")
    session = act(office, "write").session
    before = office.past(LOCAL, session)
    with pytest.raises((Refused, RuntimeError), match=r"Yawn quietly|nightmare"):
        act(office, name, **given)
    assert office.past(LOCAL, session) == before
    assert act(office, "pause").state == "break + tired"


def test_session_says_of_each_action_why_it_is_not_possible(office: Dispatcher) -> None:
    act(office, "pause")
    act(office, "refresh")
    session = act(office, "pause").session
    now = office.now(LOCAL, session)
    assert now.allowed_actions == ("refresh", "sleep", "yawn")
    against = {name: (no.rule, no.reason, no.hint) for name, no in now.refused_actions.items()}
    assert against["pause"] == ("has_coffee", "The coffee is out.", "Ask for more.")
    reason = "wake is not possible while the session is break + fresh."
    assert against["wake"] == ("wrong_state", reason, "It is possible in asleep.")
    assert against["write"][2] == "It is possible in desk."
    with pytest.raises(Refused) as refused:
        act(office, "pause")
    assert refused.value.hint == "Ask for more. Possible now: refresh, sleep, yawn."


def test_action_of_any_state_says_where_it_is_not_possible(dispatcher_of: Make) -> None:
    class Candle(World, name="worker", states=Lamp, start=Lamp.ON, final=[Lamp.OFF], rows=[]):
        @action
        def look(self) -> None: ...

        @action(target=Lamp.OFF)
        def burn_down(self) -> None: ...

    with_candle = dispatcher_of(Candle)
    session = act(with_candle, "burn_down").session
    assert with_candle.now(LOCAL, session).refused_actions["look"].hint == "It is possible in every state but off."
    with pytest.raises(Refused) as refused:
        act(with_candle, "look")
    assert refused.value.hint == "It is possible in every state but off. Possible now: undo, fork_session."


def test_ended_session_says_of_each_action_that_it_ended(office: Dispatcher) -> None:
    session = act(office, "end").session
    now = office.now(LOCAL, session)
    assert now.allowed_actions == () and {no.rule for no in now.refused_actions.values()} == {"session_ended"}


def test_changes_and_history_tell_the_innermost_states(dispatcher_of: Make) -> None:
    heard: list[Change] = []
    office = dispatcher_of(Worker, listeners=[heard.append])
    session = act(office, "write").session
    act(office, "sleep")
    assert [(change.state_before, change.state) for change in heard] == [
        (None, "desk + fresh"),
        ("desk + fresh", "desk + tired"),
        ("desk + tired", "asleep"),
    ]
    assert [entry["state"] for entry in office.history(LOCAL, session)] == ["desk + fresh", "desk + tired", "asleep"]
    assert office.past(LOCAL, session, 2)[0].state == "desk + tired"


def test_chart_without_rest_stops_the_action_and_changes_nothing(dispatcher_of: Make) -> None:
    class Spin(StrEnum):
        LEFT = "left"
        RIGHT = "right"

    class Top(BaseModel):
        spinning: bool = False

    def spins(top: World) -> str | None:
        return None if top.data.spinning else "it stands"

    class SpinningTop(World, name="worker", states=Spin, start=Spin.LEFT, rows=[]):
        data: Top

        @action
        def spin(self) -> None:
            self.data.spinning = True

        @transition(source=Spin.LEFT, target=Spin.RIGHT, guards=[spins])
        def turn(self) -> None: ...

        @transition(source=Spin.RIGHT, target=Spin.LEFT, guards=[spins])
        def turn_on(self) -> None: ...

    office = dispatcher_of(SpinningTop)
    office.start(LOCAL, "worker", main=True)
    with pytest.raises(Endless, match="no rest after 100 microsteps; active: left"):
        act(office, "spin")
    now = office.main_now(LOCAL, "worker")
    assert now is not None and (now.revision, now.state) == (1, "left")


def adds_a_page(worker: World) -> None:
    worker.rows(Page).add(number=7)


def drinks(worker: World) -> None:
    worker.data.coffee -= 1


def says(worker: World) -> None:
    worker.data.said.append("not yet")


def begins_anew(worker: World) -> None:
    worker.data = Diary(bored=True)


def shouts(worker: World) -> None:
    worker.raise_event("noise")


@pytest.mark.parametrize("write", [adds_a_page, drinks, says, begins_anew, shouts])
@pytest.mark.parametrize("answer", [None, "not yet"])
def test_guard_of_a_transition_writes_nothing(
    dispatcher_of: Make, write: Callable[[World], None], answer: str | None
) -> None:
    def looks(worker: World) -> str | None:
        if worker.data.said:
            write(worker)
        return answer

    class Writing(World, name="worker", states=Lamp, start=Lamp.OFF, rows=[Page]):
        data: Diary

        @action(target=[Lamp.OFF, Lamp.ON])
        def look(self) -> None:
            self.data.said.append("look")

        @transition(source=Lamp.OFF, target=Lamp.ON, on="look", guards=[looks])
        def shine(self) -> None: ...

    dispatcher = dispatcher_of(Writing)
    session = dispatcher.start(LOCAL, "worker", main=True).session
    before = dispatcher.past(LOCAL, session)
    with pytest.raises(TypeError, match=r"guards,? .*only read"):
        act(dispatcher, "look")
    assert dispatcher.past(LOCAL, session) == before


class Lamp(StrEnum):
    OFF = "off"
    ON = "on"


def test_internal_action_does_not_leave_its_source(dispatcher_of: Make) -> None:
    class Room(StrEnum):
        ROOM = "room"
        DOOR = "door"
        WINDOW = "window"

    class Log(BaseModel):
        said: list[str] = []

    class InRoom(World, name="worker", states=[Compound(Room.ROOM, Room.DOOR, Room.WINDOW)], rows=[]):
        data: Log

        @action(source=Room.ROOM, target=Room.WINDOW, internal=True)
        def walk(self) -> None: ...

        @action(source=Room.ROOM, target=Room.DOOR)
        def come_back(self) -> None: ...

        @on_enter(Room.ROOM)
        def arrive(self) -> None:
            self.data.said.append("arrive")

    office = dispatcher_of(InRoom)
    assert act(office, "walk").state == "window" and said(office) == ["arrive"]
    assert act(office, "come_back").state == "door" and said(office) == ["arrive", "arrive"]


def test_copy_may_begin_in_a_state_that_no_action_leads_to(dispatcher_of: Make, tmp_path: Path) -> None:
    class Paper(StrEnum):
        FIRST = "first"
        COPIED = "copied"
        SIGNED = "signed"

    class Letter(World, name="worker", states=Paper, start=Paper.FIRST, final=[Paper.SIGNED], rows=[], on_copy="mark"):
        @action(source=[Paper.FIRST, Paper.COPIED], target=Paper.SIGNED)
        def sign(self) -> None: ...

        @action(source=Paper.COPIED)
        def stamp(self) -> None: ...

        def mark(self) -> None:
            self.enter(Paper.COPIED)

    office = dispatcher_of(Letter)
    session = office.start(LOCAL, "worker").session
    fork = office.fork(LOCAL, session)
    assert fork.state == "copied" and "stamp" in fork.allowed_actions
    assert act(office, "sign", session=fork.session).state == "signed"
    office.export(LOCAL, session, tmp_path / "letter.session")
    assert office.import_file(LOCAL, tmp_path / "letter.session").state == "copied"


def test_state_that_only_copies_begin_in_is_judged_like_any_other() -> None:
    def copied(self: World) -> None:
        self.enter(Lamp.ON)

    def look(self: World) -> None: ...

    members = {"copied": copied, "look": action(source=Lamp.OFF)(look)}
    assert "state 'on' is a dead end" in told(Lamp, members, start=Lamp.OFF, on_copy="copied")


# versions


class Flat(StrEnum):
    DESK = "desk"
    PAUSE = "pause"
    NAP = "nap"


class FirstWorker(World, name="worker", states=Flat, start=Flat.DESK, rows=[]):
    """Version 1: states side by side."""

    @action(target=[Flat.PAUSE, Flat.NAP])
    def stop(self, nap: bool = False) -> None:
        """Stop working."""
        self.enter(Flat.NAP if nap else Flat.PAUSE)


class Nested(StrEnum):
    WORK = "work"
    DESK = "desk"
    BREAK = "break"
    MOOD = "mood"
    FRESH = "fresh"
    DAY = "day"


@upgrade(to=2, of=Nested)
def renamed(state: str) -> str:
    return {"pause": "break"}.get(state, state)


def second(**options: Any) -> type[World]:
    """Version 2: states within others."""
    tree = Parallel(Nested.DAY, Compound(Nested.WORK, Nested.DESK, Nested.BREAK), Compound(Nested.MOOD, Nested.FRESH))

    class SecondWorker(World, name="worker", states=[tree], rows=[], **options):
        @action(source=Nested.BREAK, target=Nested.DESK)
        def go_on(self) -> None: ...

        @action(source=Nested.DESK, target=Nested.BREAK)
        def stop(self) -> None: ...

    return SecondWorker


def later(dispatcher: Dispatcher, world: type[World]) -> Dispatcher:
    """The same database under another version of the world."""
    upgrade_tables(dispatcher.store, [world.definition])
    return Dispatcher(dispatcher.store, Registry([world]))


def test_flat_state_of_an_older_version_is_entered_where_it_is_nested_now(dispatcher_of: Make) -> None:
    before = dispatcher_of(FirstWorker)
    session = act(before, "stop").session
    after = later(before, second(version=2, upgrades=[renamed]))
    assert after.now(LOCAL, session).state == "break + fresh"
    assert after.past(LOCAL, session, 1)[0].state == "desk + fresh"
    assert act(after, "go_on").state == "desk + fresh"
    assert act(after, "undo").state == "break + fresh"
    assert act(after, "undo").state == "desk + fresh"


def test_configuration_that_the_chart_does_not_know_is_refused_by_name(dispatcher_of: Make) -> None:
    before = dispatcher_of(FirstWorker)
    session = act(before, "stop", nap=True).session
    after = later(before, second(version=2, upgrades=[renamed]))
    with pytest.raises(Refused) as refused:
        after.now(LOCAL, session)
    assert refused.value.rule == "unknown_state" and "'nap' in version 1 of worker" in refused.value.reason
    assert "marked @upgrade(to=…, of=…)" in (refused.value.hint or "")
    assert before.now(LOCAL, session).state == "nap"


def test_state_that_holds_others_by_now_needs_a_new_version(dispatcher_of: Make) -> None:
    before = dispatcher_of(FirstWorker)
    session = act(before, "stop").session
    with pytest.raises(Refused, match="in the state 'pause' in version 1 of worker"):
        later(before, second()).now(LOCAL, session)


def test_what_a_history_recalled_is_upgraded_too(dispatcher_of: Make) -> None:
    before = dispatcher_of(Worker)
    act(before, "pause")
    session = act(before, "sleep").session

    class Newer(StrEnum):
        DAY = "day"
        DESK = "desk"
        COFFEE = "coffee"
        BACK = "back"
        ASLEEP = "asleep"

    @upgrade(to=2, of=Newer)
    def coffee(state: str) -> str:
        return "coffee" if state == "break" else state

    tree = Compound(Newer.DAY, Newer.DESK, Newer.COFFEE, History(Newer.BACK, default=Newer.DESK))

    class NewWorker(World, name="worker", states=[tree, Newer.ASLEEP], version=2, upgrades=[coffee], rows=[Page]):
        @action(source=Newer.ASLEEP, target=Newer.BACK)
        def wake(self) -> None: ...

        @action(source=Newer.DAY, target=Newer.ASLEEP)
        def sleep(self) -> None: ...

        @action(source=Newer.DESK, target=Newer.COFFEE)
        def pause(self) -> None: ...

    assert act(later(before, NewWorker), "wake", session=session).state == "coffee"


def unpaused(**options: Any) -> type[World]:
    """A later worker, whose days have neither history nor moods."""

    class Newer(StrEnum):
        DAY = "day"
        DESK = "desk"
        BREAK = "break"
        ASLEEP = "asleep"

    @upgrade(to=2, of=Newer)
    def plainly(state: str) -> str | None:
        return None if state in options["gone"] else state

    tree = Compound(Newer.DAY, Newer.DESK, Newer.BREAK)

    class PlainWorker(World, name="worker", states=[tree, Newer.ASLEEP], version=2, upgrades=[plainly], rows=[Page]):
        @action(source=Newer.ASLEEP, target=Newer.DAY)
        def wake(self) -> None: ...

        @action(source=Newer.DAY, target=Newer.ASLEEP)
        def sleep(self) -> None: ...

        @action(source=Newer.DESK, target=Newer.BREAK)
        def pause(self) -> None: ...

    return PlainWorker


def test_history_and_region_that_are_gone_are_forgotten_where_an_upgrade_says_so(dispatcher_of: Make) -> None:
    before = dispatcher_of(Worker)
    act(before, "write")
    act(before, "pause")
    session = act(before, "sleep").session
    after = later(before, unpaused(gone=["back", "fresh", "tired"]))
    assert after.now(LOCAL, session).state == "asleep"
    assert [after.past(LOCAL, session, at)[0].state for at in (1, 2, 3, 4)] == ["desk", "desk", "break", "asleep"]
    assert act(after, "wake", session=session).state == "desk"
    assert act(after, "undo", session=session).state == "asleep"
    assert act(after, "undo", session=session).state == "break"


def test_history_without_a_state_left_to_recall_takes_its_default(dispatcher_of: Make) -> None:
    before = dispatcher_of(Worker)
    act(before, "pause")
    session = act(before, "sleep").session

    @upgrade(to=2, of=State)
    def without_breaks(state: str) -> str | None:
        return None if state == "break" else state

    class Restless(Worker, name="worker", states=STATES, version=2, upgrades=[without_breaks], rows=[Page]):
        """A worker who forgets breaks."""

    assert act(later(before, Restless), "wake", session=session).state == "desk + fresh"


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["fresh", "tired"], "'asleep', with the history 'back'"),
        (["back"], "'desk + fresh', with the state 'fresh'"),
        (["back", "desk", "fresh"], "'desk + fresh', with the configuration 'desk + fresh'"),
    ],
)
def test_name_that_no_upgrade_says_is_gone_is_refused(dispatcher_of: Make, gone: list[str], named: str) -> None:
    before = dispatcher_of(Worker)
    act(before, "pause")
    act(before, "refresh")
    session = act(before, "sleep").session
    after = later(before, unpaused(gone=gone))
    with pytest.raises(Refused) as refused:
        after.now(LOCAL, session)
        after.past(LOCAL, session, 1)
    assert refused.value.rule == "unknown_state" and named in refused.value.reason
    assert "what became of the old name, or None where nothing did" in (refused.value.hint or "")


def test_history_recalls_nothing_outside_of_what_it_is_in(dispatcher_of: Make) -> None:
    def telling(*states: Any) -> type[World]:
        class Telling(World, name="worker", states=states, rows=[]):
            @action(source=Tale.INN, target=Tale.WELL)
            def draw(self) -> None: ...

            @action(source=[Tale.STORY, Tale.WELL], target=Tale.MAP)
            def look(self) -> None: ...

            @action(source=Tale.MAP, target=Tale.BACK)
            def go_on(self) -> None: ...

        return Telling

    back = History(Tale.BACK, default=Tale.INN)
    before = dispatcher_of(telling(Compound(Tale.STORY, back, Tale.INN, Tale.WELL), Tale.MAP))
    act(before, "draw")
    session = act(before, "look").session
    after = later(before, telling(Compound(Tale.STORY, back, Tale.INN), Tale.WELL, Tale.MAP))
    with pytest.raises(Refused, match="with the history 'back' of 'well', in version 1 of worker") as refused:
        act(after, "go_on", session=session)
    assert refused.value.rule == "unknown_state"
    assert act(before, "go_on", session=session).state == "well"


class Room(StrEnum):
    OUT = "out"
    ROOM = "room"
    BACK = "back"
    LIGHT = "light"
    DARK = "dark"
    LIT = "lit"
    DOOR = "door"
    SHUT = "shut"
    AJAR = "ajar"


REGIONS = (Compound(Room.LIGHT, Room.DARK, Room.LIT), Compound(Room.DOOR, Room.SHUT, Room.AJAR))


def test_state_is_not_entered_beside_what_a_history_recalls_of_its_region(dispatcher_of: Make) -> None:
    back = History(Room.BACK, default=Room.DARK, deep=True)

    class House(World, name="worker", states=[Room.OUT, Parallel(Room.ROOM, back, *REGIONS)], rows=[]):
        @action(source=Room.OUT, target=[Room.BACK, Room.AJAR, Room.ROOM])
        def come(self, back: bool) -> None:
            self.enter(*((Room.BACK, Room.AJAR) if back else (Room.ROOM,)))

        @action(source=[Room.DARK, Room.SHUT], target=[Room.LIT, Room.AJAR])
        def use(self, state: Room) -> None:
            self.enter(state)

        @action(source=Room.ROOM, target=Room.OUT)
        def go(self) -> None: ...

    house = dispatcher_of(House)
    assert act(house, "come", back=True).state == "dark + ajar"
    act(house, "go")
    act(house, "come", back=False)
    session = act(house, "go").session
    before = house.now(LOCAL, session)
    with pytest.raises(Refused, match="back and ajar cannot be entered together: they stand for dark") as refused:
        act(house, "come", back=True)
    assert refused.value.rule == "states_apart" and "self.enter" in (refused.value.hint or "")
    assert house.now(LOCAL, session) == before
    assert act(house, "come", back=False).state == "dark + shut"


def test_target_that_no_transition_leads_to_is_not_passed_over(dispatcher_of: Make) -> None:
    back = History(Room.BACK, default=Room.DARK, deep=True)

    class House(World, name="worker", states=[Parallel(Room.ROOM, back, *REGIONS), Room.OUT], rows=[]):
        @action(source=[Room.DARK, Room.SHUT], target=[Room.LIT, Room.AJAR, Room.SHUT])
        def use(self, states: list[Room]) -> None:
            self.enter(*states)

        @action(source=Room.LIT, target=Room.DARK)
        def darken(self) -> None: ...

        @action(source=Room.ROOM, target=Room.OUT)
        def go(self) -> None: ...

        @action(source=Room.OUT, target=Room.BACK)
        def come(self) -> None: ...

    house = dispatcher_of(House)
    assert act(house, "use", states=["lit", "ajar"]).state == "lit + ajar"
    session = act(house, "darken").session
    before = house.now(LOCAL, session)
    with pytest.raises(DefinitionError, match=r"House\.use cannot enter 'shut' from dark \+ ajar: no transition"):
        act(house, "use", states=["lit", "shut"])
    assert house.now(LOCAL, session) == before
    assert act(house, "use", states=["lit", "ajar"]).state == "lit + ajar"


def test_target_beside_every_source_is_refused() -> None:
    def use(self: World) -> None: ...

    states = [Room.OUT, Parallel(Room.ROOM, History(Room.BACK, default=Room.DARK), *REGIONS)]
    members = {"use": action(source=Room.DARK, target=[Room.LIT, Room.AJAR])(use)}
    assert told(states, members) == (
        "Odd.use: 'ajar' lies in another region than every source, so it would never be entered."
        " Give source= a state in the region of 'ajar', too, or take Room.AJAR out of target=."
    )


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        (Room.LIGHT, Room.OUT, "'out' is not within 'light'"),
        (Room.DARK, Room.DARK, "'dark' is not within 'dark'"),
        ([Room.LIGHT, Room.OUT], Room.LIT, "'lit' is not within 'out'"),
        (Room.ROOM, Room.LIT, "'room' is a Parallel, which is left for a target in only some of its regions"),
        (Room.ROOM, Room.BACK, "'room' is a Parallel, which is left for a target in only some of its regions"),
    ],
)
def test_what_is_internal_leads_into_its_source(source: Any, target: Room, why: str) -> None:
    def use(self: World) -> None: ...

    states: list[States] = [Room.OUT, Parallel(Room.ROOM, History(Room.BACK, default=Room.LIGHT), *REGIONS)]
    marks = (
        action(source=source, target=target, internal=True),
        transition(source=source, target=target, on="knock", internal=True),
    )
    hint = "Take source= a Compound around the target, or leave internal=True out: the source is left then."
    for mark in marks:
        assert told(states, {"use": mark(use)}) == f"Odd.use is internal, but {why}. {hint}"
    with pytest.raises(DefinitionError, match="@transition is internal, so it takes target="):
        transition(source=source, internal=True)


def test_session_goes_the_way_that_was_told_of_an_action_heard_in_another_region(dispatcher_of: Make) -> None:
    back = History(Room.BACK, default=Room.LIGHT)

    class House(World, name="worker", states=[Room.OUT, Parallel(Room.ROOM, back, *REGIONS)], rows=[]):
        @action(source=Room.OUT, target=Room.ROOM)
        def come(self) -> None: ...

        @action(source=Room.DARK, target=Room.LIT)
        def light(self) -> None: ...

        @action(source=Room.LIT, target=Room.DARK)
        def darken(self) -> None: ...

        @transition(source=Room.SHUT, target=Room.AJAR, on="darken")
        def look_in(self) -> None: ...

        @action(source=Room.AJAR, target=Room.SHUT)
        def shut(self) -> None: ...

        @transition(source=Room.DARK, target=Room.OUT, on="shut")
        def go_out(self) -> None: ...

    way = shortest(House.definition.chart)["ajar"]
    assert way == ("come", "light", "darken")
    office = dispatcher_of(House)
    assert [act(office, step).state for step in way] == ["dark + shut", "lit + shut", "dark + ajar"]
    assert act(office, "shut").state == "out"


def is_cold(world: World) -> str | None:
    return "it is warm"


def waiting(late_source: Room, minutes: int, **options: Any) -> type[World]:
    """A world in which one delay is followed by another."""
    states: list[States] = [Room.OUT, Parallel(Room.ROOM, History(Room.BACK, default=Room.LIGHT), *REGIONS)]
    within = [Room.DARK, Room.LIT, Room.SHUT, Room.AJAR]
    first = {"source": Room.ROOM, "target": Room.OUT, "after": timedelta(minutes=10), **options}

    class Odd(World, states=states, rows=[]):
        @action(source=Room.OUT, target=Room.ROOM)
        def go(self) -> None: ...

        @action(source=within, target=within)
        def push(self) -> None: ...

        @transition(**first)
        def early(self) -> None: ...

        @transition(source=late_source, target=Room.AJAR, after=timedelta(minutes=minutes))
        def late(self) -> None: ...

    return Odd


@pytest.mark.parametrize(("late", "minutes"), [(Room.ROOM, 15), (Room.ROOM, 10), (Room.SHUT, 11), (Room.DOOR, 90)])
def test_delay_that_another_always_comes_before_is_refused(late: Room, minutes: int) -> None:
    with pytest.raises(DefinitionError) as wrong:
        waiting(late, minutes)
    assert str(wrong.value) == (
        "Odd: late can never be chosen: 'early' is due before it and leaves 'room', without a guard"
        " (give 'early' guards=[…], or have it wait longer)."
    )


@pytest.mark.parametrize(
    ("late", "minutes", "early"),
    [
        (Room.SHUT, 10, {}),
        (Room.SHUT, 15, {"source": Room.LIT}),
        (Room.ROOM, 15, {"guards": [is_cold]}),
        (Room.ROOM, 15, {"target": None}),
        (Room.DOOR, 15, {"source": Room.DOOR, "target": Room.SHUT, "internal": True}),
    ],
)
def test_delay_that_another_may_leave_time_for_is_taken(late: Room, minutes: int, early: dict[str, Any]) -> None:
    assert "late" in {way.label for way in waiting(late, minutes, **early).definition.chart.transitions}


class Part(StrEnum):
    ALL = "all"
    ORDER = "order"
    SHIPPING = "shipping"
    SHIPPED = "shipped"
    PAYMENT = "order.payment"
    DUE = "due"
    PAID = "paid"
    END = "end"


def test_state_is_not_done_when_one_is_whose_name_goes_on_after_its_own(dispatcher_of: Make) -> None:
    order = Compound(Part.ORDER, Part.SHIPPING, Final(Part.SHIPPED))
    payment = Compound(Part.PAYMENT, Part.DUE, Final(Part.PAID))

    class Ordered(World, name="worker", states=[Parallel(Part.ALL, order, payment), Final(Part.END)], rows=[]):
        @action(source=Part.SHIPPING, target=Part.SHIPPED)
        def ship(self) -> None: ...

        @action(source=Part.DUE, target=Part.PAID)
        def pay(self) -> None: ...

        @transition(source=Part.ALL, target=Part.END, on=done(Part.ORDER))
        def finish(self) -> None: ...

    orders = dispatcher_of(Ordered)
    assert act(orders, "pay").state == "shipping + paid"
    assert act(orders, "ship").state == "end"


def test_transition_at_what_is_never_done_is_refused_though_a_longer_name_is() -> None:
    def go(self: World) -> None: ...

    def pay(self: World) -> None: ...

    class Few(StrEnum):
        ORDER = "order"
        PAYMENT = "order.payment"
        DUE = "due"
        PAID = "paid"

    members = {
        "pay": action(source=Few.DUE, target=Few.PAID)(pay),
        "go": transition(source=Few.PAYMENT, target=Few.ORDER, on=done(Few.ORDER))(go),
    }
    said = told([Compound(Few.PAYMENT, Few.DUE, Final(Few.PAID)), Few.ORDER], members)
    assert "can never be chosen at done.state.order: 'order' is no state that holds others" in said


class Tale(StrEnum):
    STORY = "story"
    BACK = "back"
    INN = "inn"
    WELL = "well"
    MAP = "map"


# wrong declarations


def told(states: Any, members: dict[str, Any] | None = None, **options: Any) -> str:
    """What a class statement with these states and members is told."""
    with pytest.raises(DefinitionError) as wrong:
        new_class("Odd", (World,), {"rows": [], "states": states, **options}, lambda space: space.update(members or {}))
    return str(wrong.value)


@pytest.mark.parametrize(
    ("states", "options", "said"),
    [
        ([], {}, "states=[] has no state"),
        ([Lamp.ON], {}, "Lamp.OFF has no places in states=[…]. Give each member of the enumeration one"),
        ([Lamp.ON, Lamp.OFF, Lamp.ON], {}, "Lamp.ON has 2 places"),
        ([Lamp.ON, Lamp.OFF, Nested.DAY], {}, "is no Lamp, as the first state is"),
        ([Lamp.ON, "off"], {}, "'off' in states=[…] is no state. Give members of a StrEnum"),
        ("on", {}, "states='on' is no enumeration of strings"),
        (
            {Lamp.ON, Lamp.OFF},
            {},
            "is a set, whose first state is another each time Python starts. Give them in a list",
        ),
        (
            [Compound(Lamp.ON, History(Lamp.OFF))],
            {},
            "state 'off' is a history without a default (give it states)",
        ),
        ([Lamp.ON, Lamp.OFF], {"final": {Lamp.OFF}}, "Write Final(State.…) at its place"),
        ([Lamp.ON, Lamp.OFF], {"start": Nested.DAY}, "'day' is no state of this world"),
        (Lamp, {}, "states= and start= go together"),
        (None, {"start": Lamp.ON}, "start= and final= name states, and there are none"),
    ],
)
def test_states_in_no_order_are_refused(states: Any, options: dict[str, Any], said: str) -> None:
    assert said in told(states, **options)


def test_transition_of_another_worlds_state_is_refused() -> None:
    def go(self: World) -> None: ...

    members = {"go": transition(source=Lamp.ON, target=Nested.DAY)(go)}
    assert "Odd.go: 'day' is no state of this world. Its states are: off, on." in told(Lamp, members, start=Lamp.OFF)


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: transition(source=cast(Any, "on")), "@transition: 'on' is not what it takes"),
        (lambda: transition(source=Lamp.ON, on=""), "@transition: on='' names no event"),
        (lambda: transition(source=Lamp.ON, on="x y"), "@transition: on='x y' names no event. Give done(State.…)"),
        (lambda: transition(source=Lamp.ON, guards=cast(Any, 5)), "@transition: guards=5 is not what guards takes"),
        (lambda: transition(source=Lamp.ON, guards="ok"), "@transition: guards='ok' is not what guards takes. Write a"),
        (lambda: action(guards=cast(Any, None))(has_coffee), "has_coffee: guards=None is not what guards takes"),
        (lambda: action(guards=Lamp.ON)(has_coffee), "guards=<Lamp.ON: 'on'> is not what guards takes"),
        (lambda: action(target={Lamp.ON, Lamp.OFF})(has_coffee), "is not what target takes. Write a member"),
        (lambda: Final(Lamp.ON, Lamp.OFF), "Final(<Lamp.ON: 'on'>, <Lamp.OFF: 'off'>): it is one state, and holds no"),
        (lambda: History(Lamp.ON, Lamp.OFF, default=Lamp.OFF), "holds no others. Write each for itself, such as Hist"),
        (lambda: on_enter(), "@on_enter: () is not what it takes. Give members of the world's states"),
        (lambda: done("on"), "@done: 'on' is not what it takes. Give one member"),  # type: ignore[arg-type]
        (lambda: on_exit(Lamp.ON)(cast(Any, lambda self, more: None)), "@on_exit calls a method without arguments"),
        (lambda: on_exit(Lamp.ON)(property(lambda self: None)), "@on_exit was given"),  # type: ignore[type-var]
    ],
)
def test_wrong_mark_is_refused_where_it_is_made(declare: Callable[[], object], said: str) -> None:
    with pytest.raises(DefinitionError) as wrong:
        declare()
    assert said in str(wrong.value)


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (on_enter(Room.BACK), "Odd.own: 'back' is a history, which is never entered or left itself. Name the state"),
        (on_exit(Room.DARK, Room.BACK), "Odd.own: 'back' is a history, which is never entered or left itself"),
        (transition(source=Room.ROOM, on=Room.OUT), "Odd.own: on=<Room.OUT: 'out'> is a state, and no event"),
        (transition(source=Room.ROOM, on="look"), "Odd.own: on='look' is the name of a read-only action"),
        (transition(source=Room.ROOM, on="look.up"), "on='look.up' is the name of a read-only action"),
    ],
)
def test_mark_of_what_never_happens_is_refused(mark: Callable[[Any], Any], said: str) -> None:
    def own(self: World) -> None: ...

    def look(self: World) -> None: ...

    states = [Parallel(Room.ROOM, History(Room.BACK, default=Room.DARK, deep=True), *REGIONS), Room.OUT]
    assert said in told(states, {"own": mark(own), "look": action(read_only=True)(look)})


def test_states_that_exclude_each_other_cannot_be_entered_at_once(dispatcher_of: Make) -> None:
    class Torn(World, name="worker", states=Lamp, start=Lamp.OFF, rows=[]):
        @action(target=[Lamp.OFF, Lamp.ON])
        def go(self) -> None:
            self.enter(Lamp.OFF, Lamp.ON)

    with pytest.raises(DefinitionError, match="cannot be in off and on at once"):
        act(dispatcher_of(Torn), "go")


def test_state_of_another_world_is_not_asked_for(dispatcher_of: Make) -> None:
    class Asking(World, name="worker", states=Lamp, start=Lamp.OFF, rows=[]):
        @action(target=[Lamp.ON, Lamp.OFF])
        def go(self) -> bool:
            return self.is_in(Nested.DAY)

    with pytest.raises(TypeError, match="asks for no state of worker"):
        act(dispatcher_of(Asking), "go")


def test_action_is_taken_by_a_call_and_not_by_an_event_of_its_name(dispatcher_of: Make) -> None:
    class Self(World, name="worker", states=Lamp, start=Lamp.OFF, rows=[]):
        @action(source=Lamp.OFF, target=Lamp.ON)
        def go(self, event: str) -> None:
            self.raise_event(event)

        @action(source=Lamp.ON, target=Lamp.OFF)
        def back(self) -> None: ...

    dispatcher = dispatcher_of(Self)
    for event in ("back", "back.again"):
        with pytest.raises(TypeError, match="'back' is an action, and only a call takes it"):
            act(dispatcher, "go", event=event)
    assert act(dispatcher, "go", event="backwards").state == "on"


def test_action_called_done_is_refused_where_states_hold_others(dispatcher_of: Make) -> None:
    def finish(self: World) -> None: ...

    within = [Compound(Lamp.OFF, Lamp.ON)]
    assert "the action 'done' would be taken whenever a state that holds others is done" in told(
        within, {"done": action(name="done")(finish)}
    )

    class Task(World, name="worker", states=Lamp, start=Lamp.OFF, final=[Lamp.ON], rows=[]):
        @action(target=Lamp.ON)
        def done(self) -> None: ...

    assert act(dispatcher_of(Task), "done").state == "on"
