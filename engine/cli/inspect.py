"""Commands that look: worlds, sessions, show, history, diff. They act as the operator."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from engine.application import opened
from engine.cli import output, reading
from engine.cli.reporting import settings_from
from engine.registry import load

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Handle = Annotated[str, typer.Argument(metavar="H", help="A session's handle, or enough of its beginning.")]


def list_worlds(as_json: AsJson = False) -> None:
    """List the worlds that can be played."""
    settings = settings_from()
    worlds = [reading.world_json(definition) for definition in load(settings.worlds_path).worlds.values()]
    if as_json:
        output.print_json({"worlds": worlds})
    else:
        output.print_worlds(output.stdout(), worlds)


def list_sessions(
    world: Annotated[str | None, typer.Option("--world", help="Only the sessions of this world.")] = None,
    as_json: AsJson = False,
) -> None:
    """List every session, the most recently changed first."""
    with opened(settings_from()) as dispatcher:
        if world is not None:
            reading.world_named(dispatcher.registry, world)
        sessions = dispatcher.store.read(
            lambda tx: [reading.session_json(dispatcher, tx, record) for record in tx.all_sessions(world)]
        )
    if as_json:
        output.print_json({"sessions": sessions})
    else:
        output.print_sessions(output.stdout(), sessions)


class Drawing(StrEnum):
    """How the states of a session are drawn."""

    MERMAID = "mermaid"
    SVG = "svg"


def show_session(
    handle: Handle,
    at: Annotated[int | None, typer.Option("--at", metavar="N", help="As it was at this revision.")] = None,
    diagram: Annotated[
        Drawing | None, typer.Option("--diagram", help="Draw its states instead, with where it is marked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show a session: its state, document and rows, and what is possible."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        drawn = None if diagram is None else reading.diagram(dispatcher, record, at, as_svg=diagram is Drawing.SVG)
        past = reading.past_json(dispatcher, record, at)
    if drawn is not None:
        sys.stdout.write(drawn)
    elif as_json:
        output.print_json(past)
    else:
        output.print_past(output.stdout(), past)


def show_history(
    handle: Handle,
    since: Annotated[int, typer.Option("--since", metavar="N", min=0, help="Only what came after this revision.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what happened in a session, oldest first."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        entries, more = reading.history_json(dispatcher, record, since)
    if as_json:
        output.print_json({"session": record.handle, "history": entries, "more": more})
    else:
        output.print_history(output.stdout(), entries)
        if more:
            output.stdout().print(f"There is more: --since {entries[-1]['revision']}", style="yellow")


def show_difference(
    handle: Handle,
    first: Annotated[int, typer.Argument(metavar="A", help="A revision.")],
    second: Annotated[int, typer.Argument(metavar="B", help="Another revision.")],
    as_json: AsJson = False,
) -> None:
    """Show what differs between two revisions of a session."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        difference = reading.difference_json(dispatcher, record, first, second)
    if as_json:
        output.print_json(difference)
    else:
        output.print_difference(output.stdout(), difference)
