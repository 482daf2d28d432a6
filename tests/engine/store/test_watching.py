"""The hint that something may have been committed, whoever did."""

import time
from collections.abc import Callable, Iterator
from threading import Thread

import pytest

from engine.store.stores import Store
from engine.store.watching import Watch

SECONDS = 20.0
QUIET = 0.3


@pytest.fixture
def stores(store_of: Callable[..., Store]) -> tuple[Store, Store]:
    """Two stores on one database, as of two processes."""
    return store_of(), store_of()


@pytest.fixture
def watch(stores: tuple[Store, Store]) -> Iterator[Watch]:
    """What waits at the first, when it has nothing to say any more."""
    found = stores[0].watching()
    assert found.wait(SECONDS), "what was before is unknown, so one has to look"
    while found.wait(QUIET):
        pass
    yield found
    found.close()


def committed(store: Store) -> None:
    store.write(lambda transaction: transaction.secret(f"hint-{time.monotonic_ns()}"))


def test_a_commit_is_hinted_at_whichever_process_it_is_of(stores: tuple[Store, Store], watch: Watch) -> None:
    for store in (stores[1], stores[0], stores[1]):
        committed(store)
        assert watch.wait(SECONDS)
        while watch.wait(QUIET):
            pass


def test_without_a_commit_there_is_no_hint(stores: tuple[Store, Store], watch: Watch) -> None:
    stores[1].read(lambda transaction: transaction.secret)
    began = time.monotonic()
    assert not watch.wait(QUIET)
    assert time.monotonic() - began >= QUIET * 0.9


def test_many_commits_are_few_hints(stores: tuple[Store, Store], watch: Watch) -> None:
    for _ in range(200):
        committed(stores[1])
    hints = 0
    while watch.wait(QUIET):
        hints += 1
    assert 1 <= hints <= 3


@pytest.mark.parametrize("end", [False, True])
def test_who_waits_goes_on_when_woken_or_when_it_ends(watch: Watch, end: bool) -> None:
    waiting = Thread(target=watch.wait, args=(SECONDS * 10,))
    waiting.start()
    if end:
        watch.close()
    else:
        watch.wake()
    waiting.join(SECONDS)
    assert not waiting.is_alive()
