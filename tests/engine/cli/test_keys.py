"""keys rotate, drop-old and forget: what they print and what they leave."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., Any]


def test_keys_are_rotated_and_old_ones_dropped(run: Run, tmp_path: Path) -> None:
    assert run("sessions").returncode == 0
    assert "a new key in front of 1 older" in run("keys", "rotate").stdout
    assert json.loads(run("keys", "drop-old", "--json").stdout) == {"dropped": 1}
    assert run("keys", "forget").returncode == 0
    assert run("sessions").returncode == 0


def test_keys_of_the_environment_are_left_to_it(run_process: Run, tmp_path: Path) -> None:
    done = run_process("keys", "rotate", env={"TURNKEEPER_SECRETS": "x" * 40})
    assert done.returncode == 1 and "TURNKEEPER_SECRETS" in done.stderr
