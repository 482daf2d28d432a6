"""Actions: methods of a world that become transitions, tools and journal entries.

`@action` only marks a method; the class statement of its world turns marks
into `Action` values and checks them, so that a wrong declaration fails at import.
"""

import inspect
import json
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from engine.asking import Prepare, accepted_parameters
from engine.content import Audio, Embedded, Image, Link, Reply, Text
from engine.errors import DefinitionError, InvalidArguments
from engine.types import Json

Contract = Literal["envelope", "exact"]
Method = TypeVar("Method", bound=Callable[..., Any])
GuardFunction = Callable[..., str | None]

MARK = "__turnkeeper_action__"
RESERVED = ("session", "if_revision")
ARGUMENTS_LIMIT = 1024 * 1024
"""Bytes of an action's arguments as canonical JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the author said in `@action(…)`."""

    name: str | None = None
    title: str | None = None
    source: StrEnum | Iterable[StrEnum] | None = None
    target: StrEnum | Iterable[StrEnum] | None = None
    guards: tuple[GuardFunction | str, ...] = ()
    scope: str | None = None
    read_only: bool = False
    undo: bool = True
    confirm: str | Callable[..., str] | None = None
    prepare: Prepare | None = None
    contract: Contract | None = None
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
    icons: tuple[str, ...] = ()


@overload
def action(method: Method, /) -> Method: ...
@overload
def action(
    *,
    name: str | None = None,
    title: str | None = None,
    source: StrEnum | Iterable[StrEnum] | None = None,
    target: StrEnum | Iterable[StrEnum] | None = None,
    guards: Iterable[GuardFunction | str] = (),
    scope: str | None = None,
    read_only: bool = False,
    undo: bool = True,
    confirm: str | Callable[..., str] | None = None,
    prepare: Prepare | None = None,
    contract: Contract | None = None,
    destructive: bool = False,
    idempotent: bool = False,
    open_world: bool = False,
    icons: Iterable[str] = (),
) -> Callable[[Method], Method]: ...
def action(method: Method | None = None, /, **options: Any) -> Method | Callable[[Method], Method]:
    """Make a world's method an action.

    `source` and `target` name states (several targets: the first is taken
    unless the method calls `self.enter`); `guards` are asked in order and each
    answers None or the reason against; `read_only` makes no revision;
    `confirm` is what a person is asked before; `prepare` an async function
    that runs before the transaction. `title`, `destructive`, `idempotent`,
    `open_world` and `icons` describe the tool to clients.
    """

    def mark(function: Method) -> Method:
        setattr(function, MARK, Options(**{key: _tupled(key, value) for key, value in options.items()}))
        return function

    return mark if method is None else mark(method)


@dataclass(frozen=True, slots=True)
class Guard:
    """A named rule that an action must pass. `parameters` are the arguments it wants to see."""

    name: str
    function: GuardFunction
    parameters: tuple[str, ...]

    def reason_against(self, world: Any, arguments: Mapping[str, Any]) -> str | None:
        """None to let the action pass, else why not."""
        reason = self.function(world, **{name: arguments[name] for name in self.parameters})
        if reason is not None and not isinstance(reason, str):
            raise TypeError(f"guard {self.name} answered {reason!r}; it must return None, or the reason against")
        return reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of one world, checked. `sources` None means any state that is not final."""

    name: str
    method: Callable[..., Any]
    description: str
    parameters: type[BaseModel]
    returns: TypeAdapter[Any] | None
    sources: frozenset[str] | None
    targets: tuple[str, ...]
    guards: tuple[Guard, ...]
    prepare_parameters: tuple[str, ...]
    scope: str
    contract: Contract
    options: Options = field(repr=False)
    schema: dict[str, Json] = field(repr=False)

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        return self.options.read_only

    @property
    def asks(self) -> bool:
        """Whether something happens before the transaction."""
        return self.options.prepare is not None or self.options.confirm is not None

    @property
    def mirrored(self) -> bool:
        """Whether clients mirror any of its arguments into HTTP headers (`x-mcp-header` in the schema)."""
        return any("x-mcp-header" in part for part in self.schema["properties"].values())

    def parse(self, arguments: Mapping[str, Json]) -> dict[str, Any]:
        """Check and convert a call's arguments. Raises InvalidArguments."""
        return parsed(self.parameters, arguments)


def parsed(model: type[BaseModel], arguments: Mapping[str, Json]) -> dict[str, Any]:
    """Arguments by parameter name, checked by the model made from a signature. Raises InvalidArguments."""
    try:
        value = model.model_validate(arguments)
    except ValidationError as error:
        raise _invalid(model, error) from None
    return {name: getattr(value, name) for name in type(value).model_fields}


def canonical(model: type[BaseModel], arguments: Mapping[str, Any]) -> str:
    """The canonical JSON of parsed arguments: sorted keys, no spaces. Raises InvalidArguments."""
    plain = model.model_construct(**arguments).model_dump(mode="json", exclude_unset=False)
    try:
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArguments(f"The arguments hold a lone surrogate, which is no character ({error}).") from None
    except ValueError:
        raise InvalidArguments("The arguments hold a number that is not finite, which JSON cannot carry.") from None
    if size > ARGUMENTS_LIMIT:
        raise InvalidArguments(
            f"The arguments are {size:,} bytes long; at most {ARGUMENTS_LIMIT:,} are taken.",
            hint="Send less at a time.",
        )
    return text


def signature_model(name: str, method: Callable[..., Any], skip: tuple[str, ...] = ()) -> type[BaseModel]:
    """The pydantic model of a method's parameters after `self`. Raises DefinitionError."""
    hints = typing.get_type_hints(method, include_extras=True)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name in skip:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or parameter.name not in hints:
            raise DefinitionError(
                f"{name}: no schema can describe the parameter {str(parameter)!r}.",
                hint="Give it a name and a type, such as `quantity: int`.",
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        strict = ConfigDict(extra="forbid", populate_by_name=True)
        model: type[BaseModel] = create_model(name, __config__=strict, **fields)
        model.model_json_schema()
    except (PydanticSchemaGenerationError, PydanticUserError, NameError) as error:
        culprit = _undescribable(fields) or ", ".join(fields)
        raise DefinitionError(
            f"{name}: no schema can describe the parameter {culprit!r}: {str(error).splitlines()[0]}",
            hint="Use what JSON can carry: str, int, float, bool, lists, dicts, enums, pydantic models.",
        ) from None
    return model


def build_action(method: Callable[..., Any], *, owner: str, world: Any, contract: Contract) -> Action:
    """Turn a marked method into an Action, with every check that needs no other action. Raises DefinitionError."""
    options: Options = getattr(method, MARK)
    name = options.name or method.__name__
    label = f"{owner}.{method.__name__}"
    _check_shape(label, method, options)
    parameters = signature_model(label, method, skip=("prepared",))
    names = tuple(parameters.model_fields)
    contract = options.contract or contract
    for reserved in RESERVED:
        if reserved in names and contract != "exact":
            raise DefinitionError(
                f"{label}: the parameter {reserved!r} collides with the one every tool has.",
                hint="Choose another name, or declare contract='exact'.",
            )
    return Action(
        name=name,
        method=method,
        description=inspect.getdoc(method) or "",
        parameters=parameters,
        returns=_returns(label, method),
        sources=None if options.source is None else frozenset(map(str, _states(options.source))),
        targets=tuple(map(str, _states(options.target))),
        guards=tuple(_guard(label, guard, world, names) for guard in options.guards),
        prepare_parameters=(
            accepted_parameters(f"{label}: prepare", options.prepare, names, skip=2) if options.prepare else ()
        ),
        scope=options.scope or "",
        contract=contract,
        options=options,
        schema=described(parameters),
    )


def described(parameters: type[BaseModel]) -> dict[str, Json]:
    """A parameter model's JSON Schema as tools show it: without the titles pydantic invents."""
    schema = parameters.model_json_schema()
    schema.pop("title", None)
    for definition in schema.get("properties", {}).values():
        definition.pop("title", None)
    return {"type": "object", "properties": {}} | schema


def _check_shape(label: str, method: Callable[..., Any], options: Options) -> None:
    if inspect.iscoroutinefunction(method):
        raise DefinitionError(
            f"{label} is async, but an action runs inside a transaction.",
            hint="Make it a plain method and put what awaits into an async function given as prepare=.",
        )
    if options.read_only and (options.target is not None or options.confirm is not None):
        raise DefinitionError(f"{label} is read_only, so it takes no target= and no confirm=.")
    if callable(options.confirm):
        accepted_parameters(
            f"{label}: confirm", options.confirm, tuple(inspect.signature(method).parameters)[1:], skip=1
        )
    if options.prepare is not None and not inspect.iscoroutinefunction(options.prepare):
        raise DefinitionError(f"{label}: prepare must be an `async def` function.")
    takes_prepared = "prepared" in inspect.signature(method).parameters
    if takes_prepared != (options.prepare is not None):
        raise DefinitionError(
            f"{label}: prepare= and a parameter named `prepared` go together.",
            hint="The parameter receives what the prepare function returns.",
        )


def _guard(label: str, guard: GuardFunction | str, world: Any, parameters: tuple[str, ...]) -> Guard:
    function = getattr(world, guard, None) if isinstance(guard, str) else guard
    if not callable(function):
        raise DefinitionError(
            f"{label}: unknown guard {guard!r}.",
            hint="Name a method of the world, or give a function that takes the world and returns None or a reason.",
        )
    name = getattr(function, "__name__", str(guard))
    return Guard(name, function, accepted_parameters(f"{label}: guard {name}", function, parameters, skip=1))


def _returns(label: str, method: Callable[..., Any]) -> TypeAdapter[Any] | None:
    annotation = typing.get_type_hints(method, include_extras=True).get("return", Any)
    if _holds_content(annotation):
        return None
    try:
        adapter = TypeAdapter(annotation)
        adapter.json_schema(mode="serialization")
    except PydanticUserError as error:
        raise DefinitionError(
            f"{label}: no schema can describe what it returns: {str(error).splitlines()[0]}",
            hint="Return what JSON can carry, or engine content such as Text and Image.",
        ) from None
    return adapter


def _holds_content(annotation: Any) -> bool:
    kinds = (Text, Image, Audio, Embedded, Link, Reply)
    return annotation in kinds or any(_holds_content(part) for part in typing.get_args(annotation))


def _undescribable(fields: Mapping[str, Any]) -> str | None:
    for name, (annotation, _) in fields.items():
        try:
            TypeAdapter(annotation).json_schema()
        except (PydanticUserError, NameError):
            return name
    return None


def _invalid(model: type[BaseModel], error: ValidationError) -> InvalidArguments:
    first = error.errors(include_url=False, include_context=False)[0]
    path = "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
    received = f", received {_shortened(first['input'])}" if first["type"] != "missing" else ""
    known = ", ".join(model.model_fields) or "none"
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return InvalidArguments(f"{path}: {first['msg']}{received}.{more}", hint=f"The arguments are: {known}.", path=path)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "…"


def _states(states: StrEnum | Iterable[StrEnum] | None) -> tuple[StrEnum, ...]:
    if states is None:
        return ()
    return (states,) if isinstance(states, StrEnum) else tuple(states)


def _tupled(key: str, value: Any) -> Any:
    return tuple(value) if key in ("guards", "icons") else value
