"""An expired session on the wire: every answer about it says when it expired."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp.client import Client

from engine import World, action
from engine.dispatch import Dispatcher
from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.server import build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.types import LOCAL
from tests.engine.mcp_adapter.answers import code, footer, schemas, structured

pytestmark = pytest.mark.anyio


class Milk(World, rows=[], expires_after=timedelta(days=7)):
    """Milk, which does not keep."""

    @action
    def pour(self) -> str:
        """Pour some."""
        return "poured"


async def test_answers_about_an_expired_session_say_so(dispatcher_of: Callable[..., Dispatcher]) -> None:
    dispatcher = dispatcher_of(Milk)
    server = build_server(
        dispatcher, Hub(dispatcher.registry, dispatcher.store), Endpoint(world="milk"), lambda context: LOCAL
    )
    async with Client(server) as client:
        declared = await schemas(client)

        async def asked(tool: str, **arguments: Any) -> Any:
            result = await client.call_tool(tool, arguments)
            Draft202012Validator(declared[tool].schema).validate(structured(result))
            return result

        session = structured(await asked("pour"))["session"]
        (listed,) = structured(await asked("list_sessions"))["result"]["sessions"]
        assert listed["expired_at"] is None
        dispatcher.store.offset = timedelta(days=8)
        (listed,) = structured(await asked("list_sessions"))["result"]["sessions"]
        read = await asked("get_session", session=session)
        refused = await asked("pour", session=session)
        assert code(refused) == "session_expired"
        for result in (read, refused):
            assert structured(result)["expired_at"] == listed["expired_at"]
            assert listed["expired_at"] in footer(result) and "possible: fork_session" in footer(result)
        resource = (await client.read_resource(f"session://{session}/state")).contents[0]
        assert listed["expired_at"] in resource.text  # type: ignore[union-attr]
        assert structured(await asked("pour"))["session"] != session
