"""What authorization works on: the database, the worlds, the server's public URL."""

from dataclasses import dataclass
from datetime import timedelta

from engine.registry import Registry
from engine.store.stores import Store


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what opens a door does so."""

    code: timedelta = timedelta(minutes=5)
    access: timedelta = timedelta(hours=1)
    refresh: timedelta = timedelta(days=30)
    """Without use: each rotation begins it anew."""
    grace: timedelta = timedelta(seconds=30)
    """How long a refresh token that was just rotated gives the same successor."""
    browser: timedelta = timedelta(days=14)
    link: timedelta = timedelta(days=1)
    belief: timedelta = timedelta(seconds=1)
    """How long a process believes what the database said of a token: after that, what another revoked is refused."""
    body: timedelta = timedelta(seconds=30)
    """How long a request may take to arrive that its token lets in."""


@dataclass(frozen=True, slots=True)
class AuthContext:
    """What every part of authorization is given. `base` is the issuer: the public URL without a trailing slash."""

    store: Store
    registry: Registry
    base: str
    lifetimes: Lifetimes = Lifetimes()

    @property
    def is_secure(self) -> bool:
        """Whether browsers reach it over TLS, so that cookies can insist on it."""
        return self.base.startswith("https://")
