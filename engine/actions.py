"""Actions: methods of a world that become transitions, tools and journal entries.

`@action` only marks a method; the class statement of its world turns marks
into `Action` values and checks them, so that a wrong declaration fails at import.
"""

import dataclasses
import inspect
import json
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, Secret, SecretBytes, SecretStr, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError

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
PLURAL = {
    "source": "a member of the world's states, such as source=State.OPEN, or a list of them",
    "target": "a member of the world's states, such as target=State.PAID, or a list of them",
    "guards": "a list of functions and of methods' names, such as guards=[has_lines]",
    "icons": "a list of addresses, such as icons=['https://…/cart.svg']",
}
"""The options that take several values, and how to write them."""
LEAST, MOST = -(2**63), 2**63 - 1
"""Integers that every part of the way can carry: signed, 64 bits."""


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
    guards: GuardFunction | Iterable[GuardFunction | str] = (),
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
        label = insist_on_method("action", function)
        setattr(function, MARK, Options(**{key: _plural(label, key, value) for key, value in options.items()}))
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
    _refuse_vast(arguments)
    try:
        value = model.model_validate(arguments)
    except ValidationError as error:
        raise _invalid(model, error) from None
    return {name: getattr(value, name) for name in type(value).model_fields}


def canonical(model: type[BaseModel], arguments: Mapping[str, Any]) -> str:
    """The canonical JSON of parsed arguments: sorted keys and sets, no spaces. Raises InvalidArguments."""
    try:
        plain = _plain(model, arguments)
        _refuse_vast(plain)
        text = _compact(plain)
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidArguments(f"The arguments hold a lone surrogate, which is no character ({error}).") from None
    except (PydanticSerializationError, UnicodeDecodeError) as error:
        raise InvalidArguments(f"The arguments cannot be written as JSON: {error}.") from None
    except RecursionError:
        raise InvalidArguments("The arguments are nested too deeply.", hint="Send something flatter.") from None
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
    hints = _hints(name, method)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name in skip:
            continue
        _check_parameter(name, parameter, hints)
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        return _model(name, fields)
    except Exception as error:  # of many kinds, from pydantic and from the types' own hooks
        raise DefinitionError(
            f"{name}: no schema can describe the parameter {_undescribable(fields)!r}: {str(error).splitlines()[0]}",
            hint="Use what JSON can carry: str, int, float, bool, lists, dicts, enums, pydantic models.",
        ) from None


def shown_names(parameters: type[BaseModel]) -> list[str]:
    """The names that clients know parameters by."""
    return [known.alias or name for name, known in parameters.model_fields.items()]


def insist_on_method(decorator: str, function: Any) -> str:
    """What to call a function that is being marked; DefinitionError if it is no plain function."""
    if inspect.isfunction(function):
        return function.__qualname__
    raise DefinitionError(
        f"@{decorator} was given {function!r}, which is no plain method.",
        hint=f"Put @{decorator} on `def …(self, …)` itself, with no staticmethod, classmethod or property around it.",
    )


def refuse_async(label: str, function: Callable[..., Any], why: str, hint: str = "Write a plain `def`.") -> None:
    """Insist that calling a function runs it: it is neither async nor a generator. Raises DefinitionError."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise DefinitionError(f"{label} is async, but {why}.", hint=hint)
    if inspect.isgeneratorfunction(function):
        raise DefinitionError(
            f"{label} is a generator, so that calling it runs nothing.", hint="Use `return`, not `yield`."
        )


def refuse_secrets(label: str, parameters: type[BaseModel]) -> None:
    """Insist that no parameter hides what it holds, since the journal keeps it. Raises DefinitionError."""
    for name, known in parameters.model_fields.items():
        if _hides(known.annotation, set()):
            raise DefinitionError(
                f"{label}: the parameter {name!r} is a secret, but a journal keeps every argument.",
                hint="Take a reference to the secret instead, such as the name of a setting.",
            )


def build_action(method: Callable[..., Any], *, owner: str, world: Any, contract: Contract) -> Action:
    """Turn a marked method into an Action, with every check that needs no other action. Raises DefinitionError."""
    options: Options = getattr(method, MARK)
    name = options.name or method.__name__
    label = f"{owner}.{method.__name__}"
    _check_shape(label, method, options)
    parameters = signature_model(label, method, skip=("prepared",))
    refuse_secrets(label, parameters)
    names = tuple(parameters.model_fields)
    contract = options.contract or contract
    for reserved in RESERVED:
        if reserved in shown_names(parameters) and contract != "exact":
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
    refuse_async(
        label,
        method,
        "an action runs inside a transaction",
        "Make it a plain method and put what awaits into an async function given as prepare=.",
    )
    if options.read_only and (options.target is not None or options.confirm is not None):
        raise DefinitionError(f"{label} is read_only, so it takes no target= and no confirm=.")
    if options.read_only and options.source is not None:
        raise DefinitionError(
            f"{label} is read_only, so it is possible in every state and takes no source=.",
            hint="Leave source= out; where it must be refused, say so with a guard.",
        )
    if callable(options.confirm):
        refuse_async(f"{label}: confirm", options.confirm, "it is called plainly")
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
    refuse_async(f"{label}: guard {name}", function, "a guard answers at once")
    if not inspect.signature(function).parameters:
        raise DefinitionError(
            f"{label}: guard {name} takes nothing.", hint=f"Write `def {name}(world: …) -> str | None`."
        )
    return Guard(name, function, accepted_parameters(f"{label}: guard {name}", function, parameters, skip=1))


def _returns(label: str, method: Callable[..., Any]) -> TypeAdapter[Any] | None:
    annotation = _hints(label, method).get("return", Any)
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


def _hints(label: str, method: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(method, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError) as error:
        raise DefinitionError(
            f"{label}: its type hints cannot be read: {error}.",
            hint="Define or import at module level the types that its signature names.",
        ) from None


def _check_parameter(label: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> None:
    name = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or name not in hints:
        raise DefinitionError(
            f"{label}: no schema can describe the parameter {str(parameter)!r}.",
            hint="Give it a name and a type, such as `quantity: int`.",
        )
    if parameter.kind is parameter.POSITIONAL_ONLY:
        raise DefinitionError(
            f"{label}: the parameter {name!r} can be given by position only, but arguments have names.",
            hint="Remove the `/` from the signature.",
        )
    if name.startswith("_") or (name.startswith("model_") and hasattr(BaseModel, name)):
        raise DefinitionError(
            f"{label}: {name!r} cannot be the name of a parameter.",
            hint=f"Choose another, and say `Annotated[…, Field(alias={name!r})]` if clients must see this one.",
        )


def _model(name: str, fields: Mapping[str, Any]) -> type[BaseModel]:
    strict = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Field name .* shadows an attribute", category=UserWarning)
        model: type[BaseModel] = create_model(name, __config__=strict, **fields)
    model.model_json_schema()
    return model


def _undescribable(fields: Mapping[str, Any]) -> str:
    for name, one in fields.items():
        try:
            _model("Parameters", {name: one})
        except Exception:  # of many kinds, see signature_model
            return name
    return ", ".join(fields)


def _hides(annotation: Any, seen: set[Any]) -> bool:
    """Whether a type is, or holds anywhere, one of pydantic's secrets."""
    origin = typing.get_origin(annotation)
    kind = origin or annotation
    if inspect.isclass(kind) and issubclass(kind, Secret | SecretStr | SecretBytes):
        return True
    if origin is not None:
        return any(_hides(part, seen) for part in typing.get_args(annotation))
    if not inspect.isclass(annotation) or annotation in seen:
        return False
    seen.add(annotation)
    if issubclass(annotation, BaseModel):
        return any(_hides(known.annotation, seen) for known in annotation.model_fields.values())
    if dataclasses.is_dataclass(annotation) or hasattr(annotation, "__required_keys__"):
        return any(_hides(hint, seen) for hint in typing.get_type_hints(annotation).values())
    return False


def _plain(model: type[BaseModel], arguments: Mapping[str, Any]) -> dict[str, Json]:
    """Parsed arguments as JSON values. No parameter's name can be mistaken for one of pydantic's own."""
    value = model.__new__(model)
    names = {"__dict__": dict(arguments), "__pydantic_fields_set__": set(arguments)}
    value.__setstate__({**names, "__pydantic_extra__": None, "__pydantic_private__": None})
    plain = value.model_dump(mode="json")
    return {name: _ordered(arguments[name], part) for name, part in plain.items()}


def _ordered(value: Any, plain: Json) -> Json:
    """The JSON of a value with its sets in one order, which hashing differs about from process to process."""
    if isinstance(plain, list) and isinstance(value, Set | Sequence) and len(value) == len(plain):
        parts = [_ordered(*pair) for pair in zip(value, plain, strict=True)]
        return sorted(parts, key=_compact) if isinstance(value, Set) else parts
    if isinstance(plain, dict) and isinstance(value, dict) and len(value) == len(plain):
        return {key: _ordered(one, plain[key]) for one, key in zip(value.values(), plain, strict=True)}
    if isinstance(plain, dict) and (isinstance(value, BaseModel) or dataclasses.is_dataclass(value)):
        return {key: _ordered(getattr(value, key, None), part) for key, part in plain.items()}
    return _ordered(value.root, plain) if isinstance(value, BaseModel) and hasattr(value, "root") else plain


def _compact(plain: Json) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _refuse_vast(arguments: Json) -> None:
    """Insist on integers that can be kept. Raises InvalidArguments."""
    for path, value in _leaves(arguments):
        if isinstance(value, int) and not LEAST <= value <= MOST:
            raise InvalidArguments(
                f"{path}: the integer is too large; integers go from {LEAST} to {MOST} (64 bits).", path=path
            )


def _leaves(arguments: Json) -> Iterator[tuple[str, Json]]:
    """What a JSON value holds that holds nothing itself, with its path."""
    waiting: list[tuple[str, Json]] = [("$", arguments)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += [(f"{path}.{key}", part) for key, part in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{path}[{index}]", part) for index, part in enumerate(value)]
        else:
            yield path, value


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


def _plural(label: str, key: str, value: Any) -> Any:
    """An option that takes several values as a tuple of them. Raises DefinitionError."""
    right = PLURAL.get(key)
    if right is None or value is None or isinstance(value, StrEnum):
        return value
    if key == "guards" and callable(value):
        return (value,)
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise DefinitionError(f"{label}: {key}={value!r} is not what {key} takes.", hint=f"Write {right}.")
    return tuple(value)
