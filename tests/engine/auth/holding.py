"""Requests that take their time: something happens before the end of the body, or before a person answers."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import anyio
from anyio import to_thread
from starlette.types import Message, Scope

from tests.engine.auth.conftest import House

SECONDS = 20.0
_IDS = count(100)


@dataclass(frozen=True)
class Held:
    """The answer to a request that was held open."""

    status: int
    headers: Mapping[str, str]
    text: str


class Parked:
    """A call of the older revisions that waits for its person: what its stream has said so far."""

    def __init__(self, house: House, headers: Mapping[str, str], name: str) -> None:
        self._said, self._told = b"", threading.Condition()
        params = {"name": name, "arguments": {}}
        message = {"jsonrpc": "2.0", "id": next(_IDS), "method": "tools/call", "params": params}
        self._parts = [json.dumps(message).encode()]
        scope = _scope("/mcp", "", headers, self._parts[0])
        assert house.http.portal is not None
        self._over = house.http.portal.start_task_soon(house.http.app, scope, self._receive, self._send)

    @property
    def question(self) -> dict[str, Any]:
        """The question that it asks, once it is asked."""
        return self._first("method")

    @property
    def answer(self) -> dict[str, Any]:
        """The answer to it, once there is one."""
        return self._first("result")

    def ended(self) -> None:
        """Wait for the end of its stream."""
        self._over.result(SECONDS)

    def _first(self, part: str) -> dict[str, Any]:
        with self._told:
            assert self._told.wait_for(lambda: any(part in message for message in self._messages()), SECONDS)
            return next(message for message in self._messages() if part in message)

    def _messages(self) -> list[dict[str, Any]]:
        whole, _, _ = self._said.rpartition(b"\n")
        return [json.loads(line[6:]) for line in whole.splitlines() if line.startswith(b"data: {")]

    async def _receive(self) -> Message:
        if not self._parts:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": self._parts.pop(), "more_body": False}

    async def _send(self, message: Message) -> None:
        with self._told:
            self._said += message.get("body", b"")
            self._told.notify_all()


def held_open(
    house: House, target: str, headers: Mapping[str, str], body: bytes, meanwhile: Callable[[], object] | None = None
) -> Held:
    """What a POST is answered whose body came to its end only after `meanwhile`, when the server waited for it.

    Without `meanwhile` it never comes to its end. Who asked hangs up as soon as the answer has begun.
    """
    path, _, query = target.partition("?")
    sent: list[Message] = []
    parts = [body[:1], body[1:]]
    heard = anyio.Event()

    async def receive() -> Message:
        if not parts:
            await heard.wait()
            return {"type": "http.disconnect"}
        if len(parts) == 1:
            await (anyio.sleep_forever() if meanwhile is None else to_thread.run_sync(meanwhile))
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)
        if message.get("body"):
            heard.set()

    async def asked() -> None:
        await house.http.app(scope, receive, send)

    scope = _scope(path, query, headers, body)
    assert house.http.portal is not None
    house.http.portal.call(asked)
    head, *rest = sent
    text = b"".join(part.get("body", b"") for part in rest).decode()
    return Held(head["status"], {name.decode(): value.decode() for name, value in head["headers"]}, text)


def _scope(path: str, query: str, headers: Mapping[str, str], body: bytes) -> Scope:
    given = {"host": "127.0.0.1:8000", "content-length": str(len(body)), **headers}
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 8000),
    }
