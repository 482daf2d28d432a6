"""Runs an action's async part before its transaction: confirmation and prepare, at one revision.

What comes out is the call to dispatch: bound to the session and revision that
was looked at, so that an answer to an older question is refused.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from anyio import to_thread

from engine.asking import Asking, confirmed
from engine.dispatch import Call, Dispatcher
from engine.world import World


async def prepared_call(dispatcher: Dispatcher, call: Call, asking: Asking) -> Call:
    """The call with what its action asks for beforehand; the same call if the action does not ask.

    One that was carried out before comes back as it is, to be replayed.
    Raises what `check` raises, and what the asking does.
    """
    definition = dispatcher.registry.definition(call.world)
    action = None if definition is None else definition.actions.get(call.action)
    if action is None or not action.asks:
        return call
    arguments = action.parse(call.arguments)
    if _retries(call) and not action.read_only and await to_thread.run_sync(dispatcher.recorded, call) is not None:
        return call
    handle, revision = await to_thread.run_sync(dispatcher.check, call)
    world = await to_thread.run_sync(dispatcher.detached, call.principal, call.world, handle, revision)
    if action.options.confirm is not None:
        await confirmed(asking, _question(action.options.confirm, world, arguments))
    prepared = call.prepared
    if action.options.prepare is not None:
        wanted = {name: arguments[name] for name in action.prepare_parameters}
        prepared = await action.options.prepare(world, asking, **wanted)
    return replace(call, session=handle, if_revision=revision, key=call.key or str(uuid4()), prepared=prepared)


def _retries(call: Call) -> bool:
    return call.key is not None or call.if_revision is not None


def _question(confirm: str | Callable[..., str], world: World, arguments: Mapping[str, Any]) -> str:
    if isinstance(confirm, str):
        return confirm
    wanted = tuple(inspect.signature(confirm).parameters)[1:]
    return confirm(world, **{name: arguments[name] for name in wanted})
