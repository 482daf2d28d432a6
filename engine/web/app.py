"""The web application: MCP endpoints by path, who asks, and the health check."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio
from anyio import to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.asgi import PRINCIPAL
from engine.dispatch import Dispatcher
from engine.errors import StoreError
from engine.health import Health
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.connections import sweep
from engine.mcp_adapter.handing import Handing
from engine.mcp_adapter.http import McpEndpoint, checked_by, no_such_world, rebinding_protection
from engine.mcp_adapter.subscriptions import Hub
from engine.types import LOCAL, Principal
from engine.web.events import Events

logger = logging.getLogger(__name__)


class ActAs:
    """Middleware: every request is by one principal. For loopback, while authorization is off."""

    def __init__(self, app: ASGIApp, principal: Principal) -> None:
        self.app = app
        self.principal = principal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PRINCIPAL] = self.principal
        await self.app(scope, receive, send)


class FixedPaths:
    """Middleware: what is at these very paths is found at once; the router tries one route after the other."""

    def __init__(self, app: ASGIApp, endpoints: Mapping[str, ASGIApp]) -> None:
        self.app = app
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self.endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None:
            await self.app(scope, receive, send)
        else:
            await endpoint({**scope, "path_params": {}}, receive, send)


HEALTH_SECONDS = 5.0
"""How long the database may take to answer."""

AS_LOCAL = Middleware(ActAs, principal=LOCAL)


def build_app(
    dispatcher: Dispatcher,
    hosts: tuple[str, ...],
    identity: Middleware = AS_LOCAL,
    more: Iterable[BaseRoute] = (),
    beside: Iterable[AbstractAsyncContextManager[None]] = (),
) -> Starlette:
    """The ASGI app on a dispatcher. `hosts` are the names under which it may be reached (DNS rebinding).

    `identity` puts who asks into the scope of every request; `more` are routes beside ours, and `beside` what runs
    while the app does. `app.state.end_streams()` ends what would go on for ever, so that a server can stop.
    """
    hub = Hub(dispatcher.registry, dispatcher.store)
    dispatcher.listeners.append(hub.tell)
    security = rebinding_protection(hosts)
    handing = Handing(dispatcher)
    every = McpEndpoint(handing, hub, Endpoint(), security)
    by_world = {
        world: McpEndpoint(handing, hub, Endpoint(world=world), security) for world in dispatcher.registry.worlds
    }
    by_session = McpEndpoint(handing, hub, Endpoint(), security)
    events = Events(dispatcher, hub.feed, checked_by(security))

    health = Health(dispatcher.store, dispatcher.registry.worlds.values())

    async def healthz(request: Request) -> JSONResponse:
        problem: str | None = f"The database did not answer within {HEALTH_SECONDS:g} s."
        with anyio.move_on_after(HEALTH_SECONDS):
            problem = await to_thread.run_sync(health.problem, abandon_on_cancel=True)
        if problem is not None:
            return JSONResponse({"status": "failing", "reason": problem}, status_code=503)
        return JSONResponse({"status": "ok"})

    async def absent(request: Request) -> JSONResponse:
        return no_such_world(dispatcher.registry, request.scope[PRINCIPAL], request.path_params["world"])

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await to_thread.run_sync(sweep, dispatcher)
        async with AsyncExitStack() as stack:
            for endpoint in (every, *by_world.values(), by_session):
                await stack.enter_async_context(endpoint.running())
            await stack.enter_async_context(hub.running())
            for running in beside:
                await stack.enter_async_context(running)
            yield

    def end_streams() -> None:
        hub.end()
        events.end()
        for endpoint in (every, *by_world.values(), by_session):
            endpoint.end_streams()

    fixed = {"/mcp": every, **{f"/worlds/{world}/mcp": endpoint for world, endpoint in by_world.items()}}
    app = Starlette(
        routes=[
            *(Route(path, endpoint) for path, endpoint in fixed.items()),
            Route("/worlds/{world}/mcp", absent, methods=["GET", "POST", "DELETE"]),
            Route("/sessions/{session}/mcp", by_session),
            Route("/sessions/{session}/events", events),
            Route("/healthz", healthz),
            *more,
        ],
        middleware=[identity, Middleware(FixedPaths, endpoints=fixed)],
        exception_handlers={StoreError: _unavailable},
        lifespan=lifespan,
    )
    app.state.end_streams = end_streams
    return app


async def _unavailable(request: Request, error: Exception) -> PlainTextResponse:
    logger.error("%s could not be answered", request.url.path.split("/")[1], exc_info=error)
    said = "The database cannot be used now. Try again in a moment.\n"
    return PlainTextResponse(said, 503, {"Retry-After": "1", "Cache-Control": "no-store"})
