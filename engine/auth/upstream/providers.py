"""Providers at which people sign in: of OpenID Connect by an issuer, GitHub, other OAuth servers by their endpoints."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from engine.auth.granting import redirects
from engine.errors import Refused
from engine.settings import ProviderSettings

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_ISSUERS = {"google": "https://accounts.google.com", "github": "https://github.com"}
_LABELS = {"google": "Google", "github": "GitHub"}
GITHUB_API = "https://api.github.com"


class Kind(StrEnum):
    """How a provider says who somebody is."""

    OIDC = "oidc"
    """By an ID token; everything else follows from its issuer (OpenID Connect Discovery 1.0)."""
    GITHUB = "github"
    """By GitHub's interface, at github.com or an enterprise's own."""
    OAUTH = "oauth"
    """By a JSON object with `sub` or `id` at an address that takes the access token."""


_SCOPES = {Kind.OIDC: "openid email profile", Kind.GITHUB: "read:user user:email", Kind.OAUTH: ""}


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where a provider without discovery is asked; `mail` lists a person's addresses."""

    authorize: str
    token: str
    user: str
    mail: str | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider: `name` is its place in our addresses, `label` what people read, `issuer` what its people are of."""

    name: str
    label: str
    kind: Kind
    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    scope: str = ""
    endpoints: Endpoints | None = None

    @property
    def path(self) -> str:
        """Where a browser goes to sign in there."""
        return f"/login/{self.name}"


def providers_of(given: Mapping[str, ProviderSettings]) -> tuple[Provider, ...]:
    """The providers of the settings, by name. Raises Refused."""
    return tuple(_provider(name.lower(), settings) for name, settings in sorted(given.items()))


def _provider(name: str, settings: ProviderSettings) -> Provider:
    if _NAME.fullmatch(name) is None:
        raise _wrong(name, "", "its name stands in an address", "Use up to 32 letters, digits, - and _.")
    kind = Kind(settings.kind or ("github" if name == "github" else "oidc"))
    issuer = settings.issuer or _ISSUERS.get("github" if kind is Kind.GITHUB else name)
    if issuer is None:
        raise _wrong(name, "ISSUER", "it is not set", "Set it to the address that the provider calls its issuer.")
    _insist_on_safe(name, "ISSUER", issuer, issuer=True)
    scope = _SCOPES[kind] if settings.scope is None else settings.scope
    if kind is Kind.OIDC and "openid" not in scope.split():
        raise _wrong(name, "SCOPE", "openid is not in it", f"Add it: {_SCOPES[kind]}.")
    secret = settings.client_secret
    return Provider(
        name=name,
        label=settings.label or _LABELS.get(name, name.capitalize()),
        kind=kind,
        issuer=issuer,
        client_id=settings.client_id,
        client_secret=None if secret is None else secret.get_secret_value().strip() or None,
        scope=scope,
        endpoints=None if kind is Kind.OIDC else _endpoints(name, kind, issuer.rstrip("/"), settings),
    )


def _endpoints(name: str, kind: Kind, issuer: str, settings: ProviderSettings) -> Endpoints:
    given = (settings.authorize_url, settings.token_url, settings.user_url)
    if kind is Kind.GITHUB:
        api = GITHUB_API if issuer == _ISSUERS["github"] else f"{issuer}/api/v3"
        oauth = f"{issuer}/login/oauth"
        return Endpoints(f"{oauth}/authorize", f"{oauth}/access_token", f"{api}/user", f"{api}/user/emails")
    for which, url in zip(("AUTHORIZE_URL", "TOKEN_URL", "USER_URL"), given, strict=True):
        if url is None:
            raise _wrong(name, which, "it is not set", "A provider of the kind oauth needs all three addresses.")
        _insist_on_safe(name, which, url)
    authorize, token, user = (url or "" for url in given)
    return Endpoints(authorize, token, user)


def _insist_on_safe(name: str, which: str, url: str, *, issuer: bool = False) -> None:
    if not is_safe(url) or (issuer and "?" in url):
        raise _wrong(name, which, f"{url!r} is none", "Write an https:// address, without user and fragment.")


def is_safe(url: object) -> bool:
    """Whether an address is one of https, or of this machine, that names no user and has no fragment."""
    return isinstance(url, str) and url.startswith(("https://", "http://")) and redirects.unsound(url) is None


def _wrong(name: str, which: str, what: str, hint: str) -> Refused:
    setting = f"TURNKEEPER_PROVIDERS__{name.upper()}" + (f"__{which}" if which else "")
    return Refused("unusable_provider", f"{setting}: {what}.", hint=hint)
