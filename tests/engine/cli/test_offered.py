"""Commands that worlds offer: what they are handed, what they print, and which declarations are refused."""

import json
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import pytest
from pydantic import Field
from typer.main import get_command

from engine import Terminal, World, action, command
from engine.cli import app
from engine.definition import COMMAND_NAMES
from engine.errors import DefinitionError

Run = Callable[..., Any]

WORLD = '''
"""A tally."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel
from pydantic import Field as Limit

from engine import Asking, Refused, Terminal, World, action, command


class Count(BaseModel):
    total: int = 0


async def lines(tally: "Tally", asking: Asking) -> int:
    with open(asking.attached) as file:
        found = len(file.readlines())
    await asking.progress(found, found)
    return found


@command(name="count")
def count_file(
    terminal: Terminal, file: Annotated[Path, Limit(description="What to count.")], twice: bool = False
) -> dict[str, int]:
    """Count the lines of a file."""
    for _ in range(1 + twice):
        total = terminal.call("take", attached=file)
    return {"total": total}


@command
def write_total(terminal: Terminal, file: Path, label: str = "total", force: bool = False) -> str:
    """Write the total to a file."""
    size = terminal.view(
        lambda tally: terminal.write(file, (f"{label}: ", f"{tally.data.total}\\n"), replace=force)
    )
    return f"{size} bytes"


@command
def fail(terminal: Terminal, what: str) -> None:
    """Fail."""
    if what == "refused":
        raise Refused("never", "This is never done.", hint="Do something else.")
    raise ZeroDivisionError(what)


class Tally(World, commands=[count_file, write_total, fail]):
    """A tally of lines."""

    data: Count

    @action(prepare=lines)
    def take(self, prepared: int) -> int:
        """Count more."""
        self.data.total += prepared
        return self.data.total
'''


@pytest.fixture
def tally(run: Run, tmp_path: Path) -> Run:
    """Runs `turnkeeper tally` on a world in a file."""
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / f"tallies_{uuid4().hex}.py").write_text(WORLD)
    (tmp_path / "lines.txt").write_text("a\nb\n")
    return lambda *words: run("tally", *words, env={"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")})


def test_a_world_offers_commands(tally: Run, tmp_path: Path) -> None:
    lines = str(tmp_path / "lines.txt")
    shown = tally("--help").stdout
    assert "Count the lines of a file." in shown and "write-total" in shown
    assert "What to count." in tally("count", "--help").stdout
    counted = tally("count", lines, "--json")
    assert (counted.returncode, json.loads(counted.stdout), counted.stderr) == (0, {"total": 2}, "")
    assert json.loads(tally("count", lines, "--twice").stdout) == {"total": 6}
    file = tmp_path / "total.txt"
    assert tally("write-total", str(file), "--label", "lines").stdout == "9 bytes\n"
    assert file.read_text() == "lines: 6\n"
    again = tally("write-total", str(file))
    assert (again.returncode, file.read_text()) == (1, "lines: 6\n") and "There is a file" in again.stderr
    assert tally("write-total", str(file), "--force").returncode == 0


def test_a_command_is_about_the_session_that_is_named(run: Run, tally: Run, tmp_path: Path) -> None:
    lines, env = str(tmp_path / "lines.txt"), {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    tally("count", lines)
    (main,) = json.loads(run("sessions", "--json", env=env).stdout)["sessions"]
    other = json.loads(run("fork", main["session"], "--json", env=env).stdout)["session"]
    assert json.loads(tally("count", lines, "--session", other[:16]).stdout) == {"total": 4}
    assert json.loads(tally("count", lines).stdout) == {"total": 4}
    assert tally("count", lines, "--session", "ses_none").returncode == 1


def test_what_goes_wrong_is_said(tally: Run, tmp_path: Path) -> None:
    refused = tally("fail", "refused")
    assert (refused.returncode, refused.stdout) == (1, "") and "This is never done." in refused.stderr
    assert json.loads(tally("fail", "refused", "--json").stdout)["error"]["code"] == "never"
    unforeseen = tally("fail", "otherwise")
    assert unforeseen.returncode == 70 and "Traceback" not in unforeseen.stderr
    assert tally("nothing").returncode == 2 and tally("count").returncode == 2
    (tmp_path / "worlds" / f"broken_{uuid4().hex}.py").write_text("1 / 0")
    assert tally("count").returncode == 1


def test_a_world_without_commands_is_no_command(run: Run) -> None:
    done = run("counter")
    assert done.returncode == 2 and "No such command 'counter'" in done.stderr


def test_the_names_that_worlds_may_not_have_are_the_command_lines_own() -> None:
    assert sorted(COMMAND_NAMES) == sorted(get_command(app).commands)  # type: ignore[attr-defined]


class Word(StrEnum):
    ONE = "one"


@command
def plain(terminal: Terminal, word: Word, count: int | None = None, path: Annotated[Path, Field()] = Path()) -> None:
    """Take what a command may."""


def test_what_no_command_line_can_give_is_refused() -> None:
    @command
    def listed(terminal: Terminal, words: list[str]) -> None: ...

    @command
    def named(terminal: Terminal, session: str) -> None: ...

    @command
    def bare() -> None: ...

    for commands, what in (
        ([listed], "cannot take"),
        ([named], "'session' already"),
        ([bare], "no terminal"),
        ([len], "is no command"),
        ([plain, command(name="plain")(lambda terminal: None)], "two commands"),
    ):
        with pytest.raises(DefinitionError, match=what):
            type("Broken", (World,), {"__module__": __name__}, commands=commands, rows=[])

    class Show(World, name="shown", commands=[plain], rows=[]):
        @action
        def go(self) -> None: ...

    assert list(Show.definition.commands) == ["plain"]
    with pytest.raises(DefinitionError, match="turnkeeper show"):
        type("Show", (World,), {"__module__": __name__}, commands=[plain], rows=[])
    with pytest.raises(DefinitionError, match="no plain function"):
        command(3)  # type: ignore[call-overload]
