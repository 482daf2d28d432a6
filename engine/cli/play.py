"""The command that plays a world in a terminal."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.cli import output, reading
from engine.cli.completing import PlayCompleter
from engine.cli.lines import joined
from engine.cli.player import Player
from engine.cli.reporting import print_error, print_unforeseen, settings_from
from engine.cli.terminal import Keyboard, Pipe
from engine.errors import EngineError, StoreError
from engine.logs import trace
from engine.settings import Settings


def play_world(
    world: Annotated[str, typer.Argument(metavar="WORLD", help="The world to play; `turnkeeper worlds` lists them.")],
    given: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="What a new session is started with.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="H", help="Go on with this session instead of your main one.")
    ] = None,
    new: Annotated[bool, typer.Option("--new", help="Start another session.")] = False,
) -> None:
    """Play a world in this terminal. From a pipe, lines are read and answered plainly."""
    if new and session is not None:
        raise typer.BadParameter("--new and --session exclude each other.")
    settings = settings_from()
    typing = sys.stdin.isatty() and sys.stdout.isatty()
    folder = _folder(settings)
    _log_to(folder)
    with opened(settings, work="stdio") as dispatcher:
        definition = reading.world_named(dispatcher.registry, world)
        history = None if folder is None else folder / f"play-{world}.history"
        player = Player(dispatcher, definition, Keyboard(history) if typing else Pipe(), output.stdout())
        player.begin(session, new=new, line=joined(given or []))
        _play(player, typing=typing)


def _play(player: Player, *, typing: bool) -> None:
    """Take lines until there are no more."""
    completer = PlayCompleter(player)
    if typing:
        player.console.print(Text("/help says what can be typed; Tab completes; Ctrl-D quits.", "dim"))
    line = ""
    while True:
        try:
            line = player.lines.line(f"{player.definition.name}> ", completer).strip()
            if line:
                player.take(line)
                _rest(player, typing=typing)
        except KeyboardInterrupt:
            continue
        except EOFError:
            _say_goodbye(player, typing=typing)
            return
        except EngineError as error:
            if isinstance(error, StoreError) and not typing:
                raise
            print_error(player.console, error)
            _rest(player, typing=typing)
        except Exception as error:
            if not typing:
                raise
            logging.getLogger(__name__).error("a line failed: %s", trace(error))
            print_unforeseen(player.console, error)


def _rest(player: Player, *, typing: bool) -> None:
    """Part one turn from the next where a person reads."""
    if typing:
        player.console.print()


def _say_goodbye(player: Player, *, typing: bool) -> None:
    if typing:
        way = f"turnkeeper play {player.definition.name} --session {player.last.session}"
        player.console.print(Text.assemble("Kept. Go on with: ", (way, "bold")), soft_wrap=True)


def _folder(settings: Settings) -> Path | None:
    """The data directory, made if need be; None where nothing can be kept in it."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return settings.data_dir if os.access(settings.data_dir, os.W_OK) else None


def _log_to(folder: Path | None) -> None:
    """Keep warnings, such as of a hook that failed, out of the terminal."""
    handler = logging.NullHandler() if folder is None else logging.FileHandler(folder / "play.log", delay=True)
    logging.basicConfig(level=logging.WARNING, handlers=[handler], format="%(asctime)s %(levelname)s %(message)s")
