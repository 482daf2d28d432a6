"""hooks at the command line: what it lists, and how a hook that failed goes on."""

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.background.hearing import ATTEMPTS, LONGEST_PAUSE
from engine.dispatch import Dispatcher
from engine.hooks import Hook
from engine.operations import Call
from engine.types import LOCAL, Change
from tests.hearing import passing
from worlds.counter import Counter

Run = Callable[..., Any]
NAME = "mails.tell"
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def fail(change: Change) -> None:
    if change.revision == 2:
        raise RuntimeError("a secret")


@pytest.fixture
def session(dispatcher_of: Callable[..., Dispatcher], tmp_path: Path, run: Run) -> str:
    """A counter at revision 3, in which a hook that no process of the command line has is parked at revision 2."""
    dispatcher = dispatcher_of(Counter, hooks=[Hook(NAME, fail, world=Counter)])
    with passing(dispatcher) as process:
        found = dispatcher.start(LOCAL, "counter").session
        for _ in range(2):
            dispatcher.dispatch(Call(principal=LOCAL, world="counter", action="add", arguments={"a": 1}, session=found))
        process.finish()
        for _ in range(ATTEMPTS):
            process.finish_after(LONGEST_PAUSE)
        process.die()
    dispatcher.store.close()
    (tmp_path / "data").mkdir(mode=0o700)
    for file in tmp_path.glob("turnkeeper.db*"):
        shutil.move(file, tmp_path / "data" / file.name)
    return found


def listed(run: Run) -> dict[str, Any]:
    return {hook["name"]: hook for hook in json.loads(run("hooks", "--json").stdout)["hooks"]}


@sqlite
def test_hooks_are_listed_with_where_they_are(run: Run, session: str) -> None:
    found = listed(run)
    hook = found[NAME]
    assert (hook["world"], hook["loaded"], hook["from_start"]) == ("counter", False, False)
    assert (hook["waiting"], hook["failing"], hook["parked"]) == (0, 0, 1) and hook["oldest"] is not None
    own = found["worlds.counter.log_change"]
    assert own["loaded"] and own["parked"] == 0
    shown = run("hooks").stdout
    assert NAME in shown and "worlds.counter.log_change" in shown


@sqlite
def test_a_hook_is_shown_with_the_sessions_where_it_failed(run: Run, session: str) -> None:
    (trouble,) = json.loads(run("hooks", "show", NAME, "--json").stdout)["sessions"]
    assert (trouble["session"], trouble["revision"], trouble["attempts"]) == (session, 2, ATTEMPTS)
    assert "RuntimeError" in trouble["error"] and "a secret" not in trouble["error"]
    assert session in run("hooks", "show", NAME).stdout
    assert "has failed nowhere" in run("hooks", "show", "worlds.counter.log_change").stdout


@sqlite
def test_a_parked_hook_is_resumed(run: Run, session: str) -> None:
    assert json.loads(run("hooks", "resume", NAME, session[:12], "--json").stdout) == {"hook": NAME, "sessions": 1}
    assert (listed(run)[NAME]["waiting"], listed(run)[NAME]["parked"]) == (1, 0)
    assert run("hooks", "resume", NAME).stdout == f"{NAME} is tried again in 0 sessions.\n"


@sqlite
def test_a_change_is_skipped(run: Run, session: str) -> None:
    assert run("hooks", "skip", NAME, session).stdout == f"{NAME} goes on after revision 2.\n"
    assert listed(run)[NAME]["waiting"] == 1
    again = run("hooks", "skip", NAME, session)
    assert again.returncode == 1 and "failed at nothing" in again.stderr


@sqlite
def test_a_hook_is_forgotten(run: Run, session: str) -> None:
    assert run("hooks", "forget", NAME).returncode == 0
    assert NAME not in listed(run)
    gone = run("hooks", "show", NAME)
    assert gone.returncode == 1 and f"There is no hook '{NAME}'" in gone.stderr


@sqlite
def test_a_hook_that_is_loaded_begins_anew_as_soon_as_it_is_forgotten(run: Run, session: str, tmp_path: Path) -> None:
    name = "worlds.counter.log_change"
    before = listed(run)[name]["since"]
    assert run("hooks", "forget", name).returncode == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "turnkeeper.db")) as database:
        ((since,),) = database.execute("select since from consumer where name = ?", (name,)).fetchall()
    assert since > before
