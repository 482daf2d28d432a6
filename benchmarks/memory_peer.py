"""The memory server and the graph that stands in for it, each a process of its own, on pipes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks.peers import ROOT, PeerFailed
from engine.application import opened
from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.operations import Call
from engine.settings import Settings
from engine.types import LOCAL, Json
from server import tune
from tests.conformance.run import MEMORY, NODE, install


@dataclass(slots=True)
class MemoryPeer:
    """A server under load, and one client of the 2025-11-25 revision."""

    name: str
    process: "subprocess.Popen[str]"
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def pid(self) -> int:
        """Of the process that answers."""
        return self.process.pid

    def ask(self, method: str, **params: Json) -> dict[str, Any]:
        """The result of a request. Raises PeerFailed."""
        number = next(self.numbers)
        self.say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self.process.stdout is not None
        answer = json.loads(self.process.stdout.readline() or "{}")
        result: dict[str, Any] = answer.get("result", {"isError": True})
        if answer.get("id") != number or result.get("isError"):
            raise PeerFailed(f"{self.name} answered {method} with {json.dumps(answer)[:200]}")
        return result

    def call(self, tool: str, **arguments: Json) -> Any:
        """What a tool gives."""
        return self.ask("tools/call", name=tool, arguments=arguments)["structuredContent"]

    def say(self, message: dict[str, Json]) -> None:
        """Send a message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()


@dataclass(slots=True)
class EnginePeer:
    """The graph without MCP: calls of this process's own dispatcher."""

    name: str
    dispatcher: Dispatcher
    pid: int = field(default_factory=os.getpid)

    def call(self, tool: str, **arguments: Json) -> Any:
        """What an action gives, as a tool with an exact contract and as one with an envelope would."""
        try:
            given = self.dispatcher.dispatch(Call(principal=LOCAL, world="graph", action=tool, arguments=arguments))
        except EngineError as error:
            raise PeerFailed(f"{self.name} answered {tool} with {error}") from None
        return {"result": given.value, **(given.value if isinstance(given.value, dict) else {})}


@contextmanager
def original(folder: Path) -> Iterator[MemoryPeer]:
    """The memory server on that folder's `memory.jsonl`, by the Node of the conformance suite.

    Raises PeerFailed if it cannot be installed.
    """
    try:
        install()
    except (OSError, subprocess.CalledProcessError) as error:
        raise PeerFailed(f"the memory server cannot be installed: {error}") from None
    with _running("memory server", [NODE, str(MEMORY)], MEMORY_FILE_PATH=str(folder / "memory.jsonl")) as peer:
        yield peer


@contextmanager
def ours(folder: Path, name: str = "Turnkeeper's graph", world: str = "graph", **settings: str) -> Iterator[MemoryPeer]:
    """Turnkeeper's graph, or another world, on a data directory; an empty one if it is not there."""
    command = [sys.executable, "-m", "engine.cli", "stdio", "--world", world]
    settings = {"TURNKEEPER_AUTH": "off", "TURNKEEPER_DATA_DIR": str(folder), **settings}
    with _running(name, command, **settings) as peer:
        yield peer


@contextmanager
def engine(folder: Path, name: str) -> Iterator[EnginePeer]:
    """The graph on a data directory, in this process."""
    with opened(Settings(data_dir=folder, auth="off")) as dispatcher:
        tune()
        yield EnginePeer(name, dispatcher)


@contextmanager
def _running(name: str, command: list[str], **settings: str) -> Iterator[MemoryPeer]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            peer = MemoryPeer(name, process)
            about: dict[str, Json] = {"name": "benchmark", "version": "1"}
            peer.ask("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=about)
            peer.say({"jsonrpc": "2.0", "method": "notifications/initialized"})
            yield peer
        finally:
            process.kill()
