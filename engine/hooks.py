"""Hooks: functions told of changes after the commit, in order; they cannot refuse.

One thread a process tells them, so that an answer never waits for a hook and
a hook that fails harms nobody but itself. A hook that writes dispatches again.
"""

import inspect
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from engine.actions import MARK
from engine.errors import DefinitionError
from engine.logs import trace
from engine.types import Change

HookFunction = Callable[[Change], None]
Function = TypeVar("Function", bound=HookFunction)

HOOK_MARK = "__turnkeeper_hook__"
PATIENCE = 2.0
"""Seconds that hooks get to hear of the last changes when the process ends."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hook:
    """A function to tell, and what of: the action's method, or the world's class; neither means all."""

    name: str
    function: HookFunction
    method: Callable[..., Any] | None = None
    world: type | None = None


def after(method: Callable[..., Any]) -> Callable[[Function], Function]:
    """Tell the decorated function of every change that this action made."""
    if not hasattr(method, MARK):
        raise DefinitionError(f"@after({getattr(method, '__qualname__', method)!s}): that is not an action.")
    return lambda function: _marked(function, Hook(_named(function), function, method=method))


@overload
def on_change(function: Function, /) -> Function: ...
@overload
def on_change(world: type | None = None) -> Callable[[Function], Function]: ...
def on_change(world: Any = None) -> Any:
    """Tell the decorated function of every change of a world's sessions, or of all worlds'.

    Written `@on_change(Cart)` for one world; `@on_change` or `@on_change()` for all.
    """
    if inspect.isfunction(world):
        return _marked(world, Hook(_named(world), world))
    if world is not None and "World" not in [base.__name__ for base in getattr(world, "__mro__", ())]:
        raise DefinitionError(
            f"@on_change({world!r}): that is not a world.", hint="Name the world's class, or nothing for all worlds."
        )
    return lambda function: _marked(function, Hook(_named(function), function, world=world))


class Hooks:
    """Tells hooks of changes, in the order of their commits, from a thread of its own."""

    def __init__(self, hooks: Iterable[Hook], concerns: Callable[[Hook, Change], bool]) -> None:
        self._hooks = tuple(hooks)
        self._concerns = concerns
        self._queue: queue.SimpleQueue[Change | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="turnkeeper-hooks", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._queue.put(None)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            logger.error("a hook is still at work after %g s; it is not waited for", PATIENCE)

    def tell(self, change: Change) -> None:
        """Have the hooks that it concerns told; returns at once."""
        if any(self._concerns(hook, change) for hook in self._hooks):
            self._queue.put(change)

    def _run(self) -> None:
        while (change := self._queue.get()) is not None:
            for hook in self._hooks:
                if self._concerns(hook, change):
                    _tell(hook, change)


def _tell(hook: Hook, change: Change) -> None:
    try:
        hook.function(change)
    except BaseException as error:  # even SystemExit: the one thread has to live
        logger.error(
            "hook %s failed on revision %d of %s: %s", hook.name, change.revision, change.session, trace(error)
        )


def _named(function: HookFunction) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _marked(function: Function, hook: Hook) -> Function:
    if inspect.iscoroutinefunction(function):
        raise DefinitionError(
            f"hook {hook.name} is async, but hooks are called plainly, from a thread of their own.",
            hint=f"Write `def {function.__name__}(change: Change) -> None`.",
        )
    if len(inspect.signature(function).parameters) != 1:
        raise DefinitionError(
            f"hook {hook.name}{inspect.signature(function)} must take one argument.",
            hint=f"Write `def {function.__name__}(change: Change) -> None`.",
        )
    setattr(function, HOOK_MARK, (*getattr(function, HOOK_MARK, ()), hook))
    return function
