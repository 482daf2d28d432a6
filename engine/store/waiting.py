"""What stands between callers and the writer: how many may wait for one session, and waiting for an answer."""

import threading
from collections import Counter
from typing import Any, Protocol, TypeVar

from engine.errors import Busy
from engine.store.groups import Member

T = TypeVar("T")
RETRY_SECONDS = 1.0
"""When to come back to a session that too many wait for."""


class Waiting:
    """Counts the calls of each caller in each lane, and turns away what is over the limit. Nobody's lane is None.

    Each caller's own calls, so that nobody who may not even see a session keeps its owner out.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._calls: Counter[object] = Counter()
        self._lock = threading.Lock()

    def enter(self, member: Member[Any]) -> None:
        """Count a call in. Raises Busy."""
        if member.lane is None:
            return
        place = (member.lane, member.caller)
        with self._lock:
            if self._calls[place] >= self._limit:
                raise Busy(
                    f"{self._limit} calls of yours wait for this session already.",
                    hint=f"Try again in {RETRY_SECONDS:g} s.",
                    retry_after=RETRY_SECONDS,
                )
            self._calls[place] += 1

    def leave(self, member: Member[Any]) -> None:
        """Count a call out."""
        if member.lane is None:
            return
        place = (member.lane, member.caller)
        with self._lock:
            self._calls[place] -= 1
            if not self._calls[place]:
                del self._calls[place]


class Submits(Protocol):
    """A store's queue."""

    def submit(self, *members: Member[Any]) -> None:
        """Queue members. Raises Busy."""


def written(store: Submits, member: Member[T]) -> T:
    """Queue one caller's work and wait for its outcome."""
    done = threading.Lock()
    done.acquire()
    member.done = lambda _: done.release()
    store.submit(member)
    done.acquire()
    return member.outcome()
