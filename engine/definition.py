"""What a world's class statement declares, collected and checked.

A wrong declaration raises DefinitionError here, at import, and says what was
wrong and what would be right.
"""

import inspect
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from engine.actions import MARK, Action, Contract, Predicate, build_action, predicate
from engine.asking import accepted_parameters
from engine.charting import chart_of
from engine.charts import ROOT, Chart
from engine.commands import Command, build_commands
from engine.effects import Effect
from engine.errors import ChartError, DefinitionError, Fault
from engine.models import HistoryRow, Part, Row, check_row, fit_row, snake
from engine.outcomes import build_effects
from engine.resources import PROMPT_MARK, RESOURCE_MARK, Prompt, Resource, build_prompt, build_resource, uri_shape
from engine.shared_rows import Seed, SharedRow, check_shared
from engine.signatures import refuse_async, refuse_secrets, signature_model
from engine.soundness.faults import Problem, problems
from engine.states import Given, placed
from engine.timers import LONGEST
from engine.transitions import CHART_MARK
from engine.types import Principal
from engine.upgrades import Upgrades, build_upgrades

TOOL_NAMES = (
    "start_session",
    "list_sessions",
    "get_session",
    "session_history",
    "undo",
    "redo",
    "fork_session",
    "share_session",
    "end_session",
)
"""What every endpoint offers beside the worlds' actions."""

OPERATION_NAMES = ("start", "undo", "redo", "fork", "import", "share", "end", "on_copy", "timer")
"""What the journal may hold beside the worlds' actions."""

COMMAND_NAMES = (
    "backup",
    "check",
    "client",
    "diff",
    "effects",
    "export",
    "fork",
    "history",
    "hooks",
    "import",
    "keys",
    "migrate",
    "play",
    "redo",
    "serve",
    "sessions",
    "show",
    "sql",
    "stdio",
    "timers",
    "token",
    "undo",
    "user",
    "webhooks",
    "worlds",
)
"""The command line's own commands: no world that has commands may be called so."""

OWN_NAMES = (
    "after",
    "cancel_timers",
    "data",
    "definition",
    "effect",
    "enter",
    "is_in",
    "now",
    "principal",
    "raise_event",
    "random",
    "revision",
    "rows",
    "select",
    "session",
    "shared",
    "state",
    "unchanged",
)
"""What a World object has of its own: no marked method may be called so."""

Table = TypeVar("Table", Row, SharedRow)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """One world, checked. `cls` is its class; `rows` its tables; `migrations` its folder of them, if it has one.

    `shared` are the tables of all its sessions together, `seed` gives the first rows of these, and `on_copy` is
    what a fork or an imported session does about what the copied one claimed of them.
    """

    name: str
    title: str
    description: str
    version: int
    upgrades: Upgrades
    cls: type
    states: type[StrEnum] | None
    chart: Chart
    data: type[BaseModel] | None
    start: Callable[..., Any] | None
    start_parameters: type[BaseModel]
    actions: Mapping[str, Action]
    resources: Mapping[str, Resource]
    prompts: Mapping[str, Prompt]
    rows: tuple[type[Row], ...]
    shared: tuple[type[SharedRow], ...]
    seed: Seed | None
    on_copy: Callable[..., Any] | None
    contract: Contract
    icons: tuple[str, ...]
    expires_after: timedelta | None
    only_for: Predicate | None
    effects: Mapping[str, Effect]
    commands: Mapping[str, Command]

    @property
    def read_scope(self) -> str:
        """The scope that lets a client read."""
        return f"{self.name}:read"

    @property
    def write_scope(self) -> str:
        """The scope that lets a client act."""
        return f"{self.name}:write"

    def scope_of(self, action: Action) -> str:
        """The scope an action needs: its own, else the world's."""
        return action.scope or (self.read_scope if action.read_only else self.write_scope)

    def is_for(self, principal: Principal, action: Action | None = None) -> bool:
        """Whether the world, or one of its actions, is there for a principal: for the operator all is."""
        return principal.operator or (
            (self.only_for is None or self.only_for(principal))
            and (action is None or action.only_for is None or action.only_for(principal))
        )

    @property
    def tables(self) -> frozenset[str]:
        """The names of its tables, the shared ones among them."""
        return frozenset(str(row.__tablename__) for row in (*self.rows, *self.shared))

    @property
    def keeps_history(self) -> bool:
        """Whether its rows are themselves history."""
        return any(issubclass(row, HistoryRow) for row in self.rows)

    @property
    def parts(self) -> type[Part] | None:
        """The table of what was written ahead."""
        return next((row for row in self.rows if issubclass(row, Part)), None)

    @property
    def shared_tables(self) -> frozenset[str]:
        """The names of its shared tables."""
        return frozenset(str(row.__tablename__) for row in self.shared)

    @property
    def starts_alone(self) -> bool:
        """Whether a session can be started without arguments."""
        return not any(field.is_required() for field in self.start_parameters.model_fields.values())

    @property
    def migrations(self) -> Path | None:
        """The folder `migrations` beside the world's package, or the bundled worlds' one."""
        here = Path(inspect.getfile(self.cls))
        candidates = (here.parent / "migrations", Path(__file__).parents[1] / "migrations" / "versions" / self.name)
        return next(
            (folder for folder in candidates if folder.is_dir() and here.name in ("__init__.py", f"{self.name}.py")),
            None,
        )


def define(
    cls: type,
    *,
    name: str | None,
    states: Given,
    start: StrEnum | None,
    final: Iterable[StrEnum],
    version: int,
    upgrades: Iterable[Callable[..., Any]],
    contract: Contract,
    rows: Iterable[type[Row]] | None,
    shared: Iterable[type[SharedRow]] | None,
    seed: Seed | None,
    on_copy: str | Callable[..., Any] | None,
    icons: Iterable[str],
    expires_after: timedelta | None,
    only_for: Predicate | None,
    effects: Iterable[Callable[..., Any]],
    commands: Iterable[Callable[..., Any]],
) -> Definition:
    """Collect a world's class body. Raises DefinitionError."""
    name = name or snake(cls.__name__)
    _check_name(f"world {cls.__name__}", name)
    members = _members(cls)
    actions = _keyed(
        cls, "action", [build_action(m, owner=cls.__name__, world=cls, contract=contract) for m in members(MARK)]
    )
    resources = _keyed(
        cls, "resource", [build_resource(m, owner=cls.__name__, contract=contract) for m in members(RESOURCE_MARK)]
    )
    prompts = _keyed(
        cls, "prompt", [build_prompt(m, owner=cls.__name__, contract=contract) for m in members(PROMPT_MARK)]
    )
    starter = _starter(cls)
    start_parameters = signature_model(f"{cls.__name__}.start", starter or _no_start)
    refuse_secrets(f"{cls.__name__}.start", start_parameters)
    tables = _tables(cls, "rows", rows, Row)
    steps = _several(cls, "upgrades", upgrades, "a list of functions marked @upgrade")
    places = placed(cls.__name__, states, start, final)
    definition = Definition(
        name=name,
        title=cls.__name__,
        description=inspect.getdoc(cls) or "",
        version=version,
        upgrades=build_upgrades(cls.__name__, version, steps, tables, places.enum),
        cls=cls,
        states=places.enum,
        chart=replace(
            chart_of(cls, places, actions.values(), members(CHART_MARK)),
            enterable=on_copy is not None,
            calls=_calls(actions),
        ),
        data=_data_model(cls),
        start=starter,
        start_parameters=start_parameters,
        actions=actions,
        resources=resources,
        prompts=prompts,
        rows=tables,
        shared=_tables(cls, "shared", shared, SharedRow),
        seed=seed,
        on_copy=None if on_copy is None else _on_copy(cls, on_copy),
        contract=contract,
        icons=_several(cls, "icons", icons, "a list of addresses"),
        expires_after=_duration(cls, expires_after),
        only_for=predicate(cls.__name__, only_for),
        effects=build_effects(
            cls.__name__, _several(cls, "effects", effects, "a list of functions marked @effect"), actions
        ),
        commands=build_commands(
            cls.__name__, _several(cls, "commands", commands, "a list of functions marked @command")
        ),
    )
    _check(definition)
    return _with_parts(definition)


def _calls(actions: Mapping[str, Action]) -> Mapping[str, frozenset[str]]:
    """The events that calls send, with where each action is possible: one that only reads sends none."""
    return {
        name: frozenset([ROOT]) if action.sources is None else action.sources
        for name, action in actions.items()
        if not action.read_only
    }


def _with_parts(definition: Definition) -> Definition:
    """A definition whose resources of rows of history are made of its Part table, too: with a part, its rows come."""
    if definition.parts is None:
        return definition
    part = {str(definition.parts.__tablename__)}
    own = frozenset(str(row.__tablename__) for row in definition.rows)
    resources = {
        name: replace(one, tables=one.tables | part) if one.tables is not None and one.tables & own else one
        for name, one in definition.resources.items()
    }
    return replace(definition, resources=resources)


def _check(definition: Definition) -> None:
    label = definition.cls.__name__
    if definition.commands and definition.name in COMMAND_NAMES:
        raise DefinitionError(
            f"{label}: its commands would be at `turnkeeper {definition.name}`, which is a command already.",
            hint="Give the world another name: `class …(World, name=…)`.",
        )
    for action in definition.actions.values():
        _check_name(f"{label}.{action.method.__name__}", action.name)
        if action.name in (*TOOL_NAMES, *OPERATION_NAMES):
            raise DefinitionError(
                f"{label}: the action {action.name!r} collides with what every session has.",
                hint="Choose another name.",
            )
    if "done" in definition.actions and any(definition.chart.children[state] for state in definition.chart.states):
        raise DefinitionError(
            f"{label}: the action 'done' would be taken whenever a state that holds others is done.",
            hint='Choose another name, such as @action(name="finish").',
        )
    for row in definition.rows:
        check_row(row)
        fit_row(row)
    _check_history(definition)
    for shared in definition.shared:
        check_shared(shared, definition.shared_tables)
        fit_row(shared)
    _check_seed(definition)
    for prompt in definition.prompts.values():
        _check_name(f"{label}.{prompt.method.__name__}", prompt.name)
    _check_resources(definition)
    if faults := _faults(definition, certain=True):
        raise ChartError(label, faults)


def _check_history(definition: Definition) -> None:
    """Insist that undo can do with all rows alike: all are history, or none. Raises DefinitionError."""
    label, history = definition.cls.__name__, [row for row in definition.rows if issubclass(row, HistoryRow)]
    if history and (others := set(definition.rows) - set(history)):
        raise DefinitionError(
            f"{label}: {history[0].__name__} is a HistoryRow, and {', '.join(sorted(row.__name__ for row in others))}"
            " is not.",
            hint="Undo ends and begins rows of history, and writes others back: make all of a world's rows one kind.",
        )
    parts = [row for row in history if issubclass(row, Part)]
    if len(parts) > 1:
        raise DefinitionError(
            f"{label}: {' and '.join(row.__name__ for row in parts)} are both a Part.",
            hint="One table says which parts stand; give it what is to be known of them.",
        )


def doubts(definition: Definition) -> list[Fault]:
    """What may be wrong with a world's chart, which is no reason to refuse it."""
    return _faults(definition, certain=False)


def _faults(definition: Definition, *, certain: bool) -> list[Fault]:
    return [_fault(definition, problem) for problem in problems(definition.chart) if problem.certain is certain]


def _fault(definition: Definition, problem: Problem) -> Fault:
    """A problem of the chart, with the line of the method that it is about."""
    name = None if problem.transition is None else problem.transition.label
    action = definition.actions.get(name or "")
    method = action.method if action is not None else getattr(definition.cls, name or "", None)
    code = getattr(method, "__code__", None)
    line = None if code is None else f"{code.co_filename}:{code.co_firstlineno}"
    return Fault(line, f"{problem.place} {problem.what}", problem.remedy)


def _check_resources(definition: Definition) -> None:
    label, taken = definition.cls.__name__, dict[str, str]()
    for resource in definition.resources.values():
        if resource.tables is not None and resource.tables - definition.tables:
            raise DefinitionError(
                f"{label}.{resource.method.__name__}: of= names tables that are not this world's:"
                f" {', '.join(sorted(resource.tables - definition.tables))}.",
                hint=f"Its tables are: {', '.join(sorted(definition.tables)) or 'none'}.",
            )
        if resource.options.uri is not None:
            shape = uri_shape(resource.options.uri)
            if shape in taken:
                raise DefinitionError(
                    f"{label}: the resources {taken[shape]!r} and {resource.name!r} have one uri,"
                    f" {resource.options.uri}.",
                    hint="Give one of them another.",
                )
            taken[shape] = resource.name


def _members(cls: type) -> Callable[[str], list[Callable[..., Any]]]:
    functions = {
        name: value for base in reversed(cls.__mro__) for name, value in vars(base).items() if inspect.isfunction(value)
    }
    for base in cls.__mro__:
        for name, value in vars(base).items():
            _refuse_wrapped(f"{cls.__name__}.{name}", value)
    for name in OWN_NAMES:
        if name in functions and functions[name].__module__ != "engine.world":
            raise DefinitionError(
                f"{cls.__name__}.{name} collides with what every World has.",
                hint=f"Call the method something else and say name={name!r} in its decorator.",
            )
    return lambda mark: [function for function in functions.values() if hasattr(function, mark)]


def _refuse_wrapped(label: str, value: object) -> None:
    """Insist that a mark is not hidden behind another decorator, where it would do nothing."""
    inner = next((getattr(value, name) for name in ("__func__", "fget", "func") if hasattr(value, name)), value)
    marked = any(hasattr(inner, mark) for mark in (MARK, CHART_MARK, RESOURCE_MARK, PROMPT_MARK))
    if marked and not inspect.isfunction(value):
        raise DefinitionError(
            f"{label} is marked as an action, transition, resource or prompt, but is"
            f" no plain method: {type(value).__name__}.",
            hint="Write it as `def …(self, …)`, without staticmethod, classmethod or property.",
        )


def _several(cls: type, option: str, given: Any, right: str) -> tuple[Any, ...]:
    if isinstance(given, str | type) or not isinstance(given, Iterable):
        raise DefinitionError(f"{cls.__name__}: {option}={given!r} is not what {option} takes.", hint=f"Give {right}.")
    return tuple(given)


def _duration(cls: type, given: Any) -> timedelta | None:
    if given is not None and not (isinstance(given, timedelta) and timedelta() < given <= LONGEST):
        raise DefinitionError(
            f"{cls.__name__}: expires_after={given!r} is no time after which an idle session expires.",
            hint=f"Give a timedelta such as timedelta(days=30), of {LONGEST.days:,} days at most; None is for ever.",
        )
    return given


def _keyed(cls: type, kind: str, items: list[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        if item.name in found:
            raise DefinitionError(
                f"{cls.__name__}: two {kind}s are named {item.name!r}.", hint=f"Give one of them @{kind}(name=…)."
            )
        found[item.name] = item
    return found


def _check_name(label: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise DefinitionError(
            f"{label}: {name!r} cannot be a name.", hint="Begin with a letter and go on with letters, digits, _ and -."
        )


def _starter(cls: type) -> Callable[..., Any] | None:
    found = inspect.getattr_static(cls, "start", None)
    if found is not None and not inspect.isfunction(found):
        raise DefinitionError(
            f"{cls.__name__}.start is no plain method: {type(found).__name__}.",
            hint="Write `def start(self, …)`; the state a session starts in is said by `class …(World, start=…)`.",
        )
    if found is not None:
        refuse_async(f"{cls.__name__}.start", found, "a session starts inside a transaction")
    return found


def _no_start(self: object) -> None:
    """How a world without `start` starts."""


def _on_copy(cls: type, given: Any) -> Callable[..., Any]:
    label = f"{cls.__name__}: on_copy"
    method: Any = getattr(cls, given, None) if isinstance(given, str) else given
    if not callable(method):
        raise DefinitionError(f"{label}={given!r} is no method of the world.", hint='Write `on_copy="…"`.')
    refuse_async(label, method, "it runs inside the transaction that copies")
    accepted_parameters(label, method, (), skip=1)
    found: Callable[..., Any] = method
    return found


def _check_seed(definition: Definition) -> None:
    label, seed = definition.cls.__name__, definition.seed
    if seed is None:
        return
    if not callable(seed) or inspect.iscoroutinefunction(seed):
        raise DefinitionError(
            f"{label}: seed={seed!r} is no function.", hint="Give a function that takes nothing and gives shared rows."
        )
    accepted_parameters(f"{label}: seed", seed, (), skip=0)
    if not definition.shared:
        raise DefinitionError(
            f"{label}: seed= has no shared table to fill.", hint="Declare one: `class …(SharedRow, table=True)`."
        )


def _data_model(cls: type) -> type[BaseModel] | None:
    annotation = typing.get_type_hints(cls).get("data", Any)
    if annotation is Any:
        return None
    if not (inspect.isclass(annotation) and issubclass(annotation, BaseModel)):
        raise DefinitionError(
            f"{cls.__name__}.data: {annotation!r} is not a pydantic model.",
            hint="Annotate it with a subclass of pydantic.BaseModel.",
        )
    if any(field.is_required() for field in annotation.model_fields.values()):
        raise DefinitionError(
            f"{cls.__name__}.data: {annotation.__name__} cannot be made without values.",
            hint="Give every field a default; `start` may then change it.",
        )
    return annotation


def _tables(cls: type, option: str, given: Any, kind: type[Table]) -> tuple[type[Table], ...]:
    """The tables an option names, else those of the world's own module."""
    if given is not None:
        return _several(cls, option, given, f"a list of {kind.__name__} classes")
    module = cls.__module__
    return tuple(row for row in _declared(kind) if row.__module__ == module or row.__module__.startswith(f"{module}."))


def _declared(kind: type[Table]) -> Iterator[type[Table]]:
    """The tables of a kind, and of the kinds below it, such as rows of history."""
    for row in kind.__subclasses__():
        if hasattr(row, "__table__"):
            yield row
        else:
            yield from _declared(row)
