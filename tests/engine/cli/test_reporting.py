"""Errors of the command line: exit codes, no tracebacks, and where they are printed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

READING = (("sessions",), ("show", "ses_x"), ("history", "ses_x"), ("undo", "ses_x"), ("migrate",), ("play", "counter"))


def test_the_help_names_every_command(run: Run) -> None:
    text = run("--help").stdout
    for command in ("serve", "stdio", "play", "worlds", "sessions", "show", "history", "diff", "undo", "redo"):
        assert command in text


def test_the_version_is_printed(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout.split()[0].rstrip(",")) == (0, "turnkeeper")


@pytest.mark.parametrize(
    "words", [("diff", "ses_x", "1"), ("nonsense",), ("show", "ses_x", "--at", "x"), ("serve", "--port", "70000")]
)
def test_wrong_usage_exits_2(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_a_setting_that_does_not_fit_exits_2_and_names_it(run: Run) -> None:
    done = run("sessions", env={"TURNKEEPER_PORT": "many"})
    assert (done.returncode, done.stderr.startswith("error: TURNKEEPER_PORT=many: ")) == (2, True)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PROVIDERS__CORP__CLIENT_SECRET", "hush", "TURNKEEPER_PROVIDERS__CORP__CLIENT_ID: Field required."),
        ("PROVIDERS__CORP", "hush", "TURNKEEPER_PROVIDERS__CORP: "),
        ("PROVIDERS", '{"corp": "hush"', "TURNKEEPER_PROVIDERS: it is no JSON object."),
    ],
)
def test_a_provider_that_does_not_fit_exits_2_without_its_secret(
    run: Run, variable: str, value: str, said: str
) -> None:
    done = run("sessions", env={f"TURNKEEPER_{variable}": value})
    assert (done.returncode, done.stderr.startswith(f"error: {said}")) == (2, True), done.stderr
    assert "hush" not in done.stderr + done.stdout


@pytest.mark.parametrize("words", READING)
def test_a_file_that_is_no_database_exits_3(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "turnkeeper.db").write_bytes(b"This is a letter to my aunt.\n" * 200)
    done = run(*words)
    assert done.returncode == 3
    assert done.stderr.startswith("error: This is not a Turnkeeper database")
    assert "Traceback" not in done.stdout + done.stderr


def test_a_damaged_database_exits_3(run: Run, tmp_path: Path) -> None:
    run("play", "counter", lines="add 5\n")
    file = tmp_path / "data" / "turnkeeper.db"
    sound = file.read_bytes()
    file.write_bytes(sound[:4096] + b"\xa5" * (len(sound) - 4096))
    done = run("sessions", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "store")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("undo", "ses_"), ("fork", "ses_"), ("play", "counter")])
def test_a_database_that_cannot_be_written_exits_3(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    run("play", "counter", lines="add 5\n")
    url = f"sqlite:///file:{tmp_path / 'data' / 'turnkeeper.db'}?mode=ro&uri=true"
    done = run(*words, env={"TURNKEEPER_DATABASE_URL": url}, lines="add 5\n")
    assert done.returncode == 3
    assert done.stderr.startswith("error: The database is read-only")
    assert "Traceback" not in done.stdout + done.stderr
    assert run("history", "ses_", env={"TURNKEEPER_DATABASE_URL": url}).returncode == 0


def test_a_folder_that_cannot_be_made_exits_3(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("sessions", env={"TURNKEEPER_DATA_DIR": str(tmp_path / "file" / "data")})
    assert (done.returncode, "Set TURNKEEPER_DATA_DIR" in done.stderr) == (3, True)


def test_another_kind_of_database_exits_3(run: Run) -> None:
    done = run("sessions", env={"TURNKEEPER_DATABASE_URL": "oracle://x"})
    assert (done.returncode, "sqlite:///" in done.stderr) == (3, True)


def test_what_nobody_foresaw_exits_70_with_one_line_to_report(run_process: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "broken.py").write_text(
        "from engine import World, action\n\n\nclass Broken(World):\n    @action\n    def go(self) -> int:\n"
        "        return {}['x']\n"
    )
    here = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    done = run_process("play", "broken", lines="go\n", env=here)
    assert done.returncode == 70
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("unforeseen: KeyError: 'x'") and "broken.py:7" in done.stderr
    debugged = run_process("play", "broken", lines="go\n", env={**here, "TURNKEEPER_DEBUG": "1"})
    assert (debugged.returncode, "Traceback" in debugged.stderr) == (70, True)


def test_a_reader_that_stops_early_gets_no_traceback(environment: dict[str, str]) -> None:
    done = subprocess.run(
        f"{sys.executable} -m engine.cli worlds --json | true",
        shell=True,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "Traceback" not in done.stderr and "unforeseen" not in done.stderr
