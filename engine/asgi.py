"""What the parts of the web application share: what they put into the ASGI scope of a request, and its body."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PRINCIPAL = "turnkeeper.principal"
"""Who asks: a `types.Principal`."""

STILL = "turnkeeper.still"
"""Who asks by now, for what had to wait: called and awaited, it gives a `types.Principal`, or None if the token opens
nothing any more. Absent where no tokens are asked for."""

CHALLENGE = "turnkeeper.challenge"
"""The URL of the endpoint's metadata (RFC 9728), where tokens are asked for."""

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a request that an MCP endpoint takes."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Replayed:
    """A `receive` that gives what was received before once more, and then what comes."""

    __slots__ = ("_at", "_receive", "body", "messages")

    def __init__(self, receive: Receive, messages: list[MutableMapping[str, Any]], body: bytes) -> None:
        self._receive = receive
        self._at = 0
        self.messages = messages
        self.body = body

    async def __call__(self) -> MutableMapping[str, Any]:
        if self._at == len(self.messages):
            return await self._receive()
        self._at += 1
        return self.messages[self._at - 1]

    def anew(self) -> "Replayed":
        """The same from the beginning."""
        return Replayed(self._receive, self.messages, self.body)


async def peeked(receive: Receive) -> tuple[bytes, Receive]:
    """A request's body as far as any endpoint takes it, and a `receive` that gives it again."""
    if isinstance(receive, Replayed):
        return receive.body, receive.anew()
    messages: list[MutableMapping[str, Any]] = []
    length = 0
    while (not messages or messages[-1].get("more_body", False)) and length <= LARGEST_BODY:
        messages.append(await receive())
        length += len(messages[-1].get("body", b""))
    body = b"".join(message.get("body", b"") for message in messages)
    return body, Replayed(receive, messages, body)
