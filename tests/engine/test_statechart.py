"""The pure core: which actions a state allows, where they lead, what is wrong with a chart."""

from itertools import pairwise

from engine.statechart import Chart, Transition, mermaid, problems, take

DOOR = Chart(
    states=("open", "shut", "gone"),
    initial="open",
    finals=frozenset({"gone"}),
    transitions=(
        Transition("shut", frozenset({"open"}), ("shut",)),
        Transition("push", frozenset({"shut"}), ("open", "gone")),
        Transition("knock", None, ()),
        Transition("mourn", frozenset({"gone"}), ()),
    ),
)


def test_action_is_enabled_in_its_source_states_only() -> None:
    assert DOOR.enabled("open", "shut") and not DOOR.enabled("shut", "shut")


def test_action_of_any_state_is_not_enabled_in_a_final_one() -> None:
    assert DOOR.enabled("open", "knock") and DOOR.enabled("shut", "knock") and not DOOR.enabled("gone", "knock")


def test_action_that_names_a_final_state_is_enabled_there() -> None:
    assert DOOR.enabled("gone", "mourn")


def test_first_target_is_taken_unless_another_is_chosen() -> None:
    assert take(DOOR, "shut", "push") == "open"
    assert take(DOOR, "shut", "push", "gone") == "gone"


def test_action_without_targets_stays() -> None:
    assert take(DOOR, "shut", "knock") == "shut"


def test_sound_chart_has_no_problems() -> None:
    assert list(problems(DOOR)) == []


def test_unreachable_states_and_dead_ends_are_found_with_their_remedies() -> None:
    chart = Chart(("a", "b", "c"), "a", frozenset(), (Transition("go", frozenset({"a"}), ("b",)),))
    found = {problem.what: problem.remedy for problem in problems(chart)}
    assert found == {
        "state 'b' is a dead end: no action can be taken there": "give an action source='b', or declare final={'b'}",
        "state 'c' is unreachable: no action leads there": "give an action target='c', or remove the state",
    }


def test_state_reached_only_from_an_unreachable_one_is_unreachable() -> None:
    ways = (Transition("stay", frozenset({"a"}), ()), Transition("go", frozenset({"b"}), ("c",)))
    chart = Chart(("a", "b", "c"), "a", frozenset({"c"}), ways)
    assert [problem.what.split(":")[0] for problem in problems(chart)] == [
        "state 'b' is unreachable",
        "state 'c' is unreachable",
    ]


def test_diagram_has_every_way_and_marks_where_the_session_is() -> None:
    lines = mermaid(DOOR, "shut").splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> open"]
    assert {"    open --> shut: shut", "    shut --> gone: push", "    shut --> shut: knock", "    gone --> [*]"} <= {
        *lines
    }
    assert lines[-1] == "    class shut current"
    assert "current" not in mermaid(DOOR)


def test_diagram_gives_states_that_are_no_plain_words_an_id() -> None:
    states = ("in progress", "in-progress", "end", "done", '"so to say"', "é")
    ways = tuple(
        Transition(f"go{index}", frozenset({one}), (other,)) for index, (one, other) in enumerate(pairwise(states))
    )
    lines = mermaid(Chart(states, states[0], frozenset({"é"}), ways), "end").splitlines()
    assert lines == [
        "stateDiagram-v2",
        '    state "in progress" as in_progress',
        '    state "in-progress" as in_progress_2',
        '    state "end" as state_end',
        '    state "#quot;so to say#quot;" as so_to_say',
        '    state "é" as state_',
        "    [*] --> in_progress",
        "    in_progress --> in_progress_2: go0",
        "    in_progress_2 --> state_end: go1",
        "    state_end --> done: go2",
        "    done --> so_to_say: go3",
        "    so_to_say --> state_: go4",
        "    state_ --> [*]",
        "    classDef current fill:#2b6cb0,color:#fff,stroke-width:2px",
        "    class state_end current",
    ]
