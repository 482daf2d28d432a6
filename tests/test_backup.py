"""Backups: taken while a server is played on, restored elsewhere, and played on from."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx2

from tests.serving import ROOT, SECONDS, TLS, Served, environment, raw_headers, serving

CLIENTS = 4


def call(served: Served, http: httpx2.Client, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """One call over the wire; its structured answer."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "player", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    answer = http.post(f"{served.url}/mcp", json=body, headers=raw_headers("tools/call", params))
    return dict(answer.json()["result"]["structuredContent"])


def backup(folder: Path, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What an operator types."""
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", "backup", str(file), *options],
        env=environment(folder),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def restored(file: Path, folder: Path) -> None:
    """The documented steps, in their order."""
    if (folder / "turnkeeper.db").exists():
        (folder / "turnkeeper.db").rename(folder / "turnkeeper.db.broken")
    for companion in ("turnkeeper.db-wal", "turnkeeper.db-shm"):
        (folder / companion).unlink(missing_ok=True)
    (folder / "turnkeeper.db").write_bytes(file.read_bytes())
    (folder / "turnkeeper.db").chmod(0o600)


class Player:
    """Adds one after the other to a session of its own, and notes the last revision that was acknowledged."""

    def __init__(self, served: Served, enough: Event, done: Event) -> None:
        self.revision = 1
        self.session = ""
        self._served, self._enough, self._done = served, enough, done
        self.thread = Thread(target=self._play)
        self.thread.start()

    def _play(self) -> None:
        with httpx2.Client(verify=TLS, timeout=SECONDS) as http:
            self.session = call(self._served, http, "start_session", {"world": "counter"})["session"]
            while not self._done.is_set():
                self.revision = call(self._served, http, "counter_add", {"session": self.session, "a": 1})["revision"]
                if self.revision > 5:
                    self._enough.set()


def check(file: Path, acknowledged: dict[str, int]) -> None:
    """The copy is sound and has what was acknowledged, each session from one moment."""
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert connection.execute("pragma foreign_key_check").fetchall() == []
        for session, revision in acknowledged.items():
            ((id_, now, data),) = connection.execute(
                "select id, revision, data from session where handle = ?", (session,)
            ).fetchall()
            found = connection.execute("select revision from journal where session_id = ?", (id_,)).fetchall()
            assert now >= revision and data == f'{{"total":{now}}}'
            assert sorted(number for (number,) in found) == list(range(1, now + 1))


def test_backup_under_load_has_all_that_was_acknowledged_and_is_played_on_from(tmp_path: Path) -> None:
    data, file = tmp_path / "data", tmp_path / "copy.db"
    enough, done = [Event() for _ in range(CLIENTS)], Event()
    with serving(data) as served:
        players = [Player(served, each, done) for each in enough]
        try:
            assert all(each.wait(SECONDS) for each in enough)
            acknowledged = {player.session: player.revision for player in players}
            taken = backup(data, file)
        finally:
            done.set()
            for player in players:
                player.thread.join(SECONDS)
        assert taken.returncode == 0, taken.stderr
        assert "worlds' code" in taken.stdout and file.stat().st_mode & 0o777 == 0o600
        check(file, acknowledged)
        served.kill()  # which leaves -wal and -shm behind, full of what came after the backup
    assert (data / "turnkeeper.db-wal").stat().st_size > 0
    for folder in (tmp_path / "elsewhere", data):
        folder.mkdir(exist_ok=True)
        restored(file, folder)
        with serving(folder) as served, httpx2.Client(verify=TLS, timeout=SECONDS) as http:
            for session, revision in acknowledged.items():
                went_on = call(served, http, "counter_add", {"session": session, "a": 1})
                assert went_on["revision"] > revision and went_on["state"] is not None
        check(folder / "turnkeeper.db", acknowledged)


def test_file_that_is_there_is_replaced_only_if_forced(tmp_path: Path) -> None:
    with serving(tmp_path / "data"):
        (tmp_path / "copy.db").write_text("precious")
        refused = backup(tmp_path / "data", tmp_path / "copy.db")
        assert (refused.returncode, "--force" in refused.stderr) == (1, True)
        assert (tmp_path / "copy.db").read_text() == "precious"
        own = backup(tmp_path / "data", tmp_path / "data" / "turnkeeper.db", "--force")
        assert (own.returncode, "is the database itself" in own.stderr) == (1, True)
        assert backup(tmp_path / "data", tmp_path / "copy.db", "--force").returncode == 0
    check(tmp_path / "copy.db", {})


def test_backup_that_cannot_be_made_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    nothing = backup(tmp_path / "data", tmp_path / "copy.db")
    assert (nothing.returncode, "There is no database" in nothing.stderr) == (3, True)
    (tmp_path / "data").mkdir(exist_ok=True)
    (tmp_path / "data" / "turnkeeper.db").write_bytes(b"This is a letter to my aunt, and no database at all." * 100)
    foreign = backup(tmp_path / "data", tmp_path / "copy.db")
    assert (foreign.returncode, "not a database" in foreign.stderr) == (3, True)
    nowhere = backup(tmp_path / "data", tmp_path / "no" / "copy.db")
    assert (nowhere.returncode, "No such file" in nowhere.stderr) == (3, True)
    assert [name for name in os.listdir(tmp_path) if "copy" in name] == []


def test_new_database_is_its_owners_alone(tmp_path: Path) -> None:
    with serving(tmp_path / "outer"), serving(tmp_path / "other" / "data"):
        for file in [*(tmp_path / "outer").glob("turnkeeper.db*"), *(tmp_path / "other").rglob("turnkeeper.db*")]:
            assert file.stat().st_mode & 0o777 == 0o600, file
