"""The chart of a world, made of what its class says: its states, its actions, and what is done by itself."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from engine.actions import Action, Guard, build_guard
from engine.charts import DONE, DUE, ROOT, Chart, Condition, Content, Delay, Kind, Node, Transition
from engine.errors import DefinitionError
from engine.states import ONLY_STATE, Places
from engine.timers import event_of
from engine.transitions import Automatic, Crossing, marks_of

Method = Callable[..., Any]


def chart_of(cls: type, places: Places, actions: Iterable[Action], methods: Iterable[Method]) -> Chart:
    """The chart of a world. Raises DefinitionError for states that it does not have."""
    actions, methods = list(actions), list(methods)
    changing = [action for action in actions if not action.read_only]
    _insist_on_states(cls, places, changing, methods)
    for method in methods:
        for mark in marks_of(method):
            if isinstance(mark, Crossing):
                _insist_on_crossed(f"{cls.__name__}.{method.__name__}", places, mark)
            else:
                _insist_on_event(f"{cls.__name__}.{method.__name__}", places, actions, mark)
    nodes = tuple(_with_own(node, methods) for node in places.nodes)
    if places.enum is None and not changing:
        nodes = (Node(name=ONLY_STATE, kind=Kind.FINAL),)
    bare = Chart(nodes, spelling=places.spelling)
    ways = (*_of_actions(bare, changing), *_of_methods(cls, methods))
    _insist_on_ways(cls, bare, changing, ways)
    chart = Chart(nodes, ways, places.initial, spelling=places.spelling)
    _insist_on_within(cls, chart)
    return chart


def _of_actions(bare: Chart, actions: list[Action]) -> Iterator[Transition]:
    for action in actions:
        for source in (ROOT,) if action.sources is None else bare.in_order(action.sources):
            choices = tuple(target for target in action.targets if not _is_beside(bare, source, target))
            choices = choices or action.targets
            yield Transition(
                source=source,
                events=(action.name,),
                targets=choices[:1],
                choices=choices,
                internal=action.options.internal,
                label=action.name,
                conditions=tuple(guard.name for guard in action.guards),
            )


def _is_beside(bare: Chart, source: str, target: str) -> bool:
    """Whether a target lies in another region than a source, of the same parallel state."""
    around = {source, *bare.ancestors[source]}
    return any(
        bare.node[above].kind is Kind.PARALLEL and region not in around
        for region, above in pairwise((target, *bare.ancestors[target]))
        if above in around and above != source
    )


def _of_methods(cls: type, methods: list[Method]) -> Iterator[Transition]:
    for method in methods:
        for mark in marks_of(method):
            if isinstance(mark, Automatic):
                label = f"{cls.__name__}.{method.__name__}"
                guards = tuple(build_guard(label, guard, cls, ()) for guard in mark.guards)
                for source in mark.sources:
                    yield Transition(
                        source=str(source),
                        events=_events(method, mark, str(source)),
                        targets=() if mark.target is None else (str(mark.target),),
                        guard=_condition(guards) if guards else None,
                        content=_content(method),
                        internal=mark.internal,
                        exact=mark.after is not None or (mark.on or "").startswith(DONE),
                        label=method.__name__,
                        conditions=tuple(guard.name for guard in guards),
                    )


def _events(method: Method, mark: Automatic, source: str) -> tuple[str, ...]:
    if mark.after is not None:
        return (_due(method, source),)
    return () if mark.on is None else (mark.on,)


def _due(method: Method, source: str) -> str:
    """The event of a delayed transition: each source has one of its own, lest it ends the wait of another."""
    return event_of(f"{DUE}{method.__name__}", source)


def _with_own(node: Node, methods: list[Method]) -> Node:
    """A state with what is done on its entry and exit, and what it waits for."""
    marks = [(mark, method) for method in methods for mark in marks_of(method)]
    crossings = [(mark, method) for mark, method in marks if isinstance(mark, Crossing) and node.name in mark.states]
    delays = tuple(
        Delay(_due(method, node.name), mark.after)
        for mark, method in marks
        if isinstance(mark, Automatic) and mark.after is not None and node.name in mark.sources
    )
    return replace(
        node,
        on_entry=tuple(_content(method, node.name) for mark, method in crossings if mark.entering),
        on_exit=tuple(_content(method) for mark, method in crossings if not mark.entering),
        delays=delays,
    )


def _content(method: Method, entering: str | None = None) -> Content:
    def carry_out(acting: Any, moment: Any) -> None:
        with acting.at(moment, entering=entering) as world:
            method(world)

    return carry_out


def _condition(guards: tuple[Guard, ...]) -> Condition:
    def allows(acting: Any, moment: Any) -> bool:
        with acting.at(moment, reading=True) as world:
            return all(guard.answer(world, {}) is None for guard in guards)

    return allows


def _insist_on_states(cls: type, places: Places, actions: list[Action], methods: list[Method]) -> None:
    names = [node.name for node in places.nodes]
    for label, state in (*_named_by_actions(actions), *_named_by_methods(methods)):
        if state not in names:
            raise DefinitionError(
                f"{cls.__name__}.{label}: {state!r} is no state of this world.",
                hint=f"Its states are: {', '.join(names)}.",
            )


def _insist_on_crossed(label: str, places: Places, mark: Crossing) -> None:
    """Insist that what is done on entry or exit is of states that one can be in. Raises DefinitionError."""
    for node in places.nodes:
        if node.kind.is_history and node.name in mark.states:
            raise DefinitionError(
                f"{label}: {node.name!r} is a history, which is never entered or left itself.",
                hint="Name the state around it, or the states that it stands for.",
            )


def _insist_on_event(label: str, places: Places, actions: list[Action], mark: Automatic) -> None:
    """Insist that what a transition waits for can come. Raises DefinitionError."""
    if places.enum is not None and isinstance(mark.on, places.enum):
        raise DefinitionError(
            f"{label}: on={mark.on!r} is a state, and no event.",
            hint="Write on=done(…) for when a state that holds others is done, or @on_enter for when one is entered.",
        )
    name = (mark.on or "").partition(".")[0]
    if f"{name}." == DUE:
        raise DefinitionError(
            f"{label}: on={mark.on!r} is for what is due, and nobody raises it.",
            hint="Write @transition(source=…, after=timedelta(…)), or choose another name for the event.",
        )
    if any(action.read_only for action in actions if action.name == name):
        raise DefinitionError(
            f"{label}: on={mark.on!r} is the name of a read-only action, which takes no transitions.",
            hint="Name an action that changes something, or an event that self.raise_event raises.",
        )


def _insist_on_ways(cls: type, bare: Chart, actions: list[Action], ways: tuple[Transition, ...]) -> None:
    """Insist that each target of an action can be chosen from some source. Raises DefinitionError."""
    for action in actions:
        offered = {choice for way in ways if way.events == (action.name,) for choice in way.choices}
        for target in action.targets:
            if target not in offered:
                raise DefinitionError(
                    f"{cls.__name__}.{action.name}: {target!r} lies in another region than every source, so it would"
                    " never be entered.",
                    hint=f"Give source= a state in the region of {target!r}, too, or take {bare.written(target)} out of"
                    " target=.",
                )


def _insist_on_within(cls: type, chart: Chart) -> None:
    """Insist that what is internal leads into its source: SCXML would leave that (3.13). Raises DefinitionError."""
    for way in (way for way in chart.transitions if way.internal):
        outside = [name for name in (*way.targets, *way.choices) if name not in chart.descendants[way.source]]
        if outside:
            why = f"{outside[0]!r} is not within {way.source!r}"
        elif chart.node[way.source].kind is not Kind.COMPOUND:
            why = f"{way.source!r} is a Parallel, which is left for a target in only some of its regions"
        else:
            continue
        raise DefinitionError(
            f"{cls.__name__}.{way.label} is internal, but {why}.",
            hint="Take source= a Compound around the target, or leave internal=True out: the source is left then.",
        )


def _named_by_actions(actions: list[Action]) -> Iterator[tuple[str, str]]:
    for action in actions:
        for state in (*(action.sources or ()), *action.targets):
            yield action.name, state


def _named_by_methods(methods: list[Method]) -> Iterator[tuple[str, str]]:
    for method in methods:
        for mark in marks_of(method):
            if isinstance(mark, Crossing):
                named = mark.states
            else:
                named = (*mark.sources, *([] if mark.target is None else [mark.target]))
            for state in named:
                yield method.__name__, str(state)
