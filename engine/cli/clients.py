"""Commands about OAuth clients: client add, list, remove and secret. They act as the operator."""

import json
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.auth.granting import registered
from engine.auth.granting.registered import Registration
from engine.auth.people import scripting
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.store.access import ClientRow
from engine.types import Json

ClientId = Annotated[str, typer.Argument(metavar="ID", help="The client's id, as `client list` has it.")]


def add_client(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What people are told it is, when they consent.")],
    redirect_uri: Annotated[
        list[str] | None,
        typer.Option("--redirect-uri", metavar="URI", help="Where it takes codes; exactly so. Repeated for more."),
    ] = None,
    secret: Annotated[bool, typer.Option("--secret", help="Give it a secret: for one that can keep it.")] = False,
    credentials: Annotated[
        bool, typer.Option("--credentials", help="Let it act without a person, as a service account of its own.")
    ] = False,
    scope: Annotated[
        list[str] | None, typer.Option("--scope", help="A scope it may ask for; repeated for more. Else any.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register a client beforehand. A secret is printed once; only a hash of it is kept."""
    with opened(settings_from()) as dispatcher:
        wanted = Registration(
            name=scripting.checked_name(name),
            redirect_uris=tuple(redirect_uri or ()),
            secret=secret,
            credentials=credentials,
            scopes=scripting.checked_scopes(scope, dispatcher.registry.worlds.values()) if scope else None,
        )
        row, made = dispatcher.store.write(lambda tx: registered.register(tx, wanted))
    if as_json:
        output.print_json({**_client_json(row, 0), "client_secret": made})
        return
    console = output.stdout()
    console.print(Text(f"client_id      {row.id}"), soft_wrap=True)
    if made is not None:
        console.print(Text(f"client_secret  {made}"), soft_wrap=True)
        console.print(Text("The secret is not shown again.", "dim"))
    if wanted.credentials:
        console.print(Text(f"It acts as '{registered.ISSUER} {row.id}' where no person does.", "dim"), soft_wrap=True)


def list_clients(as_json: AsJson = False) -> None:
    """List every client: those registered here, those that registered themselves, and those known by a URL."""
    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(registered.listed)
    clients = [_client_json(row, grants) for row, grants in found]
    if as_json:
        output.print_json({"clients": clients})
        return
    made = output.table(
        "client", "name", "kind", "redirect URIs", "may", "grants", "created", whole=("client", "created")
    )
    for one in clients:
        may = ", ".join(one["grant_types"]) + (" (secret)" if one["confidential"] else "")
        facts = (one["client_id"], one["name"], one["kind"], " ".join(one["redirect_uris"]), may, str(one["grants"]))
        made.add_row(*(Text(output.safe(fact)) for fact in (*facts, output.shown_time(one["created_at"]))))
    output.stdout().print(made if clients else Text("No clients.", "dim"))


def remove_client(client_id: ClientId, as_json: AsJson = False) -> None:
    """Remove a client, with all that people granted to it: within a second nothing of it opens a door any more."""
    with opened(settings_from()) as dispatcher:
        row = dispatcher.store.write(lambda tx: registered.remove(tx, client_id))
    service = None if row.service_id is None else f"{registered.ISSUER} {row.id}"
    if as_json:
        output.print_json({"removed": row.id, "name": row.name, "service_account": service})
        return
    console = output.stdout()
    console.print(Text(output.safe(f"{row.name} ({row.id}) is removed.")), soft_wrap=True)
    if service is not None:
        said = f"Its service account's sessions stay; `turnkeeper user delete '{service}'` deletes them."
        console.print(Text(said, "yellow"), soft_wrap=True)


def renew_secret(client_id: ClientId, as_json: AsJson = False) -> None:
    """Give a client another secret, printed once; the one before is no longer taken."""
    with opened(settings_from()) as dispatcher:
        secret = dispatcher.store.write(lambda tx: registered.new_secret(tx, client_id))
    if as_json:
        output.print_json({"client_id": client_id, "client_secret": secret})
        return
    print(secret)
    output.stderr().print(Text("It is not shown again.", "dim"))


def _client_json(row: ClientRow, grants: int) -> dict[str, Json]:
    return {
        "client_id": row.id,
        "name": row.name,
        "kind": row.kind,
        "confidential": row.secret is not None,
        "redirect_uris": json.loads(row.redirect_uris),
        "grant_types": json.loads(row.grant_types),
        "scope": row.scope,
        "acts_as": None if row.service_id is None else f"{registered.ISSUER} {row.id}",
        "grants": grants,
        "created_at": row.created_at,
        "used_at": row.used_at,
    }
