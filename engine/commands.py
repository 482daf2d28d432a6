"""Commands of a world: functions that the command line offers as `turnkeeper <world> <command>`.

`@command` marks a function, and its world lists it (`commands=`). It runs in
the terminal's process, as the local principal, and gets to sessions by the
same way as everybody: the `Terminal` that it is handed calls actions and looks.
"""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Protocol, TypeVar, overload

from pydantic.fields import FieldInfo

from engine.errors import DefinitionError
from engine.signatures import type_hints
from engine.types import Json

T = TypeVar("T")
Function = TypeVar("Function", bound=Callable[..., Any])

COMMAND_MARK = "__turnkeeper_command__"
GIVEN = ("session", "as_json", "help")
"""What every command of a world has by itself."""


class Terminal(Protocol):
    """What a command acts by: on one session of its world, which is the main one unless it was named."""

    def call(self, action: str, /, *, attached: Any = None, **arguments: Any) -> Json:
        """What an action gives; `attached` is its prepare function's, whose progress is shown as a bar.

        Raises what the action raises.
        """
        ...

    def view(self, look: Callable[[Any], T], /) -> T:
        """What `look` makes of the session as it is now, read-only, and for as long as it takes."""
        ...

    def write(self, file: Path, pieces: Iterable[str], /, *, replace: bool = False) -> int:
        """Write a file, which is there as a whole or not at all; its bytes. Raises Refused if it is there."""
        ...


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a command: an argument if it must be given, else an option."""

    name: str
    kind: Any
    default: Any
    description: str

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Command:
    """One command of one world, checked."""

    name: str
    function: Callable[..., Any]
    description: str
    parameters: tuple[Parameter, ...]


@overload
def command(function: Function, /) -> Function: ...
@overload
def command(*, name: str | None = None) -> Callable[[Function], Function]: ...
def command(function: Any = None, /, *, name: str | None = None) -> Any:
    """Make a function a command of the world that lists it: `class …(World, commands=[…])`.

    Its first parameter is the Terminal; the others are str, int, float, bool, Path or an enumeration of words, or one
    of these or None. What it returns is printed as an action's answer is. `name` is what is typed, by default the
    function's name with dashes.
    """

    def mark(marked: Any) -> Any:
        if not inspect.isfunction(marked) or inspect.iscoroutinefunction(marked):
            raise DefinitionError(
                f"@command was given {marked!r}, which is no plain function.",
                hint="Put it on `def …(terminal: Terminal, …)`, at module level.",
            )
        setattr(marked, COMMAND_MARK, name or marked.__name__.replace("_", "-"))
        return marked

    return mark if function is None else mark(function)


def build_commands(owner: str, functions: Iterable[Any]) -> Mapping[str, Command]:
    """The commands of a world by name. Raises DefinitionError."""
    found: dict[str, Command] = {}
    for function in functions:
        built = _built(owner, function)
        if built.name in found:
            raise DefinitionError(
                f"{owner}: two commands are named {built.name!r}.", hint="Rename one: @command(name=…)."
            )
        found[built.name] = built
    return found


def _built(owner: str, function: Any) -> Command:
    name = getattr(function, COMMAND_MARK, None)
    if name is None:
        raise DefinitionError(
            f"{owner}: commands= lists {function!r}, which is no command.", hint="Mark it with @command."
        )
    label = f"{owner}: the command {name}"
    taken = list(inspect.signature(function).parameters.values())
    if not taken:
        raise DefinitionError(f"{label} takes no terminal.", hint="Write `def …(terminal: Terminal, …)`.")
    hints = type_hints(label, function)
    parameters = tuple(_parameter(label, one, hints) for one in taken[1:])
    return Command(name, function, inspect.getdoc(function) or "", parameters)


def _parameter(label: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Parameter:
    hint, description = hints.get(parameter.name), ""
    if typing.get_origin(hint) is typing.Annotated:
        hint, *beside = typing.get_args(hint)
        described = [one.description for one in beside if isinstance(one, FieldInfo) and one.description]
        description = described[0] if described else ""
    varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY)
    if varies or not _is_plain(hint):
        raise DefinitionError(
            f"{label} cannot take {str(parameter)!r} from a command line.",
            hint="Give it a name, and say str, int, float, bool, Path or a StrEnum, or one of these `| None`.",
        )
    if parameter.name in GIVEN:
        raise DefinitionError(f"{label}: every command has {parameter.name!r} already.", hint="Choose another name.")
    return Parameter(parameter.name, hint, parameter.default, description)


def _is_plain(hint: Any) -> bool:
    if isinstance(hint, UnionType) or typing.get_origin(hint) is typing.Union:
        kinds = [one for one in typing.get_args(hint) if one is not NoneType]
        return len(kinds) == 1 and _is_plain(kinds[0])
    words = inspect.isclass(hint) and hasattr(hint, "__members__") and issubclass(hint, str)
    return words or hint in (str, int, float, bool, Path)
