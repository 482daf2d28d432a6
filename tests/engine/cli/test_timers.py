"""timers list, timers resume, and what show says of timers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

EGGS = '''
from datetime import timedelta

from engine import World, action

class Eggs(World):
    """Eggs."""

    @action
    def cook(self, minutes: int) -> None:
        """Cook them."""
        self.after(timedelta(minutes=minutes), Eggs.serve, plates=minutes)

    @action
    def burn(self) -> None:
        """Spoil them."""
        self.after(timedelta(microseconds=1), Eggs.spill)

    @action
    def serve(self, plates: int) -> None:
        """Serve them."""

    @action
    def spill(self) -> None:
        """Spill them."""
        raise RuntimeError("no floor")
'''


@pytest.fixture
def kitchen(run: Run, tmp_path: Path) -> Run:
    """Runs commands where there is a world with timers."""
    (tmp_path / "worlds").mkdir()
    # a process loads a module of one name once
    (tmp_path / "worlds" / f"eggs_of_{tmp_path.name}.py").write_text(EGGS)

    def ran(*words: str, **more: Any) -> Any:
        return run(*words, env={"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}, **more)

    return ran


def listed(run: Run, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(run("timers", "list", *words, "--json").stdout)["timers"]
    return found


def test_timers_are_listed_and_shown(kitchen: Run) -> None:
    assert kitchen("timers", "list").stdout == "No timers.\n"
    assert kitchen("play", "eggs", lines="cook 5\ncook 3\n").returncode == 0
    (five, three) = listed(kitchen)
    assert (five["action"], five["arguments"], five["state"], five["world"]) == ("serve", {"plates": 5}, "open", "eggs")
    assert three["arguments"] == {"plates": 3} and listed(kitchen, "--failed") == []
    assert listed(kitchen, five["session"]) == [five, three]
    assert "serve" in kitchen("timers", "list").stdout
    shown = kitchen("show", five["session"]).stdout
    assert f'timer    serve {{"plates": 5}} at {five["due_at"][:19].replace("T", " ")}Z while open' in shown
    assert json.loads(kitchen("timers", "list", "--limit", "1", "--json").stdout)["more"] is False


def test_a_failed_timer_is_named_and_set_going_again(kitchen: Run) -> None:
    kitchen("play", "eggs", lines="burn\ncook 5\n")
    (failed,) = listed(kitchen, "--failed")
    assert failed["action"] == "spill" and failed["failed"].startswith("RuntimeError, error ")
    assert "RuntimeError" in kitchen("timers", "list").stdout
    assert "failed: RuntimeError" in kitchen("show", failed["session"]).stdout
    refused = kitchen("timers", "resume", failed["session"], "serve")
    assert refused.returncode == 1 and "No timer of 'serve' failed" in refused.stderr
    resumed = kitchen("timers", "resume", failed["session"], "spill")
    assert resumed.returncode == 0 and "The timers of spill go on." in resumed.stdout
    assert listed(kitchen, "--failed") == [] and len(listed(kitchen)) == 2
    history = json.loads(kitchen("history", failed["session"], "--json").stdout)["history"]
    assert [(entry["who"], entry["action"]) for entry in history[2:]] == [
        ("timer", "timer"),
        ("local user", "cook"),
        ("operator", "timer"),
    ]
