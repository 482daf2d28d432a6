"""The command that looks after the schema: migrate."""

import inspect
import io
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.text import Text

from engine import migrate
from engine.application import open_store
from engine.cli import output, reading
from engine.cli.inspect import AsJson
from engine.cli.reporting import NOT_DONE, settings_from
from engine.definition import Definition
from engine.errors import InvalidArguments, Refused, StoreError
from engine.registry import load
from engine.settings import Settings
from engine.store.sqlite import SqliteStore

CORE = "core"


def migrate_database(
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 1 if something is behind.")] = False,
    new: Annotated[
        str | None, typer.Option("--new", metavar="WORLD", help="Write the migration that a world (or core) lacks.")
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="What a new migration is for.")] = "change",
    as_json: AsJson = False,
) -> None:
    """Bring the database up to date with the code; every other command does so too."""
    settings = settings_from()
    if new is not None:
        if check:
            raise InvalidArguments("--check and --new exclude each other.")
        _say({"file": str(_write(settings, new, message))}, "file", as_json)
        return
    behind, copy = _behind_or_upgraded(settings, only_check=check)
    word = "behind" if check else "upgraded"
    said: dict[str, str | list[str]] = {word: behind}
    _say(said | ({"copy": str(copy)} if copy is not None and as_json else {}), word, as_json)
    if copy is not None and not as_json:
        output.stdout().print(Text(f"as it was: {copy}"), soft_wrap=True)
    if check and behind:
        raise typer.Exit(NOT_DONE)


def _behind_or_upgraded(settings: Settings, *, only_check: bool) -> tuple[list[str], Path | None]:
    worlds = list(load(settings.worlds_path).worlds.values())
    store = open_store(settings)
    try:
        behind = migrate.behind(store, worlds)
        return behind, None if only_check else migrate.upgrade(store, worlds)
    finally:
        store.close()


def _write(settings: Settings, name: str, message: str) -> Path:
    """Write what is missing between a database made by the migrations there are, and the code."""
    world = None if name == CORE else reading.world_named(load(settings.worlds_path), name)
    if world is None or world.migrations is not None:
        return _written(world, [] if world is None else [world], message)
    _insist_on_baseline(settings, world)
    return _written(world, [], message)


def _written(world: Definition | None, upgraded: list[Definition], message: str) -> Path:
    with TemporaryDirectory() as scratch, redirect_stdout(io.StringIO()):
        store = SqliteStore(str(Path(scratch) / "scratch.db"))
        try:
            migrate.upgrade(store, upgraded)
            return migrate.new(store, world, message, _folder(world))
        finally:
            store.close()


def _insist_on_baseline(settings: Settings, world: Definition) -> None:
    """A world's first migration makes its tables, so those that are there must be as the code says. Raises Refused."""
    store = open_store(settings)
    try:
        migrate.upgrade(store, [world])
    except StoreError as error:
        if error.__cause__ is not None:
            raise
        raise Refused(
            "no_baseline",
            f"{error.reason} A first migration cannot tell how the tables were made.",
            hint=f"Take the change back, run `turnkeeper migrate --new {world.name}`, change again, and run it again.",
        ) from error
    finally:
        store.close()


def _folder(world: Definition | None) -> Path:
    if world is None:
        return migrate.FOLDER / "versions" / CORE
    if world.cls.__module__.partition(".")[0] == "worlds":
        return migrate.FOLDER / "versions" / world.name
    return Path(inspect.getfile(world.cls)).parent / "migrations"


def _say(value: dict[str, str | list[str]], what: str, as_json: bool) -> None:
    if as_json:
        output.print_json(value)
        return
    found = value[what]
    text = found if isinstance(found, str) else f"{what}: {', '.join(found)}" if found else "up to date"
    output.stdout().print(Text(text), soft_wrap=True)
