"""The clock: what is due is done with nobody at work, whatever befalls other sessions."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from engine.background.clock import OFTEN, Clock
from engine.background.worker import Worker
from engine.types import LOCAL, Change
from tests.engine.stalls import MINUTE, Make, Mill, Stall, act, document, pass_by, told, waits

SECONDS = 20.0
HOLDER = "wrk_test"


def test_what_is_due_is_done_and_the_next_look_is_when_more_is(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall, Mill)
    clock, sessions = Clock(dispatcher), [dispatcher.start(LOCAL, "stall").session for _ in range(3)]
    assert clock.look(HOLDER) == OFTEN
    for minutes, session in zip((20, 10, 30), sessions, strict=True):
        act(dispatcher, session, "hold", minutes=minutes)
    dispatcher.store.offset += timedelta(minutes=9, seconds=59.8)
    assert 0.0 < clock.look(HOLDER) <= 0.2
    pass_by(dispatcher, 12)
    assert clock.look(HOLDER) == 0.0 and clock.look(HOLDER) == OFTEN
    assert [document(dispatcher, session)["released"] for session in sessions] == [["late"], ["late"], []]
    assert [told(dispatcher, session)[-1] for session in sessions[:2]] == [("timer", "release")] * 2


def test_the_clock_concerns_itself_with_changes_after_which_something_is_due(dispatcher_of: Make) -> None:
    heard: list[Change] = []
    dispatcher = dispatcher_of(Stall, listeners=[heard.append])
    session = dispatcher.start(LOCAL, "stall").session
    act(dispatcher, session, "hold")
    assert [Clock(dispatcher).concerns(change) for change in heard] == [False, True]


def test_one_session_that_cannot_be_used_holds_up_no_other(
    dispatcher_of: Make, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = dispatcher_of(Stall)
    broken, whole = (dispatcher.start(LOCAL, "stall").session for _ in range(2))
    for session in (broken, whole):
        act(dispatcher, session, "hold")
    dispatcher.store.write(
        lambda tx: tx.execute("update session set state = 'nowhere' where handle = ?", (broken,)).rowcount
    )
    pass_by(dispatcher, 20)
    clock = Clock(dispatcher)
    clock.look(HOLDER)
    assert document(dispatcher, whole)["released"] == ["late"]
    assert clock.look(HOLDER) == OFTEN and caplog.text.count(f"timers of {broken} are left alone for 1 s") == 1


def test_sessions_of_worlds_and_versions_that_are_not_here_are_left_to_others(dispatcher_of: Make) -> None:
    both, one = dispatcher_of(Stall, Mill), dispatcher_of(Stall)
    mill, stall = both.start(LOCAL, "mill").session, both.start(LOCAL, "stall").session
    act(both, mill, "enter_mill")
    act(both, stall, "hold")
    with both.store.connection() as connection:
        connection.execute(text("update session set version = 9 where world = 'stall'"))
    pass_by(one, 60)
    assert Clock(one).look(HOLDER) == OFTEN
    pass_by(both, 60)
    assert Clock(both).look(HOLDER) == 0.0
    assert ("timer.cool", "warm", -30.0) not in waits(both, mill)


def test_the_worker_wakes_the_clock_when_something_is_set(dispatcher_of: Make) -> None:
    done = threading.Event()

    def hear(change: Change) -> None:
        if change.action == "release":
            done.set()

    dispatcher = dispatcher_of(Stall, listeners=[hear])
    with Worker(dispatcher.store, "serve", [Clock(dispatcher)], timedelta(seconds=30)) as worker:
        dispatcher.listeners.append(worker.tell)
        session = dispatcher.start(LOCAL, "stall").session
        act(dispatcher, session, "hold")
        dispatcher.store.offset += 20 * MINUTE
        assert done.wait(SECONDS)
    assert document(dispatcher, session)["released"] == ["late"]
