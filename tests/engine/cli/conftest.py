"""What the command line's tests share: running it, and a folder for its data."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from engine.cli import app

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of a process whose data is in the test's folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TURNKEEPER_")}
    return kept | {"TURNKEEPER_DATA_DIR": str(tmp_path / "data"), "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ran]:
    """Runs `turnkeeper` in this process with these words and input."""

    def ran(*words: str, lines: str = "", env: Mapping[str, str] | None = None) -> Ran:
        names = [name for name in os.environ if name.startswith("TURNKEEPER_")]
        here = {**dict.fromkeys(names), "TURNKEEPER_DATA_DIR": str(tmp_path / "data"), **(env or {})}
        done = CliRunner(env=here).invoke(app, list(words), input=lines, prog_name="turnkeeper")
        return Ran(done.exit_code, done.stdout, done.stderr)

    return ran


@pytest.fixture
def run_process(environment: dict[str, str], tmp_path: Path) -> Callable[..., Ran]:
    """Runs `turnkeeper` as a process of its own: slower, and it may load world files with tables."""

    def ran(*words: str, lines: str = "", env: Mapping[str, str] | None = None) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "engine.cli", *words],
            input=lines,
            env={**environment, **(env or {})},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return ran
