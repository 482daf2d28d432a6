"""authlib's HTTP client, kept to so many seconds and bytes an answer, and to the very address that was asked."""

from dataclasses import dataclass
from typing import Any

import anyio
import httpx2
from authlib.integrations.httpx_client import AsyncOAuth2Client


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long one answer of a provider may take, and how many bytes it may have."""

    seconds: float = 10.0
    bytes: int = 256 * 1024


USUAL = Bounds()


class Misbehaved(Exception):
    """What a provider did that ends a sign-in, as the end of a sentence that begins with its name."""


class BoundedClient(AsyncOAuth2Client):  # type: ignore[misc]
    """A client whose every answer is read within bounds. Requests raise Misbehaved."""

    def __init__(self, *args: Any, bounds: Bounds, headers: dict[str, str] | None = None, **options: Any) -> None:
        headers = {**(headers or {}), "Accept-Encoding": "identity"}  # what is packed has no bound until it is unpacked
        super().__init__(*args, headers=headers, timeout=bounds.seconds, follow_redirects=False, **options)
        self._bounds = bounds

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """The answer to a request, all of it."""
        try:
            with anyio.fail_after(self._bounds.seconds):
                response = await super().send(request, stream=True, **options)
                try:
                    return await self._read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx2.TimeoutException):
            raise Misbehaved(f"did not answer within {self._bounds.seconds:g} s") from None
        except httpx2.HTTPError as error:
            raise Misbehaved("cannot be reached") from error

    async def _read(self, response: httpx2.Response) -> httpx2.Response:
        if response.is_redirect:
            raise Misbehaved("sent us elsewhere, where we do not follow")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Misbehaved("packed its answer, which was not asked for")
        body = b""
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > self._bounds.bytes:
                raise Misbehaved(f"answered more than {self._bounds.bytes} bytes")
        return httpx2.Response(
            response.status_code,
            headers={"content-type": response.headers.get("content-type", "")},
            content=body,
            request=response.request,
        )
