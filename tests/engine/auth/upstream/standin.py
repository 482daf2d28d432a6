"""A stand-in for identity providers: a real HTTP server that signs people in, and lies as it is told to."""

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

from engine.settings import ProviderSettings

CLIENT, SECRET = "turnkeeper at the stand-in", "a:secret/with+signs"
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})
OTHER = RSAKey.generate_key(2048, {"kid": "rsa"})
"""A key of somebody else, under the name of ours."""
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
ACCESS, REFRESH = "upstream-access-token", "upstream-refresh-token"

Answer = Callable[["Handler"], None]


@dataclass
class StandIn:
    """A provider. What it says can be changed: `claims`, `metadata`, how it signs, and whole answers by path."""

    port: int
    claims: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    token: dict[str, Any] = field(default_factory=dict)
    userinfo: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=lambda: {"id": 583231, "login": "octocat", "name": None})
    mails: list[Any] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    sign: Callable[[dict[str, Any]], str] | None = None
    keys: list[Any] = field(default_factory=lambda: [RSA.as_dict(private=False), EC.as_dict(private=False)])
    names_itself: bool = True
    lax: bool = False
    """Whether it takes a code more than once."""
    error: str | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def issuer(self) -> str:
        """What it calls itself."""
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **changes: Any) -> ProviderSettings:
        """What an operator sets to have people sign in there."""
        given = {"issuer": self.issuer, "client_id": CLIENT, "client_secret": SECRET, **changes}
        return ProviderSettings.model_validate(given)

    def described(self) -> dict[str, Any]:
        """Its metadata."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": self.names_itself,
            **self.metadata,
        }

    def came(self, asked: Mapping[str, str]) -> str:
        """Where a browser is sent that comes to sign in: it is asked nothing."""
        code = secrets.token_urlsafe(8)
        self.codes[code] = dict(asked)
        given = {"state": asked["state"], **({"iss": self.issuer} if self.names_itself else {})}
        given |= {"code": code} if self.error is None else {"error": self.error}
        return f"{asked['redirect_uri']}?{urlencode(given)}"

    def redeemed(self, form: Mapping[str, str]) -> dict[str, Any] | None:
        """What it gives for a code: only with all that belongs to it."""
        asked = self.codes.get(form["code"]) if self.lax else self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["code_challenge_method"] != "S256":
            return None
        if asked["redirect_uri"] != form["redirect_uri"] or form["grant_type"] != "authorization_code":
            return None
        found = {"access_token": ACCESS, "refresh_token": REFRESH, "token_type": "Bearer", "expires_in": 3600}
        if "openid" in asked["scope"]:
            found["id_token"] = raw(self.said(asked), self.header) if self.sign is None else self.sign(self.said(asked))
        return {**found, **self.token}

    def said(self, asked: Mapping[str, str]) -> dict[str, Any]:
        """The claims of an ID token; those that are None are left out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": "248289761001",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": asked.get("nonce"),
            "name": "Ada Lovelace",
            "email": "Ada@Example.org",
            "email_verified": True,
            **self.claims,
        }
        return {name: value for name, value in claims.items() if value is not None}


class Handler(BaseHTTPRequestHandler):
    """Answers for a stand-in."""

    server: "Server"
    form: dict[str, str]

    def do_GET(self) -> None:
        """Pages, metadata, keys, and who somebody is."""
        one, path = self.server.standin, urlsplit(self.path).path
        one.asked.append(path)
        if path in one.answers:
            return one.answers[path](self)
        if path in ("/authorize", "/login/oauth/authorize"):
            return self.sends_on(one.came(dict(parse_qsl(urlsplit(self.path).query))))
        if path not in ("/.well-known/openid-configuration", "/jwks") and (
            self.headers["authorization"] != f"Bearer {ACCESS}"
        ):
            return self.says({"error": "invalid_token"}, 401)
        found: dict[str, Any] = {
            "/.well-known/openid-configuration": one.described(),
            "/jwks": {"keys": one.keys},
            "/userinfo": {"sub": "248289761001", **one.userinfo},
            "/api/v3/user": one.user,
            "/api/v3/user/emails": one.mails,
        }
        return self.says(found[path]) if path in found else self.says({}, 404)

    def do_POST(self) -> None:
        """Tokens."""
        one, path = self.server.standin, urlsplit(self.path).path
        one.asked.append(path)
        form = self.form = dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))
        if path in one.answers:
            return one.answers[path](self)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        posted = (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        if self.headers["authorization"] != f"Basic {basic}" and not posted:
            return self.says({"error": "invalid_client"}, 401)
        found = one.redeemed(form)
        return self.says({"error": "invalid_grant"}, 400) if found is None else self.says(found)

    def says(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer with JSON."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def sends_on(self, to: str) -> None:
        """Redirect."""
        self.says(b"", 302, {"Location": to})

    def dawdles(self) -> None:
        """Answer a byte at a time, for ever."""
        self.send_response(200)
        self.end_headers()
        while not self.server.standin.released.wait(0.02):
            self.wfile.write(b" ")

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The server of a stand-in."""

    standin: StandIn

    def handle_error(self, *args: object) -> None:
        """Whoever asks may hang up."""


@contextmanager
def standin() -> Iterator[StandIn]:
    """A provider on this machine."""
    with Server(("127.0.0.1", 0), Handler) as server:
        server.standin = StandIn(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.standin
        finally:
            server.standin.released.set()
            server.shutdown()
            thread.join()


def signed(claims: dict[str, Any], key: Key = RSA, alg: str = "RS256", **header: str) -> str:
    """An ID token by a key of the provider's, or of somebody's."""
    kid = {"kid": str(key.kid)} if key.kid else {}
    return jwt.encode({"alg": alg, **kid, **header}, claims, key)


def raw(claims: dict[str, Any], header: dict[str, Any]) -> str:
    """An ID token by the provider's key, whatever it says and is headed by."""
    assert RSA.private_key is not None
    text = f"{_encoded({'alg': 'RS256', 'kid': 'rsa', **header})}.{_encoded(claims)}"
    return f"{text}.{_base64(RSA.private_key.sign(text.encode(), PKCS1v15(), SHA256()))}"


def unsigned(claims: dict[str, Any]) -> str:
    """An ID token that nobody signed."""
    return f"{_encoded({'alg': 'none', 'kid': 'rsa'})}.{_encoded(claims)}."


def signed_with_public_key(claims: dict[str, Any]) -> str:
    """An ID token under HS256, whose key is what everybody knows: the public key of the provider's."""
    text = f"{_encoded({'alg': 'HS256', 'kid': 'rsa'})}.{_encoded(claims)}"
    return f"{text}.{_base64(hmac.new(RSA.as_pem(private=False), text.encode(), hashlib.sha256).digest())}"


def _encoded(value: object) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")
