"""migrate: what is behind, and the files it writes."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

LEDGER = '''
from sqlmodel import Field
from engine import Row, World, action

class Line(Row, table=True):
    number: int = Field(primary_key=True)
    text: str

class Ledger(World):
    """A ledger."""

    @action
    def write(self, text: str) -> None:
        """Add a line."""
        self.rows(Line).add(text=text)
'''


@pytest.fixture
def worlds(tmp_path: Path) -> Path:
    """A folder of worlds with a ledger in it."""
    folder = tmp_path / "worlds"
    folder.mkdir()
    (folder / "ledger.py").write_text(LEDGER)
    return folder


def test_a_new_database_is_behind_until_it_is_migrated(run: Run) -> None:
    behind = run("migrate", "--check", "--json")
    assert (behind.returncode, "core" in json.loads(behind.stdout)["behind"]) == (1, True)
    assert "core" in run("migrate", "--check").stdout
    assert "core" in json.loads(run("migrate", "--json").stdout)["upgraded"]
    assert json.loads(run("migrate", "--json").stdout) == {"upgraded": []}
    done = run("migrate", "--check", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"behind": []})
    assert run("migrate", "--check").stdout.strip() == "up to date"


def test_a_database_of_a_newer_version_is_refused(run: Run, tmp_path: Path) -> None:
    run("migrate")
    connection = sqlite3.connect(tmp_path / "data" / "turnkeeper.db")
    connection.execute("update turnkeeper_version set version_num = '9999_later'")
    connection.commit()
    connection.close()
    done = run("migrate")
    assert (done.returncode, "ahead of this Turnkeeper" in done.stderr) == (3, True)


def test_check_and_new_exclude_each_other(run: Run) -> None:
    assert run("migrate", "--check", "--new", "counter").returncode == 2


def test_a_world_that_is_not_there_has_no_migrations(run: Run) -> None:
    assert run("migrate", "--new", "nowhere").returncode == 1


def test_a_plugin_gets_its_migration_beside_its_file(run_process: Run, worlds: Path) -> None:
    here = {"TURNKEEPER_WORLDS_PATH": str(worlds)}
    done = run_process("migrate", "--new", "ledger", "-m", "first lines", "--json", env=here)
    assert done.returncode == 0, done.stderr
    file = Path(json.loads(done.stdout)["file"])
    assert (file.parent, "first_lines" in file.name) == (worlds / "migrations", True)
    assert "ledger__line" in file.read_text()
    assert run_process("play", "ledger", lines="write one\n", env=here).returncode == 0
    (worlds / "ledger.py").write_text(
        LEDGER.replace("    text: str\n", "    text: str\n    tone: str | None = None\n", 1)
    )
    second = run_process("migrate", "--new", "ledger", "-m", "tone", env=here)
    assert "tone" in Path(second.stdout.strip()).read_text()
    assert json.loads(run_process("migrate", "--check", "--json", env=here).stdout) == {"behind": ["ledger"]}
    assert run_process("play", "ledger", lines="write two\n", env=here).returncode == 0


def test_a_change_without_a_first_migration_is_refused_with_the_way_out(run_process: Run, worlds: Path) -> None:
    here = {"TURNKEEPER_WORLDS_PATH": str(worlds)}
    run_process("play", "ledger", lines="write one\n", env=here)
    (worlds / "ledger.py").write_text(LEDGER.replace("    text: str\n", "    text: str\n    tone: str\n", 1))
    assert run_process("sessions", env=here).returncode == 3
    done = run_process("migrate", "--new", "ledger", "--json", env=here)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, "no_baseline")
    assert "migrate --new ledger" in error["hint"]
