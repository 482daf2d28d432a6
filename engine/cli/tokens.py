"""Commands about personal access tokens: token create, list and revoke. They act as the operator."""

import re
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.auth.people import scripting
from engine.auth.people.naming import LOCAL_NAME, Who, who_is, who_to_act_for
from engine.auth.people.scripting import Personal
from engine.auth.reach import Reach, resource_of
from engine.cli import output, reading
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments
from engine.store.access import TokenRow
from engine.store.records import Transaction
from engine.types import Json

NEVER, USUAL = "never", "90d"
UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

TokenName = Annotated[str, typer.Argument(metavar="NAME", help="What the token is called, to revoke it later.")]
For = Annotated[str, typer.Option("--for", metavar="PERSON", help="Whose: an account's name, or issuer and subject.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", help="A scope it has, such as cart:read; repeated for more. Else to read and act."),
]


def create_token(
    name: TokenName,
    scope: Scopes = None,
    expires: Annotated[
        str, typer.Option("--expires", metavar="WHEN", help="12h, 90d, 8w, a date such as 2027-01-31, or never.")
    ] = USUAL,
    world: Annotated[str | None, typer.Option("--world", metavar="W", help="Only for this world.")] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="H", help="Only for this session.")] = None,
    person: For = LOCAL_NAME,
    as_json: AsJson = False,
) -> None:
    """Make a token for a script. It is printed once, alone on standard output; only a hash of it is kept."""
    settings = settings_from()
    with opened(settings) as dispatcher:
        reach = _reach(dispatcher, world, session)
        worlds = [dispatcher.registry.worlds[reach.world]] if reach.world else dispatcher.registry.worlds.values()
        scopes = scripting.checked_scopes(scope or (), worlds)
        expires_at = expiry(expires, dispatcher.store.now())
        resource = resource_of(reach, settings.url)
        called = scripting.checked_name(name)

        def make(transaction: Transaction) -> tuple[str, Who]:
            who = who_to_act_for(transaction, person)
            wanted = Personal(name=called, who=who, scopes=scopes, resource=resource, expires_at=expires_at)
            return scripting.make(transaction, wanted), who

        token, who = dispatcher.store.write(make)
    until = None if expires_at is None else expires_at.isoformat(timespec="microseconds")
    if as_json:
        facts = {"name": called, "for": who.called, "scope": " ".join(scopes), "resource": resource}
        output.print_json({"token": token, **facts, "expires_at": until})
        return
    print(token)
    end = "never" if until is None else f"on {output.shown_time(until)}"
    said = f"For {who.called}, at {resource}, with {' '.join(scopes)}. It expires {end}. It is not shown again."
    output.stderr().print(Text(output.safe(said), "dim"), soft_wrap=True)


def list_tokens(
    person: Annotated[str | None, typer.Option("--for", metavar="PERSON", help="Only this person's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens that were made here: their names, whose they are, what they open. Not the tokens themselves."""
    with opened(settings_from()) as dispatcher:
        now = dispatcher.store.now().isoformat(timespec="microseconds")
        found = dispatcher.store.read(lambda tx: scripting.listed(tx, None if person is None else who_is(tx, person)))
    tokens = [_token_json(row, who, now) for row, who in found]
    if as_json:
        output.print_json({"tokens": tokens})
        return
    made = output.table("token", "for", "scope", "resource", "created", "expires", whole=("created", "expires"))
    for one in tokens:
        expires = "expired" if one["expired"] else output.shown_time(one["expires_at"]) or NEVER
        facts = (one["name"], one["for"], one["scope"], one["resource"], output.shown_time(one["created_at"]), expires)
        made.add_row(*(Text(output.safe(fact)) for fact in facts))
    output.stdout().print(made if tokens else Text("No tokens.", "dim"))


def revoke_token(name: TokenName, person: For = LOCAL_NAME, as_json: AsJson = False) -> None:
    """End a token, for good: within a second no server takes it any more."""
    with opened(settings_from()) as dispatcher:

        def work(transaction: Transaction) -> Who:
            who = who_is(transaction, person)
            scripting.revoke(transaction, name, who)
            return who

        who = dispatcher.store.write(work)
    if as_json:
        output.print_json({"revoked": name, "for": who.called})
    else:
        output.stdout().print(Text(output.safe(f"{name} of {who.called} is revoked.")), soft_wrap=True)


def expiry(text: str, now: datetime) -> datetime | None:
    """When `12h`, `90d`, `8w` or a date, whose day it begins with, is over. Raises InvalidArguments."""
    if text == NEVER:
        return None
    match = re.fullmatch(r"(\d{1,4})([hdw])", text)
    try:
        at = now + int(match[1]) * UNITS[match[2]] if match is not None else datetime.fromisoformat(text)
        at = at.replace(tzinfo=at.tzinfo or now.tzinfo).astimezone(now.tzinfo)
    except (ValueError, OverflowError):
        at = now
    if at <= now:
        raise InvalidArguments(
            f"--expires {text[:40]!r} is no time to come.", hint="Right are 12h, 90d, 8w, 2030-01-31 and never."
        )
    return at


def _reach(dispatcher: Dispatcher, world: str | None, session: str | None) -> Reach:
    """How far a token reaches; of a session its world, too. Raises InvalidArguments, NotFound, Refused."""
    if session is None:
        return Reach(None if world is None else reading.world_named(dispatcher.registry, world).name)
    record = reading.session_named(dispatcher, session)
    if world not in (None, record.world):
        raise InvalidArguments(f"{record.handle} is a session of {record.world}, not of {world}.")
    return Reach(reading.world_named(dispatcher.registry, record.world).name, record.handle)


def _token_json(row: TokenRow, who: Who, now: str) -> dict[str, Json]:
    return {
        "name": row.name,
        "for": who.called,
        "scope": row.scope,
        "resource": row.resource,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "expired": row.expires_at is not None and row.expires_at <= now,
    }
