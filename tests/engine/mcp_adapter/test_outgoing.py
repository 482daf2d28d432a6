"""Effects call tools of other MCP servers, here of a second Turnkeeper, once each."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from engine import EffectCall, Failed
from engine.dispatch import Dispatcher
from engine.mcp_adapter.outgoing import Servers, TryLater
from engine.settings import ServerSettings
from tests.bank import Bank, call, data, desk, shop_of, states
from tests.serving import Served, free_port, serving

HOTEL = '''
"""A hotel."""

from engine import Refused, World, action


class Hotel(World, rows=[]):
    """Has rooms."""

    @action
    def book_room(self, nights: int) -> dict[str, str]:
        """Book a room."""
        if nights > 9:
            raise Refused("full", "Nine nights at most.")
        return {"reference": f"room {self.revision + 1}"}
'''


@pytest.fixture(scope="module")
def hotel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A second Turnkeeper."""
    folder = tmp_path_factory.mktemp("hotel")
    worlds = folder / "worlds"
    worlds.mkdir()
    (worlds / "hotel.py").write_text(HOTEL)
    with serving(folder / "data", worlds) as served:
        yield served


def servers(url: str, mode: Literal["auto", "legacy"] = "auto", token: str | None = None) -> Servers:
    return Servers({"hotel": ServerSettings(url=url, token=None if token is None else SecretStr(token))}, mode)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_effect_books_with_another_turnkeeper_once_whatever_the_number_of_attempts(
    dispatcher_of: Callable[..., Dispatcher], hotel: Served, mode: Literal["auto", "legacy"]
) -> None:
    answers: list[Any] = []

    async def book(call: EffectCall) -> dict[str, str]:
        answers.append(await call.tool("hotel", "book_room", nights=2))
        if call.attempt == 1:
            raise ConnectionError("the answer got lost")
        return {"reference": answers[-1]["result"]["reference"]}

    dispatcher = dispatcher_of(shop_of(Bank(book), deadline=timedelta(days=1)))
    session = call(dispatcher, "pay").session
    with desk(dispatcher, tools=servers(f"{hotel.url}/worlds/hotel/mcp", mode)) as worker:
        worker.run()
        worker.run_late()
    first, second = answers
    assert states(dispatcher) == ["done"] and first["revision"] == second["revision"]
    assert data(dispatcher, session)["reference"] == first["result"]["reference"]


def tool(given: Servers, server: str, name: str, **arguments: Any) -> Any:
    return asyncio.run(given(server, name, arguments, "k"))


def test_a_tool_that_says_no_has_failed_for_good(hotel: Served) -> None:
    here = servers(f"{hotel.url}/worlds/hotel/mcp")
    with pytest.raises(Failed, match=r"hotel did not carry out book_room: .*Nine nights at most"):
        tool(here, "hotel", "book_room", nights=10)
    with pytest.raises(Failed, match="hotel did not carry out sing"):
        tool(here, "hotel", "sing")
    with pytest.raises(Failed, match=r"no server 'inn'; there are: hotel. Set TURNKEEPER_SERVERS__INN__URL"):
        tool(here, "inn", "book_room")


def test_a_server_that_is_away_is_tried_again() -> None:
    with pytest.raises(TryLater, match="hotel cannot be reached"):
        tool(servers(f"http://127.0.0.1:{free_port()}/mcp"), "hotel", "book_room", nights=1)


class Answering(BaseHTTPRequestHandler):
    """Answers every request the same."""

    status = 200
    body: dict[str, Any] | None = None
    seen: list[tuple[str | None, Any]]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).seen.append((self.headers["authorization"], asked))
        answer = json.dumps({"jsonrpc": "2.0", "id": asked.get("id"), **(self.body or {})}).encode()
        self.send_response(self.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[Callable[..., tuple[str, type[Answering]]]]:
    """A server that answers every request as it is told."""
    stack: list[tuple[HTTPServer, Thread]] = []

    def start(status: int = 200, body: dict[str, Any] | None = None) -> tuple[str, type[Answering]]:
        kind: type[Answering] = type("One", (Answering,), {"status": status, "body": body, "seen": []})
        server = HTTPServer(("127.0.0.1", 0), kind)
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        stack.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/mcp", kind

    yield start
    for server, thread in stack:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_server_that_cannot_now_is_tried_again(answering: Any, status: int) -> None:
    url, _ = answering(status)
    with pytest.raises(TryLater):
        tool(servers(url), "hotel", "book_room", nights=1)


def test_the_servers_token_goes_along(answering: Any) -> None:
    url, kind = answering(500)
    with pytest.raises(TryLater):
        tool(servers(url, token="hush"), "hotel", "book_room", nights=1)
    assert {authorization for authorization, _ in kind.seen} == {"Bearer hush"}
