"""Histories of real clients on real stores have no anomaly; those of a store that takes no lock do."""

import multiprocessing
import os
from collections import Counter
from collections.abc import Callable

import pytest

from engine.dispatch import Dispatcher
from tests.isolation.checker import Done, Status, anomalies
from tests.isolation.openers import mutant, sound
from tests.isolation.registers import Registers
from tests.isolation.workload import THREADS, last, run, staged

OPERATIONS = int(os.environ.get("ISOLATION_OPERATIONS", "10000"))
PROCESSES = 2
STEPS = 3
"""Operations of a transaction on average, at least."""
FORKING = multiprocessing.get_context("forkserver")


@pytest.fixture
def url(dispatcher_of: Callable[..., Dispatcher]) -> str:
    """A database of the world of lists."""
    found: str = dispatcher_of(Registers).store.url
    return found


def seen(opener: Callable[[str], Dispatcher], url: str, operations: int) -> list[Done]:
    """What clients in several processes saw, and how everything was in the end."""
    each = operations // STEPS // (PROCESSES * THREADS)
    dispatcher = sound(url)
    stages = staged(dispatcher, each * PROCESSES * THREADS)
    history = []
    pipes = [FORKING.Pipe(duplex=False) for _ in range(PROCESSES)]  # one each: on one, long histories would mix
    children = [
        FORKING.Process(target=run, args=(opener, url, stages, number, each, there), daemon=True)
        for number, (_, there) in enumerate(pipes)
    ]
    for child, (_, there) in zip(children, pipes, strict=True):
        child.start()
        there.close()
    for here, _ in pipes:
        history += here.recv()  # EOFError if a process failed
        here.close()
    for child in children:
        child.join()
    history += last(dispatcher, stages)
    dispatcher.store.close()
    return history


def test_a_long_history_has_no_anomaly(url: str) -> None:
    history = seen(sound, url, OPERATIONS)
    assert sum(len(done.steps) for done in history) >= OPERATIONS * 0.8
    ends = Counter(done.status for done in history)
    assert ends[Status.DONE] > 20 * ends[Status.UNKNOWN] and ends[Status.REFUSED] > 0
    assert anomalies(history) == []


def test_a_store_that_takes_no_lock_is_found_out(url: str) -> None:
    kinds = {anomaly.kind for anomaly in anomalies(seen(mutant, url, 1500))}
    assert "G1a" in kinds and kinds & {"G0", "G1c", "G-single", "lost update", "incompatible order"}
