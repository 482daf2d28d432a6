"""play: a person, or a script, in a terminal."""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pexpect
import pytest

Run = Callable[..., Any]

CUPBOARD = '''
import os
from enum import StrEnum
from typing import Literal
from pydantic import BaseModel, Field
from engine import Asking, Change, Form, World, action, on_change, resource

class Door(StrEnum):
    SHUT = "shut"
    OPEN = "open"

class Shelf(BaseModel):
    label: str = ""
    things: list[str] = []

class Wrapping(BaseModel):
    paper: Literal["red", "blue"]
    card: str = Field(min_length=2)

async def wrap(cupboard: "Cupboard", asking: Asking, thing: str) -> Wrapping | None:
    answer = (await asking.ask(paper=Form(f"How shall {thing} be wrapped?", Wrapping)))["paper"]
    return answer.value if answer.accepted else None

class Cupboard(World, states=Door, start=Door.SHUT):
    """A cupboard with a door.

    This paragraph is for models.
    """
    data: Shelf

    def start(self, label: str, size: int = 1) -> str:
        """Start."""
        self.data.label = label
        return f"A cupboard for {label}."

    @action(source=Door.SHUT, target=Door.OPEN)
    def open(self) -> str:
        """Open the door."""
        return "Creak."

    @action(source=Door.OPEN)
    def put(self, thing: str, where: Literal["front", "back"] = "front") -> dict[str, object]:
        """Put a thing in."""
        self.data.things = [*self.data.things, thing] if where == "back" else [thing, *self.data.things]
        return {"suggestions": ["put hat", "empty"]}

    @action(source=Door.OPEN, confirm=lambda cupboard: f"Throw {len(cupboard.data.things)} things away?")
    def empty(self) -> str:
        """Throw everything away."""
        self.data.things = []
        return "Gone."

    @action(source=Door.OPEN, prepare=wrap)
    def give(self, thing: str, prepared: Wrapping | None = None) -> str:
        """Give a thing away."""
        return "Kept." if prepared is None else f"{thing} in {prepared.paper}, with love from {prepared.card}."

    @action(read_only=True)
    def count(self) -> int:
        """Count the things."""
        return len(self.data.things)

    @resource(uri="shelf/{place}")
    def at(self, place: int) -> str:
        """What is at a place."""
        return self.data.things[place]

@on_change(Cupboard)
def creak(change: Change) -> None:
    if change.action == "open":
        raise RuntimeError("the hinge")

class Tale(World):
    """A tale."""

    @action
    def command(self, text: str) -> str:
        """Do something."""
        return f"You {text}."

    @action
    def look(self) -> str:
        """Look."""
        return "You see a tale."
'''


@pytest.fixture
def here(tmp_path: Path) -> dict[str, str]:
    """An environment with the worlds cupboard and tale."""
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "cupboard.py").write_text(CUPBOARD)
    return {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}


def handles(run: Run, env: Mapping[str, str] | None = None) -> list[str]:
    """Every session, the one changed last first."""
    return [found["session"] for found in json.loads(run("sessions", "--json", env=env or {}).stdout)["sessions"]]


# from a pipe


def test_a_script_acts_undoes_and_is_refused(run: Run) -> None:
    done = run("play", "counter", lines="add 5\nadd a=7\n/undo\nadd x\nadd 1 2\nfoo\n/redo\n")
    assert (done.returncode, done.stderr) == (0, "")
    (handle,) = handles(run)
    lines = [line for line in done.stdout.splitlines() if handle not in line]
    assert lines == [
        "Counter",
        "A running total that is never lost.",
        "Added 5, total is now 6",
        "Added 7, total is now 13",
        "Undone: add of revision 3.",
        'revision 2: add {"a":5}',
        "Added 5, total is now 6",
        "error: $.a: Input should be a valid integer, unable to parse string as an integer, received 'x'.",
        "The arguments are: a.",
        "error: That is 2 values, but 1 can be given: a.",
        "The arguments are: a.",
        "error: There is no action 'foo'.",
        "/actions lists what there is.",
        "Done again: add of revision 3.",
        'revision 3: add {"a":7}',
        "Added 7, total is now 13",
    ]
    told = [line.removeprefix(handle) for line in done.stdout.splitlines() if handle in line]
    assert (
        told[0] == " · revision 1 · open · add" and told[-1] == " · revision 5 · open"
    )  # what is possible did not change


def test_a_fork_goes_on_apart(run: Run) -> None:
    done = run("play", "counter", lines="add 5\nadd 6\n/fork 2\nadd 100\n")
    fork, origin = handles(run)
    assert f"Forked {origin} at revision 2." in done.stdout
    assert "Added 100, total is now 106" in done.stdout
    assert json.loads(run("show", origin, "--json").stdout)["data"] == {"total": 12}
    back = run("play", "counter", lines=f"/fork\n/switch {origin}\n/fork 9\n/fork x\n")
    assert "There is no revision 9." in back.stdout and "'x' is no number." in back.stdout
    assert fork in handles(run)


def test_play_goes_on_in_a_new_process(run_process: Run) -> None:
    run_process("play", "counter", lines="add 5\n")
    done = run_process("play", "counter", lines="add 6\n")
    assert "revision 2: add" in done.stdout and "Added 5, total is now 6" in done.stdout
    assert "Added 6, total is now 12" in done.stdout
    assert len(handles(run_process)) == 1


def test_play_new_leaves_the_main_session_alone(run: Run) -> None:
    run("play", "counter", lines="add 5\n")
    (first,) = handles(run)
    run("play", "counter", "--new", lines="add 50\n")
    second = handles(run)[0]
    assert "Added 1, total is now 7" in run("play", "counter", lines="add 1\n").stdout
    assert "Added 1, total is now 52" in run("play", "counter", "--session", second[:12], lines="add 1\n").stdout
    listed = run("play", "counter", lines=f"/sessions\n/switch {second}\nadd 1\n/switch nope\n/quit\nadd 1\n").stdout
    assert first in listed and second in listed
    assert "total is now 53" in listed and "There is no session 'nope'." in listed and "now 54" not in listed


def test_play_shows_state_history_resources_actions_and_help(run: Run) -> None:
    done = run(
        "play", "counter", lines="add 5\n/state\n/history 1\n/resource total\n/resource diagram\n/actions\n/help\n"
    )
    for expected in ('"total": 6', "2          20", "stateDiagram-v2", "Add a number to the running total.", "/undo"):
        assert expected in done.stdout
    assert "start" not in done.stdout.partition("revision   when")[2].partition("stateDiagram")[0]
    assert "\n6\n" in done.stdout


def test_what_is_misspelt_is_suggested(run: Run) -> None:
    done = run("play", "counter", lines="/hist\nad 5\nundo\n/resource totl\n/resource\n/xyz\n")
    for expected in (
        "Did you mean /history?",
        "Did you mean add?",
        "Did you mean /undo?",
        "There are: total, diagram.",
    ):
        assert expected in done.stdout
    assert "/help lists what there is." in done.stdout
    assert done.returncode == 0


def test_a_session_of_another_world_or_person_is_not_there(run: Run) -> None:
    run("play", "counter")
    (handle,) = handles(run)
    assert run("play", "adventure", "--session", handle).returncode == 1
    assert run("play", "nowhere").returncode == 1
    assert run("play", "counter", "--new", "--session", handle).returncode == 2


def test_a_start_takes_arguments(run_process: Run, here: dict[str, str]) -> None:
    done = run_process("play", "cupboard", "label=old coats", "size=3", env=here)
    assert "A cupboard for old coats." in done.stdout
    assert "This paragraph is for models." not in done.stdout
    again = run_process("play", "cupboard", "label=hats", env=here)
    assert (again.returncode, "Add --new to start another." in again.stderr) == (2, True)
    asked = run_process("play", "cupboard", "--new", lines="hats\n\n/new boots 4\n", env=here)
    assert "A cupboard for hats." in asked.stdout and "A cupboard for boots." in asked.stdout
    refused = run_process("play", "cupboard", "--new", env=here)
    assert (refused.returncode, "Nothing was started." in refused.stderr) == (1, True)


def test_confirm_and_prepare_ask_at_the_terminal(run_process: Run, here: dict[str, str]) -> None:
    lines = [
        *("empty", "open", 'put "old hat"', "put box back", "count", "empty", "n", "empty", "yes", "count"),
        *("give hat", "green", "red", "X", "Xaver", "give hat", "blue"),
    ]
    done = run_process("play", "cupboard", "label=hats", lines="\n".join(lines) + "\n", env=here)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = (
        "error: empty is not possible while the session is shut.",
        "Throw 2 things away?",
        "error: The person did not confirm.",
        "Throw 2 things away?",
        "Gone.",
        "How shall hat be wrapped?",
        "paper: one of red, blue",
        "card: String should have at least 2 characters",
        "hat in red, with love from Xaver.",
        "How shall hat be wrapped?",
        "not answered",
        "Kept.",
    )
    rest = done.stdout
    for line in wanted:
        _, found, rest = rest.partition(line)
        assert found, (line, done.stdout)


def test_a_failing_hook_does_not_write_into_the_play(run_process: Run, here: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "data" / "play.log"
    for _ in range(5):  # one that is over before it may work leaves the hook to the next
        done = run_process("play", "cupboard", "label=hats", "--new", lines="open\n", env=here)
        assert (done.stderr, "Traceback" in done.stdout) == ("", False)
        if log.exists() and "failed on revision" in log.read_text():
            return
    raise AssertionError(f"no play has called the hook: {done.stdout}")


def test_a_world_with_command_takes_whole_lines(run_process: Run, here: dict[str, str]) -> None:
    done = run_process("play", "tale", lines='go north = up "now\nlook\n/look\n/command text=nod\n/undo\n', env=here)
    for expected in ('You go north = up "now.', "You look.", "You see a tale.", "You nod.", "Undone: command"):
        assert expected in done.stdout


def test_a_resource_takes_arguments(run_process: Run, here: dict[str, str]) -> None:
    lines = "open\nput hat\n/resource at 0\n/resource at place=x\n"
    done = run_process("play", "cupboard", "label=hats", lines=lines, env=here)
    assert "\nhat\n" in done.stdout and "error: $.place" in done.stdout


# at a terminal


@pytest.fixture
def terminal(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., pexpect.spawn]]:
    """Starts `turnkeeper` on a pseudo-terminal."""
    children: list[pexpect.spawn] = []

    def started(*words: str, env: Mapping[str, str] | None = None) -> pexpect.spawn:
        surroundings = {**environment, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})}
        child = pexpect.spawn(
            sys.executable,
            ["-m", "engine.cli", *words],
            env=surroundings,
            cwd=str(tmp_path),
            timeout=20,
            encoding="utf-8",
            dimensions=(40, 120),
        )
        children.append(child)
        return child

    yield started
    for child in children:
        child.close(force=True)


def test_a_person_plays_with_tab_ctrl_c_and_ctrl_d(terminal: Callable[..., pexpect.spawn], run: Run) -> None:
    child = terminal("play", "counter")
    child.expect("A running total that is never lost.")
    child.expect("counter> ")
    child.send("/hist\t")
    child.expect("ory")
    child.send("\r")
    child.expect("local user")
    child.expect("counter> ")
    child.send("add 500\x03")
    child.expect("counter> ")
    child.send("add 5\r")
    child.expect("Added 5, total is now 6")
    child.expect("counter> ")
    child.send("add x\r")
    child.expect("error: ")
    child.expect("counter> ")
    child.send("\x04")
    child.expect("Kept. Go on with: .*turnkeeper play counter --session ses_")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    (handle,) = handles(run)
    assert json.loads(run("show", handle, "--json").stdout)["revision"] == 2


def test_a_person_completes_and_confirms(
    terminal: Callable[..., pexpect.spawn], here: dict[str, str], run_process: Run, tmp_path: Path
) -> None:
    child = terminal("play", "cupboard", env=here)
    child.expect("Label: ")
    child.send("hats\r")
    child.expect("Size .*: ")
    child.send("\r")
    child.expect("A cupboard for hats.")
    child.expect("cupboard> ")
    child.send("op\t")
    child.expect("open")
    child.send("\r")
    child.expect("Creak.")
    child.expect("cupboard> ")
    child.send("put box where=b\t")
    child.expect("ack")
    child.send("\r")
    child.expect("suggestions")
    child.expect("cupboard> ")
    child.send("put h\t")
    child.expect("at")
    child.send("\r")
    child.expect("revision 4")
    child.expect("cupboard> ")
    child.send("empty\r")
    child.expect("Throw 2 things away\\?")
    child.expect("Go on\\? \\[y/N\\] ")
    child.send("\x03")
    child.expect("The person did not confirm.")
    child.expect("cupboard> ")
    child.send("empty\r")
    child.expect("Go on\\? \\[y/N\\] ")
    child.send("y\r")
    child.expect("Gone.")
    child.expect("cupboard> ")
    child.send("/quit\r")
    child.expect(pexpect.EOF)
    assert "put box where=back" in (tmp_path / "data" / "play-cupboard.history").read_text()
    (handle,) = handles(run_process, here)
    assert json.loads(run_process("show", handle, "--json", env=here).stdout)["data"]["things"] == []


def test_an_unforeseen_error_does_not_end_a_person_s_play(
    terminal: Callable[..., pexpect.spawn], here: dict[str, str]
) -> None:
    child = terminal("play", "cupboard", "label=hats", env=here)
    child.expect("cupboard> ")
    child.send("/resource at 7\r")
    child.expect("unforeseen: .*IndexError")
    child.expect("cupboard> ")
    child.send("open\r")
    child.expect("Creak.")


def test_a_terminal_is_not_needed(run_process: Run) -> None:
    assert os.environ.get("TURNKEEPER_DEBUG") is None
    assert "\x1b" not in run_process("play", "counter", lines="add 5\n/history\n").stdout
