"""Commands about somebody's data: user export and user delete. They act as the operator."""

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.auth.people import personal
from engine.auth.people.backups import holding
from engine.auth.people.forgetting import forget
from engine.auth.people.naming import Who, insist_on_person, who_is
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.dispatch import Dispatcher
from engine.errors import Refused

Person = Annotated[
    str, typer.Argument(metavar="NAME", help="An account's name, `local`, or issuer and subject in quotes.")
]
ELSEWHERE = "Backups and exports that lie elsewhere are not known here; they hold what they held."


def export_person(
    name: Person,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the files.")],
    as_json: AsJson = False,
) -> None:
    """Write everything that is held about somebody as files: sessions, account, grants, shares, entries."""
    with opened(settings_from()) as dispatcher:
        who = dispatcher.store.read(lambda tx: insist_on_person(who_is(tx, name)))
        written = personal.export(dispatcher, who, folder)
    if as_json:
        files = [str(file) for file in written.files]
        output.print_json(
            {"folder": str(folder), "files": files, "sessions": written.sessions, "entries": written.entries}
        )
        return
    said = f"{folder}: {len(written.files)} files, {written.sessions} sessions, {written.entries:,} entries elsewhere"
    output.stdout().print(Text(said), soft_wrap=True)


def delete_person(
    name: Person,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete somebody: their sessions with journals, what opens doors for them, and the row that names them."""
    settings = settings_from()
    with opened(settings) as dispatcher:
        who = dispatcher.store.read(lambda tx: insist_on_person(who_is(tx, name)))
        if not yes:
            _confirm(dispatcher, who, as_json=as_json)
        sessions = forget(dispatcher.store, dispatcher.registry, who)
        own = dispatcher.store.file
        backups = [str(file) for file in holding(settings.data_dir if own is None else own.parent, own, who)]
    if as_json:
        output.print_json({"deleted": who.called, "sessions": sessions, "backups": backups, "note": ELSEWHERE})
        return
    console = output.stdout()
    console.print(Text(output.safe(f"{who.called} is deleted, with {_sessions(sessions)}.")), soft_wrap=True)
    if backups:
        console.print(Text("These files still hold data of theirs:", "yellow"))
    for file in backups:
        console.print(Text(output.safe(f"  {file}")), soft_wrap=True)
    console.print(Text(ELSEWHERE, "dim"), soft_wrap=True)


def _confirm(dispatcher: Dispatcher, who: Who, *, as_json: bool) -> None:
    """Ask whether that is meant. Raises Refused where nobody can be asked, or who is asked says no."""
    if as_json:
        raise Refused("not_confirmed", "With --json nobody is asked.", hint="Add --yes.")
    owned = dispatcher.store.read(lambda tx: sum(role == "owner" for _, role in tx.sessions_of(who.id, None)))
    named = f"{who.called} ({who.name})" if who.name and who.name != who.called else who.called
    output.stdout().print(
        Text(output.safe(f"{named}: {_sessions(owned)} will be deleted for good, with their history.")), soft_wrap=True
    )
    if not typer.confirm("Delete them?"):
        raise Refused("not_confirmed", "Nothing was deleted.")


def _sessions(count: int) -> str:
    return f"{count} session{'s' * (count != 1)}"
