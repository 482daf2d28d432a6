"""user export and user delete: what they write, ask, say and refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def handle(run: Run) -> str:
    """A session of the local person."""
    assert run("play", "counter", lines="add 5\n").returncode == 0
    return sessions(run)[0]


def sessions(run: Run) -> list[str]:
    return [one["session"] for one in json.loads(run("sessions", "--json").stdout)["sessions"]]


def test_export_writes_everything_into_a_new_folder(run: Run, handle: str, tmp_path: Path) -> None:
    done = run("user", "export", "local", str(tmp_path / "me"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'me'}: 3 files, 1 sessions, 0 entries elsewhere\n"
    found = json.loads((tmp_path / "me" / "person.json").read_text())
    assert found["person"] == {"issuer": "local", "subject": "local", "name": "local user", "mail": None}
    again = run("import", str(tmp_path / "me" / "sessions" / f"{handle}.db"))
    assert again.returncode == 0
    assert run("user", "export", "local", str(tmp_path / "me")).stderr.startswith("error: There is something in ")


def test_export_as_json_names_the_files(run: Run, handle: str, tmp_path: Path) -> None:
    found = json.loads(run("user", "export", "local", str(tmp_path / "me"), "--json").stdout)
    assert found["sessions"] == 1 and all(Path(file).is_file() for file in found["files"])
    assert str(tmp_path / "me" / "sessions" / f"{handle}.db") in found["files"]


def test_delete_asks_first_and_deletes_only_then(run: Run, handle: str) -> None:
    for answer in ("n\n", ""):
        done = run("user", "delete", "local", lines=answer)
        assert done.returncode == 1
        assert "local (local user): 1 session will be deleted for good" in done.stdout
    assert "With --json nobody is asked. Add --yes." in json.dumps(
        " ".join(
            json.loads(run("user", "delete", "local", "--json").stdout)["error"][part] for part in ("reason", "hint")
        )
    )
    assert sessions(run) == [handle]
    done = run("user", "delete", "local", lines="y\n")
    assert (done.returncode, sessions(run)) == (0, [])
    assert "local is deleted, with 1 session." in done.stdout


def test_delete_names_the_backups_that_still_hold_data(run: Run, handle: str, tmp_path: Path) -> None:
    backup = tmp_path / "data" / "monday.db"
    assert run("backup", str(backup)).returncode == 0
    done = run("user", "delete", "local", "--yes")
    assert "These files still hold data of theirs:" in done.stdout and str(backup) in done.stdout
    assert "Backups and exports that lie elsewhere are not known here" in done.stdout
    assert run("play", "counter", lines="").returncode == 0
    found = json.loads(run("user", "delete", "local", "--yes", "--json").stdout)
    assert found.pop("note").startswith("Backups and exports")
    assert found == {"deleted": "local", "sessions": 1, "backups": [str(backup)]}


@pytest.mark.parametrize("command", [("export", "FOLDER"), ("delete", "--yes")])
def test_nobody_and_the_operator_are_refused(run: Run, handle: str, tmp_path: Path, command: tuple[str, str]) -> None:
    verb, last = command[0], str(tmp_path / "out") if command[1] == "FOLDER" else command[1]
    done = run("user", verb, "zoe", last)
    assert done.returncode == 1 and "There is nobody called 'zoe' here." in done.stderr
    assert "issuer and subject in quotes" in done.stderr
    assert run("undo", handle).returncode == 0
    done = run("user", verb, "local operator", last)
    assert done.returncode == 1 and "The operator is no person" in done.stderr
    assert sessions(run) == [handle]


def test_what_was_deleted_is_not_left_in_the_file(run: Run, handle: str, tmp_path: Path) -> None:
    names = [f"zebedee-{number}" for number in range(12)]
    for name in names:
        run("user", "add", name, lines="correct horse battery\n")
    for name in names:
        assert run("user", "delete", name, "--yes").returncode == 0
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("turnkeeper.db*"))
    assert kept and b"zebedee" not in kept
