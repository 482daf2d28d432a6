"""Signing in elsewhere: to a provider and back (OpenID Connect Core 1.0, section 3.1; RFC 6749, section 4.1)."""

import json
import logging
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx2
from anyio import to_thread
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.base_client import MismatchingStateError
from sqlalchemy.dialects import postgresql, sqlite
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute

from engine.auth.context import AuthContext
from engine.auth.pages.forms import Rejected, route
from engine.auth.pages.login import own_path
from engine.auth.pages.rendering import page
from engine.auth.people.browsers import remember, sign_in
from engine.auth.reading import once, parameters
from engine.auth.upstream import begun
from engine.auth.upstream.allowing import Allowing
from engine.auth.upstream.begun import Begun, TooLong
from engine.auth.upstream.bounded import USUAL, Bounds, Misbehaved
from engine.auth.upstream.identities import Identity
from engine.auth.upstream.provider_app import ProviderApp
from engine.auth.upstream.providers import Kind, Provider
from engine.store.records import Transaction
from engine.store.tables import PersonRow

logger = logging.getLogger(__name__)

_KEPT = ("access_token", "refresh_token", "token_type", "scope", "expires_at")
"""What is kept of what a provider gives."""
_ERROR = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one provider and back. `secret` seals what the browser keeps meanwhile."""

    context: AuthContext
    app: ProviderApp
    allowing: Allowing
    secret: str

    @property
    def provider(self) -> Provider:
        """Where it leads."""
        return self.app.provider


def routes(
    context: AuthContext, providers: Sequence[Provider], allowing: Allowing, bounds: Bounds = USUAL
) -> list[BaseRoute]:
    """To each provider and back."""
    if not providers:
        return []
    secret = context.store.write(lambda transaction: transaction.secret("upstream"))
    ways = [Way(context, ProviderApp(provider, bounds), allowing, secret) for provider in providers]
    return [one for way in ways for one in _routes(way)]


def _routes(way: Way) -> list[BaseRoute]:
    async def there(request: Request) -> Response:
        return await _there(way, request)

    async def back(request: Request) -> Response:
        query = parameters(request.url.query)
        once(query)
        given = {name: values[0] for name, values in query.items()}
        now = await to_thread.run_sync(way.context.store.now)
        what = begun.found(way.context, request, given.get("state", ""), way.secret, now)
        if what is None:
            raise Rejected("This sign-in was begun in another browser, was finished before, or took too long.")
        try:
            response = await _back(way, request, what, given)
        except Rejected as rejected:
            response = page(way.context, "problem", rejected.status, reason=rejected.reason)
        begun.drop(way.context, response, what.state)
        return response

    return [
        route(way.context, way.provider.path, there, ("GET",)),
        route(way.context, f"{way.provider.path}/callback", back, ("GET",)),
    ]


async def _there(way: Way, request: Request) -> Response:
    """Send a browser to the provider, which sends it back. Raises Rejected."""
    onwards = own_path(request.query_params.get("next"))
    session: dict[str, Any] = {}
    request.scope["session"] = session  # where authlib notes nonce and PKCE verifier
    state, callback = secrets.token_urlsafe(32), f"{way.context.base}{way.provider.path}/callback"
    try:
        response = await way.app.authorize_redirect(request, callback, state=state)
        now = await to_thread.run_sync(way.context.store.now)
        begun.keep(way.context, request, response, begun.begun(now, state, session, onwards), way.secret)
    except Misbehaved as error:
        raise _failed(way, error) from error
    except TooLong:
        raise Rejected("What you came from is too long to come back to. Sign in first, and begin anew.", 400) from None
    response.headers["Cache-Control"] = "no-store"
    return response  # type: ignore[no-any-return]


async def _back(way: Way, request: Request, what: Begun, given: Mapping[str, str]) -> Response:
    """Sign in whom the provider sent back. Raises Rejected."""
    token, who = await _answered(way, request, what, given)
    if not way.allowing.allows(way.provider.name, who):
        raise Rejected(_not_let_in(way, who))
    kept = json.dumps({"provider": way.provider.name, **{name: token[name] for name in _KEPT if name in token}})
    store, context = way.context.store, way.context
    cookie = await to_thread.run_sync(lambda: store.write(lambda tx: _enter(tx, context, what, who, kept)))
    if cookie is None:
        raise Rejected("This sign-in was finished before. Begin anew.")
    response = RedirectResponse(context.base + what.onwards, status_code=303, headers={"Cache-Control": "no-store"})
    remember(context, response, cookie)
    return response


async def _answered(
    way: Way, request: Request, what: Begun, given: Mapping[str, str]
) -> tuple[Mapping[str, Any], Identity]:
    """What the provider gives for what the browser brought back, and about whom. Raises Rejected."""
    label = way.provider.label
    request.scope["session"] = dict(what.session)
    try:
        await _insist_on_issuer(way, given)
        if "error" in given:
            raise Rejected(_said_no(label, given["error"]))
        if "code" not in given:
            raise Misbehaved("sent you back without an answer")
        token = await way.app.authorize_access_token(request)
        return token, await way.app.identity(token)
    except Misbehaved as error:
        raise _failed(way, error) from error
    except MismatchingStateError:
        raise Rejected("This sign-in was begun at another provider. Begin anew.") from None
    except AuthlibBaseError as error:
        raise _failed(way, Misbehaved(f"did not take its own answer back ({_word(error.error)})")) from error
    except (httpx2.HTTPError, ValueError, TypeError, KeyError, RecursionError) as error:
        # authlib takes for granted that an answer has the form that it should
        raise _failed(way, Misbehaved("answered something that makes no sense")) from error


async def _insist_on_issuer(way: Way, given: Mapping[str, str]) -> None:
    """Insist that an answer is the provider's own, if it says whose it is (RFC 9207, section 2.4)."""
    if way.provider.kind is not Kind.OIDC:
        return
    await way.app.load_server_metadata()
    if given.get("iss", way.provider.issuer) != way.provider.issuer or ("iss" not in given and way.app.names_itself):
        raise Misbehaved("sent you back with an answer that is not its own")


def _enter(transaction: Transaction, context: AuthContext, what: Begun, who: Identity, kept: str) -> str | None:
    """Sign somebody in and give the cookie's token; None if this sign-in came to its end before."""
    if not begun.spend(transaction, what):
        return None
    return sign_in(transaction, person_of(transaction, who), context.lifetimes.browser, upstream=kept)


def person_of(transaction: Transaction, who: Identity) -> int:
    """The person that somebody at a provider is here, called as the provider calls them now."""
    insert = (sqlite if transaction.dialect == "sqlite" else postgresql).insert(PersonRow)
    said = {"name": who.name, "mail": who.mail}
    row = insert.values(issuer=who.issuer, subject=who.subject, **said)
    made = row.on_conflict_do_update(index_elements=["issuer", "subject"], set_=said).returning(PersonRow.id)
    return int(transaction.run(made).scalar_one())


def _said_no(label: str, error: str) -> str:
    if error == "access_denied":
        return f"{label} says that you did not agree. Begin anew, if you want to."
    return f"{label} could not sign you in ({_word(error)}). Try again later."


def _not_let_in(way: Way, who: Identity) -> str:
    provider = way.provider
    known = f"{provider.label} says who you are, {who.mail or who.name}, but nobody let you in here."
    if not way.allowing.lets_in_from(provider.name):
        known += f" Nobody from {provider.label} is let in so far."
    entry = f"{provider.name}:sub={who.subject}"
    return f"{known} Whoever runs this server can, by an entry in TURNKEEPER_ALLOW: {entry}"


def _failed(way: Way, error: Misbehaved) -> Rejected:
    logger.warning("signing in at %s failed: it %s", way.provider.name, error)
    return Rejected(f"{way.provider.label} {error}. Try again, or ask whoever runs this server.", 502)


def _word(error: object) -> str:
    """A provider's error code, if it is one: what else it may have sent is not for a page."""
    return error if isinstance(error, str) and _ERROR.fullmatch(error) else "without saying why"
