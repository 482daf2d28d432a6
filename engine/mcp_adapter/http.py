"""MCP over HTTP: one ASGI app for each endpoint, serving both protocol eras."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from anyio import to_thread
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import (
    RequestBodyLimitMiddleware,
    TransportSecurityMiddleware,
    TransportSecuritySettings,
)
from mcp.shared.inbound import decode_header_value
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from engine.asgi import LARGEST_BODY, PRINCIPAL, peeked
from engine.errors import EngineError
from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Catalog, Endpoint
from engine.mcp_adapter.connections import Connections
from engine.mcp_adapter.gating import insufficient, messages_of, missing, unreadable
from engine.mcp_adapter.handing import Handing
from engine.mcp_adapter.plain import PlainCall, PlainCalls
from engine.mcp_adapter.server import CALLER, Keeper, build_server, catalog_of_session, traced
from engine.mcp_adapter.subscriptions import Hub
from engine.registry import Registry
from engine.types import Principal

ROUTING = (b"mcp-protocol-version", b"mcp-method", b"mcp-name")
STREAMING = (b'"progressToken"', b"io.modelcontextprotocol/logLevel")
"""What a request body carries that may need a stream rather than one JSON answer."""


class McpEndpoint:
    """One endpoint as an ASGI app: 2026-07-28 by the SDK, earlier revisions by our own connections."""

    def __init__(self, handing: Handing, hub: Hub, endpoint: Endpoint, security: TransportSecuritySettings) -> None:
        dispatcher = handing.dispatcher
        self._dispatcher = dispatcher
        self._endpoint = endpoint
        self.catalog = Catalog(dispatcher.registry, endpoint)
        server = build_server(dispatcher, hub, endpoint, principal_of, Keeper(dispatcher, principal_of), handing)
        self._plain = PlainCalls(handing, self.catalog, security, server.server_info_stamp)
        self._traced = traced()
        self._json, self._stream = (
            StreamableHTTPSessionManager(
                server, json_response=json, security_settings=security, max_request_body_size=LARGEST_BODY
            )
            for json in (True, False)
        )
        self._legacy = Connections(server, dispatcher, hub, self.catalog, security)
        self._legacy_app = RequestBodyLimitMiddleware(self._legacy.handle, LARGEST_BODY)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            for part in (self._json.run(), self._stream.run(), self._legacy.running()):
                await stack.enter_async_context(part)
            yield

    def end_streams(self) -> None:
        """End the streams on which legacy connections wait for what concerns no request."""
        self._legacy.end_streams()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["headers"] = [
            (name, value.strip(b" \t") if name in ROUTING else value) for name, value in scope["headers"]
        ]
        headers = dict(scope["headers"])
        principal: Principal = scope[PRINCIPAL]
        world = self._endpoint.world
        if world is not None and not self.catalog.worlds[0].is_for(principal):
            await no_such_world(self.catalog.registry, principal, world)(scope, receive, send)
            return
        revision = headers.get(b"mcp-protocol-version")
        is_legacy = revision is None or revision.decode("latin-1") in HANDSHAKE_PROTOCOL_VERSIONS
        is_long = self._asks(headers, principal) or int(headers.get(b"content-length", b"-1")) not in range(_PEEK + 1)
        if not is_legacy and not is_long:
            body, receive = await peeked(receive)
            call = self._plain_call(scope, headers, body)
            if call is not None and principal.allows(call.scope):
                await self._plain.answer(call, principal, send)
                return
        if not principal.allows("*") and scope["method"] == "POST":
            body, receive = await peeked(receive)
            refusal = await self._refusal(principal, scope, body)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        CALLER.set(principal)
        if is_legacy:
            await self._legacy_app(scope, receive, send)
        else:
            streams = is_long or any(sign in body for sign in STREAMING)
            await (self._stream if streams else self._json).handle_request(scope, receive, send)

    def _plain_call(self, scope: Scope, headers: dict[bytes, bytes], body: bytes) -> PlainCall | None:
        """The plain call that a request is, where such are answered without the SDK."""
        if self._traced or "session" in scope["path_params"]:
            return None
        return self._plain.recognized(scope, headers, body)

    async def _refusal(self, principal: Principal, scope: Scope, body: bytes) -> JSONResponse | None:
        """The answer to a request that needs a scope which its token lacks and could have, or that cannot be read."""
        if len(body) > LARGEST_BODY:  # the request itself is refused for it
            return None
        catalog, dispatcher, session = self.catalog, self._dispatcher, scope["path_params"].get("session")
        messages = messages_of(body)
        if messages is None:
            return unreadable()
        if session is not None:
            try:
                catalog = await to_thread.run_sync(catalog_of_session, dispatcher, principal, session)
            except EngineError:  # the request itself is answered with it
                return None
        needed = await missing(dispatcher, catalog, principal, messages)
        return None if needed is None else insufficient(scope, needed)

    def _asks(self, headers: dict[bytes, bytes], principal: Principal) -> bool:
        """Whether the call may wait for a person, so that hanging up must end it."""
        name = decode_header_value(headers.get(b"mcp-name", b"").decode("latin-1"))
        return name in self.catalog.asking and name in self.catalog.seen_by(principal).asking


_PEEK = 256 * 1024
"""Bytes of a request body that are looked into before it is handed on; longer ones may stream."""


def principal_of(context: Context) -> Principal:
    """Who asks: over HTTP what authentication put into the scope, else the local principal."""
    found: Any = context.request.scope[PRINCIPAL] if context.request is not None else None
    principal: Principal = found
    return principal


def no_such_world(registry: Registry, principal: Principal, world: str) -> JSONResponse:
    """The answer of the endpoint of a world that is not there, or not for a principal."""
    names = ", ".join(name for name, found in registry.worlds.items() if found.is_for(principal))
    reason = f"There is no world {world!r}. There are: {names}."
    return JSONResponse({"error": "not_found", "reason": reason}, status_code=404)


def rebinding_protection(hosts: tuple[str, ...]) -> TransportSecuritySettings:
    """Take requests only under these host names, and from pages of these hosts (against DNS rebinding)."""
    return TransportSecuritySettings(
        allowed_hosts=[*hosts, *(f"{host}:*" for host in hosts)],
        allowed_origins=[f"http://{host}{port}" for host in hosts for port in ("", ":*")],
    )


Checked = Callable[[Request], Awaitable[Response | None]]
"""Gives the refusal of a request by its headers, or None."""


def checked_by(security: TransportSecuritySettings) -> Checked:
    """The check of host and origin that MCP endpoints make, for what is beside them."""
    return TransportSecurityMiddleware(security).validate_request
