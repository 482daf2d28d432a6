"""serve and stdio: what they print, and that they serve."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

Run = Callable[..., Any]


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
        return number


@contextlib.contextmanager
def serving(environment: dict[str, str], tmp_path: Path, *words: str) -> Iterator[None]:
    """A server in a process of its own, stopped as Ctrl-C stops it; what it says is in `said` and `log`."""
    surroundings = {"TURNKEEPER_AUTH": "off", **environment}
    surroundings.pop("PYTHONWARNINGS")
    command = [sys.executable, "-m", "engine.cli", "serve", *words]
    with (tmp_path / "said").open("w") as said, (tmp_path / "log").open("w") as log:
        with subprocess.Popen(command, env=surroundings, cwd=tmp_path, stdout=said, stderr=log) as process:
            try:
                yield
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(20)


def healthy(url: str, seconds: float = 20) -> bool:
    """Whether the server answers within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
        time.sleep(0.05)
    return False


def test_serve_prints_what_clients_need_and_serves(environment: dict[str, str], tmp_path: Path, port: int) -> None:
    with serving(environment, tmp_path, "--port", str(port)):
        assert healthy(f"http://127.0.0.1:{port}/healthz")
    said, log = (tmp_path / "said").read_text(), (tmp_path / "log").read_text()
    url = f"http://127.0.0.1:{port}/mcp"
    for expected in (url, f"http://127.0.0.1:{port}/worlds/counter/mcp", f"http://127.0.0.1:{port}/healthz"):
        assert expected in said
    over_http, over_pipes = (json.loads(text) for text in re.findall(r"^\{$.*?^\}$", said, re.DOTALL | re.MULTILINE))
    assert over_http == {"mcpServers": {"turnkeeper": {"type": "http", "url": url}}}
    assert over_pipes["mcpServers"]["turnkeeper"] == {
        "command": sys.executable,
        "args": ["-m", "engine.cli", "stdio"],
        "env": {"TURNKEEPER_DATA_DIR": environment["TURNKEEPER_DATA_DIR"]},
    }
    assert f"claude mcp add --transport http turnkeeper {url}\n" in said
    assert "Traceback" not in log


def test_serve_on_a_taken_port_is_an_error_not_a_traceback(run_process: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        done = run_process("serve", "--port", str(number), env={"TURNKEEPER_AUTH": "off", "PYTHONWARNINGS": ""})
    assert done.returncode in (1, 3)
    assert done.stderr.startswith(f"error: Cannot listen on 127.0.0.1:{number}")
    assert done.stdout == ""


def test_a_second_server_on_the_same_port_announces_nothing(
    environment: dict[str, str], run_process: Run, tmp_path: Path, port: int
) -> None:
    with serving(environment, tmp_path, "--port", str(port)):
        assert healthy(f"http://127.0.0.1:{port}/healthz")
        done = run_process("serve", "--port", str(port), env={"TURNKEEPER_AUTH": "off", "PYTHONWARNINGS": ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: Cannot listen on 127.0.0.1:{port}")


def test_a_port_that_the_system_chooses_is_announced(environment: dict[str, str], tmp_path: Path) -> None:
    with serving(environment, tmp_path, "--port", "0"):
        deadline = time.monotonic() + 20
        while not (found := re.search(r"http\S+/healthz", (tmp_path / "said").read_text())):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert ":0/" not in found[0]
        assert healthy(found[0])


def test_serve_asks_who_is_there_unless_told_otherwise(environment: dict[str, str], tmp_path: Path, port: int) -> None:
    with serving(environment | {"TURNKEEPER_AUTH": "oauth"}, tmp_path, "--port", str(port)):
        assert healthy(f"http://127.0.0.1:{port}/healthz")
        assert httpx2.post(f"http://127.0.0.1:{port}/mcp", json={}).status_code == 401
    assert "Make the first one here" in (tmp_path / "said").read_text()


@pytest.mark.parametrize(
    ("missing", "said"),
    [("TURNKEEPER_PUBLIC_URL", "TURNKEEPER_PUBLIC_URL is"), ("TURNKEEPER_ALLOWED_HOSTS", "TURNKEEPER_ALLOWED_HOSTS")],
)
def test_serve_off_loopback_needs_to_know_how_it_is_reached(run_process: Run, missing: str, said: str) -> None:
    given = {
        "TURNKEEPER_HOST": "0.0.0.0",
        "TURNKEEPER_AUTH": "oauth",
        "TURNKEEPER_PUBLIC_URL": "https://play.example",
        "TURNKEEPER_ALLOWED_HOSTS": "play.example",
    }
    done = run_process("serve", env=given | {missing: ""})
    assert (done.returncode, done.stdout) == (1, "") and said in done.stderr
    insecure = run_process("serve", env=given | {"TURNKEEPER_PUBLIC_URL": "http://play.example"})
    assert insecure.returncode == 1 and "https://" in insecure.stderr


def test_serve_with_a_world_file_that_has_tables(environment: dict[str, str], tmp_path: Path, port: int) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "tallies.py").write_text(
        "from sqlmodel import Field\nfrom engine import Row, World, action\n\n\nclass Mark(Row, table=True):\n"
        "    number: int = Field(primary_key=True)\n\n\nclass Tallies(World):\n    @action\n"
        "    def mark(self) -> None:\n        self.rows(Mark).add()\n"
    )
    surroundings = environment | {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    with serving(surroundings, tmp_path, "--port", str(port)):
        assert healthy(f"http://127.0.0.1:{port}/healthz", 8), (tmp_path / "log").read_text()
    assert "/worlds/tallies/mcp" in (tmp_path / "said").read_text()


def test_stdio_prints_nothing_but_protocol(run_process: Run) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    done = run_process("stdio", lines=json.dumps(hello) + "\n", env={"PYTHONWARNINGS": ""})
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["id"] == 1
    empty = run_process("stdio", "--world", "counter", env={"PYTHONWARNINGS": ""})
    assert (empty.returncode, empty.stdout) == (0, "")


def test_stdio_of_a_world_that_is_not_there_is_refused(run_process: Run) -> None:
    done = run_process("stdio", "--world", "nowhere", env={"PYTHONWARNINGS": ""})
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no world 'nowhere'." in done.stderr
