"""The load driver: keep-alive HTTP/1.1 connections, each with one request under way, every answer checked."""

import asyncio
import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

from benchmarks.wire import Question


@dataclass(slots=True)
class Load:
    """What one run of the driver saw; times in seconds."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    driver_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return len(self.latencies) / self.seconds

    def quantile(self, share: float) -> float:
        """The latency that this share of the requests stayed within, in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def driven(port: int, question: Question, numbers: Iterator[int], *, connections: int, seconds: float) -> Load:
    """Ask for so many seconds, then wait for the answers under way."""
    gc.collect()
    gc.disable()
    try:
        return uvloop.run(_drive(port, question, numbers, connections, seconds))
    finally:
        gc.enable()


async def _drive(port: int, question: Question, numbers: Iterator[int], connections: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    load = Load()
    made = [_Connection(load, question, numbers) for _ in range(connections)]
    for connection in made:
        await loop.create_connection(lambda connection=connection: connection, "127.0.0.1", port)  # type: ignore[misc]
    began, cpu = time.perf_counter(), time.process_time()
    for connection in made:
        connection.start(began + seconds)
    await asyncio.gather(*(connection.done for connection in made))
    load.seconds, load.driver_cpu = time.perf_counter() - began, time.process_time() - cpu
    for connection in made:
        connection.close()
    return load


class _Connection(asyncio.Protocol):
    """One connection: sends the next request when the answer to the last has come, until its time is up."""

    def __init__(self, load: Load, question: Question, numbers: Iterator[int]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._load = load
        self._question = question
        self._numbers = numbers
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._body = b""
        self._number = 0
        self._sent = self._until = 0.0

    def start(self, until: float) -> None:
        """Begin; the last request is sent before `until`."""
        self._until = until
        self._ask()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is not a subclass

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self._fail(f"the server hung up during request {self._number}: {error}")

    def on_message_begin(self) -> None:
        self._body = b""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        try:
            total = self._question.answered(self._parser.get_status_code(), self._body, self._number)
        except Exception as error:
            self._fail(f"{type(error).__name__}: {error}")
            return
        self._load.latencies.append(now - self._sent)
        self._load.totals.append(total)
        if now < self._until:
            self._ask()
        else:
            self.done.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None
        self._number = next(self._numbers)
        self._sent = time.perf_counter()
        self._transport.write(self._question.asked(self._number))

    def _fail(self, reason: str) -> None:
        self._load.errors.append(reason)
        self.done.set_result(None)
