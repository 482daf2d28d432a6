"""Passwords: argon2, as long as it takes, and as long for names that nobody has."""

from functools import cache

from pwdlib import PasswordHash

LEAST, MOST = 12, 1024
"""Characters of a password (NIST SP 800-63B, 3.1.1: length counts, composition does not)."""


def fault(password: str) -> str | None:
    """What is wrong with a new password, if anything is."""
    if not LEAST <= len(password) <= MOST:
        return f"A password has {LEAST} to {MOST} characters; this one has {len(password)}."
    return None


def hashed(password: str) -> str:
    """What is kept of a password."""
    return _hasher().hash(password)


def verified(password: str, kept: str | None) -> tuple[bool, str | None]:
    """Whether a password is the one that was kept, and what to keep from now on, if the cost of it was raised.

    Without a kept one it takes as long, so that nobody learns which names there are.
    """
    if len(password) > MOST:
        return False, None
    found, renewed = _hasher().verify_and_update(password, kept or _nobodys())
    return found and kept is not None, renewed if kept is not None else None


@cache
def _hasher() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _nobodys() -> str:
    return _hasher().hash("of nobody")
