"""Which sessions a process is to pass on next: those in which a consumer is due, and those that are marked."""

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from engine.background.consuming import Kinds
from engine.registry import Registry
from engine.store import news
from engine.store.consumers import Registered, next_due, registered
from engine.store.progress import SPAN, last_id
from engine.store.records import Transaction
from engine.store.stores import Store

PAUSE = 1.0
"""Seconds until the next look where nothing is known to be due: another process may have changed something."""
REST_AFTER_ERROR = 5.0
"""Seconds that a session is let be in which something went wrong that is no consumer's fault."""


@dataclass(frozen=True, slots=True)
class Found:
    """Sessions to claim, and for how many seconds nothing else is due."""

    sessions: tuple[int, ...] = ()
    pause: float = PAUSE


class Finder:
    """Finds sessions for the consumers that are served here, in turns, so that none has to wait for long."""

    def __init__(self, registry: Registry, kinds: Kinds) -> None:
        self._kinds = kinds
        self._versions = {name: definition.version for name, definition in registry.worlds.items()}
        self._consumers: Sequence[Registered] | None = None
        self._after: dict[str, int] = {}
        self._looks = 0
        self._resting: dict[int, float] = {}
        self._walked: dict[tuple[str, str], int | None] = {}

    def concerns(self, world: str) -> bool:
        """Whether a consumer hears of a world, as far as is known."""
        return self._consumers is None or any(consumer.concerns(world) for consumer in self._consumers)

    def rest(self, session_id: int) -> None:
        """Let a session be for a while."""
        self._resting[session_id] = time.monotonic() + REST_AFTER_ERROR

    def rests(self, session_id: int) -> bool:
        """Whether a session is let be."""
        if self._resting.get(session_id, 0.0) <= time.monotonic():
            self._resting.pop(session_id, None)
        return session_id in self._resting

    def found(self, transaction: Transaction, taken: Collection[int], free: int) -> Found:
        """Up to `free` sessions to claim beside those that are taken: some in which a consumer is due, then marked."""
        self._consumers = registered(transaction)
        if not self._consumers:
            return Found()
        here = [consumer.name for consumer in self._consumers if self._serves(consumer)]
        found: dict[int, None] = {}
        most = (free + 1) // 2
        for name in here:
            found |= dict.fromkeys(news.due(transaction, name, self._versions, most - len(found)))
        found |= dict.fromkeys(self._marked(transaction, self._consumers, free - len(found)))
        sessions = tuple(session for session in found if session not in taken and not self.rests(session))
        if sessions or not (at := next_due(transaction, here)):
            return Found(sessions)
        seconds = (datetime.fromisoformat(at) - transaction.now).total_seconds()
        return Found(pause=min(PAUSE, max(0.01, seconds)))

    def walk(self, store: Store) -> bool:
        """Mark some sessions of which a consumer from the start has not heard; whether there may be more."""
        for consumer in self._consumers or ():
            key = consumer.name, consumer.since
            if not consumer.from_start or not self._serves(consumer) or self._walked.get(key, 0) is None:
                continue
            after = self._walked.get(key) or 0
            until = after + SPAN
            if sessions := store.read(partial(news.unheard, consumer=consumer, after=after, until=until)):
                store.write(partial(news.mark, sessions=sessions))
            self._walked[key] = None if until >= store.read(last_id) else until
            return True
        return False

    def _marked(self, transaction: Transaction, consumers: Sequence[Registered], free: int) -> list[int]:
        """Sessions that are marked: in each world those after the last one found, and the worlds in turns."""
        worlds = [name for name in self._versions if any(consumer.concerns(name) for consumer in consumers)]
        found: list[int] = []
        self._looks += 1
        for place in range(len(worlds)):
            world = worlds[(self._looks + place) % len(worlds)]
            after = self._after.get(world, 0)
            some = news.marked(transaction, world, self._versions[world], after, free - len(found))
            found += some
            if after and len(found) < free:
                some = news.marked(transaction, world, self._versions[world], 0, free - len(found))
                found += some
            self._after[world] = some[-1] if some else 0
        return found

    def _serves(self, consumer: Registered) -> bool:
        serving = self._kinds.get(consumer.kind)
        return serving is not None and serving(consumer) is not None
