"""What the dispatcher can carry out on an open session: a world's action, or an operation of the engine's own.

All share one shape, `(Opened) -> Done`; the dispatcher does what comes before
and after for each of them alike.
"""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from engine import statechart
from engine.actions import Action
from engine.charts import Configuration, Event
from engine.checks import check_possible, is_enabled
from engine.configurations import configuration_of, innermost, text_of
from engine.content import Block, Text, rendered
from engine.definition import Definition
from engine.effects import Wanted
from engine.errors import DefinitionError, Refused
from engine.failpoints import reach
from engine.limits import check_data, check_result
from engine.rows import Rows
from engine.store.records import Record, Transaction
from engine.timers import Inactive, Timer, read, settled, without
from engine.types import Json, Principal, Role, RowChange, Written, dumped
from engine.world import Acting, Situation, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to act: on the session of that handle, or without one on the caller's main session of the world."""

    principal: Principal
    world: str
    action: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    session: str | None = None
    key: str | None = None
    if_revision: int | None = None
    prepared: Any = None
    written: tuple[Written, ...] = ()
    """What was written ahead for it, which is given up if it is not adopted."""
    attached: Any = field(default=None, compare=False)
    """What a caller in this process hands to the prepare function, such as an open file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an operation did to a session, before it is written."""

    value: Json
    content: tuple[Block, ...]
    state: str
    data: str | None
    rows: tuple[RowChange, ...] = ()
    shared: tuple[RowChange, ...] = ()
    seed: str | None = None
    undo_top: int | None = None
    redo_top: int | None = None
    target: int | None = None
    below: int | None = None
    adopted: int | None = None
    """The row set that the session is to show from now on, if it changes."""
    parted: tuple[int, ...] = ()
    """The people who have no part in the session any more, by internal id."""
    grown: int = 0
    """By how many bytes that makes its rows more."""
    timers: tuple[Timer, ...] | None = None
    """What the session waits for from now on, unless that stays the same."""
    unchanged: bool = False
    effects: tuple[Wanted, ...] = ()


class Opened:
    """A session that was found, allowed and current, in the transaction that will change it."""

    def __init__(
        self,
        transaction: Transaction,
        definition: Definition,
        record: Record,
        principal: Principal,
        arguments: Mapping[str, Any],
        prepared: Any,
    ) -> None:
        self.transaction = transaction
        self.definition = definition
        self.record = record
        self.principal = principal
        self.arguments = arguments
        self.prepared = prepared
        self.rows = Rows(transaction, record.rows_at, record.revision, definition.parts)
        self.configuration = configuration_of(definition.chart, record.state)
        self._situation: Situation | None = None
        self._step: statechart.Step | None = None
        self._fired: Timer | None = None

    def consume(self, timer: Timer) -> None:
        """Have the change that is made be what a timer was set for: it is over by that."""
        self._fired = timer

    def view(self) -> World:
        """The session to look at: what guards see."""
        return opened_world(self.transaction, self.definition, self.record, self.principal)

    def world(self, targets: tuple[str, ...], *, sets_timers: bool = True) -> World:
        """The session to change: what the action's method gets."""
        self._situation = Situation(
            self.record,
            self.principal,
            self.transaction.now,
            lambda: nullcontext(self.rows),
            self.configuration,
            targets,
            asked=[] if sets_timers else None,
            effects=[],
            limits=self.transaction.limits,
        )
        world: World = self.definition.cls(self._situation)
        return world

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The effects that were asked for."""
        return () if self._situation is None else tuple(self._situation.effects or ())

    @property
    def chosen(self) -> tuple[str, ...]:
        """The targets that the method chose."""
        return () if self._situation is None else self._situation.chosen

    def begin(self, world: World) -> str:
        """The state of a session that starts, after the start method: the chart's first, with what its entry does."""
        chart, acting = self.definition.chart, self._acting(world)
        return self._at_rest(lambda: statechart.begin(chart, acting, raised=self._raised))

    def send(self, action: str, world: World) -> str:
        """The state that an action leads to, after its method; what lies on the way is carried out. Raises Refused."""
        chart, acting, event = self.definition.chart, self._acting(world), Event(action, chosen=self.chosen)

        def take() -> statechart.Step:
            step = statechart.send(chart, self._before, event, acting)
            self._insist_on_chosen(action, step)
            return step

        return self._at_rest(take)

    def fall_due(self, event: str, world: World) -> str | None:
        """The state that a delayed transition leads to; None if the chart takes none at its event. Raises Refused."""
        chart, acting = self.definition.chart, self._acting(world)
        state = self._at_rest(lambda: statechart.send(chart, self._before, Event(event), acting))
        return state if self._step is not None and any(way.hears(event) for way in self._step.taken) else None

    def _insist_on_chosen(self, action: str, step: statechart.Step) -> None:
        """Insist that what self.enter chose was there already, or was entered by the transitions of the action."""
        offered = {choice for way in step.taken if way.hears(action) for choice in way.choices}
        missed = [state for state in self.chosen if state not in offered and state not in self.configuration.active]
        if missed:
            now = " + ".join(self.definition.chart.atomic(self.configuration.active))
            raise DefinitionError(
                f"{self.definition.cls.__name__}.{action} cannot enter {' and '.join(map(repr, missed))} from {now}:"
                " no transition that was taken leads there.",
                hint="Choose it only while a source in its region, or around it, is active.",
            )

    def move(self, world: World) -> str:
        """The state that a copy's method chose, entered from outside, or where the session comes to rest without."""
        chart, acting = self.definition.chart, self._acting(world)
        return self._at_rest(lambda: statechart.move(chart, self._before, self.chosen, acting))

    def _acting(self, world: World) -> Acting:
        if self._situation is None:
            raise TypeError("there is no step of the chart before the session is opened to be changed")
        return Acting(world, self._situation)

    @property
    def _before(self) -> Configuration:
        """Where the session is, with the events that the method raised still to be heard."""
        return replace(self.configuration, pending=self._raised) if self._raised else self.configuration

    @property
    def _raised(self) -> tuple[Event, ...]:
        return () if self._situation is None else self._situation.raised

    def _at_rest(self, take: Callable[[], statechart.Step]) -> str:
        try:
            self._step = take()
            return text_of(self.definition.chart, self._step.configuration)
        except statechart.Apart as apart:
            raise Refused(
                "states_apart",
                f"It cannot be done as the session was left: {apart}.",
                hint="Its author can have self.enter choose the history alone, or one state in each region.",
            ) from None

    @property
    def waiting(self) -> tuple[Timer, ...]:
        """What the session waits for before the change, but for what the change is."""
        found = read(self.record.timers)
        return found if self._fired is None else without(found, self._fired)

    @property
    def timers(self) -> tuple[Timer, ...] | None:
        """What the session waits for after the change; None if that stays the same. Raises DefinitionError."""
        situation, step = self._situation, self._step
        asked = [] if situation is None or situation.asked is None else situation.asked
        effects = [*asked, *(() if step is None else step.effects)]
        before = self.waiting
        ends = all(isinstance(effect, statechart.Cancel) for effect in effects)
        if self._fired is None and (not effects or (ends and not before)):
            return None
        configuration = self.configuration if step is None else step.configuration
        chart, active = self.definition.chart, configuration.active
        try:
            return settled(
                before,
                effects,
                version=self.definition.version,
                now=self.transaction.now,
                around=innermost(chart, active),
                active=active,
            )
        except Inactive as inactive:
            raise DefinitionError(
                f"{self.definition.cls.__name__}: self.after(…, {inactive.setting.action!r}, within=…):"
                f" {inactive.setting.state!r} is not active after this change.",
                hint=f"Active then: {', '.join(chart.in_order(active))}; or leave within= out.",
            ) from None

    @property
    def seed(self) -> str | None:
        """The seed of the randomness that was used."""
        return None if self._situation is None else self._situation.seed

    def done(
        self, world: World, answer: object, state: str, *, undo_top: int | None, returns: TypeAdapter[Any] | None = None
    ) -> Done:
        """What a method did: its answer, the document and the rows as it left them. Raises Refused."""
        value, content = rendered(answer, returns)
        changes = self.rows.changes()
        shared = self.rows.shared_changes() if self.definition.shared else ()
        data = stored(world, self.record.data)
        if data is not None and data != self.record.data:
            check_data(data, self.transaction.limits)
        timers = self.timers
        unchanged = self._situation is not None and self._situation.unchanged
        if unchanged:
            check_result(dumped(value), dumped(content), self.transaction.limits)
        changes_timers = timers is not None and timers != self.waiting
        other = changes or shared or changes_timers
        if unchanged and (other or self.wanted or world.data != self.view().data or state != self.record.state):
            raise TypeError(f"{self.definition.name}: the action called self.unchanged(), but it changed something")
        return Done(
            value=value,
            content=content,
            state=state,
            data=data,
            rows=changes,
            shared=shared,
            timers=timers,
            unchanged=unchanged,
            seed=self.seed,
            undo_top=undo_top,
            below=self.record.undo_top,
            effects=self.wanted,
            grown=sum(written.bytes for written in self.rows.adopted),
        )


@dataclass(frozen=True, slots=True)
class Operation:
    """Something the dispatcher can carry out: who may, with which arguments, and how."""

    name: str
    parameters: type[BaseModel]
    role: Role
    scope: Callable[[Definition], str]
    carry_out: Callable[[Opened], Done]
    after_end: bool = False
    """Whether it is possible in a session that has ended, too."""
    invalid: Callable[[ValidationError], str] | None = None
    """The words for arguments that do not fit, where they are an author's."""


def stored(world: World, before: str | None) -> str | None:
    """A world's document as it is kept. Raises Refused if it breaks its own rules, so that no session is locked."""
    model = world.definition.data
    if model is None:
        return None
    if not isinstance(world.data, model):
        raise TypeError(f"{world.definition.name}: data must stay a {model.__name__}, received {world.data!r}")
    text = world.data.model_dump_json(by_alias=True, round_trip=True)
    if text == before:
        return text
    try:
        again = model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise Refused("document", f"The session's document would be broken: {path}: {first['msg']}.") from None
    if again != world.data and again.model_dump_json(by_alias=True, round_trip=True) != text:
        raise TypeError(f"{world.definition.name}: a {model.__name__} changes when it is stored and read again")
    return text


def opened_world(transaction: Transaction, definition: Definition, record: Record, principal: Principal) -> World:
    """A session to look at, in a transaction."""
    rows = Rows(transaction, record.rows_at, record.revision, definition.parts)
    rows.writable = False
    configuration = configuration_of(definition.chart, record.state)
    world: World = definition.cls(
        Situation(
            record, principal, transaction.now, lambda: nullcontext(rows), configuration, limits=transaction.limits
        )
    )
    return world


def operation_of(action: Action) -> Operation:
    """An action as an operation: guards, method, transition."""

    def carry_out(opened: Opened) -> Done:
        if action.guards:
            view = opened.view()
            check_possible(view, opened.record, opened.definition, action, opened.arguments)
        elif not is_enabled(opened.definition, opened.configuration, action):
            check_possible(opened.view(), opened.record, opened.definition, action, opened.arguments)
        reach("after_guards")
        world = opened.world(action.targets)
        answer = action.method(world, **with_prepared(action, opened.arguments, opened.prepared))
        reach("after_method")
        state = opened.send(action.name, world)
        return opened.done(world, answer, state, undo_top=opened.record.revision + 1, returns=action.returns)

    return Operation(
        action.name,
        action.parameters,
        Role.EDITOR,
        lambda definition: definition.scope_of(action),
        carry_out,
        invalid=action.invalid,
    )


def with_prepared(action: Action, arguments: Mapping[str, Any], prepared: Any) -> Mapping[str, Any]:
    """The keyword arguments of an action's method."""
    return arguments if action.options.prepare is None else {**arguments, "prepared": prepared}


def as_it_was(opened: Opened, text: str) -> Done:
    """What an operation did that leaves the session's state, document and rows alone."""
    record = opened.record
    return Done(
        value=None,
        content=(Text(text).block(),),
        state=record.state,
        data=record.data,
        undo_top=record.undo_top,
        redo_top=record.redo_top,
    )
