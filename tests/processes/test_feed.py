"""Two server processes on one database: whoever subscribed at one hears of what happens at the other."""

import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import anyio
import httpx2
import psycopg
import pytest
from anyio import to_thread
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import ResourceUpdatedNotification

from engine.mcp_adapter.outbox import APART
from engine.store.notices import CHANNEL
from engine.web.events import MOST_EACH
from tests.engine.mcp_adapter.answers import begun, called
from tests.postgres import PostgresServer
from tests.serving import PEOPLE, PERSON, SECONDS, TLS, Served, pipes, post, serving
from tests.subscribing import BOTH, Hear, events_of, heard_all, hearing, is_quiet, unread

WORLDS = Path(__file__).parent / "worlds"
pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Pair:
    """Two servers on one database."""

    one: Served
    two: Served
    url: str
    folder: Path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    if request.param == "sqlite":
        url = f"sqlite:///{folder / 'turnkeeper.db'}"
        with _both(folder, url) as found:
            yield found
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    url = server.fresh(template="core")
    with _both(folder, url) as found:
        yield found
    server.drop(url)


@contextmanager
def _both(folder: Path, url: str) -> Iterator[Pair]:
    with (
        serving(folder / "one", WORLDS, command=PEOPLE, TURNKEEPER_DATABASE_URL=url) as one,
        serving(folder / "two", WORLDS, command=PEOPLE, TURNKEEPER_DATABASE_URL=url) as two,
    ):
        yield Pair(one, two, url, folder)


@pytest.fixture
def person() -> str:
    """Somebody who was never here."""
    return f"person-{uuid4().hex[:12]}"


def written(served: Served, handle: str, person: str, text: str = "x") -> dict[str, Any]:
    return called(served, "stall_write", {"session": handle, "text": text}, person=person)


def sold(served: Served, handle: str, person: str) -> dict[str, Any]:
    return called(served, "stall_sell", {"session": handle}, person=person)


@pytest.mark.parametrize("mode", BOTH)
async def test_a_subscriber_hears_what_another_process_did_and_only_of_what_it_touched(
    pair: Pair, person: str, mode: str
) -> None:
    handle = begun(pair.one, person, "stall")
    slate, sales = f"session://{handle}/slate", f"session://{handle}/sales"
    async with hearing(pair.one, mode, person, slate, sales) as (_, hear):
        for served in (pair.two, pair.one, pair.two):
            written(served, handle, person)
            assert await hear() == slate
        sold(pair.two, handle, person)
        await heard_all(hear, slate, sales)
        assert await is_quiet(hear)


@pytest.mark.parametrize("mode", BOTH)
async def test_an_alias_follows_a_main_session_made_elsewhere(pair: Pair, person: str, mode: str) -> None:
    async with hearing(pair.one, mode, person, "session://stall/sales") as (client, hear):
        await client.call_tool("stall_sell", {})
        assert await hear() == "session://stall/sales"
        made = called(pair.two, "start_session", {"world": "stall", "main": True}, person=person)
        assert await hear() == "session://stall/sales"
        sold(pair.two, str(made["session"]), person)
        assert await hear() == "session://stall/sales"
        await client.call_tool("stall_sell", {})
        assert await hear() == "session://stall/sales"


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize("elsewhere", [False, True])
async def test_shared_rows_update_the_resources_made_of_them_in_every_session(
    pair: Pair, person: str, mode: str, elsewhere: bool
) -> None:
    mine, others = begun(pair.one, person, "stall"), begun(pair.one, f"other-{person}", "stall")
    stock, slate = f"session://{mine}/stock", f"session://{mine}/slate"
    async with hearing(pair.one, mode, person, stock, slate) as (_, hear):
        for _ in range(2):
            sold(pair.two if elsewhere else pair.one, others, f"other-{person}")
            assert await hear() == stock
        written(pair.two, others, f"other-{person}")
        written(pair.two, mine, person)
        assert await hear() == slate


@pytest.mark.parametrize("mode", BOTH)
async def test_who_lost_a_share_in_another_process_hears_no_more(pair: Pair, person: str, mode: str) -> None:
    friend = f"friend-{person}"
    theirs, own = begun(pair.two, person, "stall"), begun(pair.one, friend, "stall")
    called(pair.two, "share_session", {"session": theirs, "person": friend}, person=person)
    uris = (f"session://{theirs}/slate", f"session://{own}/slate")
    async with hearing(pair.one, mode, friend, *uris) as (_, hear):
        written(pair.two, theirs, person)
        assert await hear() == uris[0]
        called(pair.two, "share_session", {"session": theirs, "person": friend, "role": None}, person=person)
        written(pair.two, theirs, person)
        written(pair.one, theirs, person)
        written(pair.two, own, friend)
        assert await hear() == uris[1]
        assert await is_quiet(hear)


@pytest.mark.parametrize("mode", BOTH)
async def test_a_session_that_was_erased_elsewhere_is_heard_of_no_more(pair: Pair, person: str, mode: str) -> None:
    gone, stays = begun(pair.one, person, "stall"), begun(pair.one, person, "stall")
    uris = (f"session://{gone}/slate", f"session://{stays}/slate")
    async with hearing(pair.one, mode, person, *uris) as (_, hear):
        answer = called(pair.two, "end_session", {"session": gone, "erase": True}, person=person)
        assert not answer["messages"] or answer["messages"][0]["type"] != "error", answer
        written(pair.two, stays, person)
        assert await hear() == uris[1]
        assert await is_quiet(hear)


async def test_a_stream_that_is_not_read_is_told_seldom_of_many_changes_and_surely_of_the_last(
    pair: Pair, person: str
) -> None:
    handle = begun(pair.one, person, "stall")
    uri = f"session://{handle}/slate"

    def change() -> float:
        began = time.monotonic()
        for number in range(500):
            written(pair.one, handle, person, str(number))
            written(pair.two, handle, person, f"{number}!")
        return time.monotonic() - began

    async with unread(pair.one, person, uri) as hear:
        took = await to_thread.run_sync(change)
        heard = 0
        while not await is_quiet(hear):
            heard += 1
        assert 1 <= heard <= took / APART + 2
        written(pair.two, handle, person, "last")
        assert await hear() == uri


@pytest.mark.parametrize("mode", BOTH)
async def test_who_was_away_catches_up_exactly(pair: Pair, person: str, mode: str) -> None:
    handle = begun(pair.one, person, "stall")
    uri = f"session://{handle}/history"
    async with hearing(pair.one, mode, person, uri) as (client, hear):
        revision = written(pair.two, handle, person, "seen")["revision"]
        assert await hear() == uri
    for number in range(5):
        written((pair.two, pair.one)[number % 2], handle, person, str(number))
    async with hearing(pair.one, mode, person, uri) as (client, hear):
        contents: Any = (await client.read_resource(f"{uri}?since={revision}")).contents[0]
        missed = json.loads(contents.text)
        assert [change["arguments"]["text"] for change in missed["changes"]] == list("01234")
        assert missed["since"] == revision + 5 and not missed["more"]


class Wire:
    """A legacy connection as it is, whose requests any of the servers may get."""

    def __init__(self, http: httpx2.AsyncClient, person: str) -> None:
        self.http = http
        self.headers = {"accept": "application/json, text/event-stream", PERSON: person}

    async def send(self, served: Served, method: str, number: int | None = None, **params: Any) -> httpx2.Response:
        given = {"params": params} if params else {}
        body = {"jsonrpc": "2.0", "method": method, **({} if number is None else {"id": number}), **given}
        answer = await self.http.post(f"{served.url}/mcp", json=body, headers=self.headers)
        assert answer.status_code in (200, 202), answer.text
        return answer

    async def open(self, served: Served, *uris: str) -> None:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        opened = await self.send(served, "initialize", 1, **hello)
        self.headers["mcp-session-id"] = opened.headers["mcp-session-id"]
        await self.send(served, "notifications/initialized")
        for uri in uris:
            await self.send(served, "resources/subscribe", 2, uri=uri)

    @asynccontextmanager
    async def hearing(self, served: Served) -> AsyncIterator[Hear]:
        async with self.http.stream("GET", f"{served.url}/mcp", headers=self.headers) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()

            async def hear() -> str:
                with anyio.fail_after(SECONDS):
                    while not (line := await anext(lines)).startswith("data: {"):
                        pass
                return str(json.loads(line.removeprefix("data: "))["params"]["uri"])

            yield hear


@asynccontextmanager
async def wired(person: str) -> AsyncIterator[Wire]:
    async with httpx2.AsyncClient(verify=TLS, timeout=SECONDS) as http:
        yield Wire(http, person)


async def test_a_legacy_connection_that_another_process_revives_is_told_of_what_it_missed(
    pair: Pair, person: str
) -> None:
    handle, other = begun(pair.one, person, "stall"), begun(pair.one, f"other-{person}", "stall")
    slate, stock = f"session://{handle}/slate", f"session://{handle}/stock"
    async with wired(person) as wire:
        await wire.open(pair.one, slate, stock)
        sold(pair.one, other, f"other-{person}")
        async with wire.hearing(pair.two) as hear:
            assert {await hear(), await hear()} == {slate, stock}
            for served in (pair.one, pair.two):
                written(served, handle, person)
                assert await hear() == slate


async def test_what_a_legacy_connection_subscribes_to_through_one_process_is_heard_on_its_stream_at_another(
    pair: Pair, person: str
) -> None:
    handle = begun(pair.one, person, "stall")
    slate, history = f"session://{handle}/slate", f"session://{handle}/history"
    async with wired(person) as wire:
        await wire.open(pair.one)
        async with wire.hearing(pair.two) as hear:
            await wire.send(pair.one, "resources/subscribe", 3, uri=slate)
            written(pair.one, handle, person)
            assert await hear() == slate
            await wire.send(pair.one, "resources/subscribe", 4, uri=history)
            assert await hear() == history
            await wire.send(pair.one, "resources/unsubscribe", 5, uri=slate)
            last: list[str] = []
            with anyio.fail_after(SECONDS):
                while last[-3:] != [history] * 3:  # by then nothing is told of the other
                    written(pair.one, handle, person)
                    last.append(await hear())


async def test_a_client_on_pipes_hears_what_a_server_did(pair: Pair) -> None:
    heard, receiver = anyio.create_memory_object_stream[str](100)
    parameters = pipes(pair.folder / "pipes", WORLDS)
    given = {**(parameters.env or {}), "TURNKEEPER_DATABASE_URL": pair.url}
    parameters = StdioServerParameters(**{**parameters.model_dump(), "env": given})

    async def note(message: Any) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.send_nowait(str(message.params.uri))

    with heard, receiver:
        async with Client(stdio_client(parameters), mode="legacy", message_handler=note) as client:
            made: Any = (await client.call_tool("start_session", {"world": "stall"})).structured_content
            uri = f"session://{made['session']}/slate"
            await client.subscribe_resource(uri)
            for served in (pair.one, pair.two):
                called(served, "stall_write", {"session": made["session"], "text": "x"})
                with anyio.fail_after(SECONDS):
                    assert await receiver.receive() == uri


@pytest.mark.parametrize("pair", ["postgresql"], indirect=True)
async def test_without_hints_of_the_server_changes_are_heard_all_the_same_and_hints_come_back(
    pair: Pair, person: str
) -> None:
    handle = begun(pair.one, person, "stall")
    uri = f"session://{handle}/slate"
    listening = f"select pid from pg_stat_activity where datname = current_database() and query = 'listen {CHANNEL}'"
    with psycopg.connect(pair.url, autocommit=True) as database:

        def listeners() -> set[int]:
            return {pid for (pid,) in database.execute(listening.encode())}

        async with hearing(pair.one, "auto", person, uri) as (_, hear):
            before = listeners()
            assert len(before) == 2
            for pid in before:
                database.execute("select pg_terminate_backend(%s)", (pid,))
            written(pair.two, handle, person)
            assert await hear() == uri
            with anyio.fail_after(SECONDS):
                while len(listeners() - before) < 2:
                    await anyio.sleep(0.02)
            written(pair.two, handle, person)
            assert await hear() == uri


async def test_events_go_on_where_they_were_without_gap_or_double(pair: Pair, person: str) -> None:
    handle = begun(pair.one, person, "stall")
    async with events_of(pair.one, handle, person=person) as heard:
        for number, served in enumerate((pair.one, pair.two) * 3):
            written(served, handle, person, str(number))
        found = [await heard() for _ in range(6)]
    assert [(event[0], event[1]["arguments"]["text"]) for event in found if event] == [
        (number + 2, str(number)) for number in range(6)
    ]
    written(pair.one, handle, person, "away")
    written(pair.two, handle, person, "away, too")
    async with events_of(pair.two, handle, person=person, **{"last-event-id": "7"}) as heard:
        sold(pair.one, handle, person)
        found = [await heard() for _ in range(3)]
        history = post(
            pair.one, "/mcp", "resources/read", {"uri": f"session://{handle}/history?since=7"}, person=person
        )
        told = json.loads(history.json()["result"]["contents"][0]["text"])["changes"]
        assert [event and event[1] for event in found] == told
        assert [event and event[0] for event in found] == [8, 9, 10]


async def test_events_end_with_the_share_with_the_session_and_with_the_server(pair: Pair, person: str) -> None:
    friend = f"friend-{person}"
    begun(pair.one, friend, "stall")
    handle = begun(pair.one, person, "stall")
    called(pair.two, "share_session", {"session": handle, "person": friend}, person=person)
    async with events_of(pair.one, handle, person=person) as mine:
        async with events_of(pair.one, handle, person=friend) as theirs:
            written(pair.two, handle, person)
            assert (await theirs()) == (await mine())
            called(pair.two, "share_session", {"session": handle, "person": friend, "role": None}, person=person)
            assert await theirs() is None
        revoked = await mine()
        assert revoked is not None and revoked[1]["action"] == "share"
        called(pair.two, "end_session", {"session": handle, "erase": True}, person=person)
        assert await mine() is None
    local = str(called(pair.one, "start_session", {"world": "stall"})["session"])
    with serving(pair.folder / "three", WORLDS, TURNKEEPER_DATABASE_URL=pair.url) as third:
        async with events_of(third, local) as heard:
            third.process.send_signal(signal.SIGTERM)
            assert await heard() is None


@pytest.mark.parametrize("name", ["theirs", "none"])
async def test_events_of_anothers_session_are_those_of_none(pair: Pair, person: str, name: str) -> None:
    handle = begun(pair.one, person, "stall") if name == "theirs" else "ses_" + "x" * 24
    begun(pair.one, f"other-{person}", "stall")
    answer = httpx2.get(
        f"{pair.one.url}/sessions/{handle}/events", headers={PERSON: f"other-{person}"}, verify=TLS, timeout=SECONDS
    )
    assert answer.status_code == 404
    assert answer.json()["reason"].replace(handle, "H").startswith("There is no session 'H'.")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"host": "evil.example"}, 421), ({"origin": "https://evil.example"}, 403), ({"last-event-id": "seven"}, 400)],
)
async def test_events_are_not_for_pages_of_others(
    pair: Pair, person: str, headers: dict[str, str], status: int
) -> None:
    handle = begun(pair.one, person, "stall")
    url = f"{pair.one.url}/sessions/{handle}/events"
    answer = httpx2.get(url, headers={PERSON: person, **headers}, verify=TLS, timeout=SECONDS)
    assert answer.status_code == status


async def test_one_principal_has_so_many_streams_of_events_and_no_more(pair: Pair, person: str) -> None:
    handle = begun(pair.one, person, "stall")
    url = f"{pair.one.url}/sessions/{handle}/events"
    async with AsyncExitStack() as stack:
        for _ in range(MOST_EACH):
            await stack.enter_async_context(events_of(pair.one, handle, person=person))
        assert httpx2.get(url, headers={PERSON: person}, verify=TLS, timeout=SECONDS).status_code == 429
    async with events_of(pair.one, handle, person=person) as heard:
        written(pair.two, handle, person)
        assert await heard() is not None
