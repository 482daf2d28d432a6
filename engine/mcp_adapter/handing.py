"""Handing calls from the event loop to the dispatcher's writer, and answers back: many at a time, both ways.

What costs is waking threads, so callers are gathered until a turn of the loop
brings no further one, and the loop is woken once for all answers of a group.
"""

import asyncio
from collections import deque

from anyio import to_thread

from engine.dispatch import Answer, Dispatcher
from engine.failpoints import reach
from engine.operations import Call
from engine.types import Outcome

GATHERED = 64
"""Callers that are handed over without waiting for another: as many as the writer takes into a group."""

_Asked = tuple[Call, "asyncio.Future[Answer]"]


class Handing:
    """Carries calls out for the callers of one event loop."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self._gathered: list[_Asked] = []
        self._seen = 0
        self._answered: deque[tuple[asyncio.Future[Answer], Answer]] = deque()
        self._waking = False

    async def carry_out(self, call: Call) -> Outcome:
        """What `dispatch` gives, without a thread of its own that waits. Raises what it raises.

        Who stops waiting does not stop the call: what was handed over is
        committed whole or not at all, and its hooks are told.
        """
        if self._reads(call):
            return await to_thread.run_sync(self.dispatcher.dispatch, call)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._gathered.append((call, future))
        if len(self._gathered) == 1:
            self._seen = 0
            loop.call_soon(self._turn, loop)
        answer = await future
        reach("before_reply")
        return _outcome(answer)

    def _reads(self, call: Call) -> bool:
        definition = self.dispatcher.registry.definition(call.world)
        action = None if definition is None else definition.actions.get(call.action)
        return action is not None and action.read_only

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over who has gathered, unless this turn of the loop brought more callers."""
        if self._seen < len(self._gathered) < GATHERED:
            self._seen = len(self._gathered)
            loop.call_soon(self._turn, loop)
            return
        asked, self._gathered = self._gathered, []
        for call, future in asked:
            self._submit(loop, call, future)

    def _submit(self, loop: asyncio.AbstractEventLoop, call: Call, future: "asyncio.Future[Answer]") -> None:
        def done(answer: Answer) -> None:
            self._answered.append((future, answer))
            if not self._waking:
                self._waking = True
                self._wake(loop)

        try:
            self.dispatcher.submit(call, done)
        except Exception as error:
            if not future.done():
                future.set_result(Answer(None, error))

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(self._settle)
        except RuntimeError:
            self._answered.clear()  # The loop has ended, and with it whoever waited; the commit stands.

    def _settle(self) -> None:
        """Give the answers that have come to who waits for them."""
        self._waking = False  # First, so that an answer that comes from now on wakes again.
        while self._answered:
            future, answer = self._answered.popleft()
            if not future.done():
                future.set_result(answer)


def _outcome(answer: Answer) -> Outcome:
    if answer.outcome is not None:
        return answer.outcome
    assert answer.error is not None
    if isinstance(answer.error, Exception):
        raise answer.error
    raise RuntimeError(f"the action tried to end the process: {answer.error!r}") from answer.error
