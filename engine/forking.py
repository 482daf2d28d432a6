"""Forks: a session made of another's past, in one transaction if it is small, else written ahead as a batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from engine import batches
from engine.checks import find, possible
from engine.claims import settle
from engine.configurations import shown
from engine.copying import is_large, session_pieces
from engine.definition import Definition
from engine.errors import NotFound
from engine.history import entry_at, stacks
from engine.operations import opened_world
from engine.pasts import shown_by
from engine.present import bring, document_at, state, timers_at
from engine.starting import begun_before
from engine.store import hidden
from engine.store.records import Entry, Record, Transaction
from engine.store.stores import Store
from engine.timers import Timer, next_due, read, text_of
from engine.types import Message, Outcome, Principal

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    """A request to fork a session that was found and may be: at which revision, for whom, and with which key."""

    origin: Record
    definition: Definition
    principal: Principal
    owner_id: int
    revision: int
    key: str | None
    request: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a fork is at first, as one reading of its origin has it: the origin may be gone when it is published.

    `into` is the row set for each of the origin's, `rows_id` the one to show.
    """

    into: Mapping[int, int]
    rows_id: int
    state: str
    data: str | None
    undo_top: int | None
    redo_top: int | None
    timers: tuple[Timer, ...]


class TooLarge(Exception):
    """What is to be forked is too much for one transaction: it has to be written ahead."""

    def __init__(self, wanted: Fork) -> None:
        super().__init__(wanted.request)
        self.wanted = wanted


def fork(transaction: Transaction, wanted: Fork, most: int) -> Outcome:
    """Make a live session from a session's past, here and now. Raises NotFound; TooLarge above `most` rows."""
    entry_at(transaction, wanted.origin, wanted.revision)
    if is_large(transaction, wanted.definition, wanted.origin, wanted.revision, most):
        raise TooLarge(wanted)
    add = partial(
        hidden.insert_hidden,
        transaction,
        world=wanted.origin.world,
        version=wanted.origin.version,
        owner_id=wanted.owner_id,
    )
    batch_id = add("batch")
    begun = _beginning(transaction, wanted, batch_id, lambda: add("rows", of=batch_id))
    for piece in list(session_pieces(transaction, wanted.definition, wanted.origin, wanted.revision, begun.into)):
        piece(transaction)
    return _published(transaction, wanted, batch_id, begun)


def fork_ahead(store: Store, wanted: Fork, commit: Callable[[Callable[[Transaction], Outcome]], T]) -> T:
    """Write a fork ahead, from one snapshot of its origin, and then have it published by `commit`. Raises NotFound."""
    with batches.begun(store, wanted.definition, wanted.owner_id) as batch:
        with store.snapshot(unbounded=True) as source:
            origin = source.session_by_id(wanted.origin.id)
            if origin is None:
                raise NotFound(f"The session {wanted.origin.handle} was erased meanwhile.")
            bring(source, wanted.definition, origin)
            wanted = replace(wanted, origin=origin)
            begun = _beginning(source, wanted, batch.id, batch.row_set)
            batch.put(session_pieces(source, wanted.definition, origin, wanted.revision, begun.into))
        return commit(lambda transaction: _published_once(transaction, wanted, batch.id, begun))


def _beginning(source: Transaction, wanted: Fork, batch_id: int, add: Callable[[], int]) -> Beginning:
    """What the fork is to be, and a row set for each that the origin's kept past shows. Raises NotFound, Refused."""
    definition, origin, revision = wanted.definition, wanted.origin, wanted.revision
    then, shown = entry_at(source, origin, revision), shown_by(source, origin)
    others = [rows_id for rows_id in shown.between(origin.floor, revision) if rows_id != origin.id]
    into = {origin.id: batch_id} | {rows_id: add() for rows_id in others}
    undo_top, redo_top = stacks(source, origin, then)
    return Beginning(
        into=into,
        rows_id=into[shown.at(revision)],
        state=state(definition, then.version, then.state),
        data=document_at(source, definition, origin, revision),
        undo_top=undo_top,
        redo_top=redo_top,
        timers=_timers(source, wanted, then),
    )


def _timers(source: Transaction, wanted: Fork, then: Entry) -> tuple[Timer, ...]:
    """The timers of the fork: as they are, or of the past, with as much left as there was then."""
    definition, origin = wanted.definition, wanted.origin
    if then.revision == origin.revision:
        return read(origin.timers)
    by = source.now - datetime.fromisoformat(then.at)
    return tuple(timer.later(by) for timer in timers_at(source, definition, origin, then.revision))


def _published_once(transaction: Transaction, wanted: Fork, batch_id: int, begun: Beginning) -> Outcome:
    """Publish what was written ahead, if its origin is still there for the caller. Raises NotFound."""
    worlds = {wanted.definition.name: wanted.definition}
    found, _ = find(transaction, wanted.principal, wanted.origin.handle, worlds)
    if found.id != wanted.origin.id:
        raise NotFound(f"The session {wanted.origin.handle} was erased meanwhile.")
    before = begun_before(transaction, wanted.definition, wanted.principal, wanted.key, wanted.request)
    return before or _published(transaction, wanted, batch_id, begun)


def _published(transaction: Transaction, wanted: Fork, batch_id: int, begun: Beginning) -> Outcome:
    """Make a session of the batch that holds a fork's rows and journal."""
    made, origin = hidden.batch_record(transaction, batch_id), wanted.origin
    made.rows_id = None if begun.rows_id == made.id else begun.rows_id
    made.state, made.data = begun.state, begun.data
    made.revision, made.floor, made.stored = wanted.revision, origin.floor, origin.stored
    made.undo_top, made.redo_top = begun.undo_top, begun.redo_top
    made.forked_from, made.forked_at = origin.handle, wanted.revision
    made.copied_to = wanted.revision
    made.timers, made.due_at = text_of(begun.timers), next_due(begun.timers)
    hidden.publish(transaction, made)
    hidden.keep_timers(transaction, made)
    change = settle(transaction, wanted.definition, made, wanted.principal)
    if wanted.key is not None:
        person = transaction.ensure_person(wanted.principal)
        transaction.keep_start_key(person, wanted.key, made.id, wanted.request)
    view = partial(opened_world, transaction, wanted.definition, made, wanted.principal)
    allowed = possible(view, made, wanted.definition)
    note = Message("info", "forked", f"Forked {origin.handle} at revision {wanted.revision}.")
    return Outcome(made.handle, made.world, made.revision, shown(made.state), allowed, None, (), (note,), change=change)
