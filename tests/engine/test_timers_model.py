"""Sessions with timers, held against a plain model of lists and numbers with a clock of its own."""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from engine.errors import Refused
from engine.testing import stage
from engine.types import LOCAL
from tests.engine.stalls import MINUTE, Stall, act, document, waits

DELAYS = st.integers(min_value=1, max_value=30)


@dataclass(frozen=True)
class Wait:
    """One timer: what, while in which state, from when to when, in minutes."""

    action: str
    state: str
    since: int
    due: int


@dataclass(frozen=True)
class Snap:
    """A session after a change."""

    state: str = "free"
    released: tuple[str, ...] = ()
    rung: int = 0
    quiet: bool = False
    waits: tuple[Wait, ...] = ()


@dataclass
class Told:
    """What a session does, told in the plainest words."""

    now: int = 0
    past: list[Snap] = field(default_factory=lambda: [Snap()])
    undoable: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)

    def act(self, action: str, minutes: int) -> bool:
        """Do an action as somebody calls it; whether it is possible."""
        self.fire()
        after = self._after(action, minutes, self.past[-1])
        if after is not None:
            self._keep(after)
        return after is not None

    def fire(self) -> None:
        """Do what is due."""
        while due := [wait for wait in self.past[-1].waits if wait.due <= self.now]:
            first = min(due, key=lambda wait: wait.due)
            waiting = list(self.past[-1].waits)
            waiting.remove(first)
            before = replace(self.past[-1], waits=tuple(waiting))
            after = self._after(first.action, 0, before)
            if after is None:
                self.past.append(before)
            else:
                self._keep(after)

    def undo(self) -> bool:
        self.fire()
        if not self.undoable:
            return False
        revision = self.undoable.pop()
        self.undone.append(revision)
        self._back(self.past[revision - 2])
        return True

    def redo(self) -> bool:
        self.fire()
        if not self.undone:
            return False
        revision = self.undone.pop()
        self.undoable.append(revision)
        self._back(self.past[revision - 1])
        return True

    def _keep(self, after: Snap) -> None:
        self.past.append(after)
        self.undoable.append(len(self.past))
        self.undone.clear()

    def _back(self, snap: Snap) -> None:
        anew = tuple(
            replace(wait, since=self.now, due=self.now + wait.due - wait.since) if wait.due <= self.now else wait
            for wait in snap.waits
        )
        self.past.append(replace(snap, waits=anew))

    def _after(self, action: str, minutes: int, snap: Snap) -> Snap | None:
        wait = Wait("", "held", self.now, self.now + minutes)
        left = tuple(one for one in snap.waits if one.state != snap.state)
        match action, snap.state:
            case "hold", "free":
                return replace(snap, state="held", waits=(*left, replace(wait, action="release")))
            case "release", "held":
                return replace(snap, state="free", waits=left, released=(*snap.released, "x"))
            case "keep", "held":
                kept = tuple(one for one in snap.waits if one.action != "release")
                return replace(snap, waits=(*kept, replace(wait, action="release")))
            case "swap", "held":
                return replace(snap, waits=(*left, replace(wait, action="ring", due=self.now + 2)))
            case "bell", _:
                return replace(snap, waits=(*snap.waits, replace(wait, action="ring", state="")))
            case "hush", _:
                return replace(snap, quiet=not minutes % 2)
            case "ring", _:
                return None if snap.quiet else replace(snap, rung=snap.rung + 1)
        return None


class Stalls(RuleBasedStateMachine):
    """A stall and its model, side by side."""

    @initialize()
    def begin(self) -> None:
        self.open = ExitStack()
        self.dispatcher = self.open.enter_context(stage(Stall)).dispatcher
        self.session = self.dispatcher.start(LOCAL, "stall").session
        self.told = Told()

    def teardown(self) -> None:
        if hasattr(self, "open"):
            self.open.close()

    @rule(action=st.sampled_from(["hold", "keep", "swap", "bell", "hush", "ring"]), minutes=DELAYS)
    def act(self, action: str, minutes: int) -> None:
        given: dict[str, object] = {"minutes": minutes} if action in ("hold", "keep", "bell") else {}
        given = {"quiet": not minutes % 2} if action == "hush" else given
        self._same(self.told.act(action, minutes), action, **given)

    @rule()
    def undo(self) -> None:
        self._same(self.told.undo(), "undo")

    @rule()
    def redo(self) -> None:
        self._same(self.told.redo(), "redo")

    @rule(minutes=DELAYS)
    def wait(self, minutes: int) -> None:
        self.told.now += minutes
        self.dispatcher.store.offset += minutes * MINUTE

    @rule()
    def fire(self) -> None:
        self.told.fire()
        self.dispatcher.fire(self.session)

    @rule()
    def go_on_with_a_fork(self) -> None:
        """Of the present: the past of a fork is its original's, and it goes on from there."""
        self.told.fire()
        self.dispatcher.fire(self.session)
        self.session = self.dispatcher.fork(LOCAL, self.session).session

    def _same(self, possible: bool, action: str, **given: object) -> None:
        try:
            act(self.dispatcher, self.session, action, **given)
        except Refused:
            assert not possible
        else:
            assert possible

    @invariant()
    def is_as_told(self) -> None:
        if not hasattr(self, "told"):
            return
        last = self.told.past[-1]
        now = self.dispatcher.now(LOCAL, self.session)
        assert (now.state, now.revision) == (last.state, len(self.told.past))
        book = document(self.dispatcher, self.session)
        assert (len(book["released"]), book["rung"], book["quiet"]) == (len(last.released), last.rung, last.quiet)
        found = [(action, state, round(minutes)) for action, state, minutes in waits(self.dispatcher, self.session)]
        assert found == [(wait.action, wait.state, wait.due - self.told.now) for wait in last.waits]
        overdue = any(wait.due <= self.told.now for wait in last.waits)
        assert ("overdue" in [message.code for message in now.messages]) == overdue


Stalls.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
TestStalls = Stalls.TestCase
