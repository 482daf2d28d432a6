"""The memory server itself, an npm package that is pinned and hashed beside the conformance suite, on pipes."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.conformance.run import MEMORY, NODE, install


class MemoryServer:
    """A running memory server. What it keeps is in one file."""

    def __init__(self, process: "subprocess.Popen[str]", file: Path) -> None:
        self._process = process
        self._numbers = count(1)
        self.file = file

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a request, its result or its error."""
        number = next(self._numbers)
        self._say({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert answer["id"] == number, answer
        return answer

    def call(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A tool's result."""
        result: dict[str, Any] = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        return result

    def forget(self) -> None:
        """Begin with an empty graph."""
        self.file.unlink(missing_ok=True)

    def begin(self) -> None:
        """Say hello."""
        told = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}
        self.ask("initialize", **told)
        self._say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()


@contextmanager
def memory_server(folder: Path) -> Iterator[MemoryServer]:
    """The memory server, on a file in a folder."""
    install()
    file = folder / "memory.jsonl"
    process = subprocess.Popen(
        [NODE, str(MEMORY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**os.environ, "MEMORY_FILE_PATH": str(file)},
    )
    with process:
        try:
            server = MemoryServer(process, file)
            server.begin()
            yield server
        finally:
            process.kill()
