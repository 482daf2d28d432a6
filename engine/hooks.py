"""Hooks: functions told of changes after the commit, at least once and in order; they cannot refuse.

How far each is in a session is kept under its name (`engine.background` tells
them). A hook that writes dispatches again.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from engine.actions import MARK
from engine.errors import DefinitionError
from engine.types import Change

HookFunction = Callable[[Change], None]
Function = TypeVar("Function", bound=HookFunction)

HOOK_MARK = "__turnkeeper_hook__"


@dataclass(frozen=True, slots=True)
class Hook:
    """A function to tell, and what of: the action's method, or the world's class; neither means all.

    Its name is under which it is remembered how far it is: one of another name is another hook.
    """

    name: str
    function: HookFunction
    method: Callable[..., Any] | None = None
    world: type | None = None
    from_start: bool = False


def after(
    method: Callable[..., Any], *, from_start: bool = False, name: str | None = None
) -> Callable[[Function], Function]:
    """Tell the decorated function of every change that this action made, from now on.

    `from_start` tells it of all that there are, too. `name` is under which it is remembered how far the function is,
    by default its module and name: with another one it is a new hook, and starts at the present again.
    """
    if not hasattr(method, MARK):
        raise DefinitionError(f"@after({getattr(method, '__qualname__', method)!s}): that is not an action.")
    return lambda function: _marked(function, Hook(name or _named(function), function, method, from_start=from_start))


@overload
def on_change(function: Function, /) -> Function: ...
@overload
def on_change(
    world: type | None = None, *, from_start: bool = False, name: str | None = None
) -> Callable[[Function], Function]: ...
def on_change(world: Any = None, *, from_start: bool = False, name: str | None = None) -> Any:
    """Tell the decorated function of every change of a world's sessions, or of all worlds', from now on.

    Written `@on_change(Cart)` for one world; `@on_change` or `@on_change()` for all. `from_start` and `name` are as
    those of `@after`.
    """
    if inspect.isfunction(world):
        return _marked(world, Hook(_named(world), world))
    if world is not None and "World" not in [base.__name__ for base in getattr(world, "__mro__", ())]:
        raise DefinitionError(
            f"@on_change({world!r}): that is not a world.", hint="Name the world's class, or nothing for all worlds."
        )
    return lambda function: _marked(
        function, Hook(name or _named(function), function, world=world, from_start=from_start)
    )


def by_name(hooks: Iterable[Hook]) -> dict[str, tuple[Hook, ...]]:
    """Hooks by their names: one function may be told of several things. Raises DefinitionError."""
    found: dict[str, tuple[Hook, ...]] = {}
    for hook in hooks:
        others = found.get(hook.name, ())
        if any(other.function is not hook.function for other in others):
            raise DefinitionError(
                f"Two hooks are named {hook.name!r}.",
                hint="Give one of them another name: `@after(…, name=…)` or `@on_change(…, name=…)`.",
            )
        found[hook.name] = (*others, hook)
    return found


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
