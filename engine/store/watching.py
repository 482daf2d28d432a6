"""A hint that something may have been committed, by whichever process: it says when to look, and never what is true.

Whoever waits looks now and then without any hint, too, and so misses nothing.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Protocol

LOOK_SECONDS = 0.02
"""How often a database that does not tell by itself is asked whether it changed."""

logger = logging.getLogger(__name__)


class Watch(Protocol):
    """Waits for commits, for one thread; the other methods may be called from any."""

    def wait(self, seconds: float) -> bool:
        """Whether something may have been committed since the last time; waits so long for it."""

    def wake(self) -> None:
        """Have whoever waits, or waits next, go on at once."""

    def close(self) -> None:
        """Give up what it holds; whoever waits goes on."""


class Asking:
    """A watch that asks again and again for a number which every commit changes."""

    def __init__(self, number: Callable[[], object], close: Callable[[], None]) -> None:
        self._number = number
        self._close = close
        self._woken = threading.Event()
        self._closed = False
        self._lock = threading.Lock()
        self._seen: object = None

    def wait(self, seconds: float) -> bool:
        """As `Watch` says."""
        until = time.monotonic() + seconds
        while not self._closed:
            if self._changed():
                return True
            left = until - time.monotonic()
            if left <= 0:
                return False
            if self._woken.wait(min(left, LOOK_SECONDS)):
                self._woken.clear()
                return True
        return False

    def wake(self) -> None:
        """As `Watch` says."""
        self._woken.set()

    def close(self) -> None:
        """As `Watch` says."""
        self._closed = True
        self._woken.set()
        with self._lock:
            self._close()

    def _changed(self) -> bool:
        with self._lock:
            if self._closed:
                return False
            try:
                number = self._number()
            except Exception as error:  # whatever keeps it from telling, the look itself says what is wrong
                logger.debug("the database does not say whether it changed: %s", type(error).__name__)
                return False
        changed, self._seen = number != self._seen, number
        return changed
