"""A process that is killed while it takes in what is large: what was answered is whole, what was not is swept."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from datetime import timedelta

import pytest

from engine import failpoints
from engine.batches import sweep
from engine.dispatch import Dispatcher
from engine.registry import Registry
from engine.store.postgres import PostgresStore
from engine.store.sqlite import SqliteStore
from engine.types import LOCAL
from tests.engine.parts import MANY, Library, call, pages, stored, taken_in

FORKING = multiprocessing.get_context("forkserver")
FORKING.set_forkserver_preload(["tests.engine.parts", "engine.store.postgres"])


def take_in(url: str, failpoint: str) -> None:
    """Take in many pages under a key, and be killed."""
    store = PostgresStore(url, writers=2, readers=2) if "postgresql" in url else SqliteStore(url.partition("///")[2])
    dispatcher = Dispatcher(store, Registry([Library]))
    failpoints.arm(failpoint)
    taken_in(dispatcher, key="once")
    os._exit(0)


def killed(dispatcher: Dispatcher, failpoint: str) -> None:
    """Have a process killed at a point."""
    child = FORKING.Process(target=take_in, args=(dispatcher.store.url, failpoint))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("at", ["part_begun@1", "part_mid@1", "part_written@1", "after_method@1", "after_journal@1"])
def test_what_was_not_answered_is_absent_and_swept(dispatcher_of: Callable[..., Dispatcher], at: str) -> None:
    library = dispatcher_of(Library)
    library.main(LOCAL, "library")
    killed(library, at)
    assert (pages(library), stored(library)[1]) == (0, 1)
    library.store.offset = timedelta(hours=1)
    sweep(library.store, library.registry, library.store.now() - timedelta(minutes=15))
    assert stored(library) == (0, 0)
    assert taken_in(library, key="once").revision == 2
    assert (pages(library), stored(library)) == (MANY, (MANY, 0))


def test_what_was_committed_is_whole_and_replayed(dispatcher_of: Callable[..., Dispatcher]) -> None:
    library = dispatcher_of(Library)
    library.main(LOCAL, "library")
    killed(library, "before_reply@1")
    assert (pages(library), stored(library)) == (MANY, (MANY, 0))
    assert taken_in(library, key="once").replayed == 2
    library.dispatch(call("undo", library.main(LOCAL, "library")))
    assert pages(library) == 0
