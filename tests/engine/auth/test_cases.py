"""Black-box cases of authorization servers that went wrong elsewhere; each test's docstring names the case."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlmodel import col, select
from starlette.applications import Starlette
from starlette.testclient import TestClient

from engine.auth.context import AuthContext
from engine.auth.granting import grants, metadata, registered
from engine.auth.granting.registered import Registration
from engine.auth.tokens import hashed
from engine.store.access import GrantRow, RefreshRow, TokenRow
from tests.engine.auth.conftest import BASE, CALLBACK, App, House, Person, answered, key_in

FORM = "application/x-www-form-urlencoded"


def basic(name: str | bytes, secret: str | bytes, scheme: str = "Basic") -> str:
    """An Authorization header."""
    given = b":".join(part.encode() if isinstance(part, str) else part for part in (name, secret))
    return f"{scheme} {base64.b64encode(given).decode()}"


def redeemed(app: App, code: str, authorization: str | None, **changes: str) -> Any:
    """A code for tokens, with credentials in a header."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": app.callback,
        "code_verifier": app.verifier,
        **changes,
    }
    headers = {} if authorization is None else {"authorization": authorization}
    return app.house.http.post("/token", data=form, headers=headers)


def resource_in(house: House, token: str) -> str:
    """The resource that the database has of an access token."""
    row = house.context.store.read(lambda tx: tx.db.get(TokenRow, hashed(token)))
    assert row is not None
    return row.resource


def raced(house: House, asked: Callable[[], Any], grant_id: int) -> Any:
    """What a client is answered while somebody ends its grant."""
    meeting = Barrier(2)

    def ask() -> Any:
        meeting.wait(timeout=20)
        return asked()

    def stop() -> None:
        meeting.wait(timeout=20)
        house.context.store.write(lambda tx: grants.end(tx, grant_id))

    with ThreadPoolExecutor(2) as pool:
        answer, stopped = pool.submit(ask), pool.submit(stop)
        stopped.result()
        return answer.result().json()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_client_with_basic_gets_tokens(house: House, ada: Person, scheme: str) -> None:
    """Conformance: basic; 0.9.0: the scheme is read in any case."""
    app = house.client(token_endpoint_auth_method="client_secret_basic")
    assert app.secret is not None
    assert redeemed(app, app.code(ada), basic(app.id, app.secret, scheme)).status_code == 200
    again = redeemed(app, app.code(ada), basic(quote(app.id, safe=""), quote(app.secret, safe="")), client_id=app.id)
    assert again.status_code == 200


@pytest.mark.parametrize("method", ["client_secret_post", "none"])
def test_client_with_post_or_none_gets_tokens(house: House, ada: Person, method: str) -> None:
    """Conformance: post, none."""
    app = house.client(token_endpoint_auth_method=method)
    assert (app.secret is None) is (method == "none")
    assert app.redeem(app.code(ada)).status_code == 200


def test_failure_of_client_authentication_does_not_consume_the_code(house: House, ada: Person) -> None:
    """Conformance: client-auth failure does not consume the code; 0.9.0: the registered method is enforced."""
    app = house.client(token_endpoint_auth_method="client_secret_basic")
    assert app.secret is not None
    code = app.code(ada)
    refused = [
        redeemed(app, code, basic(app.id, "guessed")),
        redeemed(app, code, basic(app.id, "")),
        redeemed(app, code, None, client_id=app.id),
        redeemed(app, code, None, client_id=app.id, client_secret=app.secret),
        redeemed(app, code, basic(app.id, app.secret), client_id="another"),
    ]
    assert {(answer.status_code, answer.json()["error"]) for answer in refused} == {(401, "invalid_client")}
    assert redeemed(app, code, basic(app.id, app.secret)).status_code == 200


@pytest.mark.parametrize(
    "value",
    [
        basic(b"\xff\xfe", b"x"),
        basic(b"\x00", b"x"),
        basic(b"x", b"\x00"),
        basic("%00", "%00"),
        basic("%ff", "%ff"),
        "Basic \xe9\xe9",
        "Basic",
        "Basic ====",
        basic("x" * 4000, "x" * 4000),
        basic("", ""),
        "Digest username=x",
    ],
)
def test_credentials_that_are_none_are_an_invalid_client(house: House, app: App, value: str) -> None:
    """0.9.0: malformed Basic is 401 invalid_client with a Basic challenge, and no way to pass as a public client."""
    for path in ("/token", "/revoke", "/introspect"):
        form = {"client_id": app.id, "grant_type": "authorization_code", "token": "x"}
        answer = house.http.post(path, data=form, headers={b"authorization": value.encode("latin-1")})
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), path
        assert answer.headers["www-authenticate"].startswith("Basic ")


def test_auth_method_mismatch_at_revocation_revokes_nothing(house: House, ada: Person) -> None:
    """Conformance: auth-method mismatch at revocation."""
    app = house.client(token_endpoint_auth_method="client_secret_post")
    tokens = app.tokens(ada)
    for form in ({"client_id": app.id}, {"client_id": app.id, "client_secret": "guessed"}):
        refused = house.http.post("/revoke", data={**form, "token": tokens["refresh_token"]})
        assert refused.json()["error"] == "invalid_client"
    assert app.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a:b:c:d", "x" * 60_000, "\U0001f332", "tka_", "%00", "' or 1=1 --"])
def test_revocation_of_whatever_it_is_is_no_error(house: House, app: App, token: str) -> None:
    """0.0.7: revocation answered 500; 0.8.0: junk revoked a grant."""
    for hint in ({}, {"token_type_hint": "refresh_token"}, {"token_type_hint": "unheard_of"}):
        answer = house.http.post("/revoke", data={"client_id": app.id, "token": token, **hint})
        assert answer.status_code == (200 if token else 400)


@pytest.mark.parametrize("kind", [FORM + "x", "text/plain", "multipart/form-data", "application/json", "", "x" * 500])
def test_body_of_another_media_type_is_refused(house: House, kind: str) -> None:
    """0.8.3: a loose Content-Type crashed."""
    for path in ("/token", "/revoke", "/introspect"):
        answer = house.http.post(path, content=b"grant_type=refresh_token", headers={"content-type": kind})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_media_type_may_have_parameters_and_any_case(house: House, app: App) -> None:
    """0.8.3: strict about the type, and about nothing else."""
    for kind in (FORM + "; charset=utf-8", FORM.upper()):
        body = f"grant_type=refresh_token&refresh_token=x&client_id={app.id}"
        answer = house.http.post("/token", content=body, headers={"content-type": kind})
        assert answer.json()["error"] == "invalid_grant"


def test_confidential_client_needs_pkce_too(house: House, ada: Person) -> None:
    """0.9.0: a client without PKCE was accepted; CVE-2025-4144: PKCE could be skipped."""
    app = house.client(token_endpoint_auth_method="client_secret_post")
    bare = answered(ada.browser.get(app.address(code_challenge=None, code_challenge_method=None)))
    assert bare["error"] == "invalid_request"
    code = app.code(ada)
    assert app.redeem(code, code_verifier=None).json()["error"] == "invalid_request"
    assert app.redeem(code, code_verifier=app.challenge).json()["error"] == "invalid_grant"
    assert app.redeem(code).status_code == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"scope": "moon:walk"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, "invalid_target"),
        ({"code_challenge": None}, "invalid_request"),
        ({"state": "x" * 4001}, "invalid_request"),
    ],
)
def test_issuer_is_there_once_in_every_terminal_error(
    house: House, ada: Person, changes: dict[str, str | None], error: str
) -> None:
    """Conformance: iss exactly once in success and terminal errors; what the redirect URI has stays."""
    app = house.client(redirect_uris=["https://app.example/cb?keep=a%20b"])
    told = answered(ada.browser.get(app.address(**changes)))
    assert (told["error"], told["iss"], told["keep"]) == (error, BASE, "a b") and "code" not in told
    assert told.get("state") == (None if "state" in changes else "xyz")
    given = answered(ada.decide(app.address()))
    assert (given["iss"], given["state"], given["keep"]) == (BASE, "xyz", "a b")


@pytest.mark.parametrize("name", ["iss", "code", "state", "error", "%69ss"])
def test_redirect_uri_brings_no_part_of_the_answer_along(house: House, name: str) -> None:
    """Conformance: iss exactly once, also where a client would have its own."""
    answer = house.http.post("/register", json={"redirect_uris": [f"https://app.example/cb?{name}=x"]})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_redirect_uri")


def test_answer_to_a_browser_is_kept_by_no_cache(ada: Person, app: App) -> None:
    """0.8.0: missing no-store."""
    for decision in ("allow", "deny"):
        assert ada.decide(app.address(), decision).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("resource", "bound"),
    [
        ([], BASE),
        ([BASE + "/"], BASE),
        ([f"{BASE}/mcp"], BASE),
        ([f"{BASE}/mcp", f"{BASE}/mcp"], BASE),
        ([f"{BASE}/worlds/desk/mcp/"], f"{BASE}/worlds/desk/mcp"),
        ([f"{BASE.replace('http', 'HTTP')}/worlds/desk/mcp"], f"{BASE}/worlds/desk/mcp"),
    ],
)
def test_resource_is_canonical_defaults_to_all_and_is_inherited(
    house: House, ada: Person, resource: list[str], bound: str
) -> None:
    """Conformance: canonical resource default, inherit."""
    app = house.client()
    address = app.address() + "".join(f"&resource={quote(one, safe='')}" for one in resource)
    first = app.redeem(answered(ada.decide(address))["code"]).json()
    second = app.refresh(first["refresh_token"]).json()
    for token in (first["access_token"], second["access_token"]):
        assert resource_in(house, token) == bound


def test_several_endpoints_are_no_resource_of_one_token(house: House, ada: Person, app: App) -> None:
    """RFC 8707: mismatch is invalid_target before the code is consumed."""
    two = [f"{BASE}/worlds/desk/mcp", f"{BASE}/worlds/safe/mcp"]
    address = app.address() + "".join(f"&resource={one}" for one in two)
    assert answered(ada.browser.get(address))["error"] == "invalid_target"
    code = app.code(ada)
    form: dict[str, Any] = {
        "grant_type": "authorization_code", "code": code, "client_id": app.id, "redirect_uri": CALLBACK,
        "code_verifier": app.verifier,
    }  # fmt: skip
    assert house.http.post("/token", data={**form, "resource": two}).json()["error"] == "invalid_target"
    assert house.http.post("/token", data={**form, "resource": [two[0]] * 2}).status_code == 200


def test_client_that_was_registered_beforehand_gets_tokens(house: House, ada: Person) -> None:
    """Conformance: pre-registered."""
    wanted = Registration(name="Beforehand", redirect_uris=(CALLBACK,))
    row, _ = house.context.store.write(lambda tx: registered.register(tx, wanted))
    assert App(house, row.id, None, CALLBACK).tokens(ada)["token_type"] == "Bearer"


def test_client_without_the_refresh_grant_gets_no_refresh_token(house: House, ada: Person) -> None:
    """0.9.0: what a client registered is what it may."""
    app = house.client(grant_types=["authorization_code"])
    tokens = app.tokens(ada)
    assert "refresh_token" not in tokens
    assert app.refresh("tkr_guessed").json()["error"] == "unauthorized_client"


def test_consent_is_to_what_was_shown(house: House, ada: Person, app: App) -> None:
    """0.0.12: an open redirect came with the decision; a form of another browser decides nothing."""
    page = ada.browser.get(app.address(scope="desk:read"))
    form = {"key": key_in(page), "decision": "allow", "scope": ["desk:read", "desk:write"]}
    elsewhere = ada.browser.post(app.address(redirect_uri="https://evil.example/cb"), data=form)
    assert elsewhere.status_code == 400 and "location" not in elsewhere.headers
    other = house.person("eve").browser.post(app.address(scope="desk:read"), data=form)
    assert other.status_code == 403
    code = answered(ada.browser.post(app.address(scope="desk:read"), data=form))["code"]
    assert app.redeem(code).json()["scope"] == "desk:read"


def test_browsers_may_ask_for_metadata_with_the_version_of_mcp(house: House) -> None:
    """Clients in browsers: a preflight comes before a request with MCP-Protocol-Version."""
    asked = {"origin": "https://app.example", "access-control-request-headers": "mcp-protocol-version"}
    for path in metadata.WELL_KNOWN:
        preflight = house.http.options(path, headers={**asked, "access-control-request-method": "GET"})
        assert preflight.status_code == 204
        assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]
        assert house.http.get(path).headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_issuer_with_a_path_is_found_where_the_rfc_has_it(house: House) -> None:
    """SDK: only root metadata was there (RFC 8414, section 3.1)."""
    base = "https://example.com/games"
    context = AuthContext(house.context.store, house.context.registry, base)
    with TestClient(Starlette(routes=metadata.routes(context))) as http:
        for path in (*metadata.WELL_KNOWN, *(known + "/games" for known in metadata.WELL_KNOWN)):
            found = http.get(path).json()
            assert found["issuer"] == base and found["token_endpoint"] == f"{base}/token"


def test_metadata_tells_what_is_true(house: House, ada: Person) -> None:
    """0.9.1: endpoints were advertised that were none."""
    found = house.http.get("/.well-known/oauth-authorization-server").json()
    for name, url in found.items():
        if name.endswith("_endpoint") and name != "authorization_endpoint":
            assert house.http.post(urlsplit(url).path).status_code in (400, 401), name
    assert set(found["token_endpoint_auth_methods_supported"]) == {"none", "client_secret_basic", "client_secret_post"}
    for method in found["token_endpoint_auth_methods_supported"]:
        house.client(token_endpoint_auth_method=method)
    assert "plain" not in found["code_challenge_methods_supported"]
    assert {"jwks_uri", "userinfo_endpoint", "registration_client_uri"}.isdisjoint(found)


def test_codes_go_by_query_and_not_by_get(house: House, ada: Person, app: App) -> None:
    """The token endpoint takes POST alone, so that no code or token stands in an address."""
    for path in ("/token", "/revoke", "/introspect", "/register"):
        assert house.http.get(f"{path}?grant_type=authorization_code&code=x").status_code == 405
    location = ada.decide(app.address()).headers["location"]
    assert not urlsplit(location).fragment and "code" in parse_qs(urlsplit(location).query)


def test_grant_that_ends_during_a_refresh_or_a_redemption_leaves_no_token(house: House, ada: Person, app: App) -> None:
    """3.3.1: redemption and rotation are no read-modify-write: whoever ends a grant sees every token of it."""
    newest = select(GrantRow.id).order_by(col(GrantRow.id).desc()).limit(1)
    for turn in range(8):
        code = app.code(ada)
        grant_id = house.context.store.read(lambda tx: tx.db.exec(newest).one()) or 0
        if turn % 2:
            token = app.redeem(code).json()["refresh_token"]
            answer = raced(house, partial(app.refresh, token), grant_id)
        else:
            answer = raced(house, partial(app.redeem, code), grant_id)
        if "error" not in answer:
            assert house.call(answer["access_token"], "desk_look").status_code == 401
    left = select(TokenRow.hash).where(col(TokenRow.grant_id).is_not(None))
    assert house.context.store.read(lambda tx: tx.db.exec(left).all()) == []


def test_refresh_token_that_was_swept_is_unknown_and_no_error(house: House, ada: Person, app: App) -> None:
    """0.8.1: a refresh close to its expiry crashed."""
    token = app.tokens(ada)["refresh_token"]
    row = house.context.store.read(lambda tx: tx.db.get(RefreshRow, hashed(token)))
    assert row is not None
    house.context.store.write(lambda tx: tx.run(RefreshRow.__table__.delete()))  # type: ignore[attr-defined]
    rotated = house.context.store.write(
        lambda tx: grants.rotate(tx, house.context, token, row.grant_id, BASE, "desk:read")
    )
    assert rotated is None and app.refresh(token).json()["error"] == "invalid_grant"
