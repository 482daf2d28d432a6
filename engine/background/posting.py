"""One request to a webhook: signed, bounded in seconds and bytes, and what came of it."""

import ssl
import time
from dataclasses import dataclass, replace

import anyio
import httpx2

from engine.outbound import Barred, Outbound
from engine.settings import own_version
from engine.store.deliveries import Attempt
from engine.webhooks import Message

SECONDS = 20.0
"""For all of a request."""
MOST_BYTES = 64 * 1024
"""As much of an answer as is read, for whoever wants to see it; then it is cut."""
_HEADERS = {"content-type": "application/json", "user-agent": f"turnkeeper/{own_version()}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a request: the beginning of the answer, or what kept us from one."""

    seconds: float = 0.0
    status: int | None = None
    error: str | None = None
    retry_after: str | None = None
    body: bytes = b""

    def attempt(self, message: Message) -> Attempt:
        """The answer as the log has it."""
        at = message.at.isoformat(timespec="microseconds")
        return Attempt(at, round(self.seconds, 3), self.status, self.error)


async def post(outbound: Outbound, message: Message, seconds: float = SECONDS) -> Answer:
    """What comes of a request. Its status counts from the moment it is there, whatever becomes of the rest."""
    began, answer = time.monotonic(), Answer()
    try:
        with anyio.fail_after(seconds):
            headers = _HEADERS | message.headers
            async with outbound.asked("POST", message.url, headers, message.body.encode()) as response:
                later = response.headers.get("retry-after")
                answer = Answer(status=response.status_code, retry_after=later)
                answer = replace(answer, body=await _beginning(response))
    except (Barred, httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        if answer.status is None:
            answer = Answer(error=_said(error, seconds))
    return replace(answer, seconds=time.monotonic() - began)


async def _beginning(response: httpx2.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) >= MOST_BYTES:
            break
    return body[:MOST_BYTES]


def _said(error: Exception, seconds: float) -> str:
    """Why there is no answer, for the operator; nothing that the other side wrote."""
    match error:
        case Barred():
            return f"not asked: {error}"
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case httpx2.RemoteProtocolError():
            return "the connection was closed without an answer, or it was none"
        case httpx2.TransportError() if _is_about_certificate(error):
            return "its certificate is not trusted"
        case httpx2.ConnectError() | httpx2.ConnectTimeout():
            return "nobody answers there"
        case OSError():
            return "its host cannot be looked up"
        case _:
            return f"the connection broke ({type(error).__name__})"


def _is_about_certificate(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None
