"""MCP on standard input and output that ends after what was accepted: on end of input, and when told to stop."""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import mcp_types as t
from mcp.shared.message import SessionMessage
from pydantic import ValidationError

GRACE = 6.0
"""Seconds that requests get to be answered once there are no more of them."""


@contextmanager
def ending_on(*signals: signal.Signals) -> Iterator[None]:
    """Let standard input end when one of the signals comes, so that they are as gentle as a client that leaves."""
    if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
        yield
        return
    source, (front, back), (woken, wake) = os.dup(0), os.pipe(), os.pipe()
    os.dup2(front, 0)
    os.close(front)
    before = {number: signal.signal(number, lambda *_: _write(wake, b"!")) for number in signals}
    threading.Thread(target=_pump, args=(source, woken, back), name="turnkeeper-stdin", daemon=True).start()
    try:
        yield
    finally:
        os.dup2(source, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


@asynccontextmanager
async def answered(incoming: Any, outgoing: Any, ending: Callable[[], None]) -> AsyncIterator[tuple[Any, Any]]:
    """The streams for a server, whose input ends only when every request has its answer, or `GRACE` is over.

    `ending` is called when the client sends no more, to end what would never answer by itself.
    """
    to_server, requests = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    answers, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    open_requests = _Open()

    async def take() -> None:
        async with to_server:
            async for item in incoming:
                open_requests.note(item)
                if (refusal := _refusal(item)) is not None:
                    await outgoing.send(refusal)
                await to_server.send(item)
            ending()
            with anyio.move_on_after(GRACE):
                await open_requests.none()

    async def give() -> None:
        async with outgoing:
            async for item in from_server:
                await outgoing.send(item)
                open_requests.note(item)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take)
        tasks.start_soon(give)
        yield requests, answers
        tasks.cancel_scope.cancel()


class _Open:
    """The requests that have no answer yet."""

    def __init__(self) -> None:
        self._ids: set[t.RequestId] = set()
        self._changed = anyio.Event()

    def note(self, item: SessionMessage | Exception) -> None:
        """A request opens; its answer closes it, and so does the client's word that it no longer waits."""
        message = None if isinstance(item, Exception) else item.message
        if isinstance(message, t.JSONRPCRequest):
            self._ids.add(message.id)
        elif isinstance(message, t.JSONRPCResponse | t.JSONRPCError) and message.id is not None:
            self._close(message.id)
        elif isinstance(message, t.JSONRPCNotification) and message.method == "notifications/cancelled":
            self._close((message.params or {}).get("requestId"))

    async def none(self) -> None:
        """Wait until there are none."""
        while self._ids:
            await self._changed.wait()

    def _close(self, number: Any) -> None:
        self._ids.discard(number)
        self._changed.set()
        self._changed = anyio.Event()


def _refusal(item: SessionMessage | Exception) -> SessionMessage | None:
    """The answer to a request that cannot be read and says its number all the same, or its client would wait for ever.

    Such is one with half of a surrogate pair, as a text has that was cut in the middle of a character.
    """
    number = _number_of(item) if isinstance(item, ValidationError) else None
    if number is None:
        return None
    said = "Parse error: the request is no JSON that can be read, or half of a surrogate pair is in it."
    return SessionMessage(t.JSONRPCError(jsonrpc="2.0", id=number, error=t.ErrorData(code=t.PARSE_ERROR, message=said)))


def _number_of(error: ValidationError) -> t.RequestId | None:
    """The number of a request that the SDK could not read, if another reader finds one."""
    try:
        found = json.loads(error.errors(include_url=False)[0]["input"], parse_int=_integer)
    except (TypeError, ValueError, RecursionError):
        return None
    number = found.get("id") if isinstance(found, dict) and "method" in found else None
    return number if isinstance(number, int | str) and not isinstance(number, bool) else None


def _integer(digits: str) -> int | str:
    """A number; one that is too long to be any is left as it is."""
    return int(digits) if len(digits) < 20 else digits


def _pump(source: int, woken: int, back: int) -> None:
    """Pass on what comes until it ends, or the process is told to stop."""
    try:
        while woken not in select.select([source, woken], [], [])[0] and (data := os.read(source, 1 << 16)):
            while data:
                data = data[os.write(back, data) :]
    finally:
        os.close(back)


def _write(file: int, data: bytes) -> None:
    os.write(file, data)
