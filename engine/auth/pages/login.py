"""Signing in and out, by name and password."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from engine.auth.context import AuthContext
from engine.auth.pages.forms import route, sent_by
from engine.auth.pages.rendering import page, style
from engine.auth.people import accounts, familiar
from engine.auth.people.accounts import Whence
from engine.auth.people.browsers import Browser, browser_of, remember, sign_in, sign_out
from engine.auth.upstream.providers import Provider
from engine.store.access import AccountRow
from engine.store.records import Transaction

HOME = "/account"
_OWN_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")
"""A path of this server: browsers take `//host` and `/\\host` for another."""


def own_path(given: str | None) -> str:
    """Where to go on: a path of this server, or the account's page for what is none."""
    return given if given is not None and len(given) <= 8000 and _OWN_PATH.fullmatch(given) else HOME


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
