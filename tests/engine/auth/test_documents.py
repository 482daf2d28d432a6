"""Clients by documents at their addresses: what is fetched, from where, how much of it, and what is believed of it."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from starlette.testclient import TestClient

from engine.auth.granting import clients, documents, grants
from engine.auth.granting.documents import Fetcher
from engine.store.access import ClientRow
from engine.types import Json
from engine.web.guarded import guarded_app
from tests.engine.auth.conftest import BASE, CALLBACK, App, House, Person, answered
from tests.engine.auth.publishing import Publisher


def test_client_that_is_used_stays_and_a_document_nobody_consented_to_goes(
    reading: House, publisher: Publisher
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


def seen_by(house: House, fetcher: Fetcher, url: str) -> str:
    """The page that somebody signed in sees of a client's request, of a server that fetches in a way of its own."""
    app = guarded_app(house.dispatcher, ("127.0.0.1",), house.context, fetcher)
    with TestClient(app, base_url=BASE, follow_redirects=False) as http:
        other = House(house.context, http, house.dispatcher)
        return other.person("ada").browser.get(App(other, url, None, CALLBACK).address()).text


def test_stranger_has_nothing_fetched(reading: House, publisher: Publisher) -> None:
    address = App(reading, publisher.publish(), None, CALLBACK).address()
    answer = reading.http.get(address)
    assert answer.status_code == 303 and answer.headers["location"].startswith(f"{BASE}/login?next=%2Fauthorize")
    assert publisher.asked == []
    assert reading.person("ada").browser.get(address).status_code == 200


def test_document_that_is_packed_is_not_unpacked(reading: House, publisher: Publisher) -> None:
    url = publisher.publish()
    body = gzip.compress(publisher.documents["/client.json"][2])
    publisher.documents["/client.json"] = (200, {"content-encoding": "gzip"}, body)
    page = reading.person("ada").browser.get(App(reading, url, None, CALLBACK).address())
    assert page.status_code == 400 and "it is packed" in page.text


def test_document_that_several_fetch_at_once_makes_one_client(reading: House, publisher: Publisher) -> None:
    ada, app = reading.person("ada"), App(reading, publisher.publish(), None, CALLBACK)
    publisher.meeting = threading.Barrier(4)
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: ada.browser.get(app.address()), range(4)))
    assert [page.status_code for page in pages] == [200] * 4 and len(publisher.asked) == 4


def test_server_that_says_nothing_is_waited_for_so_long_and_no_longer(reading: House, publisher: Publisher) -> None:
    url = publisher.publish()
    publisher.meeting = threading.Barrier(2)
    page = seen_by(reading, Fetcher(private=True, verify=publisher.trusted, seconds=0.3), url)
    assert "could not be fetched within 0.3 s" in page
    publisher.meeting.wait(timeout=20)


def test_host_that_is_looked_up_for_long_holds_nobody_up(house: House) -> None:
    over = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(timeout=20)
        return ["93.184.215.14"]

    page = seen_by(house, Fetcher(look_up=slow, seconds=0.3), "https://slow.example/client.json")
    over.set()
    assert "could not be fetched within 0.3 s" in page


def test_document_comes_from_the_address_that_was_looked_at(house: House, publisher: Publisher) -> None:
    looks: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["169.254.169.254"]

    url = f"https://client.example:{publisher.port}/client.json"
    publisher.publish(client_id=url)
    page = seen_by(house, Fetcher(private=True, verify=publisher.trusted, look_up=rebinding), url)
    assert "A document" in page and looks == ["client.example"]
    assert publisher.hosts == [f"client.example:{publisher.port}"]


def test_host_with_one_private_address_among_public_ones_is_not_asked(house: House, publisher: Publisher) -> None:
    def both(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    page = seen_by(house, Fetcher(verify=publisher.trusted, look_up=both), "https://client.example/client.json")
    assert "its host is no public one" in page


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1", "fe80::1%1", "fec0::1", "fd00:ec2::254", "ff02::1",
    ],
)  # fmt: skip
def test_address_that_is_none_of_the_internet_is_not_asked(house: House, address: str) -> None:
    page = seen_by(house, Fetcher(look_up=lambda host, port: [address]), "https://client.example/client.json")
    assert "its host is no public one" in page


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "url",
    [
        "https://a..b/client.json",
        f"https://{'a' * 70}.example/client.json",
        "https://.example/client.json",
        "https://[::1%25lo]/client.json",
        "https://[/client.json",
        "https://client.example:99999/client.json",
        "https://client.example/%2e%2E/client.json",
        f"https://client.example/{'a' * 600}",
        "https://user@client.example/client.json",
        "https://client.example/client.json#part",
        "https://client.example/client json",
        "https://client.example\\@other.example/client.json",
    ],
)
def test_address_that_is_none_makes_no_client_and_no_error(house: House, ada: Person, url: str) -> None:
    page = ada.browser.get(App(house, url, None, CALLBACK).address())
    assert page.status_code == 400 and "cannot be taken" in page.text


@pytest.mark.parametrize("scope", [7, "a\x00b", "\ud800", "a\nb", 'a"b', "a" * 4001])
def test_document_with_a_scope_that_is_none_makes_no_client(reading: House, publisher: Publisher, scope: Json) -> None:
    page = reading.person("ada").browser.get(App(reading, publisher.publish(scope=scope), None, CALLBACK).address())
    assert page.status_code == 400 and "its scope is not sound" in page.text


def test_document_may_limit_its_scopes_and_an_empty_limit_is_none(reading: House, publisher: Publisher) -> None:
    ada = reading.person("ada")
    limited = App(reading, publisher.publish("/limited.json", scope="desk:read"), None, CALLBACK)
    open_ = App(reading, publisher.publish("/open.json", scope=""), None, CALLBACK)
    assert limited.tokens(ada)["scope"] == "desk:read"
    assert open_.tokens(ada)["scope"] == "desk:read desk:write safe:read safe:write"


def test_second_device_with_a_documents_client_does_not_sign_out_the_first(
    reading: House, publisher: Publisher
) -> None:
    """Cloudflare 0.10.3: a document's client is shared by every installation of a program."""
    ada, app = reading.person("ada"), App(reading, publisher.publish(), None, CALLBACK)
    first, second = app.tokens(ada), app.tokens(ada)
    for tokens in (first, second):
        assert reading.call(tokens["access_token"], "desk_knock").status_code == 200
        assert app.refresh(tokens["refresh_token"]).status_code == 200


def test_failure_of_a_fetch_is_not_remembered(reading: House, publisher: Publisher) -> None:
    ada, app = reading.person("ada"), App(reading, publisher.url(), None, CALLBACK)
    assert ada.browser.get(app.address()).status_code == 400
    publisher.publish()
    assert ada.browser.get(app.address()).status_code == 200


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ("", documents.KEPT[0]),
        ("no-store, max-age=3600", documents.KEPT[0]),
        ("max-age=0", documents.KEPT[0]),
        ("max-age=3600", timedelta(hours=1)),
        ("max-age=999999999", documents.KEPT[1]),
    ],
)
def test_document_is_believed_as_long_as_its_server_says_within_bounds(
    reading: House, publisher: Publisher, header: str, kept: timedelta
) -> None:
    reading.person("ada").browser.get(
        App(reading, publisher.publish(headers={"cache-control": header}), None, CALLBACK).address()
    )
    row = reading.context.store.read(lambda tx: tx.db.get(ClientRow, publisher.url()))
    assert row is not None and row.expires_at is not None
    left = datetime.fromisoformat(row.expires_at) - datetime.fromisoformat(row.created_at)
    assert left == kept
