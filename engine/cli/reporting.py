"""What a command line says when something is wrong, and the exit code it leaves."""

import os
import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from engine.cli.output import print_json, safe, stderr
from engine.errors import EngineError, InvalidArguments, StoreError
from engine.settings import Settings
from engine.types import Json

P = ParamSpec("P")

NOT_DONE, WRONG_USAGE, NO_STORE, UNFORESEEN = 1, 2, 3, 70


def reporting(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with its errors said in one or two lines and turned into exit codes."""

    @wraps(command)
    def reported(*args: P.args, **options: P.kwargs) -> None:
        try:
            command(*args, **options)
        except EngineError as error:
            report(error, as_json=bool(options.get("as_json")))
            raise typer.Exit(exit_code(error)) from None
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise
        except Exception as error:
            print_unforeseen(stderr(), error)
            raise typer.Exit(UNFORESEEN) from None

    return reported


def exit_code(error: EngineError) -> int:
    """What the process says of an error to its caller."""
    if isinstance(error, StoreError):
        return NO_STORE
    return WRONG_USAGE if isinstance(error, InvalidArguments) else NOT_DONE


def report(error: EngineError, *, as_json: bool = False) -> None:
    """Say an error: as text on stderr, or as JSON on stdout."""
    if as_json:
        print_json({"error": error_json(error)})
    else:
        print_error(stderr(), error)


def print_error(console: Console, error: EngineError) -> None:
    """An error for people: what was wrong, and what would be right."""
    console.print(Text.assemble(("error: ", "bold red"), (safe(error.reason), "red")), soft_wrap=True)
    if error.hint:
        console.print(Text(safe(error.hint), "yellow"), soft_wrap=True)


def error_json(error: EngineError) -> Json:
    """An error for programs."""
    return {"code": error.rule, "reason": error.reason, "hint": error.hint}


_SECRET = ("providers", "secrets")
"""Settings whose values are not for a terminal."""


def settings_from(**overrides: object) -> Settings:
    """The settings of the environment, and over them those of the command line that are not None.

    Raises InvalidArguments.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings.model_validate({**Settings().model_dump(), **given})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = "TURNKEEPER_" + "__".join(map(str, first["loc"])).upper()
        received = "" if first["loc"][0] in _SECRET else f"={first['input']!s}"
        raise InvalidArguments(f"{name}{received}: {first['msg']}.") from None
    except SettingsError:  # the one setting that is not a word or a number
        raise InvalidArguments("TURNKEEPER_PROVIDERS: it is no JSON object.") from None


def print_unforeseen(console: Console, error: Exception) -> None:
    """What nobody thought of, on lines short enough to report; all of it only where it is asked for."""
    if os.environ.get("TURNKEEPER_DEBUG"):
        traceback.print_exc()
    frame = traceback.extract_tb(error.__traceback__)[-1]
    console.print(
        Text(f"unforeseen: {type(error).__name__}: {safe(str(error))} ({frame.filename}:{frame.lineno})", "red"),
        Text("Please report this line; TURNKEEPER_DEBUG=1 shows more.", "yellow"),
        sep="\n",
        soft_wrap=True,
    )
