"""Turns: those that write to one file take them fairly, and nobody waits for ever."""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.errors import Busy
from engine.migrate import upgrade
from engine.store.sqlite import SqliteStore
from engine.store.turns import Turns
from engine.types import LOCAL


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Somebody else's turn, for as long as the block lasts."""
    file = os.open(f"{path}-writing", os.O_RDWR | os.O_CREAT)
    fcntl.flock(file, fcntl.LOCK_EX)
    yield
    os.close(file)


def is_held(path: str) -> bool:
    """Whether anybody has a lock file, or waits there for the other one."""
    file = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def test_turn_that_does_not_come_is_given_up_and_comes_later(tmp_path: Path) -> None:
    turns = Turns(str(tmp_path / "file"), 0.05)
    with held(tmp_path / "file"), pytest.raises(Busy, match=r"kept .* for 0\.05 s"), turns.turn():
        pass
    patient = Turns(str(tmp_path / "file"), 10)
    with patient.turn():
        pass
    with turns.turn():
        pass
    for each in (turns, patient):
        each.close()


def test_whoever_gave_up_keeps_nobody_waiting(tmp_path: Path) -> None:
    impatient, other = Turns(str(tmp_path / "file"), 0.05), Turns(str(tmp_path / "file"), 10)
    with held(tmp_path / "file"):
        with pytest.raises(Busy), impatient.turn():
            pass
        with pytest.raises(Busy), impatient.turn():
            pass
    for _ in range(3):
        with other.turn():
            pass
    impatient.close()
    other.close()


def test_whoever_waits_comes_before_one_that_has_just_written(tmp_path: Path) -> None:
    """However busy one process is, another writes next: with that, two that are always ready alternate."""
    path = tmp_path / "file"
    busy, other = Turns(str(path), 10), Turns(str(path), 10)
    order: list[str] = []

    def write() -> None:
        with other.turn():
            order.append("other")

    for _ in range(50):
        with busy.turn():
            waiting = threading.Thread(target=write)
            waiting.start()
            while not is_held(f"{path}-next"):
                os.sched_yield()
        with busy.turn():
            order.append("busy")
        waiting.join()
    for each in (busy, other):
        each.close()
    assert order == ["other", "busy"] * 50


def test_two_stores_that_are_always_busy_keep_each_other_going(tmp_path: Path) -> None:
    stores = [SqliteStore(str(tmp_path / "shared.db")) for _ in range(2)]
    upgrade(stores[0], ())
    counts = [0, 0]

    def write(which: int) -> None:
        while min(counts) < 50:
            stores[which].write(lambda transaction: transaction.ensure_person(LOCAL))
            counts[which] += 1

    workers = [threading.Thread(target=write, args=(which,)) for which in (0, 1) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    for store in stores:
        store.close()
    assert min(counts) >= 50, counts
