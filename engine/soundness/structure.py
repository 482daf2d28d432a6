"""Faults in how a chart is put together: names that are not there, states that hold what they cannot."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from engine.charts import ROOT, Chart, Kind, Node, Transition


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a chart, where, and what would be right.

    `place` names a state or a transition as its author knows it. `source` is the state it is about, or that the
    transition leaves; `transition` is set if it is about one.
    """

    place: str
    what: str
    remedy: str
    source: str | None = None
    transition: Transition | None = None
    certain: bool = True
    """Whether it is wrong whatever the guards answer and whatever is raised."""


def in_state(name: str, what: str, remedy: str) -> Problem:
    """A problem of a state."""
    return Problem(f"state {name!r}", what, remedy, source=name)


def in_states(names: tuple[str, ...], what: str, remedy: str, *, certain: bool = True) -> Problem:
    """A problem of states that are active together."""
    place = f"state{'s' if len(names) > 1 else ''} {_names(names)}"
    return Problem(place, what, remedy, source=names[0], certain=certain)


def in_transition(transition: Transition, what: str, remedy: str) -> Problem:
    """A problem of a transition."""
    events, targets = (" ".join(names) for names in (transition.events, transition.targets))
    place = transition.label or f"{transition.source or 'any state'} --{events}--> {targets or 'no other'}"
    return Problem(place, what, remedy, source=transition.source, transition=transition)


def misplaced(chart: Chart) -> Iterator[Problem]:
    """Names and parents that make it no tree. Nothing else of a chart can be read before these are right."""
    seen: dict[str, Node] = {}
    if not any(not node.kind.is_history for node in chart.nodes):
        yield Problem("the chart", "has no states", "name one, such as states=[State.OPEN]")
    for node in chart.nodes:
        if node.name == ROOT:
            yield in_state(node.name, "has no name", "give it one, of at least one character")
        elif node.name in seen:
            yield in_state(node.name, "is there twice", "name each state once; give one of them another name")
        if node.parent != ROOT:
            yield from _wrong_parent(chart, node, seen)
        seen.setdefault(node.name, node)


def _wrong_parent(chart: Chart, node: Node, seen: dict[str, Node]) -> Iterator[Problem]:
    parent, above = seen.get(node.parent), chart.written(node.parent)
    if parent is None:
        there = (
            "which comes after it" if any(other.name == node.parent for other in chart.nodes) else "which is no state"
        )
        yield in_state(node.name, f"is in {node.parent!r}, {there}", f"name a Compound or Parallel {above} before it")
    elif parent.kind not in (Kind.COMPOUND, Kind.PARALLEL):
        kind = f"{'an' if parent.kind is Kind.ATOMIC else 'a'} {parent.kind} state".removesuffix("history state")
        yield in_state(
            node.parent,
            f"holds {node.name!r}, but is {kind + 'history' if parent.kind.is_history else kind}",
            f"write Compound({above}, …) or Parallel({above}, …), or put {chart.written(node.name)} elsewhere",
        )


def misjoined(chart: Chart) -> Iterator[Problem]:
    """States and transitions that do not fit to each other, in a chart that is a tree."""
    beginning = _missing(chart, chart.initial)
    if beginning:
        yield Problem("the chart", f"starts in {beginning}", f"start in one of {_some(chart, chart.states)}")
    elif apart := _apart(chart, chart.initial):
        yield Problem("the chart", f"starts in {apart}", "start in one of them")
    for node in chart.nodes:
        yield from _wrong_children(chart, node)
        yield from _wrong_initial(chart, node)
    for transition in chart.transitions:
        yield from _wrong_ends(chart, transition)
        yield from _wrong_events(transition)


def _wrong_children(chart: Chart, node: Node) -> Iterator[Problem]:
    children = chart.children[node.name]
    if node.kind is Kind.COMPOUND and not children:
        yield in_state(
            node.name,
            "is compound, but holds no states",
            f"give Compound({chart.written(node.name)}, …) states, or write it without",
        )
    if node.kind is Kind.PARALLEL and not children:
        yield in_state(
            node.name,
            "is parallel, but has no regions",
            f"give Parallel({chart.written(node.name)}, …) regions, or write it without",
        )
    for child in children if node.kind is Kind.PARALLEL else ():
        if chart.node[child].kind is Kind.FINAL:
            remedy = f"Parallel({chart.written(node.name)}, Compound(…, Final({chart.written(child)})))"
            what = f"is final, but a region of the parallel {node.name!r}"
            yield in_state(child, what, f"put it into a region: {remedy}")


def _wrong_initial(chart: Chart, node: Node) -> Iterator[Problem]:
    if node.kind.is_history:
        yield from _wrong_default(chart, node)
        return
    within = chart.descendants[node.name]
    strangers = [name for name in node.initial if name not in within]
    children = chart.children[node.name]
    if strangers:
        holding = f"write Compound({chart.written(node.name)}, …) with states in it"
        remedy = f"name one of {_some(chart, children)}" if children else holding
        yield in_state(node.name, f"starts in {_names(strangers)}, which is not within it", remedy)
    elif apart := _apart(chart, node.initial):
        yield in_state(node.name, f"starts in {apart}", "name one of them")


def _wrong_default(chart: Chart, node: Node) -> Iterator[Problem]:
    """A history's default leads into what it is in; to another history only deeper down, so that it ends somewhere."""
    deep = node.kind is Kind.DEEP
    inside = [name for name in chart.descendants[node.parent] if chart.node[name].parent != node.parent] if deep else []
    right = {*chart.children[node.parent], *inside}
    if node.parent == ROOT:
        yield _stray(chart, node)
        return
    strangers = [name for name in node.initial if name not in right]
    said = ", deep=True" if deep else ""
    first = next(map(chart.written, chart.children[node.parent]), None)
    remedy = f"say History({chart.written(node.name)}, default={first}{said})" if first else "give it states"
    if not node.initial:
        yield in_state(node.name, "is a history without a default", remedy)
    elif strangers:
        relation = "within" if deep else "directly within"
        parent = f"{node.parent!r}" if node.parent else "the chart"
        what = f"is a history with the default {_names(strangers)}, which is no state {relation} {parent}"
        yield in_state(node.name, what, remedy)
    elif apart := _apart(chart, node.initial):
        yield in_state(node.name, f"is a history with a default of {apart}", "name one of them")


def _stray(chart: Chart, node: Node) -> Problem:
    default = "".join(f", default={chart.written(name)}" for name in node.initial[:1])
    said = f"History({chart.written(node.name)}{default}{', deep=True' if node.kind is Kind.DEEP else ''})"
    what = "is a history outside of any state: what it is in is never left, so it would recall nothing"
    return in_state(node.name, what, f"put {said} into the Compound or Parallel that it is to lead back into")


def _wrong_ends(chart: Chart, transition: Transition) -> Iterator[Problem]:
    source = transition.source
    if source != ROOT and source not in chart.node:
        yield in_transition(
            transition, f"leaves {source!r}, which is no state", f"take one of {_some(chart, chart.states)}"
        )
    elif chart.node[source].kind.is_history:
        what = f"leaves {source!r}, which is a history, and no state one can be in"
        yield in_transition(
            transition, what, f"take source={chart.written(chart.node[source].parent or chart.states[0])}"
        )
    missing = _missing(chart, (*transition.targets, *transition.choices))
    if missing:
        yield in_transition(
            transition, f"leads to {missing}", f"take one of {_some(chart, chart.states)}, or name it in states=[…]"
        )
    elif apart := _apart(chart, transition.targets):
        yield in_transition(
            transition, f"leads to {apart}", "name one target for each region of one Parallel, or only one"
        )


def _wrong_events(transition: Transition) -> Iterator[Problem]:
    if not all(transition.events):
        yield in_transition(transition, "hears an event without a name", "name the event, or * for any")
    if not transition.events and not transition.targets and transition.guard is None:
        what = "is taken by itself, always, and leads nowhere: it would be taken for ever"
        yield in_transition(transition, what, "give it a target=…, guards=[…], or on=done(…)")


def _missing(chart: Chart, names: Iterable[str]) -> str:
    """What to say of names that are none of the chart's; empty if there are none."""
    missing = [name for name in names if name == ROOT or name not in chart.node]
    return f"{_names(missing)}, which is no state" if missing else ""


def _apart(chart: Chart, names: tuple[str, ...]) -> str:
    """What to say of states that are never active together; empty if they can be."""
    for one, other in combinations(names, 2):
        if not together(chart, one, other):
            return f"{one!r} and {other!r}, which cannot be active together"
    return ""


def together(chart: Chart, one: str, other: str) -> bool:
    """Whether two can be active at the same time: one within the other, or in different regions."""
    if one == other or one in chart.descendants[other] or other in chart.descendants[one]:
        return True
    common = next(above for above in chart.ancestors[one] if other in chart.descendants[above])
    return chart.node[common].kind is Kind.PARALLEL


def _names(names: Iterable[str]) -> str:
    return " and ".join(repr(name) for name in dict.fromkeys(names))


def _some(chart: Chart, names: tuple[str, ...]) -> str:
    """A few of them, for a remedy."""
    return ", ".join(map(chart.written, names[:6])) + (", …" if len(names) > 6 else "")
