"""Timers: what is due is done once, in order, as long as its state is active; undo, copies and upgrades keep it so."""

import json
import re
import threading
from contextlib import closing
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine import Compound, World, action, transition, upgrade
from engine.background.clock import advance
from engine.definition import doubts
from engine.dispatch import Answer, Dispatcher
from engine.drawing.mermaid import mermaid
from engine.errors import Conflict, DefinitionError, LimitExceeded, Refused
from engine.files.writing import digest_of
from engine.firing import AT_ONCE
from engine.limits import Limits
from engine.operations import Call
from engine.retention import prune
from engine.soundness.paths import shortest
from engine.store.records import Transaction
from engine.store.sqlite import SQLITE
from engine.types import LOCAL, OPERATOR, Change, Json, Principal
from tests.engine.stalls import (
    HOUR,
    MINUTE,
    Make,
    Mill,
    Stall,
    act,
    document,
    pass_by,
    told,
    waits,
)


def stall(dispatcher: Dispatcher) -> str:
    return dispatcher.start(LOCAL, "stall").session


def mill(dispatcher: Dispatcher) -> str:
    return dispatcher.start(LOCAL, "mill").session


# due


def test_what_is_due_is_done_once_by_the_timer_as_a_change_of_its_own(dispatcher_of: Make) -> None:
    heard: list[Change] = []
    dispatcher = dispatcher_of(Stall, listeners=[heard.append])
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    assert waits(dispatcher, session) == [("release", "held", 15.0)]
    pass_by(dispatcher, 14)
    assert dispatcher.fire(session) == 0
    pass_by(dispatcher, 1)
    assert (dispatcher.fire(session), dispatcher.fire(session)) == (1, 0)
    assert told(dispatcher, session)[-1] == ("timer", "release")
    assert document(dispatcher, session)["released"] == ["late"] and waits(dispatcher, session) == []
    assert [(change.action, change.revision, change.due_at is None) for change in heard[1:]] == [
        ("hold", 2, False),
        ("release", 3, True),
    ]
    assert heard[-1].arguments == {"by": "late"} and heard[-1].state == "free"


def test_the_log_has_a_line_of_what_was_due(dispatcher_of: Make, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    for name in ("hold", "mine", "nod"):
        act(dispatcher, session, name)
    pass_by(dispatcher, 20)
    with caplog.at_level("INFO"):
        dispatcher.fire(session)
    lines = [line.partition(" ms=")[0] for line in caplog.messages if line.startswith("action=")]
    assert re.sub("error=[0-9a-f]{8}", "error=1", "\n".join(lines)).splitlines() == [
        f"action=stall.burst session={session} outcome=failed error=1",
        f"action=stall.idle session={session} outcome=refused rule=unchanged",
        f"action=stall.release session={session} revision=7 outcome=done",
    ]


def test_the_next_action_does_first_what_is_due(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 20)
    assert act(dispatcher, session, "hold", by="next").revision == 4
    assert told(dispatcher, session)[2:] == [("timer", "release"), ("local user", "hold")]
    assert waits(dispatcher, session) == [("release", "held", 15.0)]


def test_what_timers_did_stays_if_the_action_is_then_refused_and_listeners_hear_of_it(dispatcher_of: Make) -> None:
    heard: list[Change] = []
    dispatcher = dispatcher_of(Stall, listeners=[heard.append])
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 20)
    with pytest.raises(Refused, match="sell is not possible while the session is free"):
        act(dispatcher, session, "sell")
    assert told(dispatcher, session)[-1] == ("timer", "release") and heard[-1].action == "release"


def test_a_call_that_is_handed_over_waits_for_what_is_due_too(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 20)
    answers: list[Answer] = []
    for name in ("sell", "hold"):
        dispatcher.submit(Call(principal=LOCAL, world="stall", action=name, session=session), answers.append)
        dispatcher.finish()
    refused, held = answers
    assert isinstance(refused.error, Refused) and refused.error.rule == "wrong_state"
    assert held.outcome is not None and held.outcome.revision == 4


def test_many_who_wait_for_what_is_due_are_counted_each_with_their_own_calls(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, limits=Limits(waiting=5))
    session = stall(dispatcher)
    people = [LOCAL, *(Principal("elsewhere", str(number)) for number in range(3))]
    for person in people[1:]:
        dispatcher.dispatch(
            Call(
                principal=LOCAL,
                world="stall",
                action="share",
                arguments={
                    "person": dispatcher.store.write(partial(Transaction.ensure_person, principal=person)),
                    "role": "editor",
                },
                session=session,
            )
        )
    for _ in range(20):
        act(dispatcher, session, "bell")
    pass_by(dispatcher, 20)
    answers: list[Answer] = []
    for person in people * 5:
        dispatcher.submit(Call(principal=person, world="stall", action="ring", session=session), answers.append)
    dispatcher.finish()
    assert [answer.error for answer in answers] == [None] * 20
    assert document(dispatcher, session)["rung"] == 40


def test_a_stale_revision_is_refused_after_what_was_due_and_a_retry_is_answered_before_it(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    hold = Call(principal=LOCAL, world="stall", action="hold", session=session, key="once", if_revision=1)
    assert dispatcher.dispatch(hold).revision == 2
    pass_by(dispatcher, 20)
    assert dispatcher.dispatch(hold).replayed == 2 and len(told(dispatcher, session)) == 2
    with pytest.raises(Conflict) as stale:
        dispatcher.dispatch(Call(principal=LOCAL, world="stall", action="ring", session=session, if_revision=2))
    assert stale.value.revision == 3


def test_timers_are_done_in_the_order_in_which_they_are_due_and_those_they_set_too(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell", minutes=10)
    act(dispatcher, session, "nod")
    act(dispatcher, session, "chain", left=3)
    pass_by(dispatcher, 11)
    act(dispatcher, session, "hush")
    assert [name for _, name in told(dispatcher, session)[4:]] == ["chain", "timer", "ring", "chain", "chain", "hush"]


def test_no_more_than_a_hundred_go_before_an_action(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "chain", left=AT_ONCE + 20)
    assert act(dispatcher, session, "hush").revision == 2 + AT_ONCE + 1
    advance(dispatcher, MINUTE)
    assert document(dispatcher, session)["rung"] == AT_ONCE + 21


def test_two_processes_do_a_timer_once(dispatcher_of: Make) -> None:
    first, second = dispatcher_of(Stall), dispatcher_of(Stall)
    sessions = [stall(first) for _ in range(5)]
    for session in sessions:
        act(first, session, "hold")
        act(first, session, "bell")
    for dispatcher in (first, second):
        pass_by(dispatcher, 20)
    start = threading.Barrier(4)

    def race(dispatcher: Dispatcher, lazily: bool) -> None:
        start.wait(20)
        for session in sessions:
            act(dispatcher, session, "hush", quiet=False) if lazily else dispatcher.fire(session)

    threads = [threading.Thread(target=race, args=(d, lazily)) for d in (first, second) for lazily in (False, True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for session in sessions:
        done = [name for by, name in told(first, session) if by == "timer"]
        assert done == ["ring", "release"]
        assert document(first, session)["released"] == ["late"] and document(first, session)["rung"] == 1


# as long as its state is active


def test_a_timer_ends_with_its_state(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    act(dispatcher, session, "look")
    assert waits(dispatcher, session) == [("release", "held", 15.0)]
    act(dispatcher, session, "sell")
    assert waits(dispatcher, session) == []
    pass_by(dispatcher, 60)
    assert dispatcher.fire(session) == 0


def test_what_is_left_and_entered_again_in_one_step_begins_anew(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, Mill)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    act(dispatcher, session, "swap")
    assert waits(dispatcher, session) == [("ring", "held", 2.0)]
    session = mill(dispatcher)
    act(dispatcher, session, "enter_mill")
    pass_by(dispatcher, 10)
    act(dispatcher, session, "stir", note="gone")
    act(dispatcher, session, "again")
    assert waits(dispatcher, session) == [("timer.cool", "warm", 30.0)]


def test_a_timer_is_bound_to_the_innermost_that_is_active_after_the_change_or_to_what_within_names(
    dispatcher_of: Make,
) -> None:
    dispatcher = dispatcher_of(Mill)
    session = mill(dispatcher)
    act(dispatcher, session, "enter_mill")
    act(dispatcher, session, "stir", note="both")
    act(dispatcher, session, "stir", note="one", within="dull")
    act(dispatcher, session, "stir", note="around", within="busy")
    expected = [("timer.cool", "warm", 30.0), ("see", "in", 60.0), ("see", "dull", 60.0), ("see", "busy", 60.0)]
    assert waits(dispatcher, session) == expected
    act(dispatcher, session, "wake")
    assert [state for _, state, _ in waits(dispatcher, session)] == ["warm", "in", "busy", "alert"]
    act(dispatcher, session, "leave")
    assert waits(dispatcher, session) == [("see", "out", 5.0)]


def test_what_is_set_on_entry_is_bound_to_the_state_that_is_entered(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Mill)
    session = mill(dispatcher)
    for name in ("enter_mill", "wake"):
        act(dispatcher, session, name)
    assert ("see", "alert", 20.0) in waits(dispatcher, session)
    act(dispatcher, session, "doze")
    assert waits(dispatcher, session) == [("timer.cool", "warm", 30.0), ("see", "in", 5.0)]


def test_the_whole_session_is_a_place_for_timers_too(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell")
    for name in ("hold", "sell"):
        act(dispatcher, session, name)
    assert waits(dispatcher, session) == [("ring", "", 10.0)]


def test_a_timer_can_be_cancelled_and_set_anew(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    act(dispatcher, session, "keep", minutes=40)
    assert waits(dispatcher, session) == [("release", "held", 40.0)]


def test_ending_a_session_cancels_all(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell")
    act(dispatcher, session, "end")
    pass_by(dispatcher, 60)
    assert waits(dispatcher, session) == [] and dispatcher.fire(session) == 0


# delayed transitions


def test_a_delayed_transition_is_taken_when_its_state_was_active_so_long(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Mill)
    session = mill(dispatcher)
    act(dispatcher, session, "enter_mill")
    pass_by(dispatcher, 30)
    act(dispatcher, session, "shut", is_open=True)
    assert told(dispatcher, session)[2:] == [("timer", "timer.cool"), ("local user", "shut")]
    assert document(dispatcher, session)["seen"] == ["cold"]
    assert waits(dispatcher, session) == [("timer.heat", "cold", 10.0)]
    advance(dispatcher, 10 * MINUTE)
    assert dispatcher.now(LOCAL, session).state == "dull + hot" and waits(dispatcher, session) == []


def test_a_delayed_transition_whose_guard_says_no_is_over(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Mill)
    session = mill(dispatcher)
    act(dispatcher, session, "enter_mill")
    act(dispatcher, session, "shut")
    advance(dispatcher, HOUR)
    last = dispatcher.history(LOCAL, session)[-1]
    assert (last["action"], last["arguments"]["action"], last["arguments"]["rule"]) == (
        "timer",
        "timer.heat",
        "not_enabled",
    )
    assert waits(dispatcher, session) == [] and dispatcher.now(LOCAL, session).state == "dull + cold"


def test_what_is_due_by_the_clock_is_raised_by_nobody() -> None:
    class Bad(StrEnum):
        A = "a"

    with pytest.raises(DefinitionError, match="exclude each other"):
        transition(source=Bad.A, on="x", after=HOUR)
    for after in (timedelta(), -HOUR, timedelta(days=40_000), 5):
        with pytest.raises(DefinitionError, match="no time that a state can last"):
            transition(source=Bad.A, after=after)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="nobody raises it"):

        class Waiting(World, states=Bad, start=Bad.A):
            @action
            def go(self) -> None: ...

            @transition(source=Bad.A, on="timer.go.a")
            def never(self) -> None: ...

    with pytest.raises(DefinitionError, match="collides with what every session has"):

        class Taken(World, name="taken"):
            @action
            def timer(self) -> None: ...


def test_an_author_cannot_raise_what_is_due(dispatcher_of: Make) -> None:
    class Cheat(World):
        """Raises what only the clock may."""

        @action
        def go(self) -> None:
            self.raise_event("timer.cool.warm")

    dispatcher = dispatcher_of(Cheat)
    with pytest.raises(TypeError, match="by the clock"):
        act(dispatcher, dispatcher.start(LOCAL, "cheat").session, "go")


# what is set wrong


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("unknown", "'fly' is no action of this world"),
        ("argument", "minutes"),
        ("never", "no time to wait for"),
        ("long", "no time to wait for"),
        ("reader", "'told' is read-only"),
        ("state", "no state of this world"),
        ("inactive", "'gone' is not active after this change"),
        ("cancel", "'fly' is no action of this world"),
    ],
)
def test_a_timer_that_could_never_be_done_is_an_error_that_says_so(dispatcher_of: Make, how: str, said: str) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    with pytest.raises(DefinitionError, match=said):
        act(dispatcher, session, "wrong", how=how)
    assert len(told(dispatcher, session)) == 1


def test_who_only_looks_sets_no_timers(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    with pytest.raises(TypeError, match="timers are for where something is done"):
        dispatcher.look(LOCAL, "stall", session, lambda world: world.after(MINUTE, "ring"))


def test_there_are_only_so_many(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, limits=Limits(timers=2))
    session = stall(dispatcher)
    for _ in range(2):
        act(dispatcher, session, "bell")
    with pytest.raises(LimitExceeded, match="would have 3 timers; at most 2") as exceeded:
        act(dispatcher, session, "bell")
    assert exceeded.value.rule == "too_many_timers" and len(waits(dispatcher, session)) == 2


def test_they_take_only_so_much_room(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, limits=Limits(data=1000))
    with pytest.raises(LimitExceeded) as exceeded:
        act(dispatcher, stall(dispatcher), "hold", by="x" * 1000)
    assert exceeded.value.rule == "timers_too_large"


def test_a_lower_limit_does_not_touch_what_is_there(dispatcher_of: Make) -> None:
    before, after = dispatcher_of(Stall), dispatcher_of(Stall, limits=Limits(timers=1))
    session = stall(before)
    for name in ("hold", "mine", "bell", "bell"):
        act(before, session, name)
    pass_by(after, 12)
    act(after, session, "sell")
    assert [name for _, name in told(after, session)[5:]] == ["timer", "ring", "ring", "sell"]
    assert [name for name, *_ in waits(after, session)] == []


# refused and failed


def test_a_timer_that_is_refused_is_over_by_a_change_that_says_which_rule(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell")
    act(dispatcher, session, "hush")
    pass_by(dispatcher, 10)
    assert (dispatcher.fire(session), dispatcher.fire(session)) == (1, 0)
    last = dispatcher.history(LOCAL, session)[-1]
    assert (last["by"], last["action"]) == ("timer", "timer")
    assert last["arguments"] == {
        "action": "ring",
        "outcome": "refused",
        "rule": "is_wanted",
        "reason": "it is quiet here",
    }
    assert document(dispatcher, session)["rung"] == 0 and waits(dispatcher, session) == []
    assert act(dispatcher, session, "undo").value["action"] == "hush"


def test_a_timer_that_finds_nothing_to_do_is_over_too(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "nod")
    pass_by(dispatcher, 1)
    assert dispatcher.fire(session) == 1
    assert dispatcher.history(LOCAL, session)[-1]["arguments"]["rule"] == "unchanged"


def test_a_bug_locks_no_session_and_loses_no_timer(dispatcher_of: Make, caplog: pytest.LogCaptureFixture) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "mine")
    act(dispatcher, session, "bell")
    pass_by(dispatcher, 12)
    act(dispatcher, session, "mend")
    assert [name for _, name in told(dispatcher, session)[3:]] == ["timer", "ring", "mend"]
    assert document(dispatcher, session)["rung"] == 1
    then, now = dispatcher.past(LOCAL, session)
    (failed,) = then.timers
    assert failed.action == "burst" and (failed.failed or "").startswith("RuntimeError, error ")
    assert now.messages == () and f"{(failed.failed or '').partition(', ')[2]}: RuntimeError" in caplog.text
    with pytest.raises(Refused, match="No timer of 'ring' failed"):
        resume(dispatcher, session, "ring")
    resume(dispatcher, session, "burst")
    assert dispatcher.fire(session) == 1
    assert told(dispatcher, session)[-2:] == [("operator", "timer"), ("timer", "burst")]
    assert document(dispatcher, session)["rung"] == 2 and waits(dispatcher, session) == []


def test_a_limit_of_the_server_loses_no_timer(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, limits=Limits(stored=3_000))
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    with pytest.raises(LimitExceeded, match="history and rows"):
        for _ in range(100):
            act(dispatcher, session, "hush")
    pass_by(dispatcher, 20)
    assert dispatcher.fire(session) == 1
    then, now = dispatcher.past(LOCAL, session)
    assert (now.state, [(timer.action, bool(timer.failed)) for timer in then.timers]) == ("held", [("release", True)])
    roomy = dispatcher_of(Stall)
    roomy.store.offset = dispatcher.store.offset
    resume(roomy, session, "release")
    assert roomy.fire(session) == 1 and roomy.now(LOCAL, session).state == "free"


def resume(dispatcher: Dispatcher, session: str, name: str) -> None:
    world = dispatcher.world_of(OPERATOR, session)
    dispatcher.dispatch(
        Call(principal=OPERATOR, world=world, action="timer", arguments={"action": name}, session=session)
    )


# looking


def test_who_looks_is_told_what_is_overdue_and_changes_nothing(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    assert dispatcher.now(LOCAL, session).messages == ()
    pass_by(dispatcher, 20)
    for outcome in (dispatcher.now(LOCAL, session), act(dispatcher, session, "told")):
        (message,) = outcome.messages
        assert (message.type, message.code) == ("info", "overdue") and "release since" in message.content
    assert len(told(dispatcher, session)) == 2


# undo


def test_undo_and_redo_have_the_timers_as_they_were(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 5)
    act(dispatcher, session, "keep", minutes=40)
    act(dispatcher, session, "undo")
    assert waits(dispatcher, session) == [("release", "held", 10.0)]
    act(dispatcher, session, "redo")
    assert waits(dispatcher, session) == [("release", "held", 40.0)]
    for _ in range(2):
        act(dispatcher, session, "undo")
    assert waits(dispatcher, session) == []
    act(dispatcher, session, "redo")
    assert waits(dispatcher, session) == [("release", "held", 10.0)]


def test_a_timer_that_comes_back_after_its_time_has_all_of_it_again(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 20)
    dispatcher.fire(session)
    assert act(dispatcher, session, "undo").value == {"revision": 3, "action": "release"}
    assert dispatcher.now(LOCAL, session).state == "held"
    assert waits(dispatcher, session) == [("release", "held", 15.0)]
    act(dispatcher, session, "redo")
    assert waits(dispatcher, session) == [] and document(dispatcher, session)["released"] == ["late"]


# copies


def test_a_fork_waits_as_its_origin_does_and_one_of_the_past_as_that_did(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 10)
    now = dispatcher.fork(LOCAL, session).session
    act(dispatcher, session, "sell")
    past = dispatcher.fork(LOCAL, session, 2).session
    gone = dispatcher.fork(LOCAL, session).session
    assert waits(dispatcher, now) == [("release", "held", 5.0)]
    assert waits(dispatcher, past) == [("release", "held", 15.0)]
    assert waits(dispatcher, gone) == []
    act(dispatcher, past, "look")
    act(dispatcher, past, "undo")
    assert waits(dispatcher, past) == [("release", "held", 15.0)]
    pass_by(dispatcher, 15)
    assert [dispatcher.fire(handle) for handle in (now, past, gone, session)] == [1, 1, 0, 0]


def test_a_session_file_has_the_timers_with_what_remained(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, file = dispatcher_of(Stall), tmp_path / "stall.db"
    session = stall(dispatcher)
    act(dispatcher, session, "hold")
    pass_by(dispatcher, 5)
    dispatcher.export(LOCAL, session, file)
    pass_by(dispatcher, 60)
    again = dispatcher.import_file(LOCAL, file).session
    assert waits(dispatcher, again) == [("release", "held", 10.0)]
    back = dispatcher.import_file(LOCAL, file, same_handle=True)
    assert back.session == session and waits(dispatcher, session) == [("release", "held", 10.0)]
    assert [name for _, name in told(dispatcher, session)] == ["start", "hold", "release", "import"]
    pass_by(dispatcher, 10)
    assert [dispatcher.fire(handle) for handle in (session, again)] == [1, 1]


def test_a_session_without_timers_is_written_in_the_older_format(dispatcher_of: Make, tmp_path: Path) -> None:
    dispatcher, plain, timed = dispatcher_of(Stall), tmp_path / "plain.db", tmp_path / "timed.db"
    session = stall(dispatcher)
    dispatcher.export(LOCAL, session, plain)
    act(dispatcher, session, "bell")
    dispatcher.export(LOCAL, session, timed)
    assert [int.from_bytes(file.read_bytes()[60:64]) for file in (plain, timed)] == [1, 2]
    assert waits(dispatcher, dispatcher.import_file(LOCAL, plain).session) == []
    assert waits(dispatcher, dispatcher.import_file(LOCAL, timed).session) == [("ring", "", 10.0)]


WHOLE = {
    "action": "ring",
    "arguments": {},
    "state": "free",
    "version": 1,
    "set_at": "2026-01-01T00:00:00.000000+00:00",
    "due_at": "2026-01-01T01:00:00.000000+00:00",
}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "timers",
    [
        {"ring": 1},
        [1],
        [{"action": "ring"}],
        [{**WHOLE, "more": 1}],
        [{**WHOLE, "state": "nowhere"}],
        [{**WHOLE, "version": 2}],
        [{**WHOLE, "arguments": []}],
        [{**WHOLE, "due_at": WHOLE["set_at"]}],
        [{**WHOLE, "due_at": "2026-01-01T01:00:00"}],
        [{**WHOLE, "set_at": 5}],
        [{**WHOLE, "set_at": "9999-12-31T22:00:00+00:00", "due_at": "9999-12-31T23:00:00+00:00"}],
    ],
)
def test_a_file_whose_timers_are_not_whole_is_refused(dispatcher_of: Make, tmp_path: Path, timers: Json) -> None:
    dispatcher, file = dispatcher_of(Stall), tmp_path / "stall.db"
    session = stall(dispatcher)
    act(dispatcher, session, "bell")
    dispatcher.export(LOCAL, session, file)
    edit(file, [WHOLE])
    copy = dispatcher.import_file(LOCAL, file).session
    assert [name for name, *_ in waits(dispatcher, copy)] == ["ring"]
    edit(file, timers)
    with pytest.raises(Refused) as refused:
        dispatcher.import_file(LOCAL, file)
    assert refused.value.rule == "damaged_file"


def edit(file: Path, timers: Json) -> None:
    """Put other timers into a session file, and make it whole again."""
    with closing(SQLITE.connect(str(file), isolation_level=None)) as connection:
        connection.execute("update journal set timers = ? where revision = 2", (json.dumps(timers),))
        connection.execute("update turnkeeper set digest = ?", (digest_of(connection),))


def test_a_copy_may_set_timers_of_its_own(dispatcher_of: Make) -> None:
    class Note(BaseModel):
        copies: int = 0

    class Copied(World, name="copied", on_copy="settle"):
        """Rings when it was copied."""

        data: Note

        @action
        def ring(self) -> None:
            self.data.copies += 1

        def settle(self) -> None:
            self.after(MINUTE, Copied.ring)

    dispatcher = dispatcher_of(Copied)
    fork = dispatcher.fork(LOCAL, dispatcher.start(LOCAL, "copied").session)
    assert fork.revision == 2 and waits(dispatcher, fork.session) == [("ring", "open", 1.0)]
    advance(dispatcher, MINUTE)
    assert document(dispatcher, fork.session) == {"copies": 1}


# time, versions and what is kept


def test_an_expired_session_does_what_is_due(dispatcher_of: Make) -> None:
    class Short(World, name="short", expires_after=HOUR):
        """A session that nobody comes back to."""

        def start(self) -> None:
            self.after(2 * HOUR, Short.ring)

        @action
        def ring(self) -> None: ...

    dispatcher = dispatcher_of(Short)
    session = dispatcher.start(LOCAL, "short").session
    pass_by(dispatcher, 90)
    with pytest.raises(Refused, match="expired"):
        act(dispatcher, session, "ring")
    pass_by(dispatcher, 40)
    assert dispatcher.fire(session) == 1 and dispatcher.now(LOCAL, session).expired_at is None


def test_timers_go_across_an_upgrade_of_the_states(dispatcher_of: Make) -> None:
    class Old(StrEnum):
        ON = "on"
        OFF = "off"

    class New(StrEnum):
        LIT = "lit"
        DARK = "dark"

    class Lamp(World, name="lamp", states=Old, start=Old.ON):
        def start(self) -> None:
            self.after(MINUTE, Lamp.blink)
            self.after(2 * MINUTE, Lamp.hum)

        @action
        def blink(self) -> None: ...

        @action
        def hum(self) -> None: ...

        @action(source=Old.OFF, target=Old.ON)
        def light(self) -> None: ...

        @transition(source=Old.ON, target=Old.OFF, after=HOUR)
        def dim(self) -> None: ...

    @upgrade(to=2, of=New)
    def renamed(state: str) -> str:
        return {"on": "lit", "off": "dark"}[state]

    class Light(World, name="lamp", states=New, start=New.LIT, version=2, upgrades=[renamed]):
        @action
        def blink(self) -> None: ...

        @action(source=New.DARK, target=New.LIT)
        def light(self) -> None: ...

        @transition(source=New.LIT, target=New.DARK, after=HOUR)
        def dim(self) -> None: ...

    before = dispatcher_of(Lamp)
    session = before.start(LOCAL, "lamp").session
    fork_of = before.start(LOCAL, "lamp").session
    after = dispatcher_of(Light)
    expected = [("timer.dim", "lit", 60.0), ("blink", "lit", 1.0), ("hum", "lit", 2.0)]
    assert sorted(waits(after, session)) == sorted(expected)
    advance(after, HOUR)
    assert [name for _, name in told(after, session)] == ["start", "blink", "timer", "timer.dim"]
    assert after.history(LOCAL, session)[2]["arguments"]["rule"] == "unknown_action"
    assert after.now(LOCAL, session).state == "dark"
    assert [name for name, *_ in waits(after, after.fork(LOCAL, fork_of, 1).session)].count("timer.dim") == 1


def test_retention_keeps_what_the_floor_waits_for(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell", minutes=100_000)
    act(dispatcher, session, "hush")
    dispatcher.store.offset += timedelta(days=3)
    act(dispatcher, session, "hush", quiet=False)
    prune(dispatcher.store, timedelta(days=1))
    prune(dispatcher.store, timedelta(days=1))
    assert [entry["revision"] for entry in dispatcher.history(LOCAL, session)] == [3, 4]
    assert [name for name, *_ in waits(dispatcher, session, 3)] == ["ring"]
    act(dispatcher, session, "undo")
    assert [name for name, *_ in waits(dispatcher, session)] == ["ring"]
    held = dispatcher.store.read(
        lambda tx: tx.execute("select revision, timers from journal where timers is not null").fetchall()
    )
    assert [revision for revision, _ in held] == [3] and json.loads(held[0][1])[0]["action"] == "ring"


def test_the_clock_of_a_test_moves_from_one_timer_to_the_next(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    session = stall(dispatcher)
    act(dispatcher, session, "bell", minutes=10)
    act(dispatcher, session, "bell", minutes=20)
    began = dispatcher.store.now()
    advance(dispatcher, HOUR)
    times = [entry["at"] for entry in dispatcher.history(LOCAL, session)][3:]
    minutes = [round((datetime.fromisoformat(at) - began) / MINUTE) for at in times]
    assert minutes == [10, 20] and round((dispatcher.store.now() - began) / MINUTE) == 60


# what a chart with delays is drawn and checked as


def test_a_delayed_transition_is_drawn_with_its_time_and_is_a_step_of_a_way() -> None:
    chart = Mill.definition.chart
    drawn = mermaid(chart)
    assert "warm --> cold: cool after 30 min\n" in drawn and "cold --> hot: heat after 10 min [guarded]\n" in drawn
    assert shortest(chart)["hot"] == ("enter_mill", "(after 30 min) cool", "(after 10 min) heat [is_open]")
    assert doubts(Mill.definition) == []


def test_delays_of_states_around_each_other_do_not_end_each_other(dispatcher_of: Make) -> None:
    class Room(StrEnum):
        HOUSE = "house"
        HALL = "hall"
        ATTIC = "attic"
        STREET = "street"

    class Visit(World, name="visit", states=[Compound(Room.HOUSE, Room.HALL, Room.ATTIC), Room.STREET]):
        @action(source=Room.STREET, target=Room.HOUSE)
        def knock(self) -> None: ...

        @transition(source=[Room.HOUSE, Room.HALL], target=Room.STREET, after=HOUR)
        @transition(source=Room.ATTIC, target=Room.HALL, after=MINUTE)
        def tire(self) -> None: ...

        @action(source=Room.HALL, target=Room.ATTIC)
        def climb(self) -> None: ...

    dispatcher = dispatcher_of(Visit)
    session = dispatcher.start(LOCAL, "visit").session
    advance(dispatcher, 30 * MINUTE)
    act(dispatcher, session, "climb")
    assert waits(dispatcher, session) == [("timer.tire", "house", 30.0), ("timer.tire", "attic", 1.0)]
    advance(dispatcher, 2 * MINUTE)
    assert waits(dispatcher, session) == [("timer.tire", "house", 28.0), ("timer.tire", "hall", 59.0)]
    advance(dispatcher, 28 * MINUTE)
    assert dispatcher.now(LOCAL, session).state == "street" and waits(dispatcher, session) == []
