"""Long calls: progress, plain and streamed answers, cancellation, and what nobody foresaw."""

import re
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from tests.engine.mcp_adapter.answers import ERAS, begun, called, structured
from tests.engine.mcp_adapter.conftest import WORLDS
from tests.serving import TLS, Served, connected, pipes, post, raw_headers, until

pytestmark = pytest.mark.anyio


def revision(served: Served, handle: str, person: str) -> int:
    return int(called(served, "get_session", {"session": handle}, person=person)["revision"])


def notes(served: Served, handle: str, person: str) -> list[str]:
    rows = called(served, "get_session", {"session": handle}, person=person)["result"]["rows"]
    return [note["text"] for note in rows["desk__note"]]


async def touched(file: Path) -> None:
    async def there() -> bool:
        return file.exists()

    await until(there)


@pytest.mark.parametrize("mode", ERAS)
async def test_a_long_action_reports_its_progress(served: Served, person: str, mode: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))

    async with connected(served, "/worlds/desk/mcp", mode=mode, person=person) as client:
        result = await client.call_tool("copy", {"times": 3}, progress_callback=hear)
        assert structured(result)["result"] == 3
    assert heard == [(1.0, 3.0, "copy 1"), (2.0, 3.0, "copy 2"), (3.0, 3.0, "copy 3")]


async def test_progress_is_streamed_to_who_gave_a_token_and_others_get_plain_json(served: Served, person: str) -> None:
    params: dict[str, Any] = {"name": "copy", "arguments": {"times": 2}}
    plain = post(served, "/worlds/desk/mcp", "tools/call", params, person=person)
    assert plain.headers["content-type"].startswith("application/json")
    token = {**params, "_meta": {"progressToken": "p1"}}
    streamed = post(served, "/worlds/desk/mcp", "tools/call", token, person=person)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert streamed.text.count("notifications/progress") == 2


@pytest.mark.parametrize("tool", ["stamp", "count"])
async def test_a_short_action_is_answered_as_plain_json(served: Served, person: str, tool: str) -> None:
    answer = post(served, "/worlds/desk/mcp", "tools/call", {"name": tool, "arguments": {}}, person=person)
    assert answer.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("mode", ERAS)
async def test_a_call_cancelled_while_it_prepares_leaves_nothing(
    served: Served, person: str, mode: str, tmp_path: Path
) -> None:
    handle = begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "doze", {"folder": str(tmp_path)})
            await touched(tmp_path / "began")
            tasks.cancel_scope.cancel()
        await touched(tmp_path / "ended")
        assert structured(await client.call_tool("count", {}))["revision"] == 1


async def test_hanging_up_while_a_call_prepares_leaves_nothing(served: Served, person: str, tmp_path: Path) -> None:
    handle = begun(served, person)
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "doze", "arguments": {"folder": str(tmp_path)}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {**raw_headers("tools/call", params), "x-person": person}
    async with httpx2.AsyncClient(verify=TLS) as http, anyio.create_task_group() as tasks:
        url = f"{served.url}/sessions/{handle}/mcp"
        tasks.start_soon(lambda: http.post(url, json=body, headers=headers, timeout=60))
        await touched(tmp_path / "began")
        tasks.cancel_scope.cancel()
    await touched(tmp_path / "ended")
    assert revision(served, handle, person) == 1


async def test_a_call_cancelled_while_it_prepares_on_pipes_leaves_nothing(tmp_path: Path) -> None:
    for mode in ("auto", "legacy"):
        folder = tmp_path / mode
        folder.mkdir()
        async with Client(pipes(tmp_path, WORLDS, world="desk"), mode=mode) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.call_tool, "doze", {"folder": str(folder)})
                await touched(folder / "began")
                tasks.cancel_scope.cancel()
            await touched(folder / "ended")
            assert structured(await client.call_tool("get_session", {}))["revision"] == 1


@pytest.mark.parametrize("mode", ERAS)
async def test_a_call_cancelled_while_it_writes_is_done_whole(
    served: Served, person: str, mode: str, tmp_path: Path
) -> None:
    handle = begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call_tool, "engrave", {"folder": str(tmp_path)})
            await touched(tmp_path / "began")
            tasks.cancel_scope.cancel()
        assert notes(served, handle, person) == []
        (tmp_path / "go").touch()

        async def done() -> bool:
            return revision(served, handle, person) == 2

        await until(done)
        whole = structured(await client.call_tool("get_session", {}))["result"]
        assert [note["text"] for note in whole["rows"]["desk__note"]] == ["engraved"]
        assert whole["data"]["drops"] == 9


async def test_a_key_tells_after_a_cancelled_call_what_became_of_it(
    served: Served, person: str, tmp_path: Path
) -> None:
    handle = begun(served, person)
    meta: Any = {"turnkeeper/key": "engrave-1"}
    arguments = {"folder": str(tmp_path)}
    async with connected(served, f"/sessions/{handle}/mcp", person=person) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: client.call_tool("engrave", arguments, meta=meta))
            await touched(tmp_path / "began")
            tasks.cancel_scope.cancel()
        (tmp_path / "go").touch()
        again = structured(await client.call_tool("engrave", arguments, meta=meta))
        assert (again["revision"], again["replayed"], again["result"]) == (2, 2, 9)


@pytest.mark.parametrize("mode", ERAS)
async def test_what_nobody_foresaw_is_opaque_and_the_log_explains_it(served: Served, person: str, mode: str) -> None:
    handle = begun(served, person)
    async with connected(served, f"/sessions/{handle}/mcp", mode=mode, person=person) as client:
        with pytest.raises(MCPError) as caught:
            await client.call_tool("spill", {})
        error = caught.value.error
        assert error.code == -32603
        assert "blot" not in error.message and "RuntimeError" not in error.message
        (number,) = re.findall(r"error ([0-9a-f]{8})", error.message)
        explained = served.logged().partition(f"error {number}")[2]
        assert ": RuntimeError\n" in explained and ", in spill\n" in explained
        after = structured(await client.call_tool("get_session", {}))["result"]
        assert (after["revision"], after["data"]["drops"], after["rows"]["desk__stamp"]) == (1, 10, [])
