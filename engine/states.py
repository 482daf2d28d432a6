"""How an author says which states hold others: `states=[…]`, with the members of one enumeration at their places.

states=[
    State.OPEN,
    Parallel(
        State.PLACED,
        Compound(State.PAYMENT, State.DUE, Final(State.PAID)),
        Compound(State.FULFILMENT, State.PACKING, Final(State.SENT)),
    ),
    Final(State.DELIVERED),
]
"""

import inspect
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from engine.charts import ROOT, Kind, Node, Spelling
from engine.errors import DefinitionError

ONLY_STATE = "open"
"""The one state of a world that declares none."""

EXAMPLE = 'Write `class State(StrEnum): OPEN = "open"` and give states=State, or its members in a list.'


@dataclass(frozen=True, slots=True, init=False)
class Compound:
    """A state that holds others, one of which is active with it: first the `initial` one, else the first."""

    state: StrEnum
    children: "tuple[States, ...]"
    initial: StrEnum | None

    def __init__(self, state: StrEnum, *children: "States", initial: StrEnum | None = None) -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "children", children)
        object.__setattr__(self, "initial", initial)


@dataclass(frozen=True, slots=True, init=False)
class Parallel:
    """A state that holds regions, all of which are active with it."""

    state: StrEnum
    children: "tuple[States, ...]"

    def __init__(self, state: StrEnum, *children: "States") -> None:
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "children", children)


@dataclass(frozen=True, slots=True, init=False)
class Final:
    """A state in which what holds it is done; outside of all others, the session. Raises DefinitionError."""

    state: StrEnum

    def __init__(self, state: StrEnum, *others: object) -> None:
        _insist_on_alone("Final", state, others, "Final(State.SENT), Final(State.CANCELLED)")
        object.__setattr__(self, "state", state)


@dataclass(frozen=True, slots=True, init=False)
class History:
    """What stands, as a target, for where the state around it was left: `default` before it ever was.

    A `deep` one recalls the innermost states, another only the one directly in the state around it.
    Raises DefinitionError.
    """

    state: StrEnum
    default: StrEnum | None
    deep: bool

    def __init__(self, state: StrEnum, *others: object, default: StrEnum | None = None, deep: bool = False) -> None:
        _insist_on_alone("History", state, others, "History(State.BACK, default=State.DUE)")
        object.__setattr__(self, "state", state)
        object.__setattr__(self, "default", default)
        object.__setattr__(self, "deep", deep)


def _insist_on_alone(what: str, state: object, others: tuple[object, ...], example: str) -> None:
    """Insist that what holds no states was given none. Raises DefinitionError."""
    if others:
        given = ", ".join(map(repr, (state, *others)))
        raise DefinitionError(
            f"{what}({given}): it is one state, and holds no others.", hint=f"Write each for itself, such as {example}."
        )


States: TypeAlias = StrEnum | Compound | Parallel | Final | History
"""A state: a plain one, or one with more to say about it."""

Given: TypeAlias = type[StrEnum] | Iterable[States] | None
"""What `states=` takes."""


@dataclass(frozen=True, slots=True)
class Places:
    """What `states=`, `start=` and `final=` say: the enumeration, the nodes in document order, and the first state."""

    enum: type[StrEnum] | None
    nodes: tuple[Node, ...]
    initial: tuple[str, ...]
    listed: bool = True

    @property
    def spelling(self) -> Spelling:
        """How the states are written."""
        return Spelling({str(state): f"{type(state).__name__}.{state.name}" for state in self.enum or ()}, self.listed)


def placed(label: str, states: Given, start: StrEnum | None, final: Any) -> Places:
    """What a world's class statement says about its states. Raises DefinitionError."""
    if states is None:
        return _without_states(label, start, final)
    if inspect.isclass(states):
        return _flat(label, states, start, final)
    if isinstance(states, set | frozenset):
        raise DefinitionError(
            f"{label}: states={states!r} is a set, whose first state is another each time Python starts.",
            hint="Give them in a list: the first is where a session starts, unless start= says otherwise.",
        )
    if isinstance(states, str) or not isinstance(states, Iterable):
        raise DefinitionError(f"{label}: states={states!r} is no enumeration of strings.", hint=EXAMPLE)
    return _nested(label, tuple(states), start, final)


def _without_states(label: str, start: StrEnum | None, final: Any) -> Places:
    if start is not None or final:
        raise DefinitionError(f"{label}: start= and final= name states, and there are none.", hint=EXAMPLE)
    return Places(None, (Node(name=ONLY_STATE),), ())


def _flat(label: str, states: Any, start: StrEnum | None, final: Any) -> Places:
    if not issubclass(states, StrEnum):
        raise DefinitionError(f"{label}: states={states!r} is no enumeration of strings.", hint=EXAMPLE)
    if start is None:
        raise DefinitionError(f"{label}: states= and start= go together.", hint="Say in which state a session starts.")
    names = [str(state) for state in states]
    finals = _names(label, final)
    _insist_on_known(label, [str(start), *finals], names)
    nodes = (Node(name=name, kind=Kind.FINAL if name in finals else Kind.ATOMIC) for name in names)
    return Places(states, tuple(nodes), (str(start),), listed=False)


def _names(label: str, final: Any) -> list[str]:
    if (isinstance(final, str) and not isinstance(final, StrEnum)) or not isinstance(final, Iterable):
        raise DefinitionError(f"{label}: final={final!r} is not what final takes.", hint="Give a list of states.")
    return [str(state) for state in ([final] if isinstance(final, StrEnum) else final)]


def _nested(label: str, states: tuple[Any, ...], start: StrEnum | None, final: Any) -> Places:
    if final:
        raise DefinitionError(
            f"{label}: final= is for plain states; here it would say twice what is final.",
            hint="Write Final(State.…) at its place in states=[…].",
        )
    nodes = tuple(node for state in states for node in _nodes(label, state, ROOT))
    members = [_member(label, state) for state in _flattened(states)]
    if not members:
        raise DefinitionError(f"{label}: states=[] has no state.", hint=EXAMPLE)
    enum = type(members[0])
    _insist_on_all(label, enum, members)
    initial = () if start is None else (str(start),)
    _insist_on_known(label, initial, [node.name for node in nodes])
    return Places(enum, nodes, initial)


def _insist_on_all(label: str, enum: type[StrEnum], members: list[StrEnum]) -> None:
    """Insist that each member of one enumeration has one place. Raises DefinitionError."""
    strange = [member for member in members if type(member) is not enum]
    if strange:
        raise DefinitionError(
            f"{label}: {strange[0]!r} is no {enum.__name__}, as the first state is.",
            hint="Take all states from one enumeration, whose names are unique in the chart.",
        )
    places = Counter(members)
    for member in enum:
        if places[member] != 1:
            raise DefinitionError(
                f"{label}: {enum.__name__}.{member.name} has {places[member] or 'no'} places in states=[…].",
                hint="Give each member of the enumeration one, or take it out.",
            )


def _insist_on_known(label: str, given: Iterable[str], names: list[str]) -> None:
    for state in given:
        if state not in names:
            raise DefinitionError(
                f"{label}: {state!r} is no state of this world.", hint=f"Its states are: {', '.join(names)}."
            )


def _flattened(states: Iterable[Any]) -> Iterator[Any]:
    for state in states:
        yield state
        yield from _flattened(getattr(state, "children", ()))


def _member(label: str, state: Any) -> StrEnum:
    member = state if isinstance(state, StrEnum) else getattr(state, "state", None)
    if not isinstance(member, StrEnum):
        raise DefinitionError(
            f"{label}: {state!r} in states=[…] is no state.",
            hint="Give members of a StrEnum, or Compound(State.PAYMENT, …), Parallel(…), Final(…) and History(…).",
        )
    return member


def _nodes(label: str, state: Any, parent: str) -> Iterator[Node]:
    name = str(_member(label, state))
    match state:
        case Compound():
            initial = () if state.initial is None else (str(state.initial),)
            yield Node(name=name, parent=parent, kind=Kind.COMPOUND, initial=initial)
        case Parallel():
            yield Node(name=name, parent=parent, kind=Kind.PARALLEL)
        case Final():
            yield Node(name=name, parent=parent, kind=Kind.FINAL)
        case History():
            kind = Kind.DEEP if state.deep else Kind.SHALLOW
            initial = () if state.default is None else (str(state.default),)
            yield Node(name=name, parent=parent, kind=kind, initial=initial)
        case _:
            yield Node(name=name, parent=parent)
    for child in getattr(state, "children", ()):
        yield from _nodes(label, child, name)
