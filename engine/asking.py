"""The async part before an action: questions to the person, sampling, progress.

An action declared with `prepare=` has its prepare function awaited first, with
a read-only view of the session and an `Asking`. It holds no transaction, and
runs again from its first line in each round of a multi-round-trip, so it must
not do lasting things. What it returns is the action's `prepared` parameter.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel
from sqlmodel import SQLModel

from engine.errors import DefinitionError, Refused
from engine.types import Json, Written


@dataclass(frozen=True, slots=True)
class Form:
    """A question to the person. `fields` is a flat pydantic model of primitives, or its JSON Schema."""

    message: str
    fields: type[BaseModel] | Mapping[str, Json]

    @property
    def schema(self) -> dict[str, Json]:
        """The form's JSON Schema."""
        return dict(self.fields) if isinstance(self.fields, Mapping) else _flat(self.fields.model_json_schema())

    def parsed(self, content: Mapping[str, Json] | None) -> Any:
        """The person's answer as the model, or as it came. Raises pydantic's ValidationError."""
        given = dict(content or {})
        return given if isinstance(self.fields, Mapping) else self.fields.model_validate(given)


@dataclass(frozen=True, slots=True)
class Sample:
    """A question to the client's own language model."""

    prompt: str
    max_tokens: int = 500
    system: str | None = None


@dataclass(frozen=True, slots=True)
class Roots:
    """Which directories the client works in."""


Question = Form | Sample | Roots


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: `action` is accept, decline or cancel; `value` the form, the text or the list of roots."""

    action: str
    value: Any = None

    @property
    def accepted(self) -> bool:
        """Whether there is a value."""
        return self.action == "accept"


class Outside(Protocol):
    """Who is asked: a client, or a person at a terminal."""

    async def ask(self, **questions: Question) -> Mapping[str, Answer]:
        """Put questions, all at once, each under a name of its own. Raises CannotAsk."""
        ...

    def can(self, question: type[Question]) -> bool:
        """Whether the other side can answer that kind of question."""
        ...

    def require(self, *questions: type[Question]) -> None:
        """Insist that it can. Raises CannotAsk."""
        ...

    async def progress(self, done: float, total: float | None = None, message: str | None = None) -> None:
        """Say how far the work is; `done` must grow."""
        ...

    async def log(self, level: str, message: str) -> None:
        """Send a log line to a client that asked for them."""
        ...


class Asking(Outside, Protocol):
    """What a prepare function may do: with the outside, and with what is too much for the action's transaction."""

    @property
    def attached(self) -> Any:
        """What the caller handed over in this process, such as an open file; None over MCP."""

    async def write_ahead(
        self,
        model: type[SQLModel],
        rows: Iterable[Mapping[str, Any]],
        /,
        *,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
    ) -> Written:
        """Write rows of a HistoryRow class, of any number, where nobody sees them until `self.adopt` takes them in.

        Each is its columns' values, without id, since and until. `rows` is iterated in a thread of its own; what it
        raises comes out here, and nothing stays. `meanwhile` is awaited about twice a second, to report progress.
        Raises InvalidArguments, LimitExceeded, Conflict; TypeError in what changes nothing.
        """
        ...


Prepare = Callable[..., Awaitable[Any]]
"""`async (world, asking, …)`, where … are any of the action's parameters by name."""


def accepted_parameters(name: str, function: Callable[..., Any], given: tuple[str, ...], skip: int) -> tuple[str, ...]:
    """The parameters of a guard or prepare function after the first `skip`, each of which the action must have."""
    wanted = tuple(inspect.signature(function).parameters)[skip:]
    unknown = [parameter for parameter in wanted if parameter not in given]
    if unknown:
        raise DefinitionError(
            f"{name} takes {', '.join(unknown)}, which the action does not have.",
            hint=f"It may take any of: {', '.join(given) or 'nothing more'}.",
        )
    return wanted


class Confirmation(BaseModel):
    """What `confirm=` asks."""

    confirm: bool = True


async def confirmed(asking: Outside, message: str) -> None:
    """Ask the person to confirm. Raises Refused if they do not, or cannot be asked."""
    if not asking.can(Form):
        raise Refused(
            "confirmation_required",
            f"A person has to confirm this: {message}",
            hint="This client cannot ask; use one with elicitation, the web page or `turnkeeper play`.",
        )
    answer = (await asking.ask(confirm=Form(message, Confirmation)))["confirm"]
    if not (answer.accepted and answer.value.confirm):
        raise Refused("not_confirmed", "The person did not confirm.", hint="Nothing was changed.")


def _flat(schema: dict[str, Json]) -> dict[str, Json]:
    """A schema as elicitation takes it: primitives, no references, nothing nullable."""
    definitions = schema.get("$defs", {})
    properties = {name: _primitive(part, definitions) for name, part in schema.get("properties", {}).items()}
    return {"type": "object", "properties": properties, "required": schema.get("required", [])}


def _primitive(part: dict[str, Json], definitions: dict[str, Json]) -> dict[str, Json]:
    if "$ref" in part:
        found = definitions[part["$ref"].rpartition("/")[2]]
        return {**found, **{key: value for key, value in part.items() if key != "$ref"}}
    kinds = [kind for kind in part.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        outer = {key: value for key, value in part.items() if key != "anyOf" and value is not None}
        return _primitive({**kinds[0], **outer}, definitions)
    return part
