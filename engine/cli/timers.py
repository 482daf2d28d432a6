"""Commands about timers: what sessions wait for, and setting going again what failed. They act as the operator."""

from typing import Annotated

import typer

from engine.application import opened
from engine.cli import output, reading
from engine.cli.inspect import AsJson, Handle
from engine.cli.reporting import settings_from
from engine.dispatch import Call
from engine.store.timing import Waiting, waiting
from engine.timers import read
from engine.types import OPERATOR, Json


def list_timers(
    handle: Annotated[str | None, typer.Argument(metavar="[H]", help="Only this session's.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only those that failed, and are due no more.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Of so many sessions, the next due first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what sessions wait for, the next due first."""
    with opened(settings_from()) as dispatcher:
        session = None if handle is None else reading.session_named(dispatcher, handle).handle
        found = dispatcher.store.read(lambda tx: list(waiting(tx, session=session, failed=failed, limit=limit + 1)))
    timers = [plain for one in found[:limit] for plain in _plain(one, failed)]
    if as_json:
        output.print_json({"timers": timers, "more": len(found) > limit})
        return
    output.print_timers(output.stdout(), timers)
    if len(found) > limit:
        output.stdout().print(f"There is more: --limit {2 * limit}", style="yellow")


def resume_timers(
    handle: Handle,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="The timers' action, as `timers list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Set a session's timers of an action going again that failed: what is due is done next."""
    with opened(settings_from()) as dispatcher:
        record = reading.session_named(dispatcher, handle)
        call = Call(
            principal=OPERATOR,
            world=record.world,
            action="timer",
            arguments={"action": action},
            session=record.handle,
        )
        outcome = dispatcher.dispatch(call)
    if as_json:
        output.print_json(output.outcome_json(outcome))
    else:
        output.print_outcome(output.stdout(), outcome)


def _plain(one: Waiting, failed: bool) -> list[Json]:
    timers = [timer for timer in read(one.timers) if timer.failed is not None or not failed]
    return [{"session": one.session, "world": one.world, **timer.shown} for timer in timers]
