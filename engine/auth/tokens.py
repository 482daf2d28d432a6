"""Tokens: random and opaque, kept as hashes."""

import hashlib
import secrets
from enum import StrEnum

_RANDOM_BYTES = 32


class TokenKind(StrEnum):
    """What a token is for: its beginning says so, for people and for scanners of leaked secrets."""

    ACCESS = "tka"
    REFRESH = "tkr"
    CODE = "tkc"
    PERSONAL = "tkp"
    BROWSER = "tkb"
    LINK = "tkl"
    SECRET = "tks"
    CLIENT = "tki"


def mint(kind: TokenKind) -> str:
    """A new token: 256 random bits in URL-safe characters."""
    return f"{kind}_{secrets.token_urlsafe(_RANDOM_BYTES)}"


def hashed(token: str) -> str:
    """What the database keeps of a token: its SHA-256. Enough for random tokens; not for what a person chose."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
