"""The composition root: settings in, a running server out."""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import anyio
import uvicorn
from mcp.server.stdio import stdio_server
from starlette.applications import Starlette

from engine.application import opened
from engine.auth.context import AuthContext
from engine.auth.people import invitations
from engine.auth.sweeping import sweep_access
from engine.auth.upstream.allowing import allowing_of
from engine.auth.upstream.providers import providers_of
from engine.background.sweeping import Task
from engine.dispatch import Dispatcher
from engine.errors import NotFound, Refused, Unauthenticated
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.connections import sweep
from engine.mcp_adapter.outgoing import Servers
from engine.mcp_adapter.pipes import answered, ending_on
from engine.mcp_adapter.server import PIPE, build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL
from engine.web.app import build_app
from engine.web.guarded import guarded_app
from engine.web.stopping import GRACE_SECONDS, STOP_SECONDS, GentleServer, gone_within
from engine.web.writing import OneWriteProtocol

logger = logging.getLogger(__name__)
COLLECT_EVERY = 10_000
"""Objects made and not let go after which Python looks for garbage; by default 700."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while others wait for it; by default 0.005."""


def build(settings: Settings, dispatcher: Dispatcher) -> Starlette:
    """The ASGI app of the settings. Raises Unauthenticated for settings under which nobody could be told apart."""
    check(settings)
    if settings.auth == "off":
        return build_app(dispatcher, settings.hosts)
    providers = providers_of(settings.providers)
    return guarded_app(
        dispatcher,
        settings.hosts,
        AuthContext(dispatcher.store, dispatcher.registry, settings.url),
        providers=providers,
        allowing=allowing_of(settings.allow, [provider.name for provider in providers]),
    )


def check(settings: Settings) -> None:
    """Insist that strangers can be told apart, and reach the server as its operator wants. Raises Unauthenticated."""
    if settings.is_loopback:
        return
    if settings.auth == "off":
        raise Unauthenticated(
            f"TURNKEEPER_HOST={settings.host} is not loopback, and TURNKEEPER_AUTH is off.",
            hint="Without authorization the server listens on 127.0.0.1 only.",
        )
    if not (settings.public_url or "").startswith("https://"):
        raise Unauthenticated(
            f"TURNKEEPER_HOST={settings.host} is not loopback, and TURNKEEPER_PUBLIC_URL is"
            f" {settings.public_url or 'not set'}.",
            hint="Set it to the https:// address under which people reach the server, through a proxy that does TLS.",
        )
    if not settings.allowed_hosts:
        raise Unauthenticated(
            f"TURNKEEPER_HOST={settings.host} is not loopback, and TURNKEEPER_ALLOWED_HOSTS is not set.",
            hint="Name the hosts under which the server may be reached, such as that of TURNKEEPER_PUBLIC_URL.",
        )


def serve(settings: Settings, announce: Callable[[Settings, Registry, str | None], None] | None = None) -> None:
    """Serve HTTP until the process is told to stop. Raises EngineError before it serves.

    `announce` is told the settings with the real port, the worlds, and where the first account is made while there
    is none, once clients can connect.
    """
    check(settings)
    with (
        _listening(settings) as listener,
        gone_within(STOP_SECONDS) as clock,
        opened(settings, work="serve", sweeping=_swept, tools=Servers(settings.servers)) as dispatcher,
    ):
        settings = settings.model_copy(update={"port": listener.getsockname()[1]})
        app = build(settings, dispatcher)
        if announce is not None:
            announce(settings, dispatcher.registry, first_link(settings, dispatcher))
        config = uvicorn.Config(
            app,
            http=OneWriteProtocol,
            log_config=None,
            access_log=False,
            proxy_headers=bool(settings.proxies),
            forwarded_allow_ips=settings.proxies,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        tune()

        def stop() -> None:
            clock()
            app.state.end_streams()

        GentleServer(config, stop).run(sockets=[listener])


def _swept(dispatcher: Dispatcher) -> dict[str, Task]:
    """What a server tidies up beside sessions."""
    return {
        "connections": lambda go_on: sweep(dispatcher),
        "access": lambda go_on: sweep_access(dispatcher.store, go_on),
    }


def first_link(settings: Settings, dispatcher: Dispatcher) -> str | None:
    """Where the first account is made, while authorization is on and there is none."""
    if settings.auth == "off":
        return None
    context = AuthContext(dispatcher.store, dispatcher.registry, settings.url)
    return context.store.write(lambda transaction: invitations.first(transaction, context))


def tune() -> None:
    """Set the interpreter up to serve (measured: docs/performance.md).

    What was loaded stays, so the collector need not look at it again; what a request leaves is little, so it need
    not look every few requests. And large work must not keep the interpreter from others for long.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY)
    sys.setswitchinterval(SWITCH_SECONDS)


def stdio(settings: Settings, world: str | None = None) -> None:
    """Serve MCP over this process's pipes as the local principal. Raises EngineError before it serves."""
    tools = Servers(settings.servers)
    with ending_on(signal.SIGTERM, signal.SIGINT), opened(settings, work="stdio", tools=tools) as dispatcher:
        if world is not None and dispatcher.registry.definition(world) is None:
            raise NotFound(f"There is no world {world!r}.", hint=f"There are: {', '.join(dispatcher.registry.worlds)}.")
        tune()
        anyio.run(_serve_pipes, dispatcher, Endpoint(world=world))


async def _serve_pipes(dispatcher: Dispatcher, endpoint: Endpoint) -> None:
    hub = Hub(dispatcher.registry, dispatcher.store)
    dispatcher.listeners.append(hub.tell)
    server = build_server(dispatcher, hub, endpoint, lambda context: LOCAL)
    async with (
        hub.running(),
        stdio_server() as (incoming, outgoing),
        answered(incoming, outgoing, hub.end) as (requests, answers),
    ):
        with hub.hearing(PIPE, LOCAL) as begin:
            begin()
            await server.run(requests, answers, server.create_initialization_options())


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
            listener.listen()  # At once, so that a second server fails here and not after it announced itself.
        except OSError as error:
            raise Refused(
                "address_in_use",
                f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}.",
                hint="Stop what listens there, or set another TURNKEEPER_PORT.",
            ) from error
        yield listener


if __name__ == "__main__":
    serve(Settings())
