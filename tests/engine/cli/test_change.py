"""undo, redo, fork at the command line: what they do, say, and refuse."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def handle(run: Run) -> str:
    """A counter at 1 + 5 + 6, revision 3."""
    run("play", "counter", lines="add 5\nadd 6\n")
    found: str = json.loads(run("sessions", "--json").stdout)["sessions"][0]["session"]
    return found


def total(run: Run, handle: str) -> int:
    """What a counter has come to."""
    found: int = json.loads(run("show", handle, "--json").stdout)["data"]["total"]
    return found


def test_undo_takes_back_and_redo_does_again(run: Run, handle: str) -> None:
    done = run("undo", handle)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "Undone: add of revision 3.")
    assert total(run, handle) == 6
    assert (run("redo", handle[:10]).returncode, total(run, handle)) == (0, 12)
    assert run("undo", handle).returncode == 0
    assert (run("redo", handle).returncode, total(run, handle)) == (0, 12)


def test_undo_as_json_is_the_envelope(run: Run, handle: str) -> None:
    assert json.loads(run("undo", handle, "--json").stdout) == {
        "session": handle,
        "world": "counter",
        "revision": 4,
        "state": "open",
        "allowed_actions": ["add"],
        "result": {"revision": 3, "action": "add"},
        "messages": [],
    }
    assert json.loads(run("redo", handle, "--json").stdout)["revision"] == 5


def test_the_operator_is_who_did_it(run: Run, handle: str) -> None:
    run("undo", handle)
    assert json.loads(run("history", handle, "--json").stdout)["history"][-1]["who"] == "operator"


def test_nothing_to_undo_is_refused_by_name(run: Run, handle: str) -> None:
    run("undo", handle)
    run("undo", handle)
    done = run("undo", handle, "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "nothing_to_undo")
    text = run("undo", handle)
    assert (text.returncode, text.stdout) == (1, "")
    assert text.stderr.startswith("error: There is nothing to undo")


def test_nothing_to_redo_is_refused_by_name(run: Run, handle: str) -> None:
    done = run("redo", handle, "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "nothing_to_redo")


def test_fork_at_a_revision_is_a_session_of_the_same_owner(run: Run, handle: str) -> None:
    forked = json.loads(run("fork", handle, "--at", "2", "--json").stdout)
    assert (forked["revision"], forked["world"]) == (2, "counter")
    assert total(run, forked["session"]) == 6
    shown = json.loads(run("show", forked["session"], "--json").stdout)
    assert (shown["forked_from"], shown["forked_at"], shown["owner"]) == (handle, 2, "local user")


def test_fork_without_a_revision_is_from_the_latest(run: Run, handle: str) -> None:
    done = run("fork", handle)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"Forked {handle} at revision 3.")
    assert run("fork", handle, "--at", "9").returncode == 1
