"""What is swept, what is kept since something is still to come of it, and that sweeping goes on where it stopped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from pydantic import BaseModel

from engine import Change, World, action, on_change
from engine.background.sweeping import erase_expired
from engine.dispatch import Dispatcher
from engine.errors import NotFound
from engine.hooks import HookFunction
from engine.operations import Call
from engine.retention import prune
from engine.store import consumers, progress
from engine.store.records import Transaction
from engine.types import LOCAL, OPERATOR
from tests.hearing import Process, hooks_of, passing

DAY = timedelta(days=1)
IDLE, KEPT = 3 * DAY, 5 * DAY


class Count(BaseModel):
    number: int = 0


class Bread(World, rows=[], expires_after=IDLE):
    """Bread, which does not keep."""

    data: Count

    @action
    def cut(self) -> None:
        """Cut a slice."""
        self.data.number += 1


class Stone(World, rows=[]):
    """A stone, which keeps."""

    data: Count

    @action
    def turn(self) -> None:
        """Turn it."""
        self.data.number += 1


Running = Callable[..., Process]


@pytest.fixture
def running(dispatcher_of: Callable[..., Dispatcher]) -> Iterator[Running]:
    with ExitStack() as stack:

        def run(*functions: HookFunction) -> Process:
            return stack.enter_context(passing(dispatcher_of(Bread, Stone, hooks=hooks_of(*functions))))

        yield run


def baked(process: Process, slices: int = 1) -> str:
    session = process.dispatcher.start(LOCAL, "bread").session
    for _ in range(slices):
        act(process, session, "bread", "cut")
    return session


def act(process: Process, session: str, world: str, action: str) -> None:
    process.dispatcher.dispatch(Call(principal=LOCAL, world=world, action=action, session=session))


def is_there(process: Process, session: str) -> bool:
    try:
        process.dispatcher.now(OPERATOR, session)
    except NotFound:
        return False
    return True


def write(process: Process, statement: str, *values: object) -> None:
    process.dispatcher.store.write(lambda tx: tx.execute(statement, values))


def id_of(process: Process, session: str) -> int:
    def work(transaction: Transaction) -> int:
        record = transaction.session(session)
        assert record is not None
        return record.id

    return process.dispatcher.store.read(work)


def floor(process: Process, session: str) -> int:
    def work(transaction: Transaction) -> int:
        record = transaction.session(session)
        assert record is not None
        return record.floor

    return process.dispatcher.store.read(work)


def effect(process: Process, session: str, revision: int, state: str) -> None:
    write(
        process,
        "insert into effect (session_id, revision, number, name, arguments, key, state, attempts, created_at, due_at,"
        " deadline_at) values (?, ?, 0, 'mail', '{}', 'k', ?, 0, '', '', '')",
        *(id_of(process, session), revision, state),
    )


def delivery(process: Process, session: str, revision: int, state: str) -> None:
    write(
        process,
        "insert into webhook (id, url, types, secrets, created_at) values ('w', 'u', '[]', '[]', '')"
        " on conflict (id) do nothing",
    )
    write(
        process,
        "insert into delivery (id, webhook_id, session_id, revision, type, body, state, attempts, created_at, due_at)"
        " values (?, 'w', ?, ?, 't', '{}', ?, 0, '', '')",
        *(f"d{revision}", id_of(process, session), revision, state),
    )


def test_sessions_that_expired_long_ago_are_erased_and_others_are_not(running: Running) -> None:
    process = running()
    old, stone = baked(process), process.dispatcher.start(LOCAL, "stone").session
    process.dispatcher.store.offset += IDLE + KEPT - DAY
    young = baked(process)
    assert erase_expired(process.dispatcher, KEPT) == 0
    process.dispatcher.store.offset += 2 * DAY
    assert erase_expired(process.dispatcher, KEPT) == 1
    assert [is_there(process, session) for session in (old, stone, young)] == [False, True, True]


def test_an_expired_session_that_a_hook_has_not_heard_of_stays(running: Running) -> None:
    @on_change(Bread, name="ear")
    def note(change: Change) -> None:
        heard.append(change.revision)

    heard: list[int] = []
    process = running(note)
    session = baked(process)
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT) == 0
    process.finish()
    assert heard == [1, 2] and erase_expired(process.dispatcher, KEPT) == 1 and not is_there(process, session)


def test_an_expired_session_waits_for_a_hook_that_nobody_has_until_it_is_forgotten(running: Running) -> None:
    process = running()
    process.dispatcher.store.write(lambda tx: consumers.register(tx, "gone", "hook", "bread"))
    baked(process)
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT) == 0
    process.dispatcher.store.write(lambda tx: consumers.forget(tx, "gone"))
    assert erase_expired(process.dispatcher, KEPT) == 1


@pytest.mark.parametrize("state", ["waiting", "parked"])
def test_an_expired_session_with_an_effect_to_come_stays(running: Running, state: str) -> None:
    process = running()
    effect(process, baked(process), 2, state)
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT) == 0
    write(process, "update effect set state = 'done'")
    assert erase_expired(process.dispatcher, KEPT) == 1


def test_an_expired_session_with_a_delivery_to_come_stays(running: Running) -> None:
    process = running()
    delivery(process, baked(process), 2, "waiting")
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT) == 0
    write(process, "update delivery set state = 'dead'")
    assert erase_expired(process.dispatcher, KEPT) == 1


def test_an_expired_session_with_a_timer_stays(running: Running) -> None:
    process = running()
    session = baked(process)
    write(process, "update session set timers = '[1]', due_at = updated_at where handle = ?", session)
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT) == 0
    write(process, "update session set timers = null, due_at = null")
    assert erase_expired(process.dispatcher, KEPT) == 1


def test_erasing_goes_on_where_it_stopped(running: Running) -> None:
    process = running()
    sessions = [baked(process, 0) for _ in range(3)]
    process.dispatcher.store.offset += IDLE + KEPT
    assert erase_expired(process.dispatcher, KEPT, lambda: False) == 1
    assert [is_there(process, session) for session in sessions] == [False, True, True]
    assert erase_expired(process.dispatcher, KEPT) == 2


def test_going_through_all_sessions_goes_on_where_the_last_bite_came_to(running: Running) -> None:
    process = running()
    for _ in range(5):
        baked(process, 0)
    store, bites = process.dispatcher.store, list[tuple[int, int]]()

    def bite(after: int, until: int) -> int:
        bites.append((after, until))
        return until if after != 2 or bites.count((2, 4)) > 1 else 3

    answers = iter([True, False])
    progress.through(store, "test", bite, lambda: next(answers), span=2)
    assert bites == [(0, 2), (2, 4)]
    bites.clear()
    progress.through(store, "test", bite, lambda: True, span=2)
    progress.through(store, "test", bite, lambda: True, span=2)
    assert bites == [(3, 5), (0, 2), (2, 4), (3, 5)]


def test_who_never_has_time_comes_through_all_the_same(running: Running) -> None:
    process = running()
    kept, free, past = baked(process), baked(process), [turned(process, 3) for _ in range(2)]
    effect(process, kept, 2, "waiting")
    effect(process, past[0], 1, "waiting")
    process.dispatcher.store.offset += IDLE + KEPT
    for _ in range(20):
        erase_expired(process.dispatcher, KEPT, lambda: False)
        prune(process.dispatcher.store, KEPT, lambda: False)
    assert [is_there(process, session) for session in (kept, free)] == [True, False]
    assert [floor(process, session) for session in past] == [1, 4]


def turned(process: Process, days: int) -> str:
    """A stone that was turned once a day."""
    session = process.dispatcher.start(LOCAL, "stone").session
    for _ in range(days):
        process.dispatcher.store.offset += DAY
        act(process, session, "stone", "turn")
    return session


def test_retention_keeps_what_a_hook_has_not_heard(running: Running) -> None:
    @on_change(Stone, name="ear")
    def note(change: Change) -> None:
        if change.revision == 4 and fails:
            raise RuntimeError("no")
        heard.append((change.revision, change.state_before))

    heard: list[tuple[int, str | None]] = []
    fails = True
    process = running(note)
    session = turned(process, 20)
    process.finish()
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) == 3
    fails = False
    process.finish_after(DAY)
    assert [revision for revision, _ in heard] == list(range(1, 22))
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) > 10


def test_retention_keeps_what_no_process_has_passed_on_yet(running: Running) -> None:
    process = running()
    process.dispatcher.store.write(lambda tx: consumers.register(tx, "gone", "hook", None))
    session = turned(process, 20)
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) == 1


def test_retention_keeps_what_an_effect_or_a_webhook_has_not_passed(running: Running) -> None:
    process = running()
    session = turned(process, 20)
    effect(process, session, 5, "waiting")
    delivery(process, session, 9, "waiting")
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) == 4
    write(process, "update effect set state = 'done'")
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) == 9
    write(process, "update delivery set state = 'done'")
    prune(process.dispatcher.store, KEPT)
    assert floor(process, session) > 10
