"""Forks: a session made of another's past, in one transaction if it is small, else written ahead as a batch."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from engine import batches
from engine.checks import possible
from engine.claims import settle
from engine.copying import is_large, session_pieces
from engine.definition import Definition
from engine.errors import NotFound
from engine.history import entry_at, stacks
from engine.operations import opened_world
from engine.pasts import shown_by
from engine.present import bring, document_at, state
from engine.starting import begun_before
from engine.store import hidden
from engine.store.records import Record, Transaction
from engine.store.stores import Store
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
    into = _targets(transaction, wanted, batch_id, lambda: add("rows", of=batch_id))
    for piece in list(session_pieces(transaction, wanted.definition, wanted.origin, wanted.revision, into)):
        piece(transaction)
    return _published(transaction, wanted, batch_id, into)


def fork_ahead(store: Store, wanted: Fork, commit: Callable[[Callable[[Transaction], Outcome]], T]) -> T:
    """Write a fork ahead, from one snapshot of its origin, and then have it published by `commit`. Raises NotFound."""
    with batches.begun(store, wanted.definition, wanted.owner_id) as batch:
        with store.snapshot(unbounded=True) as source:
            origin = source.session_by_id(wanted.origin.id)
            if origin is None:
                raise NotFound(f"The session {wanted.origin.handle} was erased meanwhile.")
            bring(source, wanted.definition, origin)
            wanted = replace(wanted, origin=origin)
            into = _targets(source, wanted, batch.id, batch.row_set)
            batch.put(session_pieces(source, wanted.definition, origin, wanted.revision, into))
        return commit(lambda transaction: _published_once(transaction, wanted, batch.id, into))


def _targets(transaction: Transaction, wanted: Fork, batch_id: int, add: Callable[[], int]) -> dict[int, int]:
    """The row set to be written for each that the origin's past shows."""
    own, *others = shown_by(transaction, wanted.origin).upto(wanted.revision)
    return {own: batch_id} | {rows_id: add() for rows_id in others}


def _published_once(transaction: Transaction, wanted: Fork, batch_id: int, into: dict[int, int]) -> Outcome:
    before = begun_before(transaction, wanted.definition, wanted.principal, wanted.key, wanted.request)
    return before or _published(transaction, wanted, batch_id, into)


def _published(transaction: Transaction, wanted: Fork, batch_id: int, into: dict[int, int]) -> Outcome:
    """Make a session of the batch that holds a fork's rows and journal."""
    made, origin = hidden.batch_record(transaction, batch_id), wanted.origin
    then = entry_at(transaction, origin, wanted.revision)
    rows_id = into[transaction.rows_at(origin.id, wanted.revision)]
    made.rows_id = None if rows_id == made.id else rows_id
    made.state = state(wanted.definition, then.version, then.state)
    made.data = document_at(transaction, wanted.definition, origin, wanted.revision)
    made.revision, made.floor, made.stored = wanted.revision, origin.floor, origin.stored
    made.undo_top, made.redo_top = stacks(transaction, origin, then)
    made.forked_from, made.forked_at = origin.handle, wanted.revision
    hidden.publish(transaction, made)
    change = settle(transaction, wanted.definition, made, wanted.principal)
    if wanted.key is not None:
        person = transaction.ensure_person(wanted.principal)
        transaction.keep_start_key(person, wanted.key, made.id, wanted.request)
    view = partial(opened_world, transaction, wanted.definition, made, wanted.principal)
    allowed = possible(view, made, wanted.definition)
    note = Message("info", "forked", f"Forked {origin.handle} at revision {wanted.revision}.")
    return Outcome(made.handle, made.world, made.revision, made.state, allowed, None, (), (note,), change=change)
