"""The clock: does what is due in any session, whose own next change would only do it when somebody comes."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.dispatch import Dispatcher
from engine.logs import trace
from engine.store.timing import first_due
from engine.types import Change

OFTEN = 1.0
"""Seconds from one look to the next, at most."""
PAGE = 50
"""Sessions that are looked for at once."""
LONGEST_PAUSE = 60.0
"""Seconds that a session is left alone at most, in which something went wrong."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Pause:
    """How long a session is left alone: `until` is in seconds of `time.monotonic`."""

    seconds: float
    until: float


class Clock:
    """The job `timers`. No lease guards what it does: a timer is a part of its session, and gone by what it did."""

    name = "timers"

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._pauses: dict[str, _Pause] = {}

    def concerns(self, change: Change) -> bool:
        """Whether something is due after a change."""
        return change.due_at is not None

    def look(self, holder: str) -> float:
        """Do what is due; after how many seconds to look again."""
        worlds = {name: world.version for name, world in self._dispatcher.registry.worlds.items()}
        limit = PAGE + len(self._pauses)
        now, found = self._dispatcher.store.read(lambda tx: (tx.now, first_due(tx, worlds, limit)))
        self._forget_pauses({handle for handle, _ in found})
        due = [handle for handle, at in found if at <= now and not self._rests(handle)]
        for handle in due:
            self._fire(handle)
        return 0.0 if due else min([OFTEN, *((at - now) / timedelta(seconds=1) for _, at in found if at > now)])

    def step_back(self, holder: str) -> float:
        """Nothing is under way between two looks."""
        return OFTEN

    def let_go(self) -> None:
        """Nothing is under way between two looks."""

    def close(self) -> None:
        """Nothing is under way between two looks."""

    def _fire(self, handle: str) -> None:
        try:
            self._dispatcher.fire(handle)
        except Exception as error:  # whatever it is, the other sessions are still to do
            before = self._pauses.get(handle)
            seconds = OFTEN if before is None else min(LONGEST_PAUSE, 2 * before.seconds)
            self._pauses[handle] = _Pause(seconds, time.monotonic() + seconds)
            logger.error("the timers of %s are left alone for %g s: %s", handle, seconds, trace(error))
        else:
            self._pauses.pop(handle, None)

    def _rests(self, handle: str) -> bool:
        pause = self._pauses.get(handle)
        return pause is not None and time.monotonic() < pause.until

    def _forget_pauses(self, waiting: set[str]) -> None:
        for handle in self._pauses.keys() - waiting:
            del self._pauses[handle]


def advance(dispatcher: Dispatcher, by: timedelta) -> None:
    """Move the store's clock on, and do what is due on the way, each when it is: for tests of worlds."""
    store, worlds = dispatcher.store, {name: world.version for name, world in dispatcher.registry.worlds.items()}
    until = store.now() + by
    tried: tuple[str, datetime] | None = None
    while found := store.read(lambda tx: first_due(tx, worlds, 1)):
        handle, at = found[0]
        if at > until or found[0] == tried:
            break
        store.offset += max(timedelta(), at - store.now())
        dispatcher.fire(handle)
        tried = found[0]
    store.offset += max(timedelta(), until - store.now())
