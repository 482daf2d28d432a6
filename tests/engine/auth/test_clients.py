"""How a client becomes known: by registering itself, or by a document at its address."""

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.auth.granting import registration
from engine.auth.granting.redirects import fault
from engine.types import Json
from tests.engine.auth.conftest import BASE, CALLBACK, House, Person


def test_client_registers_itself_and_is_told_what_was_understood(house: House) -> None:
    answer = house.http.post(
        "/register",
        json={"client_name": "App", "redirect_uris": [CALLBACK], "scope": "desk:read", "logo_uri": "javascript:1"},
    )
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    found = answer.json()
    assert found["token_endpoint_auth_method"] == "client_secret_basic" and found["client_secret_expires_at"] == 0
    assert found["grant_types"] == ["authorization_code"] and found["scope"] == "desk:read"
    assert "logo_uri" not in found and "registration_client_uri" not in found


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uris": []}, "invalid_redirect_uri"),
        ({"redirect_uris": "x"}, "invalid_redirect_uri"),
        ({"redirect_uris": [CALLBACK] * 21}, "invalid_redirect_uri"),
        ({"redirect_uris": ["http://example.com/cb"]}, "invalid_redirect_uri"),
        ({"redirect_uris": [7]}, "invalid_redirect_uri"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
        ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
        ({"response_types": ["token"]}, "invalid_client_metadata"),
        ({"client_name": "two\nlines"}, "invalid_client_metadata"),
        ({"client_name": 7}, "invalid_client_metadata"),
    ],
)
def test_registration_that_cannot_be_is_refused(house: House, changes: dict[str, Json], error: str) -> None:
    answer = house.http.post("/register", json={"redirect_uris": [CALLBACK], **changes})
    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\tscript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "file:///etc/passwd",
        "mailto:a@b",
        "blob:https://x",
        "https://user:pass@example.com/cb",
        "https://example.com/cb#part",
        "https:///cb",
        "http://127.0.0.1.evil.example/cb",
        "//example.com/cb",
        "/cb",
        "",
        "https://example.com/\u202e",
        "https://[::1/cb",
        "https://example.com:port/cb",
        "https://example.com\\@evil.example/cb",
    ],
)
def test_redirect_uri_that_leads_astray_is_refused(uri: str) -> None:
    assert fault(uri) is not None


@pytest.mark.parametrize(
    "uri",
    ["https://example.com/cb?x=1", "http://localhost/cb", "http://[::1]:7/cb", "cursor://anysphere/cb", "com.app:/cb"],
)
def test_redirect_uri_of_an_honest_client_is_taken(uri: str) -> None:
    assert fault(uri) is None


def test_registrations_are_limited_in_size_and_number(house: House) -> None:
    long = house.http.post("/register", json={"redirect_uris": [CALLBACK], "padding": "x" * 20_000})
    assert long.status_code == 413
    body = {"redirect_uris": [CALLBACK]}
    statuses = [house.http.post("/register", json=body).status_code for _ in range(registration.MOST_AN_HOUR + 1)]
    assert statuses.count(201) == registration.MOST_AN_HOUR and statuses[-1] == 429
    house.context.store.offset = timedelta(hours=1, seconds=1)
    assert house.http.post("/register", json=body).status_code == 201


def test_client_that_nobody_used_is_forgotten(house: House, ada: Person) -> None:
    app = house.client()
    house.context.store.offset = timedelta(days=91)
    ada.sign_in()
    assert ada.browser.get(app.address()).status_code == 400


@pytest.mark.parametrize("path", ["/token", "/register", "/revoke", "/introspect"])
def test_clients_in_browsers_may_ask(house: House, path: str) -> None:
    preflight = house.http.options(path, headers={"origin": "https://app.example"})
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in preflight.headers


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
METADATA = st.dictionaries(
    st.sampled_from(["client_name", "redirect_uris", "grant_types", "response_types", "scope", "client_uri"])
    | st.just("token_endpoint_auth_method"),
    VALUES,
)


@given(metadata=METADATA)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_metadata_brings_the_server_down(house: House, metadata: dict[str, Any]) -> None:
    assert house.http.post("/register", json={"redirect_uris": [CALLBACK], **metadata}).status_code in (201, 400, 429)
    assert house.http.post("/register", content=json.dumps(metadata)[:-1].encode()).status_code == 400


PARAMETERS = [
    "response_type", "client_id", "redirect_uri", "state", "scope", "resource", "code_challenge",
    "code_challenge_method", "grant_type", "code", "code_verifier", "refresh_token", "client_secret", "token",
]  # fmt: skip


@given(changes=st.dictionaries(st.sampled_from(PARAMETERS), st.text(max_size=40), max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_parameter_brings_the_server_down_or_sends_a_browser_astray(house: House, changes: dict[str, str]) -> None:
    app = house.client()
    answer = house.http.get(app.address(**changes))
    assert answer.status_code in (303, 400)
    if answer.status_code == 303:
        assert answer.headers["location"].startswith((f"{BASE}/login?", f"{CALLBACK}?"))
    for path in ("/token", "/revoke", "/introspect"):
        form = {"grant_type": "authorization_code", "client_id": app.id, "code": "x", **changes}
        refused = house.http.post(path, data=form)
        assert refused.status_code < 500
        secret = changes.get("client_secret", "")
        assert len(secret) < 8 or secret not in refused.text
