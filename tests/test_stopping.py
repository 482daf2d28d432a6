"""Told to stop, a process finishes what it accepted, answers it, and is gone in ten seconds."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.serving import ROOT, SECONDS, TLS, Served, environment, post, raw_headers, serving, start

STOPPED_WITHIN = 10.0
GATES = '''
"""Gates that open from outside."""

import time
from pathlib import Path

from pydantic import BaseModel

from engine import World, action


class Passed(BaseModel):
    count: int = 0


class Gate(World, rows=[]):
    """A gate."""

    data: Passed

    @action
    def walk(self, folder: str) -> int:
        """Go through when it opens."""
        (Path(folder) / "waiting").touch()
        while not (Path(folder) / "open").exists():
            time.sleep(0.005)
        self.data.count += 1
        return self.data.count

    @action(read_only=True)
    def passed(self) -> int:
        """How many went through."""
        return self.data.count
'''


@pytest.fixture
def worlds(tmp_path: Path) -> Path:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "gate.py").write_text(GATES)
    return tmp_path / "worlds"


def until(so: Callable[[], bool]) -> None:
    """Wait until something is so, for a bounded time."""
    deadline = time.monotonic() + SECONDS
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def walk(folder: Path, number: int = 1) -> dict[str, Any]:
    """The request to go through the gate."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "gate_walk", "arguments": {"folder": str(folder)}, "_meta": meta}
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params}


class InFlight:
    """A call of which the answer is awaited elsewhere."""

    def __init__(self, served: Served, folder: Path) -> None:
        self._served, self._folder = served, folder
        self.answer: Any = None
        self._thread = threading.Thread(target=self._call)
        self._thread.start()
        until(lambda: (folder / "waiting").exists())

    def _call(self) -> None:
        arguments = {"name": "gate_walk", "arguments": {"folder": str(self._folder)}}
        try:
            self.answer = post(self._served, "/mcp", "tools/call", arguments).json()
        except (httpx2.TransportError, ValueError) as error:
            self.answer = error

    def end(self) -> Any:
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        return self.answer


def listening(served: Served) -> list[threading.Thread]:
    """Streams that never end by themselves: one of each era."""
    opened: list[threading.Event] = []

    def stream(method: str, headers: dict[str, str], body: Any) -> threading.Thread:
        opened.append(threading.Event())
        ready = opened[-1]

        def read() -> None:
            with httpx2.stream(method, f"{served.url}/mcp", headers=headers, json=body, timeout=30, verify=TLS) as got:
                assert got.status_code == 200
                ready.set()
                for _ in got.iter_bytes():
                    pass

        thread = threading.Thread(target=read)
        thread.start()
        return thread

    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    accept = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
    answer = httpx2.post(f"{served.url}/mcp", json=begin, headers=accept, verify=TLS)
    named = {**accept, "mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    wanted = {"notifications": {"resourceSubscriptions": ["session://counter/total"]}}
    listen = walk(Path())
    listen["method"], listen["params"] = "subscriptions/listen", {**wanted, "_meta": listen["params"]["_meta"]}
    threads = [
        stream("GET", {**named, "accept": "text/event-stream"}, None),
        stream("POST", raw_headers("subscriptions/listen", listen["params"]), listen),
    ]
    assert all(ready.wait(SECONDS) for ready in opened)
    return threads


def test_what_was_accepted_is_answered_and_kept_though_streams_are_open(tmp_path: Path, worlds: Path) -> None:
    served = start(tmp_path / "data", worlds)
    streams = listening(served)
    call = InFlight(served, tmp_path)
    served.process.send_signal(signal.SIGTERM)
    told = time.monotonic()
    for stream in streams:
        stream.join(STOPPED_WITHIN)
        assert not stream.is_alive()
    assert served.process.poll() is None
    (tmp_path / "open").touch()
    assert call.end()["result"]["structuredContent"]["result"] == 1
    assert served.process.wait(STOPPED_WITHIN) == 0
    assert time.monotonic() - told < STOPPED_WITHIN
    assert "Traceback" not in served.logged() and "Cancel" not in served.logged()
    with serving(tmp_path / "data", worlds) as again:
        answer = post(again, "/mcp", "tools/call", {"name": "gate_passed", "arguments": {}}).json()
        assert answer["result"]["structuredContent"]["result"] == 1


def test_an_action_that_never_ends_does_not_keep_the_process(tmp_path: Path, worlds: Path) -> None:
    served = start(tmp_path / "data", worlds)
    call = InFlight(served, tmp_path)
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(STOPPED_WITHIN) == 1
    assert "did not end within" in served.logged()
    assert call.end() is not None
    with serving(tmp_path / "data", worlds) as again:
        answer = post(again, "/mcp", "tools/call", {"name": "gate_passed", "arguments": {}}).json()
        assert answer["result"]["structuredContent"]["result"] == 0


@pytest.mark.parametrize("how", ["end of input", signal.SIGTERM, signal.SIGINT])
def test_over_pipes_what_was_accepted_is_answered_too(tmp_path: Path, worlds: Path, how: Any) -> None:
    variables = environment(tmp_path / "data", worlds)
    command = [sys.executable, "-m", "engine.cli", "stdio"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, env=variables, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        for number in (1, 2, 3):
            process.stdin.write(json.dumps(walk(tmp_path, number)).encode() + b"\n")
        process.stdin.flush()
        until(lambda: (tmp_path / "waiting").exists())
        if isinstance(how, signal.Signals):
            process.send_signal(how)
        else:
            process.stdin.close()
        (tmp_path / "open").touch()
        answers = [json.loads(process.stdout.readline()) for _ in range(3)]
        assert process.wait(STOPPED_WITHIN) == 0
        assert process.stdout.read() == b"" and b"Traceback" not in process.stderr.read()
    assert sorted(answer["id"] for answer in answers) == [1, 2, 3]
    assert sorted(answer["result"]["structuredContent"]["result"] for answer in answers) == [1, 2, 3]
