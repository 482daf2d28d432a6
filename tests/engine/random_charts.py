"""Random charts for hypothesis, as outlines that more than one implementation can be made of."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from engine.charts import Chart, Condition, Content, Delay, Kind, Node, Transition

EVENTS = ("a", "b", "c")
DEPTH = 3


@dataclass(frozen=True, slots=True)
class Way:
    """A transition: at `event`, or at once; `within` is the state that must be active for it.

    A `silent` one writes nothing down.
    """

    event: str | None
    target: str | None
    within: str | None
    internal: bool
    silent: bool = False


@dataclass(slots=True)
class Outline:
    """A state, what it holds, and its ways out."""

    name: str
    kind: Kind
    children: list["Outline"] = field(default_factory=list)
    initial: str | None = None
    ways: list[Way] = field(default_factory=list)

    def all(self) -> Iterator["Outline"]:
        """This state and all in it, in document order."""
        yield self
        for child in self.children:
            yield from child.all()


@st.composite
def outlines(draw: st.DrawFn) -> Outline:
    """A chart, as a compound state that holds it."""
    root = Outline("", Kind.COMPOUND)
    names = iter(range(1000))

    def grow(outline: Outline, depth: int) -> None:
        regions = outline.kind is Kind.PARALLEL
        for _ in range(draw(st.integers(2, 3 if outline is root else 2))):
            kinds = [Kind.ATOMIC] if depth == DEPTH else [Kind.ATOMIC, Kind.COMPOUND, Kind.PARALLEL]
            if not regions and outline is not root and outline.children:
                kinds.append(Kind.FINAL)
            child = Outline(f"s{next(names)}", draw(st.sampled_from(kinds)))
            outline.children.append(child)
            if child.kind in (Kind.COMPOUND, Kind.PARALLEL):
                grow(child, depth + 1)
        if outline is not root and draw(st.booleans()):
            _recall(draw, outline, f"h{next(names)}")
        if not regions and draw(st.booleans()):
            states = [child.name for child in outline.children if not child.kind.is_history]
            outline.initial = draw(st.sampled_from(states))

    grow(root, 1)
    _connect(draw, root)
    return root


def _recall(draw: st.DrawFn, outline: Outline, name: str) -> None:
    deep = draw(st.booleans()) or outline.kind is Kind.PARALLEL
    children = [child.name for child in outline.children]
    inner = [state.name for state in outline.all() if state.kind in (Kind.ATOMIC, Kind.FINAL)]
    kind = Kind.DEEP if deep else Kind.SHALLOW
    outline.children.append(Outline(name, kind, initial=draw(st.sampled_from(inner if deep else children))))


def _connect(draw: st.DrawFn, root: Outline) -> None:
    everything = list(root.all())[1:]
    states = [outline for outline in everything if not outline.kind.is_history]
    holding = [outline.name for outline in states if outline.kind in (Kind.COMPOUND, Kind.PARALLEL)]
    events: list[str | None] = [*EVENTS, *EVENTS, None, *(f"done.state.{name}" for name in holding)]
    for outline in states:
        if outline.kind is Kind.FINAL:
            continue
        for _ in range(draw(st.integers(0, 2))):
            event = draw(st.sampled_from(events))
            within = draw(st.none() | st.sampled_from([other.name for other in states]))
            target = draw(st.none() | st.sampled_from([other.name for other in everything]))
            # Without event, guard and target it would be taken for ever.
            if event is None:
                within, target = within or states[-1].name, target or outline.name
            outline.ways.append(Way(event, target, within, draw(st.booleans())))


def chart_of(root: Outline, delays: bool = False) -> Chart:
    """The outline as a chart of ours, whose content writes down in its context, a list, what is carried out."""
    nodes, transitions = [], []
    parents = {child.name: outline.name for outline in root.all() for child in outline.children}
    for outline in list(root.all())[1:]:
        name = outline.name
        delay = (Delay(f"late.{name}", timedelta(seconds=1)),) if delays and not outline.kind.is_history else ()
        nodes.append(
            Node(
                name=name,
                kind=outline.kind,
                parent=parents[name],
                initial=() if outline.initial is None else (outline.initial,),
                on_entry=(noting(f"+{name}"),),
                on_exit=(noting(f"-{name}"),),
                delays=delay,
            )
        )
        for number, way in enumerate(outline.ways):
            transitions.append(
                Transition(
                    source=name,
                    events=() if way.event is None else (way.event,),
                    targets=() if way.target is None else (way.target,),
                    guard=None if way.within is None else is_in(way.within),
                    content=None if way.silent else noting(f"{name}.{number}"),
                    internal=way.internal,
                )
            )
    return Chart(tuple(nodes), tuple(transitions), () if root.initial is None else (root.initial,))


def noting(what: str) -> Content:
    """Content that writes into the context, a list."""

    def note(context: Any, moment: Any) -> None:
        context.append(what)

    return note


def is_in(state: str) -> Condition:
    """The guard that a state is active."""
    return lambda context, moment: state in moment.active
