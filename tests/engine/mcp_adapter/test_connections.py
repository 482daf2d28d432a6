"""Connections of revisions before 2026-07-28: they outlive the process, for the same person only."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import anyio
import httpx2
import mcp_types as t
import pytest
from anyio import to_thread

from tests.engine.mcp_adapter.answers import called, structured
from tests.engine.mcp_adapter.conftest import WORLDS
from tests.serving import PEOPLE, PERSON, SECONDS, TLS, Served, connected, relayed, start

pytestmark = [
    pytest.mark.anyio,
    # The SDK's client warns of every subscribe of the older revisions, which is what is tested here.
    pytest.mark.filterwarnings("ignore:resources/.*subscribe is removed:mcp.MCPDeprecationWarning"),
]


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server to kill."""
    served = start(tmp_path_factory.mktemp("mortal"), WORLDS, command=PEOPLE)
    yield served
    served.stop()


def restarted(served: Served, *, gently: bool = False) -> None:
    """Kill or stop a server and start it again on the same port and data."""
    served.stop() if gently else served.kill()
    served.process = start(served.log.parent, WORLDS, port=served.port, command=PEOPLE).process


def send(
    served: Served, verb: str, body: Any = None, *, person: str, connection: str | None, path: str = "/mcp"
) -> httpx2.Response:
    """One request of the older wire as it is."""
    headers = {
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": "2025-11-25",
        PERSON: person,
        **({"mcp-session-id": connection} if connection is not None else {}),
    }
    content: Any = {} if body is None else {"json": body}
    return httpx2.request(verb, f"{served.url}{path}", headers=headers, timeout=SECONDS, verify=TLS, **content)


def opened(served: Served, person: str, path: str = "/mcp") -> str:
    """A new connection's id."""
    params = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "raw", "version": "1"},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    answer = send(served, "POST", body, person=person, connection=None, path=path)
    assert answer.status_code == 200, answer.text
    connection: str = answer.headers["mcp-session-id"]
    initialized = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert send(served, "POST", initialized, person=person, connection=connection, path=path).status_code == 202
    return connection


def status(served: Served, person: str, connection: str | None, path: str = "/mcp") -> int:
    """What a listing on a connection is answered with."""
    body = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    return send(served, "POST", body, person=person, connection=connection, path=path).status_code


async def test_a_subscribed_client_goes_on_calling_and_hearing_after_the_server_was_killed_or_stopped(
    mortal: Served, person: str
) -> None:
    sender, receiver = anyio.create_memory_object_stream[str](100)
    ids: set[str] = set()

    async def note(message: Any) -> None:
        if isinstance(message, t.ResourceUpdatedNotification):
            sender.send_nowait(str(message.params.uri))

    async def watch(request: httpx2.Request) -> None:
        ids.update({request.headers["mcp-session-id"]} if "mcp-session-id" in request.headers else ())

    async with (
        sender,
        receiver,
        relayed(mortal) as relay,
        connected(relay, mode="legacy", person=person, message_handler=note, watch=watch) as client,
    ):
        await client.subscribe_resource("session://counter/total")
        before = structured(await client.call_tool("counter_add", {"a": 1}))
        with anyio.fail_after(SECONDS):
            assert await receiver.receive() == "session://counter/total"
        for gently, total in ((False, 3), (True, 4)):
            await to_thread.run_sync(partial(restarted, mortal, gently=gently))
            after = structured(await client.call_tool("counter_add", {"a": 1}))
            assert after["session"] == before["session"]
            assert str(after["result"]).endswith(f"total is now {total}")
            with anyio.fail_after(SECONDS):
                heard = False
                while not heard:
                    # The client opens its stream again by itself, a second after it broke.
                    called(mortal, "counter_add", {"a": 0}, person=person)
                    with anyio.move_on_after(0.2):
                        heard = await receiver.receive() == "session://counter/total"
        assert len(ids) == 1


async def test_a_revived_connection_hears_from_its_first_stream_on(mortal: Served, person: str) -> None:
    connection = opened(mortal, person)
    body = {"jsonrpc": "2.0", "id": 3, "method": "resources/subscribe", "params": {"uri": "session://counter/total"}}
    assert send(mortal, "POST", body, person=person, connection=connection).status_code == 200
    dropped = {**body, "params": {"uri": "session://desk/ink"}}
    assert send(mortal, "POST", dropped, person=person, connection=connection).status_code == 200
    ended = {**dropped, "method": "resources/unsubscribe"}
    assert send(mortal, "POST", ended, person=person, connection=connection).status_code == 200
    restarted(mortal)
    headers = {"accept": "text/event-stream", "mcp-session-id": connection, PERSON: person}
    async with httpx2.AsyncClient(verify=TLS, timeout=SECONDS) as http:
        async with http.stream("GET", f"{mortal.url}/mcp", headers=headers) as stream:
            assert stream.status_code == 200
            called(mortal, "desk_stamp", {}, person=person)
            called(mortal, "counter_add", {"a": 1}, person=person)
            with anyio.fail_after(SECONDS):
                async for line in stream.aiter_lines():
                    if line.startswith("data: {"):
                        assert '"session://counter/total"' in line
                        break


async def test_what_nobody_was_there_to_hear_is_told_however_often_the_server_was_killed(
    mortal: Served, person: str
) -> None:
    connection = opened(mortal, person)
    body = {"jsonrpc": "2.0", "id": 3, "method": "resources/subscribe", "params": {"uri": "session://counter/total"}}
    assert send(mortal, "POST", body, person=person, connection=connection).status_code == 200
    called(mortal, "counter_add", {"a": 1}, person=person)
    for _ in range(2):
        restarted(mortal)
        assert status(mortal, person, connection) == 200
    headers = {"accept": "text/event-stream", "mcp-session-id": connection, PERSON: person}
    async with httpx2.AsyncClient(verify=TLS, timeout=SECONDS) as http:
        async with http.stream("GET", f"{mortal.url}/mcp", headers=headers) as stream:
            with anyio.fail_after(SECONDS):
                async for line in stream.aiter_lines():
                    if line.startswith("data: {"):
                        assert '"session://counter/total"' in line
                        break


async def test_a_revived_connection_of_a_session_hears_of_that_session(mortal: Served, person: str) -> None:
    main = called(mortal, "desk_stamp", {}, person=person)["session"]
    handle = called(mortal, "start_session", {"world": "desk"}, person=person)["session"]
    path = f"/sessions/{handle}/mcp"
    connection = opened(mortal, person, path)
    body = {"jsonrpc": "2.0", "id": 3, "method": "resources/subscribe", "params": {"uri": "session://desk/ink"}}
    assert send(mortal, "POST", body, person=person, connection=connection, path=path).status_code == 200
    for again in (False, True):
        assert status(mortal, person, connection, f"/sessions/{main}/mcp") == 404
        if not again:
            restarted(mortal)
    headers = {"accept": "text/event-stream", "mcp-session-id": connection, PERSON: person}
    async with httpx2.AsyncClient(verify=TLS, timeout=SECONDS) as http:
        async with http.stream("GET", f"{mortal.url}{path}", headers=headers) as stream:
            assert stream.status_code == 200
            lines = stream.aiter_lines()
            with anyio.fail_after(SECONDS):  # what may have changed while it was away
                while not (await anext(lines)).startswith("data: {"):
                    pass
            called(mortal, "desk_stamp", {"session": main}, person=person)
            with anyio.move_on_after(0.3) as waited:
                while not (await anext(lines)).startswith("data: {"):
                    pass
            assert waited.cancelled_caught
    async with httpx2.AsyncClient(verify=TLS, timeout=SECONDS) as http:
        async with http.stream("GET", f"{mortal.url}{path}", headers=headers) as stream:
            called(mortal, "desk_stamp", {"session": handle}, person=person)
            with anyio.fail_after(SECONDS):
                async for line in stream.aiter_lines():
                    if line.startswith("data: {"):
                        assert '"session://desk/ink"' in line
                        break


async def test_a_revived_connection_can_still_be_asked(mortal: Served, person: str) -> None:
    async def confirm(context: Any, params: t.ElicitRequestParams) -> t.ElicitResult:
        return t.ElicitResult(action="accept", content={"confirm": True})

    async with (
        relayed(mortal) as relay,
        connected(relay, "/worlds/desk/mcp", mode="legacy", person=person, elicitation_callback=confirm) as client,
    ):
        await client.call_tool("write", {"text": "x"})
        await to_thread.run_sync(restarted, mortal)
        assert structured(await client.call_tool("burn", {}))["result"] == 1


async def test_nobody_else_gets_a_connection_by_its_id(mortal: Served, person: str) -> None:
    connection, other = opened(mortal, person), f"other-{person}"
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    never = send(mortal, "POST", ping, person=other, connection="f" * 32)
    for again in (False, True):
        theirs = send(mortal, "POST", ping, person=other, connection=connection)
        assert (theirs.status_code, theirs.text) == (never.status_code, never.text)
        assert theirs.status_code == 404
        assert send(mortal, "GET", person=other, connection=connection).status_code == 404
        assert send(mortal, "DELETE", person=other, connection=connection).status_code == 404
        assert status(mortal, person, connection) == 200
        if not again:
            restarted(mortal)


async def test_a_connection_belongs_to_its_endpoint(mortal: Served, person: str) -> None:
    handle = called(mortal, "start_session", {"world": "desk"}, person=person)["session"]
    paths = ("/mcp", "/worlds/desk/mcp", "/worlds/counter/mcp", f"/sessions/{handle}/mcp")
    connections = {path: opened(mortal, person, path) for path in paths}
    for again in (False, True):
        for home, connection in connections.items():
            found = {path: status(mortal, person, connection, path) for path in paths}
            assert found == {path: 200 if path == home else 404 for path in paths}
        if not again:
            restarted(mortal)


async def test_a_deleted_connection_is_forgotten_for_good(mortal: Served, person: str) -> None:
    connection = opened(mortal, person)
    assert send(mortal, "DELETE", person=person, connection=connection).status_code == 200
    assert status(mortal, person, connection) == 404
    restarted(mortal)
    assert status(mortal, person, connection) == 404


async def test_a_connection_that_did_not_begin_rightly_is_none(served: Served, person: str) -> None:
    assert status(served, person, None) == 400
    assert send(served, "GET", person=person, connection=None).status_code == 400
    assert send(served, "DELETE", person=person, connection=None).status_code in (400, 404, 405)
    wrong = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": 5}}
    answer = send(served, "POST", wrong, person=person, connection=None)
    assert "error" in answer.text
    for strange in ("", "ä", "x" * 5000, "../../etc"):
        headers = {b"mcp-session-id": strange.encode("latin-1"), b"accept": b"text/event-stream"}
        got = httpx2.get(f"{served.url}/mcp", headers=headers, verify=TLS, timeout=SECONDS)
        assert got.status_code in (400, 404), strange
