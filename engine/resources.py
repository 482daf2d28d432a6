"""Resources and prompts: read-only views of a session, and texts that start play.

`@resource` and `@prompt` mark methods of a world; its class statement turns
the marks into `Resource` and `Prompt` values.
"""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from pydantic import BaseModel

from engine.actions import Contract
from engine.asking import Prepare, accepted_parameters
from engine.errors import DefinitionError
from engine.signatures import insist_on_method, refuse_async, shown_names, signature_model

Method = TypeVar("Method", bound=Callable[..., Any])

RESOURCE_MARK = "__turnkeeper_resource__"
PROMPT_MARK = "__turnkeeper_prompt__"
BUILT_IN = ("state", "history", "diagram", "diagram.svg")
"""Resources that every session has."""

_VARIABLE = re.compile(r"\{([A-Za-z_]\w*)\}", re.ASCII)
_LITERAL = re.compile(r"[^\s{}<>\"\\^`|\x00-\x1f]*")
_SEGMENT = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._~-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOptions:
    """What the author said in `@resource(…)`."""

    name: str | None = None
    title: str | None = None
    mime_type: str | None = None
    uri: str | None = None
    of: tuple[type, ...] | None = None
    icons: tuple[str, ...] = ()
    contract: Contract | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """What the author said in `@prompt(…)`."""

    name: str | None = None
    title: str | None = None
    prepare: Prepare | None = None
    icons: tuple[str, ...] = ()


@overload
def resource(method: Method, /) -> Method: ...
@overload
def resource(
    *,
    name: str | None = None,
    title: str | None = None,
    mime_type: str | None = None,
    uri: str | None = None,
    of: type | Iterable[type] | None = None,
    icons: tuple[str, ...] = (),
    contract: Contract | None = None,
) -> Callable[[Method], Method]: ...
def resource(method: Method | None = None, /, **options: Any) -> Method | Callable[[Method], Method]:
    """Make a world's method a resource: what it returns now, never changing anything.

    It is read at `session://{session}/{name}`. `uri` gives it that exact
    address instead, with `{variables}` for the method's parameters; such a
    resource belongs to the caller's main session. `of` names the Row classes
    it is made of: changes of other rows then do not count as its updates.
    With contract="exact", it is listed with nothing that the author did not say.
    """

    def mark(function: Method) -> Method:
        label = insist_on_method("resource", function)
        setattr(function, RESOURCE_MARK, ResourceOptions(**{**options, "of": _rows_of(label, options.get("of"))}))
        return function

    return mark if method is None else mark(method)


@overload
def prompt(method: Method, /) -> Method: ...
@overload
def prompt(
    *, name: str | None = None, title: str | None = None, prepare: Prepare | None = None, icons: tuple[str, ...] = ()
) -> Callable[[Method], Method]: ...
def prompt(method: Method | None = None, /, **options: Any) -> Method | Callable[[Method], Method]:
    """Make a world's method a prompt: a text, or content, that a person may send to their model."""

    def mark(function: Method) -> Method:
        insist_on_method("prompt", function)
        setattr(function, PROMPT_MARK, PromptOptions(**options))
        return function

    return mark if method is None else mark(method)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource of one world, checked."""

    name: str
    method: Callable[..., Any]
    description: str
    parameters: type[BaseModel]
    mime_type: str
    tables: frozenset[str] | None
    contract: Contract
    options: ResourceOptions = field(repr=False)

    def touched_by(self, tables: frozenset[str]) -> bool:
        """Whether a change of these tables counts as its update."""
        return self.tables is None or bool(self.tables & tables)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One prompt of one world, checked."""

    name: str
    method: Callable[..., Any]
    description: str
    parameters: type[BaseModel]
    prepare_parameters: tuple[str, ...]
    options: PromptOptions = field(repr=False)


def build_resource(method: Callable[..., Any], *, owner: str, contract: Contract) -> Resource:
    """Turn a marked method into a Resource. Raises DefinitionError."""
    options: ResourceOptions = getattr(method, RESOURCE_MARK)
    label = f"{owner}.{method.__name__}"
    name = options.name or method.__name__
    refuse_async(label, method, "a resource is read inside a transaction")
    _check_address(label, name, options.uri)
    parameters = signature_model(label, method)
    variables = set(_VARIABLE.findall(options.uri or ""))
    if variables != set(parameters.model_fields):
        raise DefinitionError(
            f"{label} takes {sorted(parameters.model_fields)}, but its uri has the variables {sorted(variables)}.",
            hint="A resource takes exactly the variables of its uri; without uri= it takes none.",
        )
    if name in BUILT_IN:
        raise DefinitionError(f"{label}: every session already has the resource {name!r}.", hint="Choose another name.")
    return Resource(
        name=name,
        method=method,
        description=inspect.getdoc(method) or "",
        parameters=parameters,
        mime_type=options.mime_type or _mime_type(method),
        tables=None if options.of is None else frozenset(str(row.__tablename__) for row in options.of),  # type: ignore[attr-defined]
        contract=options.contract or contract,
        options=options,
    )


def uri_shape(uri: str) -> str:
    """A template without the names of its variables: those of one shape fit the same addresses."""
    return _VARIABLE.sub("{}", uri)


def build_prompt(method: Callable[..., Any], *, owner: str, contract: Contract) -> Prompt:
    """Turn a marked method into a Prompt. Raises DefinitionError."""
    options: PromptOptions = getattr(method, PROMPT_MARK)
    label = f"{owner}.{method.__name__}"
    if options.prepare is not None and not inspect.iscoroutinefunction(options.prepare):
        raise DefinitionError(f"{label}: prepare must be an `async def` function.")
    refuse_async(label, method, "a prompt reads inside a transaction", "Put what awaits into prepare=.")
    if ("prepared" in inspect.signature(method).parameters) != (options.prepare is not None):
        raise DefinitionError(
            f"{label}: prepare= and a parameter named `prepared` go together.",
            hint="The parameter receives what the prepare function returns.",
        )
    parameters = signature_model(label, method, skip=("prepared",))
    names = tuple(parameters.model_fields)
    if "session" in shown_names(parameters) and contract != "exact":
        raise DefinitionError(
            f"{label}: the parameter 'session' collides with the one every prompt has.",
            hint="Choose another name, or declare the world with contract='exact'.",
        )
    return Prompt(
        name=options.name or method.__name__,
        method=method,
        description=inspect.getdoc(method) or "",
        parameters=parameters,
        prepare_parameters=(
            accepted_parameters(f"{label}: prepare", options.prepare, names, skip=2) if options.prepare else ()
        ),
        options=options,
    )


def _check_address(label: str, name: str, uri: str | None) -> None:
    if not _SEGMENT.fullmatch(name):
        raise DefinitionError(
            f"{label}: {name!r} cannot stand in a URI, as the name of a resource does.",
            hint="Use letters, digits, `.`, `_`, `~` and `-`; words for people go into title=.",
        )
    if uri is None:
        return
    names = _VARIABLE.findall(uri)
    if not uri or not _LITERAL.fullmatch(_VARIABLE.sub("x", uri)) or len(set(names)) < len(names) or "}{" in uri:
        raise DefinitionError(
            f"{label}: the uri {uri!r} cannot be read.",
            hint="Write an address such as 'shelf://{row}/{place}': variables in braces, each once, text between them.",
        )
    if uri.lower().startswith("session:"):
        raise DefinitionError(
            f"{label}: the uri {uri!r} collides with the addresses of sessions.",
            hint="Leave uri= out to have the resource at session://{session}/" + name + ", or use another scheme.",
        )


def _rows_of(label: str, of: Any) -> tuple[type, ...] | None:
    if of is None:
        return None
    rows = (of,) if isinstance(of, type) else tuple(of) if isinstance(of, Iterable) else (of,)
    for row in rows:
        if isinstance(row, str) or not hasattr(row, "__table__"):
            raise DefinitionError(
                f"{label}: of= names {row!r}, which is no table.", hint="Name Row classes, such as of=(CartLine,)."
            )
    return rows


def _mime_type(method: Callable[..., Any]) -> str:
    returned = inspect.signature(method).return_annotation
    if returned in (str, "str"):
        return "text/plain"
    return "application/octet-stream" if returned in (bytes, "bytes") else "application/json"
