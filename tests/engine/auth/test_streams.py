"""A server that runs by itself: the first account's link, and streams that end with what let them begin."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from engine.application import opened
from engine.auth.granting import grants
from engine.auth.tokens import TokenKind, hashed, mint
from engine.dispatch import Dispatcher
from engine.operations import Call
from engine.settings import Settings
from engine.store.access import ClientRow, GrantRow, TokenRow
from engine.store.sqlite import SQLITE
from engine.types import Principal
from tests.serving import Served, serving

SECONDS = 20.0
META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
    "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
}


BOTH = "counter:read counter:write cart:read cart:write"


def headers_of(token: str, method: str) -> dict[str, str]:
    """The headers of a request in the present era."""
    return {
        "authorization": f"Bearer {token}",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
    }


@dataclass
class Beside:
    """A running server, and another process's dispatcher on its database: this one's."""

    served: Served
    dispatcher: Dispatcher

    def token(
        self, name: str, lifetime: timedelta = timedelta(hours=1), scope: str = "counter:read counter:write"
    ) -> tuple[str, Principal, int]:
        """A token of somebody, who that is, and the grant."""
        principal, token = Principal("test", name, name), mint(TokenKind.ACCESS)

        def work(tx: Any) -> int:
            person = tx.ensure_person(principal)
            if tx.db.get(ClientRow, "app") is None:
                row = ClientRow(id="app", kind="registered", name="App", method="none", redirect_uris="[]",
                                grant_types="[]", created_at=tx.at)  # fmt: skip
                tx.db.add(row)
                tx.db.flush()
            grant = GrantRow(
                person_id=person,
                client_id="app",
                resource=self.served.url,
                scope=scope,
                redirect_uri="https://app.example/",
                created_at=tx.at,
                used_at=tx.at,
            )
            tx.db.add(grant)
            tx.db.flush()
            expires = (tx.now + lifetime).isoformat(timespec="microseconds")
            tx.db.add(TokenRow(hash=hashed(token), person_id=person, grant_id=grant.id, resource=self.served.url,
                               scope=grant.scope, created_at=tx.at, expires_at=expires))  # fmt: skip
            tx.db.flush()
            assert grant.id is not None
            return grant.id

        return token, principal, self.dispatcher.store.write(work)

    def listen(self, token: str, uri: str) -> "Listening":
        """A listen stream on a resource."""
        return Listening(self.served, token, uri)


class Listening:
    """A listen stream under way: what it said so far, and when it ended."""

    def __init__(self, served: Served, token: str, uri: str) -> None:
        self.lines: list[str] = []
        self.ended = threading.Event()
        self.acknowledged = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(served, token, uri))
        self._thread.start()

    def _run(self, served: Served, token: str, uri: str) -> None:
        params = {"notifications": {"resourceSubscriptions": [uri]}, "_meta": META}
        body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        headers = headers_of(token, "subscriptions/listen")
        try:
            with httpx2.stream("POST", f"{served.url}/mcp", json=body, headers=headers, timeout=SECONDS) as response:
                for line in response.iter_lines():
                    self.lines.append(line)
                    if "acknowledged" in line:
                        self.acknowledged.set()
        finally:
            self.ended.set()

    def updates(self) -> int:
        """How many changes it told of."""
        return sum("notifications/resources/updated" in line for line in self.lines)

    def close(self) -> None:
        """Wait for its end."""
        self._thread.join(SECONDS)


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beside]:
    """A guarded server as a process, and this one beside it on the same file."""
    with serving(tmp_path, auth="oauth") as served:
        monkeypatch.setenv("TURNKEEPER_DATA_DIR", str(tmp_path))
        with opened(Settings(auth="oauth")) as dispatcher:
            yield Beside(served, dispatcher)


def until(seen: Callable[[], object]) -> None:
    """Wait until something is seen."""
    deadline = time.monotonic() + SECONDS
    while not seen():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def add(beside: Beside, principal: Principal, session: str | None = None) -> str:
    """Change a session in this process; its handle."""
    call = Call(principal=principal, world="counter", action="add", arguments={"a": 1}, session=session)
    return beside.dispatcher.dispatch(call).session


def over_http(beside: Beside, token: str, **arguments: str) -> int:
    """Change a session, the main one of a token's person unless another is named, over HTTP; the status."""
    name = "counter_add"
    headers = headers_of(token, "tools/call") | {"mcp-name": name}
    params = {"name": name, "arguments": {"a": 1, **arguments}, "_meta": META}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    return httpx2.post(f"{beside.served.url}/mcp", json=body, headers=headers).status_code


def test_server_prints_where_the_first_account_is_made(beside: Beside) -> None:
    until(lambda: "/invitations/tkl_" in beside.served.logged())
    link = re.search(r"http://\S+/invitations/\S+", beside.served.logged())
    assert link is not None and httpx2.get(link[0]).status_code == 200


def test_stream_ends_when_another_process_revokes_its_grant(beside: Beside) -> None:
    token, ada, grant = beside.token("ada")
    handle = add(beside, ada)
    stream = beside.listen(token, f"session://{handle}/state")
    assert stream.acknowledged.wait(SECONDS)
    beside.dispatcher.store.write(lambda tx: grants.end(tx, grant))
    assert stream.ended.wait(SECONDS)
    stream.close()
    until(lambda: over_http(beside, token) == 401)


def test_events_end_when_another_process_revokes_the_grant(beside: Beside) -> None:
    token, ada, grant = beside.token("ada")
    handle = add(beside, ada)
    url, headers = f"{beside.served.url}/sessions/{handle}/events", {"authorization": f"Bearer {token}"}
    with httpx2.stream("GET", url, headers=headers, timeout=SECONDS) as response:
        assert response.status_code == 200
        lines = response.iter_lines()
        assert next(lines).startswith(":")
        beside.dispatcher.store.write(lambda tx: grants.end(tx, grant))
        assert not any("event" in line for line in lines)
    until(lambda: httpx2.get(url, headers=headers).status_code == 401)


def test_database_that_is_away_ends_streams_and_nothing_else(beside: Beside, tmp_path: Path) -> None:
    token, ada, _ = beside.token("ada")
    handle = add(beside, ada)
    stream = beside.listen(token, f"session://{handle}/state")
    assert stream.acknowledged.wait(SECONDS)
    database = SQLITE.connect(tmp_path / "turnkeeper.db", isolation_level=None)
    for table in ("token", "browser", "share"):
        database.execute(f"alter table {table} rename to {table}_away")
    assert stream.ended.wait(SECONDS), "what cannot be looked at is not believed"
    stream.close()
    until(lambda: over_http(beside, token) == 503)
    page = httpx2.get(f"{beside.served.url}/account", cookies={"turnkeeper": "tkb_" + "a" * 43})
    assert (page.status_code, page.headers["retry-after"]) == (503, "1"), page.text
    for table in ("token", "browser", "share"):
        database.execute(f"alter table {table}_away rename to {table}")
    database.close()
    until(lambda: over_http(beside, token) == 200)
    again = beside.listen(token, f"session://{handle}/state")
    assert again.acknowledged.wait(SECONDS)
    until(lambda: over_http(beside, token, session=handle) == 200 and again.updates() > 0)
    beside.served.stop()
    again.close()


def test_stream_ends_with_its_token(beside: Beside) -> None:
    token, ada, _ = beside.token("ada", timedelta(seconds=2))
    handle = add(beside, ada)
    stream = beside.listen(token, f"session://{handle}/state")
    assert stream.acknowledged.wait(SECONDS) and stream.ended.wait(SECONDS)
    stream.close()
    assert over_http(beside, token) == 401


def test_stream_tells_nothing_of_a_session_that_another_process_shares_no_more(beside: Beside) -> None:
    hers, ada, _ = beside.token("ada")
    theirs, bea, _ = beside.token("bea")
    handle = add(beside, ada)
    person = beside.dispatcher.store.write(lambda tx: tx.ensure_person(bea))

    def share(role: str | None) -> None:
        given = {"person": person, "role": role}
        call = Call(principal=ada, world="counter", action="share", arguments=given, session=handle)
        beside.dispatcher.dispatch(call)

    share("viewer")
    streams = [beside.listen(token, f"session://{handle}/state") for token in (hers, theirs)]
    assert all(stream.acknowledged.wait(SECONDS) for stream in streams)

    def told() -> list[bool]:
        """Change the session in the server's process: which of the two were told of it by the time that she was."""
        before = [stream.updates() for stream in streams]
        assert over_http(beside, hers, session=handle) == 200
        until(lambda: streams[0].updates() > before[0])
        return [stream.updates() > count for stream, count in zip(streams, before, strict=True)]

    until(lambda: told() == [True, True])
    share(None)
    until(lambda: told() == [True, False])
    beside.served.stop()
    for stream in streams:
        stream.close()


class Legacy:
    """A connection of the older revisions, which any token of its person may use."""

    def __init__(self, beside: Beside, token: str) -> None:
        self._url = f"{beside.served.url}/mcp"
        self._named: dict[str, str] = {}
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
        self._named = {"mcp-session-id": self.ask(token, "initialize", client).headers["mcp-session-id"]}
        assert self._post(token, {"method": "notifications/initialized"}).status_code == 202

    def ask(self, token: str, method: str, params: dict[str, Any]) -> httpx2.Response:
        """A request; its answer."""
        answer = self._post(token, {"id": 1, "method": method, "params": params})
        assert answer.status_code == 200 and '"result"' in answer.text and '"isError":true' not in answer.text
        return answer

    def first_told(self, token: str, change: Callable[[], None]) -> str:
        """What the connection's stream, opened with a token once no other is open, first says after a change."""
        told: list[str] = []

        def listened() -> bool:
            with httpx2.stream("GET", self._url, headers=self._headers(token), timeout=SECONDS) as stream:
                if stream.status_code == 200:
                    change()
                    told.append(next(line for line in stream.iter_lines() if line.startswith("data: {")))
                return bool(told)

        until(listened)
        return told[0]

    def _post(self, token: str, body: dict[str, Any]) -> httpx2.Response:
        return httpx2.post(self._url, json={"jsonrpc": "2.0", **body}, headers=self._headers(token), timeout=SECONDS)

    def _headers(self, token: str) -> dict[str, str]:
        accept = "application/json, text/event-stream"
        return {"authorization": f"Bearer {token}", "accept": accept, **self._named}


def test_connection_tells_who_listens_what_their_own_token_may_read(beside: Beside) -> None:
    broad, narrow = (beside.token("ada", scope=scope)[0] for scope in (BOTH, "cart:read"))
    connection = Legacy(beside, broad)

    def change() -> None:
        for name, arguments in (("counter_add", {"a": 1}), ("cart_add", {"sku": "assam"})):
            connection.ask(broad, "tools/call", {"name": name, "arguments": arguments})

    change()
    for world in ("counter", "cart"):
        connection.ask(broad, "resources/subscribe", {"uri": f"session://{world}/state"})
    for token, world in ((narrow, "cart"), (broad, "counter"), (narrow, "cart")):
        assert f'"session://{world}/state"' in connection.first_told(token, change)
