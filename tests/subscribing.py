"""Clients that subscribed, in both eras, and readers of a session's events: what the tests of the feed listen with."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx2
import mcp_types as t
from mcp.client import Client
from mcp.shared.subscriptions import ResourceUpdated

from tests.serving import MODERN, PERSON, SECONDS, TLS, Served, connected, raw_headers

Hear = Callable[[], Awaitable[str]]
BOTH = ("auto", "legacy")
QUIET = 1.2
"""Seconds without a word after which a test believes that nothing is said: longer than any look is away."""


@asynccontextmanager
async def hearing(
    served: Served, mode: str, person: str | None, *uris: str, path: str = "/mcp"
) -> AsyncIterator[tuple[Client, Hear]]:
    """A client subscribed to URIs, and what waits for the next one it hears of."""
    sender, receiver = anyio.create_memory_object_stream[str](10_000)

    async def note(message: Any) -> None:
        if isinstance(message, t.ResourceUpdatedNotification):
            await sender.send(str(message.params.uri))

    async def hear() -> str:
        with anyio.fail_after(SECONDS):
            return await receiver.receive()

    with sender, receiver:
        async with connected(served, path, mode=mode, person=person, message_handler=note) as client:
            if mode == "legacy":
                for uri in uris:
                    await client.subscribe_resource(uri)
                yield client, hear
                return
            async with client.listen(resource_subscriptions=uris) as events:

                async def next_event() -> str:
                    with anyio.fail_after(SECONDS):
                        event = await anext(events)
                    assert isinstance(event, ResourceUpdated)
                    return str(event.uri)

                yield client, next_event


@asynccontextmanager
async def unread(served: Served, person: str, uri: str) -> AsyncIterator[Hear]:
    """A listen stream of the 2026-07-28 wire that nobody reads until asked for the first URI."""
    params = {
        "notifications": {"resourceSubscriptions": [uri]},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        },
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    headers = {**raw_headers("subscriptions/listen"), PERSON: person}
    async with (
        httpx2.AsyncClient(timeout=httpx2.Timeout(SECONDS, read=60.0), verify=TLS) as http,
        http.stream("POST", f"{served.url}/mcp", json=body, headers=headers) as response,
    ):
        lines = response.aiter_lines()
        while "acknowledged" not in await anext(lines):
            pass
        sender, receiver = anyio.create_memory_object_stream[str](10_000)

        async def read() -> None:
            async for line in lines:
                if line.startswith("data: {"):
                    sender.send_nowait(str(json.loads(line.removeprefix("data: "))["params"]["uri"]))

        with sender, receiver:
            async with anyio.create_task_group() as tasks:

                async def hear() -> str:
                    if not reading:
                        reading.append(True)
                        tasks.start_soon(read)
                    with anyio.fail_after(SECONDS):
                        return await receiver.receive()

                reading: list[bool] = []
                yield hear
                tasks.cancel_scope.cancel()


async def heard_all(hear: Hear, *uris: str) -> None:
    """Wait until each of the URIs was heard of, and of nothing else."""
    missing = set(uris)
    while missing:
        uri = await hear()
        assert uri in uris, uri
        missing.discard(uri)


async def is_quiet(hear: Hear) -> bool:
    """Whether nothing is heard for longer than any look is away."""
    with anyio.move_on_after(QUIET) as waited:
        await hear()
    return waited.cancelled_caught


@asynccontextmanager
async def events_of(
    served: Served, handle: str, *, person: str | None = None, **headers: str
) -> AsyncIterator[Callable[[], Awaitable[tuple[int, dict[str, Any]] | None]]]:
    """What waits for a session's next event, as (revision, entry); None at the stream's end."""
    sent = {**({PERSON: person} if person else {}), **headers}
    async with (
        httpx2.AsyncClient(timeout=httpx2.Timeout(SECONDS, read=60.0), verify=TLS) as http,
        http.stream("GET", f"{served.url}/sessions/{handle}/events", headers=sent) as response,
    ):
        assert response.status_code == 200, response.status_code
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        assert (await anext(lines)).startswith(":")

        async def heard() -> tuple[int, dict[str, Any]] | None:
            found: dict[str, str] = {}
            with anyio.fail_after(SECONDS):
                async for line in lines:
                    name, _, value = line.partition(": ")
                    if line and name:
                        found[name] = value
                    elif not line and "data" in found:
                        return int(found.get("id", -1)), json.loads(found["data"])
            return None

        yield heard
