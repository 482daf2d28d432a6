"""Sweeping: the job that tidies up every few minutes, in small bites, and never harms anybody by failing."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import TypeAlias

from engine.batches import sweep
from engine.dispatch import Dispatcher
from engine.errors import EngineError, NotFound
from engine.logs import trace
from engine.retention import prune
from engine.store import owed
from engine.store.progress import through
from engine.store.records import Transaction
from engine.types import OPERATOR, Change

GoOn: TypeAlias = Callable[[], bool]
Task: TypeAlias = Callable[[GoOn], object]
"""Something to tidy up, for as long as what it is given says so; called again, it goes on where it stopped."""

EVERY_SECONDS = 300.0
BITE_SECONDS = 0.5
"""How long a task goes on until the process is asked again whether it may work."""
ABANDONED_AFTER = timedelta(minutes=15)
"""How long a batch may rest before it counts as left by a process that is gone."""

logger = logging.getLogger(__name__)


def tasks_of(dispatcher: Dispatcher, retention: timedelta | None, expired_for: timedelta | None) -> dict[str, Task]:
    """What is to be tidied up in a store: what was erased or abandoned, expired long ago, or is no longer kept."""
    store, registry = dispatcher.store, dispatcher.registry
    tasks: dict[str, Task] = {"batches": lambda go_on: sweep(store, registry, store.now() - ABANDONED_AFTER)}
    if expired_for is not None:
        tasks["expired"] = lambda go_on: erase_expired(dispatcher, expired_for, go_on)
    if retention is not None:
        tasks["journals"] = lambda go_on: prune(store, retention, go_on)
    return tasks


def erase_expired(dispatcher: Dispatcher, expired_for: timedelta, go_on: GoOn = lambda: True) -> int:
    """Erase the sessions that expired so long ago and of which nothing is still to come, as the operator; how many."""
    store, now, erased = dispatcher.store, dispatcher.store.now(), 0
    idle = {
        definition.name: (definition.version, now - definition.expires_after - expired_for)
        for definition in dispatcher.registry.worlds.values()
        if definition.expires_after is not None
    }

    def found(transaction: Transaction, after: int, until: int) -> list[tuple[int, str]]:
        return sorted(
            one
            for world, (version, before) in idle.items()
            for one in owed.expired(transaction, world, version, before, after, until)
        )

    def bite(after: int, until: int) -> int:
        nonlocal erased
        for session_id, handle in store.read(partial(found, after=after, until=until)):
            if store.read(partial(owed.is_free, session_id=session_id)):
                erased += _erase(dispatcher, handle)
            if not go_on():
                return session_id
        return until

    if idle:
        through(store, "expired", bite, go_on)
    return erased


def _erase(dispatcher: Dispatcher, handle: str) -> bool:
    """Erase a session; whether it could be. One that cannot does not keep others from it."""
    try:
        dispatcher.erase(OPERATOR, handle)
    except NotFound:  # another process was faster
        return False
    except EngineError as error:
        logger.error("the expired session %s could not be erased: %s", handle, trace(error))
        return False
    return True


class Sweeping:
    """Carries out every task each few minutes, for half a second at a time; first after `begins` seconds."""

    name = "sweeping"

    def __init__(self, tasks: Mapping[str, Task], begins: float = EVERY_SECONDS) -> None:
        self._tasks = tasks
        self._left: list[str] = []
        self._begins_at = time.monotonic() + begins

    def concerns(self, change: Change) -> bool:
        """No change is a reason to tidy up."""
        return False

    def look(self, holder: str) -> float:
        """Carry out a bite of the next task, if it is time."""
        if not self._left:
            wait = self._begins_at - time.monotonic()
            if wait > 0:
                return wait
            self._left = list(self._tasks)
        if self._left and self._is_done(self._left[0]):
            del self._left[0]
        if self._left:
            return 0.0
        self._begins_at = time.monotonic() + EVERY_SECONDS
        return EVERY_SECONDS

    def step_back(self, holder: str) -> float:
        """Nothing is under way between two looks."""
        return EVERY_SECONDS

    def let_go(self) -> None:
        """Nothing is held: what two processes tidy up at a time is tidied up once."""

    def close(self) -> None:
        """Nothing is under way between two looks."""

    def _is_done(self, name: str) -> bool:
        """Carry out a bite of a task; whether it came to its end. One that fails is logged, and done for now."""
        until, cut_off = time.monotonic() + BITE_SECONDS, False

        def go_on() -> bool:
            nonlocal cut_off
            cut_off = cut_off or time.monotonic() >= until
            return not cut_off

        try:
            self._tasks[name](go_on)
        except Exception as error:  # whatever it is, the others are still to do
            logger.error("sweeping %s failed: %s", name, trace(error))
            return True
        return not cut_off
