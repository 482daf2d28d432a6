"""The job that passes news on: it claims sessions that changed, has consumers hear, and notes how far each is.

A few threads have consumers hear, each of one session, so that a slow hook
holds up its own session. What came of it is noted for many sessions in one
transaction, which also claims the next ones.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from engine.background.consuming import Kinds
from engine.background.finding import PAUSE, Finder, Found
from engine.background.hearing import Step, Told, failed, pass_on
from engine.background.threads import Threads
from engine.errors import StoreError
from engine.failpoints import reach
from engine.logs import trace
from engine.registry import Registry
from engine.store import news
from engine.store.consumers import Heard, keep
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

SESSIONS = 64
"""Sessions that are claimed at most."""
THREADS = 8
"""Sessions that are passed on at a time."""
PACE = 0.1
"""Seconds from one transaction of this job to the next, so that changes in quick succession are noted together.

Not where there is more to hear than a turn takes.
"""
WAIT = 0.25
"""Seconds that a look waits for what is under way, at most."""
LAST = 0.8
"""Seconds for which sessions are still claimed when the process ends."""
PATIENCE = 2.0
"""Seconds that hooks get to end when the process does."""
logger = logging.getLogger(__name__)


class News:
    """Passes the news of sessions on to the consumers that are served here: `kinds` says what serves them.

    `spread` is called when what consumers wrote was committed; it must return at once.
    """

    name = "news"

    def __init__(
        self, store: Store, registry: Registry, kinds: Kinds, spread: Callable[[], None] | None = None
    ) -> None:
        self._store = store
        self._spread = spread
        self._registry = registry
        self._kinds = kinds
        self._finder = Finder(registry, kinds)
        self._threads = Threads("turnkeeper-news", THREADS)
        self._lock = threading.Lock()
        self._came = threading.Event()
        self._told: deque[Told] = deque()
        self._under_way: set[int] = set()
        self._alone: set[int] = set()
        self._holder: str | None = None
        self._gone: str | None = None
        self._era = 0
        self._ends = False
        self._backs = False
        self._unsure = False
        self._next_at = 0.0

    def concerns(self, change: Change) -> bool:
        """Whether a consumer that was known at the last look hears of the change's world."""
        concerned = self._finder.concerns(change.world)
        if concerned:
            self._came.set()
        return concerned

    def look(self, holder: str) -> float:
        """Note what was passed on, claim what is new, and have it passed on."""
        era = self._begun(holder)
        if era is None:
            return PACE
        self._backs = False
        time.sleep(max(0.0, self._next_at - time.monotonic()))
        self._came.clear()
        found = self._store.read(self._found)
        told = self._taken()
        if told or found.sessions or self._unsure:
            self._turn(holder, era, told, found.sessions)
        if self._finder.walk(self._store):
            return 0.0
        if self._under_way:
            self._came.wait(WAIT)
        elif not told:
            return found.pause
        return 0.0

    def step_back(self, holder: str) -> float:
        """Have what was claimed be passed on and noted, so that others may claim these sessions."""
        if holder != self._holder or not (self._under_way or self._unsure):
            return PAUSE
        self._backs = True
        self._came.clear()
        if (told := self._taken()) or self._unsure:
            self._turn(holder, self._era, told, ())
        else:
            self._came.wait(WAIT)
        return 0.0

    def let_go(self) -> None:
        """Forget what is under way: what comes of it is not noted."""
        with self._lock:
            self._forget()

    def close(self) -> None:
        """Pass on what there is for a moment more, and note what comes of it, for as long as there is patience."""
        if not self._backs:
            self._finish()
        self._ends = True
        self._threads.close()
        until = time.monotonic() + PATIENCE
        while self._holder is not None and self._under_way:
            if told := self._taken():
                self._turn(self._holder, self._era, told, ())
            elif not self._came.wait(max(0.0, until - time.monotonic())):
                logger.warning("hooks of %d sessions are still at work; they are not waited for", len(self._under_way))
                return
            self._came.clear()

    def _begun(self, holder: str) -> int | None:
        """Which era a look in a worker's name is of; None if that was let go of in this very moment."""
        with self._lock:
            if holder == self._gone:
                return None
            if holder != self._holder:
                self._forget()
                self._holder = holder
            return self._era

    def _forget(self) -> None:
        self._era += 1
        self._told.clear()
        self._under_way.clear()
        self._alone.clear()
        self._gone, self._holder = self._holder or self._gone, None

    # passing on

    def _finish(self) -> None:
        """Go on looking for a moment, so that hooks hear of what a process did last."""
        until = time.monotonic() + LAST
        try:
            while self._holder is not None and time.monotonic() < until and self.look(self._holder) == 0.0:
                pass
        except StoreError as error:
            logger.warning("what was done last is left for others to pass on: %s", trace(error))

    def _turn(self, holder: str, era: int, told: Sequence[Told], sessions: Sequence[int]) -> None:
        """Note what was told and claim the next sessions, and have those passed on.

        One that changed meanwhile is claimed again at once, unless others wait for their turn.
        """
        together = [one for one in told if one.session_id not in self._alone]
        try:
            claimed = self._store.write(lambda tx: self._noted(tx, holder, together, sessions))
        except BaseException:
            self._unsure = True
            self._alone.update(one.session_id for one in told)
            self._put_back(told)
            raise
        if together:
            reach("news_finished")
        is_full = len(claimed) >= SESSIONS // 2 or any(map(_has_more, together))
        self._next_at = time.monotonic() + (0.0 if is_full else PACE)
        self._end(together)
        if self._unsure:  # the write before may have claimed, though it seemed to fail
            held = self._store.read(partial(news.held, worker=holder))
            claimed, self._unsure = [one for one in held if one not in self._under_way], False
        self._note_each(holder, [one for one in told if one.session_id in self._alone])
        with self._lock:
            if era == self._era:  # else all was let go of meanwhile, and these go with the lease
                self._under_way.update(claimed)
                for session_id in claimed:
                    self._threads.submit(partial(self._pass_on, session_id, era))

    def _noted(self, transaction: Transaction, holder: str, told: Sequence[Told], sessions: Sequence[int]) -> list[int]:
        changed = [
            one.session_id for one in sorted(told, key=lambda one: one.session_id) if _note(transaction, holder, one)
        ]
        has_room = not (self._ends or self._backs) and len(sessions) < SESSIONS - len(self._under_way)
        wanted = [*sessions, *changed] if has_room else sessions
        return news.claim(transaction, holder, wanted) if wanted else []

    def _note_each(self, holder: str, told: Sequence[Told]) -> None:
        """Note one by one what could not be noted together, so that one harms no other."""
        for one in told:
            try:
                self._store.write(partial(_note, holder=holder, told=one))
            except Exception as error:
                logger.error("how far consumers are could not be noted, and is tried again: %s", trace(error))
                self._finder.rest(one.session_id)
                self._put_back([one])
            else:
                self._alone.discard(one.session_id)
                self._end([one])

    def _pass_on(self, session_id: int, era: int) -> None:
        """Pass a session's news on, in a thread."""
        told = Told(session_id)
        try:
            told = pass_on(
                self._store, self._registry, self._kinds, session_id, lambda: era == self._era and not self._ends
            )
        except Exception as error:
            logger.error("a session's news could not be passed on: %s", trace(error))
            self._finder.rest(session_id)
        with self._lock:
            if era == self._era:
                self._told.append(told)
        self._came.set()

    def _found(self, transaction: Transaction) -> Found:
        return self._finder.found(transaction, self._under_way, SESSIONS - len(self._under_way))

    def _taken(self) -> list[Told]:
        """What came of what was under way, but for what is tried again later."""
        with self._lock:
            told = list(self._told)
            self._told.clear()
        later = [one for one in told if one.session_id in self._alone and self._finder.rests(one.session_id)]
        self._put_back(later)
        return [one for one in told if one not in later]

    def _put_back(self, told: Sequence[Told]) -> None:
        with self._lock:
            self._told.extend(told)

    def _end(self, told: Sequence[Told]) -> None:
        """Be through with what was noted."""
        if self._spread is not None and any(step.spreader is not None for one in told for step in one.steps):
            self._spread()
        self._under_way.difference_update(one.session_id for one in told)


def _has_more(told: Told) -> bool:
    """Whether a consumer that came on has more to hear."""
    return told.record is not None and any(
        step.at.revision < step.heard.revision < told.record.revision and not step.heard.attempts for step in told.steps
    )


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
