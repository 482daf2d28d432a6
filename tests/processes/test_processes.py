"""Several processes on one database: no revision is skipped, no action lost, and each gets its share."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from threading import Thread

import pytest

from engine.application import open_store
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL
from worlds.counter import Counter as CounterWorld

PROCESSES = 4
ACTIONS = 2000
THREADS = 4
FORKING = multiprocessing.get_context("forkserver")

Seen = list[tuple[str, str, int, str]]
"""What a process was answered: session, key, revision, value."""


def act(url: str, sessions: list[str], keys: list[str], start: Connection, answers: Connection) -> None:
    """One process: acts on the sessions in turn under these keys, once it is told to start."""
    store = open_store(Settings(database_url=url, limit_seconds=60))
    dispatcher = Dispatcher(store, Registry([CounterWorld]))
    seen: Seen = []
    wanted = iter(list(enumerate(keys)))

    def work() -> None:
        for number, key in wanted:
            session = sessions[number % len(sessions)]
            call = Call(principal=LOCAL, world="counter", session=session, action="add", arguments={"a": 1}, key=key)
            outcome = dispatcher.dispatch(call)
            seen.append((session, key, outcome.replayed or outcome.revision, outcome.value))

    answers.send("ready")
    start.recv()
    threads = [Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()
    answers.send(seen)


def together(url: str, sessions: list[str], keys: list[list[str]]) -> list[Seen]:
    """What processes were answered that began at the same moment, each with its keys."""
    ends = [(FORKING.Pipe(duplex=False), FORKING.Pipe(duplex=False)) for _ in keys]
    children = [
        FORKING.Process(target=act, args=(url, sessions, own, start, answer), daemon=True)
        for own, ((start, _), (_, answer)) in zip(keys, ends, strict=True)
    ]
    for child, (_, (_, answer)) in zip(children, ends, strict=True):
        child.start()
        answer.close()
    for _, (answers, _) in ends:
        assert answers.recv() == "ready"
    for (_, begin), _ in ends:
        begin.send("go")
    found: list[Seen] = [answers.recv() for _, (answers, _) in ends]
    for child in children:
        child.join()
    return found


@pytest.fixture
def whole(dispatcher_of: Callable[..., Dispatcher]) -> Iterator[Dispatcher]:
    """A dispatcher on the database that the processes use."""
    yield dispatcher_of(CounterWorld)


@pytest.mark.parametrize("sessions", [1, 50])
def test_two_thousand_actions_of_four_processes_leave_no_gap_and_lose_nothing(whole: Dispatcher, sessions: int) -> None:
    handles = [whole.start(LOCAL, "counter").session for _ in range(sessions)]
    keys = [[f"{process}-{number}" for number in range(ACTIONS // PROCESSES)] for process in range(PROCESSES)]
    parts = together(whole.store.url, handles, keys)
    seen = [answer for part in parts for answer in part]
    assert Counter(key for _, key, _, _ in seen) == Counter(key for own in keys for key in own)
    for handle in handles:
        mine = sorted((revision, value) for session, _, revision, value in seen if session == handle)
        # Revision 1 is the start, and the total begins at 1: so every total is its revision, and says who was before.
        assert mine == [(n, f"Added 1, total is now {n}") for n in range(2, len(mine) + 2)]
        history = whole.history(LOCAL, handle)
        assert [change["revision"] for change in history] == list(range(1, len(mine) + 2))
    assert min(shares(parts, sessions)) >= ACTIONS // PROCESSES // 2 // 4, shares(parts, sessions)


def shares(parts: list[Seen], sessions: int) -> list[int]:
    """How many actions of the first half of every session are whose."""
    half = ACTIONS // sessions // 2 + 1
    return [sum(revision <= half for _, _, revision, _ in part) for part in parts]


def test_the_same_keys_sent_by_several_processes_at_once_are_each_done_once(whole: Dispatcher) -> None:
    handle = whole.start(LOCAL, "counter").session
    keys = [f"key {number}" for number in range(200)]
    seen = [answer for part in together(whole.store.url, [handle], [keys] * PROCESSES) for answer in part]
    assert len(seen) == 200 * PROCESSES and len(set(seen)) == 200
    assert whole.now(LOCAL, handle).revision == 201
