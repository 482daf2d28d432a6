"""World: what an author writes, and what an action sees while it runs."""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from secrets import token_hex
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, cast

from pydantic import BaseModel, ValidationError

from engine.actions import Contract, Predicate
from engine.charts import DUE, Configuration, Event
from engine.configurations import innermost
from engine.definition import Definition, define
from engine.effects import Wanted, name_of, wanted
from engine.errors import DefinitionError, Refused
from engine.limits import DEFAULT, Limits
from engine.models import Part, Row
from engine.recalling import recalled, remember
from engine.recorded import Origin, origins, revision_of
from engine.rows import Rows, RowSet
from engine.scheduling import action_named, asked_for
from engine.shared_rows import Seed, SharedRow, SharedSet
from engine.statechart import Asked, Effect, Moment, can_be_together
from engine.states import Given
from engine.store.records import Record
from engine.timers import Dropping, Setting
from engine.types import Json, Principal, Written

AnyRow = TypeVar("AnyRow", bound=Row)
T = TypeVar("T")
AnyPart = TypeVar("AnyPart", bound=Part)
AnyShared = TypeVar("AnyShared", bound=SharedRow)


def _document(definition: Definition, stored: str | None) -> BaseModel | None:
    """A session's document, as its model. Raises Refused if it is not of this model."""
    if definition.data is None or stored is None:
        return None if definition.data is None else definition.data()
    try:
        return definition.data.model_validate_json(stored)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise Refused(
            "unreadable_document",
            f"The session's document is no {definition.data.__name__} of version {definition.version}"
            f" of {definition.name}: {place}: {first['msg']}.",
            hint="Where the model changed, raise version= and say in a function marked @upgrade what becomes of it.",
        ) from None


def _plain(world: "World") -> str | None:
    """A document as it would be stored, whether or not it keeps its own rules in the middle of an action."""
    data = world.data
    return data.model_dump_json(by_alias=True, round_trip=True, warnings=False) if isinstance(data, BaseModel) else None


@dataclass(slots=True)
class Situation:
    """What stands behind a World object: one session, at one revision, for one call."""

    record: Record
    principal: Principal
    now: datetime
    rows: Callable[[], AbstractContextManager[Rows]]
    """Opens the session's Rows, as a context manager."""
    configuration: Configuration
    """Where the session is in its chart, before this call."""
    targets: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    raised: tuple[Event, ...] = ()
    moment: Moment | None = None
    """The step of its chart that is under way."""
    reading: bool = False
    """Whether a guard looks at that step."""
    unchanged: bool = False
    seed: str | None = None
    random: Random | None = None
    asked: list[Effect] | None = None
    """What the method asked for about timers; None where nothing may be."""
    entering: str | None = None
    """The state whose entry is under way."""
    effects: list[Wanted] | None = None
    """What this call asked for, outside; None where it only looks."""
    limits: Limits = DEFAULT

    @property
    def active(self) -> Collection[str]:
        """The states that are active now."""
        return self.configuration.active if self.moment is None else self.moment.active

    def ask(self, call: str, what: Setting | Dropping) -> None:
        """Keep what a call asks about timers, at its place among what happens. Raises TypeError."""
        if self.asked is None or self.reading:
            raise TypeError(f"{call}: timers are for where something is done; this only reads, or takes something back")
        if self.moment is None:
            self.asked.append(Asked(what))
        else:
            self.moment.ask(what)


@dataclass(frozen=True, slots=True)
class Acting:
    """A session that is being changed, as its chart's own methods get to it: the context of the statechart's calls."""

    world: "World"
    situation: Situation

    @contextmanager
    def at(self, moment: Moment, *, reading: bool = False, entering: str | None = None) -> Iterator["World"]:
        """The world, which sees this step from within; who is only `reading` writes nothing. Raises TypeError."""
        self.situation.moment, self.situation.reading, self.situation.entering = moment, reading, entering
        with self.situation.rows() as rows:
            writable, rows.writable = rows.writable, rows.writable and not reading
            before = _plain(self.world) if reading else None
            try:
                yield self.world
            finally:
                rows.writable, self.situation.reading = writable, False
            if reading and _plain(self.world) != before:
                raise TypeError(f"{self.world.definition.name}: a guard changed the session's data; guards only read")


def active_states(world: "World") -> Collection[str]:
    """The states that are active in a session now."""
    return world._situation.active


class World:
    """One session, as its actions, guards, resources and prompts see it.

    Subclass it: `data: Model` annotates the session's document, `states=`,
    `start=` and `final=` give its states (a list of these says which are within
    others), and its marked methods are what can be done. `rows=` and `shared=` name
    its Row and SharedRow classes if they are not in its own module; `seed=` gives the
    first shared rows; `on_copy=` names the method that a fork or an imported session
    begins with; `upgrades=` what became of the content of versions before this one.
    `expires_after=` is how long a session lasts that nobody changes. For a principal for whom
    `only_for=` answers False, there is no such world. `effects=` lists the functions marked @effect
    that its methods ask for, `commands=` those marked @command, which `turnkeeper <world>` offers.
    """

    definition: ClassVar[Definition]
    data: Any
    """The session's document; change it in an action."""

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        states: Given = None,
        start: StrEnum | None = None,
        final: Iterable[StrEnum] = (),
        version: int = 1,
        upgrades: Iterable[Callable[..., Any]] = (),
        contract: Contract = "envelope",
        rows: Iterable[type[Row]] | None = None,
        shared: Iterable[type[SharedRow]] | None = None,
        seed: Seed | None = None,
        on_copy: str | Callable[..., Any] | None = None,
        icons: Iterable[str] = (),
        expires_after: timedelta | None = None,
        only_for: Predicate | None = None,
        effects: Iterable[Callable[..., Any]] = (),
        commands: Iterable[Callable[..., Any]] = (),
    ) -> None:
        super().__init_subclass__()
        cls.definition = define(
            cls,
            name=name,
            states=states,
            start=start,
            final=final,
            version=version,
            upgrades=upgrades,
            contract=contract,
            rows=rows,
            shared=shared,
            seed=seed,
            on_copy=on_copy,
            icons=icons,
            expires_after=expires_after,
            only_for=only_for,
            effects=effects,
            commands=commands,
        )

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self.data = _document(self.definition, situation.record.data)

    @property
    def session(self) -> str:
        """The session's handle."""
        return self._situation.record.handle

    @property
    def revision(self) -> int:
        """The session's revision before this call."""
        return self._situation.record.revision

    def revision_of(self, as_of: int | datetime) -> int:
        """The past revision that a caller means by its number, or by a time: the last at or before it; for `at(…)`.

        Raises Refused for what there is not, not yet, or no longer.
        """
        with self._situation.rows() as rows:
            return revision_of(rows.transaction, self._situation.record, as_of)

    def origins(self, revisions: Collection[int]) -> Mapping[int, Origin]:
        """Where past revisions came from: when, by whom, through which program. Those no longer kept are not there."""
        with self._situation.rows() as rows:
            return origins(rows.transaction, self._situation.record, revisions)

    @property
    def state(self) -> Any:
        """The session's state, a member of the world's enum: the innermost one that holds all that is active.

        Where regions are active side by side, that is the state around them; `is_in` tells more.
        """
        states, situation = self.definition.states, self._situation
        found = innermost(self.definition.chart, situation.active or situation.configuration.active)
        return found if states is None else states(found)

    def is_in(self, state: StrEnum) -> bool:
        """Whether a state is active, be it innermost or around others."""
        if self.definition.states is None or not isinstance(state, self.definition.states):
            raise TypeError(f"is_in({state!r}) asks for no state of {self.definition.name}")
        return str(state) in self._situation.active

    @property
    def principal(self) -> Principal:
        """Who acts."""
        return self._situation.principal

    @property
    def now(self) -> datetime:
        """The one time of this call, UTC."""
        return self._situation.now

    @property
    def limits(self) -> Limits:
        """How much of anything there may be here: `result` is the bytes of an answer."""
        return self._situation.limits

    @property
    def random(self) -> Random:
        """Randomness whose seed is kept in the journal."""
        situation = self._situation
        if situation.random is None:
            situation.seed = token_hex(8)
            situation.random = Random(situation.seed)
        return situation.random

    def enter(self, *states: StrEnum) -> None:
        """Choose which of the action's declared targets the session goes to: one, or one for each region."""
        situation = self._situation
        for state in states:
            if state not in situation.targets or situation.moment is not None:
                raise DefinitionError(
                    f"{type(self).__name__} cannot enter {state!r} from here.",
                    hint=f"Declare it, @action(target=[…, {state!r}]), and choose it in the action's method.",
                )
        chosen = tuple(map(str, states))
        if not can_be_together(self.definition.chart, chosen):
            raise DefinitionError(
                f"{type(self).__name__} cannot be in {' and '.join(chosen)} at once.",
                hint="Choose one state, or one in each region of a parallel one.",
            )
        situation.chosen = chosen

    def raise_event(self, name: str) -> None:
        """Say that something happened, for `@transition(on=…)`: it is heard before this change is over.

        Raises TypeError for an action's name: its states would be changed, and its method not carried out.
        """
        action = name.partition(".")[0]
        if action in self.definition.actions:
            raise TypeError(
                f"self.raise_event({name!r}): {action!r} is an action, and only a call takes it."
                f" Choose another name, or say @transition(on={action!r}) to have something done when it was taken"
            )
        if f"{action}." == DUE:
            raise TypeError(f"self.raise_event({name!r}): {DUE}… is for what is due by the clock; choose another name")
        situation = self._situation
        if situation.reading:
            raise TypeError(f"self.raise_event({name!r}): guards only read; raise it where something is done")
        if situation.moment is None:
            situation.raised = (*situation.raised, Event(name))
        else:
            situation.moment.raise_event(Event(name))

    def after(
        self,
        delay: timedelta,
        action: str | Callable[..., Any],
        /,
        *,
        within: StrEnum | type[StrEnum] | None = None,
        **arguments: Json,
    ) -> None:
        """Have an action of this session done when `delay` is over: `self.after(timedelta(minutes=15), Cart.release)`.

        It is done once, by the principal `timer`, as a change of its own; a state or guard that refuses it then ends
        it. It is cancelled when the state is left that it is set in: the one that is entered, in @on_enter; else the
        innermost that is active after this change, with all within it. `within` names one around that; the world's
        enumeration itself stands for the whole session. Raises DefinitionError for what could never be done, TypeError
        in a guard, and where the session is only looked at.
        """
        setting = asked_for(self.definition, delay, action, arguments, within=within, entering=self._situation.entering)
        self._situation.ask(f"self.after(…, {setting.action!r})", setting)

    def cancel_timers(self, action: str | Callable[..., Any]) -> None:
        """Cancel all that `self.after` set of an action, in whichever state. Raises like `after`."""
        name = action_named(self.definition, "cancel_timers", action).name
        self._situation.ask(f"self.cancel_timers({name!r})", Dropping(name))

    def effect(self, effect: Callable[..., Any] | str, /, **arguments: Any) -> None:
        """Ask for one of the world's effects: it is carried out after the commit of this change, and only then.

        Raises TypeError for an effect or a parameter that there is not, InvalidArguments, LimitExceeded.
        """
        situation = self._situation
        if situation.effects is None or situation.reading:
            raise TypeError(f"self.effect({name_of(effect)!r}): who only looks asks for nothing; ask in an action")
        limits, count = situation.limits, len(situation.effects)
        situation.effects.append(wanted(self.definition.effects, effect, arguments, limits, count))

    def unchanged(self) -> None:
        """Say that this call changed nothing: it makes no revision, and a repeat of it is decided anew.

        For an action that found nothing to do, so that undo always takes back something.
        """
        self._situation.unchanged = True

    def rows(self, model: type[AnyRow]) -> RowSet[AnyRow]:
        """The session's rows of a table: to iterate, find, count, add and remove."""
        return RowSet(model, self._situation.rows)

    def adopt(self, model: type[AnyPart], written: Written, /, **columns: Any) -> AnyPart:
        """Take in what a prepare function wrote ahead: it stands while this new row of the world's Part table does.

        Raises TypeError for what was not written for this session; Conflict where it was given up meanwhile.
        """
        if not isinstance(written, Written) or written.session_id != self._situation.record.id:
            raise TypeError(f"adopt(…) takes what write_ahead(…) gave for this session, received {written!r:.80}")
        with self._situation.rows() as rows:
            return rows.adopt(model, written, columns)

    def select(
        self, statement: Any, values: Mapping[str, Any] = MappingProxyType({}), *, at: int | None = None
    ) -> Sequence[Any]:
        """What a select of your own gives, as tuples: of this session's rows only, whatever it says.

        `self.select(select(Fact.name).where(*self.rows(Fact).standing()))`. Its rows are not to be changed, and do not
        count as touched. `values` are those of its parameters: a statement that is kept costs a third of one that is
        made for each call. `at` is the revision of which `standing_now` tells; None is now. Raises TypeError for what
        is no select.
        """
        with self._situation.rows() as rows:
            return rows.select(statement, self.definition.rows, values, at)

    def cached(
        self,
        key: Hashable,
        make: Callable[[], T],
        *,
        size: Callable[[T], int],
        forward: Callable[[T, int], T | None] | None = None,
    ) -> T:
        """What `make` works out of the session, or worked out before: the process keeps it in memory for who asks next.

        For what costs much and depends on nothing but the session at its revision and on `key`. `size` says how many
        bytes it takes. `forward` makes of what was worked out at an earlier revision, which it is given, what it is
        now; None if it cannot. Whoever asks gets the same value, also at once: nobody may change it. Where the session
        is being changed, `make` is called each time.
        """
        record = self._situation.record
        with self._situation.rows() as rows:
            known = recalled(rows.transaction, record, key)
        if known is not None and known.revision == record.revision:
            return cast(T, known.value)
        brought = None if known is None or forward is None else forward(known.value, known.revision)
        value = make() if brought is None else brought
        with self._situation.rows() as rows:
            remember(rows.transaction, record, key, value, size(value))
        return value

    def shared(self, model: type[AnyShared]) -> SharedSet[AnyShared]:
        """The rows of a table that all sessions share: to iterate, find and count, to lock and then change, to add."""
        if model not in self.definition.shared:
            raise TypeError(f"{model.__name__} is no shared table of {self.definition.name}; name it in shared=[…]")
        return SharedSet(model, self._situation.rows)
