"""The dispatcher: the only writer. Every change, from any door, is one call of `dispatch` or `start`.

The order is the design's: parse; find the session, then role, then scope;
replay; revision; state and guards; the method; the transition; journal;
commit. Only then are listeners told.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from engine import history
from engine.actions import canonical, parsed
from engine.checks import allow, check_key, check_possible, check_revision, find, need, possible, role_of
from engine.content import rendered
from engine.definition import Definition
from engine.errors import Conflict, NotFound, Refused
from engine.journal import again, key_reused, replayed, write
from engine.operations import OPERATIONS, Done, Opened, Operation, opened_world, operation_of, with_prepared
from engine.operations import Call as Call
from engine.registry import Registry
from engine.rows import Rows
from engine.store.records import Record, Transaction
from engine.store.sqlite import SqliteStore
from engine.types import Change, Json, Message, Outcome, Principal, Role
from engine.world import Situation, World

T = TypeVar("T")
Listener = Callable[[Change], None]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What a transaction leaves: the outcome for the caller, the changes for the listeners."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()


class Dispatcher:
    """Carries out calls on a store, one transaction each, and tells listeners of every change after its commit."""

    def __init__(self, store: SqliteStore, registry: Registry, listeners: Iterable[Listener] = ()) -> None:
        self.store = store
        self.registry = registry
        self.listeners = list(listeners)

    # changing

    def dispatch(self, call: Call) -> Outcome:
        """Carry out one action, or one operation of the engine, on one session.

        Raises InvalidArguments, NotFound, Forbidden, Refused, Conflict, StoreError; then nothing was changed.
        """
        definition = self._definition(call.world)
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
        allow(principal, definition.write_scope)
        given = parsed(definition.start_parameters, arguments or {})
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

    def person(self, subject: str) -> int:
        """The internal id of the one person of that subject. Raises Refused."""
        found = self.store.read(lambda tx: tx.people(subject))
        if len(found) != 1:
            what = "Nobody" if not found else "More than one person"
            raise Refused(
                "unknown_person", f"{what} here is called {subject!r}.", hint="They must have signed in here once."
            )
        return found[0][0]

    def erase(self, principal: Principal, session: str) -> None:
        """Delete a session and its journal for good. Raises NotFound, Forbidden."""

        def work(transaction: Transaction) -> None:
            record, role = find(transaction, principal, session)
            need(role, Role.OWNER)
            allow(principal, self._definition(record.world).write_scope)
            transaction.erase(record.id)

        self.store.write(work)

    # reading

    def look(self, principal: Principal, world: str, session: str | None, view: Callable[[World], T]) -> T:
        """What `view` makes of a session as it is now, read-only; no handle means the main session."""
        return self._reading(
            principal, world, session, lambda tx, record, d: view(opened_world(tx, d, record, principal))
        )

    def read(self, call: Call) -> Outcome:
        """Carry out a read-only action: like `dispatch`, but nothing is written."""
        definition = self._definition(call.world)
        action = definition.actions[call.action]
        arguments = action.parse(call.arguments)
        canonical(action.parameters, arguments)

        def work(transaction: Transaction, record: Record, definition: Definition) -> Outcome:
            allow(call.principal, definition.scope_of(action))
            check_revision(record, call.if_revision, ())
            world = opened_world(transaction, definition, record, call.principal)
            check_possible(world, record, definition, action, arguments)
            value, content = rendered(action.method(world, **with_prepared(action, arguments, call.prepared)))
            allowed = possible(world, record, definition)
            return Outcome(record.handle, record.world, record.revision, record.state, allowed, value, content)

        return self._reading(call.principal, call.world, call.session, work)

    def recorded(self, call: Call) -> Outcome | None:
        """What was answered to the same call before, if it was carried out."""
        definition = self._definition(call.world)
        operation = self._operation(definition, call.action)
        request = canonical(operation.parameters, parsed(operation.parameters, call.arguments))

        def work(transaction: Transaction, record: Record, definition: Definition) -> Outcome | None:
            person = transaction.person_id(call.principal)
            return replayed(transaction, definition, record, person, call, request)

        return self._reading(call.principal, call.world, call.session, work)

    def now(self, principal: Principal, session: str) -> Outcome:
        """A session as it is: revision, state and what is possible. Raises NotFound."""
        world = self.world_of(principal, session)
        return self._reading(principal, world, session, lambda tx, r, d: _now(tx, r, d, principal))

    def sessions(self, principal: Principal, world: str | None = None) -> list[tuple[Record, Role]]:
        """A principal's sessions and those shared with them, the last changed first; the operator's are all."""

        def work(transaction: Transaction) -> list[tuple[Record, Role]]:
            if principal.operator:
                return [(record, Role.OWNER) for record in transaction.all_sessions(world)]
            person = transaction.person_id(principal)
            return [] if person is None else transaction.sessions_of(person, world)

        found = self.store.read(work)
        return [(record, role) for record, role in found if principal.allows(f"{record.world}:read")]

    def past(self, principal: Principal, session: str, at: int | None = None) -> tuple[history.Past, Outcome]:
        """A session as it was at a revision, beside how it is now. Raises NotFound."""

        def work(transaction: Transaction, record: Record, definition: Definition) -> tuple[history.Past, Outcome]:
            then = history.past(transaction, definition, record, record.revision if at is None else at)
            return then, _now(transaction, record, definition, principal)

        return self._reading(principal, self.world_of(principal, session), session, work)

    def history(self, principal: Principal, session: str, since: int = 0, limit: int = -1) -> list[dict[str, Json]]:
        """What happened in a session after a revision, oldest first. Raises NotFound."""

        def work(transaction: Transaction, record: Record, definition: Definition) -> list[dict[str, Json]]:
            entries = transaction.entries(record.id, after=since, limit=limit)
            return [history.described(transaction, entry) for entry in entries]

        return self._reading(principal, self.world_of(principal, session), session, work)

    def main_now(self, principal: Principal, world: str) -> Outcome | None:
        """The caller's main session of a world as it is, or None where there is none yet."""
        definition = self._definition(world)

        def work(transaction: Transaction) -> Outcome | None:
            person = transaction.person_id(principal)
            record = None if person is None else transaction.main_session(person, world)
            return None if record is None else _now(transaction, record, definition, principal)

        return self.store.read(work)

    def world_of(self, principal: Principal, session: str) -> str:
        """The world of a session. Raises NotFound, also for another's session."""
        return self.store.read(lambda tx: find(tx, principal, session)[0].world)

    def main(self, principal: Principal, world: str) -> str:
        """The handle of the caller's main session of a world, started if there is none."""
        return self._reading(principal, world, None, lambda tx, record, definition: record.handle)

    def check(self, call: Call) -> tuple[str, int]:
        """Insist that a call would pass state and guards now; the handle and revision that this was seen at."""
        definition = self._definition(call.world)
        action = definition.actions[call.action]
        arguments = action.parse(call.arguments)

        def work(transaction: Transaction, record: Record, definition: Definition) -> tuple[str, int]:
            role = role_of(transaction, call.principal, record)
            need(role, Role.VIEWER if action.read_only else Role.EDITOR)
            allow(call.principal, definition.scope_of(action))
            check_revision(record, call.if_revision, ())
            world = opened_world(transaction, definition, record, call.principal)
            check_possible(world, record, definition, action, arguments)
            return record.handle, record.revision

        return self._reading(call.principal, call.world, call.session, work)

    def detached(self, principal: Principal, world: str, session: str, revision: int) -> World:
        """A read-only view at a revision that holds no transaction; its rows are read when asked for."""
        definition = self._definition(world)

        def work(transaction: Transaction) -> tuple[Record, datetime]:
            return find(transaction, principal, session)[0], transaction.now

        record, now = self.store.read(work)
        _same(record, revision)

        @contextmanager
        def rows() -> Iterator[Rows]:
            with self.store.snapshot() as transaction:
                current = transaction.session_by_id(record.id)
                _same(current or record, revision if current else -1)
                yield Rows(transaction, record.id)

        view: World = definition.cls(Situation(record, principal, now, rows))
        return view

    def _definition(self, world: str) -> Definition:
        definition = self.registry.definition(world)
        if definition is None:
            raise NotFound(f"There is no world {world!r}.", hint=f"There are: {', '.join(self.registry.worlds)}.")
        return definition

    def _operation(self, definition: Definition, name: str) -> Operation:
        if (action := definition.actions.get(name)) is not None:
            if action.read_only:
                raise TypeError(f"{name} is read-only: use read")
            return operation_of(action)
        if name not in OPERATIONS:
            raise NotFound(
                f"World {definition.name} has no action {name!r}.", hint=f"It has: {', '.join(definition.actions)}."
            )
        return OPERATIONS[name]

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
        if (before := replayed(transaction, definition, record, person, call, request)) is not None:
            return Kept(before)
        check_revision(record, call.if_revision, transaction.entries(record.id, after=call.if_revision or 0))
        if record.ended_at is not None:
            raise Refused(
                "session_ended", f"The session ended at {record.ended_at}.", hint="Start or fork another one."
            )
        opened = Opened(transaction, definition, record, call.principal, arguments, call.prepared)
        done = operation.carry_out(opened)
        change = write(opened, done, operation.name, request, person, call.key)
        world = opened.view()
        outcome = _outcome(record, done, change, possible(world, record, definition))
        return Kept(outcome, (*started, change))

    def _find_or_start(
        self, transaction: Transaction, definition: Definition, session: str | None, principal: Principal, person: int
    ) -> tuple[Record, Role, tuple[Change, ...]]:
        if session is not None:
            return (*find(transaction, principal, session, definition.name), ())
        record = transaction.main_session(person, definition.name)
        if record is not None:
            return record, Role.OWNER, ()
        allow(principal, definition.write_scope)
        if not definition.starts_alone:
            needed = ", ".join(definition.start_parameters.model_fields)
            raise Refused(
                "not_started",
                f"You have no main session of {definition.name}, and starting one needs: {needed}.",
                hint="Call start_session with main=true.",
            )
        record, change, _ = _start(transaction, principal, person, definition, {}, "{}", main=True)
        return record, Role.OWNER, (change,)

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
        allowed = possible(opened_world(transaction, definition, record, principal), record, definition)
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
        return again(transaction, definition, record, entry, principal, revision=record.forked_at or 1)

    def _fork_once(
        self, transaction: Transaction, principal: Principal, session: str, at: int | None, key: str | None
    ) -> Kept:
        origin, _ = find(transaction, principal, session)
        definition = self._definition(origin.world)
        allow(principal, definition.write_scope)
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
        allowed = possible(opened_world(transaction, definition, fork, principal), fork, definition)
        text = f"Forked {origin.handle} at revision {at}."
        note = Message("info", "forked", text)
        return Kept(Outcome(fork.handle, fork.world, at, fork.state, allowed, None, (), (note,)))

    def _reading(
        self,
        principal: Principal,
        world: str,
        session: str | None,
        work: Callable[[Transaction, Record, Definition], T],
    ) -> T:
        definition = self._definition(world)
        allow(principal, definition.read_scope)

        def attempt(transaction: Transaction) -> T | None:
            if session is not None:
                return work(transaction, find(transaction, principal, session, world)[0], definition)
            person = transaction.person_id(principal)
            record = None if person is None else transaction.main_session(person, world)
            return None if record is None else work(transaction, record, definition)

        def make(transaction: Transaction) -> Kept:
            person = transaction.ensure_person(principal)
            record, _, started = self._find_or_start(transaction, definition, None, principal, person)
            return Kept(_now(transaction, record, definition, principal), started)

        found = self.store.read(attempt)
        if found is None and session is None:
            session = self._commit(make).session
            found = self.store.read(attempt)
        return found  # type: ignore[return-value]


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


def _now(transaction: Transaction, record: Record, definition: Definition, principal: Principal) -> Outcome:
    allowed = possible(opened_world(transaction, definition, record, principal), record, definition)
    return Outcome(record.handle, record.world, record.revision, record.state, allowed, None)


def _outcome(record: Record, done: Done, change: Change, allowed: tuple[str, ...]) -> Outcome:
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


def _same(record: Record, revision: int) -> None:
    if record.revision != revision:
        raise Conflict(
            f"The session went on to revision {record.revision} while this was being prepared at {revision}.",
            revision=record.revision,
            hint="Call again.",
        )


def _log(outcome: Outcome, action: str, began: float) -> None:
    took = (time.perf_counter() - began) * 1000
    logger.info("%s %s revision %d %.1f ms", outcome.session, action, outcome.revision, took)
