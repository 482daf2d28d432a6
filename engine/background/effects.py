"""Carries effects out: claims those that are due, awaits their handlers, and reports what became of them.

Handlers run on an event loop in a thread of its own, so that one that blocks
keeps neither the lease nor another job waiting. Nothing is reported but by who
still holds the effect.
"""

import asyncio
import json
import logging
import random
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from pydantic_core import PydanticSerializationError, to_jsonable_python

from engine.arguments import parsed
from engine.dispatch import Dispatcher
from engine.effects import Effect, EffectCall, Ended, Failed, GaveUp, Succeeded, ToolCaller
from engine.errors import Conflict, EngineError, StoreError
from engine.failpoints import reach
from engine.limits import size
from engine.logs import trace
from engine.settling import shortened
from engine.store import effects
from engine.store.effects import Known, Taken
from engine.types import Change, Json, dumped, storable

T = TypeVar("T")
logger = logging.getLogger(__name__)

AT_ONCE = 32
"""Effects that one process carries out at once."""
BASE, CAP = timedelta(seconds=1), timedelta(minutes=5)
"""The longest pause after the first attempt, which doubles with each, and the longest of all."""
IDLE = 1.0
"""Seconds from one look to the next, at most."""
FULL = 0.05
"""Seconds from one look to the next while there is more to do than there is room for."""
REPORTERS = 4
"""Threads that report."""
ENDING = 1.0
"""Seconds that handlers get to end when they are cancelled."""


class _Unanswered(Exception):
    """An attempt that may go better the next time."""


class Effects:
    """The job that carries out the effects of the worlds loaded here, some at once."""

    name = "effects"

    def __init__(self, dispatcher: Dispatcher, tools: ToolCaller | None = None, at_once: int = AT_ONCE) -> None:
        self._dispatcher = dispatcher
        self._tools = tools
        self._at_once = at_once
        worlds = dispatcher.registry.worlds.values()
        self.known = Known({one.name: (one.version, tuple(one.effects)) for one in worlds if one.effects})
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._room = threading.Semaphore(at_once)
        self._holder: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reporters: ThreadPoolExecutor | None = None

    @property
    def busy(self) -> int:
        """How many effects are under way."""
        return len(self._under_way)

    def concerns(self, change: Change) -> bool:
        """Whether a change asked for effects."""
        return change.effects > 0

    def look(self, holder: str) -> float:
        """Begin what is due, as far as there is room."""
        self._holder = holder
        room = self._reserved()
        if room == 0:
            return FULL
        begun = 0
        try:
            due, now = self._dispatcher.store.read(lambda tx: (effects.next_due(tx, self.known), tx.now))
            pause = IDLE if due is None else (datetime.fromisoformat(due) - now).total_seconds()
            if pause > 0:
                return min(IDLE, pause)
            begun = self._begin(holder, room)
            return FULL
        finally:
            self._free(room - begun)

    def step_back(self, holder: str) -> float:
        """What is under way ends, and is reported by itself."""
        return IDLE

    def let_go(self) -> None:
        """Cancel what is under way; nothing of it is reported, since whoever reports must hold it."""
        self._holder = None
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    def close(self) -> None:
        """Cancel what is under way, and let others have it."""
        loop, self._loop = self._loop, None
        if loop is None or self._thread is None or self._reporters is None:
            return
        ended = asyncio.run_coroutine_threadsafe(self._cancelled(), loop)
        try:
            ended.result(ENDING * 1.5)
        except TimeoutError:
            logger.error("handlers of effects do not end; they are not waited for")
        try:
            if self._holder is not None:
                self._dispatcher.store.write(partial(effects.give_back, worker=self._holder))
        finally:
            self._reporters.shutdown(wait=False, cancel_futures=True)
            loop.call_soon_threadsafe(loop.stop)
            self._thread.join(ENDING)

    # in the job's thread

    def _begin(self, holder: str, room: int) -> int:
        """Claim what is due and have it carried out: how many it were."""
        claim = partial(effects.claim, known=self.known, worker=holder, most=room)
        taken, at = self._dispatcher.store.write(lambda tx: (claim(tx), tx.now))
        for one in taken:
            reach("effect_claimed")
            left = (datetime.fromisoformat(one.row.deadline_at) - at).total_seconds()
            self._running().call_soon_threadsafe(self._spawn, one, holder, left)
        return len(taken)

    def _reserved(self) -> int:
        """Take all the room there is: for how many effects."""
        room = 0
        while room < self._at_once and self._room.acquire(blocking=False):
            room += 1
        return room

    def _free(self, room: int) -> None:
        if room:
            self._room.release(room)

    def _running(self) -> asyncio.AbstractEventLoop:
        """The handlers' event loop, begun when it is needed first."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._reporters = ThreadPoolExecutor(REPORTERS, thread_name_prefix="turnkeeper-effects-report")
            self._thread = threading.Thread(target=self._turn, args=(self._loop,), name="turnkeeper-handlers")
            self._thread.daemon = True
            self._thread.start()
        return self._loop

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    # on the event loop

    def _spawn(self, taken: Taken, holder: str, left: float) -> None:
        if holder != self._holder:  # the lease was lost since it was claimed
            self._room.release()
            return
        task = asyncio.ensure_future(self._carry_out(taken, holder, left))
        self._under_way[id(task)] = task
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(id(task), None)
        self._room.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("an effect could not be reported, and is free when this process ends: %s", trace(error))

    def _cancel(self) -> None:
        for task in self._under_way.values():
            task.cancel()

    async def _cancelled(self) -> None:
        self._cancel()
        if self._under_way:
            await asyncio.wait(list(self._under_way.values()), timeout=ENDING)

    async def _carry_out(self, taken: Taken, holder: str, left: float) -> None:
        one = self._dispatcher.registry.worlds[taken.world].effects[taken.row.name]
        try:
            ended = await self._ended(one, taken, left)
        except _Unanswered as error:
            ended_late = await self._tried_again(one, taken, holder, shortened(str(error)))
            if ended_late is None:
                return
            ended = ended_late
        reach("effect_done")
        state = await self._reported(lambda: self._dispatcher.settle_effect(taken, holder, ended))
        reach("effect_reported")
        if state in ("parked", "refused"):
            logger.warning("effect %d (%s of session %s) is %s", taken.row.id, one.name, taken.handle, state)

    async def _ended(self, one: Effect, taken: Taken, left: float) -> Ended:
        """What became of an effect that nobody has to try again. Raises _Unanswered."""
        row = taken.row
        if row.result is not None:  # it was done, and is only reported again
            return Succeeded(json.loads(row.result))
        if left <= 0:
            return GaveUp(_with(f"It was not done until {row.deadline_at}.", row.error))
        try:
            arguments = parsed(one.parameters, json.loads(row.arguments))
        except EngineError as error:
            return GaveUp(f"The handler does not take its arguments any more: {error}", parked=True)
        call = EffectCall(
            key=row.key,
            session=taken.handle,
            world=taken.world,
            revision=row.revision,
            attempt=row.attempts,
            deadline=datetime.fromisoformat(row.deadline_at),
            _tools=self._tools,
        )
        try:
            value = await _answered(one.function(call, **arguments), min(one.timeout.total_seconds(), left))
        except Failed as failed:
            return GaveUp(storable(failed.reason))
        return self._kept(value)

    def _kept(self, value: Any) -> Ended:
        """What a handler returned, as JSON; where it cannot be kept, nobody knows better than to say so."""
        limit = self._dispatcher.limits.result
        try:
            plain: Json = to_jsonable_python(value, by_alias=False)
            text = dumped(plain)
            text.encode()  # half a character, as from a file's name, is nothing that a database keeps
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            return GaveUp(f"It was done, but what it returned cannot be written as JSON: {error}", parked=True)
        if size(text) > limit:
            said = f"It was done, but what it returned is {size(text):,} bytes long; at most {limit:,} are kept."
            return GaveUp(said, parked=True)
        return Succeeded(plain)

    async def _tried_again(self, one: Effect, taken: Taken, holder: str, error: str) -> Ended | None:
        """Have an effect wait for its next attempt; if there is none, how it ended."""
        attempt = taken.row.attempts
        if attempt < one.attempts:
            pause = random.uniform(0, min(CAP, BASE * 2 ** (attempt - 1)).total_seconds())
            again = partial(
                effects.try_again, effect=taken.row.id, worker=holder, pause=timedelta(seconds=pause), error=error
            )
            if await self._reported(lambda: self._dispatcher.store.write(again)):
                return None
        return GaveUp(_with(f"It was tried {attempt} time{'s' * (attempt != 1)} in vain.", error))

    async def _reported(self, report: Callable[[], T]) -> T:
        """What a report gives, in a thread of its own; as long as the database cannot be used, it is tried again."""
        loop, pause = asyncio.get_running_loop(), FULL
        while True:
            try:
                return await loop.run_in_executor(self._reporters, report)
            except (StoreError, Conflict) as error:
                logger.error("what became of an effect cannot be written yet: %s", trace(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, IDLE)


async def _answered(handler: Coroutine[Any, Any, T], seconds: float) -> T:
    """What a handler returns. Raises Failed, or _Unanswered for whatever else it raises."""
    task = asyncio.current_task()
    try:
        async with asyncio.timeout(seconds) as limit:
            return await handler
    except Failed:
        raise
    except asyncio.CancelledError:
        if task is not None and task.cancelling():
            raise
        raise _Unanswered("CancelledError: the handler cancelled itself") from None
    except TimeoutError as error:
        said = f"It did not answer within {seconds:g} s." if limit.expired() else f"TimeoutError: {error}"
        raise _Unanswered(said) from error
    except BaseException as error:  # whatever it is, even SystemExit, is about this effect alone
        logger.warning("a handler failed: %s", trace(error))
        raise _Unanswered(f"{type(error).__name__}: {error}") from error


def _with(text: str, last: str | None) -> str:
    return text if not last else f"{text} {last}"
