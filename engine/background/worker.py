"""The worker of a process: it keeps a lease, and looks again and again whether there is something to do.

`serve` goes first; other processes begin nothing while one of it lives. A lease
is a row that is renewed three times before it ends, and deleted at exit; whoever
cannot renew it lets go of everything before another may take it.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Protocol, Self

from engine.logs import trace
from engine.store import workers
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

RENEWALS = 3
"""How often a lease is renewed before it would end."""
HELD = 0.9
"""For which part of a lease its holder counts on it: what is under way has to end before another may begin."""
GUARD_SECONDS = 0.1
"""Seconds between two looks at whether the lease is over."""
PATIENCE = 3.0
"""Seconds that what is under way gets to end when the process does."""
AFTER_ERROR = 1.0
"""Seconds until the next look after one that failed."""

logger = logging.getLogger(__name__)


class Job(Protocol):
    """Something that is done in the background: a thread of its own calls `look`, `step_back` and `close`."""

    name: str

    def concerns(self, change: Change) -> bool:
        """Whether a change of this process is a reason to look at once. Must return at once."""

    def look(self, holder: str) -> float:
        """Do, or begin, what there is to do, in the name of that worker; after how many seconds to look again."""

    def step_back(self, holder: str) -> float:
        """Others go first by now: note what that worker has under way, and begin nothing; when to do so again."""

    def let_go(self) -> None:
        """The lease is lost: end what is under way, and report nothing of it. Comes from any thread, also in a look."""

    def close(self) -> None:
        """The process ends: end what is under way, in `PATIENCE` seconds at most."""


class Worker:
    """Does jobs, each in a thread of its own, for as long as its block lasts. `kind` is `serve` or `stdio`.

    `lease` is how long the process may be silent until others take its work over.
    """

    def __init__(self, store: Store, kind: str, jobs: Iterable[Job], lease: timedelta) -> None:
        self._store = store
        self._kind = kind
        self._lease = lease
        self._ended = threading.Event()
        self._holder: str | None = None
        self._holds_until = 0.0
        self._goes_first = False
        self._posts = [_Post(job, self) for job in jobs]
        self._lost: str | None = None
        self._lock = threading.Lock()
        self._heart = threading.Thread(target=self._beat, name="turnkeeper-lease", daemon=True)
        self._guardian = threading.Thread(target=self._guard, name="turnkeeper-guard", daemon=True)

    def __enter__(self) -> Self:
        if self._posts:
            self._heart.start()
            self._guardian.start()
            for post in self._posts:
                post.thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._posts:
            return
        self._ended.set()
        for post in self._posts:
            post.wake.set()
        until = time.monotonic() + PATIENCE
        for thread in (*(post.thread for post in self._posts), self._heart):
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                logger.error("%s is still at work; it is not waited for", thread.name)
        self._leave()

    @property
    def ended(self) -> bool:
        """Whether the process ends."""
        return self._ended.is_set()

    @property
    def holder(self) -> str | None:
        """Under which id this process may take work now; None if it may not."""
        return self.lessee if self._goes_first else None

    @property
    def lessee(self) -> str | None:
        """Under which id this process has a lease, even if others go first; None if it has none."""
        return self._holder if time.monotonic() < self._holds_until else None

    def tell(self, change: Change) -> None:
        """Have the jobs that a change concerns look at once; returns at once."""
        for post in self._posts:
            if post.job.concerns(change):
                post.wake.set()

    def wake(self) -> None:
        """Have every job look at once: another process may have changed something."""
        for post in self._posts:
            post.wake.set()

    def _beat(self) -> None:
        """Renew the lease, again and again; the database may keep this thread waiting for longer than it lasts."""
        while True:
            try:
                self._renew()
            except Exception as error:
                logger.error("the lease could not be renewed: %s", trace(error))
            if self._ended.wait(self._lease.total_seconds() / (RENEWALS + 1)):
                return

    def _renew(self) -> None:
        """Enter, or prolong the lease, which counts from before the database was asked."""
        began, before = time.monotonic(), self._holder
        holder, first = self._store.write(partial(self._renewed, before=before))
        with self._lock:
            if before is not None and self._holder is None:  # it was over before the database let us renew it
                self._lost = holder
                return
            if before is not None and holder != before:
                self._lose()
            may = first and (not self._goes_first or holder != before)
            self._holder, self._goes_first, self._lost = holder, first, None
            self._holds_until = began + self._lease.total_seconds() * HELD
        if may:
            self.wake()

    def _renewed(self, transaction: Transaction, before: str | None) -> tuple[str, bool]:
        now, lease = transaction.now - self._store.offset, self._lease
        workers.evict(transaction, now)
        if self._lost is not None:
            workers.leave(transaction, self._lost)
        holder = before
        if holder is None or not workers.renew(transaction, holder, now, lease):
            holder = workers.enter(transaction, self._kind, f"{socket.gethostname()}:{os.getpid()}", now, lease)
        return holder, workers.goes_first(transaction, self._kind, now)

    def _guard(self) -> None:
        """Let go as soon as the lease is over, whatever the other threads wait for."""
        while not self._ended.wait(GUARD_SECONDS):
            with self._lock:
                if self._holder is not None and time.monotonic() >= self._holds_until:
                    self._lose()

    def _lose(self) -> None:
        logger.warning("the lease was lost; what was under way is let go")
        self._lost, self._holder = self._holder, None
        for post in self._posts:
            post.attempt(post.job.let_go)

    def _leave(self) -> None:
        holder, self._holder = self._holder, None
        if holder is None:
            return
        try:
            self._store.write(partial(workers.leave, worker=holder))
        except Exception as error:
            logger.error("the lease could not be returned, and ends by itself: %s", trace(error))


class _Post:
    """A job, its thread, and what wakes it."""

    def __init__(self, job: Job, worker: Worker) -> None:
        self.job = job
        self.wake = threading.Event()
        self._worker = worker
        self.thread = threading.Thread(target=self._run, name=f"turnkeeper-{job.name}", daemon=True)

    def _run(self) -> None:
        pause = 0.0
        while not self._worker.ended:
            self.wake.wait(pause)
            self.wake.clear()
            pause = self._look()
        self.attempt(self.job.close)

    def _look(self) -> float:
        holder, lessee = self._worker.holder, self._worker.lessee
        if lessee is None or self._worker.ended:
            return AFTER_ERROR
        try:
            return self.job.step_back(lessee) if holder is None else self.job.look(holder)
        except Exception as error:  # whatever it is, the next look may be better
            logger.error("%s: a look failed: %s", self.job.name, trace(error))
            return AFTER_ERROR

    def attempt(self, act: Callable[[], None]) -> None:
        """Have the job do something that is not a look."""
        try:
            act()
        except Exception as error:
            logger.error("%s: %s", self.job.name, trace(error))
