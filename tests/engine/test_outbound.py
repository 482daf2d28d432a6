"""Requests to addresses that others chose: which are asked, at which address, under which name."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import anyio
import httpx2
import pytest

from engine.outbound import EVERYWHERE, Barred, Outbound, checked, is_in, is_public, networks_of
from tests.engine.auth.publishing import Publisher, certify, publishing

LookUp = Callable[[str, int], list[str]]


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    """An HTTPS server of localhost and client.example on this machine."""
    folder = tmp_path_factory.mktemp("tls")
    certify(folder)
    with publishing(Path(folder)) as found:
        yield found


async def _asked(outbound: Outbound, url: str) -> int:
    with anyio.fail_after(20):
        async with outbound.asked("GET", url, {}) as response:
            return response.status_code


def asked(outbound: Outbound, url: str) -> int:
    return anyio.run(_asked, outbound, url)


def at(*addresses: str) -> LookUp:
    return lambda host, port: list(addresses)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "::127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1", "::ffff:0:a00:1", "5f00::1", "4000::1",
        "2002:7f00:1::", "2001:0:7f00:1::", "fe80::1", "fe80::1%1", "fec0::1", "fd00:ec2::254",
        "ff02::1",
    ],
)  # fmt: skip
def test_address_that_is_none_of_the_internet_is_not_asked(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(Barred, match="its host is no public one"):
        asked(Outbound(look_up=at(address)), "https://hooks.example/")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_bars_the_host() -> None:
    with pytest.raises(Barred, match="its host is no public one"):
        asked(Outbound(look_up=at("93.184.215.14", "10.0.0.1")), "https://hooks.example/")


def test_listed_network_is_asked_and_its_neighbour_is_not() -> None:
    listed = networks_of(["10.1.0.0/16", "fd00::/8", "192.0.2.7"])
    inside = ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "192.0.2.7")
    assert [is_in(address, listed) for address in inside] == [True] * 4
    assert [is_in(address, listed) for address in ("10.2.0.1", "::1", "192.0.2.8", "64:ff9b::a01:203")] == [False] * 4


def test_without_tls_only_listed_networks_are_asked(publisher: Publisher) -> None:
    with pytest.raises(Barred, match="it is not https"):
        asked(Outbound(look_up=at("93.184.215.14")), "http://hooks.example/")
    with pytest.raises(httpx2.HTTPError):  # asked, of a server that speaks TLS
        asked(Outbound(EVERYWHERE, look_up=at("127.0.0.1")), f"http://hooks.example:{publisher.port}/")


def test_host_is_asked_at_the_address_that_was_judged_under_its_own_name(publisher: Publisher) -> None:
    looks: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looks.append(host)
        return ["127.0.0.1"] if len(looks) == 1 else ["169.254.169.254"]

    url = f"https://client.example:{publisher.port}/client.json?x=1"
    assert asked(Outbound(EVERYWHERE, publisher.trusted, rebinding), url) == 404
    assert looks == ["client.example"]
    assert (publisher.hosts[-1], publisher.asked[-1]) == (f"client.example:{publisher.port}", "/client.json?x=1")


def test_certificate_must_be_of_the_host_and_not_of_the_address(publisher: Publisher) -> None:
    url = f"https://other.example:{publisher.port}/"
    with pytest.raises(httpx2.ConnectError, match="ostname mismatch"):
        asked(Outbound(EVERYWHERE, publisher.trusted, at("127.0.0.1")), url)


def test_second_address_is_asked_where_nobody_is_at_the_first(publisher: Publisher) -> None:
    outbound = Outbound(EVERYWHERE, publisher.trusted, at("127.0.0.9", "127.0.0.1"))
    assert asked(outbound, f"https://client.example:{publisher.port}/") == 404


def test_redirect_is_answered_and_not_followed(publisher: Publisher) -> None:
    publisher.documents["/moved"] = (302, {"location": publisher.url("/there")}, b"")
    assert asked(Outbound(EVERYWHERE, publisher.trusted), publisher.url("/moved")) == 302
    assert "/there" not in publisher.asked


def test_look_up_that_takes_long_is_left_alone() -> None:
    over = threading.Event()

    def slow(host: str, port: int) -> list[str]:
        over.wait(20)
        return ["93.184.215.14"]

    async def ask() -> None:
        with pytest.raises(TimeoutError), anyio.fail_after(0.2):
            async with Outbound(look_up=slow).asked("GET", "https://slow.example/", {}):
                pass

    anyio.run(ask)
    over.set()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://hooks.example/", "hooks.example", "https://", "https:///x", "https://hooks.example:port/",
        "https://hooks.example:99999/", "https://[::1/", "https://hooks.example/a b", "https://häuser.example/",
        "https://user:word@hooks.example/", "https://user@hooks.example/", "https://hooks.example/#part",
        "https://hooks.example\\@10.0.0.1/", "https://hooks.example/" + "a" * 2000, "",
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_server_is_barred(url: str) -> None:
    with pytest.raises(Barred, match="its address"):
        checked(url)


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".example", "2130706433", "0x7f.1", "localhost"])
def test_host_that_is_written_another_way_leads_to_nothing_private(host: str) -> None:
    ask = partial(asked, Outbound(), f"https://{host}:9/")
    with pytest.raises((Barred, OSError)):
        ask()
