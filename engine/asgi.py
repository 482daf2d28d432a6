"""What the parts of the web application share: what they put into the ASGI scope of a request, and its body."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

PRINCIPAL = "turnkeeper.principal"
"""Who asks: a `types.Principal`."""

CHALLENGE = "turnkeeper.challenge"
"""The URL of the endpoint's metadata (RFC 9728), where tokens are asked for."""

LARGEST_BODY = 4 * 1024 * 1024
"""Bytes of a request that an MCP endpoint takes."""

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


async def peeked(receive: Receive) -> tuple[bytes, Receive]:
    """A request's body as far as any endpoint takes it, and a `receive` that gives it again."""
    messages: list[MutableMapping[str, Any]] = []
    length = 0
    while (not messages or messages[-1].get("more_body", False)) and length <= LARGEST_BODY:
        messages.append(await receive())
        length += len(messages[-1].get("body", b""))
    replayed = iter(messages)

    async def again() -> MutableMapping[str, Any]:
        message = next(replayed, None)
        return await receive() if message is None else message

    return b"".join(message.get("body", b"") for message in messages), again
