"""authlib's client of one provider, which believes no more of what it is told than it has to.

authlib takes a provider's metadata for options of its own client, and whatever
algorithms it lists; so what comes in is picked and checked before.
"""

import ssl
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any

from authlib.integrations.starlette_client import StarletteIntegration, StarletteOAuth2App
from joserfc import jwk
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError

from engine.auth.upstream.bounded import USUAL, BoundedClient, Bounds, Misbehaved
from engine.auth.upstream.identities import Identity, Nobody, identity_of
from engine.auth.upstream.providers import Endpoints, Kind, Provider, is_safe
from engine.types import Json

ASYMMETRIC = tuple("RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 Ed25519 Ed448".split())
"""What an ID token may be signed with: what only its issuer can, not whoever can check it."""
BELIEVED_SECONDS = 3600.0
"""How long metadata and keys are kept: a key that was taken back is one no more after that."""
LEEWAY_SECONDS = 60
"""How far the provider's clock may be from ours."""
_KEY_TYPES = ("RSA", "EC", "OKP")


class ProviderApp(StarletteOAuth2App):  # type: ignore[misc]
    """A provider, as authlib asks it. What it does wrong is raised as Misbehaved."""

    client_cls = BoundedClient

    def __init__(self, provider: Provider, bounds: Bounds = USUAL) -> None:
        options = {
            "scope": provider.scope,
            "code_challenge_method": "S256",
            "bounds": bounds,
            "verify": ssl.create_default_context(),  # once: it takes a while, and there is a client for each request
        }
        super().__init__(
            StarletteIntegration(provider.name),
            provider.name,
            client_id=provider.client_id,
            client_secret=provider.client_secret,
            client_kwargs=options,
            user_agent="turnkeeper",
        )
        self.provider = provider
        self.names_itself = False
        """Whether the provider says that its answers have `iss` (RFC 9207)."""
        self._until = 0.0

    async def load_server_metadata(self) -> dict[str, Any]:
        """What is to know of the provider, fetched if that was not done of late."""
        if monotonic() >= self._until:
            endpoints = self.provider.endpoints
            self.server_metadata = await self._discovered() if endpoints is None else _known(endpoints)
            self._until = monotonic() + BELIEVED_SECONDS
        return self.server_metadata

    async def fetch_jwk_set(self, force: bool = False) -> dict[str, Any]:
        """The provider's keys that sign; with `force` as they are now."""
        metadata = await self.load_server_metadata()
        if force or "jwks" not in metadata:
            found = (await self._json(metadata["jwks_uri"])).get("keys")
            keys = [key for key in found if _signs(key)] if isinstance(found, list) else []
            if not keys:
                raise Misbehaved("has no key that we know what to do with")
            metadata["jwks"] = {"keys": keys}
        return metadata["jwks"]  # type: ignore[no-any-return]

    async def parse_id_token(self, token: Mapping[str, Any], nonce: str, **options: Any) -> dict[str, Json]:
        """The claims of an ID token that is for us, of now and of this sign-in (OpenID Connect Core 1.0, 3.1.3.7)."""
        if not isinstance(token.get("id_token"), str):
            raise Misbehaved("gave no ID token")
        claims = {
            "iss": {"essential": True, "value": self.provider.issuer},
            "aud": {"essential": True, "value": self.client_id},
        }
        try:
            return dict(await super().parse_id_token(token, nonce=nonce, claims_options=claims, leeway=LEEWAY_SECONDS))
        except ClaimError as error:
            raise Misbehaved(f"gave an ID token whose {error.claim} is not right") from error
        except InvalidKeyIdError as error:
            raise Misbehaved("gave an ID token that none of its keys signed") from error
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise Misbehaved("gave an ID token that cannot be believed") from error

    async def identity(self, token: Mapping[str, Any]) -> Identity:
        """Whom the provider's answer at the token endpoint is about."""
        try:
            if self.provider.endpoints is None:
                return await self._by_id_token(token)
            return await self._by_endpoint(token, self.provider.endpoints)
        except Nobody as error:
            raise Misbehaved(f"does not go on: {error}") from error

    async def _by_id_token(self, token: Mapping[str, Any]) -> Identity:
        claims = token.get("userinfo")
        if not isinstance(claims, dict):
            raise Misbehaved("gave no ID token")
        address = (await self.load_server_metadata()).get("userinfo_endpoint")
        if address is not None and "email" not in claims:
            more = await self._json(address, token)
            if more.get("sub") != claims["sub"]:  # OpenID Connect Core 1.0, section 5.3.2
                raise Misbehaved("says of somebody else who signed in")
            claims = {**more, **claims}
        return identity_of(self.provider.issuer, claims)

    async def _by_endpoint(self, token: Mapping[str, Any], endpoints: Endpoints) -> Identity:
        claims, mail = await self._json(endpoints.user, token), None
        if self.provider.kind is Kind.GITHUB:  # its names can be given to somebody else, its numbers cannot
            claims = {name: value for name, value in claims.items() if name not in ("sub", "email", "email_verified")}
        if endpoints.mail is not None:
            mail = _own_mail(await self._fetched(endpoints.mail, token))
        return identity_of(self.provider.issuer, claims, mail)

    async def _discovered(self) -> dict[str, Any]:
        """What the provider says of itself at the address that follows from its issuer (RFC 8414, OpenID Discovery)."""
        issuer = self.provider.issuer
        found = await self._json(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != issuer:
            raise Misbehaved(f"calls itself {str(found.get('issuer'))[:200]!r}, and not {issuer!r} as set here")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe(found.get(name)):
                raise Misbehaved(f"has no {name} that is safe to use")
        listed = _words(found.get("id_token_signing_alg_values_supported")) or ("RS256",)
        algorithms = [one for one in ASYMMETRIC if one in listed]
        if not algorithms:
            raise Misbehaved("signs in no way that only it can")
        methods = _words(found.get("token_endpoint_auth_methods_supported")) or ("client_secret_basic",)
        self.names_itself = found.get("authorization_response_iss_parameter_supported") is True
        return {
            **{name: found[name] for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")},
            **({"userinfo_endpoint": found["userinfo_endpoint"]} if is_safe(found.get("userinfo_endpoint")) else {}),
            "id_token_signing_alg_values_supported": algorithms,
            "token_endpoint_auth_method": _method(self.client_secret, methods),
        }

    async def _json(self, url: str, token: Mapping[str, Any] | None = None) -> dict[str, Any]:
        found = await self._fetched(url, token)
        if not isinstance(found, dict):
            raise Misbehaved("answered something else than was asked for")
        return found

    async def _fetched(self, url: str, token: Mapping[str, Any] | None = None) -> Any:
        """A JSON value, asked for with what an access token opens if one is given (RFC 6750, section 2.1)."""
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {_bearer(token)}"
        async with self._get_session() as client:
            response = await client.request("GET", url, withhold_token=True, headers=headers)
        if response.status_code != 200:
            raise Misbehaved(f"answered {response.status_code}")
        try:
            return response.json()
        except (ValueError, RecursionError):
            raise Misbehaved("answered something that is no JSON") from None


def _known(endpoints: Endpoints) -> dict[str, Any]:
    return {
        "authorization_endpoint": endpoints.authorize,
        "token_endpoint": endpoints.token,
        "token_endpoint_auth_method": "client_secret_post",
    }


def _method(secret: str | None, supported: Sequence[str]) -> str:
    """How we say at the token endpoint who we are (RFC 6749, section 2.3)."""
    if secret is None:
        return "none"
    return next((one for one in ("client_secret_basic", "client_secret_post") if one in supported), supported[0])


def _signs(key: object) -> bool:
    """Whether something is a public key for signatures that we understand; others are passed over (RFC 7517, 5)."""
    if not isinstance(key, dict) or key.get("kty") not in _KEY_TYPES or key.get("use", "sig") != "sig":
        return False
    try:
        return bool(jwk.import_key(key))
    except (JoseError, ValueError, TypeError, KeyError):
        return False


def _own_mail(found: object) -> str | None:
    """The address that GitHub found to be somebody's, and that they call their first."""
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and one.get("primary") is True and one.get("verified") is True:
            return one["email"] if isinstance(one.get("email"), str) else None
    return None


def _bearer(token: Mapping[str, Any]) -> str:
    found = token.get("access_token")
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or " " in found:
        raise Misbehaved("gave no access token that can be used")
    return found


def _words(given: object) -> tuple[str, ...]:
    return tuple(one for one in given if isinstance(one, str)) if isinstance(given, list) else ()
