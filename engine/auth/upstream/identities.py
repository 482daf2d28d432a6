"""Who somebody is by what a provider says: a subject, a name to read, an address that was found to be theirs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from engine.types import Json

LONGEST_SUBJECT = 255
"""OpenID Connect Core 1.0, section 2."""
_MAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_NAMES = ("name", "preferred_username", "login", "nickname")


class Nobody(Exception):
    """Why what a provider says names nobody."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody at a provider. `mail` is theirs beyond doubt; `claims` is all that the provider said."""

    issuer: str
    subject: str
    name: str
    mail: str | None
    claims: Mapping[str, Json]


def identity_of(issuer: str, claims: Mapping[str, Json], mail: str | None = None) -> Identity:
    """Whom claims name (OpenID Connect Core 1.0, section 5.1). `mail` is known to be theirs already. Raises Nobody."""
    subject, mail = _subject(claims), _address(mail)
    verified = claims.get("email_verified")
    if mail is None and (verified is True or verified == "true"):  # some write it as a word
        mail = _address(claims.get("email"))
    names = (_text(claims.get(name)) for name in _NAMES)
    return Identity(issuer, subject, next(filter(None, names), None) or mail or subject, mail, claims)


def _subject(claims: Mapping[str, Json]) -> str:
    found = claims.get("sub", claims.get("id"))
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str) or not 0 < len(found) <= LONGEST_SUBJECT or not found.isprintable():
        raise Nobody("its answer does not say who signed in")
    return found


def _address(given: Json) -> str | None:
    """A mail address, to the letter: what would have to be mended first might be somebody else's."""
    return given if isinstance(given, str) and _MAIL.fullmatch(given) else None


def _text(given: Json) -> str | None:
    """A line to read, if it is one."""
    if not isinstance(given, str):
        return None
    line = "".join(letter for letter in given if letter.isprintable()).strip()
    return line[:200].strip() or None
