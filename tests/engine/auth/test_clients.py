"""How a client becomes known: by registering itself, or by a document at its address."""

import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from engine.auth import clients, grants, registration
from engine.auth.context import AuthContext, Lifetimes
from engine.auth.documents import Fetcher
from engine.auth.redirects import fault
from engine.types import Json
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, CALLBACK, App, House, Person, answered


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


def test_client_that_is_used_stays_and_a_document_nobody_consented_to_goes(
    reading: House, publisher: "Publisher"
) -> None:
    ada, app = reading.person("ada"), reading.client()
    ada.browser.get(App(reading, publisher.publish(), None, CALLBACK).address())
    token = app.tokens(ada)["refresh_token"]
    for day in (29, 58, 87, 116):
        reading.context.store.offset = timedelta(days=day)
        token = app.refresh(token).json()["refresh_token"]
        reading.context.store.write(grants.sweep)
    known = reading.context.store.read(lambda tx: [clients.find(tx, one) for one in (app.id, publisher.url())])
    assert known[0] is not None and known[1] is None


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


@dataclass
class Publisher:
    """An HTTPS server of clients' documents."""

    port: int
    trusted: ssl.SSLContext
    documents: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, path: str = "/client.json") -> str:
        """The address of a document."""
        return f"https://localhost:{self.port}{path}"

    def publish(self, path: str = "/client.json", headers: dict[str, str] | None = None, **changes: Json) -> str:
        """Put a document there, and give its address."""
        url = self.url(path)
        found = {"client_id": url, "client_name": "A document", "redirect_uris": [CALLBACK], **changes}
        self.documents[path] = (200, headers or {}, json.dumps(found).encode())
        return url


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost, signed by itself, with its key."""
    folder = tmp_path_factory.mktemp("tls")
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run([*made, *names, *files], check=True, capture_output=True)
    return folder


@pytest.fixture
def publisher(certificate: Path) -> Iterator[Publisher]:
    """A server of documents that is trusted by its certificate."""
    trusted = ssl.create_default_context(cafile=str(certificate / "cert.pem"))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            status, headers, body = found.documents.get(self.path, (404, {}, b""))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        found = Publisher(server.server_address[1], trusted)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def reading(house: House, publisher: Publisher) -> Iterator[House]:
    """The same server, which may fetch from this machine."""
    context = AuthContext(house.context.store, house.context.registry, BASE, Lifetimes(belief=timedelta()))
    app = guarded_app(house.dispatcher, ("127.0.0.1",), context, Fetcher(private=True, verify=publisher.trusted))
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        yield House(context, http, house.dispatcher)


def test_document_makes_a_client_that_needs_no_registration(reading: House, publisher: Publisher) -> None:
    ada = reading.person("ada")
    app = App(reading, publisher.publish(), None, CALLBACK)
    tokens = app.tokens(ada)
    assert reading.call(tokens["access_token"], "desk_knock").status_code == 200
    assert "A document" in ada.browser.get("/account").text


def test_document_is_fetched_again_when_its_time_is_over(reading: House, publisher: Publisher) -> None:
    ada = reading.person("ada")
    app = App(reading, publisher.publish(headers={"cache-control": "max-age=3600"}), None, CALLBACK)
    for _ in range(3):
        ada.browser.get(app.address())
    assert len(publisher.asked) == 1
    publisher.publish(client_name="Renamed")
    reading.context.store.offset = timedelta(hours=1, seconds=1)
    assert "Renamed" in ada.browser.get(app.address()).text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"client_id": "https://elsewhere.example/client.json"}, "client_id is not its address"),
        ({"redirect_uris": ["javascript:alert(1)"]}, "redirect_uris is not sound"),
        ({"redirect_uris": []}, "redirect_uris are no list"),
        ({"client_name": ""}, "client_name is no line"),
        ({"client_secret": "shown"}, "publishes a secret"),
        ({"token_endpoint_auth_method": "client_secret_basic"}, "token_endpoint_auth_method"),
        ({"padding": "x" * 6000}, "more than 5120 bytes"),
    ],
)
def test_document_that_is_not_sound_makes_no_client(
    reading: House, publisher: Publisher, change: dict[str, Json], said: str
) -> None:
    ada = reading.person("ada")
    page = ada.browser.get(App(reading, publisher.publish(**change), None, CALLBACK).address())
    assert page.status_code == 400 and said in page.text


def test_document_that_redirects_is_broken_or_is_not_there_makes_no_client(
    reading: House, publisher: Publisher
) -> None:
    ada = reading.person("ada")
    publisher.publish("/real.json")
    publisher.documents |= {
        "/moved.json": (302, {"location": publisher.url("/real.json")}, b""),
        "/broken.json": (200, {}, b"{"),
        "/binary.json": (200, {}, b"\xff\xfe"),
        "/deep.json": (200, {}, b"[" * 5000),
    }
    for path in ("/moved.json", "/broken.json", "/binary.json", "/deep.json", "/nowhere.json"):
        page = ada.browser.get(App(reading, publisher.url(path), None, CALLBACK).address())
        assert page.status_code == 400 and "cannot be taken" in page.text, path
    assert "/real.json" not in publisher.asked


def test_documents_that_prefer_a_key_may_come_without(reading: House, publisher: Publisher) -> None:
    ada = reading.person("ada")
    url = publisher.publish(
        token_endpoint_auth_method="private_key_jwt",
        token_endpoint_auth_methods_supported=["private_key_jwt", "none"],
    )
    assert App(reading, url, None, CALLBACK).tokens(ada)["token_type"] == "Bearer"


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost:{port}/client.json",
        "https://127.0.0.1:{port}/client.json",
        "https://[::1]:{port}/client.json",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/client.json",
        "https://[::ffff:127.0.0.1]:{port}/client.json",
        "https://0.0.0.0:{port}/client.json",
        "https://2130706433:{port}/client.json",
    ],
)
def test_no_document_is_fetched_from_a_private_address(
    house: House, ada: Person, publisher: Publisher, url: str
) -> None:
    publisher.publish()
    page = ada.browser.get(App(house, url.format(port=publisher.port), None, CALLBACK).address())
    assert page.status_code == 400 and publisher.asked == []


@pytest.mark.parametrize(
    "url", ["https://example.com", "https://example.com/", "https://u:p@example.com/c", "https://example.com/a/../c"]
)
def test_address_that_is_no_clients_is_not_fetched(house: House, ada: Person, url: str) -> None:
    page = ada.browser.get(App(house, url, None, CALLBACK).address())
    assert page.status_code == 400 and "its address" in page.text


def test_unregistered_redirect_of_a_document_is_not_followed(reading: House, publisher: Publisher) -> None:
    ada = reading.person("ada")
    app = App(reading, publisher.publish(), None, CALLBACK)
    assert ada.browser.get(app.address(redirect_uri="https://evil.example/cb")).status_code == 400
    assert answered(ada.decide(app.address(), "deny"))["error"] == "access_denied"
