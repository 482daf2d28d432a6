"""Sweeping: a thread of the server that tidies up every few minutes, and never harms anybody by failing."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeAlias

from engine.batches import sweep
from engine.dispatch import Dispatcher
from engine.logs import trace
from engine.retention import prune

GoOn: TypeAlias = Callable[[], bool]
Task: TypeAlias = Callable[[GoOn], object]
"""Something to tidy up, for as long as what it is given says so."""

EVERY_SECONDS = 300.0
ABANDONED_AFTER = timedelta(minutes=15)
"""How long a batch may rest before it counts as left by a process that is gone."""
PATIENCE = 2.0
"""Seconds that a task gets to notice that the process ends."""

logger = logging.getLogger(__name__)


def tasks_of(dispatcher: Dispatcher, retention: timedelta | None) -> dict[str, Task]:
    """What is to be tidied up in a store: what was erased or abandoned, and the past that is no longer kept."""
    store, registry = dispatcher.store, dispatcher.registry
    tasks: dict[str, Task] = {"batches": lambda go_on: sweep(store, registry, store.now() - ABANDONED_AFTER)}
    if retention is not None:
        tasks["journals"] = lambda go_on: prune(store, retention, go_on)
    return tasks


class Sweeper:
    """Carries out tasks every few minutes, in a thread, for as long as its block lasts."""

    def __init__(self, tasks: Mapping[str, Task], every: float = EVERY_SECONDS) -> None:
        self._tasks = tasks
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="turnkeeper-sweeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)

    def sweep(self) -> None:
        """Carry out every task once; one that fails is logged."""
        for name, task in self._tasks.items():
            if self._ended.is_set():
                return
            try:
                task(lambda: not self._ended.is_set())
            except Exception as error:  # whatever it is, the others are still to do
                logger.error("sweeping %s failed: %s", name, trace(error))

    def _run(self) -> None:
        while not self._ended.wait(self._every):
            self.sweep()
