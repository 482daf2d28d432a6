"""The web application in this process: who asks, health, and worlds that are not there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.middleware import Middleware

from engine.application import opened
from engine.dispatch import Dispatcher
from engine.settings import Settings
from engine.types import LOCAL, Principal
from engine.web.app import ActAs, build_app
from tests.serving import SECONDS, TLS

pytestmark = pytest.mark.anyio
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


async def test_a_world_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    with opened(settings(tmp_path)) as dispatcher:
        async with talking(build_app(dispatcher, ("127.0.0.1",))) as http:
            answer = await http.post("/worlds/moon/mcp", json={})
            assert answer.status_code == 404
            assert "counter" in answer.json()["reason"]
            assert (await http.get("/nowhere")).status_code == 404
