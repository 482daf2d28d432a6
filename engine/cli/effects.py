"""Commands about effects: effects [H], retry and drop. They act as the operator, on the effect alone."""

import logging
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.cli import output, reading
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.errors import NotFound, Refused
from engine.registry import Registry
from engine.store import effects
from engine.store.effects import Taken
from engine.store.records import Transaction

logger = logging.getLogger(__name__)


class State(StrEnum):
    """What became of an effect."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    PARKED = "parked"
    CANCELLED = "cancelled"


Number = Annotated[int, typer.Argument(metavar="ID", help="The effect's id, as `effects` has it.")]


def list_effects(
    handle: Annotated[
        str | None, typer.Argument(metavar="[H]", help="A session's handle, or enough of its beginning.")
    ] = None,
    state: Annotated[
        list[State] | None, typer.Option("--state", help="In which state; repeated for more. Else all of a session.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the effects of a session; without one, all that wait or are parked."""
    with opened(settings_from()) as dispatcher:
        session = None if handle is None else reading.session_named(dispatcher, handle).id
        states = tuple(map(str, state)) if state else reading.OPEN if session is None else tuple(map(str, State))
        found = dispatcher.store.read(lambda tx: effects.listed(tx, session, states))
    if as_json:
        output.print_json({"effects": [reading.effect_json(taken) for taken in found]})
        return
    made = output.table("id", "session", "revision", "effect", "state", "attempts", "next", "error", whole=("session",))
    for taken in found:
        row = taken.row
        made.add_row(
            str(row.id),
            taken.handle,
            str(row.revision),
            Text(row.name, "bold"),
            _state(taken),
            str(row.attempts),
            output.shown_time(row.due_at) if row.state == "waiting" else "",
            Text(output.safe(row.error or "")),
        )
    output.stdout().print(made if found else Text("No effects.", "dim"))


def retry_effect(effect: Number, as_json: AsJson = False) -> None:
    """Have an effect that is parked, or waits for its next attempt, tried at once; what it gave is only reported."""

    def work(transaction: Transaction, registry: Registry) -> None:
        found = _found(transaction, effect, reading.OPEN, "tried again")
        world = registry.definition(found.world)
        one = None if world is None else world.effects.get(found.row.name)
        if one is None:
            raise NotFound(
                f"No code that is loaded here has the effect {found.row.name} of {found.world}.",
                hint="Set TURNKEEPER_WORLDS_PATH as for the server, or install what has it.",
            )
        effects.resume(transaction, found.row, one.deadline)

    _changed(effect, work, "waits, to be tried at once", as_json=as_json)


def drop_effect(effect: Number, as_json: AsJson = False) -> None:
    """Give an effect up that waits or is parked: nothing is done about it any more, and its session hears nothing."""

    def work(transaction: Transaction, registry: Registry) -> None:
        found = _found(transaction, effect, reading.OPEN, "dropped")
        said = "dropped by the operator" if found.row.error is None else f"dropped by the operator: {found.row.error}"
        effects.end(transaction, effect, "cancelled", error=said)

    _changed(effect, work, "is dropped", as_json=as_json)


def _state(taken: Taken) -> Text:
    row = taken.row
    word = "under way" if row.worker_id is not None else row.state
    return Text(word, {"parked": "bold red", "refused": "red", "failed": "yellow", "done": "green"}.get(word, ""))


def _found(transaction: Transaction, effect: int, states: tuple[str, ...], what: str) -> Taken:
    """An effect that nobody carries out right now. Raises NotFound, Refused."""
    found = effects.find(transaction, effect)
    if found is None:
        raise NotFound(
            f"There is no effect {effect}.", hint="`turnkeeper effects` lists those that wait or are parked."
        )
    if found.row.worker_id is not None:
        raise Refused(
            "effect_begun", f"The effect {effect} is being carried out right now.", hint="Look again in a moment."
        )
    if found.row.state not in states:
        raise Refused(
            "effect_over",
            f"The effect {effect} is {found.row.state}, so it cannot be {what}.",
            hint=f"Only those that are {' or '.join(states)} can.",
        )
    return found


def _changed(effect: int, work: Callable[[Transaction, Registry], None], said: str, *, as_json: bool) -> None:
    with opened(settings_from()) as dispatcher:
        dispatcher.store.write(lambda tx: work(tx, dispatcher.registry))
        now = dispatcher.store.read(lambda tx: effects.find(tx, effect))
    logger.info("effect=%d by=operator outcome=%s", effect, said)
    if as_json:
        output.print_json({"effect": None if now is None else reading.effect_json(now)})
    else:
        output.stdout().print(Text(f"Effect {effect} {said}."))
