"""The job that tells webhooks: each has a few lanes, so that one that is slow holds up nobody else.

A lane carries one message; with what came of it, it notes in the same
transaction that it takes the next that is due. Whatever is under way when the
process ends or loses its lease goes out again from another, under the same id.
"""

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from typing import TypeAlias

import anyio
from anyio import to_thread
from anyio.from_thread import BlockingPortal, start_blocking_portal

from engine.background.posting import SECONDS, Answer, post
from engine.errors import StoreError
from engine.failpoints import reach
from engine.logs import trace
from engine.outbound import Outbound
from engine.store import deliveries
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change
from engine.webhooks import Message, pause, retry_after

LANES = 4
"""How many messages are on their way to one webhook at once, at most."""
MOST = 256
"""And to all of them."""
EVERY = 1.0
"""Seconds between two looks."""
WAIT = 0.25
"""Seconds that a look waits for something to tell, where there is a webhook."""
SETTLING = 2.0
"""Seconds that what is on its way gets to arrive when the process ends."""
AGAIN = 1.0
"""Seconds until what could not be noted is noted again."""
KEPT = timedelta(days=30)
"""How long the log has what a webhook took."""
AT_ONCE = 500
"""Rows in one transaction: nobody waits long for it."""
_HEEDED = (429, 503)
"""Answers whose Retry-After is heeded."""

Lane: TypeAlias = concurrent.futures.Future[None]

logger = logging.getLogger(__name__)


class Deliveries:
    """Tells webhooks what they wait for. `seconds` is what an endpoint may take to answer."""

    name = "webhooks"

    def __init__(self, store: Store, outbound: Outbound, *, lanes: int = LANES, seconds: float = SECONDS) -> None:
        self._store = store
        self._outbound = outbound
        self._most = lanes
        self._seconds = seconds
        self._lanes: dict[str, set[Lane]] = {}
        self._lock = threading.RLock()
        self._open = False
        self._holder: str | None = None
        self._gone: str | None = None
        self._any = False
        self._came = threading.Event()
        self._rests_until = 0.0
        self._stack = ExitStack()
        self._portal: BlockingPortal | None = None

    def concerns(self, change: Change) -> bool:
        """Nothing is to be told before a change's news was passed on."""
        return False

    def soon(self) -> None:
        """Say that there may be something to tell; returns at once."""
        self._came.set()

    def look(self, holder: str) -> float:
        """Begin to tell what is due, as far as there are lanes for it; wait a little for what comes next."""
        with self._lock:
            if holder == self._gone:  # it was let go of in this very moment
                return WAIT
            self._holder, self._open = holder, True
        if not self._came.is_set() and time.monotonic() < self._rests_until:
            self._came.wait(WAIT)
            return 0.0
        self._came.clear()
        seconds = self._look(holder)
        self._rests_until = time.monotonic() + seconds
        return 0.0 if self._any else seconds

    def _look(self, holder: str) -> float:
        """Begin to tell what is due; how many seconds nothing else is."""
        now, due, holds = self._store.read(partial(_seen, worker=holder))
        if holds and not any(self._lanes.values()):  # taken by a transaction of which we were told that it failed
            self._store.write(partial(deliveries.give_back, worker=holder))
            return 0.0
        for webhook, at in due.items():
            if at is not None and at <= now:
                self._fill(holder, webhook)
        self._any = bool(due)
        later = [(at - now).total_seconds() for at in due.values() if at is not None and at > now]
        return min((EVERY, *later))

    def step_back(self, holder: str) -> float:
        """Let what is under way arrive, and take nothing more."""
        self._open = False
        is_still = holder == self._holder and not any(self._lanes.values())
        if is_still and self._store.read(partial(deliveries.holds, worker=holder)):
            self._store.write(partial(deliveries.give_back, worker=holder))
        return EVERY

    def let_go(self) -> None:
        """End what is under way; it is not noted."""
        with self._lock:
            self._gone, self._open = self._holder, False
        for lane in self._under_way():  # none is waited for: one may be kept by the database, and others let go, too
            lane.cancel()

    def close(self) -> None:
        """Let what is under way arrive, if it is soon enough, and end the rest."""
        self._open = False
        concurrent.futures.wait(self._under_way(), SETTLING)
        for lane in self._under_way():
            lane.cancel()
        self._stack.close()
        self._portal = None

    def _under_way(self) -> list[Lane]:
        with self._lock:
            return [lane for lanes in self._lanes.values() for lane in lanes]

    def _fill(self, holder: str, webhook: str) -> None:
        """Take what is due for a webhook, and begin a lane with each message."""
        room = min(self._most - len(self._lanes.get(webhook, ())), MOST - len(self._under_way()))
        if room <= 0:
            return
        try:
            taken = self._store.write(partial(deliveries.claim, worker=holder, webhook=webhook, limit=room))
        except StoreError as error:
            logger.error("webhook %s: nothing can be delivered: %s", webhook, trace(error))
            return
        if taken:
            self._begin(holder, taken)

    def _begin(self, holder: str, messages: Iterable[Message]) -> None:
        if self._portal is None:
            self._portal = self._stack.enter_context(start_blocking_portal(name="turnkeeper-webhook-lanes"))
        with self._lock:
            if not self._open:  # all was let go of meanwhile, and these go with the lease
                return
            for message in messages:
                lane = self._portal.start_task_soon(self._lane, holder, message)
                self._lanes.setdefault(message.webhook, set()).add(lane)
                lane.add_done_callback(partial(self._ended, message.webhook))

    def _ended(self, webhook: str, lane: Lane) -> None:
        with self._lock:
            self._lanes[webhook].discard(lane)
        self._came.set()
        if not lane.cancelled() and (error := lane.exception()) is not None:
            logger.error("webhook %s: a delivery ended in an error: %s", webhook, trace(error))

    async def _lane(self, holder: str, message: Message) -> None:
        """Tell a message, note what came of it, and go on with the next one of the same webhook."""
        following: Message | None = message
        while following is not None:
            reach("webhook_claimed")
            answer = await self._told(following)
            reach("webhook_sent")
            following = await self._noted(holder, following, answer)
            reach("webhook_noted")

    async def _told(self, message: Message) -> Answer:
        try:
            return await post(self._outbound, message, self._seconds)
        except Exception as error:  # whatever it is, it is this message's and comes again
            logger.error("webhook %s: %s", message.webhook, trace(error))
            return Answer(error=f"unforeseen: {type(error).__name__}")

    async def _noted(self, holder: str, message: Message, answer: Answer) -> Message | None:
        """Note an answer, however long it takes until the database lets us, and take the next message."""
        while True:
            try:
                note = partial(self._note, holder=holder, message=message, answer=answer)
                return await to_thread.run_sync(self._store.write, note)
            except StoreError as error:
                logger.error("webhook %s: %s is still to be noted: %s", message.webhook, message.id, trace(error))
            await anyio.sleep(AGAIN)

    def _note(self, transaction: Transaction, holder: str, message: Message, answer: Answer) -> Message | None:
        attempt = answer.attempt(message)
        heeded = answer.retry_after if answer.status in _HEEDED else None
        again = pause(message.attempt, retry_after(heeded, transaction.now))
        if not deliveries.note(transaction, holder, message, attempt, again):
            logger.warning("webhook %s: %s is another's by now; its answer is dropped", message.webhook, message.id)
            return None
        if not self._open:
            return None
        try:
            taken = deliveries.claim(transaction, holder, message.webhook, 1)
        except StoreError as error:
            logger.error("webhook %s: nothing more can be delivered: %s", message.webhook, trace(error))
            return None
        return taken[0] if taken else None


def sweep_delivered(store: Store, go_on: Callable[[], bool]) -> None:
    """Forget what webhooks took long ago, a little at a time; what they did not take stays."""
    bite = partial(deliveries.sweep, before=store.now() - KEPT, limit=AT_ONCE)
    while go_on() and store.write(bite) == AT_ONCE:
        pass


def _seen(transaction: Transaction, worker: str) -> tuple[datetime, dict[str, datetime | None], bool]:
    """What there is to see: the time, what is due when, and whether the worker has taken anything."""
    return transaction.now, deliveries.due(transaction), deliveries.holds(transaction, worker)
