"""Real servers for tests: processes on free loopback ports, stopped by the pid they were started with.

Run as a script it serves like `turnkeeper serve`, but takes who asks from the
header `x-person`: one process, many principals.
"""

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import uvicorn
from anyio.abc import SocketAttribute, SocketStream
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from engine.application import opened
from engine.asgi import PRINCIPAL
from engine.settings import Settings
from engine.types import LOCAL, Principal
from engine.web.app import build_app

ROOT = Path(__file__).parents[1]
MODERN, LEGACY = "2026-07-28", "legacy"
PERSON = "x-person"
SECONDS = 20.0
"""How long a test waits for what should take a moment."""

TLS = ssl.create_default_context()
"""Never used, and made once: making one for each client is most of what a request costs."""

SERVE = (sys.executable, "-m", "engine.cli", "serve")
PEOPLE = (sys.executable, "-m", "tests.serving")


@dataclass
class Served:
    """A running server process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        """Where it answers, without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    def logged(self) -> str:
        """What it wrote to stdout and stderr so far."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(SECONDS)

    def stop(self) -> int:
        """End it as an operator would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def environment(folder: Path, worlds: Path | None = None, **settings: str) -> dict[str, str]:
    """This process's environment with exactly these settings of Turnkeeper."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("TURNKEEPER_")}
    found = {"TURNKEEPER_AUTH": "off", "TURNKEEPER_DATA_DIR": str(folder), **settings}
    return {**plain, **found, **({"TURNKEEPER_WORLDS_PATH": str(worlds)} if worlds else {})}


def start(
    folder: Path,
    worlds: Path | None = None,
    *,
    port: int | None = None,
    command: tuple[str, ...] = SERVE,
    auth: str = "off",
    **settings: str,
) -> Served:
    """Start a server on a data directory and wait until it answers."""
    folder.mkdir(parents=True, exist_ok=True)
    port, log = port or free_port(), folder / "server.log"
    variables = environment(folder, worlds, TURNKEEPER_PORT=str(port), TURNKEEPER_AUTH=auth, **settings)
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=output, stderr=output)
    served = Served(process, port, log)
    _await_health(served)
    return served


@contextmanager
def serving(
    folder: Path,
    worlds: Path | None = None,
    *,
    port: int | None = None,
    command: tuple[str, ...] = SERVE,
    auth: str = "off",
    **settings: str,
) -> Iterator[Served]:
    """A server for as long as the block lasts, with further settings by their variables."""
    served = start(folder, worlds, port=port, command=command, auth=auth, **settings)
    try:
        yield served
    finally:
        served.stop()


def _await_health(served: Served) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if served.process.poll() is not None:
            raise AssertionError(f"the server ended with {served.process.returncode}:\n{served.logged()}")
        try:
            if httpx2.get(f"{served.url}/healthz", verify=TLS).status_code == 200:
                return
        except httpx2.TransportError:
            time.sleep(0.02)
    served.kill()
    raise AssertionError(f"the server did not answer in {SECONDS} s:\n{served.logged()}")


@asynccontextmanager
async def connected(
    served: Served,
    path: str = "/mcp",
    *,
    mode: str = "auto",
    person: str | None = None,
    watch: Callable[[httpx2.Request], Awaitable[None]] | None = None,
    **options: Any,
) -> AsyncIterator[Client]:
    """An SDK client of a server, as somebody; `watch` sees each of its HTTP requests."""
    headers = {PERSON: person} if person is not None else {}
    timeout = httpx2.Timeout(SECONDS, read=60.0)
    hooks: Any = {"request": [watch]} if watch is not None else {}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, verify=TLS, event_hooks=hooks) as http,
        Client(
            streamable_http_client(f"{served.url}{path}", http_client=http),
            mode=mode,
            read_timeout_seconds=SECONDS,
            **options,
        ) as client,
    ):
        yield client


def pipes(folder: Path, worlds: Path | None = None, *, world: str | None = None) -> StdioServerParameters:
    """How a client starts Turnkeeper on pipes."""
    wanted = ["--world", world] if world is not None else []
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "engine.cli", "stdio", *wanted],
        env=environment(folder, worlds),
        cwd=ROOT,
    )


def post(
    served: Served,
    path: str,
    method: str,
    params: dict[str, Any] | None = None,
    *,
    person: str | None = None,
    capabilities: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> httpx2.Response:
    """One request of the 2026-07-28 wire as it is, past any client."""
    given = dict(params or {})
    given["_meta"] = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": capabilities or {},
        **given.get("_meta", {}),
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
    return httpx2.post(
        f"{served.url}{path}",
        json=body,
        headers={**raw_headers(method, given), **({PERSON: person} if person else {}), **(headers or {})},
        timeout=SECONDS,
        verify=TLS,
    )


def raw_headers(method: str, params: dict[str, Any] | None = None) -> dict[str, str]:
    """The headers of the 2026-07-28 wire."""
    named = next((params[key] for key in ("name", "uri") if key in params), None) if params else None
    return {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": MODERN,
        "mcp-method": method,
        **({"mcp-name": str(named)} if named is not None else {}),
    }


@asynccontextmanager
async def relayed(served: Served) -> AsyncIterator[Served]:
    """The server behind a relay, as behind a proxy: while it is away, who calls waits."""

    async def relay(caller: SocketStream) -> None:
        async with caller, await _reached(served.port) as server, anyio.create_task_group() as tasks:
            tasks.start_soon(_pump, caller, server, tasks.cancel_scope)
            tasks.start_soon(_pump, server, caller, tasks.cancel_scope)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port: int = listener.extra(SocketAttribute.local_port)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, relay)
        yield Served(served.process, port, served.log)
        tasks.cancel_scope.cancel()


async def _reached(port: int) -> SocketStream:
    with anyio.fail_after(SECONDS):
        while True:
            try:
                return await anyio.connect_tcp("127.0.0.1", port)
            except OSError:
                await anyio.sleep(0.02)


async def _pump(source: SocketStream, target: SocketStream, scope: anyio.CancelScope) -> None:
    try:
        async for chunk in source:
            await target.send(chunk)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        pass
    scope.cancel()


async def until(found: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so, for `SECONDS` at most."""
    with anyio.fail_after(SECONDS):
        while not await found():
            await anyio.sleep(0.02)


class ByHeader:
    """Middleware: every request is by the person whom its header names, else by the local one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        named = dict(scope.get("headers", ())).get(PERSON.encode(), b"").decode()
        scope[PRINCIPAL] = Principal(issuer="tests", subject=named, name=named) if named else LOCAL
        await self.app(scope, receive, send)


def main() -> None:
    """Serve, telling people apart by their header."""
    settings = Settings()
    with opened(settings) as dispatcher:
        app = build_app(dispatcher, (settings.host, "localhost"), Middleware(ByHeader))
        uvicorn.run(app, host=settings.host, port=settings.port, timeout_graceful_shutdown=5)


if __name__ == "__main__":
    main()
