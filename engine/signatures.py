"""From a signature to the model of its parameters; what no schema or journal can carry is refused."""

import dataclasses
import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Secret, SecretBytes, SecretStr, create_model

from engine.errors import DefinitionError
from engine.types import Json


def signature_model(
    name: str, method: Callable[..., Any], skip: tuple[str, ...] = (), *, drops: bool = False
) -> type[BaseModel]:
    """The pydantic model of a method's parameters after `self`; others are refused, or dropped if it `drops` them.

    Raises DefinitionError.
    """
    hints = type_hints(name, method)
    fields: dict[str, Any] = {}
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.name in skip:
            continue
        _check_parameter(name, parameter, hints)
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints[parameter.name], default)
    try:
        return _model(name, fields, drops=drops)
    except Exception as error:  # of many kinds, from pydantic and from the types' own hooks
        raise DefinitionError(
            f"{name}: no schema can describe the parameter {_undescribable(fields)!r}: {str(error).splitlines()[0]}",
            hint="Use what JSON can carry: str, int, float, bool, lists, dicts, enums, pydantic models.",
        ) from None


def described(parameters: type[BaseModel]) -> dict[str, Json]:
    """A parameter model's JSON Schema as tools show it: without the titles pydantic invents."""
    schema = parameters.model_json_schema()
    schema.pop("title", None)
    for definition in schema.get("properties", {}).values():
        definition.pop("title", None)
    return {"type": "object", "properties": {}} | schema


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


def type_hints(label: str, method: Callable[..., Any]) -> dict[str, Any]:
    """A method's type hints by parameter, and of what it returns. Raises DefinitionError."""
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


def _model(name: str, fields: Mapping[str, Any], *, drops: bool = False) -> type[BaseModel]:
    strict = ConfigDict(extra="ignore" if drops else "forbid", populate_by_name=True, protected_namespaces=())
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
