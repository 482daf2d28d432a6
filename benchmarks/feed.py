"""How soon subscribers hear: two servers on one database, a stream for each of many sessions, changes at a steady rate.

`python -m benchmarks.feed` prints it for SQLite, then for PostgreSQL. Each
stream is a connection of its own, as HTTP/1.1 has it, half of them at each server.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httptools
import uvloop

from benchmarks import machine
from benchmarks.peers import ROOT, Peer, free_port, running
from benchmarks.rounds import BenchFailed
from engine.types import Json
from tests.postgres import postgres

REVISION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": REVISION,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
CALLERS = 16
"""Connections that change things, at each server."""
WAIT = 20.0
"""Seconds after which a notification that did not come is lost."""
IDLE = 5.0
"""Seconds for which CPU is looked at while nothing happens."""


@dataclass(slots=True)
class Change:
    """A change under way: its session's number, and whether its subscriber is at the same server."""

    number: int
    same: bool
    sent: float = 0.0
    replied: float | None = None
    heard: float | None = None


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection that sends a request and takes its response."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def send(self, port: int, method: str, name: str | None, params: dict[str, Json]) -> None:
        """Send one MCP request."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": META}}).encode()
        named = "" if name is None else f"Mcp-Name: {name}\r\n"
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: application/json, text/event-stream\r\n"
            f"Content-Type: application/json\r\nMCP-Protocol-Version: {REVISION}\r\nMcp-Method: {method}\r\n{named}"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        assert self._transport is not None
        self._transport.write(head.encode() + body)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()


class Subscriber(Connection):
    """A listen stream on one session."""

    def __init__(self, heard: Callable[[float], None]) -> None:
        super().__init__()
        self.ready = asyncio.Event()
        self._heard = heard

    def on_body(self, body: bytes) -> None:
        if b"notifications/resources/updated" in body:
            self._heard(time.perf_counter())
        elif b"acknowledged" in body:
            self.ready.set()


class Caller(Connection):
    """A connection with one call under way at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._body = b""
        self._done: asyncio.Future[Json] | None = None

    async def call(self, port: int, tool: str, arguments: dict[str, Json]) -> Json:
        """A tool's structured answer."""
        self._done = asyncio.get_running_loop().create_future()
        self.send(port, "tools/call", tool, {"name": tool, "arguments": arguments})
        return await self._done

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        assert self._done is not None
        answer = json.loads(self._body)
        if "result" not in answer or answer["result"].get("isError"):
            self._done.set_exception(BenchFailed(f"a call was answered {str(answer)[:300]}"))
        else:
            self._done.set_result(answer["result"]["structuredContent"])


class Run:
    """One run on two servers."""

    def __init__(self, peers: tuple[Peer, Peer], sessions: int, rate: int, seconds: float) -> None:
        self._peers = peers
        self._sessions = sessions
        self._rate = rate
        self._seconds = seconds
        self._idle: tuple[deque[Caller], deque[Caller]] = (deque(), deque())
        self._pending: dict[int, Change] = {}
        self._changes: list[Change] = []
        self._late = 0

    async def measured(self) -> list[str]:
        """Subscribe, change, and say how soon it was heard, as lines to print."""
        await asyncio.sleep(IDLE)  # until both have started for good
        alone = await self._cpu_of_nothing()
        await self._connect(1)
        handles = [await self._started(number) for number in range(self._sessions)]
        streams = [await self._subscribed(number, handle) for number, handle in enumerate(handles)]
        quiet = await self._cpu_of_nothing()
        await self._connect(CALLERS)  # anew: a server ends connections that are idle for long
        cpu, began = self._cpu(), time.perf_counter()
        await self._change(handles)
        took = time.perf_counter() - began
        busy = [(after - before) / took for before, after in zip(cpu, self._cpu(), strict=True)]
        await self._all_heard()
        for stream in streams:
            stream.close()
        return [*self._told(took), _cpu_line(alone, quiet, busy)]

    async def _connect(self, callers: int) -> None:
        for peer, idle in zip(self._peers, self._idle, strict=True):
            idle.clear()
            idle.extend([await self._connected(peer, Caller()) for _ in range(callers)])

    async def _connected(self, peer: Peer, protocol: "Connection") -> "Caller":
        await asyncio.get_running_loop().create_connection(lambda: protocol, "127.0.0.1", peer.port)
        return cast(Caller, protocol)

    async def _started(self, number: int) -> str:
        idle = self._idle[number % 2]
        answer = await idle[0].call(self._peers[number % 2].port, "start_session", {"world": "counter"})
        return str(answer["session"])

    async def _subscribed(self, number: int, handle: str) -> Subscriber:
        peer = self._peers[number % 2]
        stream = Subscriber(lambda now: self._heard(number, now))
        await self._connected(peer, stream)
        uris = {"notifications": {"resourceSubscriptions": [f"session://{handle}/total"]}}
        stream.send(peer.port, "subscriptions/listen", None, uris)
        async with asyncio.timeout(WAIT):
            await stream.ready.wait()
        return stream

    async def _change(self, handles: list[str]) -> None:
        """Change one session after the other, each round by the other server, at the rate; never wait for an answer."""
        began, tasks = time.perf_counter(), []
        for count in range(int(self._rate * self._seconds)):
            rounds, number = divmod(count, self._sessions)
            at = (number // 2 + rounds) % 2
            delay = began + count / self._rate - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            while not self._idle[at]:
                self._late += 1
                await asyncio.sleep(0.001)
            caller = self._idle[at].popleft()
            change = Change(number, at == number % 2)
            tasks.append(asyncio.create_task(self._act(at, caller, change, handles[number])))
        await asyncio.gather(*tasks)

    async def _act(self, at: int, caller: Caller, change: Change, handle: str) -> None:
        if change.number in self._pending:
            raise BenchFailed("a session was changed again before its subscriber heard: too much for this machine")
        self._pending[change.number] = change
        self._changes.append(change)
        change.sent = time.perf_counter()
        await caller.call(self._peers[at].port, "counter_add", {"a": 1, "session": handle})
        change.replied = time.perf_counter()
        self._idle[at].append(caller)

    def _heard(self, number: int, now: float) -> None:
        change = self._pending.pop(number, None)
        if change is not None:
            change.heard = now

    async def _all_heard(self) -> None:
        until = time.perf_counter() + WAIT
        while self._pending:
            if time.perf_counter() > until:
                raise BenchFailed(f"{len(self._pending)} changes were never heard of")
            await asyncio.sleep(0.01)

    def _cpu(self) -> list[float]:
        return [peer.cpu_seconds() or 0.0 for peer in self._peers]

    async def _cpu_of_nothing(self) -> list[float]:
        before = self._cpu()
        await asyncio.sleep(IDLE)
        return [(after - was) / IDLE for was, after in zip(before, self._cpu(), strict=True)]

    def _told(self, took: float) -> Iterator[str]:
        yield f"{len(self._changes) / took:.0f} changes/s, {self._late} waited for a free connection; all were heard of"
        for name, same in (("by the same server", True), ("by the other server", False)):
            chosen = [change for change in self._changes if change.same is same]
            times = sorted(change.heard - change.sent for change in chosen if change.heard)
            replies = sorted(change.heard - change.replied for change in chosen if change.heard and change.replied)
            yield f"{name}: {_quantiles(times)} after the request, {_quantiles(replies)} after the reply"


def _quantiles(times: list[float]) -> str:
    median, late = (times[min(len(times) - 1, int(len(times) * share))] * 1000 for share in (0.5, 0.99))
    return f"median {median:.1f} ms, 99th {late:.1f} ms"


def _cpu_line(*shares: list[float]) -> str:
    names = ("before anybody subscribed", "with subscribers and no change", "at work")
    told = (f"{name} {' and '.join(f'{share:.1%}' for share in of)}" for name, of in zip(names, shares, strict=True))
    return f"CPU of the two: {', '.join(told)}"


@contextmanager
def _servers(folder: Path, url: str) -> Iterator[tuple[Peer, Peer]]:
    settings = {"TURNKEEPER_AUTH": "off", "TURNKEEPER_DATABASE_URL": url, "TURNKEEPER_LIMIT_SESSIONS": "100000"}
    with ExitStack() as stack:
        peers = []
        for name in ("one", "two"):
            port = free_port()
            given = {**settings, "TURNKEEPER_PORT": str(port), "TURNKEEPER_DATA_DIR": str(folder)}
            command = [sys.executable, "server.py"]
            peers.append(stack.enter_context(running(f"server {name}", command, port, given, "/mcp", "")))
        yield peers[0], peers[1]


def main() -> int:
    """Measure on both databases and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.feed", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000, help="sessions, with a subscriber each (default: 1000)")
    parser.add_argument("--rate", type=int, default=500, help="changes a second (default: 500)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default: 10)")
    options = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="feed-", dir=ROOT / "build") as scratch:
        folder = Path(scratch)
        print("\n".join(f"{name:<10} {fact}" for name, fact in machine.described(folder, None).items()))
        print(f"{'run':<10} {options.sessions} streams on as many sessions, {options.rate} changes/s", flush=True)
        _print("SQLite", folder / "sqlite", f"sqlite:///{folder / 'turnkeeper.db'}", options)
        with postgres() as server:
            _print("PostgreSQL", folder / "postgres", server.fresh(), options)
    return 0


def _print(name: str, folder: Path, url: str, options: argparse.Namespace) -> None:
    with _servers(folder, url) as peers:
        lines = uvloop.run(Run(peers, options.sessions, options.rate, options.seconds).measured())
    print(f"\n{name:<10} " + ("\n" + " " * 11).join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
