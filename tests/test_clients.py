"""Somebody else's client: the MCP Inspector's command line, over HTTP and on pipes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conformance.run import INSPECTOR, NODE, install
from tests.serving import ROOT, environment, serving


def inspect(folder: Path, target: list[str], *wanted: str) -> Any:
    """What the Inspector prints."""
    install()
    ended = subprocess.run(
        [NODE, str(INSPECTOR), "--cli", *target, *wanted],
        cwd=ROOT,
        env={**environment(folder), "HOME": str(folder)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


def test_the_inspector_lists_and_calls_over_http(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        target = [f"{served.url}/mcp", "--transport", "http"]
        listed = inspect(tmp_path, target, "--method", "tools/list")
        assert "counter_add" in [tool["name"] for tool in listed["tools"]]
        call = ["--method", "tools/call", "--tool-name", "counter_add", "--tool-arg", "a=4"]
        for expected in ("Added 4, total is now 5", "Added 4, total is now 9"):
            assert inspect(tmp_path, target, *call)["structuredContent"]["result"] == expected


def test_the_inspector_calls_on_pipes(tmp_path: Path) -> None:
    target = [sys.executable, "-m", "engine.cli", "stdio", "--world", "counter"]
    settings = [f"{name}={value}" for name, value in environment(tmp_path).items() if name.startswith("TURNKEEPER_")]
    given = [part for setting in settings for part in ("-e", setting)]
    call = ["--method", "tools/call", "--tool-name", "add", "--tool-arg", "a=4"]
    assert inspect(tmp_path, [*given, *target], *call)["structuredContent"]["result"] == "Added 4, total is now 5"
