"""What stands between callers and the writer: how many may wait for one session, and waiting for an answer."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from engine.errors import Busy
from engine.store.groups import Member
from engine.store.records import Transaction

T = TypeVar("T")
RETRY_SECONDS = 1.0
"""When to come back to a session that too many wait for."""


class Waiting:
    """Counts the callers of each lane, and turns away what is over the limit. Nobody's lane is None."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._callers: Counter[object] = Counter()
        self._lock = threading.Lock()

    def enter(self, lane: object) -> None:
        """Count a caller in. Raises Busy."""
        if lane is None:
            return
        with self._lock:
            if self._callers[lane] >= self._limit:
                raise Busy(
                    f"{self._limit} calls wait for this session already.",
                    hint=f"Try again in {RETRY_SECONDS:g} s.",
                    retry_after=RETRY_SECONDS,
                )
            self._callers[lane] += 1

    def leave(self, lane: object) -> None:
        """Count a caller out."""
        if lane is None:
            return
        with self._lock:
            self._callers[lane] -= 1
            if not self._callers[lane]:
                del self._callers[lane]


class Submits(Protocol):
    """A store's queue."""

    def submit(self, *members: Member[Any]) -> None:
        """Queue members. Raises Busy."""


def written(store: Submits, work: Callable[[Transaction], T], told: Callable[[T], None] | None, lane: object) -> T:
    """Queue one caller's work and wait for its outcome."""
    done = threading.Lock()
    done.acquire()
    member = Member(work, told=told, done=lambda _: done.release(), lane=lane)
    store.submit(member)
    done.acquire()
    return member.outcome()
