"""The gate before the MCP endpoints: a request passes with a token that opens it, or is told where to get one.

As a protected resource it publishes metadata for each endpoint (RFC 9728), and
challenges as RFC 6750 says. Whether a session exists is never told apart here.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.asgi import CHALLENGE, PRINCIPAL, STILL, peeked
from engine.auth.bearers import Bearer, Bearers
from engine.auth.context import AuthContext
from engine.auth.reach import Reach, endpoint_of, reach_at
from engine.auth.scopes import published, worlds_for
from engine.errors import StoreError
from engine.looking import every
from engine.types import Principal

WELL_KNOWN = "/.well-known/oauth-protected-resource"
LOOK_EVERY = 0.5
"""Seconds between two looks at whether the tokens of open streams still open them."""

logger = logging.getLogger(__name__)
_TOKEN = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_ROUTED = re.compile(r"/(?:mcp|(?:worlds|sessions)/[^/]+/mcp|sessions/[^/]+/events)$")
"""What the router takes for an endpoint's path: more than can be one, and `$` lets a line end pass."""
_LONGEST = 512


class Gate:
    """Middleware that lets a request to an MCP endpoint, or a session's events, pass as the principal of its token."""

    def __init__(self, app: ASGIApp, context: AuthContext, bearers: Bearers, streams: "Streams") -> None:
        self.app = app
        self._context = context
        self._bearers = bearers
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        reach = reach_at(endpoint_of(path)) if scope["type"] == "http" else None
        if reach is not None:
            await self._guarded(reach, scope, receive, send)
        elif scope["type"] == "http" and _ROUTED.match(path) is not None:
            await _absent()(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _guarded(self, reach: Reach, scope: Scope, receive: Receive, send: Send) -> None:
        path = endpoint_of(scope["path"])
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        token = _bearer_token(given)
        try:
            bearer = None if token is None else await self._let_in(token, reach)
            if token is not None and bearer is not None:
                async with asyncio.timeout(self._context.lifetimes.body.total_seconds()):
                    _, receive = await peeked(receive)
                bearer = await self._let_in(token, reach)  # it may have been taken back while the body was awaited
        except StoreError:
            logger.exception("a token could not be looked at")
            await _unavailable()(scope, receive, send)
            return
        except TimeoutError:
            await _late()(scope, receive, send)
            return
        if token is None or bearer is None:
            await self._challenge(path, reach, given)(scope, receive, send)
            return
        scope[PRINCIPAL] = bearer.principal
        scope[STILL] = self._still(token, reach)
        scope[CHALLENGE] = self._metadata(path)
        await self._streams.watched(token, self.app, scope, receive, send)

    async def _let_in(self, token: str, reach: Reach) -> Bearer | None:
        """Who a token stands for, if it is for an endpoint."""
        bearer = await self._bearer(token)
        return bearer if bearer is not None and _opens(bearer.reach, reach) else None

    def _still(self, token: str, reach: Reach) -> Callable[[], Awaitable[Principal | None]]:
        async def still() -> Principal | None:
            bearer = await self._let_in(token, reach)
            return None if bearer is None else bearer.principal

        return still

    async def _bearer(self, token: str) -> Bearer | None:
        found = self._bearers.fresh(token)
        if found is None:
            found = (await to_thread.run_sync(self._bearers.verify, token),)
            self._bearers.learn(token, found[0])
        return found[0]

    def _challenge(self, path: str, reach: Reach, given: list[bytes]) -> JSONResponse:
        scopes = " ".join(published(self._context.registry, reach))
        parts = [f'resource_metadata="{self._metadata(path)}"', f'scope="{scopes}"']
        said = "Authorization is needed: get a token as resource_metadata says."
        if given:
            said = "The token is malformed, expired, revoked, or for another resource."
            parts = ['error="invalid_token"', f'error_description="{said}"', *parts]
        error = "invalid_token" if given else "unauthorized"
        return JSONResponse(
            {"error": error, "error_description": said},
            status_code=401,
            headers={"WWW-Authenticate": f"Bearer {', '.join(parts)}", "Cache-Control": "no-store"},
        )

    def _metadata(self, path: str) -> str:
        return metadata_url(self._context.base, path)


@dataclass(eq=False, slots=True)
class Open:
    """A stream that is open: the task that answers with it, the token that opened it, whether it was cut off."""

    task: "asyncio.Task[object]"
    token: str
    is_cut: bool = False

    def cut(self) -> None:
        """Cut it off."""
        self.is_cut = True
        self.task.cancel()


class Streams:
    """The responses that go on: each is cut off when the token that opened it ends."""

    def __init__(self, bearers: Bearers) -> None:
        self._bearers = bearers
        self._open: set[Open] = set()

    async def watched(self, token: str, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a request answered; a stream lasts as long as its token."""
        stream: Open | None = None
        ended = False

        async def noted(message: Message) -> None:
            nonlocal stream, ended
            if message["type"] == "http.response.start" and _is_stream(message["headers"]):
                stream = Open(task, token)
                self._open.add(stream)
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                ended = True
            await send(message)

        # A task rather than a scope to be cancelled: only streams are to pay for what only they need.
        task = cast("asyncio.Task[object]", asyncio.current_task())
        try:
            await app(scope, receive, noted)
        except asyncio.CancelledError:
            if stream is None or not stream.is_cut:
                raise
            task.uncancel()
        finally:
            if stream is not None:
                self._open.discard(stream)
        if stream is not None and not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look after the streams for as long as the block lasts."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(every, LOOK_EVERY, self._look)
            yield
            tasks.cancel_scope.cancel()

    async def _look(self) -> None:
        tokens = {stream.token for stream in self._open}
        over: Collection[str] = tokens  # what cannot be looked at is not believed
        try:
            over = await to_thread.run_sync(self._over, tokens) if tokens else frozenset()
        finally:
            for stream in self._open:
                if stream.token in over and not stream.is_cut:
                    stream.cut()

    def _over(self, tokens: Collection[str]) -> Collection[str]:
        return frozenset(token for token in tokens if self._bearers.verify(token) is None)


def routes(context: AuthContext) -> list[BaseRoute]:
    """The metadata of the server and of each endpoint as protected resources (RFC 9728, section 3).

    A world that is not for everybody has such as one that never was would: who asks is not known yet.
    """

    async def described(request: Request) -> JSONResponse:
        path = str(request.scope["path"]).removeprefix(WELL_KNOWN).rstrip("/")
        reach = reach_at(path or "/mcp")
        if reach is None:
            return _absent()
        found = _description(context, reach, context.base + path)
        return JSONResponse(found, headers={"Access-Control-Allow-Origin": "*"})

    return [Route(WELL_KNOWN, described), Route(WELL_KNOWN + "/{rest:path}", described)]


@lru_cache(1024)
def metadata_url(base: str, path: str) -> str:
    """Where an endpoint's metadata is: the well-known part comes before the path (RFC 9728, section 3.1)."""
    origin, slash, rest = base.partition("://")
    host, _, prefix = rest.partition("/")
    return f"{origin}{slash}{host}{WELL_KNOWN}{'/' + prefix if prefix else ''}{path}"


def _description(context: AuthContext, reach: Reach, resource: str) -> dict[str, object]:
    world = worlds_for(context.registry, None).get(reach.world or "")
    return {
        "resource": resource,
        "authorization_servers": [context.base],
        "scopes_supported": list(published(context.registry, reach)),
        "bearer_methods_supported": ["header"],
        "resource_name": "Turnkeeper" if world is None else world.title,
    }


def _opens(had: Reach, needed: Reach) -> bool:
    """Whether a token is for an endpoint: its own, or a session's of its world, which the dispatcher looks at."""
    return had.includes(needed) or (had.world is not None and needed.session is not None)


def _absent() -> JSONResponse:
    return JSONResponse({"error": "not_found", "reason": "There is no endpoint at this path."}, status_code=404)


def _bearer_token(given: list[bytes]) -> str | None:
    """The token of the one Authorization header that a request has, if it is a sound one (RFC 6750, section 2.1)."""
    if len(given) != 1 or len(given[0]) > _LONGEST:
        return None
    scheme, _, token = given[0].partition(b" ")
    token = token.strip(b" ")
    return token.decode() if scheme.lower() == b"bearer" and _TOKEN.fullmatch(token) else None


def _late() -> JSONResponse:
    said = "The request took too long to arrive. Send it again, all of it at once."
    headers = {"Connection": "close", "Cache-Control": "no-store"}
    return JSONResponse({"error": "request_timeout", "error_description": said}, 408, headers)


def _unavailable() -> JSONResponse:
    said = "Tokens cannot be looked at now: the database is away. Try again in a moment."
    headers = {"Retry-After": "1", "Cache-Control": "no-store"}
    return JSONResponse({"error": "temporarily_unavailable", "error_description": said}, 503, headers)


def _is_stream(headers: Iterator[tuple[bytes, bytes]]) -> bool:
    return any(name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in headers)
