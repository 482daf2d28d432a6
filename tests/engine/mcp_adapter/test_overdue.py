"""Timers on the wire: what a session waits for, what is overdue, and a call that finds something due."""

import json
from typing import Any

import pytest
from mcp.client import Client

from engine.mcp_adapter.catalog import Endpoint
from engine.mcp_adapter.server import build_server
from engine.mcp_adapter.subscriptions import Hub
from engine.types import LOCAL
from tests.engine.mcp_adapter.answers import code, schemas, structured
from tests.engine.stalls import Make, Stall, pass_by

pytestmark = pytest.mark.anyio


async def test_who_asks_is_told_what_is_set_and_what_is_overdue(dispatcher_of: Make) -> None:
    dispatcher = dispatcher_of(Stall)
    hub = Hub(dispatcher.registry, dispatcher.store)
    server = build_server(dispatcher, hub, Endpoint(world="stall"), lambda context: LOCAL)
    async with Client(server) as client:
        declared = await schemas(client)

        async def asked(tool: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(tool, arguments)
            declared[tool].validate(result.structured_content)
            return structured(result)

        await asked("hold", by="Ann")
        (timer,) = (await asked("get_session"))["result"]["timers"]
        assert timer.keys() == {"action", "arguments", "state", "due_at"}
        assert (timer["action"], timer["arguments"], timer["state"]) == ("release", {"by": "Ann"}, "held")
        pass_by(dispatcher, 20)
        seen = await asked("get_session")
        assert [message["code"] for message in seen["messages"]] == ["overdue"] and seen["revision"] == 2
        body = await client.read_resource("session://stall/state")
        state = json.loads(body.contents[0].text)  # type: ignore[union-attr]
        assert state["messages"][0]["code"] == "overdue" and state["timers"] == [timer]
        assert "release" not in {tool.name for tool in (await client.list_tools()).tools}
        assert code(await client.call_tool("sell", {})) == "wrong_state"
        after = await asked("get_session")
        assert (after["revision"], after["state"], after["messages"]) == (3, "free", [])
        assert "timers" not in after["result"]
        assert (await asked("hold", by="Ben"))["revision"] == 4
