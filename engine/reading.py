"""Reading sessions: as they are, as they were, and whose they are. Nothing here writes."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from engine import history
from engine.actions import Action
from engine.arguments import canonical, parsed
from engine.checks import allow, asked, at_large, check_possible, check_revision, find, is_there, need, role_of
from engine.configurations import configuration_of, shown
from engine.content import rendered
from engine.definition import Definition
from engine.errors import Conflict, NotFound, Refused
from engine.expiry import check_open, expired_at
from engine.files.queries import ROWS, Answer, ask
from engine.files.writing import Exported, fill, write_file
from engine.journal import replayed
from engine.limits import check_result
from engine.operations import Call, Operation, opened_world, operation_of, with_prepared
from engine.own_operations import OPERATIONS
from engine.paging import page, without
from engine.pasts import Past, past
from engine.present import bring, document_at, shown_state, state
from engine.registry import Registry
from engine.rows import Rows
from engine.store.offers import handed
from engine.store.records import Record, Transaction
from engine.store.stores import Store
from engine.timers import read as timers_of
from engine.types import Json, Message, Outcome, Principal, Role, dumped
from engine.world import Situation, World

T = TypeVar("T")


class Reader:
    """Reads a store's sessions for principals, each answer from one snapshot."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self.limits = store.limits

    def start_main(self, principal: Principal, definition: Definition) -> str:
        """The handle of a main session that is missing. A reader makes none. Raises NotFound."""
        raise NotFound(f"You have no main session of {definition.name}.", hint="Start one.")

    def look(self, principal: Principal, world: str, session: str | None, view: Callable[[World], T]) -> T:
        """What `view` makes of a session as it is now, read-only; no handle means the main session."""
        return self._reading(
            principal, world, session, lambda tx, record, d: view(opened_world(tx, d, record, principal))
        )

    def browse(self, principal: Principal, session: str, view: Callable[[World], T]) -> T:
        """What `view` makes of a session as it is now, read-only, and for as long as it takes."""
        return self._copying(principal, session, lambda tx, record, d: view(opened_world(tx, d, record, principal)))

    def read(self, call: Call) -> Outcome:
        """Carry out a read-only action: like `dispatch`, but nothing is written."""
        definition = self._definition(call.world, call.principal)
        action = self._action(definition, call.action, call.principal)
        if not action.read_only:
            raise TypeError(f"{action.name} changes the session: use dispatch")
        arguments = action.parse(call.arguments)
        canonical(action.parameters, arguments, self.limits)

        def work(transaction: Transaction, record: Record, definition: Definition) -> Outcome:
            allow(call.principal, definition.scope_of(action))
            check_revision(record, call.if_revision, lambda since: ())
            world = opened_world(transaction, definition, record, call.principal)
            check_possible(world, record, definition, action, arguments)
            answer = action.method(world, **with_prepared(action, arguments, call.prepared))
            value, content = rendered(answer, action.returns)
            transaction.check_time()
            check_result(dumped(value), dumped(content), self.limits)
            return dataclasses.replace(
                _seen(transaction, record, definition, lambda: world), value=value, content=content
            )

        return self._reading(call.principal, call.world, call.session, work)

    def recorded(self, call: Call) -> Outcome | None:
        """What was answered to the same call before, if it was carried out."""
        definition = self._definition(call.world, call.principal)
        operation = self._operation(definition, call.action, call.principal)
        request = canonical(operation.parameters, parsed(operation.parameters, call.arguments), self.limits)

        def work(transaction: Transaction, record: Record, definition: Definition) -> Outcome | None:
            person = transaction.person_id(call.principal)
            return replayed(transaction, definition, record, person, call, operation.parameters, request)

        return self._reading(call.principal, call.world, call.session, work)

    def now(self, principal: Principal, session: str) -> Outcome:
        """A session as it is: revision, state and what is possible. Raises NotFound."""
        world = self.world_of(principal, session)
        return self._reading(principal, world, session, lambda tx, r, d: now_of(tx, r, d, principal))

    def sessions(self, principal: Principal, world: str | None = None) -> list[tuple[Record, Role]]:
        """A principal's sessions and those shared with them, the last changed first; the operator's are all."""

        def work(transaction: Transaction) -> list[tuple[Record, Role]]:
            if principal.operator:
                return [(record, Role.OWNER) for record in transaction.all_sessions(world)]
            person = transaction.person_id(principal)
            return [] if person is None else transaction.sessions_of(person, world)

        found = self.store.read(work)
        for record, _ in found:
            record.state = shown_state(self.registry.definition(record.world), record.version, record.state)
        return [
            (record, role)
            for record, role in found
            if principal.allows(f"{record.world}:read")
            and principal.reaches(record.world, record.handle)
            and is_there(principal, self.registry.definition(record.world))
        ]

    def handed(self, principal: Principal) -> set[str]:
        """The handles of the sessions that were handed over to a principal, who did not take them over yet."""

        def work(transaction: Transaction) -> set[str]:
            person = transaction.person_id(principal)
            return set() if person is None else handed(transaction, person)

        return self.store.read(work)

    def expired_at(self, record: Record) -> str | None:
        """When a session expired, if it did."""
        definition = self.registry.definition(record.world)
        return None if definition is None else expired_at(record, definition, self.store.now())

    def past(self, principal: Principal, session: str, at: int | None = None) -> tuple[Past, Outcome]:
        """A session as it was at a revision, beside how it is now. Raises NotFound."""

        def work(transaction: Transaction, record: Record, definition: Definition) -> tuple[Past, Outcome]:
            then = past(transaction, definition, record, record.revision if at is None else at)
            return then, now_of(transaction, record, definition, principal)

        return self._reading(principal, self.world_of(principal, session), session, work)

    def history(self, principal: Principal, session: str, since: int = 0, limit: int = -1) -> list[dict[str, Json]]:
        """What happened in a session after a revision, oldest first, as far as it is kept. Raises NotFound."""

        def work(transaction: Transaction, record: Record, definition: Definition) -> list[dict[str, Json]]:
            entries = transaction.entries(record.id, after=max(since, record.floor - 1), limit=limit)
            return [history.described(transaction, definition, entry) for entry in entries]

        return self._reading(principal, self.world_of(principal, session), session, work)

    def history_page(self, principal: Principal, session: str, since: int, limit: int | None = None) -> dict[str, Json]:
        """What happened after a revision, as far as one answer takes it: `more` says whether that is not all.

        `since` is then where to go on; `kept_from` the first revision kept, if the past before it was removed.
        """

        def work(transaction: Transaction, record: Record, definition: Definition) -> dict[str, Json]:
            entries = transaction.entries(record.id, after=max(since, record.floor - 1))
            described = (history.described(transaction, definition, entry) for entry in entries)
            found, more = page(
                described if limit is None else islice(described, limit),
                self.limits.result,
                lambda item: {"changes": [item]},
                lambda item, size: without(item, ("arguments", "result"), size),
            )
            last = found[-1]["revision"] if found else since
            value = {"changes": found, "more": more or last < record.revision, "since": last}
            return value if record.floor == 1 else {**value, "kept_from": record.floor}

        return self._reading(principal, self.world_of(principal, session), session, work)

    def export(self, principal: Principal, session: str, path: Path, *, replace: bool = False) -> Exported:
        """Write a session into a file. Raises NotFound, Forbidden; Refused if it is there; StoreError."""

        def work(transaction: Transaction, record: Record, definition: Definition) -> Exported:
            return write_file(transaction, definition, record, path, replace=replace)

        return self._copying(principal, session, work)

    def query(self, principal: Principal, session: str, statement: str, *, limit: int = ROWS) -> Answer:
        """What an SQL statement gives on a copy of one session. Raises NotFound, Forbidden, Refused."""
        with TemporaryDirectory(prefix="turnkeeper-") as folder:
            copy = Path(folder) / "session.db"
            self._copying(principal, session, lambda tx, record, definition: fill(copy, tx, definition, record))
            return ask(copy, statement, limit=limit, seconds=self.limits.seconds)

    def main_now(self, principal: Principal, world: str) -> Outcome | None:
        """The caller's main session of a world as it is, or None where there is none yet."""
        definition = self._definition(world, principal)

        def work(transaction: Transaction) -> Outcome | None:
            record = _main_record(transaction, principal, definition)
            return None if record is None else now_of(transaction, record, definition, principal)

        return self.store.read(work)

    def world_of(self, principal: Principal, session: str) -> str:
        """The world of a session. Raises NotFound, also for another's session, and one of a world not for them."""
        return self.store.read(lambda tx: find(tx, principal, session, self.registry.worlds)[0].world)

    def main(self, principal: Principal, world: str) -> str:
        """The handle of the caller's main session of a world, started if there is none."""
        return self._reading(principal, world, None, lambda tx, record, definition: record.handle)

    def check(self, call: Call) -> tuple[str, int]:
        """Insist that a call would pass state and guards now; the handle and revision that this was seen at."""
        definition = self._definition(call.world, call.principal)
        action = self._action(definition, call.action, call.principal)
        arguments = action.parse(call.arguments)

        def work(transaction: Transaction, record: Record, definition: Definition) -> tuple[str, int]:
            role = role_of(transaction, call.principal, record)
            need(role, Role.VIEWER if action.read_only else Role.EDITOR)
            allow(call.principal, definition.scope_of(action))
            check_revision(record, call.if_revision, lambda since: ())
            if not action.read_only:
                check_open(record, definition, transaction.now)
            world = opened_world(transaction, definition, record, call.principal)
            check_possible(world, record, definition, action, arguments)
            return record.handle, record.revision

        return self._reading(call.principal, call.world, call.session, work)

    def detached(self, principal: Principal, world: str, session: str, revision: int) -> World:
        """A read-only view at a revision that holds no transaction; its rows are read when asked for.

        Where rows are history, they are those of that revision, also once the session went on. Else that is a Conflict.
        """
        definition = self._definition(world, principal)

        def work(transaction: Transaction) -> tuple[Record, datetime]:
            record, _ = find(transaction, principal, session, self.registry.worlds)
            bring(transaction, definition, record)
            return _as_it_was(transaction, definition, record, revision), transaction.now

        record, now = self.store.read(work)

        @contextmanager
        def rows() -> Iterator[Rows]:
            with self.store.snapshot() as transaction:
                current = transaction.session_by_id(record.id)
                if current is None or not definition.keeps_history:
                    _same(current or record, revision if current else -1)
                bring(transaction, definition, current or record)
                yield Rows(transaction, (current or record).rows_at, revision, definition.parts, pinned=revision)

        configuration = configuration_of(definition.chart, record.state)
        view: World = definition.cls(Situation(record, principal, now, rows, configuration))
        return view

    def person(self, subject: str) -> int:
        """The internal id of the one person of that subject. Raises Refused."""
        found = self.store.read(lambda tx: tx.people(subject))
        if len(found) != 1:
            what = "Nobody" if not found else "More than one person"
            raise Refused(
                "unknown_person", f"{what} here is called {subject!r}.", hint="They must have signed in here once."
            )
        return found[0][0]

    def _definition(self, world: str, principal: Principal) -> Definition:
        """A world that is there for a principal. Raises NotFound."""
        definition = self.registry.definition(world)
        if definition is None or not self._has(principal, definition):
            names = (name for name, found in self.registry.worlds.items() if self._has(principal, found))
            raise NotFound(f"There is no world {world!r}.", hint=f"There are: {', '.join(names)}.")
        return definition

    @staticmethod
    def _has(principal: Principal, definition: Definition) -> bool:
        return principal.world in (None, definition.name) and definition.is_for(principal)

    def _action(self, definition: Definition, name: str, principal: Principal) -> Action:
        action = definition.actions.get(name)
        if action is None or not definition.is_for(principal, action):
            names = (name for name, found in definition.actions.items() if definition.is_for(principal, found))
            raise NotFound(f"World {definition.name} has no action {name!r}.", hint=f"It has: {', '.join(names)}.")
        return action

    def _operation(self, definition: Definition, name: str, principal: Principal) -> Operation:
        return OPERATIONS[name] if name in OPERATIONS else operation_of(self._action(definition, name, principal))

    def _copying(self, principal: Principal, session: str, work: Callable[[Transaction, Record, Definition], T]) -> T:
        """What `work` makes of a session, in a snapshot that may last longer than an action."""
        with self.store.snapshot(unbounded=True) as transaction:
            record, _ = find(transaction, principal, session, self.registry.worlds)
            definition = self._definition(record.world, principal)
            allow(principal, definition.read_scope)
            bring(transaction, definition, record)
            return work(transaction, record, definition)

    def _reading(
        self,
        principal: Principal,
        world: str,
        session: str | None,
        work: Callable[[Transaction, Record, Definition], T],
    ) -> T:
        definition = self._definition(world, principal)

        def attempt(transaction: Transaction, handle: str | None) -> tuple[T] | None:
            if handle is not None:
                record, _ = find(transaction, principal, handle, self.registry.worlds, world)
            elif (main := _main_record(transaction, principal, definition)) is not None:
                record = main
            else:
                return None
            allow(principal, definition.read_scope)
            bring(transaction, definition, record)
            return (work(transaction, record, definition),)

        done = self.store.read(lambda transaction: attempt(transaction, session or None))
        if done is None:
            made = self.start_main(principal, definition)
            done = self.store.read(lambda transaction: attempt(transaction, made))
        assert done is not None
        return done[0]


def _main_record(transaction: Transaction, principal: Principal, definition: Definition) -> Record | None:
    """A principal's main session; one that expired has given up its place."""
    at_large(principal)
    person = transaction.person_id(principal)
    record = None if person is None else transaction.main_session(person, definition.name)
    return None if record is None or expired_at(record, definition, transaction.now) else record


def now_of(transaction: Transaction, record: Record, definition: Definition, principal: Principal) -> Outcome:
    """A session as it is: revision, state and what is possible. Raises Refused if the code is older than it."""
    bring(transaction, definition, record)
    return _seen(transaction, record, definition, lambda: opened_world(transaction, definition, record, principal))


def _seen(transaction: Transaction, record: Record, definition: Definition, view: Callable[[], World]) -> Outcome:
    answers = dict(asked(view, record, definition, transaction.now))
    return Outcome(
        record.handle,
        record.world,
        record.revision,
        shown(record.state),
        tuple(name for name, no in answers.items() if no is None),
        None,
        messages=_overdue(transaction, record),
        refused_actions={name: no for name, no in answers.items() if no is not None},
        expired_at=expired_at(record, definition, transaction.now),
    )


def _overdue(transaction: Transaction, record: Record) -> tuple[Message, ...]:
    """What tells who only looks that something is due, and not done yet."""
    if record.due_at is None or record.due_at > transaction.at:
        return ()
    due = [timer for timer in timers_of(record.timers) if timer.failed is None and timer.due_at <= transaction.now]
    named = ", ".join(f"{timer.action} since {timer.plain['due_at']}" for timer in due)
    return (Message("info", "overdue", f"Due, and done before the next change: {named}."),)


def _as_it_was(transaction: Transaction, definition: Definition, record: Record, revision: int) -> Record:
    """A session's row as it was at a revision; only where rows are history can that be another. Raises Conflict."""
    if record.revision == revision or not definition.keeps_history:
        _same(record, revision)
        return record
    entry = history.entry_at(transaction, record, revision)
    return dataclasses.replace(
        record,
        revision=revision,
        state=state(definition, entry.version, entry.state),
        data=document_at(transaction, definition, record, revision),
        updated_at=entry.at,
    )


def _same(record: Record, revision: int) -> None:
    if record.revision != revision:
        raise Conflict(
            f"The session went on to revision {record.revision} while this was being prepared at {revision}.",
            revision=record.revision,
            hint="Call again.",
        )
