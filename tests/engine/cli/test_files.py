"""export, import and sql: what they write and print, as text and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def played(run: Run, lines: str) -> str:
    """Play the counter, and give the session's handle."""
    assert run("play", "counter", lines=lines).returncode == 0
    found: list[dict[str, str]] = json.loads(run("sessions", "--json").stdout)["sessions"]
    return found[0]["session"]


@pytest.fixture
def counted(run: Run) -> str:
    """A session of the counter at revision 3."""
    return played(run, "add 5\nadd 7\n")


def test_export_says_what_it_wrote(run: Run, counted: str, tmp_path: Path) -> None:
    file = tmp_path / "counter.db"
    done = run("export", counted[:12], str(file))
    assert done.returncode == 0 and file.is_file()
    assert done.stdout.startswith(f"{file}: {counted} at revision 3, 3 journal entries, 0 rows, ")


def test_export_as_json_has_stable_keys(run: Run, counted: str, tmp_path: Path) -> None:
    file = tmp_path / "counter.db"
    found = json.loads(run("export", counted, str(file), "--json").stdout)
    assert found.pop("bytes") == file.stat().st_size
    assert found == {
        "file": str(file),
        "session": counted,
        "world": "counter",
        "revision": 3,
        "entries": 3,
        "rows": 0,
    }


def test_export_needs_force_to_replace_a_file(run: Run, counted: str, tmp_path: Path) -> None:
    file = tmp_path / "counter.db"
    file.write_text("mine")
    done = run("export", counted, str(file))
    assert done.returncode == 1 and "There is a file" in done.stderr and "--force" in done.stderr
    assert run("export", counted, str(file), "--force").returncode == 0


def test_sql_prints_a_table(run: Run, counted: str) -> None:
    done = run("sql", counted, "select revision, action, arguments ->> 'a' as a from journal order by revision")
    assert done.returncode == 0
    assert [line.split() for line in done.stdout.splitlines() if line.strip("─ ")] == [
        ["revision", "action", "a"],
        ["1", "start", "null"],
        ["2", "add", "5"],
        ["3", "add", "7"],
    ]


def test_sql_as_json_gives_rows_by_column(run: Run, counted: str) -> None:
    done = run("sql", counted, "select revision, action from journal order by revision", "--limit", "2", "--json")
    assert json.loads(done.stdout) == {
        "columns": ["revision", "action"],
        "rows": [{"revision": 1, "action": "start"}, {"revision": 2, "action": "add"}],
        "cut": True,
    }


def test_sql_says_where_it_was_cut(run: Run, counted: str) -> None:
    done = run("sql", counted, "select revision from journal", "--limit", "2")
    assert "Only the first 2 rows; --limit gives more." in done.stdout


def test_sql_that_writes_is_refused(run: Run, counted: str) -> None:
    done = run("sql", counted, "delete from journal", "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "not_read_only"


def test_import_says_what_came_of_it(run: Run, counted: str, tmp_path: Path) -> None:
    file = str(tmp_path / "counter.db")
    run("export", counted, file)
    done = run("import", file)
    assert done.returncode == 0 and f"Imported {counted} at revision 3." in done.stdout
    assert len(json.loads(run("sessions", "--json").stdout)["sessions"]) == 2


def test_import_into_another_place_may_keep_the_handle(run: Run, counted: str, tmp_path: Path) -> None:
    file, elsewhere = str(tmp_path / "counter.db"), {"TURNKEEPER_DATA_DIR": str(tmp_path / "elsewhere")}
    run("export", counted, file)
    found = json.loads(run("import", file, "--same-handle", "--json", env=elsewhere).stdout)
    assert (found["session"], found["revision"]) == (counted, 3)
    assert run("history", counted, "--json", env=elsewhere).stdout == run("history", counted, "--json").stdout


def test_import_under_the_old_handle_is_undone_by_undo(run: Run, counted: str, tmp_path: Path) -> None:
    file = str(tmp_path / "counter.db")
    run("export", counted, file)
    played(run, "add 100\n")
    assert json.loads(run("import", file, "--same-handle", "--json").stdout)["revision"] == 5
    assert json.loads(run("show", counted, "--json").stdout)["data"] == {"total": 13}
    run("undo", counted)
    assert json.loads(run("show", counted, "--json").stdout)["data"] == {"total": 113}


def test_import_of_another_file_is_refused_by_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("something else")
    done = run("import", str(tmp_path / "other.db"), "--json")
    assert done.returncode == 1 and json.loads(done.stdout)["error"]["code"] == "foreign_file"
    assert run("import", str(tmp_path / "nothing.db")).returncode == 1
