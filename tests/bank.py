"""A shop whose customers pay at a bank, which does what a test tells it to; and how its effects are carried out."""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from pydantic import BaseModel

from engine import EffectCall, World, action, effect, nobody
from engine.background.effects import Effects
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.store import effects, workers
from engine.store.effects import EffectRecord
from engine.types import LOCAL, Outcome

SECONDS = 10.0
"""How long a test waits for what should take a moment."""
EVERY = ("waiting", "done", "failed", "refused", "parked", "cancelled")
Step = object
"""What the bank does at an attempt: an exception is raised, a function of the call awaited, all else returned."""


class State(StrEnum):
    OPEN = "open"
    PAYING = "paying"
    PAID = "paid"
    DECLINED = "declined"
    CALLED_OFF = "called_off"


class Money(BaseModel):
    amount: int = 0
    reference: str = ""
    reason: str = ""


class Bank:
    """Charges and refunds, each attempt by the next step of its plan, and the last step from then on."""

    def __init__(self, *plan: Step, refunds: tuple[Step, ...] = (None,)) -> None:
        self.plan = plan or ({"reference": "R1"},)
        self.refunds = refunds
        self.charged: list[tuple[EffectCall, int]] = []
        self.refunded: list[tuple[EffectCall, int, Any]] = []

    async def charge(self, call: EffectCall, amount: int) -> Any:
        self.charged.append((call, amount))
        return await _step(self.plan[min(len(self.charged), len(self.plan)) - 1], call)

    async def refund(self, call: EffectCall, amount: int, result: Any) -> Any:
        self.refunded.append((call, amount, result))
        return await _step(self.refunds[min(len(self.refunded), len(self.refunds)) - 1], call)


async def _step(step: Any, call: EffectCall) -> Any:
    if isinstance(step, BaseException):
        raise step
    result: Awaitable[Any] | Any = step(call) if callable(step) else step
    return await result if isinstance(result, Awaitable) else result


def shop_of(bank: Bank, *, own: str | None = None, **options: Any) -> type[World]:
    """A shop at that bank; `options` are those of the charge, `own` is how the action takes itself back."""
    options = {"on_success": "record_payment", "on_failure": "decline", **options}

    @effect(on_success="record_refund" if options.pop("told", False) else None)
    async def refund(call: EffectCall, amount: int, result: dict[str, str] | None = None) -> None:
        await bank.refund(call, amount, result)

    @effect(**options)
    async def charge(call: EffectCall, amount: int) -> Any:
        return await bank.charge(call, amount)

    class Shop(World, rows=[], states=State, start=State.OPEN, effects=[charge, refund]):
        """Sells."""

        data: Money

        @action(source=State.OPEN, target=State.PAYING, compensate=own)
        def pay(self, amount: int = 5) -> None:
            """Pay."""
            self.data.amount = amount
            self.effect(charge, amount=amount)

        @action(source=State.OPEN, target=State.PAYING)
        def pay_soon(self) -> None:
            """Pay, within a minute."""
            self.effect(charge, amount=5)
            self.after(timedelta(minutes=1), "call_off")

        @action(source=State.PAYING, target=State.PAID, only_for=nobody)
        def record_payment(self, reference: str) -> None:
            """Note that the bank charged."""
            if reference == "broken":
                raise RuntimeError("no such book")
            if reference == "slow":
                time.sleep(0.5)
            if reference == "over":
                raise SystemExit(3)
            self.data.reference = reference

        @action(source=State.PAYING, target=State.DECLINED, only_for=nobody)
        def decline(self, reason: str) -> None:
            """Note that the bank did not."""
            self.data.reason = reason

        @action(only_for=nobody)
        def record_refund(self) -> None:
            """Note that the bank paid back."""
            self.data.reason = "refunded"

        @action(source=State.PAYING, target=State.CALLED_OFF)
        def call_off(self) -> None:
            """Wait no more."""

        @action
        def note(self) -> None:
            """Change nothing that matters."""

        def pay_back(self, change: Any) -> None:
            self.effect("refund", amount=change.arguments["amount"])

    return Shop


def call(dispatcher: Dispatcher, action: str, *, session: str | None = None, **given: Any) -> Outcome:
    """One call of the shop by the local principal, on their main session."""
    return dispatcher.dispatch(Call(principal=LOCAL, world="shop", action=action, session=session, arguments=given))


def rows(dispatcher: Dispatcher) -> list[EffectRecord]:
    """Every effect there is."""
    return [taken.row for taken in dispatcher.store.read(lambda tx: effects.listed(tx, None, EVERY))]


def states(dispatcher: Dispatcher) -> list[str]:
    """What each effect is, in the order in which they were asked for."""
    return [row.state for row in rows(dispatcher)]


def data(dispatcher: Dispatcher, session: str) -> Mapping[str, Any]:
    """The shop's document."""
    record = dispatcher.store.read(lambda tx: tx.session(session))
    assert record is not None and record.data is not None
    return Money.model_validate_json(record.data).model_dump()


def until(true: Callable[[], object]) -> None:
    """Wait until something is so, for `SECONDS` at most."""
    end = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < end, f"not within {SECONDS:g} s"
        time.sleep(0.005)


class Desk:
    """A worker that carries out effects when it is told to look."""

    def __init__(self, dispatcher: Dispatcher, **options: Any) -> None:
        self.dispatcher = dispatcher
        self.job = Effects(dispatcher, **options)
        self.holder = self.enter()

    def enter(self) -> str:
        """A new lease; its worker's id."""
        store = self.dispatcher.store
        now, lease = store.now() - store.offset, timedelta(hours=1)
        return store.write(partial(workers.enter, kind="serve", place="here", now=now, lease=lease))

    def die(self) -> None:
        """Lose the lease, as if the process were gone; what is under way does not hear of it."""
        self.dispatcher.store.write(partial(workers.leave, worker=self.holder))

    def look(self) -> float:
        """Begin what is due."""
        return self.job.look(self.holder)

    def run_once(self) -> None:
        """Carry out what is due now, until nobody holds anything."""
        self.look()
        until(lambda: not any(row.worker_id for row in rows(self.dispatcher)))

    def run(self) -> None:
        """Carry out all that is due, also what comes of it, until nobody holds anything."""
        while self.look() < 0.1 or any(row.worker_id for row in rows(self.dispatcher)):
            until(lambda: not any(row.worker_id for row in rows(self.dispatcher)))

    def run_late(self) -> None:
        """The same, as long after now as the longest pause between two attempts."""
        self.dispatcher.store.offset += timedelta(minutes=5)
        self.run()


@contextmanager
def desk(dispatcher: Dispatcher, **options: Any) -> Iterator[Desk]:
    """A worker for as long as the block lasts."""
    found = Desk(dispatcher, **options)
    try:
        yield found
    finally:
        found.job.close()
