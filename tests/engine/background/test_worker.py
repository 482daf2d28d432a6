"""Who does background work: leases that are renewed, lost, taken over and returned."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import pytest

from engine.background.worker import Worker
from engine.store import workers
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

LONG, SHORT = timedelta(seconds=30), timedelta(seconds=0.4)
SECONDS = 20.0


class Watch:
    """A job that notes in whose name it looks, and when it is told to let go or to close."""

    name = "watch"

    def __init__(self, trouble: Exception | None = None) -> None:
        self.holders: list[str] = []
        self.looked = threading.Semaphore(0)
        self.released = threading.Event()
        self.stepped_back = threading.Event()
        self.closed = threading.Event()
        self._trouble = trouble

    def concerns(self, change: Change) -> bool:
        return True

    def look(self, holder: str) -> float:
        self.holders.append(holder)
        self.looked.release()
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        return 0.05

    def step_back(self, holder: str) -> float:
        self.stepped_back.set()
        return 0.05

    def let_go(self) -> None:
        self.released.set()

    def close(self) -> None:
        self.closed.set()

    def has_looked(self, times: int = 1) -> bool:
        return all(self.looked.acquire(timeout=SECONDS) for _ in range(times))


def held(store: Store) -> int:
    """How many workers there are."""
    return int(store.read(lambda tx: tx.execute("select count(*) from worker").fetchone()[0]))


def evict(store: Store) -> None:
    store.write(lambda tx: workers.evict(tx, tx.now + timedelta(days=1)))


def test_a_worker_looks_in_its_own_name_and_returns_its_lease(store_of: Callable[..., Store]) -> None:
    store, watch = store_of(), Watch()
    with Worker(store, "serve", [watch], LONG):
        assert watch.has_looked(3) and held(store) == 1
    assert watch.closed.is_set() and held(store) == 0 and len(set(watch.holders)) == 1


def test_who_serves_goes_first_and_others_work_when_it_is_gone(store_of: Callable[..., Store]) -> None:
    store, other = store_of(), Watch()
    with ExitStack() as serving:
        first = Watch()
        serving.enter_context(Worker(store, "serve", [first], LONG))
        assert first.has_looked()
        with Worker(store_of(), "stdio", [other], SHORT):
            assert first.has_looked(5) and not other.holders
            serving.close()
            assert other.has_looked(2)


def test_who_works_steps_back_when_one_that_serves_comes(store_of: Callable[..., Store]) -> None:
    store, first, other = store_of(), Watch(), Watch()
    with Worker(store_of(), "stdio", [other], timedelta(seconds=2)):
        assert other.has_looked()
        with Worker(store, "serve", [first], LONG):
            assert other.stepped_back.wait(SECONDS) and first.has_looked() and not other.released.is_set()


def test_two_that_serve_work_side_by_side(store_of: Callable[..., Store]) -> None:
    store, one, two = store_of(), Watch(), Watch()
    with Worker(store, "serve", [one], LONG), Worker(store_of(), "serve", [two], LONG):
        assert one.has_looked(2) and two.has_looked(2)
        assert set(one.holders).isdisjoint(two.holders) and held(store) == 2


def test_who_lost_the_lease_lets_go_and_goes_on_under_another_name(store_of: Callable[..., Store]) -> None:
    store, watch = store_of(), Watch()
    with Worker(store, "serve", [watch], SHORT):
        assert watch.has_looked()
        evict(store)
        assert watch.released.wait(SECONDS)
        watch.holders.clear()
        assert watch.has_looked(20)
        assert held(store) == 1 and len(set(watch.holders[1:])) == 1


def test_who_cannot_renew_the_lease_lets_go_before_it_is_over(store_of: Callable[..., Store]) -> None:
    store, watch, lease = store_of(), Watch(), timedelta(seconds=2)

    def hold(transaction: Transaction) -> bool:
        transaction.execute("update worker set place = 'held'")
        return watch.released.wait(SECONDS)

    with Worker(store, "serve", [watch], lease):
        assert watch.has_looked()
        assert store.write(hold)
        assert watch.has_looked(20) and held(store) == 1


def test_a_lease_that_nobody_renews_is_forgotten_by_the_next(store_of: Callable[..., Store]) -> None:
    store, watch = store_of(), Watch()
    store.write(lambda tx: workers.enter(tx, "serve", "gone", tx.now - timedelta(hours=1), SHORT))
    with Worker(store, "stdio", [watch], LONG):
        assert watch.has_looked() and held(store) == 1


def test_a_clock_that_is_moved_takes_nobodys_lease_away(store_of: Callable[..., Store]) -> None:
    store, watch = store_of(), Watch()
    with Worker(store, "serve", [watch], timedelta(seconds=4)):
        assert watch.has_looked()
        store.offset += timedelta(days=400)
        assert watch.has_looked(50) and not watch.released.is_set() and len(set(watch.holders)) == 1


def test_a_look_that_fails_is_logged_and_costs_no_later_one(
    store_of: Callable[..., Store], caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch(RuntimeError("bad"))
    with Worker(store_of(), "serve", [watch], LONG):
        assert watch.has_looked(2)
    assert "watch: a look failed" in caplog.text


def test_a_change_wakes_whom_it_concerns(store_of: Callable[..., Store]) -> None:
    class Sleeper(Watch):
        def look(self, holder: str) -> float:
            super().look(holder)
            return 3600.0

    watch = Sleeper()
    with Worker(store_of(), "serve", [watch], LONG) as worker:
        assert watch.has_looked()
        before = len(watch.holders)
        worker.wake()
        assert watch.has_looked() and len(watch.holders) > before
