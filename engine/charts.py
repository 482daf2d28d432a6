"""Charts as values: states within states, the transitions between them, and where a session is in one.

In the terms of SCXML (W3C recommendation of 2015), whose algorithm `statechart` carries out on them.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from engine.types import Json

ROOT = ""
"""The name of what holds all states. A transition from there is possible wherever no final state is reached."""
DONE = "done.state."
"""What the name of a state that is done comes after, in the event that says so (SCXML, section 3.7)."""

DUE = "timer."
"""What the names of a delayed transition and its source come after, in the event that is due then."""


class Kind(StrEnum):
    """What a state is made of. The histories are no states that one can be in, but targets that stand for some."""

    ATOMIC = "atomic"
    COMPOUND = "compound"
    PARALLEL = "parallel"
    FINAL = "final"
    SHALLOW = "shallow history"
    DEEP = "deep history"

    @property
    def is_history(self) -> bool:
        return self in (Kind.SHALLOW, Kind.DEEP)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `chosen` are the targets to take, where a transition gives the choice."""

    name: str
    data: Json = None
    chosen: tuple[str, ...] = ()


Condition = Callable[[Any, Any], bool]
"""A guard: given the context and the `statechart.Moment`, whether its transition may be taken."""

Content = Callable[[Any, Any], None]
"""What is carried out with a transition, an entry or an exit: it is given the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A way out of `source`, taken at one of `events` (descriptors as in SCXML: `a.b` is also of `a`), or at once.

    All `targets` are entered together; without any, nothing is left or entered. An event may choose others, of
    `choices`; if none of what it chose is among them, nothing is left or entered either. An `internal` one does not
    leave its source for targets within.
    """

    source: str
    events: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    guard: Condition | None = None
    content: Content | None = None
    internal: bool = False
    exact: bool = False
    """Whether an event must have just one of these names, since states may be named `a` and `a.b`."""
    label: str = ""
    """What a diagram says beside the arrow, and a check names it by."""
    conditions: tuple[str, ...] = ()
    """What has to hold for it to be taken, by the names of guards, those among them that the chart does not ask."""

    def hears(self, event: str) -> bool:
        """Whether an event of that name is one of its own."""
        if self.exact or event in self.events:
            return event in self.events
        return any(_covers(descriptor, event) for descriptor in self.events)


def _covers(descriptor: str, event: str) -> bool:
    stem = descriptor.removesuffix("*").removesuffix(".")
    return not stem or event == stem or event.startswith(f"{stem}.")


@dataclass(frozen=True, slots=True)
class Delay:
    """An event that is due when its state has been active for so long."""

    event: str
    after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A state, or a history, and what belongs to it.

    `initial` is where entering it leads: of a compound state, its first child unless said otherwise; of a history, as
    long as there is none to return to. `initial_content` is carried out on that way, `done_data` gives the data of
    the event that a final state raises.
    """

    name: str
    kind: Kind = Kind.ATOMIC
    parent: str = ROOT
    initial: tuple[str, ...] = ()
    initial_content: Content | None = None
    on_entry: tuple[Content, ...] = ()
    on_exit: tuple[Content, ...] = ()
    delays: tuple[Delay, ...] = ()
    done_data: Callable[[Any, Any], Json] | None = None


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where a chart is: the active states with all they are in, what its histories recall, and events to be heard.

    At rest, as `begin` and `send` leave it, no event is `pending`.
    """

    active: frozenset[str] = frozenset()
    history: Mapping[str, frozenset[str]] = field(default_factory=dict)
    pending: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Spelling:
    """How the author of a chart writes its states, by their names; `listed` in a list, or as one enumeration."""

    states: Mapping[str, str] = field(default_factory=dict)
    listed: bool = True


@dataclass(frozen=True, eq=False)
class Chart:
    """States in document order, parents before what they hold, and transitions in the order of their priority.

    What is wrong with one is for `soundness.problems` to say; a chart without any is safe to run.
    """

    nodes: tuple[Node, ...]
    transitions: tuple[Transition, ...] = ()
    initial: tuple[str, ...] = ()
    """Where it begins: the first state unless said otherwise."""
    initial_content: Content | None = None
    enterable: bool = False
    """Whether a copy may begin in any of its states."""
    calls: Mapping[str, frozenset[str]] | None = None
    """The events that somebody can send, with the states of which one has to be active then: ROOT for any not final.

    None if any may be sent, anywhere. Others come from within, or from delays.
    """
    spelling: Spelling = field(default_factory=Spelling)

    @cached_property
    def node(self) -> Mapping[str, Node]:
        """Every node by its name, and the root."""
        root = Node(name=ROOT, kind=Kind.COMPOUND, initial=self.initial, initial_content=self.initial_content)
        return {ROOT: root, **{node.name: node for node in self.nodes}}

    @cached_property
    def order(self) -> Mapping[str, int]:
        """Every node's place in the document."""
        return {name: place for place, name in enumerate(self.node)}

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Of each node, the states directly in it; histories are none."""
        return self._held(lambda node: not node.kind.is_history)

    @cached_property
    def histories(self) -> Mapping[str, tuple[str, ...]]:
        """Of each node, its histories."""
        return self._held(lambda node: node.kind.is_history)

    def _held(self, wanted: Callable[[Node], bool]) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {name: [] for name in self.node}
        for node in filter(wanted, self.nodes):
            found[node.parent].append(node.name)
        return {name: tuple(held) for name, held in found.items()}

    @cached_property
    def ancestors(self) -> Mapping[str, tuple[str, ...]]:
        """What each node is in, innermost first, with the root last."""
        found: dict[str, tuple[str, ...]] = {ROOT: ()}
        for node in self.nodes:
            found[node.name] = (node.parent, *found[node.parent])
        return found

    @cached_property
    def descendants(self) -> Mapping[str, frozenset[str]]:
        """What is in each node, however deep."""
        found: dict[str, set[str]] = {name: set() for name in self.node}
        for name, above in self.ancestors.items():
            for ancestor in above:
                found[ancestor].add(name)
        return {name: frozenset(held) for name, held in found.items()}

    @cached_property
    def leaving(self) -> Mapping[str, tuple[Transition, ...]]:
        """The transitions of each source."""
        found: dict[str, list[Transition]] = {name: [] for name in self.node}
        for transition in self.transitions:
            found[transition.source].append(transition)
        return {name: tuple(held) for name, held in found.items()}

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The names of all states, in document order."""
        return tuple(node.name for node in self.nodes if not node.kind.is_history)

    @cached_property
    def finals(self) -> frozenset[str]:
        """The final states of the whole: one that is reached ends it."""
        return frozenset(name for name in self.children[ROOT] if self.node[name].kind is Kind.FINAL)

    @cached_property
    def alone(self) -> Mapping[str, Configuration]:
        """The configurations in which one state, with all it is in, is all that is active, by its name."""
        return {
            name: Configuration(frozenset((name, *self.ancestors[name][:-1])))
            for name in filter(self.is_atomic, self.states)
            if not any(self.node[above].kind is Kind.PARALLEL for above in self.ancestors[name])
        }

    @cached_property
    def has_eventless(self) -> bool:
        """Whether any transition is taken without an event."""
        return any(not transition.events for transition in self.transitions)

    def written(self, name: str) -> str:
        """A state as its author writes it."""
        return self.spelling.states.get(name, repr(name))

    def is_atomic(self, name: str) -> bool:
        """Whether a state holds no others."""
        return self.node[name].kind in (Kind.ATOMIC, Kind.FINAL)

    def in_order(self, names: Iterable[str]) -> list[str]:
        """States as the document has them."""
        return sorted(names, key=self.order.__getitem__)

    def atomic(self, active: Iterable[str]) -> list[str]:
        """The innermost of active states, in document order."""
        return self.in_order(filter(self.is_atomic, active))

    def around(self, names: Iterable[str]) -> str:
        """The innermost state that holds all of some states, or is the only one; ROOT if none does."""
        common = set.intersection(*({name, *self.ancestors[name]} for name in names))
        return max(common, key=self.order.__getitem__)

    def initial_of(self, name: str) -> tuple[str, ...]:
        """Where entering a compound state, or a history without a past, leads."""
        return self.node[name].initial or self.children[name][:1]

    def is_final(self, active: Iterable[str]) -> bool:
        """Whether the whole has ended."""
        return not self.finals.isdisjoint(active)

    def is_sent(self, event: str) -> bool:
        """Whether an event can come from outside, and is not only raised by what is carried out."""
        due = (delay.event for node in self.nodes for delay in node.delays)
        return self.calls is None or event in self.calls or event in due

    def is_sent_in(self, active: frozenset[str], event: str) -> bool:
        """Whether an event can come from outside while these states are active."""
        if self.calls is None:
            return True
        if event in self.calls:
            return not self.calls[event].isdisjoint(self._sources(active))
        return any(delay.event == event for state in active for delay in self.node[state].delays)

    def can_be_raised(self, event: str) -> bool:
        """Whether what is carried out may raise an event of that name: none that begins with one that is sent."""
        word = event.partition(".")[0]
        return self.calls is None or (word not in self.calls and f"{word}." != DUE)

    def enabled(self, active: frozenset[str], event: str) -> bool:
        """Whether an event of that name would be heard, as far as states decide."""
        return any(way.hears(event) for source in self._sources(active) for way in self.leaving[source])

    def _sources(self, active: frozenset[str]) -> frozenset[str]:
        """What transitions may leave; once the whole has ended, only the state it ended in."""
        return self.finals & active or active | {ROOT}
