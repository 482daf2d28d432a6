"""check: what it says of a world, place by place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

MUDDLE = """
from enum import StrEnum

from engine import World, action

class State(StrEnum):
    HALL = "hall"
    CELLAR = "cellar"
    ATTIC = "attic"
    OUT = "out"

class Muddle(World, states=State, start=State.HALL, final=[State.OUT]):
    @action(source=State.HALL, target=State.CELLAR)
    def descend(self) -> None: ...

    @action(source=State.HALL, target=State.OUT)
    def leave(self) -> None: ...

    @action(source=State.ATTIC, target=State.HALL)
    def climb(self) -> None: ...
"""


def test_a_sound_world_is_counted(run: Run) -> None:
    done = run("check", "counter")
    assert done.returncode == 0
    assert done.stdout.strip() == "ok counter: 1 state, 1 action, 1 resource, 0 prompts, 0 tables"


def test_a_sound_world_as_json(run: Run) -> None:
    assert json.loads(run("check", "counter", "--json").stdout) == {
        "ok": True,
        "worlds": [{"name": "counter", "states": 1, "actions": 1, "resources": 1, "prompts": 0, "tables": 0}],
        "problems": [],
        "warnings": [],
    }


def test_a_world_that_is_not_there_is_not_found(run: Run) -> None:
    assert run("check", "nowhere").returncode == 1
    assert json.loads(run("check", "nowhere.py", "--json").stdout)["error"]["code"] == "not_found"


def test_a_wrong_declaration_is_told_by_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "misguarded.py"
    file.write_text(
        "from engine import World, action\n\n\nclass Misguarded(World):\n"
        "    @action(guards=['is_fine'])\n    def go(self) -> None:\n        pass\n"
    )
    done = run("check", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith(f"{file}:4: Misguarded.go: unknown guard 'is_fine': Name a method of the world")
    (problem,) = json.loads(run("check", str(file), "--json").stdout)["problems"]
    assert set(problem) == {"place", "problem", "remedy"}


def test_every_fault_of_a_chart_is_told_in_a_line_of_its_own(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "muddle.py"
    file.write_text(MUDDLE)
    done = run("check", str(file))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{file}:12: state 'cellar' is a dead end: no action can be taken there:"
        " give an action source=State.CELLAR, or declare final={State.CELLAR, State.OUT}",
        f"{file}:12: state 'attic' is unreachable: no action leads there:"
        " give an action target=State.ATTIC, or remove the state",
        f"{file}:19: climb can never be chosen: its source 'attic' is unreachable:"
        " lead to State.ATTIC, or take another source",
    ]
    problems = json.loads(run("check", str(file), "--json").stdout)["problems"]
    assert [len(problem) for problem in problems] == [3, 3, 3] and all(problem["remedy"] for problem in problems)


MAYBE = """
from enum import StrEnum

from engine import World, action, transition

class State(StrEnum):
    DESK = "desk"
    QUEUE = "queue"
    SERVED = "served"

def is_free(queue: World) -> str | None:
    return "not yet"

class Queue(World, states=State, start=State.DESK, final=[State.SERVED]):
    @action(source=State.DESK, target=State.QUEUE)
    def wait(self) -> None: ...

    @transition(source=State.QUEUE, target=State.SERVED, guards=[is_free])
    def be_served(self) -> None: ...

    @transition(source=State.QUEUE, target=State.SERVED, on="bell")
    def jump(self) -> None: ...
"""


def test_a_state_that_may_never_be_left_is_a_warning(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "queue_up.py"
    file.write_text(MAYBE)
    done = run("check", str(file))
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            f"{file}:14: warning: state 'queue' may be a dead end: no action can be taken then, and be_served and jump"
            " may never be: give an action source=State.QUEUE, or have one that is taken without guards=[…] and on=…",
            "ok queue: 3 states, 1 action, 0 resources, 0 prompts, 0 tables",
        ],
    )
    found = json.loads(run("check", str(file), "--json").stdout)
    assert found["ok"] and not found["problems"] and [len(warning) for warning in found["warnings"]] == [3]


HEARD = """
from enum import StrEnum

from engine import Compound, Final, World, action, transition

class State(StrEnum):
    HOUSE = "house"
    HALL = "hall"
    ATTIC = "attic"
    OUT = "out"

class Heard(World, states={states}):
    @action(source=State.HALL, target=State.ATTIC)
    def go(self) -> None: ...

    @transition(source=State.{source}, target=State.OUT, on="{event}")
    def fall(self) -> None: ...
"""
FLAT = "[State.HALL, State.ATTIC, Final(State.OUT)]"
HOUSE = '    HOUSE = "house"\n'
WITHIN = "[Compound(State.HOUSE, State.HALL, State.ATTIC), Final(State.OUT)]"


@pytest.mark.parametrize(
    ("states", "source", "said"),
    [
        (FLAT, "ATTIC", "'go' is not possible while 'attic' is active: make it an action, or have it hear an event"),
        (WITHIN, "HOUSE", "wherever 'go' is possible, 'house' is not active, or another is chosen before it: have it"),
        (FLAT, "HALL", "'go', before it, takes the same from 'hall', without a guard: have it hear an event that 'go'"),
    ],
)
def test_an_action_is_heard_only_where_it_is_possible(
    run: Run, tmp_path: Path, states: str, source: str, said: str
) -> None:
    file = tmp_path / "heard.py"
    file.write_text(
        HEARD.format(states=states, source=source, event="go").replace(HOUSE, "" if states == FLAT else HOUSE)
    )
    done = run("check", "--paths", str(file))
    assert done.returncode == 1
    assert [line.partition(": ")[2].partition(": give")[0] for line in done.stdout.splitlines()[:2]] == [
        "state 'attic' is a dead end: no action can be taken there",
        "state 'out' is unreachable: no action leads there",
    ]
    assert f"fall can never be chosen: {said}" in done.stdout


def test_any_event_leads_on_from_a_state_without_actions_only_if_it_is_raised(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "overheard.py"
    file.write_text(HEARD.format(states=FLAT, source="ATTIC", event="*").replace(HOUSE, ""))
    found = json.loads(run("check", "--paths", str(file), "--json").stdout)
    assert found["paths"]["heard"]["out"] == ["go", "(raised) *"]
    assert ["may be a dead end" in warning["problem"] for warning in found["warnings"]] == [True]


def test_the_shortest_way_to_each_state_is_told(run: Run) -> None:
    text = run("check", "cart", "--paths").stdout
    assert "a session starts there" in text
    ways = json.loads(run("check", "cart", "--paths", "--json").stdout)["paths"]["cart"]
    assert ways["open"] == []
    assert ways["payment_declined"] == ["checkout [has_lines]", "pay", "decline"]
    assert ways["paid"] == ["checkout [has_lines]", "pay", "record_payment [is_what_it_costs]"]


def test_a_way_says_what_the_session_does_by_itself_if_guards_allow(run: Run, tmp_path: Path) -> None:
    (tmp_path / "queue_on.py").write_text(MAYBE)
    ways = json.loads(run("check", str(tmp_path / "queue_on.py"), "--paths", "--json").stdout)["paths"]["queue"]
    assert ways == {"desk": [], "queue": ["wait"], "served": ["wait", "(by itself) be_served [is_free]"]}


MENDED = """
from enum import StrEnum

from engine import Compound, Final, History, World, action, done, transition

class State(StrEnum):
    HOUSE = "house"
    HALL = "hall"
    ATTIC = "attic"
    STREET = "street"

class {name}(World, {states}):
    @action(source=State.HALL, target=State.ATTIC)
    def climb(self) -> None: ...

    @action(source=State.HALL, target=State.STREET)
    def leave(self) -> None: ...

    @action(source=State.STREET, target=State.HOUSE)
    def enter_house(self) -> None: ...
"""
LISTED = "states=[State.HOUSE, State.HALL, State.ATTIC, State.STREET], start=State.HALL"
ONE_ENUM = "states=State, start=State.HALL, final=[State.HOUSE]"
NESTED = "states=[Compound(State.HOUSE, State.HALL, State.ATTIC), State.STREET]"
OF_HISTORY = (
    "states=[Compound(State.HOUSE, State.HALL), History(State.ATTIC, default=State.HALL, deep=True), State.STREET]"
)


@pytest.mark.parametrize(
    ("name", "states", "remedies", "mended"),
    [
        (
            "listed",
            LISTED,
            [
                "give an action source=State.HOUSE, or write Final(State.HOUSE)",
                "give an action source=State.ATTIC, or write Final(State.ATTIC)",
            ],
            LISTED.replace("State.HOUSE", "Final(State.HOUSE)").replace("State.ATTIC", "Final(State.ATTIC)"),
        ),
        (
            "one_enum",
            ONE_ENUM,
            ["give an action source=State.ATTIC, or declare final={State.HOUSE, State.ATTIC}"],
            ONE_ENUM.replace("final=[State.HOUSE]", "final={State.HOUSE, State.ATTIC}"),
        ),
        (
            "nested",
            NESTED,
            [
                "give an action source=State.ATTIC, or write Final(State.ATTIC) and a @transition(source=State.HOUSE,"
                " target=…, on=done(State.HOUSE))"
            ],
            NESTED.replace("State.ATTIC", "Final(State.ATTIC)"),
        ),
        (
            "recalling",
            OF_HISTORY,
            [
                "put History(State.ATTIC, default=State.HALL, deep=True) into the Compound or Parallel that it is to"
                " lead back into"
            ],
            OF_HISTORY.replace("HALL), History", "HALL, History").replace("True)", "True))"),
        ),
    ],
)
def test_a_remedy_is_written_as_its_author_would_and_mends_it(
    run: Run, tmp_path: Path, name: str, states: str, remedies: list[str], mended: str
) -> None:
    (tmp_path / f"{name}_amiss.py").write_text(MENDED.format(name="Amiss", states=states))
    told = json.loads(run("check", str(tmp_path / f"{name}_amiss.py"), "--json").stdout)["problems"]
    assert [problem["remedy"] for problem in told] == remedies
    written = MENDED.format(name="Mended", states=mended)
    if "on=done(" in remedies[0]:
        written += "\n    @transition(source=State.HOUSE, target=State.STREET, on=done(State.HOUSE))"
        written += "\n    def get_out(self) -> None: ...\n"
    (tmp_path / f"{name}_mended.py").write_text(written)
    assert run("check", str(tmp_path / f"{name}_mended.py")).stdout.startswith("ok mended")


QUESTS = """
from enum import StrEnum

from engine import Compound, Final, Parallel, World, action, done, transition

State = StrEnum("State", ["START", "END", "ALL", *(f"Q{n}{step}" for n in range(6) for step in ("", *range(10)))])

def quest(n: int) -> Compound:
    *steps, last = (State[f"Q{n}{step}"] for step in range(10))
    return Compound(State[f"Q{n}"], *steps, Final(last))

class Quests(World, states=[State.START, Parallel(State.ALL, *map(quest, range(6))), Final(State.END)]):
    @action(source=State.START, target=State.ALL)
    def begin(self) -> None: ...

    @transition(source=State.ALL, target=State.END, on=done(State.ALL))
    def end(self) -> None: ...

    for n in range(6):
        for one, other in zip(range(9), range(1, 10)):
            @action(name=f"go_{n}_{one}", source=State[f"Q{n}{one}"], target=State[f"Q{n}{other}"])
            def go(self) -> None: ...
            locals()[f"go_{n}_{one}"] = go
            del go
"""


def test_what_is_too_large_to_be_looked_at_wholly_is_said(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "quests.py"
    file.write_text(QUESTS)
    done = run("check", str(file), "--paths")
    assert done.returncode == 0
    assert "warning: the chart has more than 1,024 situations, and was judged state by state" in done.stdout
    assert "The search was cut: there are more than 4,096 situations." in done.stdout
    found = json.loads(run("check", str(file), "--paths", "--json").stdout)
    assert found["ok"] and found["paths_cut"] == ["quests"]
    assert found["paths"]["quests"]["q49"] == ["begin", *(f"go_4_{step}" for step in range(9))]
    assert len(found["paths"]["quests"]["end"]) == 55


def test_a_dead_end_of_many_regions_is_found_though_not_all_is_looked_at(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "stuck.py"
    file.write_text(QUESTS.replace("*steps, Final(last)", "*steps, last").replace("on=done(State.ALL)", 'on="enough"'))
    done = run("check", str(file))
    assert done.returncode == 0
    assert "'q09' and 'q19' and 'q29' and 'q39' and 'q49' and 'q59' may be a dead end together" in done.stdout


def test_a_file_python_cannot_read_is_told_by_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "unfinished.py"
    file.write_text("import engine\nclass Unfinished(\n")
    done = run("check", str(file))
    assert (done.returncode, done.stdout.startswith(f"{file}:2: ")) == (1, True)


def test_a_name_nobody_defined_is_told_by_line(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "nameless.py"
    file.write_text("import engine\n\nprint(nothing)\n")
    done = run("check", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith(f"{file}:3: NameError: name 'nothing' is not defined: ")


def test_a_file_without_a_world_is_a_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty_one.py").write_text("")
    done = run("check", str(tmp_path / "empty_one.py"))
    assert (done.returncode, "there is no world in it" in done.stdout) == (1, True)


def test_a_broken_plugin_is_a_problem_of_every_check(run: Run, tmp_path: Path) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds" / "stateless.py").write_text(
        "from enum import StrEnum\nfrom engine import World\n\n\nclass S(StrEnum):\n    A = 'a'\n\n\n"
        "class Stateless(World, states=S):\n    pass\n"
    )
    here = {"TURNKEEPER_WORLDS_PATH": str(tmp_path / "worlds")}
    done = run("check", "counter", env=here)
    assert (done.returncode, "stateless.py:9: " in done.stdout) == (1, True)
    assert run("sessions", env=here).returncode == 1
