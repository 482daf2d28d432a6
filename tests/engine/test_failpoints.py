"""A failpoint ends the process at the n-th time it is reached, and only where one was chosen."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from engine.failpoints import NAMES, VARIABLE, arm

ROOT = Path(__file__).parents[2]
PROGRAM = """
from engine.failpoints import reach
for number in range(1, 6):
    reach("before_commit")
    reach("after_commit")
    print(number, flush=True)
"""


def run(chosen: str | None) -> tuple[int, str, str]:
    """How a program ends that reaches two failpoints five times: exit code, output, errors."""
    variables = {name: value for name, value in os.environ.items() if name != VARIABLE}
    variables |= {VARIABLE: chosen} if chosen is not None else {}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, env=variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_nothing_happens_unless_one_is_chosen() -> None:
    assert run(None) == (0, "1\n2\n3\n4\n5\n", "")


def test_the_chosen_one_ends_the_process_at_its_nth_reach() -> None:
    assert run("after_commit@3") == (-signal.SIGKILL, "1\n2\n", "")


def test_one_that_is_not_reached_so_often_ends_nothing() -> None:
    assert run("before_commit@6")[0] == 0


@pytest.mark.parametrize("wrong", ["before_commit", "nowhere@1", "before_commit@0", "before_commit@x", ""])
def test_a_choice_that_names_no_failpoint_is_refused_by_name(wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"{VARIABLE}={wrong!r}: say name@n")) as raised:
        arm(wrong)
    assert "after_method" in str(raised.value)


def test_the_engine_reaches_only_names_that_exist() -> None:
    code = "".join(file.read_text() for file in sorted((ROOT / "engine").rglob("*.py")))
    assert set(re.findall(r'\breach\("(\w+)"\)', code)) <= NAMES
