"""One session's news: each consumer hears of the journal's entries from where it is, in order.

A consumer that fails comes again later, and what came after waits, of that
session and for that consumer alone. One that has to be served by another
process is noted as due, so that it is found there.
"""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from engine.background.consuming import Hearer, Kinds, Spreader
from engine.definition import Definition
from engine.errors import Refused
from engine.logs import explained
from engine.registry import Registry
from engine.retelling import change_of
from engine.store.consumers import Heard, Registered, heard_in, position, registered
from engine.store.records import Record, Transaction
from engine.store.stores import Store
from engine.types import Change

AT_ONCE = 100
"""Changes that a consumer hears of at most until other sessions have their turn."""
BYTES_AT_ONCE = 4 * 1024 * 1024
"""Of images that are held for them at most, but for those of one change."""
ATTEMPTS = 8
"""How often a consumer gets a change; then it is parked in that session."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=5)
"""How long it rests after the first failure, and at most."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes after a revision, oldest first, and what kept from reading more, if anything did."""

    changes: tuple[Change, ...]
    fault: Refused | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What a consumer is to hear of now."""

    consumer: Registered
    served: Hearer | Spreader
    at: Heard
    page: Page


@dataclass(frozen=True, slots=True)
class Step:
    """How far a consumer has come, from `at`; a spreader comes there only by writing about `changes`."""

    consumer: Registered
    at: Heard
    heard: Heard
    spreader: Spreader | None = None
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of passing a session's news on. `record` is the session as it was read, None if nothing was done.

    `whole`: every consumer was told, or is due or parked.
    """

    session_id: int
    record: Record | None = None
    steps: tuple[Step, ...] = ()
    whole: bool = False


def pass_on(store: Store, registry: Registry, kinds: Kinds, session_id: int, go_on: Callable[[], bool]) -> Told:
    """Have consumers hear of a session's news, outside any transaction, while `go_on` says so. Raises StoreError."""
    read = store.read(lambda tx: _read(tx, registry, kinds, session_id))
    if read is None or not go_on():
        return Told(session_id)
    record, steps, turns = read
    steps += [_taken(store, record, turn, go_on) for turn in turns]
    return Told(session_id, record, tuple(steps), whole=go_on())


def failed(at: Heard, consumer: Registered, session: str, error: BaseException, now: datetime) -> Heard:
    """How far a consumer is that failed at the next change: when it comes again, or that it is parked."""
    number, attempts = explained(error), at.attempts + 1
    logger.error(
        "%s %s failed on revision %d of %s, attempt %d of %d: error %s",
        *(consumer.kind, consumer.name, at.revision + 1, session, attempts, ATTEMPTS, number),
    )
    found = Heard(at.revision, attempts, error=f"{type(error).__name__}, explained in the log as error {number}")
    if attempts >= ATTEMPTS:
        return replace(found, parked_at=_text(now))
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (attempts - 1))
    return replace(found, due_at=_text(now + longest * random.random()))


def _read(
    transaction: Transaction, registry: Registry, kinds: Kinds, session_id: int
) -> tuple[Record, list[Step], list[Turn]] | None:
    """A session, what is to be noted of consumers that others serve, and the turns of those that are served here."""
    record = transaction.session_by_id(session_id)
    definition = None if record is None else registry.definition(record.world)
    if record is None or definition is None or record.version > definition.version:
        return None
    heard = heard_in(transaction, session_id)
    steps: list[Step] = []
    turns: list[Turn] = []
    pages: dict[int, Page] = {}
    for consumer in registered(transaction):
        if not consumer.concerns(record.world):
            continue
        known = heard.get(consumer.name)
        at = known or Heard(position(transaction, record, consumer))
        serving = kinds.get(consumer.kind)
        served = None if serving is None else serving(consumer)
        if at.revision >= record.revision:
            if at.due_at is not None or (known is None and consumer.from_start):
                steps.append(Step(consumer, at, Heard(at.revision)))
        elif at.parked_at is not None or (at.due_at is not None and (served is None or at.due_at > transaction.at)):
            continue
        elif served is None:
            steps.append(Step(consumer, at, replace(at, due_at=transaction.at)))
        else:
            if at.revision not in pages:
                pages[at.revision] = _page(transaction, definition, record, at.revision)
            turns.append(Turn(consumer, served, at, pages[at.revision]))
    return record, steps, turns


def _page(transaction: Transaction, definition: Definition, record: Record, after: int) -> Page:
    after = max(after, record.floor if record.floor > 1 else 0)
    before = transaction.entry(record.id, after) if after else None
    found: list[Change] = []
    held = 0
    for entry in list(transaction.entries(record.id, after=after, limit=AT_ONCE)):
        held += len(entry.rows or "") + len(entry.shared or "")
        if found and held > BYTES_AT_ONCE:
            break
        try:
            found.append(change_of(transaction, definition, record, entry, before))
        except Refused as refused:
            return Page(tuple(found), refused)
        before = entry
    return Page(tuple(found))


def _taken(store: Store, record: Record, turn: Turn, go_on: Callable[[], bool]) -> Step:
    """Let a consumer hear; a spreader only writes later, when it is noted that it did."""
    if isinstance(turn.served, Spreader):
        heard = _reached(store, record, turn, turn.page.changes, turn.page.fault)
        return Step(turn.consumer, turn.at, heard, turn.served, turn.page.changes)
    done = 0
    error: BaseException | None = None
    for change in turn.page.changes:
        if not go_on():
            break
        try:
            turn.served.hear(change)
        except BaseException as raised:  # even SystemExit: the thread is not the hook's to end
            error = raised
            break
        done += 1
    if error is None and done == len(turn.page.changes):
        error = turn.page.fault
    return Step(turn.consumer, turn.at, _reached(store, record, turn, turn.page.changes[:done], error))


def _reached(store: Store, record: Record, turn: Turn, changes: Sequence[Change], error: BaseException | None) -> Heard:
    """How far a consumer is after these changes, and after an error, if there was one."""
    at = Heard(changes[-1].revision) if changes else turn.at
    if error is not None:
        return failed(at, turn.consumer, record.handle, error, store.now())
    if at.revision >= record.revision or not turn.page.changes:
        return Heard(record.revision)
    return replace(at, due_at=at.due_at or _text(store.now()))


def _text(time: datetime) -> str:
    return time.isoformat(timespec="microseconds")
