"""News is passed on: at least once, in order, from a position of each hook's own, whoever dies and whatever fails."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel

from engine import Change, World, action, after, on_change
from engine.background import hearing, hooked
from engine.background.hearing import ATTEMPTS, LONGEST_PAUSE
from engine.background.news import SESSIONS, THREADS, News
from engine.background.worker import Worker
from engine.dispatch import Dispatcher
from engine.errors import DefinitionError
from engine.hooks import HookFunction
from engine.operations import Call
from engine.store import consumers, owed, positions
from engine.store.records import Record, Transaction
from engine.types import LOCAL, OPERATOR
from tests.hearing import SECONDS, After, Process, hooks_of, passing

HOUR = timedelta(hours=1)
Dispatchers = Callable[..., Dispatcher]
Running = Callable[..., Process]


class Count(BaseModel):
    number: int = 0


class Tally(World, rows=[]):
    """Counts."""

    data: Count

    @action
    def tick(self) -> None:
        """Count one more."""
        self.data.number += 1


class NewTally(World, rows=[], name="tally", version=2):
    """Counts, in a version that is to come."""

    data: Count

    @action
    def tick(self) -> None:
        """Count one more."""
        self.data.number += 1


class Other(World, rows=[]):
    """Another world."""

    @action
    def touch(self) -> None:
        """Change."""


@pytest.fixture
def running(dispatcher_of: Dispatchers) -> Iterator[Running]:
    """Processes on one database, each with hooks of its own."""
    with ExitStack() as stack:

        def run(*functions: HookFunction, worlds: tuple[type[World], ...] = (Tally, Other), **kinds: object) -> Process:
            return stack.enter_context(passing(dispatcher_of(*worlds, hooks=hooks_of(*functions)), **kinds))  # type: ignore[arg-type]

        yield run


class Ear:
    """A hook that notes what it hears, and fails or waits where it is told to."""

    def __init__(self, name: str = "ear", *, from_start: bool = False, world: type[World] | None = Tally) -> None:
        self.heard: list[tuple[str, int]] = []
        self.fails_at: set[tuple[str, int]] = set()
        self.began, self.may = threading.Semaphore(0), threading.Event()
        self.may.set()

        @on_change(world, name=name, from_start=from_start)
        def hear(change: Change) -> None:
            self.began.release()
            assert self.may.wait(SECONDS)
            if (change.session, change.revision) in self.fails_at:
                raise RuntimeError("no")
            self.heard.append((change.session, change.revision))

        self.hook = hear

    def of(self, session: str) -> list[int]:
        return [revision for handle, revision in self.heard if handle == session]


def started(process: Process, ticks: int = 0) -> str:
    session = process.dispatcher.start(LOCAL, "tally").session
    tick(process, session, ticks)
    return session


def tick(process: Process, session: str, times: int = 1) -> None:
    for _ in range(times):
        process.dispatcher.dispatch(Call(principal=LOCAL, world="tally", action="tick", session=session))


def job_of(dispatcher: Dispatcher) -> News:
    hooked.make_known(dispatcher.store, dispatcher.registry)
    return News(dispatcher.store, dispatcher.registry, {hooked.KIND: hooked.serving(dispatcher.registry)})


def until(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end, pause = time.monotonic() + SECONDS, threading.Event()
    while not done():
        assert time.monotonic() < end
        pause.wait(0.02)


def touched(process: Process, session: str | None = None) -> str:
    session = session or process.dispatcher.start(LOCAL, "other").session
    process.dispatcher.dispatch(Call(principal=LOCAL, world="other", action="touch", session=session))
    return session


def heard(process: Process, session: str) -> dict[str, consumers.Heard]:
    def work(transaction: Transaction) -> dict[str, consumers.Heard]:
        record = transaction.session(session)
        assert record is not None
        return consumers.heard_in(transaction, record.id)

    return process.dispatcher.store.read(work)


def count(process: Process, what: str) -> int:
    return int(process.dispatcher.store.read(lambda tx: tx.execute(f"select count(*) from {what}").fetchone()[0]))


def record_of(process: Process, session: str) -> Record:
    found = process.dispatcher.store.read(lambda tx: tx.session(session))
    assert found is not None
    return found


def test_a_long_session_is_heard_in_order_a_part_at_a_time(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    long = started(process, 2 * hearing.AT_ONCE + 5)
    short = started(process, 1)
    process.finish()
    assert ear.of(long) == list(range(1, 2 * hearing.AT_ONCE + 7)) and ear.of(short) == [1, 2]
    assert ear.heard.index((short, 2)) < ear.heard.index((long, 2 * hearing.AT_ONCE + 6))
    assert count(process, "session where news is not null") == count(process, "claim") == 0


def test_more_sessions_than_are_claimed_at_once_all_have_their_turn(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    sessions = [started(process) for _ in range(SESSIONS + 10)]
    process.finish()
    assert sorted(ear.heard) == sorted((session, 1) for session in sessions)


def test_a_hook_is_given_what_the_change_was(running: Running) -> None:
    found: list[Change] = []

    @after(Tally.tick)
    def note(change: Change) -> None:
        found.append(change)

    process = running(note)
    session = started(process, 2)
    process.dispatcher.dispatch(Call(principal=LOCAL, world="tally", action="undo", session=session))
    told: list[Change] = []
    process.dispatcher.listeners.append(told.append)
    tick(process, session)
    process.finish()
    assert [change.revision for change in found] == [2, 3, 5] and found[-1] == told[0]


def test_what_was_undone_is_said(running: Running) -> None:
    found: list[int | None] = []

    @on_change(Tally)
    def note(change: Change) -> None:
        found.append(change.undone)

    process = running(note)
    session = started(process, 1)
    process.dispatcher.dispatch(Call(principal=LOCAL, world="tally", action="undo", session=session))
    process.finish()
    assert found == [None, None, 2]


def test_a_new_hook_starts_at_the_present_unless_it_says_from_start(running: Running) -> None:
    first, late, all_of_it = Ear("first"), Ear("late"), Ear("all", from_start=True)
    old = running(first.hook)
    session, untouched = started(old, 2), started(old, 1)
    old.finish()
    assert count(old, "session where news is not null") == 0
    new = running(first.hook, late.hook, all_of_it.hook)
    new.finish()
    tick(new, session)
    new.finish()
    assert first.of(session) == [1, 2, 3, 4] and late.heard == [(session, 4)]
    assert all_of_it.of(session) == [1, 2, 3, 4] and all_of_it.of(untouched) == [1, 2]


def test_the_present_is_that_of_the_first_process_that_loaded_the_hook(running: Running) -> None:
    ear = Ear()
    first = running(ear.hook)
    session = started(first, 1)
    first.die()
    later = running(ear.hook)
    later.finish()
    assert ear.of(session) == [1, 2]


def test_a_hook_of_another_name_is_another_hook(running: Running) -> None:
    ear = Ear("old name")
    process = running(ear.hook)
    session = started(process, 1)
    process.finish()
    renamed = Ear("new name")
    again = running(renamed.hook)
    tick(again, session)
    again.finish()
    assert renamed.of(session) == [3]


def test_two_hooks_of_one_name_are_refused(dispatcher_of: Dispatchers) -> None:
    with pytest.raises(DefinitionError, match=r"Two hooks are named 'ear'.*"):
        dispatcher_of(Tally, hooks=hooks_of(Ear().hook, Ear().hook))


def test_a_failing_hook_comes_again_and_then_goes_on(running: Running) -> None:
    ear, other = Ear(), Ear("other")
    process = running(ear.hook, other.hook)
    session = started(process, 2)
    ear.fails_at = {(session, 2)}
    process.finish()
    assert ear.of(session) == [1] and other.of(session) == [1, 2, 3]
    now = heard(process, session)["ear"]
    assert now.attempts and now.revision == 1 and now.due_at is not None and "RuntimeError" in (now.error or "")
    ear.fails_at = set()
    tick(process, session)
    process.finish_after(HOUR)
    assert ear.of(session) == [1, 2, 3, 4] and heard(process, session)["ear"] == consumers.Heard(4)


def test_a_hook_that_goes_on_failing_is_parked_in_that_session_alone(running: Running) -> None:
    ear, other = Ear(), Ear("other")
    process = running(ear.hook, other.hook)
    bad, good = started(process, 1), started(process, 1)
    ear.fails_at = {(bad, 2)}
    for _ in range(ATTEMPTS + 2):
        process.finish_after(LONGEST_PAUSE)
    tick(process, bad)
    tick(process, good)
    process.finish()
    assert ear.of(bad) == [1] and ear.of(good) == [1, 2, 3] and other.of(bad) == [1, 2, 3]
    now = heard(process, bad)["ear"]
    assert now.parked_at is not None and now.due_at is None and now.attempts == ATTEMPTS
    assert count(process, "session where news is not null") == 0
    assert process.dispatcher.store.read(lambda tx: positions.standing(tx, known(tx, "ear"))).parked == 1


def known(transaction: Transaction, name: str) -> consumers.Registered:
    return next(one for one in consumers.registered(transaction) if one.name == name)


def parked(running: Running, ear: Ear) -> tuple[Process, str]:
    """A process in which a hook is parked at revision 2 of three."""
    process = running(ear.hook)
    session = started(process, 2)
    ear.fails_at = {(session, 2)}
    for _ in range(ATTEMPTS):
        process.finish_after(LONGEST_PAUSE)
    return process, session


def test_a_parked_hook_that_is_resumed_tries_again_and_goes_on(running: Running) -> None:
    ear = Ear()
    process, session = parked(running, ear)
    ear.fails_at = set()
    assert process.dispatcher.store.write(lambda tx: positions.resume(tx, "ear", None)) == 1
    process.finish()
    assert ear.of(session) == [1, 2, 3]


def test_a_parked_hook_that_is_to_skip_goes_on_after_what_it_failed_at(running: Running) -> None:
    ear = Ear()
    process, session = parked(running, ear)
    record = record_of(process, session)
    assert process.dispatcher.store.write(lambda tx: positions.skip(tx, "ear", record)) == 2
    process.finish()
    assert ear.of(session) == [1, 3] and heard(process, session)["ear"] == consumers.Heard(3)
    assert process.dispatcher.store.write(lambda tx: positions.skip(tx, "ear", record)) is None


def test_a_hook_that_is_to_skip_the_last_change_is_through(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    session = started(process)
    ear.fails_at = {(session, 1)}
    process.finish()
    process.dispatcher.store.write(lambda tx: positions.skip(tx, "ear", record_of(process, session)))
    process.finish()
    assert heard(process, session)["ear"] == consumers.Heard(1) and not ear.heard


def test_a_hook_that_is_forgotten_while_it_runs_harms_nobody(running: Running) -> None:
    ear, other = Ear(), Ear("other")
    process = running(ear.hook, other.hook)
    ear.may.clear()
    session = started(process)
    process.look()
    assert ear.began.acquire(timeout=SECONDS)
    process.dispatcher.store.write(lambda tx: consumers.forget(tx, "ear"))
    ear.may.set()
    process.finish()
    assert other.of(session) == [1] and heard(process, session).keys() == {"other"}


def test_a_slow_hook_holds_up_its_own_session_only(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    ear.may.clear()
    slow = started(process)
    process.look()
    assert ear.began.acquire(timeout=SECONDS)
    quick = [started(process) for _ in range(THREADS)]
    other = Ear("other")
    process.dispatcher.store.write(lambda tx: consumers.register(tx, "other", "hook", "tally"))
    for _ in range(3):
        process.look()
    assert not other.heard  # not loaded here
    held = [began for began in (ear.began.acquire(timeout=SECONDS) for _ in range(THREADS - 1)) if began]
    assert len(held) == THREADS - 1
    ear.may.set()
    process.finish()
    assert sorted(ear.heard) == sorted([(slow, 1), *((session, 1) for session in quick)])


def test_who_dies_before_it_noted_what_was_heard_has_it_heard_again(running: Running) -> None:
    slow, quick = Ear(), Ear()
    slow.may.clear()
    one, two = running(slow.hook), running(quick.hook)
    session = started(one, 1)
    one.look()
    assert slow.began.acquire(timeout=SECONDS)
    two.finish()
    assert not quick.heard  # it is the other's
    one.die()
    two.finish()
    assert quick.of(session) == [1, 2]
    tick(two, session)
    two.finish()
    slow.may.set()
    assert slow.began.acquire(timeout=SECONDS)  # the second change: it does not know that it is dead
    one.job.let_go()
    one.job.close()
    assert quick.of(session) == [1, 2, 3] and heard(two, session)["ear"] == consumers.Heard(3)


def test_a_lease_that_is_lost_in_a_look_has_nobody_hear(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    store, registry = After(process.dispatcher.store), process.dispatcher.registry
    job = News(store, registry, {hooked.KIND: hooked.serving(registry)})  # type: ignore[arg-type]
    store.then = job.let_go
    session = started(process)
    job.look(process.worker)
    assert count(process, "claim") == 1  # until the lease is given back
    job.look(process.worker)
    job.close()
    assert not ear.began.acquire(timeout=0.2)
    process.die()
    with passing(process.dispatcher) as another:
        another.finish()
    assert ear.of(session) == [1]


def test_what_one_heard_whose_claim_is_gone_is_not_noted(running: Running) -> None:
    ear = Ear()
    ear.may.clear()
    process = running(ear.hook)
    session = started(process)
    process.look()
    assert ear.began.acquire(timeout=SECONDS)
    process.dispatcher.store.write(lambda tx: tx.execute("delete from claim"))
    ear.may.set()
    process.finish()
    assert ear.of(session) == [1, 1] and heard(process, session)["ear"] == consumers.Heard(1)


def test_two_processes_share_the_sessions(running: Running) -> None:
    mine, yours = Ear(), Ear()
    one, two = running(mine.hook), running(yours.hook)
    mine.may.clear()
    sessions = [started(one) for _ in range(SESSIONS + 20)]
    one.look()
    two.finish()
    mine.may.set()
    one.finish()
    assert len(mine.heard) == SESSIONS and sorted(mine.heard + yours.heard) == sorted((name, 1) for name in sessions)


def test_who_serves_gets_the_sessions_of_who_worked_before_it_came(dispatcher_of: Dispatchers) -> None:
    mine, yours = Ear(), Ear()
    mine.may.clear()
    first, second = (dispatcher_of(Tally, hooks=hooks_of(ear.hook)) for ear in (mine, yours))
    with Worker(first.store, "stdio", [job_of(first)], timedelta(seconds=2)) as worker:
        session = first.start(LOCAL, "tally").session
        assert mine.began.acquire(timeout=SECONDS)
        with Worker(second.store, "serve", [job_of(second)], HOUR):
            until(lambda: worker.holder is None)
            mine.may.set()
            second.dispatch(Call(principal=LOCAL, world="tally", action="tick", session=session))
            until(lambda: bool(yours.heard))
            assert mine.of(session) == [1] and yours.of(session) == [2]


def test_a_hook_that_is_not_loaded_here_waits_for_who_has_it(running: Running) -> None:
    ear, other = Ear(), Ear("other")
    having, lacking = running(ear.hook, other.hook), running(other.hook)
    session = started(lacking, 1)
    lacking.finish()
    assert other.of(session) == [1, 2] and not ear.heard
    assert count(lacking, "session where news is not null") == 0 and heard(lacking, session)["ear"].due_at is not None
    tick(lacking, session)
    lacking.finish()
    having.finish()
    assert ear.of(session) == [1, 2, 3] and other.of(session) == [1, 2, 3]


def test_a_hook_that_comes_to_hear_of_more_worlds_starts_at_the_present_there(running: Running) -> None:
    narrow, all_of_them = Ear(), Ear("all", world=None)
    process = running(narrow.hook, all_of_them.hook)
    tally, other = started(process, 1), touched(process)
    process.finish()
    tick(process, tally)
    wide = Ear(world=None)
    process = running(wide.hook, all_of_them.hook)
    process.finish()
    assert wide.of(tally) == [3] and not wide.of(other)
    assert process.dispatcher.store.read(lambda tx: owed.is_owed(tx, tx.session(other))) is False  # type: ignore[arg-type]
    touched(process, other)
    process.finish()
    assert wide.of(other) == [3]


def test_a_world_that_is_not_loaded_here_is_left_alone(running: Running) -> None:
    ear = Ear(world=None)
    having, lacking = running(ear.hook), running(ear.hook, worlds=(Other,))
    session = started(having, 1)
    lacking.finish()
    assert not ear.heard and count(lacking, "session where news is not null") == 1
    having.finish()
    assert ear.of(session) == [1, 2]


def test_a_session_of_a_newer_version_is_left_alone(running: Running) -> None:
    @on_change(World, name="all")
    def note(change: Change) -> None:
        found.append(change.revision)

    found: list[int] = []
    new, old = running(note, worlds=(NewTally,)), running(note, worlds=(Tally,))
    started(new)
    old.finish()
    assert not found and count(old, "session where news is not null") == 1
    new.finish()
    assert found == [1]


def test_a_forks_past_is_not_told(running: Running) -> None:
    ear = Ear(from_start=True)
    process = running(ear.hook)
    origin = started(process, 2)
    fork = process.dispatcher.fork(LOCAL, origin).session
    process.finish()
    assert ear.of(fork) == []
    tick(process, fork)
    process.finish()
    assert ear.of(fork) == [4] and ear.of(origin) == [1, 2, 3]


def test_an_imports_past_is_not_told(running: Running, tmp_path: Path) -> None:
    ear = Ear(from_start=True)
    process = running(ear.hook)
    origin, file = started(process, 2), tmp_path / "tally.db"
    process.finish()
    process.dispatcher.export(LOCAL, origin, file)
    made = process.dispatcher.import_file(LOCAL, file).session
    tick(process, made)
    process.finish()
    assert ear.of(made) == [4]


def test_an_erased_session_is_told_to_nobody(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    session = started(process, 1)
    process.dispatcher.erase(OPERATOR, session)
    process.finish()
    assert not ear.heard


class Copyist:
    """A consumer that writes what it hears of into the transaction that notes it."""

    def __init__(self) -> None:
        self.fails = False

    def spread(self, transaction: Transaction, record: Record, changes: Sequence[Change]) -> None:
        for change in changes:
            values = (f"{record.handle} {change.revision}", change.revision)
            transaction.execute("insert into progress (name, at) values (?, ?)", values)
        if self.fails:
            raise RuntimeError("no")


def test_who_spreads_writes_in_the_transaction_that_notes_it(running: Running) -> None:
    copyist = Copyist()
    process = running(copy=lambda consumer: copyist)
    process.dispatcher.store.write(lambda tx: consumers.register(tx, "copyist", "copy", None))
    session = started(process, hearing.AT_ONCE + 1)
    process.finish()
    assert count(process, "progress") == hearing.AT_ONCE + 2
    copyist.fails = True
    tick(process, session)
    process.finish()
    assert count(process, "progress") == hearing.AT_ONCE + 2 and heard(process, session)["copyist"].attempts
    copyist.fails = False
    process.finish_after(HOUR)
    assert count(process, "progress") == hearing.AT_ONCE + 3 and heard(process, session)["copyist"].attempts == 0


def test_a_process_that_ends_notes_what_hooks_have_heard(running: Running) -> None:
    ear = Ear()
    ear.may.clear()
    process = running(ear.hook)
    session = started(process, 1)
    process.look()
    assert ear.began.acquire(timeout=SECONDS)
    closing = threading.Thread(target=process.job.close)
    closing.start()
    ear.may.set()
    closing.join()
    assert 1 <= heard(process, session)["ear"].revision <= 2 and count(process, "claim") == 0
    running(ear.hook).finish()
    assert ear.of(session) == [1, 2]


def test_a_worker_has_hooks_told_soon_after_the_change(running: Running) -> None:
    ear = Ear()
    process = running(ear.hook)
    process.die()
    with Worker(process.dispatcher.store, "serve", [process.job], timedelta(seconds=15)) as worker:
        process.dispatcher.listeners.append(worker.tell)
        session = started(process, 1)
        assert ear.began.acquire(timeout=SECONDS) and ear.began.acquire(timeout=SECONDS)
    assert ear.of(session) == [1, 2] and heard(process, session)["ear"] == consumers.Heard(2)


def test_what_cannot_be_noted_together_is_noted_one_by_one_and_harms_no_other(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    class Poison:
        def spread(self, transaction: Transaction, record: Record, changes: Sequence[Change]) -> None:
            if record.handle in bad:
                raise KeyboardInterrupt  # no fault of the consumer's, so the whole transaction fails

    bad: set[str] = set()
    ear = Ear()
    process = running(ear.hook, copy=lambda consumer: Poison())
    process.dispatcher.store.write(lambda tx: consumers.register(tx, "poison", "copy", None))
    good, wrong = started(process), started(process)
    bad.add(wrong)
    with pytest.raises(KeyboardInterrupt):
        process.finish()
    bad.clear()
    process.finish()
    assert heard(process, good)["poison"] == heard(process, wrong)["poison"] == consumers.Heard(1)
    assert sorted(ear.heard) == sorted([(good, 1), (wrong, 1)]) and count(process, "claim") == 0
