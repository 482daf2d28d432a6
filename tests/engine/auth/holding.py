"""Requests whose body takes its time: something happens between the head and the end of the body."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import anyio
from anyio import to_thread
from starlette.types import Message

from tests.engine.auth.conftest import House


@dataclass(frozen=True)
class Held:
    """The answer to a request that was held open."""

    status: int
    headers: Mapping[str, str]
    text: str


def held_open(
    house: House, target: str, headers: Mapping[str, str], body: bytes, meanwhile: Callable[[], object] | None = None
) -> Held:
    """What a POST is answered whose body came to its end only after `meanwhile`, when the server waited for it.

    Without `meanwhile` it never comes to its end.
    """
    path, _, query = target.partition("?")
    sent: list[Message] = []
    parts = [body[:1], body[1:]]

    async def receive() -> Message:
        if not parts:
            return {"type": "http.disconnect"}
        if len(parts) == 1:
            await (anyio.sleep_forever() if meanwhile is None else to_thread.run_sync(meanwhile))
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    async def asked() -> None:
        await house.http.app(scope, receive, send)

    given = {"host": "127.0.0.1:8000", "content-length": str(len(body)), **headers}
    scope = {
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
    assert house.http.portal is not None
    house.http.portal.call(asked)
    head, *rest = sent
    text = b"".join(part.get("body", b"") for part in rest).decode()
    return Held(head["status"], {name.decode(): value.decode() for name, value in head["headers"]}, text)
