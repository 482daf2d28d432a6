"""The job that passes news on: it claims sessions that changed, has consumers hear, and notes how far each is.

A few threads have consumers hear, each of one session, so that a slow hook
holds up its own session. What came of it is noted for many sessions in one
transaction, which also claims the next ones.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from engine.background.consuming import Kinds
from engine.background.hearing import Step, Told, failed, pass_on
from engine.background.threads import Threads
from engine.failpoints import reach
from engine.logs import trace
from engine.registry import Registry
from engine.store import news
from engine.store.consumers import Heard, Registered, keep, next_due, registered
from engine.store.progress import SPAN, last_id
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

SESSIONS = 64
"""Sessions that are claimed at most."""
THREADS = 8
"""Sessions that are passed on at a time."""
PAUSE = 1.0
"""Seconds until the next look where nothing is known to be due: another process may have changed something."""
PACE = 0.02
"""Seconds from one transaction of this job to the next, so that changes in quick succession are noted together."""
WAIT = 0.25
"""Seconds that a look waits for what is under way, at most."""
PATIENCE = 2.0
"""Seconds that hooks get to end when the process does."""
REST_AFTER_ERROR = 5.0
"""Seconds that a session is let be which could not be passed on."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found: sessions to claim, and how many seconds nothing else is due."""

    sessions: tuple[int, ...] = ()
    pause: float = PAUSE


class News:
    """Passes the news of sessions on to the consumers that are served here: `kinds` says what serves them."""

    name = "news"

    def __init__(self, store: Store, registry: Registry, kinds: Kinds) -> None:
        self._store = store
        self._registry = registry
        self._kinds = kinds
        self._versions = {name: definition.version for name, definition in registry.worlds.items()}
        self._threads = Threads("turnkeeper-news", THREADS)
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._told: deque[Told] = deque()
        self._under_way: set[int] = set()
        self._resting: dict[int, float] = {}
        self._holder: str | None = None
        self._era = 0
        self._ends = False
        self._next_at = 0.0
        self._consumers: Sequence[Registered] | None = None
        self._after: dict[str, int] = {}
        self._turns = 0
        self._walked: dict[tuple[str, str], int | None] = {}

    def concerns(self, change: Change) -> bool:
        """Whether a consumer that was known at the last look hears of the change's world."""
        known = self._consumers
        if known is not None and not any(consumer.concerns(change.world) for consumer in known):
            return False
        self._came.set()
        return True

    def look(self, holder: str) -> float:
        """Note what was passed on, claim what is new, and have it passed on."""
        if holder != self._holder:
            self.let_go()
            self._holder = holder
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._came.clear()
        told = self._taken()
        found = self._store.read(self._found)
        if told or found.sessions:
            self._turn(holder, told, found.sessions)
        if self._walk():
            return 0.0
        if self._under_way:
            self._came.wait(WAIT)
        elif not told:
            return found.pause
        return 0.0

    def let_go(self) -> None:
        """Forget what is under way: what comes of it is not noted."""
        with self._lock:
            self._era += 1
            self._told.clear()
            self._under_way.clear()

    def close(self) -> None:
        """Note what comes of what is under way, for as long as there is patience."""
        self._ends = True
        until = time.monotonic() + PATIENCE
        while self._holder is not None and self._under_way:
            if told := self._taken():
                self._turn(self._holder, told, ())
            elif not self._came.wait(max(0.0, until - time.monotonic())):
                logger.warning("hooks of %d sessions are still at work; they are not waited for", len(self._under_way))
                break
            self._came.clear()
        self._threads.close()

    # what there is

    def _found(self, transaction: Transaction) -> Found:
        """Sessions to claim: some in which a consumer is due, and then those that are marked."""
        self._consumers = registered(transaction)
        free = SESSIONS - len(self._under_way)
        if not self._consumers:
            return Found()
        here = [consumer.name for consumer in self._consumers if self._serves(consumer)]
        if not free:
            return Found(pause=0.0)
        found: dict[int, None] = {}
        most = max(1, free // 2)
        for name in here:
            found |= dict.fromkeys(news.due(transaction, name, self._versions, most - len(found)))
        found |= dict.fromkeys(self._marked(transaction, self._consumers, free - len(found)))
        sessions = tuple(session for session in found if self._may(session))
        if sessions or not (at := next_due(transaction, here)):
            return Found(sessions)
        seconds = (datetime.fromisoformat(at) - transaction.now).total_seconds()
        return Found(pause=min(PAUSE, max(0.01, seconds)))

    def _marked(self, transaction: Transaction, consumers: Sequence[Registered], free: int) -> list[int]:
        """Sessions that are marked: in each world those after the last one found, and the worlds in turns."""
        worlds = [name for name in self._versions if any(consumer.concerns(name) for consumer in consumers)]
        found: list[int] = []
        self._turns += 1
        for place in range(len(worlds)):
            world = worlds[(self._turns + place) % len(worlds)]
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

    def _may(self, session_id: int) -> bool:
        if session_id in self._resting and self._resting[session_id] <= time.monotonic():
            del self._resting[session_id]
        return session_id not in self._under_way and session_id not in self._resting

    def _walk(self) -> bool:
        """Mark some sessions of which a consumer from the start has not heard; whether there may be more."""
        consumers = [one for one in self._consumers or () if one.from_start and self._serves(one)]
        for consumer in consumers:
            key = consumer.name, consumer.since
            after = self._walked.setdefault(key, 0)
            if after is None:
                continue
            unheard = partial(news.unheard, consumer=consumer, after=after, until=after + SPAN)
            if sessions := self._store.read(unheard):
                self._store.write(partial(news.mark, sessions=sessions))
            self._walked[key] = None if after + SPAN >= self._store.read(last_id) else after + SPAN
            return True
        return False

    # passing on

    def _turn(self, holder: str, told: Sequence[Told], sessions: Sequence[int]) -> None:
        """Note what was told and claim the next sessions, and have those passed on.

        One that changed meanwhile is claimed again at once, unless others wait for their turn.
        """
        try:
            claimed = self._store.write(lambda tx: self._noted(tx, holder, told, sessions))
        except Exception:
            self._note_each(holder, told)
            raise
        if told:
            reach("news_finished")
        self._next_at = time.monotonic() + (PACE if len(claimed) < SESSIONS // 2 else 0.0)
        self._end(told)
        for session_id in claimed:
            self._under_way.add(session_id)
            self._threads.submit(partial(self._pass_on, session_id, self._era))

    def _noted(self, transaction: Transaction, holder: str, told: Sequence[Told], sessions: Sequence[int]) -> list[int]:
        changed = [
            one.session_id for one in sorted(told, key=lambda one: one.session_id) if _note(transaction, holder, one)
        ]
        wanted = [*sessions, *changed] if len(sessions) < SESSIONS - len(self._under_way) else sessions
        return news.claim(transaction, holder, wanted) if wanted else []

    def _note_each(self, holder: str, told: Sequence[Told]) -> None:
        """Note one by one what could not be noted together, so that one harms no other."""
        for one in told:
            try:
                self._store.write(partial(_note, holder=holder, told=one))
            except Exception as error:
                logger.error("how far consumers are could not be noted: %s", trace(error))
                self._resting[one.session_id] = time.monotonic() + REST_AFTER_ERROR
                self._store.write(partial(news.release, worker=holder, session_id=one.session_id))
        self._end(told)

    def _pass_on(self, session_id: int, era: int) -> None:
        """Pass a session's news on, in a thread."""
        told = Told(session_id)
        try:
            told = pass_on(
                self._store, self._registry, self._kinds, session_id, lambda: era == self._era and not self._ends
            )
        except Exception as error:
            logger.error("a session's news could not be passed on: %s", trace(error))
            self._resting[session_id] = time.monotonic() + REST_AFTER_ERROR
        with self._lock:
            if era == self._era:
                self._told.append(told)
        self._came.set()

    def _taken(self) -> list[Told]:
        with self._lock:
            told = list(self._told)
            self._told.clear()
        return told

    def _end(self, told: Sequence[Told]) -> None:
        self._under_way.difference_update(one.session_id for one in told)


def _note(transaction: Transaction, holder: str, told: Told) -> bool:
    """Note how far consumers are in a session, and that it has no news, if it is still this worker's to say so.

    Whether it has news again.
    """
    if not news.release(transaction, holder, told.session_id) or told.record is None:
        return False
    for step in told.steps:
        keep(transaction, step.consumer.name, told.session_id, _spread(transaction, told, step))
    return told.whole and not news.clear(transaction, told.session_id, told.record.revision)


def _spread(transaction: Transaction, told: Told, step: Step) -> Heard:
    """How far a consumer is, after it wrote what it has to."""
    if step.spreader is None or told.record is None or not step.changes:
        return step.heard
    try:
        with transaction.part():
            step.spreader.spread(transaction, told.record, step.changes)
    except Exception as error:
        return failed(step.at, step.consumer, told.record.handle, error, transaction.now)
    return step.heard
