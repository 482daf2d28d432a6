"""A process that passes news on when a test says so, in the name of a worker of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from engine.background import hooked
from engine.background.consuming import Serving
from engine.background.news import News
from engine.dispatch import Dispatcher
from engine.hooks import HOOK_MARK, Hook, HookFunction
from engine.store import workers
from engine.store.records import Transaction
from engine.store.stores import Store

T = TypeVar("T")
LEASE = timedelta(seconds=60)
SECONDS = 30.0


class Process:
    """What a dispatcher's process does in the background, with the hooks of its registry."""

    def __init__(self, dispatcher: Dispatcher, **kinds: Serving) -> None:
        self.dispatcher = dispatcher
        hooked.make_known(dispatcher.store, dispatcher.registry)
        served = {hooked.KIND: hooked.serving(dispatcher.registry), **kinds}
        self.job = News(dispatcher.store, dispatcher.registry, served)
        self.worker = dispatcher.store.write(
            lambda tx: workers.enter(tx, "serve", "here", tx.now - dispatcher.store.offset, LEASE)
        )

    def look(self) -> float:
        """Look once."""
        return self.job.look(self.worker)

    def finish(self) -> None:
        """Look until nothing is left to do now."""
        until = time.monotonic() + SECONDS
        while self.look() == 0.0:
            assert time.monotonic() < until, "there is always something to do"

    def finish_after(self, pause: timedelta) -> None:
        """The same, after the clock went on."""
        self.dispatcher.store.offset += pause
        self.finish()

    def die(self) -> None:
        """Lose the lease as a process does that is gone."""
        self.dispatcher.store.write(lambda tx: workers.leave(tx, self.worker))


@contextmanager
def passing(dispatcher: Dispatcher, **kinds: Serving) -> Iterator[Process]:
    """A process for as long as the block lasts."""
    process = Process(dispatcher, **kinds)
    try:
        yield process
    finally:
        process.job.close()


class After:
    """A store that does something after each write."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.then: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def write(self, work: Callable[[Transaction], T]) -> T:
        found = self._store.write(work)
        self.then()
        return found


def hooks_of(*functions: HookFunction) -> list[Hook]:
    """The hooks that functions were decorated as."""
    return [hook for function in functions for hook in getattr(function, HOOK_MARK)]
