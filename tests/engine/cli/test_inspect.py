"""worlds, sessions, show, history, diff: what they print, as tables and as JSON."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

Run = Callable[..., Any]

NOTES = '''
from enum import StrEnum
from pydantic import BaseModel
from sqlmodel import Field
from engine import Row, World, action

class State(StrEnum):
    OPEN = "open"
    SHUT = "shut"

class Line(Row, table=True):
    number: int = Field(primary_key=True)
    text: str

class Cover(BaseModel):
    title: str = ""
    tags: list[str] = []

class Notes(World, states=State, start=State.OPEN, final=[State.SHUT]):
    """Notes."""
    data: Cover

    @action
    def write(self, text: str) -> None:
        """Add a line."""
        self.rows(Line).add(text=text)

    @action
    def rewrite(self, number: int, text: str) -> None:
        """Change a line."""
        self.rows(Line).find(number=number).text = text

    @action
    def tag(self, tag: str) -> None:
        """Add a tag."""
        self.data.tags = [*self.data.tags, tag]

    @action(target=State.SHUT)
    def shut(self) -> None:
        """Shut the book."""
'''


def played(run: Run, lines: str, *words: str) -> str:
    """Play the counter, and give the handle of the session changed last."""
    assert run("play", "counter", *words, lines=lines).returncode == 0
    return str(sessions(run)[0]["session"])


def sessions(run: Run) -> list[dict[str, object]]:
    """Every session, as `sessions --json` gives it."""
    found: list[dict[str, object]] = json.loads(run("sessions", "--json").stdout)["sessions"]
    return found


def test_worlds_lists_names_actions_and_states(run: Run) -> None:
    done = run("worlds")
    assert done.returncode == 0
    assert "counter" in done.stdout and "A running total that is never lost." in done.stdout and "add" in done.stdout


def test_worlds_as_json_has_stable_keys(run: Run) -> None:
    worlds = json.loads(run("worlds", "--json").stdout)["worlds"]
    counter = next(world for world in worlds if world["name"] == "counter")
    assert set(counter) == {"name", "title", "description", "version", "states", "actions", "resources", "commands"}
    add = {"name": "add", "description": "Add a number to the running total.", "read_only": False}
    assert (counter["actions"], counter["states"], counter["resources"]) == ([add], ["open"], ["total"])


def test_worlds_makes_no_database(run: Run, tmp_path: Path) -> None:
    run("worlds")
    assert not (tmp_path / "data").exists()


def test_sessions_lists_every_session_with_whole_handles(run: Run) -> None:
    first = played(run, "add 5\n")
    second = played(run, "", "--new")
    assert [session["session"] for session in sessions(run)] == [second, first]
    assert [session["main"] for session in sessions(run)] == [False, True]
    text = run("sessions").stdout
    assert first in text and second in text


def test_sessions_of_one_world(run: Run) -> None:
    played(run, "")
    assert json.loads(run("sessions", "--world", "adventure", "--json").stdout) == {"sessions": []}
    missing = run("sessions", "--world", "nowhere", "--json")
    assert (missing.returncode, json.loads(missing.stdout)["error"]["code"]) == (1, "not_found")


def test_no_sessions_are_no_error(run: Run) -> None:
    done = run("sessions")
    assert (done.returncode, done.stdout.strip()) == (0, "No sessions.")


def test_show_tells_state_data_and_what_is_possible(run: Run) -> None:
    handle = played(run, "add 5\n")
    shown = json.loads(run("show", handle, "--json").stdout)
    assert (shown["revision"], shown["data"], shown["rows"], shown["allowed_actions"]) == (2, {"total": 6}, {}, ["add"])
    assert (shown["owner"], shown["main"], shown["world"], shown["state"]) == ("local user", True, "counter", "open")
    text = run("show", handle).stdout
    assert handle in text and '"total": 6' in text and "possible add" in text


def test_show_at_a_revision_tells_the_past(run: Run) -> None:
    handle = played(run, "add 5\nadd 6\n")
    shown = json.loads(run("show", handle, "--at", "2", "--json").stdout)
    assert (shown["revision"], shown["latest_revision"], shown["data"]) == (2, 3, {"total": 6})
    assert shown["allowed_actions"] is None


def test_show_draws_the_states_with_where_the_session_is_marked(run: Run) -> None:
    assert run("play", "cart", lines="add assam\ncheckout\n").returncode == 0
    handle = str(sessions(run)[0]["session"])
    mermaid = run("show", handle, "--diagram", "mermaid").stdout
    assert mermaid.startswith("stateDiagram-v2\n") and "class payment_due current" in mermaid
    assert "class payment_due current" not in run("show", handle, "--diagram", "mermaid", "--at", "1").stdout
    drawing = run("show", handle, "--diagram", "svg").stdout
    assert {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(drawing).iter()} >= {"svg", "text"}


def test_show_at_a_revision_that_never_was_is_refused(run: Run) -> None:
    handle = played(run, "")
    done = run("show", handle, "--at", "9")
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["error: There is no revision 9.", "The session has revisions 1 to 1."]


def test_a_unique_beginning_of_a_handle_is_enough(run: Run) -> None:
    handle = played(run, "")
    assert json.loads(run("show", handle[:7], "--json").stdout)["session"] == handle


def test_an_ambiguous_beginning_is_refused_with_the_handles(run: Run) -> None:
    handles = {played(run, ""), played(run, "", "--new")}
    done = run("show", "ses_", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (1, "ambiguous_handle")
    assert all(handle in error["reason"] for handle in handles)


def test_a_handle_never_minted_is_not_found(run: Run) -> None:
    done = run("show", "ses_nope", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "error": {
            "code": "not_found",
            "reason": "There is no session 'ses_nope'.",
            "hint": "`turnkeeper sessions` lists them.",
        }
    }
    assert run("history", "").returncode == 1


def test_history_tells_who_did_what_and_marks_what_was_undone(run: Run) -> None:
    handle = played(run, "add 5\n/undo\n")
    found = json.loads(run("history", handle, "--json").stdout)
    assert found["session"] == handle
    entries = found["history"]
    assert set(entries[0]) == {"revision", "at", "who", "client", "action", "arguments", "state", "target", "undone"}
    assert [entry["action"] for entry in entries] == ["start", "add", "undo"]
    assert [entry["undone"] for entry in entries] == [False, True, False]
    assert [entry["target"] for entry in entries] == [None, None, 2]
    assert (entries[1]["arguments"], entries[1]["who"]) == ({"a": 5}, "local user")
    assert "undone" in run("history", handle).stdout


def test_history_no_longer_marks_what_was_done_again(run: Run) -> None:
    handle = played(run, "add 5\n/undo\n/redo\n")
    entries = json.loads(run("history", handle, "--json").stdout)["history"]
    assert [entry["undone"] for entry in entries] == [False] * 4


def test_history_since_a_revision_leaves_out_what_was_before(run: Run) -> None:
    handle = played(run, "add 5\nadd 6\n")
    entries = json.loads(run("history", handle, "--since", "2", "--json").stdout)["history"]
    assert [entry["revision"] for entry in entries] == [3]


def test_diff_tells_data_rows_and_state(run_process: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "notes.py").write_text(NOTES)
    here = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    lines = "write one\nwrite two\ntag x\nrewrite 1 uno\nwrite three\n/undo\nshut\n"
    assert run_process("play", "notes", lines=lines, env=here).returncode == 0
    handle = json.loads(run_process("sessions", "--json", env=here).stdout)["sessions"][0]["session"]
    difference = json.loads(run_process("diff", handle, "2", "8", "--json", env=here).stdout)
    assert difference == {
        "session": handle,
        "world": "notes",
        "from": 2,
        "to": 8,
        "state": {"before": "open", "after": "shut"},
        "data": [{"path": "$.tags[0]", "after": "x"}],
        "rows": [
            {
                "table": "notes__line",
                "key": {"number": 1},
                "before": {"number": 1, "text": "one"},
                "after": {"number": 1, "text": "uno"},
            },
            {"table": "notes__line", "key": {"number": 2}, "before": None, "after": {"number": 2, "text": "two"}},
        ],
    }
    assert run_process("diff", handle, "2", "8", env=here).stdout.splitlines() == [
        f"{handle}  revision 2 → 8",
        "state",
        '- "open"',
        '+ "shut"',
        "data $.tags[0]",
        '+ "x"',
        'notes__line {"number": 1}',
        '- {"text": "one"}',
        '+ {"text": "uno"}',
        'notes__line {"number": 2}',
        '+ {"number": 2, "text": "two"}',
    ]
    shown = json.loads(run_process("show", handle, "--json", env=here).stdout)
    assert shown["rows"] == {"notes__line": [{"number": 1, "text": "uno"}, {"number": 2, "text": "two"}]}
    assert "notes__line: 2 rows" in run_process("show", handle, env=here).stdout


def test_a_session_of_a_world_that_is_gone_is_listed_but_not_shown(run_process: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "notes.py").write_text(NOTES)
    run_process("play", "notes", lines="write one\n", env={"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")})
    (listed,) = sessions(run_process)
    assert listed["world"] == "notes"
    handle = str(listed["session"])
    assert len(json.loads(run_process("history", handle, "--json").stdout)["history"]) == 2
    assert (run_process("show", handle).returncode, run_process("undo", handle).returncode) == (1, 1)


def test_diff_of_a_revision_with_itself_is_none(run: Run) -> None:
    handle = played(run, "add 5\n")
    done = run("diff", handle, "2", "2")
    assert (done.returncode, done.stdout.splitlines()[1]) == (0, "No difference.")
    assert run("diff", handle, "1", "7").returncode == 1


def test_control_characters_of_others_do_not_reach_the_terminal(run_process: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "notes.py").write_text(NOTES)
    here = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    run_process("play", "notes", lines="write a\x1b[2Jb\n", env=here)
    handle = json.loads(run_process("sessions", "--json", env=here).stdout)["sessions"][0]["session"]
    for words in (("show", handle), ("history", handle), ("diff", handle, "1", "2")):
        assert "\x1b" not in run_process(*words, env=here).stdout


def test_sessions_and_show_say_when_a_session_expired(run_process: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    source = "from datetime import timedelta\nfrom engine import World, action\n\n\nclass Mayfly(World, {}):\n    {}\n"
    said = '"""A mayfly."""\n\n    @action\n    def fly(self) -> None:\n        """Fly."""'
    text = source.format("expires_after=timedelta(microseconds=1)", said)
    (tmp_path / "worlds" / "mayfly.py").write_text(text)
    env = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    assert run_process("play", "mayfly", lines="/quit\n", env=env).returncode == 0
    (listed,) = json.loads(run_process("sessions", "--json", env=env).stdout)["sessions"]
    shown = json.loads(run_process("show", listed["session"], "--json", env=env).stdout)
    assert listed["expired_at"] == shown["expired_at"] > listed["updated_at"]
    assert "expired" in run_process("sessions", env=env).stdout
    assert f"expired {listed['expired_at'][:10]}" in run_process("show", listed["session"], env=env).stdout
