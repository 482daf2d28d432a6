"""Clients that are described by a document at the URL that is their id (Client ID Metadata Documents).

The fetch is bounded and goes to public addresses only: whoever asks for an
authorization chooses the URL.
"""

import json
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import anyio
import httpx2
from anyio import to_thread

from engine.auth import scopes
from engine.auth.context import AuthContext
from engine.auth.granting import clients, redirects
from engine.auth.granting.clients import DOCUMENT, Client
from engine.auth.scopes import split
from engine.outbound import EVERYWHERE, Barred, LookUp, Outbound, looked_up
from engine.store.access import ClientRow
from engine.store.records import Transaction
from engine.types import Json

logger = logging.getLogger(__name__)

MOST_BYTES = 5 * 1024
SECONDS = 10.0
"""For all of a fetch."""
KEPT = timedelta(minutes=5), timedelta(hours=24)
"""How long a document is believed: at least, and at most, whatever its server says."""
_MOST_REDIRECTS = 20


class Unusable(Exception):
    """Why a document makes no client."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as it came, and how long it may be kept."""

    body: bytes
    kept: timedelta


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches documents from public addresses; `private` ones only where an operator says so, or a test.

    `verify` is what the servers' certificates are checked against, `seconds` what all of a fetch may take. Hosts are
    looked up on `threads` of their own, since a look-up that takes long cannot be stopped.
    """

    private: bool = False
    verify: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    seconds: float = SECONDS
    look_up: LookUp = looked_up
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8))

    async def __call__(self, url: str) -> Fetched:
        """A document. Raises Unusable, TimeoutError, httpx2.HTTPError, OSError."""
        _check(url)
        outbound = Outbound(EVERYWHERE if self.private else (), self.verify, self.look_up, self.threads)
        try:
            async with outbound.asked("GET", url, {"Accept": "application/json"}) as response:
                return await _read(response)
        except Barred as error:
            raise Unusable(str(error)) from None


async def _read(response: httpx2.Response) -> Fetched:
    """The document of an answer. Raises Unusable."""
    if response.status_code != 200:
        raise Unusable(f"its server answered {response.status_code}")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unusable("it is packed, which was not asked for and has no bound")
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Unusable(f"it has more than {MOST_BYTES} bytes")
    return Fetched(body, _kept(response.headers.get("cache-control", "")))


def is_document(client_id: str) -> bool:
    """Whether a client's id is meant as the URL of its document."""
    return client_id.startswith("https://")


async def client_at(context: AuthContext, fetcher: Fetcher, url: str) -> Client | str:
    """The client of a document, or why there is none."""
    try:
        _check(url)
        stored = await to_thread.run_sync(lambda: context.store.read(lambda tx: _stored(tx, url)))
        if stored is not None:
            return stored
        with anyio.fail_after(fetcher.seconds):
            fetched = await fetcher(url)
        client = _client(url, fetched.body)
    except Unusable as error:
        return str(error)
    except (TimeoutError, httpx2.HTTPError, OSError) as error:
        logger.info("a client's document could not be fetched: %s", type(error).__name__)
        return f"it could not be fetched within {fetcher.seconds:g} s"
    await to_thread.run_sync(lambda: context.store.write(lambda tx: _keep(tx, client, fetched.kept)))
    return client


def _stored(transaction: Transaction, url: str) -> Client | None:
    """The client of a document that was fetched of late."""
    row = transaction.db.get(ClientRow, url)
    fresh = row is not None and row.expires_at is not None and row.expires_at > transaction.at
    return clients.client_of(row) if row is not None and fresh else None


def _keep(transaction: Transaction, client: Client, kept: timedelta) -> None:
    clients.keep(transaction, client, (transaction.now + kept).isoformat(timespec="microseconds"))


def _check(url: str) -> None:
    """Insist that a URL may be a client's id. Raises Unusable."""
    parts = urlsplit(url) if redirects.unsound(url) is None else None
    if parts is None or parts.scheme != "https" or len(url) > 500:
        raise Unusable("its address is no https URL without user and fragment")
    if parts.path in ("", "/") or any(unquote(segment) in (".", "..") for segment in parts.path.split("/")):
        raise Unusable("its address needs a path, without dots for segments")


def _client(url: str, body: bytes) -> Client:
    """What a document says of its client. Raises Unusable."""
    try:
        found = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Unusable("it is no JSON") from None
    if not isinstance(found, dict) or found.get("client_id") != url:
        raise Unusable("its client_id is not its address")
    if "client_secret" in found:
        raise Unusable("it publishes a secret")
    method = found.get("token_endpoint_auth_method", "none")
    also = found.get("token_endpoint_auth_methods_supported", [])
    if method != "none" and not (isinstance(also, list) and "none" in also) and method != "private_key_jwt":
        raise Unusable("its token_endpoint_auth_method is not none")
    scope = found.get("scope", "")
    if (wrong := scopes.fault(scope)) is not None:
        raise Unusable(f"its scope is not sound. {wrong}")
    return Client(
        id=url,
        kind=DOCUMENT,
        name=_name(found),
        secret=None,
        method="none",
        redirect_uris=_redirect_uris(found),
        grant_types=("authorization_code", "refresh_token"),
        scopes=split(str(scope)) or None,
        uri=redirects.web_page(found.get("client_uri")),
        service_id=None,
    )


def _name(found: Mapping[str, Json]) -> str:
    name = found.get("client_name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or not name.isprintable():
        raise Unusable("its client_name is no line of at most 200 characters")
    return name.strip()


def _redirect_uris(found: Mapping[str, Json]) -> tuple[str, ...]:
    given = found.get("redirect_uris")
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_REDIRECTS:
        raise Unusable(f"its redirect_uris are no list of 1 to {_MOST_REDIRECTS}")
    fault = next((fault for fault in map(redirects.fault, given) if fault is not None), None)
    if fault is not None:
        raise Unusable(f"one of its redirect_uris is not sound. {fault}")
    return tuple(given)


def _kept(cache_control: str) -> timedelta:
    """How long a document is believed, by the headers it came with (RFC 9111, section 5.2.2)."""
    least, most = KEPT
    age = re.search(r"max-age=(\d{1,9})", cache_control)
    if age is None or "no-store" in cache_control or "no-cache" in cache_control:
        return least
    return min(max(timedelta(seconds=int(age[1])), least), most)
