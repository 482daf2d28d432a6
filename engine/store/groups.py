"""Group commit: the work of several callers in one transaction, a savepoint each, one commit, and only then answers.

Where the database drops the whole transaction (disk full, I/O error, deadlock,
a cut connection), nobody in the group is answered: each runs again alone, and
only the one that fails again gets the error.
"""

import logging
import random
import time
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from engine.errors import EngineError, OutcomeUnknown
from engine.failpoints import reach
from engine.store.records import Transaction

T = TypeVar("T")
logger = logging.getLogger(__name__)

GROUP_SIZE = 64
"""Members of a group at most."""
GROUP_SECONDS = 0.010
"""Work of a group after which no further member begins: what a store has unless it is told otherwise."""
TRIES = 5
"""Attempts at most where the database says that trying again helps."""


class Member(Generic[T]):
    """One caller's work: waiting for its turn, then with a `result` or an `error`.

    `told` gets the result of the commit it was part of, before the next commit
    and so in their order; `done` the member itself after that. Both are called
    by the writer and must return at once. Callers of one `lane` go one after the other;
    those of the same `caller` in it are counted together where too many wait.
    """

    __slots__ = ("caller", "done", "error", "lane", "result", "told", "work")

    def __init__(
        self,
        work: Callable[[Transaction], T],
        *,
        told: Callable[[T], None] | None = None,
        done: "Callable[[Member[T]], None] | None" = None,
        lane: object = None,
        caller: object = None,
    ) -> None:
        self.work = work
        self.told = told
        self.done = done
        self.lane = lane
        self.caller = caller
        self.result: T | None = None
        self.error: BaseException | None = None

    def outcome(self) -> T:
        """The result. Raises the error."""
        if self.error is not None:
            raise self.error
        result: Any = self.result
        return result  # type: ignore[no-any-return]

    def finish(self) -> None:
        """Tell of the result, then say that it is done."""
        try:
            if self.told is not None and self.error is None:
                self.told(self.result)  # type: ignore[arg-type]
        except Exception:
            logger.exception("a listener failed")  # the commit stands, and so does the answer
        try:
            if self.done is not None:
                self.done(self)
        except Exception:
            logger.exception("an answer could not be given")  # whoever is served next is not to suffer for it


class Lost(Exception):
    """The transaction is gone as a whole.

    `committed`: it was looked up, and took effect. `unknown`: that could not be
    looked up, so nobody may run again. `again`: trying again may help although
    nothing else has changed. `doubtful`: it did not take effect, but what was
    written of it may come back when the database is opened after a crash.
    """

    def __init__(
        self,
        error: BaseException,
        *,
        committed: bool = False,
        unknown: bool = False,
        again: bool = False,
        doubtful: bool = False,
    ) -> None:
        super().__init__(str(error))
        self.error = error
        self.committed = committed
        self.unknown = unknown
        self.again = again
        self.doubtful = doubtful and not committed


class Ground(Protocol):
    """The connection that groups run on. Every method may raise Lost."""

    @property
    def group_seconds(self) -> float:
        """Work of a group after which no further member begins."""

    def begin(self) -> None:
        """Begin a transaction that may write."""

    def savepoint(self) -> Transaction:
        """Begin a member's part, with its own view of the clock and its own deadline."""

    def release(self, transaction: Transaction) -> None:
        """End a member's part."""

    def rollback_to(self, transaction: Transaction | None, error: BaseException) -> BaseException:
        """Take a member's part back, and no more than that; the error as callers should see it."""

    def commit(self, parts: list[Transaction]) -> None:
        """Commit; what was written is on disk. Where the outcome is unknown, it is looked up."""

    def close(self) -> None:
        """Give the connection back, with whatever was under way; the next `begin` opens another."""


def carry_out(ground: Ground, first: Member[Any], more: Callable[[], Member[Any] | None]) -> list[Member[Any]]:
    """Run a group that begins with `first` and takes `more` while there is time; its members, each with an outcome."""
    ran: list[Member[Any]] = []
    try:
        try:
            _group(ground, first, more, ran)
        except Lost as lost:
            for member in ran or [first]:
                before = lost if len(ran) < 2 or lost.unknown or lost.committed else None
                _alone(ground, member, before, doubtful=lost.doubtful)
    except Exception as error:  # the writer has to live, and whoever was in the group is told
        logger.exception("a group failed in an unforeseen way")
        ground.close()
        for member in ran or [first]:
            member.result, member.error = None, error
    return ran or [first]


def _group(ground: Ground, first: Member[Any], more: Callable[[], Member[Any] | None], ran: list[Member[Any]]) -> None:
    ground.begin()
    reach("after_begin")
    parts: list[Transaction] = []
    until = time.monotonic() + ground.group_seconds
    member: Member[Any] | None = first
    while member is not None:
        ran.append(member)
        _part(ground, member, parts)
        reach("mid_group")
        member = more() if len(ran) < GROUP_SIZE and time.monotonic() < until else None
    reach("before_commit")
    ground.commit(parts)
    reach("after_commit")


def _part(ground: Ground, member: Member[Any], parts: list[Transaction]) -> None:
    transaction = None
    member.result = member.error = None
    try:
        transaction = ground.savepoint()
        member.result = member.work(transaction)
        ground.release(transaction)
    except Lost:
        raise
    except BaseException as error:  # an action's SystemExit, too, is its caller's alone
        member.error = ground.rollback_to(transaction, error)
    else:
        parts.append(transaction)


def _alone(ground: Ground, member: Member[Any], before: Lost | None, *, doubtful: bool) -> None:
    """Run one member that lost its group. `before` is the failure of an attempt that it had to itself already.

    `doubtful`: what it did may come back, so nothing but a later success can say what became of it.
    """
    lost = before
    for attempt in range(TRIES):
        if lost is not None and not lost.again:
            break
        if attempt:
            time.sleep(random.uniform(0, 0.01 * 2**attempt))
        try:
            _group(ground, member, _nobody, [])
        except Lost as failure:
            lost, doubtful = failure, doubtful or failure.doubtful
        else:
            return
    if lost is not None and not lost.committed:
        member.result, member.error = None, in_doubt(lost.error) if doubtful else lost.error


def in_doubt(error: BaseException) -> OutcomeUnknown:
    """What to say where the disk failed in the middle of a commit, and nobody can say what it will give back."""
    reason = error.reason if isinstance(error, EngineError) else str(error)
    found = OutcomeUnknown(f"The disk failed in the middle of a commit, which may take effect yet: {reason}")
    found.__cause__ = error
    return found


def _nobody() -> None:
    return None
