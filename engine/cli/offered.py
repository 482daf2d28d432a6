"""Commands that worlds offer: `turnkeeper <world> <command>`. They act as the local principal, as `play` does.

Worlds are loaded only where a command is named that is none of Turnkeeper's own.
"""

import asyncio
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from typer.core import TyperGroup
from typer.main import get_group

from engine.application import opened
from engine.cli import output, reading
from engine.cli.reporting import reporting, settings_from
from engine.cli.terminal import Keyboard, Pipe, TerminalAsking
from engine.commands import Command, Parameter
from engine.content import rendered
from engine.definition import Definition
from engine.dispatch import Call, Dispatcher
from engine.errors import Refused
from engine.preparing import prepared_call
from engine.registry import load
from engine.store.copies import written_whole
from engine.types import AT_TERMINAL, Json
from engine.world import World

T = TypeVar("T")


class Offering(TyperGroup):
    """Turnkeeper's commands, and behind them the worlds' own."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or the commands of the world of that name."""
        own = super().get_command(ctx, cmd_name)
        return own if own is not None or not cmd_name else _loaded(cmd_name)


@dataclass(slots=True)
class Acting:
    """A terminal as a command of a world gets it."""

    dispatcher: Dispatcher
    definition: Definition
    session: str | None
    quiet: bool

    def call(self, action: str, /, *, attached: Any = None, **arguments: Any) -> Json:
        """What an action gives, with a bar that shows how far it is. Raises what it raises."""
        call = Call(
            principal=AT_TERMINAL,
            world=self.definition.name,
            action=action,
            arguments={name: value for name, value in arguments.items() if value is not None},
            session=self.session,
            attached=attached,
        )
        declared = self.definition.actions.get(action)
        if declared is not None and declared.asks:
            with _bar(self.quiet) as bar:
                call = asyncio.run(prepared_call(self.dispatcher, call, Showing(bar)))
        return self.dispatcher.dispatch(call).value

    def view(self, look: Callable[[World], T], /) -> T:
        """What `look` makes of the session as it is now."""
        session = self.session or self.dispatcher.main(AT_TERMINAL, self.definition.name)
        return self.dispatcher.browse(AT_TERMINAL, session, look)

    def write(self, file: Path, pieces: Iterable[str], /, *, replace: bool = False) -> int:
        """Write a file as a whole; its bytes. Raises Refused if it is there."""
        if file.exists() and not replace:
            raise Refused("file_exists", f"There is a file {file} already.", hint="Give another name, or --force.")
        size = 0
        with written_whole(file) as made, made.open("wb") as stream:
            for piece in pieces:
                size += stream.write(piece.encode())
        return size


class Showing(TerminalAsking):
    """What an action may ask of the person at the terminal, with a bar for how far the work is."""

    def __init__(self, bar: "Bar") -> None:
        super().__init__(Keyboard(None) if sys.stdin.isatty() and sys.stdout.isatty() else Pipe(), output.stderr())
        self._bar = bar

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Move the bar."""
        self._bar.move(done, total, message or "")


@dataclass(slots=True)
class Bar:
    """A bar, if there is somebody to see it."""

    shown: Progress | None
    task: TaskID | None = field(default=None)

    def move(self, done: float, total: float | None, message: str) -> None:
        """Say how far it is."""
        if self.shown is None:
            return
        if self.task is None:
            self.task = self.shown.add_task("", total=total)
        self.shown.update(self.task, completed=done, total=total, description=output.safe(message))


@contextmanager
def _bar(quiet: bool) -> Iterator[Bar]:
    console = output.stderr()
    if quiet or not console.is_terminal:
        yield Bar(None)
        return
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} % {task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield Bar(progress)


def _loaded(name: str) -> TyperGroup | None:
    found: list[TyperGroup | None] = []
    reporting(lambda: found.append(_of_world(name)))()
    return found[0]


def _of_world(name: str) -> TyperGroup | None:
    """The commands of a world as a group; None if it has none, or there is no such world."""
    definition = load(settings_from().worlds_path).definition(name)
    if definition is None or not definition.commands:
        return None
    about = f"What {definition.title} offers on the command line."
    group = typer.Typer(name=name, help=about, no_args_is_help=True, pretty_exceptions_enable=False)
    group.callback()(lambda: None)  # so that a single command is a group, too
    for command in definition.commands.values():
        group.command(command.name, help=command.description)(reporting(_runs(definition, command)))
    return get_group(group)


def _runs(definition: Definition, command: Command) -> Callable[..., None]:
    """A function with a command's parameters as typer takes them, which carries it out."""

    def run(session: str | None, as_json: bool, **given: Any) -> None:
        with opened(settings_from()) as dispatcher:
            own = session and reading.own_session(dispatcher, AT_TERMINAL, definition.name, session).handle
            acting = Acting(dispatcher, definition, own or None, as_json)
            value, content = rendered(command.function(acting, **given))
        if as_json:
            output.print_json(value)
        else:
            output.print_content(output.stdout(), content)

    parameters = [*map(_typed, command.parameters), *_GIVEN]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _typed(parameter: Parameter) -> inspect.Parameter:
    words = parameter.name.replace("_", "-")
    shown: Any = (
        typer.Argument(metavar=words.upper(), help=parameter.description)
        if parameter.required
        else typer.Option(f"--{words}", help=parameter.description)
    )
    return _keyword(parameter.name, Annotated[parameter.kind, shown], parameter.default)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


_GIVEN = (
    _keyword(
        "session",
        Annotated[str | None, typer.Option("--session", metavar="H", help="This session instead of your main one.")],
        None,
    ),
    _keyword("as_json", Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")], False),
)
