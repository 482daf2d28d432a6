"""Charts as Mermaid: every state at its place, every way, and where the session is."""

from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Any

from engine import Compound, Final, World, action, done, transition
from engine.charts import ROOT, Chart, Delay, Kind, Node, Transition
from engine.drawing.mermaid import mermaid


def way(source: str, event: str, *targets: str, **said: Any) -> Transition:
    return Transition(source=source, events=(event,) if event else (), targets=targets, **said)


def always(context: Any, moment: Any) -> bool:
    return True


DOOR = Chart(
    (Node(name="open"), Node(name="shut"), Node(name="gone", kind=Kind.FINAL)),
    (
        way("open", "shut", "shut"),
        way("shut", "push", "open", choices=("open", "gone")),
        way(ROOT, "knock"),
        way("gone", "mourn"),
    ),
)

ORDER = Chart(
    (
        Node(name="cart", delays=(Delay("expire", timedelta(minutes=15)),)),
        Node(name="placed", kind=Kind.PARALLEL),
        Node(name="payment", kind=Kind.COMPOUND, parent="placed"),
        Node(name="due", parent="payment"),
        Node(name="paid", kind=Kind.FINAL, parent="payment"),
        Node(name="packing up", kind=Kind.COMPOUND, parent="placed"),
        Node(name="begun", parent="packing up"),
        Node(name="where it was", kind=Kind.DEEP, parent="packing up", initial=("begun",)),
        Node(name="gone", kind=Kind.FINAL),
    ),
    (
        way("cart", "place", "placed", guard=always),
        way("cart", "expire", "gone", label="lapse"),
        way("due", "pay", "paid"),
        way("begun", "", guard=always),
        way("cart", "resume", "where it was"),
        way("placed", "done.state.placed", "gone"),
        way(ROOT, "cancel", "gone"),
    ),
)


def test_diagram_has_every_way_and_marks_where_the_session_is() -> None:
    lines = mermaid(DOOR, {"shut"}).splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> open"]
    assert {"    open --> shut: shut", "    shut --> gone: push", "    shut --> shut: knock", "    gone --> [*]"} <= {
        *lines
    }
    assert lines[-1] == "    class shut current"
    assert "current" not in mermaid(DOOR)


def test_action_of_any_state_is_drawn_from_every_one_that_is_not_final() -> None:
    knocks = [line.strip() for line in mermaid(DOOR).splitlines() if line.endswith(": knock")]
    assert knocks == ["open --> open: knock", "shut --> shut: knock"]


def test_diagram_gives_states_that_are_no_plain_words_an_id() -> None:
    states = ("in progress", "in-progress", "end", "done", '"so to say"', "é")
    nodes = tuple(Node(name=state, kind=Kind.FINAL if state == "é" else Kind.ATOMIC) for state in states)
    ways = tuple(way(one, f"go{index}", other) for index, (one, other) in enumerate(pairwise(states)))
    assert mermaid(Chart(nodes, ways), {"end"}).splitlines() == [
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


def test_no_state_is_called_as_mermaid_calls_where_one_begins_and_ends() -> None:
    nodes = (
        Node(name="payment", kind=Kind.COMPOUND),
        Node(name="payment_start", parent="payment"),
        Node(name="payment_end", kind=Kind.FINAL, parent="payment"),
        Node(name="payment_start_"),
        Node(name="root", kind=Kind.FINAL),
    )
    ways = (
        way("payment_start", "pay", "payment_end"),
        way("payment", "done.state.payment", "payment_start_"),
        way("payment_start_", "leave", "root"),
    )
    assert mermaid(Chart(nodes, ways)).splitlines() == [
        "stateDiagram-v2",
        "    state payment {",
        '        state "payment_start" as payment_start__2',
        '        state "payment_end" as payment_end_',
        "        [*] --> payment_start__2",
        "        payment_start__2 --> payment_end_: pay",
        "        payment_end_ --> [*]",
        "    }",
        '    state "root" as state_root',
        "    [*] --> payment",
        "    payment --> payment_start_: done.state.payment",
        "    payment_start_ --> state_root: leave",
        "    state_root --> [*]",
    ]


def test_states_within_states_are_drawn_inside_with_regions_apart_and_other_arrows_outside_of_all() -> None:
    assert mermaid(ORDER, {"due", "begun"}).splitlines() == [
        "stateDiagram-v2",
        "    state placed {",
        "        state payment {",
        "            due",
        "            paid",
        "            [*] --> due",
        "            due --> paid: pay",
        "            paid --> [*]",
        "        }",
        "        --",
        '        state "packing up" as packing_up {',
        "            begun",
        '            state "H*" as where_it_was',
        "            [*] --> begun",
        "            begun --> begun: at once [guarded]",
        "            where_it_was --> begun",
        "        }",
        "    }",
        "    [*] --> cart",
        "    cart --> placed: place [guarded]",
        "    cart --> gone: lapse after 15 min",
        "    cart --> gone: cancel",
        "    placed --> gone: done.state.placed",
        "    placed --> gone: cancel",
        "    cart --> where_it_was: resume",
        "    gone --> [*]",
        "    classDef current fill:#2b6cb0,color:#fff,stroke-width:2px",
        "    class due,begun current",
        "    classDef within fill:#bee3f8,color:#1a365d",
        "    class placed,payment,packing_up within",
    ]


class Place(StrEnum):
    OUTSIDE = "outside"
    INSIDE = "inside"
    HALL = "hall"
    ROOM = "room"


def has_key(visit: World) -> str | None:
    return "no key"


class Visit(World, states=[Place.OUTSIDE, Compound(Place.INSIDE, Place.HALL, Final(Place.ROOM))], rows=[]):
    """What is drawn of a world: actions and what is taken by itself, with and without guards."""

    @action(source=Place.OUTSIDE, target=Place.INSIDE, guards=[has_key])
    def unlock(self) -> None: ...

    @action(source=Place.HALL, target=Place.ROOM)
    def go_on(self) -> None: ...

    @transition(source=Place.HALL, target=Place.OUTSIDE, on="alarm")
    def alarm(self) -> None: ...

    @transition(source=Place.HALL, target=Place.OUTSIDE, on="fire", guards=[has_key])
    def flee(self) -> None: ...

    @transition(source=Place.INSIDE, target=Place.OUTSIDE, on=done(Place.INSIDE))
    def leave(self) -> None: ...

    @transition(source=Place.INSIDE, target=Place.OUTSIDE, after=timedelta(hours=1))
    def tire(self) -> None: ...


def test_arrow_says_what_is_guarded_and_which_event_something_comes_on() -> None:
    drawn = [line.strip() for line in mermaid(Visit.definition.chart).splitlines() if ": " in line]
    assert drawn == [
        "hall --> room: go_on",
        "outside --> inside: unlock [guarded]",
        "inside --> outside: leave on done.state.inside",
        "inside --> outside: tire after 1 h",
        "hall --> outside: alarm on alarm",
        "hall --> outside: flee on fire [guarded]",
    ]


def test_active_states_are_marked_alike_with_and_without_what_they_are_in() -> None:
    assert mermaid(ORDER, {"placed", "payment", "due", "packing up", "begun"}) == mermaid(ORDER, ["begun", "due"])


def test_beginning_further_within_is_said_beside_the_arrow_to_what_holds_it() -> None:
    nodes = (
        Node(name="game", kind=Kind.COMPOUND),
        Node(name="hall", parent="game"),
        Node(name="attic", parent="game"),
        Node(name="before", kind=Kind.SHALLOW, parent="game", initial=("hall",)),
    )
    lines = mermaid(Chart(nodes, initial=("attic",))).splitlines()
    assert "    [*] --> game: into attic" in lines
    assert '        state "H" as before' in lines


def test_regions_and_histories_may_be_directly_in_a_parallel_state() -> None:
    nodes = (
        Node(name="day", kind=Kind.PARALLEL),
        Node(name="work", parent="day"),
        Node(name="rest", parent="day"),
        Node(name="yesterday", kind=Kind.SHALLOW, parent="day", initial=("work",)),
        Node(name="hollow", kind=Kind.COMPOUND),
    )
    assert mermaid(Chart(nodes, (way("work", "tire", "rest"),))).splitlines()[1:] == [
        "    state day {",
        '        state "H" as yesterday',
        "        work",
        "        --",
        "        rest",
        "    }",
        "    hollow",
        "    [*] --> day",
        "    work --> rest: tire",
        "    yesterday --> work",
    ]


def test_what_would_end_a_label_or_a_name_is_written_in_numbers() -> None:
    nodes = (Node(name="a\x00{b}\n"), Node(name="<i>"), Node(name="direction LR"))
    lines = mermaid(Chart(nodes, (way("<i>", "", label="say: #1; 50%"),))).splitlines()
    assert '    state "a#65533;#123;b#125;" as a_b' in lines
    assert '    state "direction#32;LR" as direction_LR' in lines
    assert "    i --> i: say#58; #35;1#59; 50#37; at once" in lines


def test_long_delays_are_said_in_the_units_of_people() -> None:
    spans = (timedelta(days=1, hours=2), timedelta(seconds=90), timedelta(milliseconds=500), timedelta())
    nodes = tuple(Node(name=f"s{place}", delays=(Delay("late", span),)) for place, span in enumerate(spans))
    lines = mermaid(Chart(nodes, tuple(way(node.name, "late") for node in nodes))).splitlines()
    assert [line.partition(": ")[2] for line in lines if ": " in line] == [
        "late after 1 d 2 h",
        "late after 1 min 30 s",
        "late after 0.5 s",
        "late after 0 s",
    ]
