"""Whatever is sent to the authorization server: no error of ours, no browser led astray, no secret in a log."""

import json
import logging
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

import pytest
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from engine.auth.granting.documents import Fetcher
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, CALLBACK, App, House, Person, key_in
from tests.engine.auth.publishing import RAW, Publisher

MANY = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
FORM = "application/x-www-form-urlencoded"
MARK = "hush-7f3a9c"
"""A part of each secret that is sent: wherever it comes up again, it leaked."""
PARAMETERS = """response_type client_id redirect_uri state scope resource code_challenge code_challenge_method
    response_mode nonce prompt request request_uri key decision grant_type code code_verifier refresh_token
    client_secret token token_type_hint assertion username password""".split()
SECRETS = frozenset("code code_verifier refresh_token client_secret token assertion password key".split())
ODD = [
    b"", b"\x00", b"\xff\xfe", b"\r\nset-cookie: a=b", b"a\x00b", b"%", b"%zz", b"+", b" ", b"\xed\xa0\x80", b"../..",
    b"https://evil.example/", b"//evil.example", b"javascript:alert(1)", b"https://[", b"https://a..b/c",
    b"https://client.example/client.json", f"{BASE}/mcp".encode(), f"{BASE}/worlds/moon/mcp".encode(), b"code",
    b"S256", b"plain", b"allow", b"deny", b"authorization_code", b"refresh_token", b"client_credentials", b"desk:read",
    b"none", CALLBACK.encode(), CALLBACK.encode() + b"@evil.example", b"x" * 3000,
    CALLBACK.replace("127", "user@127").encode(),
    CALLBACK.replace("5555", "99999").encode(), CALLBACK.encode() + b"#part", b"http://127.0.0.1:5555\\@evil.example",
]  # fmt: skip
VALUES = st.binary(max_size=30) | st.sampled_from(ODD) | st.text(max_size=30).map(str.encode)
PAIRS = st.lists(st.tuples(st.sampled_from(PARAMETERS) | st.text(max_size=8), VALUES), max_size=5)


def encoded(pairs: Sequence[tuple[str, bytes]]) -> str:
    """Parameters as they go over the wire; secrets among them are marked."""
    return "&".join(
        f"{quote_from_bytes(name.encode())}={quote_from_bytes(MARK.encode() if name in SECRETS else b'')}"
        f"{quote_from_bytes(value)}"
        for name, value in pairs
    )


def kept_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Insist that no log of the server has a secret; what the tests' own client logs is its own."""
    leaks = [record for record in caplog.records if record.name != "httpx2" and MARK in record.getMessage()]
    caplog.clear()
    assert leaks == []


def led_home(answer: Response) -> None:
    """Insist that an answer leads a browser to the client, or to signing in, and nowhere else."""
    assert answer.status_code in (200, 303, 400, 403), answer.text
    if "location" in answer.headers:
        to = urlsplit(answer.headers["location"])
        assert (to.scheme, to.hostname, to.username) == ("http", "127.0.0.1", None)
        assert to.path == "/callback" or answer.headers["location"].startswith(f"{BASE}/login?next=%2Fauthorize")


@MANY
@given(pairs=PAIRS, instead=st.booleans())
def test_authorize_leads_nobody_astray(
    ada: Person, app: App, caplog: pytest.LogCaptureFixture, pairs: list[tuple[str, bytes]], instead: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    names = {name for name, _ in pairs}
    address = app.address(**({name: None for name in names} if instead else {}))
    address += ("&" if "=" in address else "") + encoded(pairs)
    for browser in (ada.browser, ada.house.http):
        seen = browser.get(address)
        led_home(seen)
        assert seen.status_code != 400 or MARK not in seen.text
        answer = browser.post(address, content=encoded(pairs), headers={"content-type": FORM})
        led_home(answer)
        assert answer.status_code != 303 or "code=tkc_" not in answer.headers["location"]
    kept_secret(caplog)


@MANY
@given(pairs=PAIRS)
def test_consent_decides_nothing_but_what_was_asked(ada: Person, app: App, pairs: list[tuple[str, bytes]]) -> None:
    address = app.address(scope="desk:read")
    mine = [(name, value) for name, value in pairs if name != "key"]
    form = f"key={key_in(ada.browser.get(address))}&{encoded(mine)}"
    answer = ada.browser.post(address, content=form, headers={"content-type": FORM})
    led_home(answer)
    sent = [value for name, value in mine if name == "decision"], [value for name, value in mine if name == "scope"]
    allowed = sent[0] == [b"allow"] and b"desk:read" in sent[1]
    assert ("code=tkc_" in answer.headers.get("location", "")) is allowed


GRANTS = st.sampled_from(["authorization_code", "refresh_token", "client_credentials"])
HEADERS = st.none() | st.binary(max_size=30).map(lambda some: b"Basic " + some) | st.sampled_from(
    [b"Basic //79OmE=", b"Basic ADoA", b"Bearer x", b"basic", b"Basic  ", b"\xe9", b"Basic " + b"A" * 3000]
)  # fmt: skip


@MANY
@given(pairs=PAIRS, grant=GRANTS, header=HEADERS)
def test_endpoints_for_clients_refuse_and_never_fail(
    app: App, caplog: pytest.LogCaptureFixture, pairs: list[tuple[str, bytes]], grant: str, header: bytes | None
) -> None:
    caplog.set_level(logging.DEBUG)
    names = {name for name, _ in pairs}
    given_too = [("client_id", app.id.encode()), ("grant_type", grant.encode()), ("token", b"tka_"), ("code", b"tkc_")]
    body = encoded([*pairs, *((name, value) for name, value in given_too if name not in names)])
    headers = {b"content-type": FORM.encode()} | ({} if header is None else {b"authorization": header})
    for path in ("/token", "/revoke", "/introspect"):
        answer = app.house.http.post(path, content=body, headers=headers)
        assert answer.status_code in (400, 401) or (path, answer.status_code, answer.content) == ("/revoke", 200, b"{}")
        assert MARK not in answer.text and MARK not in str(answer.headers) and "no-store" in str(answer.headers)
    kept_secret(caplog)


WORDS = st.text(max_size=20) | st.sampled_from(
    ["\ud800", "\x00", "a\nb", "none", "client_secret_post", "authorization_code", "refresh_token", "code", CALLBACK,
     "javascript:alert(1)", "https://[", "https://evil.example/cb?iss=x", "desk:read", "private_key_jwt", "x" * 2100]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
METADATA = """client_id client_name redirect_uris grant_types response_types scope client_uri logo_uri client_secret
    token_endpoint_auth_method token_endpoint_auth_methods_supported jwks jwks_uri contacts software_id""".split()
DESCRIBED = st.dictionaries(st.sampled_from(METADATA), JSON, max_size=4)


@MANY
@given(metadata=DESCRIBED | JSON, cut=st.integers(0, 3))
def test_registration_of_whatever_is_refused_or_taken(house: House, metadata: Any, cut: int) -> None:
    found = {"redirect_uris": [CALLBACK], **metadata} if isinstance(metadata, dict) else metadata
    body = json.dumps(found).encode()
    answer = house.http.post("/register", content=body[: len(body) - cut], headers={"content-type": "application/json"})
    assert answer.status_code in (201, 400, 429) and "no-store" in answer.headers["cache-control"]
    if answer.status_code == 201:
        assert answer.json()["redirect_uris"] and "client_id" in answer.json()


@MANY
@given(body=st.binary(max_size=60), kind=st.sampled_from(["application/json", "application/json;", "", "text/x"]))
def test_registration_of_bytes_that_are_no_json_is_refused(house: House, body: bytes, kind: str) -> None:
    answer = house.http.post("/register", content=body, headers={"content-type": kind})
    assert answer.status_code == 400 and answer.json()["error"].startswith("invalid_")


@pytest.fixture
def reader(reading: House) -> Person:
    """Somebody signed in to a server that fetches from this machine."""
    return reading.person("ada")


LATIN = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
ANSWERED = st.dictionaries(
    st.sampled_from(["cache-control", "content-type", "content-encoding", "content-length", "location", "set-cookie"]),
    LATIN | st.sampled_from(["gzip", "max-age=99999999999999", "max-age=-1", "99", "0", "https://evil.example/"]),
    max_size=3,
)


@MANY
@given(metadata=DESCRIBED | JSON, status=st.sampled_from([200, 200, 200, 201, 204, 301, 404, 500]), headers=ANSWERED)
def test_document_of_whatever_makes_a_client_or_a_page(
    reader: Person, publisher: Publisher, metadata: Any, status: int, headers: dict[str, str]
) -> None:
    path = f"/{len(publisher.asked)}.json"
    url = publisher.publish(path)
    whole = isinstance(metadata, dict)
    found = {**json.loads(publisher.documents[path][2]), **metadata} if whole else metadata
    publisher.documents[path] = (status, headers, json.dumps(found).encode())
    answer = reader.browser.get(App(reader.house, url, None, CALLBACK).address())
    led_home(answer)
    assert status == 200 or answer.status_code == 400


@MANY
@given(raw=st.binary(max_size=200) | st.binary(max_size=60).map(lambda some: b"HTTP/1.1 200 OK\r\n" + some))
def test_server_that_speaks_no_http_makes_a_page(reader: Person, publisher: Publisher, raw: bytes) -> None:
    url = publisher.url()
    publisher.documents["/client.json"] = (RAW, {}, raw)
    answer = reader.browser.get(App(reader.house, url, None, CALLBACK).address())
    assert answer.status_code == 400 and "cannot be taken" in answer.text


HOSTS = st.text(max_size=20) | st.sampled_from(
    ["[::1]", "[", "a..b", "127.1", "0x7f.1", "2130706433", "a" * 300, "%00"]
)


@pytest.fixture
def lost(house: House) -> Iterator[Person]:
    """Somebody signed in to a server that finds no host."""

    def look_up(host: str, port: int) -> list[str]:
        assert host.isascii()
        host.encode("idna")
        raise socket.gaierror("there is no such host")

    app = guarded_app(house.dispatcher, ("127.0.0.1",), house.context, Fetcher(look_up=look_up))
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        yield House(house.context, http, house.dispatcher).person("ada")


@MANY
@given(host=HOSTS, path=st.text(max_size=20), port=st.sampled_from(["", ":0", ":443", ":99999", ":x"]))
def test_address_of_whatever_is_no_error(lost: Person, host: str, path: str, port: str) -> None:
    answer = lost.browser.get(App(lost.house, f"https://{host}{port}/{path}", None, CALLBACK).address())
    assert answer.status_code == 400
