"""Reading what is sent to OAuth's endpoints: forms and queries in which nothing is said twice, and within bounds."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl

import anyio
from authlib.oauth2.rfc6749.util import extract_basic_authorization
from starlette.requests import Request

MOST = 64 * 1024
"""Bytes of a body."""
SECONDS = 30.0
"""How long a body may take to arrive."""
_FORM = "application/x-www-form-urlencoded"


class Unreadable(ValueError):
    """What was sent cannot be taken: `invalid_request` in RFC 6749."""


async def body_of(request: Request, most: int = MOST, seconds: float = SECONDS) -> bytes:
    """A request's body. Raises Unreadable for one that is too long, or takes too long."""
    found = b""
    with anyio.move_on_after(seconds):
        async for chunk in request.stream():
            found += chunk
            if len(found) > most:
                raise Unreadable(f"The body has more than {most} bytes.")
        return found
    raise Unreadable(f"The body did not arrive within {seconds:g} s.")


async def form_of(request: Request) -> dict[str, list[str]]:
    """The parameters of a form. Raises Unreadable."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise Unreadable(f"The body has to be {_FORM}.")
    return parameters(await body_of(request))


def parameters(encoded: bytes | str) -> dict[str, list[str]]:
    """Parameters by name, without those that are empty (RFC 6749, section 3.1). Raises Unreadable."""
    try:
        text = encoded.decode("ascii") if isinstance(encoded, bytes) else encoded
        pairs = parse_qsl(text, keep_blank_values=False, errors="strict", max_num_fields=100)
    except ValueError:
        raise Unreadable("The parameters are no URL-encoded text.") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if "\x00" in value or "\x00" in name:
            raise Unreadable("A parameter has a character that none may have.")
        found.setdefault(name, []).append(value)
    return found


def once(found: Mapping[str, list[str]], several: Iterable[str] = ()) -> None:
    """Insist that no parameter is given twice (RFC 6749, section 3.1). Raises Unreadable."""
    for name, values in found.items():
        if len(values) > 1 and name not in several:
            raise Unreadable("A parameter is given more than once.")


def named_by(authorization: str) -> str | None:
    """The client that HTTP Basic credentials name (RFC 6749, section 2.3.1); None if they are malformed."""
    try:
        name, secret = extract_basic_authorization({"Authorization": authorization})
    except ValueError:
        return None
    return str(name) if name and secret and "\x00" not in name else None
