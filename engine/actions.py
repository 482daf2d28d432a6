"""Actions: methods of a world that become transitions, tools and journal entries.

`@action` only marks a method; the class statement of its world turns marks
into `Action` values and checks them, so that a wrong declaration fails at import.
"""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any, Literal, TypeVar, overload

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from engine.arguments import parsed
from engine.asking import Prepare, accepted_parameters
from engine.content import Audio, Embedded, Image, Link, Reply, Text
from engine.errors import DefinitionError
from engine.signatures import (
    described,
    insist_on_method,
    refuse_async,
    refuse_secrets,
    shown_names,
    signature_model,
    type_hints,
)
from engine.types import Change, Json, Principal

Contract = Literal["envelope", "exact"]
Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class No:
    """What a guard may answer: the reason against, and a hint at what to do instead."""

    reason: str
    hint: str | None = None


GuardFunction = Callable[..., No | str | None]
Predicate = Callable[[Principal], bool]
"""Whether something is there for a principal."""
Compensation = Callable[[Any, Change], None]
"""Given the world as it is and the change to be undone."""
Complaint = Callable[[str, ValidationError], str]
"""Given an action's name and what is wrong with its arguments: the words for it."""

MARK = "__turnkeeper_action__"
RESERVED = ("session", "if_revision")
PLURAL = {
    "source": "a member of the world's states, such as source=State.OPEN, or a list of them",
    "target": "a member of the world's states, such as target=State.PAID, or a list of them",
    "guards": "a list of functions and of methods' names, such as guards=[has_lines]",
    "icons": "a list of addresses, such as icons=['https://…/cart.svg']",
}
"""The options that take several values, and how to write them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the author said in `@action(…)`."""

    name: str | None = None
    title: str | None = None
    source: StrEnum | Iterable[StrEnum] | None = None
    target: StrEnum | Iterable[StrEnum] | None = None
    guards: tuple[GuardFunction | str, ...] = ()
    scope: str | None = None
    only_for: Predicate | None = None
    read_only: bool | None = None
    undo: bool = True
    internal: bool = False
    compensate: Compensation | str | None = None
    confirm: str | Callable[..., str] | None = None
    prepare: Prepare | None = None
    contract: Contract | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool | None = None
    icons: tuple[str, ...] = ()
    input_schema: Mapping[str, Json] | None = None
    output_schema: Mapping[str, Json] | None = None
    invalid: Complaint | None = None


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
    only_for: Predicate | None = None,
    read_only: bool | None = None,
    undo: bool = True,
    internal: bool = False,
    compensate: Compensation | str | None = None,
    confirm: str | Callable[..., str] | None = None,
    prepare: Prepare | None = None,
    contract: Contract | None = None,
    destructive: bool | None = None,
    idempotent: bool | None = None,
    open_world: bool | None = None,
    icons: Iterable[str] = (),
    input_schema: Mapping[str, Json] | None = None,
    output_schema: Mapping[str, Json] | None = None,
    invalid: Complaint | None = None,
) -> Callable[[Method], Method]: ...
def action(method: Method | None = None, /, **options: Any) -> Method | Callable[[Method], Method]:
    """Make a world's method an action.

    `source` and `target` name states (several targets: the first is taken
    unless the method calls `self.enter`); `guards` are asked in order and each
    answers None or the reason against, which a No gives with a hint; for whom
    `only_for` answers False, there is no such action; `read_only`
    makes no revision; an `internal` one does not leave its source for a target within;
    `compensate` takes back what the action did to shared rows, when it is undone;
    `confirm` is what a person is asked before; `prepare` an async function
    that runs before the transaction. `title`, `destructive`, `idempotent`,
    `open_world` and `icons` describe the tool to clients. With contract="exact",
    hints that are given are shown, False ones too; `input_schema` and `output_schema`
    are shown as they stand; and `invalid` gives the words for arguments that do not fit.
    """

    def mark(function: Method) -> Method:
        label = insist_on_method("action", function)
        setattr(function, MARK, Options(**{key: plural(label, key, value) for key, value in options.items()}))
        return function

    return mark if method is None else mark(method)


@dataclass(frozen=True, slots=True)
class Guard:
    """A named rule that an action must pass. `parameters` are the arguments it wants to see."""

    name: str
    function: GuardFunction
    parameters: tuple[str, ...]

    def answer(self, world: Any, arguments: Mapping[str, Any]) -> No | None:
        """None to let the action pass, else why not."""
        answer = self.function(world, **{name: arguments[name] for name in self.parameters})
        if answer is None or isinstance(answer, No):
            return answer
        if isinstance(answer, str):
            return No(answer)
        raise TypeError(f"guard {self.name} answered {answer!r}; it must return None, or the reason against")


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action of one world, checked. `sources` None means any state that is not final."""

    name: str
    method: Callable[..., Any]
    description: str
    parameters: type[BaseModel]
    returns: TypeAdapter[Any] | None
    replies: bool
    """Whether it answers with a Reply, whose value may be anything."""
    sources: frozenset[str] | None
    targets: tuple[str, ...]
    guards: tuple[Guard, ...]
    compensate: Callable[..., Any] | None
    prepare_parameters: tuple[str, ...]
    scope: str
    contract: Contract
    options: Options = field(repr=False)
    schema: dict[str, Json] = field(repr=False)

    @property
    def read_only(self) -> bool:
        """Whether it changes nothing."""
        return bool(self.options.read_only)

    @property
    def invalid(self) -> Callable[[ValidationError], str] | None:
        """The words for arguments that do not fit, where they are the author's."""
        return None if self.options.invalid is None else partial(self.options.invalid, self.name)

    @property
    def only_for(self) -> "Predicate | None":
        """Whom it is for, if not for all."""
        return self.options.only_for

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
        return parsed(self.parameters, arguments, self.invalid)


def build_action(method: Callable[..., Any], *, owner: str, world: Any, contract: Contract) -> Action:
    """Turn a marked method into an Action, with every check that needs no other action. Raises DefinitionError."""
    options: Options = getattr(method, MARK)
    name = options.name or method.__name__
    label = f"{owner}.{method.__name__}"
    _check_shape(label, method, options)
    contract = options.contract or contract
    _check_letter(label, options, contract)
    parameters = signature_model(label, method, skip=("prepared",), drops=_drops(options))
    refuse_secrets(label, parameters)
    names = tuple(parameters.model_fields)
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
        replies=_holds(type_hints(label, method).get("return", Any), Reply),
        sources=None if options.source is None else frozenset(map(str, _states(options.source))),
        targets=tuple(map(str, _states(options.target))),
        guards=tuple(build_guard(label, guard, world, names) for guard in options.guards),
        compensate=_compensation(label, options, world),
        prepare_parameters=(
            accepted_parameters(f"{label}: prepare", options.prepare, names, skip=2) if options.prepare else ()
        ),
        scope=options.scope or "",
        contract=contract,
        options=options,
        schema=_schema(label, options, parameters),
    )


def _check_letter(label: str, options: Options, contract: Contract) -> None:
    """Insist that what is said to the letter is said under an exact contract. Raises DefinitionError."""
    for name in ("input_schema", "output_schema", "invalid"):
        if getattr(options, name) is not None and contract != "exact":
            raise DefinitionError(
                f"{label}: {name}= is what clients are told to the letter, but the contract is {contract!r}.",
                hint='Declare contract="exact", or leave it out.',
            )


def _drops(options: Options) -> bool:
    """Whether arguments that the method does not take are dropped: where the author's schema lets them through."""
    return options.input_schema is not None and options.input_schema.get("additionalProperties") is not False


def _schema(label: str, options: Options, parameters: type[BaseModel]) -> dict[str, Json]:
    """The input schema: the author's own, if there is one, which describes just these parameters."""
    if options.input_schema is None:
        return described(parameters)
    told, taken = sorted(options.input_schema.get("properties", {})), sorted(shown_names(parameters))
    if told != taken:
        raise DefinitionError(
            f"{label}: its input_schema describes {told}, but it takes {taken}.",
            hint="Describe each parameter of the method in the schema's properties, and no other.",
        )
    return dict(options.input_schema)


def predicate(label: str, given: Any) -> Predicate | None:
    """What `only_for=` takes: None, or a plain function of one principal. Raises DefinitionError."""
    if given is not None:
        if not callable(given):
            raise DefinitionError(
                f"{label}: only_for={given!r} is no function.",
                hint="Give one that takes a Principal and answers a bool.",
            )
        refuse_async(f"{label}: only_for", given, "it is called plainly")
    return given  # type: ignore[no-any-return]


def nobody(principal: Principal) -> bool:
    """For `only_for=`: what is there for no client, and is taken by timers and effects alone, or by the operator."""
    return False


def _check_shape(label: str, method: Callable[..., Any], options: Options) -> None:
    refuse_async(
        label,
        method,
        "an action runs inside a transaction",
        "Make it a plain method and put what awaits into an async function given as prepare=.",
    )
    predicate(label, options.only_for)
    if options.read_only and (options.target is not None or options.confirm is not None):
        raise DefinitionError(f"{label} is read_only, so it takes no target= and no confirm=.")
    if options.internal and (options.source is None or options.target is None):
        raise DefinitionError(
            f"{label} is internal, so it takes source= and target=.",
            hint="An internal transition leads from a state to one within it, and does not leave the first.",
        )
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


def build_guard(label: str, guard: GuardFunction | str, world: Any, parameters: tuple[str, ...]) -> Guard:
    """A guard that sees any of these parameters, checked. Raises DefinitionError."""
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


def _compensation(label: str, options: Options, world: Any) -> Callable[..., Any] | None:
    given = options.compensate
    if given is None:
        return None
    found: Any = getattr(world, given, None) if isinstance(given, str) else given
    if not callable(found):
        raise DefinitionError(
            f"{label}: compensate={given!r} is no method of the world.",
            hint="Name one that takes the change to be undone: `def …(self, change: Change) -> None`.",
        )
    refuse_async(f"{label}: compensate", found, "it runs inside the transaction of the undo")
    if len(inspect.signature(found).parameters) != 2:
        raise DefinitionError(
            f"{label}: compensate takes the world and the change to be undone.",
            hint="Write `def …(self, change: Change) -> None`.",
        )
    if options.read_only or not options.undo:
        raise DefinitionError(f"{label} is never undone, so it takes no compensate=.", hint="Leave it out.")
    return found  # type: ignore[no-any-return]


def _returns(label: str, method: Callable[..., Any]) -> TypeAdapter[Any] | None:
    annotation = type_hints(label, method).get("return", Any)
    if _holds(annotation, Text, Image, Audio, Embedded, Link, Reply):
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


def _holds(annotation: Any, *kinds: type) -> bool:
    """Whether an annotation is one of these types, or made of any."""
    return annotation in kinds or any(_holds(part, *kinds) for part in typing.get_args(annotation))


def _states(states: StrEnum | Iterable[StrEnum] | None) -> tuple[StrEnum, ...]:
    if states is None:
        return ()
    return (states,) if isinstance(states, StrEnum) else tuple(states)


def plural(label: str, key: str, value: Any) -> Any:
    """An option that takes several values, in the order they count in, as a tuple of them. Raises DefinitionError."""
    right = PLURAL.get(key)
    if right is None or (key in ("source", "target") and (value is None or isinstance(value, StrEnum))):
        return value
    if key == "guards" and callable(value):
        return (value,)
    unordered = isinstance(value, set | frozenset) and key in ("target", "guards")
    if unordered or isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise DefinitionError(f"{label}: {key}={value!r} is not what {key} takes.", hint=f"Write {right}.")
    return tuple(value)
