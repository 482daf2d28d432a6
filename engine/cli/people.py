"""Commands about local accounts: user add, list, link, password and remove. They act as the operator."""

import sys
from typing import Annotated

import typer
from rich.text import Text

from engine.application import opened
from engine.auth.context import AuthContext
from engine.auth.people import accounts, invitations, passwords
from engine.auth.people.invitations import Purpose
from engine.cli import output
from engine.cli.inspect import AsJson
from engine.cli.reporting import settings_from
from engine.dispatch import Dispatcher
from engine.errors import NotFound, Refused
from engine.settings import Settings
from engine.store.access import AccountRow
from engine.store.records import Transaction

Login = Annotated[str, typer.Argument(metavar="NAME", help="What the person signs in as.")]


def add_account(
    name: Login,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Go on with the sessions of the terminal and of `stdio`.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account; its password is asked for, or read from standard input."""
    login = accounts.login_of(name)
    kept = _password()
    with opened(settings_from()) as dispatcher:
        dispatcher.store.write(lambda tx: accounts.create(tx, login, kept, takes_over=take_over))
    _say(f"{login} can sign in.", {"account": login}, as_json=as_json)


def list_accounts(as_json: AsJson = False) -> None:
    """List every account."""
    with opened(settings_from()) as dispatcher:
        found = dispatcher.store.read(accounts.all_of)
    if as_json:
        output.print_json({"accounts": [{"account": one.login, "created_at": one.created_at} for one in found]})
        return
    if not found:
        output.stdout().print("There is no account. `serve` prints where the first one is made.")
        return
    made = output.table("account", "since", whole=("account",))
    for one in found:
        made.add_row(Text(one.login), Text(one.created_at[:10]))
    output.stdout().print(made)


def link_account(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="How the new account is to be called; else they choose.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print a link with which somebody makes their account, once, within a day."""
    settings = settings_from()
    login = None if name is None else accounts.login_of(name)
    with opened(settings) as dispatcher:
        context = _context(settings, dispatcher)
        link = dispatcher.store.write(lambda tx: _new_link(tx, context, login))
    _say(link, {"link": link}, as_json=as_json)


def reset_password(
    name: Login,
    ask: Annotated[bool, typer.Option("--ask", help="Ask for the new one here, instead of printing a link.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a link with which somebody sets a new password; or set one. Then they are signed out everywhere."""
    settings = settings_from()
    kept = _password() if ask else None
    with opened(settings) as dispatcher:
        context = _context(settings, dispatcher)
        link = dispatcher.store.write(lambda tx: _reset(tx, context, name, kept))
    _say(link or f"{name} has a new password.", {"account": name, "link": link}, as_json=as_json)


def remove_account(name: Login, as_json: AsJson = False) -> None:
    """Remove an account: nobody signs in with it any more. Sessions stay; `user delete` removes those, too."""
    with opened(settings_from()) as dispatcher:
        dispatcher.store.write(lambda tx: accounts.remove(tx, _account(tx, name).login))
    _say(f"{name} can sign in no more.", {"account": name}, as_json=as_json)


def _account(transaction: Transaction, name: str) -> AccountRow:
    found = accounts.find(transaction, name)
    if found is None:
        raise NotFound(f"There is no account {name[:63]!r}.", hint="`user list` names them.")
    return found


def _new_link(transaction: Transaction, context: AuthContext, login: str | None) -> str:
    if login is not None and accounts.find(transaction, login) is not None:
        raise Refused(
            "name_taken", f"There is an account {login!r} already.", hint="`user password` makes a link to it."
        )
    return invitations.make(transaction, context, Purpose.ACCOUNT, login=login)


def _reset(transaction: Transaction, context: AuthContext, name: str, kept: str | None) -> str | None:
    person = _account(transaction, name).person_id
    if kept is None:
        return invitations.make(transaction, context, Purpose.PASSWORD, person_id=person)
    accounts.change_password(transaction, person, kept)
    return None


def _password() -> str:
    """A hash of the password that is typed twice, or piped once. Raises Refused."""
    if sys.stdin.isatty():
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    if (fault := passwords.fault(given)) is not None:
        raise Refused("unusable_password", fault, hint="Several words are easy to remember and hard to guess.")
    return passwords.hashed(given)


def _context(settings: Settings, dispatcher: Dispatcher) -> AuthContext:
    return AuthContext(dispatcher.store, dispatcher.registry, settings.url)


def _say(text: str, value: dict[str, str | None], *, as_json: bool) -> None:
    if as_json:
        output.print_json(value)
    else:
        output.stdout().print(Text(output.safe(text)), soft_wrap=True)
