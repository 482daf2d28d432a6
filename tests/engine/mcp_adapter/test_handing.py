"""Handing calls over from an event loop: everybody gets their own answer, and nothing handed over is half done."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest
from pydantic import BaseModel

from engine import World, action
from engine.dispatch import Dispatcher
from engine.errors import Busy, InvalidArguments, NotFound, Refused
from engine.limits import Limits
from engine.mcp_adapter.handing import Handing
from engine.operations import Call
from engine.types import LOCAL, Change

pytestmark = pytest.mark.anyio

BEGAN, GO = threading.Event(), threading.Event()


class Total(BaseModel):
    total: int = 0


class Till(World):
    """A till."""

    data: Total

    @action
    def ring(self, cents: int) -> int:
        """Ring something up."""
        self.data.total += cents
        return self.data.total

    @action
    def wait(self) -> None:
        """Keep everybody waiting."""
        BEGAN.set()
        assert GO.wait(10)

    @action
    def leave(self) -> None:
        """Try to end the process."""
        raise SystemExit(3)

    @action(read_only=True)
    def total(self) -> int:
        """What was rung up."""
        return self.data.total


RING = Call(principal=LOCAL, world="till", action="ring", arguments={"cents": 1})


@pytest.fixture(autouse=True)
def _nobody_waits() -> None:
    BEGAN.clear()
    GO.clear()


async def test_many_callers_at_once_each_get_their_own_answer(dispatcher_of: Callable[..., Dispatcher]) -> None:
    told: list[Change] = []
    dispatcher = dispatcher_of(Till, listeners=[told.append], limits=Limits(waiting=1000))
    handing = Handing(dispatcher)
    outcomes = await asyncio.gather(*(handing.carry_out(replace(RING, key=f"{n}")) for n in range(200)))
    assert sorted(outcome.revision for outcome in outcomes) == list(range(2, 202))
    assert all(outcome.value == outcome.revision - 1 for outcome in outcomes)
    assert [change.revision for change in told] == list(range(1, 202))
    assert (await handing.carry_out(replace(RING, action="total", arguments={}))).value == 200


async def test_an_error_is_its_callers_alone(dispatcher_of: Callable[..., Dispatcher]) -> None:
    handing = Handing(dispatcher_of(Till))
    calls = [
        RING,
        replace(RING, arguments={"cents": "many"}),
        replace(RING, action="steal"),
        replace(RING, session="ses_nobodys"),
        replace(RING, if_revision=7),
        replace(RING, action="leave", arguments={}),
        RING,
    ]
    found = await asyncio.gather(*map(handing.carry_out, calls), return_exceptions=True)
    kinds = [type(one) for one in found[1:-1]]
    assert kinds[:3] == [InvalidArguments, NotFound, NotFound]
    assert issubclass(kinds[3], Refused) and kinds[4] is RuntimeError
    assert [found[0].value, found[-1].value] == [1, 2]  # type: ignore[union-attr]


async def test_who_stops_waiting_does_not_stop_the_call(dispatcher_of: Callable[..., Dispatcher]) -> None:
    told: list[Change] = []
    dispatcher = dispatcher_of(Till, listeners=[told.append])
    handing = Handing(dispatcher)
    waiting = asyncio.create_task(handing.carry_out(replace(RING, action="wait", arguments={})))
    await anyio.to_thread.run_sync(BEGAN.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    GO.set()
    assert (await handing.carry_out(RING)).revision == 3
    assert [change.action for change in told] == ["start", "wait", "ring"]


async def test_a_session_that_too_many_wait_for_is_busy(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Till, limits=Limits(waiting=1))
    handing = Handing(dispatcher)
    waiting = asyncio.create_task(handing.carry_out(replace(RING, action="wait", arguments={})))
    await anyio.to_thread.run_sync(BEGAN.wait, 10)
    with pytest.raises(Busy) as caught:
        await handing.carry_out(RING)
    assert caught.value.retry_after > 0
    GO.set()
    await waiting
    assert (await handing.carry_out(RING)).revision == 3


def test_answers_for_a_loop_that_has_ended_are_dropped_and_the_writer_lives(
    dispatcher_of: Callable[..., Dispatcher],
) -> None:
    dispatcher = dispatcher_of(Till)
    handing = Handing(dispatcher)

    async def leave() -> None:
        waiting = asyncio.create_task(handing.carry_out(replace(RING, action="wait", arguments={})))
        await anyio.to_thread.run_sync(BEGAN.wait, 10)
        waiting.cancel()

    asyncio.run(leave())
    GO.set()
    assert dispatcher.dispatch(RING).revision == 3
    assert asyncio.run(Handing(dispatcher).carry_out(RING)).revision == 4
