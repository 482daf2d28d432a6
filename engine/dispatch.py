"""The dispatcher: the only writer. Every change, from any door, is one call of `dispatch` or `start`.

The order is the design's: parse; find the session, then role, then scope;
replay; timers that are due; revision; state and guards; the method; the transition;
journal; commit. Only then are listeners told.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from engine import firing
from engine.ahead import written_ahead
from engine.arguments import canonical, parsed
from engine.batches import delete
from engine.checks import allow, at_large, check_key, check_revision, find, need, possible, role_of
from engine.configurations import shown
from engine.definition import Definition
from engine.effects import Ended
from engine.errors import BadStatement, Conflict, StoreError
from engine.expiry import check_open, expired_at
from engine.failpoints import reach
from engine.files.contents import Contents
from engine.files.opening import open_file
from engine.files.writing import owner_hash
from engine.firing import Due
from engine.forking import Fork, TooLarge, fork, fork_ahead
from engine.history import WriteAhead
from engine.importing import IMPORT, Import, keeps_history, not_yours, publish, written, written_rows
from engine.journal import replayed, write
from engine.limits import check_sessions
from engine.logs import Line
from engine.operations import Call as Call
from engine.operations import Done, Opened, Operation, opened_world
from engine.own_operations import OPERATIONS
from engine.parts import give_up
from engine.pending import Pending
from engine.present import Large, bring
from engine.reading import Reader, now_of
from engine.registry import Registry
from engine.settling import Settled, refuse, settle
from engine.starting import Start, Started, begun_before, start, start_main
from engine.store.effects import Taken
from engine.store.groups import Member
from engine.store.hidden import hide
from engine.store.records import Record, Transaction
from engine.store.stores import Store
from engine.timers import Timer
from engine.types import LOCAL, Change, Json, Outcome, Principal, Role
from engine.upgrading import upgrade_ahead

T = TypeVar("T")
Listener = Callable[[Change], None]
Later = WriteAhead | Large | Due
"""What a transaction ends with that cannot do it all itself."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a call that was submitted: an outcome, or an error."""

    outcome: Outcome | None
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What a transaction leaves: the outcome for the caller, the changes for the listeners."""

    outcome: Outcome
    changes: tuple[Change, ...] = ()


Told = TypeVar("Told", Kept, Settled)


class Dispatcher(Reader):
    """Carries out calls on a store, one transaction each, and tells listeners of every change after its commit."""

    def __init__(self, store: Store, registry: Registry, listeners: Iterable[Listener] = ()) -> None:
        super().__init__(store, registry)
        self.listeners = list(listeners)
        self._pending = Pending()

    def finish(self) -> None:
        """Wait until everything that was submitted has been answered."""
        self._pending.wait()

    # changing

    def dispatch(self, call: Call) -> Outcome:
        """Carry out one action, or one operation of the engine, on one session.

        Raises InvalidArguments, NotFound, Forbidden, Refused, Conflict, StoreError; then nothing was changed.
        """
        return self._line(call).around(lambda: self._dispatched(call))

    def _dispatched(self, call: Call) -> Outcome:
        """What came of a call; what was written ahead for it and not adopted is gone then."""
        try:
            return self._done(call)
        finally:
            if call.written:
                give_up(self.store, self.registry.definition(call.world), call.written)

    def _done(self, call: Call) -> Outcome:
        action = self._definition(call.world, call.principal).actions.get(call.action)
        if action is not None and action.read_only:
            return self.read(call)
        try:
            outcome = self._carried_out(call)
        except WriteAhead as needed:
            outcome = self._written_ahead(call, needed)
        reach("before_reply")
        return outcome

    def submit(self, call: Call, done: Callable[[Answer], None]) -> None:
        """Have an action that changes something carried out; `done` gets the answer after the commit, on its thread.

        For the event loop, which cannot wait. Raises what can be seen without the session: InvalidArguments, NotFound,
        Busy.
        """
        line = self._line(call)
        done = self._pending.counted(done)

        def answered(member: Member[Kept]) -> None:
            if isinstance(member.error, Later):
                # It goes on for longer than the writer has time, or something goes before it.
                self._begin_ahead(call, member.error, line, done)
                return
            outcome = None if member.result is None else member.result.outcome
            reach("before_reply")
            _answer(Answer(outcome, member.error), line, done)

        try:
            if call.written:  # what is not adopted of it is to be deleted, for which the writer has no time
                self._work(call)
                self._begin_ahead(call, None, line, done)
                return
            lane, caller = _lane(call), _caller(call.principal)
            self.store.submit(Member(self._work(call), told=self._tell, done=answered, lane=lane, caller=caller))
        except BaseException as error:
            self._pending.leave()
            line.failed(error)
            raise

    def _line(self, call: Call) -> Line:
        """The line that the log gets of a call; a name that nobody declared is not for the log."""
        definition = self.registry.definition(call.world)
        known = definition is not None and (call.action in definition.actions or call.action in OPERATIONS)
        return Line(f"{call.world}.{call.action}" if known else "unknown", call.session)

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

        def work() -> Outcome:
            definition = self._definition(world, principal)
            given = parsed(definition.start_parameters, arguments or {})
            allow(principal, definition.write_scope)
            check_key(key)
            plain = canonical(definition.start_parameters, given, self.limits)
            wanted = Start(principal=principal, definition=definition, arguments=given, plain=plain, main=main, key=key)
            lane = _main_lane(principal, world) if main else None
            return self._commit(lambda tx: self._start_once(tx, wanted), lane=lane)

        return Line("start", "").around(work)

    def fork(self, principal: Principal, session: str, at: int | None = None, *, key: str | None = None) -> Outcome:
        """Make a live session of one's own from a session's past, with its history up to there."""

        def work() -> Outcome:
            check_key(key)
            try:
                return self._commit(lambda tx: self._fork_once(tx, principal, session, at, key))
            except TooLarge as large:
                return fork_ahead(self.store, large.wanted, lambda work: self._commit(lambda tx: _kept(work(tx))))

        return Line("fork", session).around(work)

    def import_file(self, principal: Principal, path: Path, *, same_handle: bool = False) -> Outcome:
        """Bring a session file back: as a new session of one's own, or for its owner under its old handle.

        If that session is still there, it becomes what it was in the file, by one change that can be undone.
        Raises NotFound, Forbidden, Conflict; Refused: damaged_file, foreign_file, newer_file. Then nothing was changed.
        """
        return Line("import").around(lambda: self._imported(principal, path, same_handle=same_handle))

    def _imported(self, principal: Principal, path: Path, *, same_handle: bool) -> Outcome:
        owner = LOCAL if principal.operator else principal
        with open_file(path) as file:
            definition = self._definition(file.about["world"], principal)
            allow(principal, definition.write_scope)
            contents = Contents(file, definition, self.limits)
            contents.check()
            handle = file.about["handle"] if same_handle else None
            if handle is not None and (record := self.store.read(lambda tx: tx.session(handle))) is not None:
                return self._import_over(principal, contents, record)
            if handle is not None and file.about["owner"] != owner_hash(handle, owner.issuer, owner.subject):
                raise not_yours(handle)
            with written(self.store, contents, owner) as done:
                return self._commit(lambda tx: self._publish(tx, done, handle))

    def _import_over(self, principal: Principal, contents: Contents, record: Record) -> Outcome:
        definition, about = contents.definition, contents.file.about
        if self.store.read(lambda tx: role_of(tx, principal, record)) != Role.OWNER or record.world != definition.name:
            raise not_yours(record.handle)
        if definition.keeps_history:
            raise keeps_history(definition.name)
        given = {"digest": about["digest"], "session": about["handle"], "revision": about["revision"]}
        arguments = parsed(IMPORT.parameters, given)
        request = canonical(IMPORT.parameters, arguments, self.limits)
        with written_rows(self.store, contents, record) as done:
            call = Call(
                principal=principal,
                world=definition.name,
                action=IMPORT.name,
                arguments=given,
                session=record.handle,
                prepared=done,
            )
            return self._in_time(
                lambda punctual: self._commit(
                    lambda tx: self._carry_out(tx, definition, IMPORT, call, arguments, request, punctual)
                )
            )

    def _publish(self, transaction: Transaction, done: Import, handle: str | None) -> Kept:
        self._check_room(transaction, done.batch.owner_id)
        return _kept(publish(transaction, done, handle))

    def erase(self, principal: Principal, session: str) -> None:
        """Delete a session and its journal for good. Raises NotFound, Forbidden.

        It is out of everybody's sight at once; what it was is deleted a little at a time.
        """

        def work(transaction: Transaction) -> Record:
            record, role = find(transaction, principal, session, self.registry.worlds)
            need(role, Role.OWNER)
            allow(principal, f"{record.world}:write")
            hide(transaction, record.id)
            return record

        hidden = Line("erase", session).around(lambda: self.store.write(work))
        self.store.memory.forget(hidden.handle)
        delete(self.store, self.registry.definition(hidden.world), hidden.id)

    def settle_effect(self, effect: Taken, holder: str, ended: Ended) -> str | None:
        """Have an effect end, and its outcome come back as an action: what it is now; None if that worker lost it.

        Timers that are due go first, as before every action.
        An outcome that the session refuses is taken back by the effect's compensation, or parked. Raises StoreError,
        Conflict: then it is to be reported again.
        """
        definition = self.registry.worlds[effect.world]
        line = Line(f"{effect.world}.{effect.row.name}", effect.handle)

        def attempt(punctual: bool) -> Settled:
            return self._written(
                lambda tx: settle(
                    tx, definition, effect, holder, ended, lambda call: self._work(call, punctual=punctual)(tx).changes
                ),
                effect.handle,
            )

        try:
            settled = line.around(lambda: self._in_time(attempt))
        except BaseException as error:  # even SystemExit is the outcome's alone: it stands in the row, and in the log
            if _is_passing(error):
                raise
            no = error
            settled = self._written(lambda tx: refuse(tx, definition, effect, holder, ended, no), effect.handle)
        return settled.state

    def start_main(self, principal: Principal, definition: Definition) -> str:
        """The handle of the caller's main session, made unless another call was faster."""

        def work(transaction: Transaction) -> Kept:
            record, _, started = self._find_or_start(transaction, definition, None, principal)
            changes = () if started is None else (started.change,)
            return Kept(now_of(transaction, record, definition, principal), changes)

        return self._commit(work, lane=_main_lane(principal, definition.name)).session

    def fire(self, session: str, most: int = firing.AT_ONCE, caller: object = None) -> int:
        """Do what is due in a session, each timer as a change of its own; how many it were, `most` at most.

        `caller` is whose call waits for that, with whose others it is counted where too many wait for the session.
        Harmless where another process was faster, or the session is gone. Raises StoreError, Refused where the session
        as a whole cannot be used.
        """
        for fired in range(most):
            if not self._fire_first(session, caller):
                return fired
        return most

    def _fire_first(self, session: str, caller: object) -> bool:
        """Do what is due first in a session, if anything is; what it raises is held against that timer alone."""
        tried: list[tuple[Timer, Line]] = []
        try:
            change = self._changed(session, lambda tx: firing.fire_first(tx, self.registry, session, tried), caller)
        except (Exception, SystemExit) as error:  # an action's exit, too, is that timer's alone
            if not tried or _is_passing(error):
                raise
            (timer, line), why = tried[-1], error
            line.failed(why)
            noted = self._changed(session, lambda tx: firing.note(tx, self.registry, session, timer, why), caller)
            return noted is not None
        for _, line in tried:
            line.done(change)
        return change is not None

    def _changed(self, session: str, work: Callable[[Transaction], Change | None], caller: object) -> Change | None:
        """Make a change of a session that nobody called for, and tell of it; None if there was none to make."""

        def kept(transaction: Transaction) -> tuple[Change, ...]:
            change = work(transaction)
            return () if change is None else (change,)

        try:
            changes = self.store.write(kept, self._hear, lane=session, caller=caller)
        except Large as large:
            upgrade_ahead(self.store, large)
            changes = self.store.write(kept, self._hear, lane=session, caller=caller)
        return changes[0] if changes else None

    def _in_time(self, attempt: Callable[[bool], T], caller: object = None) -> T:
        """What an attempt gives once nothing is due before it, or enough was done; it is told whether to look."""
        left = firing.AT_ONCE
        while left > 0:
            try:
                return attempt(True)
            except Due as due:
                left -= max(1, self.fire(due.session, left, caller))
        return attempt(False)

    def _carried_out(self, call: Call) -> Outcome:
        lane, caller = _lane(call), _caller(call.principal)
        return self._in_time(lambda punctual: self._commit(self._work(call, punctual=punctual), lane, caller), caller)

    def _written_ahead(self, call: Call, needed: WriteAhead) -> Outcome:
        definition = self._definition(call.world, call.principal)
        return written_ahead(
            self.store, definition, needed, lambda ahead: self._carried_out(dataclasses.replace(call, prepared=ahead))
        )

    def _begin_ahead(self, call: Call, needed: Later | None, line: Line, done: Callable[[Answer], None]) -> None:
        try:
            threading.Thread(target=self._answer_ahead, args=(call, needed, line, done)).start()
        except RuntimeError as error:  # no thread is to be had
            _answer(Answer(None, error), line, done)

    def _answer_ahead(self, call: Call, needed: Later | None, line: Line, done: Callable[[Answer], None]) -> None:
        try:
            if isinstance(needed, WriteAhead):
                outcome = self._written_ahead(call, needed)
            else:
                outcome = self._dispatched(call)
            answer = Answer(outcome, None)
        except Exception as error:  # the caller's, whatever it is
            answer = Answer(None, error)
        _answer(answer, line, done)

    def _work(self, call: Call, *, punctual: bool = True) -> Callable[[Transaction], Kept]:
        """What a call does in its transaction; its arguments are parsed here, by who calls."""
        definition = self._definition(call.world, call.principal)
        operation = self._operation(definition, call.action, call.principal)
        arguments = parsed(operation.parameters, call.arguments, operation.invalid)
        request = canonical(operation.parameters, arguments, self.limits)
        check_key(call.key)
        return lambda tx: self._carry_out(tx, definition, operation, call, arguments, request, punctual)

    def _commit(self, work: Callable[[Transaction], Kept], lane: object = None, caller: object = None) -> Outcome:
        return self._written(work, lane, caller).outcome

    def _written(self, work: Callable[[Transaction], Told], lane: object = None, caller: object = None) -> Told:
        try:
            return self.store.write(work, self._tell, lane=lane, caller=caller)
        except Large as large:
            upgrade_ahead(self.store, large)
            return self.store.write(work, self._tell, lane=lane, caller=caller)

    def _tell(self, kept: Kept | Settled) -> None:
        self._hear(kept.changes)

    def _hear(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
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
        punctual: bool,
    ) -> Kept:
        """What a call does. Raises Due, if it is to be `punctual`, where something is due in the session before it."""
        person = transaction.ensure_person(call.principal)
        record, role, started = self._find_or_start(transaction, definition, call.session, call.principal)
        need(role, operation.role)
        allow(call.principal, operation.scope(definition))
        bring(transaction, definition, record)
        if (
            before := replayed(transaction, definition, record, person, call, operation.parameters, request)
        ) is not None:
            return Kept(before)
        if punctual and firing.is_due(transaction, record):
            raise Due(record)
        # Who has seen no session yet may say 0 for the one that was just made.
        seen = 1 if started is not None and call.if_revision == 0 else call.if_revision
        check_revision(record, seen, lambda since: transaction.entries(record.id, after=since, limit=5))
        if record.ended_at is None or not operation.after_end:
            check_open(record, definition, transaction.now)
        opened = Opened(transaction, definition, record, call.principal, arguments, call.prepared)
        done = operation.carry_out(opened)
        change = None if done.unchanged else write(opened, done, operation.name, request, person, call.key)
        outcome = _outcome(record, done, change, possible(opened.view, record, definition))
        changes = () if change is None else (change,)
        if started is None:
            return Kept(outcome, changes)
        return Kept(dataclasses.replace(outcome, messages=(started.message,)), (started.change, *changes))

    def _find_or_start(
        self, transaction: Transaction, definition: Definition, session: str | None, principal: Principal
    ) -> tuple[Record, Role, Started | None]:
        if session is not None:
            return (*find(transaction, principal, session, self.registry.worlds, definition.name), None)
        at_large(principal)
        person = transaction.ensure_person(principal)
        record = transaction.main_session(person, definition.name)
        if record is not None and expired_at(record, definition, transaction.now) is None:
            return record, Role.OWNER, None
        allow(principal, definition.write_scope)
        self._check_room(transaction, person)
        if record is not None:
            transaction.release(record.id)
        started = start_main(transaction, principal, definition)
        return started.record, Role.OWNER, started

    def _check_room(self, transaction: Transaction, owner: int) -> None:
        """Insist that a person may own another session. Raises LimitExceeded."""
        transaction.lock_person(owner)
        owned = transaction.owned(owner)
        if owned >= self.limits.sessions:
            owned -= sum(
                transaction.idle(owner, world.name, transaction.now - world.expires_after)
                for world in self.registry.worlds.values()
                if world.expires_after is not None
            )
        check_sessions(owned, self.limits)

    def _start_once(self, transaction: Transaction, wanted: Start) -> Kept:
        definition, principal = wanted.definition, wanted.principal
        at_large(principal)
        if (before := begun_before(transaction, definition, principal, wanted.key, wanted.request)) is not None:
            return Kept(before)
        person = transaction.ensure_person(principal)
        self._check_room(transaction, person)
        if wanted.main:
            transaction.release_main(person, definition.name)
        made = start(transaction, wanted)
        allowed = possible(
            lambda: opened_world(transaction, definition, made.record, principal), made.record, definition
        )
        return Kept(_outcome(made.record, made.done, made.change, allowed), (made.change,))

    def _fork_once(
        self, transaction: Transaction, principal: Principal, session: str, at: int | None, key: str | None
    ) -> Kept:
        at_large(principal)
        origin, _ = find(transaction, principal, session, self.registry.worlds)
        definition = self._definition(origin.world, principal)
        allow(principal, definition.write_scope)
        request = f"fork {origin.handle} {at}"
        if (before := begun_before(transaction, definition, principal, key, request)) is not None:
            return Kept(before)
        bring(transaction, definition, origin)
        owner = origin.owner_id if principal.operator else transaction.ensure_person(principal)
        self._check_room(transaction, owner)
        wanted = Fork(
            origin=origin,
            definition=definition,
            principal=principal,
            owner_id=owner,
            revision=origin.revision if at is None else at,
            key=key,
            request=request,
        )
        return _kept(fork(transaction, wanted, self.limits.at_once))


def _is_passing(error: BaseException) -> bool:
    """Whether an error is of the database or of the moment, and not of what was to be done: that is to come again."""
    return isinstance(error, StoreError | Conflict) and not isinstance(error, BadStatement)


def _kept(outcome: Outcome) -> Kept:
    return Kept(outcome, () if outcome.change is None else (outcome.change,))


def _outcome(record: Record, done: Done, change: Change | None, allowed: tuple[str, ...]) -> Outcome:
    return Outcome(
        record.handle,
        record.world,
        record.revision,
        shown(record.state),
        allowed,
        done.value,
        done.content,
        change=change,
    )


def _answer(answer: Answer, line: Line, done: Callable[[Answer], None]) -> None:
    """Log what came of a call, then give the answer."""
    try:
        if answer.error is None:
            line.done(answer.outcome)
        else:
            line.failed(answer.error)
    finally:
        done(answer)


def _lane(call: Call) -> object:
    """Whom a call waits for: those of its session, or of the caller's main session of the world."""
    return call.session or _main_lane(call.principal, call.world)


def _caller(principal: Principal) -> object:
    """Whose calls are counted together, where too many wait for a session."""
    return principal.issuer, principal.subject


def _main_lane(principal: Principal, world: str) -> object:
    return principal.issuer, principal.subject, world
