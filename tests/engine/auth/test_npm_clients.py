"""Other people's clients get in by a person's consent: the MCP Inspector and mcp-remote, as they come from npm."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import create_task_group, to_thread
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from tests.browsing import asked_for, consent, guarded, needs_chromium
from tests.conformance.run import INSPECTOR, MCP_REMOTE, NODE, install
from tests.serving import SECONDS, Served, environment, free_port

pytestmark = [pytest.mark.anyio, needs_chromium]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Served]:
    """A guarded server in which ada has an account."""
    install()
    with guarded(tmp_path / "house") as served:
        yield served


def at_home(folder: Path) -> dict[str, str]:
    """The environment of a client that keeps what it has in a folder, and whose browser opens nowhere."""
    node = str(Path(NODE).parent)
    return {**environment(folder), "HOME": str(folder), "PATH": f"{node}{os.pathsep}/nowhere"}


def inspect(folder: Path, house: Served, callback: int, era: str, *, signed_in: bool) -> dict[str, object]:
    """What the Inspector answers to a call, after its person's consent if it asks for it."""
    command = [NODE, str(INSPECTOR), "--cli", "--server-url", f"{house.url}/mcp", "--transport", "http", "--format"]
    command += ["json", "--protocol-era", era, "--method", "tools/call", "--tool-name", "counter_add"]
    command += ["--tool-arg", "a=2", "--callback-url", f"http://127.0.0.1:{callback}/oauth/callback"]
    variables = {**at_home(folder), "MCP_AUTO_OPEN_ENABLED": "true", "MCP_INSPECTOR_SECRET_STORE": "file"}
    log = folder / f"inspector-{signed_in}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors
        )
        try:
            if not signed_in:
                consent_asked_for(log)
            answer, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
            process.wait(SECONDS)
    assert process.returncode == 0, log.read_text()
    found: dict[str, object] = json.loads(answer)["result"]["structuredContent"]
    return found


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_inspector_asks_once_and_comes_back_without_asking(house: Served, tmp_path: Path, era: str) -> None:
    callback = free_port()
    first = inspect(tmp_path, house, callback, era, signed_in=False)
    again = inspect(tmp_path, house, callback, era, signed_in=True)
    assert (first["result"], again["result"]) == ("Added 2, total is now 3", "Added 2, total is now 5")


def consent_asked_for(log: Path) -> None:
    """Consent to what a client asks for, once it does."""
    consent(asked_for(log))


async def test_mcp_remote_asks_once_and_comes_back_without_asking(house: Served, tmp_path: Path) -> None:
    settings = {**at_home(tmp_path), "MCP_REMOTE_CONFIG_DIR": str(tmp_path / "remote")}
    remote = StdioServerParameters(command=NODE, args=[str(MCP_REMOTE), f"{house.url}/mcp"], env=settings)
    for expected, asking in (("Added 2, total is now 3", True), ("Added 2, total is now 5", False)):
        log = tmp_path / f"remote-{asking}.log"
        with log.open("w") as errors:
            async with create_task_group() as tasks:
                if asking:
                    tasks.start_soon(to_thread.run_sync, consent_asked_for, log)
                async with Client(stdio_client(remote, errlog=errors), mode="legacy") as client:
                    answer = await client.call_tool("counter_add", {"a": 2})
        assert answer.structured_content is not None and answer.structured_content["result"] == expected
        assert ("/authorize?" in log.read_text()) is asking
