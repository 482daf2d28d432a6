"""The worlds that the tests of timers use: a flat one, and one with states within states and side by side."""

from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from engine import Compound, Final, Parallel, World, action, nobody, on_enter, on_exit, transition
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.types import LOCAL, Json, Outcome

Make = Callable[..., Dispatcher]
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


class Spot(StrEnum):
    FREE = "free"
    HELD = "held"
    GONE = "gone"


class Book(BaseModel):
    released: list[str] = []
    rung: int = 0
    quiet: bool = False
    broken: bool = True


def is_wanted(stall: "Stall") -> str | None:
    return "it is quiet here" if stall.data.quiet else None


class Stall(World, states=Spot, start=Spot.FREE, final={Spot.GONE}):
    """A stall at a market, held for whoever asks for it, for some time."""

    data: Book

    @action(source=Spot.FREE, target=Spot.HELD)
    def hold(self, minutes: int = 15, by: str = "late") -> None:
        self.after(minutes * MINUTE, Stall.release, by=by)

    @action(source=Spot.HELD, target=Spot.FREE, only_for=nobody)
    def release(self, by: str) -> str:
        self.data.released.append(by)
        return by

    @action(source=Spot.HELD)
    def look(self) -> None:
        self.data.rung += 100

    @action(source=Spot.HELD)
    def keep(self, minutes: int) -> None:
        self.cancel_timers(Stall.release)
        self.after(minutes * MINUTE, "release", by="kept")

    @action(source=Spot.HELD, target=Spot.HELD)
    def swap(self) -> None:
        self.after(2 * MINUTE, Stall.ring)

    @action(source=Spot.HELD, target=Spot.GONE)
    def sell(self) -> None: ...

    @action
    def bell(self, minutes: int = 10) -> None:
        self.after(minutes * MINUTE, Stall.ring, within=Spot)

    @action(guards=[is_wanted])
    def ring(self) -> None:
        self.data.rung += 1

    @action
    def hush(self, quiet: bool = True) -> None:
        self.data.quiet = quiet

    @action
    def mine(self, minutes: int = 1) -> None:
        self.after(minutes * MINUTE, Stall.burst)

    @action
    def mend(self) -> None:
        self.data.broken = False

    @action(only_for=nobody)
    def burst(self) -> None:
        self.data.rung += 1
        if self.data.broken:
            raise RuntimeError("the stall fell over")

    @action
    def chain(self, left: int) -> None:
        self.data.rung += 1
        if left:
            self.after(timedelta(microseconds=1), Stall.chain, left=left - 1)

    @action
    def idle(self) -> str:
        self.unchanged()
        return "nothing"

    @action
    def nod(self) -> None:
        self.after(MINUTE, Stall.idle)

    @action
    def wrong(self, how: str) -> None:
        calls: dict[str, Callable[[], None]] = {
            "unknown": lambda: self.after(MINUTE, "fly"),
            "argument": lambda: self.after(MINUTE, Stall.hold, minutes="many"),
            "never": lambda: self.after(timedelta(), Stall.ring),
            "long": lambda: self.after(timedelta(days=40_000), Stall.ring),
            "reader": lambda: self.after(MINUTE, Stall.told),
            "state": lambda: self.after(MINUTE, Stall.ring, within=Part.IN),
            "inactive": lambda: self.after(MINUTE, Stall.ring, within=Spot.GONE),
            "cancel": lambda: self.cancel_timers("fly"),
        }
        calls[how]()

    @action(read_only=True)
    def told(self) -> None: ...


class Part(StrEnum):
    OUT = "out"
    IN = "in"
    BUSY = "busy"
    DULL = "dull"
    ALERT = "alert"
    WORK = "work"
    WARM = "warm"
    HOT = "hot"
    COLD = "cold"
    DONE = "done"


class Seen(BaseModel):
    seen: list[str] = []
    open: bool = True


def is_open(mill: "Mill") -> str | None:
    return None if mill.data.open else "it is shut"


class Mill(
    World,
    states=[
        Part.OUT,
        Parallel(
            Part.IN,
            Compound(Part.BUSY, Part.DULL, Part.ALERT),
            Compound(Part.WORK, Part.WARM, Part.HOT, Part.COLD),
        ),
        Final(Part.DONE),
    ],
):
    """A mill: whoever is in it gets dull after an hour, and it grows cold by itself."""

    data: Seen

    @action(source=Part.OUT, target=Part.IN)
    def enter_mill(self) -> None: ...

    @action(source=Part.IN, target=Part.OUT)
    def leave(self) -> None: ...

    @action(source=Part.DULL, target=Part.ALERT)
    def wake(self) -> None: ...

    @action(source=Part.ALERT, target=Part.DULL)
    def doze(self) -> None: ...

    @action(source=Part.IN, target=Part.IN)
    def again(self) -> None: ...

    @action(source=Part.IN)
    def stir(self, note: str, within: Part | None = None) -> None:
        self.after(HOUR, Mill.see, within=within, note=note)

    @action
    def see(self, note: str) -> None:
        self.data.seen.append(note)

    @action
    def shut(self, is_open: bool = False) -> None:
        self.data.open = is_open

    @action(source=Part.IN, target=Part.DONE)
    def close_mill(self) -> None: ...

    @on_enter(Part.ALERT)
    def awake(self) -> None:
        self.after(20 * MINUTE, Mill.see, note="alert")

    @on_exit(Part.ALERT)
    def tired(self) -> None:
        self.after(5 * MINUTE, Mill.see, note="tired")

    @transition(source=Part.WARM, target=Part.COLD, after=30 * MINUTE)
    def cool(self) -> None:
        self.data.seen.append("cold")

    @transition(source=Part.COLD, target=Part.HOT, after=10 * MINUTE, guards=[is_open])
    def heat(self) -> None:
        self.data.seen.append("hot")


def act(dispatcher: Dispatcher, session: str, name: str, /, **arguments: Any) -> Outcome:
    """What an action of the session's own world comes to."""
    return dispatcher.dispatch(
        Call(
            principal=LOCAL,
            world=dispatcher.world_of(LOCAL, session),
            action=name,
            arguments=arguments,
            session=session,
        )
    )


def waits(dispatcher: Dispatcher, session: str, at: int | None = None) -> list[tuple[str, str, float]]:
    """What a session waits for: action, state, and minutes to come."""
    then, _ = dispatcher.past(LOCAL, session, at)
    now = dispatcher.store.now()
    return [(timer.action, timer.state, round((timer.due_at - now) / MINUTE, 1)) for timer in then.timers]


def told(dispatcher: Dispatcher, session: str) -> list[tuple[str, str]]:
    """Who did what in a session."""
    return [(entry["by"], entry["action"]) for entry in dispatcher.history(LOCAL, session)]


def document(dispatcher: Dispatcher, session: str) -> Json:
    """A session's document."""
    return dispatcher.look(LOCAL, dispatcher.world_of(LOCAL, session), session, lambda world: world.data.model_dump())


def pass_by(dispatcher: Dispatcher, minutes: float) -> None:
    """Let time pass with nobody at work."""
    dispatcher.store.offset += minutes * MINUTE
