"""Who may come in from a provider: nobody, until the operator says who (`TURNKEEPER_ALLOW`).

Entries are separated by commas or line ends: `ada@example.org`, `@example.org`, and for one provider alone
`google:ada@example.org`, `google:@example.org`, `google:sub=1234`, `corp:groups=players`, `corp:*`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import unquote

from engine.auth.upstream.identities import Identity
from engine.errors import Refused
from engine.types import Json

_CLAIM = re.compile(r"(?P<claim>[^=@\s][^=@]*)=(?P<value>.+)")
_PROVIDER = re.compile(r"(?P<provider>[A-Za-z0-9_-]+):(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class Rule:
    """One entry: whoever fits all that it says. Without a `provider` it is for those of each."""

    provider: str | None = None
    mail: str | None = None
    domain: str | None = None
    claim: str | None = None
    value: str | None = None

    def fits(self, provider: str, who: Identity) -> bool:
        """Whether somebody is meant."""
        mail = (who.mail or "").lower()
        return (
            self.provider in (None, provider)
            and (self.mail is None or self.mail == mail)
            and (self.domain is None or self.domain == mail.rpartition("@")[2])
            and (self.claim is None or self.value in _said(who, self.claim))
        )


@dataclass(frozen=True, slots=True)
class Allowing:
    """Who is let in: whoever fits one of the rules."""

    rules: tuple[Rule, ...] = ()

    def allows(self, provider: str, who: Identity) -> bool:
        """Whether somebody of a provider may come in."""
        return any(rule.fits(provider, who) for rule in self.rules)

    def lets_in_from(self, provider: str) -> bool:
        """Whether there is anybody of a provider who may."""
        return any(rule.provider in (None, provider) for rule in self.rules)


NOBODY = Allowing()


def allowing_of(given: str, providers: Collection[str]) -> Allowing:
    """What the setting says. Raises Refused."""
    entries = (entry.strip() for entry in given.replace("\n", ",").split(","))
    return Allowing(tuple(_rule(entry, providers) for entry in entries if entry))


def _rule(entry: str, providers: Collection[str]) -> Rule:
    match = _PROVIDER.fullmatch(entry)
    provider, rest = (None, entry) if match is None else (match["provider"].lower(), match["rest"].strip())
    if provider is not None and provider not in providers:
        known = f"There are: {', '.join(providers)}." if providers else "There is none; see TURNKEEPER_PROVIDERS."
        raise _wrong(entry, f"there is no provider {provider!r}", known)
    if rest == "*" and provider is not None:
        return Rule(provider)
    if (claim := _CLAIM.fullmatch(rest)) is not None:
        if provider is None:
            raise _wrong(entry, "what a claim means is up to its provider", f"Name it: google:{entry}.")
        return Rule(provider, claim=unquote(claim["claim"]).strip(), value=unquote(claim["value"]).strip())
    name, at, domain = rest.lower().rpartition("@")
    if not at or "." not in domain or "@" in name or any(map(str.isspace, rest)):
        hint = "Write ada@example.org, @example.org, google:sub=1234, google:hd=example.org or google:*."
        raise _wrong(entry, "it is no address, no domain and no claim", hint)
    return Rule(provider, mail=rest.lower()) if name else Rule(provider, domain=domain)


def _said(who: Identity, claim: str) -> Collection[str | None]:
    """What a provider said under a claim's name, or under a path of names with dots between."""
    found: Json = who.subject if claim == "sub" else _found(who, claim)
    values = found if isinstance(found, list) else [found]
    return [_word(value) for value in values if isinstance(value, str | int)]


def _found(who: Identity, claim: str) -> Json:
    if claim in who.claims:
        return who.claims[claim]
    found: Json = dict(who.claims)
    for name in claim.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _word(value: str | int) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(entry: str, what: str, hint: str) -> Refused:
    return Refused("unusable_rule", f"TURNKEEPER_ALLOW: {entry!r} lets nobody in: {what}.", hint=hint)
