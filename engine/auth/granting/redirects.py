"""Redirect URIs: which ones a client may have, and whether one is a client's (RFC 6749, RFC 8252)."""

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import SplitResult, parse_qsl, urlsplit

LONGEST = 2000
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_UNSAFE = frozenset("about blob data file ftp javascript mailto vbscript view-source ws wss".split())
_VISIBLE = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
"""What RFC 3986 lets a URI have, and nothing that readers of URLs take differently."""


_ANSWERS = frozenset("code error error_description error_uri iss state".split())


def fault(uri: object) -> str | None:
    """What is wrong with a redirect URI, if anything is."""
    if (wrong := unsound(uri)) is not None:
        return wrong
    if any(name in _ANSWERS for name, _ in parse_qsl(urlsplit(str(uri)).query, keep_blank_values=True)):
        return "A redirect URI's query leaves the parameters of the answer to the server: each is there once."
    return None


def unsound(uri: object) -> str | None:
    """What keeps a URI from being one that a client may name, if anything does."""
    if not isinstance(uri, str) or not 0 < len(uri) <= LONGEST:
        return f"A redirect URI has 1 to {LONGEST} characters."
    parts = _parts(uri)
    if parts is None or _VISIBLE.fullmatch(uri) is None or not _SCHEME.fullmatch(parts.scheme):
        return "A redirect URI is an absolute URI of visible ASCII characters."
    if "#" in uri:
        return "A redirect URI has no fragment."
    if parts.username is not None or parts.password is not None:
        return "A redirect URI names no user."
    if parts.scheme in _UNSAFE:
        return "This scheme leads to no client."
    if parts.scheme == "http" and not is_loopback(uri):
        return "A redirect URI is https, of a loopback address, or of the client's own scheme."
    if parts.scheme in ("http", "https") and not parts.hostname:
        return "A redirect URI names a host."
    return None


def web_page(uri: object) -> str | None:
    """A URI that is shown to people, if it is a page's."""
    return uri if isinstance(uri, str) and unsound(uri) is None and uri.startswith(("https://", "http://")) else None


def is_loopback(uri: str) -> bool:
    """Whether a redirect goes to a program on the person's own machine."""
    parts = _parts(uri)
    host = None if parts is None else parts.hostname
    if host is None or parts is None or parts.scheme not in ("http", "https"):
        return False
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_one_of(uri: str, registered: Iterable[str]) -> bool:
    """Whether a redirect URI is one of a client's: to the letter, but for a loopback address's port (RFC 8252, 7.3)."""
    return any(uri == known or _same_but_port(uri, known) for known in registered)


def _same_but_port(uri: str, known: str) -> bool:
    return is_loopback(uri) and is_loopback(known) and fault(uri) is None and _portless(uri) == _portless(known)


def _portless(uri: str) -> tuple[str, str | None, str, str]:
    parts = urlsplit(uri)
    return parts.scheme, parts.hostname, parts.path, parts.query


def _parts(uri: str) -> SplitResult | None:
    try:
        parts = urlsplit(uri)
        _ = parts.port  # what is no number raises only here
    except ValueError:
        return None
    return parts
