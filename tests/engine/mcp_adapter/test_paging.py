"""What is read comes in pages that respect the limit on answers, and together they are everything, once."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp.client import Client
from pydantic import BaseModel
from sqlmodel import Field

from engine import Row, World, action, resource
from engine.dispatch import Dispatcher
from engine.limits import Limits, size
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.server import build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.types import LOCAL, dumped
from tests.engine.mcp_adapter.answers import code, structured

pytestmark = pytest.mark.anyio
ROOM = 8_000


class Heading(BaseModel):
    text: str = ""


class Sheet(Row, table=True):
    """A sheet."""

    number: int = Field(primary_key=True)
    text: str


class Folder(World, rows=[Sheet]):
    """A folder of sheets."""

    data: Heading

    @action
    def file(self, first: int, count: int, text: str) -> None:
        """File some sheets."""
        for number in range(first, first + count):
            self.rows(Sheet).add(number=number, text=text)

    @action
    def head(self, text: str) -> None:
        """Give it a heading."""
        self.data.text = text

    @resource
    def everything(self) -> str:
        """All text there is."""
        return "".join(sheet.text for sheet in self.rows(Sheet))


@asynccontextmanager
async def using(dispatcher: Dispatcher) -> AsyncIterator[Any]:
    """Calls tools; each answer keeps to the limit."""
    server = build_server(
        dispatcher, Hub(dispatcher.registry, dispatcher.store), Endpoint(world="folder"), lambda context: LOCAL
    )
    async with Client(server) as client:

        async def call(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            assert not result.is_error, result
            value = structured(result)["result"]
            assert size(dumped(value)) <= ROOM
            assert size(dumped([block.model_dump(mode="json") for block in result.content])) <= ROOM + 500  # the footer
            return value

        call.client = client  # type: ignore[attr-defined]
        yield call


async def test_a_history_is_read_page_by_page(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Folder, limits=Limits(result=ROOM))
    async with using(dispatcher) as call:
        for number in range(40):
            await call("file", first=number, count=1, text='"' * 100 + "ü" * number)
        seen: list[int] = []
        page: Any = {"more": True, "since": 0}
        while page["more"]:
            page = await call("session_history", since=page["since"], limit=500)
            seen += [change["revision"] for change in page["changes"]]
        assert seen == list(range(1, 42))
        assert (await call("session_history", since=30, limit=5))["more"]
        assert not (await call("session_history", since=39))["more"]
        seen, uri = [], "session://folder/history"
        while uri:
            found = json.loads((await call.client.read_resource(uri)).contents[0].text)
            seen += [change["revision"] for change in found["changes"]]
            uri = found["next"]
        assert seen == list(range(1, 42))


async def test_a_session_is_read_page_by_page_at_one_revision(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Folder, limits=Limits(result=ROOM))
    async with using(dispatcher) as call:
        await call("head", text="h" * 5000)
        await call("file", first=1, count=100, text="t" * 50)
        page = await call("get_session")
        assert page["data"] == {"text": "h" * 5000} and page["more"]
        await call("file", first=101, count=1, text="later")
        seen = [row["number"] for row in page["rows"]["tests_engine_mcp_adapter_test_paging__sheet"]]
        while page["more"]:
            page = await call("get_session", cursor=page["cursor"])
            seen += [row["number"] for row in page["rows"]["tests_engine_mcp_adapter_test_paging__sheet"]]
        assert seen == list(range(1, 101)) and page["cursor"] is None
        state = json.loads((await call.client.read_resource("session://folder/state")).contents[0].text)
        assert state["more"] and size(json.dumps(state)) <= ROOM
        for wrong in ("x", "1.2.3", "3.x"):
            assert code(await call.client.call_tool("get_session", {"cursor": wrong})) == "invalid_arguments"
        assert code(await call.client.call_tool("get_session", {"cursor": "3.0", "at": 2})) == "invalid_arguments"


async def test_what_is_too_large_alone_is_left_out_and_named(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Folder, limits=Limits(result=ROOM))
    async with using(dispatcher) as call:
        await call("head", text="h" * 9000)
        await call("file", first=1, count=2, text="t" * 9000)
        page = await call("get_session")
        assert "data" not in page and page["omitted"].startswith("data: ")
        rows = page["rows"]["tests_engine_mcp_adapter_test_paging__sheet"]
        assert len(rows) == 2 and all("bytes, more than an answer may have" in row["omitted"] for row in rows)
        changes = (await call("session_history"))["changes"]
        assert [change["action"] for change in changes] == ["start", "head", "file"]
        assert "arguments" not in changes[1] and changes[1]["omitted"].startswith("arguments, result: ")


async def test_sessions_are_listed_page_by_page_each_once(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Folder, limits=Limits(result=ROOM))
    started = [dispatcher.start(LOCAL, "folder").session for _ in range(60)]
    async with using(dispatcher) as call:
        seen: list[str] = []
        page: Any = {"more": True, "cursor": None}
        while page["more"]:
            page = await call("list_sessions", limit=25, cursor=page["cursor"])
            seen += [found["session"] for found in page["sessions"]]
            if len(seen) < 30:
                await call("head", text=str(len(seen)), session=started[0])
        assert [handle for handle in seen if handle != started[0]] == started[:0:-1]
        assert len(seen) == len(set(seen))


async def test_a_resource_that_is_too_large_is_refused_by_name(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Folder, limits=Limits(result=ROOM))
    async with using(dispatcher) as call:
        await call("file", first=1, count=2, text="t" * 5000)
        with pytest.raises(Exception, match="8,000") as caught:
            await call.client.read_resource("session://folder/everything")
        assert caught.value.error.data["code"] == "result_too_large"  # type: ignore[attr-defined]
