"""The dispatcher: the only writer. Every change, from any door, is one call of `dispatch` or `start`.

The order is the design's: parse; find the session, then role, then scope;
replay; revision; state and guards; the method; the transition; journal;
commit. Only then are listeners told.
"""

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from engine import history
from engine.actions import canonical, parsed
from engine.checks import allow, check_key, check_revision, check_version, find, need, possible
from engine.definition import Definition
from engine.errors import Refused
from engine.journal import again, key_reused, replayed, write
from engine.operations import Call as Call
from engine.operations import Done, Opened, Operation, opened_world
from engine.reading import Reader, now_of
from engine.registry import Registry
from engine.rows import Rows
from engine.store.records import Record, Transaction
from engine.store.sqlite import SqliteStore
from engine.types import Change, Json, Message, Outcome, Principal, Role

T = TypeVar("T")
Listener = Callable[[Change], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a transaction leaves: the outcome for the caller, the changes for the listeners."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()


class Dispatcher(Reader):
    """Carries out calls on a store, one transaction each, and tells listeners of every change after its commit."""

    def __init__(self, store: SqliteStore, registry: Registry, listeners: Iterable[Listener] = ()) -> None:
        super().__init__(store, registry)
        self.listeners = list(listeners)

    # changing

    def dispatch(self, call: Call) -> Outcome:
        """Carry out one action, or one operation of the engine, on one session.

        Raises InvalidArguments, NotFound, Forbidden, Refused, Conflict, StoreError; then nothing was changed.
        """
        definition = self._definition(call.world)
        action = definition.actions.get(call.action)
        if action is not None and action.read_only:
            return self.read(call)
        operation = self._operation(definition, call.action)
        arguments = parsed(operation.parameters, call.arguments)
        request = canonical(operation.parameters, arguments)
        check_key(call.key)
        began = time.perf_counter()
        outcome = self._commit(lambda tx: self._carry_out(tx, definition, operation, call, arguments, request))
        _log(outcome, call.action, began)
        return outcome

    def start(
        self,
        principal: Principal,
        world: str,
        arguments: Mapping[str, Json] | None = None,
        *,
        key: str | None = None,
        main: bool = False,
    ) -> Outcome:
        """Start a session: its revision 1. `main` makes it the caller's main session of the world."""
        definition = self._definition(world)
        given = parsed(definition.start_parameters, arguments or {})
        allow(principal, definition.write_scope)
        request = f"start {world} {canonical(definition.start_parameters, given)} {main}"
        check_key(key)
        began = time.perf_counter()
        outcome = self._commit(lambda tx: self._start_once(tx, principal, definition, given, request, key, main))
        _log(outcome, "start", began)
        return outcome

    def fork(self, principal: Principal, session: str, at: int | None = None, *, key: str | None = None) -> Outcome:
        """Make a live session of one's own from a session's past, with its history up to there."""
        check_key(key)
        return self._commit(lambda tx: self._fork_once(tx, principal, session, at, key))

    def erase(self, principal: Principal, session: str) -> None:
        """Delete a session and its journal for good. Raises NotFound, Forbidden."""

        def work(transaction: Transaction) -> None:
            record, role = find(transaction, principal, session)
            need(role, Role.OWNER)
            allow(principal, f"{record.world}:write")
            transaction.erase(record.id)

        self.store.write(work)

    def start_main(self, principal: Principal, definition: Definition) -> str:
        """The handle of the caller's main session, made unless another call was faster."""

        def work(transaction: Transaction) -> Kept:
            person = transaction.ensure_person(principal)
            record, _, started = self._find_or_start(transaction, definition, None, principal, person)
            return Kept(now_of(transaction, record, definition, principal), () if started is None else (started[0],))

        return self._commit(work).session

    def _commit(self, work: Callable[[Transaction], Kept]) -> Outcome:
        return self.store.write(work, self._tell).outcome

    def _tell(self, kept: Kept) -> None:
        for change in kept.changes:
            for listener in self.listeners:
                listener(change)

    def _carry_out(
        self,
        transaction: Transaction,
        definition: Definition,
        operation: Operation,
        call: Call,
        arguments: Mapping[str, Any],
        request: str,
    ) -> Kept:
        person = transaction.ensure_person(call.principal)
        record, role, started = self._find_or_start(transaction, definition, call.session, call.principal, person)
        need(role, operation.role)
        allow(call.principal, operation.scope(definition))
        check_version(record, definition)
        if (before := replayed(transaction, definition, record, person, call, request)) is not None:
            return Kept(before)
        # Who has seen no session yet may say 0 for the one that was just made.
        seen = 1 if started is not None and call.if_revision == 0 else call.if_revision
        check_revision(record, seen, lambda since: transaction.entries(record.id, after=since, limit=5))
        if record.ended_at is not None:
            raise Refused(
                "session_ended", f"The session ended at {record.ended_at}.", hint="Start or fork another one."
            )
        opened = Opened(transaction, definition, record, call.principal, arguments, call.prepared)
        done = operation.carry_out(opened)
        change = None if done.unchanged else write(opened, done, operation.name, request, person, call.key)
        outcome = _outcome(record, done, change, possible(opened.view, record, definition))
        changes = () if change is None else (change,)
        if started is None:
            return Kept(outcome, changes)
        return Kept(dataclasses.replace(outcome, messages=(_started(started[1]),)), (started[0], *changes))

    def _find_or_start(
        self, transaction: Transaction, definition: Definition, session: str | None, principal: Principal, person: int
    ) -> tuple[Record, Role, tuple[Change, Done] | None]:
        if session is not None:
            return (*find(transaction, principal, session, definition.name), None)
        record = transaction.main_session(person, definition.name)
        if record is not None:
            return record, Role.OWNER, None
        allow(principal, definition.write_scope)
        if not definition.starts_alone:
            needed = ", ".join(definition.start_parameters.model_fields)
            raise Refused(
                "not_started",
                f"You have no main session of {definition.name}, and starting one needs: {needed}.",
                hint="Call start_session with main=true.",
            )
        given = parsed(definition.start_parameters, {})
        plain = canonical(definition.start_parameters, given)
        record, change, done = _start(transaction, principal, person, definition, given, plain, main=True)
        return record, Role.OWNER, (change, done)

    def _start_once(
        self,
        transaction: Transaction,
        principal: Principal,
        definition: Definition,
        arguments: Mapping[str, Any],
        request: str,
        key: str | None,
        main: bool,
    ) -> Kept:
        person = transaction.ensure_person(principal)
        if key is not None and (found := transaction.start_key(person, key)) is not None:
            return Kept(self._started_before(transaction, definition, found, request, principal))
        plain = canonical(definition.start_parameters, arguments)
        record, change, done = _start(transaction, principal, person, definition, arguments, plain, main=main)
        if key is not None:
            transaction.keep_start_key(person, key, record.id, request)
        allowed = possible(lambda: opened_world(transaction, definition, record, principal), record, definition)
        return Kept(_outcome(record, done, change, allowed), (change,))

    def _started_before(
        self,
        transaction: Transaction,
        definition: Definition,
        found: tuple[int, str],
        request: str,
        principal: Principal,
    ) -> Outcome:
        session_id, before = found
        record = transaction.session_by_id(session_id)
        if before != request or record is None:
            raise key_reused()
        entry = history.entry_at(transaction, record, 1)
        outcome = again(transaction, definition, record, entry, principal, revision=record.forked_at or 1)
        return outcome if record.forked_at is None else dataclasses.replace(outcome, value=None, content=())

    def _fork_once(
        self, transaction: Transaction, principal: Principal, session: str, at: int | None, key: str | None
    ) -> Kept:
        origin, _ = find(transaction, principal, session)
        definition = self._definition(origin.world)
        allow(principal, definition.write_scope)
        check_version(origin, definition)
        person = transaction.ensure_person(principal)
        request = f"fork {origin.handle} {at}"
        if key is not None and (found := transaction.start_key(person, key)) is not None:
            return Kept(self._started_before(transaction, definition, found, request, principal))
        at = origin.revision if at is None else at
        history.entry_at(transaction, origin, at)
        owner = origin.owner_id if principal.operator else person
        fork = transaction.insert_session(
            world=origin.world, version=origin.version, owner_id=owner, state=origin.state, data=None
        )
        transaction.note_fork(fork, origin, at)
        history.copy_session(transaction, definition, origin, at, fork, Rows(transaction, fork.id))
        transaction.save(fork, expected=0)
        if key is not None:
            transaction.keep_start_key(person, key, fork.id, request)
        allowed = possible(lambda: opened_world(transaction, definition, fork, principal), fork, definition)
        text = f"Forked {origin.handle} at revision {at}."
        note = Message("info", "forked", text)
        return Kept(Outcome(fork.handle, fork.world, at, fork.state, allowed, None, (), (note,)))


def _start(
    transaction: Transaction,
    principal: Principal,
    person: int,
    definition: Definition,
    arguments: Mapping[str, Any],
    request: str,
    *,
    main: bool,
) -> tuple[Record, Change, Done]:
    record = transaction.insert_session(
        world=definition.name,
        version=definition.version,
        owner_id=person,
        state=definition.chart.initial,
        data=None,
    )
    if main:
        transaction.release_main(person, definition.name)
        record.main_of = person
    opened = Opened(transaction, definition, record, principal, arguments, None)
    world = opened.world(())
    answer = None if definition.start is None else definition.start(world, **arguments)
    done = opened.done(world, answer, definition.chart.initial, undo_top=None)
    return record, write(opened, done, "start", request, person, None), done


def _started(done: Done) -> Message:
    said = "\n".join(block["text"] for block in done.content if block["type"] == "text")
    return Message("info", "started", f"Your main session was started. {said}".strip())


def _outcome(record: Record, done: Done, change: Change | None, allowed: tuple[str, ...]) -> Outcome:
    return Outcome(
        record.handle,
        record.world,
        record.revision,
        record.state,
        allowed,
        done.value,
        done.content,
        change=change,
    )


def _log(outcome: Outcome, action: str, began: float) -> None:
    took = (time.perf_counter() - began) * 1000
    logger.info("%s %s revision %d %.1f ms", outcome.session, action, outcome.revision, took)
