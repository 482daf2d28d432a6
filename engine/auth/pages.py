"""The pages that people see: signing in, consenting, their account, and what links lead to. No script is needed."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode, urlsplit

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from engine.auth import accounts, familiar
from engine.auth.accounts import Whence
from engine.auth.asked import Asked
from engine.auth.browsers import Browser, browser_of, remember, sign_in, sign_out
from engine.auth.context import AuthContext
from engine.auth.forms import route, sent_by
from engine.auth.providers import Provider
from engine.auth.reach import Reach
from engine.auth.redirects import is_loopback
from engine.auth.rendering import page, style
from engine.store.access import AccountRow
from engine.store.records import Transaction

HOME = "/account"
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server: browsers take `//host` and `/\\host` for another."""


def own_path(given: str | None) -> str:
    """Where to go on: a path of this server, or the account's page for what is none."""
    return given if given is not None and len(given) <= 8000 and _OWN_PATH.fullmatch(given) else HOME


def problem(context: AuthContext, reason: str, status: int = 400) -> Response:
    """Tell a person why it does not go on."""
    return page(context, "problem", status, reason=reason)


def to_login(context: AuthContext, request: Request) -> Response:
    """Send a person to sign in, and then back to what they asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{context.base}/login?{urlencode({'next': asked})}", status_code=303)


def consent(
    context: AuthContext, request: Request, browser: Browser, asked: Asked, scopes: Mapping[str, str], is_new: bool
) -> Response:
    """Ask a person whether a client may."""
    person = context.store.read(lambda tx: tx.person_name(browser.person_id or 0))
    warnings = []
    if is_loopback(asked.redirect_uri):
        warnings.append(
            "The answer goes to a program on the machine where this page is open."
            " Go on only if you started it just now."
        )
    if is_new:
        warnings.append("You have never let this client in before. Go on only if you asked it to connect.")
    return page(
        context,
        "consent",
        sends_to=asked.redirect_uri,
        asked=asked,
        action=f"{context.base}/authorize?{request.url.query}",
        host=urlsplit(asked.redirect_uri).netloc or f"{urlsplit(asked.redirect_uri).scheme}:",
        key=browser.form_key,
        person=person,
        reach=in_words(context, asked.reach),
        scopes=scopes,
        warnings=warnings,
    )


def in_words(context: AuthContext, reach: Reach | None) -> str:
    """How far something reaches; None is what was granted under another public URL."""
    if reach is None:
        return "nowhere any more, since this server's address is another now"
    if reach.session is not None:
        return f"in the session {reach.session} alone"
    if reach.world is None:
        return "in all of your worlds and sessions"
    world = context.registry.definition(reach.world)
    return f"in {reach.world if world is None else world.title} and your sessions of it"


def routes(context: AuthContext, providers: Sequence[Provider] = ()) -> list[BaseRoute]:
    """Signing in and out, and the stylesheet."""

    async def login(request: Request) -> Response:
        onwards = own_path(request.query_params.get("next"))
        if request.method == "GET":
            browser = await to_thread.run_sync(browser_of, context, request)
            return _login(context, providers, browser, onwards)
        browser, form = await sent_by(context, request)
        given, origin = form.get("login", ""), whence(context, request)
        enter = partial(entered, context)
        found = await to_thread.run_sync(accounts.signed_in, context, given, form.get("password", ""), origin, enter)
        if isinstance(found, timedelta):
            wait = f"Too many attempts. Try again in {max(1, round(found.total_seconds()))} s."
            return _login(context, providers, browser, onwards, wait, 429, given)
        if found is None:
            return _login(context, providers, browser, onwards, "Name or password is wrong.", 401, given)
        return welcome(context, found, onwards)

    async def logout(request: Request) -> Response:
        browser, _ = await sent_by(context, request)
        await to_thread.run_sync(lambda: context.store.write(lambda tx: sign_out(tx, browser.token)))
        return RedirectResponse(f"{context.base}/login", status_code=303)

    async def stylesheet(request: Request) -> Response:
        return style()

    return [
        route(context, "/login", login, ("GET", "POST")),
        route(context, "/logout", logout),
        Route("/pages.css", stylesheet),
    ]


@dataclass(frozen=True, slots=True)
class Entry:
    """What a browser gets in which somebody signed in: the sign-in's token, and the mark that makes it familiar."""

    token: str
    mark: str


def entered(context: AuthContext, transaction: Transaction, person_id: int) -> Entry:
    """Sign somebody in who has an account."""
    token = sign_in(transaction, person_id, context.lifetimes.browser)
    return Entry(token, familiar.mark(transaction, transaction.db.get_one(AccountRow, person_id)))


def welcome(context: AuthContext, entry: Entry, onwards: str) -> Response:
    """Go on with a person signed in, under a cookie that nobody knew before."""
    response = RedirectResponse(context.base + onwards, status_code=303)
    remember(context, response, entry.token)
    familiar.remember(context, response, entry.mark)
    return response


def whence(context: AuthContext, request: Request) -> Whence:
    """Where an attempt to sign in comes from."""
    return Whence(request.client.host if request.client else "", familiar.mark_of(context, request))


def _login(
    context: AuthContext,
    providers: Sequence[Provider],
    browser: Browser,
    onwards: str,
    problem: str | None = None,
    status: int = 200,
    login: str = "",
) -> Response:
    response = page(
        context,
        "login",
        status,
        key=browser.form_key,
        next=onwards,
        problem=problem,
        login=login[:63],
        providers=providers,
    )
    if browser.fresh:
        remember(context, response, browser.token)
    return response
