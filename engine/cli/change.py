"""Commands that change a session: undo, redo, fork. They act, and are journaled, as the operator."""

from typing import Annotated

import typer

from engine.application import opened
from engine.cli import output, reading
from engine.cli.inspect import AsJson, Handle
from engine.cli.reporting import settings_from
from engine.dispatch import Call
from engine.types import OPERATOR, Outcome


def undo_last(handle: Handle, as_json: AsJson = False) -> None:
    """Take a session's last action back; again takes back the one before."""
    _carry_out(handle, "undo", as_json)


def redo_last(handle: Handle, as_json: AsJson = False) -> None:
    """Do again what was undone last in a session."""
    _carry_out(handle, "redo", as_json)


def fork_session(
    handle: Handle,
    at: Annotated[int | None, typer.Option("--at", metavar="N", help="From this revision; else the latest.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a new session from a session's past; the owner stays the same."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        outcome = dispatcher.fork(OPERATOR, record.handle, at)
    _print(outcome, as_json)


def _carry_out(handle: str, operation: str, as_json: bool) -> None:
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        outcome = dispatcher.dispatch(
            Call(principal=OPERATOR, world=record.world, action=operation, session=record.handle)
        )
    _print(outcome, as_json)


def _print(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        output.print_json(output.outcome_json(outcome))
    else:
        output.print_outcome(output.stdout(), outcome)
