"""Whatever a provider answers and whatever an address carries, a page comes of it, and nobody comes in by it."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.auth.conftest import House
from tests.engine.auth.upstream.conftest import HouseOf, Visitor, visitor
from tests.engine.auth.upstream.standin import StandIn

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
FEW = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WORDS = st.text(max_size=20) | st.sampled_from(
    ["RS256", "none", "Bearer", "https://[", "http://127.0.0.1:1/", "\ud800"]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
JSON = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=8,
)
METADATA = """issuer authorization_endpoint token_endpoint jwks_uri userinfo_endpoint
    id_token_signing_alg_values_supported token_endpoint_auth_methods_supported
    authorization_response_iss_parameter_supported _loaded_at jwks""".split()
TOKEN = "access_token refresh_token token_type expires_in expires_at scope id_token error error_description".split()
CLAIMS = "iss sub aud exp iat nbf nonce azp at_hash amr auth_time name email email_verified jti".split()
KEY = "kty kid use alg key_ops n e crv x y k d x5c".split()


def of(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these names with whatever."""
    return st.dictionaries(st.sampled_from(names), JSON, max_size=4)


def tried(house: House, corp: StandIn) -> int:
    """What somebody is answered who goes there and, if they get there, back."""
    ada = visitor(house)
    answer = ada.browser.get("/login/corp")
    if answer.status_code == 302 and answer.headers["location"].startswith(corp.issuer):
        answer = ada.comes()
    assert answer.status_code in (302, 303, 502), answer.text
    return answer.status_code


@FEW
@given(changes=of(METADATA))
def test_metadata_of_whatever_kind(house_of: HouseOf, corp: StandIn, changes: dict[str, Any]) -> None:
    corp.metadata = changes
    with house_of(corp=corp.settings()) as house:
        tried(house, corp)


@FEW
@given(keys=JSON | st.lists(of(KEY), max_size=3))
def test_keys_of_whatever_kind(house_of: HouseOf, corp: StandIn, keys: Any) -> None:
    corp.keys = keys
    with house_of(corp=corp.settings()) as house:
        assert tried(house, corp) == 502


@FEW
@given(token=of(TOKEN))
def test_token_answer_of_whatever_kind(house: House, corp: StandIn, token: dict[str, Any]) -> None:
    corp.token = token
    tried(house, corp)


@FEW
@given(claims=of(CLAIMS).map(lambda found: {name: value for name, value in found.items() if value is not None}))
def test_claims_of_whatever_kind(house: House, corp: StandIn, claims: dict[str, Any]) -> None:
    corp.claims = claims
    came = tried(house, corp)
    if {"iss", "aud", "nonce"} & {name for name, value in claims.items() if name != "aud" or value != []}:
        assert came == 502


@FEW
@given(header=st.dictionaries(st.sampled_from("kid typ crit b64 jku jwk x5u cty zip".split()), JSON, max_size=3))
def test_headers_of_whatever_kind(house: House, corp: StandIn, header: dict[str, Any]) -> None:
    corp.header = header
    tried(house, corp)


@FEW
@given(user=JSON, mails=JSON)
def test_github_of_whatever_kind(house_of: HouseOf, corp: StandIn, user: Any, mails: Any) -> None:
    corp.user, corp.mails = user, mails
    corp.answers["/login/oauth/access_token"] = lambda to: to.says(corp.redeemed(to.form))
    with house_of(corp=corp.settings(kind="github")) as house:
        tried(house, corp)


NAMES = st.sampled_from("code state iss error error_description id_token session_state".split())


@FEW
@given(query=st.lists(st.tuples(NAMES, st.text(max_size=30)), max_size=6))
def test_callback_of_whatever_kind(house: House, corp: StandIn, query: list[tuple[str, str]]) -> None:
    ada: Visitor = visitor(house)
    path = ada.there()
    encoded = urlencode(query, errors="surrogatepass")
    assert ada.browser.get(f"/login/corp/callback?{encoded}").status_code in (400, 403)
    assert ada.browser.get(f"{path}&{encoded}").status_code in (303, 400, 403, 502)


@FEW
@given(onwards=st.text(max_size=60))
def test_way_on_of_whatever_kind(house: House, corp: StandIn, onwards: str) -> None:
    ada: Visitor = visitor(house)
    answer = ada.browser.get(f"/login/corp?{urlencode({'next': onwards}, errors='surrogatepass')}")
    assert answer.status_code == 302 and answer.headers["location"].startswith(f"{corp.issuer}/authorize?")
