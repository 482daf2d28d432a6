"""Commands about hooks: which there are, where they fail, and how they go on. They act as the operator."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.text import Text

from engine.application import opened
from engine.background.hooked import KIND, make_known
from engine.cli import output, reading
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.dispatch import Dispatcher
from engine.errors import NotFound, Refused
from engine.logs import Line
from engine.store import consumers, positions
from engine.store.consumers import Registered
from engine.store.positions import Standing
from engine.store.records import Record, Transaction
from engine.types import Json

T = TypeVar("T")
Name = Annotated[str, typer.Argument(metavar="NAME", help="A hook's name; `turnkeeper hooks` lists them.")]
SESSION = "A session's handle, or enough of its beginning"


def list_hooks(as_json: AsJson = False) -> None:
    """List the hooks that were ever loaded: what they hear of, and in how many sessions they wait, fail, are parked."""
    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(
            lambda tx: [_hook_json(dispatcher, hook, positions.standing(tx, hook)) for hook in _hooks(tx)]
        )
    if as_json:
        output.print_json({"hooks": found})
        return
    if not found:
        output.stdout().print("There is no hook.")
        return
    made = output.table("hook", "world", "since", "here", "waiting", "failing", "parked", "oldest", whole=("hook",))
    for one in found:
        words = [
            output.safe(one["name"]),
            one["world"] or "all",
            "the start" if one["from_start"] else output.shown_time(one["since"]),
            "yes" if one["loaded"] else "no",
            *(str(one[state]) for state in ("waiting", "failing", "parked")),
            output.shown_time(one["oldest"]),
        ]
        made.add_row(*map(Text, words))
    output.stdout().print(made)


def show_hook(name: Name, as_json: AsJson = False) -> None:
    """Show where a hook failed: sessions, revisions, and the number under which the log explains it."""
    with opened(settings_from()) as dispatcher:

        def work(transaction: Transaction) -> Json:
            hook = _hook(transaction, name)
            found = [asdict(trouble) for trouble in positions.troubles(transaction, name)]
            return _hook_json(dispatcher, hook, positions.standing(transaction, hook)) | {"sessions": found}

        found = dispatcher.store.read(work)
    if as_json:
        output.print_json(found)
        return
    if not found["sessions"]:
        output.stdout().print(Text(f"{output.safe(name)} has failed nowhere."), soft_wrap=True)
        return
    made = output.table("session", "revision", "attempts", "again", "parked", "error", whole=("session",))
    for one in found["sessions"]:
        times = output.shown_time(one["due_at"]), output.shown_time(one["parked_at"])
        made.add_row(one["session"], str(one["revision"]), str(one["attempts"]), *times, Text(one["error"] or ""))
    output.stdout().print(made)


def resume_hook(
    name: Name,
    handle: Annotated[str | None, typer.Argument(metavar="[H]", help=f"{SESSION}; else all.")] = None,
    as_json: AsJson = False,
) -> None:
    """Have a hook try again at once where it failed or is parked."""

    def work(transaction: Transaction, record: Record | None) -> int:
        _hook(transaction, name)
        return positions.resume(transaction, name, record)

    done = _carried_out("hooks.resume", handle, work)
    _say(f"{name} is tried again in {done} sessions.", {"hook": name, "sessions": done}, as_json=as_json)


def skip_change(
    name: Name, handle: Annotated[str, typer.Argument(metavar="H", help=f"{SESSION}.")], as_json: AsJson = False
) -> None:
    """Have a hook go on after the change at which it failed in a session: it never hears of that one."""

    def work(transaction: Transaction, record: Record | None) -> int:
        _hook(transaction, name)
        revision = None if record is None else positions.skip(transaction, name, record)
        if revision is None:
            raise Refused(
                "nothing_failed",
                f"{name} has failed at nothing in that session.",
                hint="`turnkeeper hooks show NAME` says where it has.",
            )
        return revision

    revision = _carried_out("hooks.skip", handle, work)
    _say(f"{name} goes on after revision {revision}.", {"hook": name, "skipped": revision}, as_json=as_json)


def forget_hook(name: Name, as_json: AsJson = False) -> None:
    """Forget a hook that no code declares any more, with how far it was; one that is loaded begins anew."""

    def work(transaction: Transaction) -> None:
        _hook(transaction, name)
        consumers.forget(transaction, name)

    with opened(settings_from()) as dispatcher:
        Line("hooks.forget").around(lambda: dispatcher.store.write(work))
        make_known(dispatcher.store, dispatcher.registry)  # a server that has it loaded would not miss it
    _say(f"{name} is forgotten.", {"hook": name}, as_json=as_json)


def _carried_out(what: str, handle: str | None, work: Callable[[Transaction, Record | None], T]) -> T:
    """What an operator's work gives, on the session that was named, if one was; the log has a line of it."""
    with opened(settings_from()) as dispatcher:
        record = None if handle is None else reading.session_named(dispatcher, handle)
        line = Line(what, None if record is None else record.handle)
        return line.around(lambda: dispatcher.store.write(lambda tx: work(tx, record)))


def _hooks(transaction: Transaction) -> list[Registered]:
    return [consumer for consumer in consumers.registered(transaction) if consumer.kind == KIND]


def _hook(transaction: Transaction, name: str) -> Registered:
    """The hook of that name. Raises NotFound."""
    found = [hook for hook in _hooks(transaction) if hook.name == name]
    if not found:
        raise NotFound(f"There is no hook {name[:200]!r}.", hint="`turnkeeper hooks` lists them.")
    return found[0]


def _hook_json(dispatcher: Dispatcher, hook: Registered, standing: Standing) -> dict[str, Json]:
    known = {"name": hook.name, "world": hook.world, "since": hook.since, "from_start": hook.from_start}
    return known | {"loaded": hook.name in dispatcher.registry.hooks} | asdict(standing)


def _say(text: str, value: dict[str, Json], *, as_json: bool) -> None:
    if as_json:
        output.print_json(value)
    else:
        output.stdout().print(Text(output.safe(text)), soft_wrap=True)
