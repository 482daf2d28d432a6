"""Runs an action's async part before its transaction: confirmation and prepare, at one revision.

What comes out is the call to dispatch: bound to the session and revision that
was looked at, so that an answer to an older question is refused. One that wrote
ahead is bound to no revision unless its caller is: it takes long, others act
meanwhile, and rows of history can be read as they were; its method reconciles.
"""

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from anyio import CancelScope, from_thread, to_thread
from sqlmodel import SQLModel

from engine import parts
from engine.asking import Answer, Outside, Question, confirmed
from engine.definition import Definition
from engine.dispatch import Call, Dispatcher
from engine.present import Large
from engine.types import Written
from engine.upgrading import upgrade_ahead
from engine.world import World

MEANWHILE_EVERY = 0.5
"""Seconds between two reports of what is being written ahead."""


async def prepared_call(dispatcher: Dispatcher, call: Call, outside: Outside, *, seen: int | None = None) -> Call:
    """The call with what its action asks for beforehand; the same call if the action does not ask.

    `seen` is the revision that an earlier round was shown. One that was carried out before comes back as it is, to be
    replayed. Raises what `check` raises, and what the asking does.
    """
    definition = dispatcher.registry.definition(call.world)
    action = None if definition is None else definition.actions.get(call.action)
    if definition is None or action is None or not action.asks:
        return call
    arguments = action.parse(call.arguments)
    if _retries(call) and not action.read_only and await to_thread.run_sync(dispatcher.recorded, call) is not None:
        return call
    looked_at = call if seen is None or definition.keeps_history else replace(call, if_revision=seen)
    handle, now = await to_thread.run_sync(dispatcher.check, looked_at)
    revision = now if seen is None else seen
    world = await to_thread.run_sync(dispatcher.detached, call.principal, call.world, handle, revision)
    if action.options.confirm is not None:
        await confirmed(outside, _question(action.options.confirm, world, arguments))
    prepared, written = call.prepared, tuple[Written, ...]()
    if action.options.prepare is not None:
        wanted = {name: arguments[name] for name in action.prepare_parameters}
        writing = None if action.read_only else _Writing(dispatcher, definition, world)
        asking = Preparation(outside, call.attached, writing)
        async with asking:
            prepared = await action.options.prepare(world, asking, **wanted)
        written = asking.written
    bound = call.if_revision if written else revision
    key = call.key or str(uuid4())
    return replace(call, session=handle, if_revision=bound, key=key, prepared=prepared, written=written)


async def given_up(dispatcher: Dispatcher, call: Call) -> None:
    """Delete what was written ahead for a call that is not going to be dispatched."""
    definition = dispatcher.registry.definition(call.world)
    with CancelScope(shield=True):
        await to_thread.run_sync(parts.give_up, dispatcher.store, definition, call.written)


class _Writing:
    """Where a prepare function writes ahead: the session that its view is of, at the view's revision."""

    def __init__(self, dispatcher: Dispatcher, definition: Definition, view: World) -> None:
        self._store = dispatcher.store
        self._definition = definition
        self._session = view._situation.record.id
        self._handle = view.session
        self._revision = view.revision

    def begin(self) -> parts.Begun:
        """Begin a part, of a session that is brought to its world's version first. Raises NotFound, Refused."""
        work = partial(parts.begin, definition=self._definition, session_id=self._session)
        try:
            return self._store.write(work, lane=self._handle)
        except Large as large:
            upgrade_ahead(self._store, large)
            return self._store.write(work, lane=self._handle)

    def check(self, model: type[SQLModel]) -> None:
        """Insist that rows of a class can be written ahead. Raises TypeError."""
        parts.check_model(self._definition, model)

    def write(
        self, begun: parts.Begun, model: type[SQLModel], rows: Iterable[Mapping[str, Any]], told: Callable[[], object]
    ) -> Written:
        """Write a part's rows."""
        return parts.write(self._store, begun, model, rows, revision=self._revision, told=told)

    def give_up(self, begun: Iterable[parts.Begun]) -> None:
        """Delete what was written."""
        parts.give_up(self._store, self._definition, begun)


class Preparation:
    """What a prepare function is given: the outside, and a way to write ahead; if it fails, that is deleted."""

    def __init__(self, outside: Outside, attached: Any = None, writing: _Writing | None = None) -> None:
        self._outside = outside
        self._writing = writing
        self._begun: list[parts.Begun] = []
        self.attached = attached
        self.written: tuple[Written, ...] = ()

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._writing is not None and self._begun:
            with CancelScope(shield=True):
                await to_thread.run_sync(self._writing.give_up, self._begun)

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """Put questions, all at once, each under a name of its own. Raises CannotAsk."""
        return await self._outside.ask(**questions)

    def can(self, question: type[Question]) -> bool:
        """Whether the other side can answer that kind of question."""
        return self._outside.can(question)

    def require(self, *questions: type[Question]) -> None:
        """Insist that it can. Raises CannotAsk."""
        self._outside.require(*questions)

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the work is; `done` must grow."""
        await self._outside.progress(done, total, message)

    async def log(self, level: str, message: str) -> None:
        """Send a log line to a client that asked for them."""
        await self._outside.log(level, message)

    async def write_ahead(
        self,
        model: type[SQLModel],
        rows: Iterable[Mapping[str, Any]],
        /,
        *,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> Written:
        """Write rows of history that nobody sees until they are adopted; see Asking."""
        writing = self._writing
        if writing is None:
            raise TypeError("write_ahead(…) is for the prepare function of an action that changes something")
        writing.check(model)
        begun = await to_thread.run_sync(writing.begin)
        self._begun.append(begun)
        # What earlier parts of this call weigh is not the session's yet, but will be.
        begun = replace(begun, stored=begun.stored + sum(one.bytes for one in self.written))
        try:
            written = await to_thread.run_sync(writing.write, begun, model, rows, _reporting(meanwhile))
        except BaseException:
            with CancelScope(shield=True):
                await to_thread.run_sync(writing.give_up, [begun])
            raise
        self.written = (*self.written, written)
        return written


def _reporting(meanwhile: Callable[[], Awaitable[None]] | None) -> Callable[[], None]:
    """What the writing thread calls after each transaction: it ends where who waits for it is gone."""
    due = time.monotonic()

    def told() -> None:
        nonlocal due
        from_thread.check_cancelled()
        if meanwhile is not None and time.monotonic() >= due:
            due = time.monotonic() + MEANWHILE_EVERY
            from_thread.run(_awaited, meanwhile)

    return told


async def _awaited(meanwhile: Callable[[], Awaitable[None]]) -> None:
    await meanwhile()


def _retries(call: Call) -> bool:
    return call.key is not None or call.if_revision is not None


def _question(confirm: str | Callable[..., str], world: World, arguments: Mapping[str, Any]) -> str:
    if isinstance(confirm, str):
        return confirm
    wanted = tuple(inspect.signature(confirm).parameters)[1:]
    return confirm(world, **{name: arguments[name] for name in wanted})
