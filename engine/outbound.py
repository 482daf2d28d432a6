"""Requests to addresses that others chose: to public hosts only, or to networks that were listed, and bounded.

A host is looked up once; its addresses are judged, and the connection goes to
one of those very addresses, under the host's own name (SNI and Host), so that a
second look-up has no say. Nothing is followed.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

import anyio
import httpx2
from anyio import to_thread

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
LookUp: TypeAlias = Callable[[str, int], list[str]]

EVERYWHERE: tuple[Network, ...] = (ipaddress.IPv4Network("0.0.0.0/0"), ipaddress.IPv6Network("::/0"))
LONGEST = 2000
_VISIBLE = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""What RFC 3986 lets a URL have, and nothing that readers of URLs take differently."""
_TIMEOUT = httpx2.Timeout(None, connect=5.0)
"""For one address; whoever asks bounds the whole."""
_PORTS = {"http": 80, "https": 443}
_UNICAST = tuple(map(ipaddress.IPv6Network, ("2000::/3", "64:ff9b::/96")))
"""All of IPv6 that leads into the internet; `ipaddress` calls much else global, such as 64:ff9b:1::/48 (RFC 8215)."""
_TRANSLATED = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96")))
"""What stands before an IPv4 address that a host, or a gateway on the way, takes for it."""


class Barred(Exception):
    """Why nothing is asked of an address, as the end of a sentence; what was sent is nothing."""


def looked_up(host: str, port: int) -> list[str]:
    """The addresses of a host, each once. Raises OSError, UnicodeError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class Outbound:
    """Asks hosts whose addresses are public, or in one of the listed `networks`; there http will do, too.

    `verify` is what the servers' certificates are checked against. Hosts are looked up on `threads` of their own,
    since a look-up that takes long cannot be stopped.
    """

    networks: tuple[Network, ...] = ()
    verify: ssl.SSLContext = field(default_factory=ssl.create_default_context)
    look_up: LookUp = looked_up
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8))

    @asynccontextmanager
    async def asked(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """The answer, whose body is still to be read; whoever asks says how long it may take.

        Raises Barred, httpx2.HTTPError, OSError.
        """
        parts = checked(url)
        addresses = await self.addresses(parts)
        sent = {**headers, "Host": parts.netloc, "Accept-Encoding": "identity"}
        async with httpx2.AsyncClient(
            verify=self.verify, follow_redirects=False, trust_env=False, timeout=_TIMEOUT
        ) as http:
            ask = partial(http.build_request, method, headers=sent, content=content)
            response = await _first(http, [ask(_at(parts, one), extensions=_sni(parts)) for one in addresses])
            try:
                yield response
            finally:
                await response.aclose()

    async def addresses(self, parts: SplitResult) -> list[str]:
        """The addresses of a URL's host, if all may be asked by its scheme. Raises Barred, OSError."""
        look = partial(self._judged, parts)
        return await to_thread.run_sync(look, abandon_on_cancel=True, limiter=self.threads)

    def _judged(self, parts: SplitResult) -> list[str]:
        try:
            found = self.look_up(str(parts.hostname), port_of(parts))
        except UnicodeError:
            raise Barred("its host is no name of one") from None
        for address in found:
            listed = is_in(address, self.networks)
            if not listed and not is_public(address):
                raise Barred("its host is no public one")
            if not listed and parts.scheme != "https":
                raise Barred("it is not https")
        if not found:
            raise Barred("its host has no address")
        return found


async def _first(http: httpx2.AsyncClient, requests: Sequence[httpx2.Request]) -> httpx2.Response:
    """The answer to the first of some requests that reaches anybody. Raises httpx2.HTTPError."""
    for request in requests[:-1]:
        with suppress(httpx2.ConnectError, httpx2.ConnectTimeout):  # nothing was sent; another address may do
            return await http.send(request, stream=True)
    return await http.send(requests[-1], stream=True)


def _sni(parts: SplitResult) -> dict[str, str | None]:
    """What has a certificate checked against a URL's host, although the connection goes to an address."""
    return {"sni_hostname": parts.hostname}


def checked(url: str) -> SplitResult:
    """A URL that can be asked: http or https, of visible characters, without user and fragment. Raises Barred."""
    try:
        parts = urlsplit(url) if len(url) <= LONGEST and _VISIBLE.fullmatch(url) else None
        _ = parts and parts.port  # what is no number raises only here
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        raise Barred(f"its address is no http or https URL of at most {LONGEST} visible ASCII characters")
    if "@" in parts.netloc or "#" in url:
        raise Barred("its address has a user or a fragment")
    return parts


def port_of(parts: SplitResult) -> int:
    """The port of a URL, which its scheme implies where it names none."""
    return parts.port or _PORTS[parts.scheme]


def networks_of(words: Iterable[str]) -> tuple[Network, ...]:
    """Networks as they are written (CIDR), or single addresses. Raises ValueError."""
    return tuple(ipaddress.ip_network(word, strict=False) for word in words)


def is_in(address: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of some networks, also if it is one of IPv4 in the clothes of IPv6."""
    found = ipaddress.ip_address(address)
    plain = getattr(found, "ipv4_mapped", None) or found
    return any(plain.version == network.version and plain in network for network in networks)


def is_public(address: str) -> bool:
    """Whether an address is one of the internet, also if it is an IPv4 address in the clothes of IPv6."""
    found = ipaddress.ip_address(address)
    if not found.is_global or found.is_multicast or getattr(found, "is_site_local", False):
        return False
    if isinstance(found, ipaddress.IPv6Address) and not any(found in network for network in _UNICAST):
        return False
    return all(inner.is_global and not inner.is_multicast for inner in _within(found))


def _within(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses to which an IPv6 address may be translated (RFC 4291, 2.5.5; RFC 3056; RFC 6052, 2.1)."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    prefixed = [last] if any(address in prefix for prefix in _TRANSLATED) else []
    return prefixed + [inner for inner in (address.ipv4_mapped, address.sixtofour) if inner is not None]


def _at(parts: SplitResult, address: str) -> str:
    """A URL with an address in the place of its host."""
    host = f"[{address}]" if ":" in address else address
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}:{port_of(parts)}{parts.path or '/'}{query}"
