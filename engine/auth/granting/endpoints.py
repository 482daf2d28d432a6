"""OAuth's endpoints over HTTP: /authorize for people's browsers, the rest for clients."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import to_thread
from authlib.oauth2.rfc6749 import InvalidClientError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from engine.auth.context import AuthContext
from engine.auth.granting import clients, documents, grants, metadata
from engine.auth.granting.asked import Asked
from engine.auth.granting.authority import Answer, Authority, ReadRequest
from engine.auth.granting.authorizing import Query, Wrong, answered, asked_of, told
from engine.auth.granting.clients import Client
from engine.auth.granting.documents import Fetcher
from engine.auth.granting.registration import register
from engine.auth.pages.asking import consent, problem, to_login
from engine.auth.people.browsers import Browser, browser_of, held_at, upstream_of
from engine.auth.reading import Unreadable, form_of, named_by, once, parameters
from engine.auth.scopes import known
from engine.errors import Refused
from engine.store.records import Transaction
from engine.types import Json, Principal

logger = logging.getLogger(__name__)

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "authorization, content-type, mcp-protocol-version",
    "Access-Control-Expose-Headers": "www-authenticate",
}
"""Clients in browsers say who they are by what they send, never by cookies, so any page may ask (RFC 6749, 4.1.3)."""


def routes(context: AuthContext, fetcher: Fetcher | None = None) -> list[BaseRoute]:
    """Every endpoint of the authorization server, and its metadata. `fetcher` gets clients' documents."""
    authority, fetcher = Authority(context), fetcher or Fetcher()

    async def authorize(request: Request) -> Response:
        try:
            query = parameters(request.url.query)
            principal = await to_thread.run_sync(_signed_in, context, request)
            if principal is None and _is_of_document(query):
                # For nobody else does this server fetch and keep what a stranger put anywhere.
                return to_login(context, request)
            client = await _client(authority, fetcher, query)
            asked = await to_thread.run_sync(asked_of, authority, client, query, principal)
            if asked is None:
                return to_login(context, request)
            return await _decided(authority, request, asked)
        except Unreadable as error:
            return problem(context, str(error))
        except Wrong as wrong:
            if wrong.redirect_uri is None:
                return problem(context, wrong.reason)
            return _back(told(authority, wrong))

    async def token(request: Request) -> Response:
        return await _for_client(request, lambda sent: _answer(authority.create_token_response(sent)), authority)

    async def revoke(request: Request) -> Response:
        return await _for_client(
            request, lambda sent: _answer(authority.create_endpoint_response("revocation", sent)), authority
        )

    async def introspect(request: Request) -> Response:
        return await _for_client(
            request, lambda sent: _answer(authority.create_endpoint_response("introspection", sent)), authority
        )

    async def registering(request: Request) -> Response:
        status, body = await register(context, request)
        return JSONResponse(body, status_code=status, headers=NO_STORE)

    for_clients = {"/token": token, "/revoke": revoke, "/introspect": introspect, "/register": registering}
    return [
        Route("/authorize", authorize, methods=["GET", "POST"]),
        *(Route(path, _open(handler), methods=["POST", "OPTIONS"]) for path, handler in for_clients.items()),
        *metadata.routes(context),
    ]


def _is_of_document(query: Query) -> bool:
    return any(map(documents.is_document, query.get("client_id", ())))


def _signed_in(context: AuthContext, request: Request) -> Principal | None:
    """Who is, if anybody."""
    person = browser_of(context, request).person_id
    return None if person is None else context.store.read(lambda tx: tx.principal(person))


async def _client(authority: Authority, fetcher: Fetcher, query: Query) -> Client:
    """The client that a request is of. Raises Wrong, for the person: nothing is known yet of where to tell it."""
    given = query.get("client_id", [])
    if len(given) != 1:
        raise Wrong("invalid_request", "The request names no client.")
    if documents.is_document(given[0]):
        found = await documents.client_at(authority.context, fetcher, given[0])
        if isinstance(found, str):
            raise Wrong("invalid_client", f"The client's document cannot be taken: {found}")
        return found
    stored = await to_thread.run_sync(authority.query_client, given[0])
    if stored is None:
        raise Wrong("invalid_client", "This client is not known here. Have it register again.")
    return stored


async def _decided(authority: Authority, request: Request, asked: Asked) -> Response:
    """A person's decision, or what they are asked before."""
    context = authority.context
    # Who is signed in is looked at when the form is there: who sends it may take their time.
    form = {} if request.method == "GET" else await form_of(request)
    browser = await to_thread.run_sync(browser_of, context, request)
    person = browser.person_id
    if person is None:
        return to_login(context, request)
    if request.method == "GET":
        is_new = await to_thread.run_sync(
            lambda: context.store.read(lambda tx: clients.is_new(tx, asked.client_id, person))
        )
        words = known(context.registry, asked.reach, asked.principal)
        scopes = {one: words[one] for one in asked.scopes}
        return await to_thread.run_sync(consent, context, request, browser, asked, scopes, is_new)
    if not browser.sent_form(next(iter(form.get("key", ())), None)):
        return problem(context, "This form is not of this browser, or is too old. Go back and try again.", 403)
    chosen = tuple(one for one in asked.scopes if one in form.get("scope", ()))
    if form.get("decision") != ["allow"] or not chosen:
        denied = Wrong("access_denied", "The person did not consent.", asked.redirect_uri, asked.state)
        return _back(told(authority, denied))
    try:
        code = await to_thread.run_sync(_granted, context, browser, asked, chosen)
    except Refused as refused:  # the client was removed while the person thought about it
        return problem(context, refused.reason)
    return to_login(context, request) if code is None else _back(answered(authority, asked, code))


def _granted(context: AuthContext, browser: Browser, asked: Asked, chosen: tuple[str, ...]) -> str | None:
    """The code for what a person consented to; None if they were signed out meanwhile."""

    def work(transaction: Transaction) -> str | None:
        person = held_at(transaction, browser)
        if person is None:
            return None
        upstream = upstream_of(transaction, browser.token)
        return grants.begin(transaction, context, asked, person, chosen, upstream)

    return context.store.write(work)


def _back(address: str) -> Response:
    """A browser on its way back to a client, with an answer that no cache keeps."""
    return RedirectResponse(address, status_code=303, headers=NO_STORE)


async def _for_client(request: Request, answer: Callable[[ReadRequest], Response], authority: Authority) -> Response:
    """What a client is answered that sends a form and says who it is."""
    try:
        form = await form_of(request)
        once(form, ("resource",))
    except Unreadable as error:
        return _refused("invalid_request", str(error))
    credentials = request.headers.getlist("authorization")
    if credentials and "client_secret" in form:
        return _refused("invalid_request", "The client says who it is in two ways.")
    if len(credentials) > 1:
        return _refused("invalid_request", "There is more than one Authorization header.")
    if credentials:
        # Who tries that way is held to it: nobody becomes a public client by credentials that are none.
        name = named_by(credentials[0])
        if name is None or form.pop("client_id", [name]) != [name]:
            wrong = InvalidClientError(status_code=401, description="The credentials are no HTTP Basic of one client.")
            return _answer(Answer(*wrong()))
    headers = {name.title(): value for name, value in request.headers.items()}
    return await to_thread.run_sync(answer, ReadRequest(authority.context, headers, form))


def _answer(found: Any) -> Response:
    return JSONResponse(found.json, status_code=found.status, headers={**dict(found.headers), **NO_STORE})


def _refused(error: str, reason: str, status: int = 400) -> Response:
    body: Json = {"error": error, "error_description": reason}
    return JSONResponse(body, status_code=status, headers=NO_STORE)


def _open(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler that pages of any origin may ask (Fetch standard, CORS)."""

    async def opened(request: Request) -> Response:
        response = Response(status_code=204) if request.method == "OPTIONS" else await handler(request)
        response.headers.update(_CORS)
        return response

    return opened
