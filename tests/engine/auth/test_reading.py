"""Bodies are read within bounds."""

import anyio
import pytest
from starlette.requests import Request
from starlette.types import Message

from engine.auth.reading import Unreadable, body_of

pytestmark = pytest.mark.anyio


def request_of(*chunks: bytes) -> Request:
    """A request whose body begins with these chunks and does not end."""
    coming = iter(chunks)

    async def receive() -> Message:
        chunk = next(coming, None)
        if chunk is None:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": chunk, "more_body": True}

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


async def test_body_that_does_not_end_is_given_up() -> None:
    with pytest.raises(Unreadable, match=r"did not arrive within 0\.05 s"):
        await body_of(request_of(b"grant_type="), seconds=0.05)


async def test_body_that_is_too_long_is_given_up_before_its_end() -> None:
    with pytest.raises(Unreadable, match="more than 10 bytes"):
        await body_of(request_of(b"12345", b"678901"), most=10)
