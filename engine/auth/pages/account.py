"""A person's own page: the clients they let in, their password, signing out; and what links lead to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from sqlmodel import col, select
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from engine.auth.context import AuthContext
from engine.auth.granting import grants
from engine.auth.pages.asking import in_words, to_login
from engine.auth.pages.forms import Rejected, person_of, route, sent_by
from engine.auth.pages.login import HOME, Entry, entered, welcome, whence
from engine.auth.pages.rendering import page
from engine.auth.people import accounts, invitations, passwords
from engine.auth.people.accounts import Whence
from engine.auth.people.browsers import Browser, browser_of, remember, sign_out_everywhere
from engine.auth.people.invitations import Invitation, Purpose
from engine.auth.reach import stored_reach
from engine.auth.scopes import split
from engine.errors import Refused
from engine.store.access import AccountRow, ClientRow, GrantRow
from engine.store.records import Transaction

GONE = "This link was followed before, has expired, or never was. Ask whoever runs the server for another."


@dataclass(frozen=True, slots=True)
class Connected:
    """A client that a person let in, in words."""

    id: int
    name: str
    reach: str
    scopes: Sequence[str]
    host: str
    since: str
    used: str


def routes(context: AuthContext) -> list[BaseRoute]:
    """A person's own page, and what can be done there."""

    async def account(request: Request) -> Response:
        browser = await to_thread.run_sync(browser_of, context, request)
        if browser.person_id is None:
            return to_login(context, request)
        return await to_thread.run_sync(_account, context, browser, browser.person_id)

    async def revoke(request: Request) -> Response:
        _, person, _ = await person_of(context, request)
        grant = request.path_params["grant"]
        await to_thread.run_sync(lambda: context.store.write(lambda tx: _revoke(tx, person, grant)))
        return RedirectResponse(context.base + HOME, status_code=303)

    async def password(request: Request) -> Response:
        browser, person, form = await person_of(context, request)
        found = await to_thread.run_sync(_change_password, context, person, form, whence(context, request))
        if isinstance(found, str):
            return await to_thread.run_sync(_account, context, browser, person, found)
        return welcome(context, found, HOME)

    async def everywhere(request: Request) -> Response:
        _, person, _ = await person_of(context, request)
        await to_thread.run_sync(lambda: context.store.write(lambda tx: _sign_out(tx, person)))
        return RedirectResponse(f"{context.base}/login", status_code=303)

    async def invitation(request: Request) -> Response:
        token = request.path_params["token"]
        found = await to_thread.run_sync(lambda: context.store.read(lambda tx: invitations.find(tx, token)))
        if found is None:
            raise Rejected(GONE, 404)
        if request.method == "GET":
            browser = await to_thread.run_sync(browser_of, context, request)
            return _invitation(context, found, browser)
        browser, form = await sent_by(context, request)
        entry = await to_thread.run_sync(_follow, context, token, found, form)
        if isinstance(entry, str):
            return _invitation(context, found, browser, entry, form.get("login", ""))
        return welcome(context, entry, HOME)

    return [
        route(context, HOME, account, ("GET",)),
        route(context, HOME + "/clients/{grant:int}/revoke", revoke),
        route(context, HOME + "/password", password),
        route(context, HOME + "/sign-out-everywhere", everywhere),
        route(context, "/invitations/{token}", invitation, ("GET", "POST")),
    ]


def connected(transaction: Transaction, context: AuthContext, person_id: int) -> list[Connected]:
    """The clients that a person let in, the last used first."""
    wanted = (
        select(GrantRow, ClientRow)
        .join(ClientRow, col(ClientRow.id) == col(GrantRow.client_id))
        .where(GrantRow.person_id == person_id, col(GrantRow.ended_at).is_(None))
        .where(col(GrantRow.redirect_uri).is_not(None))
        .order_by(col(GrantRow.used_at).desc())
    )
    return [
        Connected(
            id=grant.id or 0,
            name=client.name,
            reach=in_words(context, stored_reach(grant.resource, context.base)),
            scopes=split(grant.scope),
            host=urlsplit(grant.redirect_uri or "").netloc,
            since=grant.created_at[:10],
            used=grant.used_at[:16].replace("T", " ") + " UTC",
        )
        for grant, client in transaction.db.exec(wanted)
    ]


def _account(context: AuthContext, browser: Browser, person_id: int, problem: str | None = None) -> Response:
    def work(transaction: Transaction) -> dict[str, Any]:
        return {
            "person": transaction.person_name(person_id),
            "grants": connected(transaction, context, person_id),
            "has_password": transaction.db.get(AccountRow, person_id) is not None,
        }

    status = 200 if problem is None else 400
    found = context.store.read(work)
    return page(
        context, "account", status, key=browser.form_key, said=None, problem=problem, least=passwords.LEAST, **found
    )


def _revoke(transaction: Transaction, person_id: int, grant_id: int) -> None:
    grant = transaction.db.get(GrantRow, grant_id) if grant_id < 2**31 else None
    if grant is not None and grant.person_id == person_id:
        grants.end(transaction, grant_id)


def _sign_out(transaction: Transaction, person_id: int) -> None:
    """Sign a person out of every browser and every client."""
    sign_out_everywhere(transaction, person_id)
    grants.end_all(transaction, person_id)


def _change_password(context: AuthContext, person_id: int, form: dict[str, str], origin: Whence) -> Entry | str:
    """Change a person's password and sign them in anew; or what is wrong."""
    login = context.store.read(lambda tx: _login(tx, person_id))
    if login is None:
        raise Rejected("You sign in elsewhere, and have no password here.")
    if (fault := passwords.fault(form.get("new", ""))) is not None:
        return fault
    kept = passwords.hashed(form["new"])

    def change(transaction: Transaction, person: int) -> Entry:
        accounts.change_password(transaction, person, kept)
        return entered(context, transaction, person)

    found = accounts.signed_in(context, login, form.get("password", ""), origin, change)
    if isinstance(found, Entry):
        return found
    return "The present password is wrong, or there were too many attempts of late."


def _login(transaction: Transaction, person_id: int) -> str | None:
    row = transaction.db.get(AccountRow, person_id)
    return None if row is None else row.login


def _follow(context: AuthContext, token: str, found: Invitation, form: dict[str, str]) -> Entry | str:
    """Do what a link is for, and sign in whose account it is; or what is wrong with what was sent. Raises Rejected."""
    if (fault := passwords.fault(form.get("password", ""))) is not None:
        return fault
    kept = passwords.hashed(form["password"])

    def work(transaction: Transaction) -> Entry:
        if invitations.redeem(transaction, token) is None:
            raise Rejected(GONE, 404)
        if found.purpose is Purpose.PASSWORD and found.person_id is not None:
            accounts.change_password(transaction, found.person_id, kept)
            return entered(context, transaction, found.person_id)
        login = found.login or form.get("login", "")
        takes_over = found.purpose is Purpose.FIRST and form.get("take_over") == "yes"
        person = accounts.create(transaction, login, kept, takes_over=takes_over)
        return entered(context, transaction, person)

    try:
        return context.store.write(work)
    except Refused as refused:
        return f"{refused.reason} {refused.hint or ''}".strip()


def _invitation(
    context: AuthContext, found: Invitation, browser: Browser, problem: str | None = None, login: str = ""
) -> Response:
    headings = {
        Purpose.FIRST: "Make the first account",
        Purpose.ACCOUNT: "Make your account",
        Purpose.PASSWORD: "Set a new password",
    }
    response = page(
        context,
        "invitation",
        200 if problem is None else 400,
        key=browser.form_key,
        heading=headings[found.purpose],
        button="Set it" if found.purpose is Purpose.PASSWORD else "Make it",
        asks_name=found.purpose is not Purpose.PASSWORD and found.login is None,
        is_first=found.purpose is Purpose.FIRST,
        login=login,
        least=passwords.LEAST,
        problem=problem,
    )
    if browser.fresh:
        remember(context, response, browser.token)
    return response
