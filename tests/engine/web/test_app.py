"""The web application in this process: who asks, health, and worlds that are not there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from starlette.applications import Starlette
from starlette.middleware import Middleware

from engine import World, action
from engine.application import opened
from engine.dispatch import Dispatcher
from engine.registry import Registry
from engine.settings import Settings
from engine.types import LOCAL, Principal
from engine.web.app import ActAs, build_app
from tests.serving import SECONDS, TLS

pytestmark = pytest.mark.anyio
ID = "mcp-session-id"
ADA = Principal(issuer="tests", subject="ada", name="Ada")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def settings(folder: Path) -> Settings:
    return Settings(data_dir=folder, auth="off", database_url=None, worlds_path=None)


@asynccontextmanager
async def talking(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    """An HTTP client of an app in this process."""
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", timeout=SECONDS, verify=TLS
        ) as http:
            yield http


@asynccontextmanager
async def playing(dispatcher: Dispatcher, principal: Principal) -> AsyncIterator[Client]:
    app = build_app(dispatcher, ("127.0.0.1",), Middleware(ActAs, principal=principal))
    async with talking(app) as http:
        transport = streamable_http_client("http://127.0.0.1/worlds/counter/mcp", http_client=http)
        async with Client(transport, mode="2026-07-28") as client:
            yield client


async def test_everybody_has_sessions_of_their_own(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as dispatcher:
        async with playing(dispatcher, LOCAL) as mine, playing(dispatcher, ADA) as theirs:
            first: Any = (await mine.call_tool("add", {"a": 5})).structured_content
            other: Any = (await theirs.call_tool("add", {"a": 1})).structured_content
            assert (first["result"], other["result"]) == ("Added 5, total is now 6", "Added 1, total is now 2")
            assert first["session"] != other["session"]
            answers = []
            for handle in (first["session"], "ses_" + "x" * (len(first["session"]) - 4)):
                answer = await theirs.call_tool("add", {"a": 1, "session": handle})
                assert answer.is_error
                answers.append(answer.model_dump_json().replace(handle, "H"))
            assert answers[0] == answers[1]


async def test_without_more_everybody_is_the_local_person(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as dispatcher:
        async with playing(dispatcher, LOCAL) as client:
            await client.call_tool("add", {"a": 5})
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            transport = streamable_http_client("http://127.0.0.1/mcp", http_client=http)
            async with Client(transport, mode="2026-07-28") as client:
                listed: Any = (await client.call_tool("list_sessions", {})).structured_content
                assert [found["revision"] for found in listed["result"]["sessions"]] == [2]


async def test_health_is_that_of_the_database(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as dispatcher:
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            well = await http.get("/healthz")
            dispatcher.store.close()
            (tmp_path / "turnkeeper.db").write_bytes(b"Dear diary, " * 10_000)
            failing = await http.get("/healthz")
    assert (well.status_code, well.json()) == (200, {"status": "ok"})
    assert (failing.status_code, failing.json()["status"]) == (503, "failing")
    assert "turnkeeper.db" in failing.json()["reason"]


class Kept(World):
    """A world that is uninstalled later."""

    @action
    def step(self) -> None:
        """Step."""


class Other(World):
    """A world that stays."""

    @action
    def step(self) -> None:
        """Step."""


@pytest.mark.parametrize("mode", ["2026-07-28", "legacy"])
async def test_a_session_of_a_world_that_was_uninstalled_says_so(tmp_path: Path, mode: str) -> None:
    with opened(settings(tmp_path), Registry([Kept, Other])) as dispatcher:
        handle = dispatcher.start(LOCAL, "kept").session
    with opened(settings(tmp_path), Registry([Other])) as dispatcher:
        app = build_app(dispatcher, ("127.0.0.1",))
        async with talking(app) as http:
            for path in ("/mcp", f"/sessions/{handle}/mcp"):
                transport = streamable_http_client(f"http://127.0.0.1{path}", http_client=http)
                async with Client(transport, mode=mode) as client:
                    with pytest.raises(MCPError, match="The world 'kept' is not installed here") as error:
                        await client.read_resource(f"session://{handle}/state")
                    assert error.value.error.code == INVALID_PARAMS
                    if path == "/mcp":
                        refused: Any = (await client.call_tool("get_session", {"session": handle})).structured_content
                        assert refused["messages"][0]["code"] == "not_found"
                    else:
                        with pytest.raises(MCPError, match="The world 'kept' is not installed here"):
                            await client.list_tools()


async def test_a_legacy_connection_in_use_is_not_swept(tmp_path: Path) -> None:
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
    accepting = {"accept": "application/json, text/event-stream"}
    with opened(settings(tmp_path)) as dispatcher:
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            used, left = [
                {**accepting, "mcp-session-id": (await http.post("/mcp", json=opening, headers=accepting)).headers[ID]}
                for _ in range(2)
            ]
            dispatcher.store.offset = timedelta(days=29)
            assert (await http.post("/mcp", json=ping, headers=used)).status_code == 200
        dispatcher.store.offset = timedelta(days=31)
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            assert (await http.post("/mcp", json=ping, headers=used)).status_code == 200
            assert (await http.post("/mcp", json=ping, headers=left)).status_code == 404


async def test_a_world_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as dispatcher:
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            answer = await http.post("/worlds/moon/mcp", json={})
            assert answer.status_code == 404
            assert "counter" in answer.json()["reason"]
            assert (await http.get("/nowhere")).status_code == 404
