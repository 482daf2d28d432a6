"""The servers under load: each a process of its own on a free loopback port, with one worker."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.machine import cpu_seconds

ROOT = Path(__file__).resolve().parent.parent
BENCH_ENVIRONMENT = ROOT / ".venv-bench"
LOCK = ROOT / "benchmarks" / "requirements.lock"
START_SECONDS = 60.0


class PeerFailed(Exception):
    """A peer that cannot be installed, or that does not answer."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server under load: where its MCP endpoint is, and the URI of its total."""

    name: str
    process: "subprocess.Popen[bytes]"
    port: int
    path: str
    uri: str
    token: str | None = None

    def cpu_seconds(self) -> float | None:
        """CPU time that the server has used so far, where the system tells (Linux)."""
        return cpu_seconds(self.process.pid)

    def kill(self) -> None:
        """End the server without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextmanager
def turnkeeper(data_dir: Path) -> Iterator[Peer]:
    """Turnkeeper as operators start it, on a data directory of its own."""
    port = free_port()
    settings = {"TURNKEEPER_AUTH": "off", "TURNKEEPER_DATA_DIR": str(data_dir), "TURNKEEPER_PORT": str(port)}
    command = [sys.executable, "server.py"]
    with running("Turnkeeper", command, port, settings, "/worlds/counter/mcp", "session://counter/total") as peer:
        yield peer


@contextmanager
def guarded(data_dir: Path) -> Iterator[Peer]:
    """Turnkeeper with authorization on, and a token for it that has two scopes."""
    port = free_port()
    settings = {"TURNKEEPER_AUTH": "oauth", "TURNKEEPER_DATA_DIR": str(data_dir), "TURNKEEPER_PORT": str(port)}
    command = [sys.executable, "server.py"]
    with running(
        "Turnkeeper, guarded", command, port, settings, "/worlds/counter/mcp", "session://counter/total"
    ) as peer:
        words = ["token", "create", "bench", "--scope", "counter:read", "--scope", "counter:write", "--json"]
        made = subprocess.run(
            [sys.executable, "-m", "engine.cli", *words],
            cwd=ROOT, env={**os.environ, **settings}, check=True, capture_output=True,
        )  # fmt: skip
        yield replace(peer, token=json.loads(made.stdout)["token"])


@contextmanager
def sdk() -> Iterator[Peer]:
    """The MCP SDK's server, from Turnkeeper's own environment."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.sdk_peer", str(port)]
    with running("MCP SDK", command, port, {}, "/mcp", "counter://total") as peer:
        yield peer


@contextmanager
def fastmcp() -> Iterator[Peer]:
    """FastMCP's server, from the environment of the benchmark."""
    port = free_port()
    command = [str(bench_python()), "-m", "benchmarks.fastmcp_peer", str(port)]
    quiet = {"FASTMCP_CHECK_FOR_UPDATES": "off", "FASTMCP_LOG_LEVEL": "WARNING"}
    with running("FastMCP", command, port, quiet, "/mcp", "counter://total") as peer:
        yield peer


def bench_python() -> Path:
    """The interpreter of FastMCP's environment, which is made or renewed to the lock if need be. Raises PeerFailed."""
    python = BENCH_ENVIRONMENT / "bin" / "python"
    installed = BENCH_ENVIRONMENT / "installed.lock"
    if installed.exists() and installed.read_bytes() == LOCK.read_bytes():
        return python
    print(f"Making {BENCH_ENVIRONMENT.name} with FastMCP (once) ...", file=sys.stderr)
    venv.create(BENCH_ENVIRONMENT, clear=True, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-qq", "--no-deps", "--require-hashes", "-r", str(LOCK)]
    if subprocess.run(install, check=False).returncode != 0:
        raise PeerFailed("FastMCP cannot be installed; what pip said stands above.")
    installed.write_bytes(LOCK.read_bytes())
    return python


def free_port() -> int:
    """A loopback port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(
    name: str, command: list[str], port: int, settings: Mapping[str, str], path: str, uri: str
) -> Iterator[Peer]:
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **settings}, stdin=subprocess.DEVNULL)
    peer = Peer(name, process, port, path, uri)
    try:
        _await(peer)
        yield peer
    finally:
        peer.kill()


def _await(peer: Peer) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if peer.process.poll() is not None:
            raise PeerFailed(f"{peer.name} ended with {peer.process.returncode}; what it said stands above.")
        try:
            socket.create_connection(("127.0.0.1", peer.port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise PeerFailed(f"{peer.name} does not listen after {START_SECONDS:.0f} seconds.")
