"""Prompts: the authors' own, and for each world one to start and one to resume a session."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import mcp_types as t
from anyio import to_thread
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from engine.actions import described, parsed
from engine.content import Content, rendered
from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments
from engine.mcp_adapter.asking import Context, InputNeeded, RoundAsking, asking_for
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.icons import icons
from engine.resources import Prompt
from engine.types import Json, Principal
from engine.world import World

START, RESUME = "start", "resume"
SESSION = t.PromptArgument(
    name="session", description="The session's handle. Left out: your main session.", required=False
)


@dataclass(frozen=True, slots=True)
class Round:
    """What a sealed request state carries between the rounds of a prompt's questions."""

    endpoint: str
    answers: Mapping[str, Json]


def listed(catalog: Catalog, principal: Principal) -> list[t.Prompt]:
    """The prompts of an endpoint: each world's own, then its start and resume."""
    found = []
    for definition in catalog.worlds:
        if not principal.allows(definition.read_scope):
            continue
        found += [_own(catalog, definition, prompt) for prompt in definition.prompts.values()]
        found += [] if definition.contract == "exact" else _built_in(catalog, definition)
    return found


async def get(
    dispatcher: Dispatcher, catalog: Catalog, principal: Principal, context: Context, params: t.GetPromptRequestParams
) -> t.GetPromptResult | t.InputRequiredResult:
    """A prompt's messages. Raises MCPError, EngineError."""
    arguments: dict[str, Any] = dict(params.arguments or {})
    for name, definition, prompt in catalog.prompts():
        if name == params.name:
            return await _authored(dispatcher, catalog, principal, context, params, definition, prompt)
    for definition in catalog.worlds:
        if definition.contract != "exact" and params.name == catalog.joined(definition, START):
            return _said(definition.description, await _starting(definition, catalog, arguments))
        if definition.contract != "exact" and params.name == catalog.joined(definition, RESUME):
            session = catalog.endpoint.session or arguments.get("session")
            text = await to_thread.run_sync(partial(_resuming, dispatcher, principal, definition, session))
            return _said(definition.description, text)
    names = ", ".join(prompt.name for prompt in listed(catalog, principal))
    raise MCPError(t.INVALID_PARAMS, f"Unknown prompt: {params.name[:80]!r}. There are: {names}.")


def completions(catalog: Catalog, prompt: str, argument: str, typed: str) -> list[str]:
    """What a prompt's argument may be completed to: the values that its type allows."""
    for name, definition, found in catalog.prompts():
        if name == prompt:
            return _values(found.parameters, argument, typed)
        if prompt == catalog.joined(definition, START):
            return _values(definition.start_parameters, argument, typed)
    return []


async def _authored(
    dispatcher: Dispatcher,
    catalog: Catalog,
    principal: Principal,
    context: Context,
    params: t.GetPromptRequestParams,
    definition: Definition,
    prompt: Prompt,
) -> t.GetPromptResult | t.InputRequiredResult:
    given: dict[str, Any] = dict(params.arguments or {})
    session = catalog.endpoint.session or given.pop("session", None)
    arguments = parsed(prompt.parameters, _decoded(prompt.parameters, given))
    if prompt.options.prepare is not None:
        before = _round(catalog, params)
        answers = {**before.answers, **((context.params or {}).get("inputResponses") or {})}
        asking = asking_for(context, answers, rounds=not context.session.can_send_request)
        view = await to_thread.run_sync(partial(_detached, dispatcher, principal, definition, session))
        wanted = {name: arguments[name] for name in prompt.prepare_parameters}
        try:
            arguments["prepared"] = await prompt.options.prepare(view, asking, **wanted)
        except InputNeeded as needed:
            used = {**before.answers, **(asking.used if isinstance(asking, RoundAsking) else {})}
            state = json.dumps({"endpoint": catalog.endpoint.name, "answers": used})
            return t.InputRequiredResult(input_requests=needed.requests, request_state=state)
    look = partial(dispatcher.look, principal, definition.name, session, lambda view: prompt.method(view, **arguments))
    return _said(prompt.description, await to_thread.run_sync(look))


def _round(catalog: Catalog, params: t.GetPromptRequestParams) -> Round:
    if params.request_state is None:
        return Round(catalog.endpoint.name, {})
    found = Round(**json.loads(params.request_state))
    if found.endpoint != catalog.endpoint.name:
        raise MCPError(t.INVALID_PARAMS, "Invalid or expired requestState")
    return found


def _detached(dispatcher: Dispatcher, principal: Principal, definition: Definition, session: str | None) -> World:
    handle = session or dispatcher.main(principal, definition.name)
    revision = dispatcher.now(principal, handle).revision
    return dispatcher.detached(principal, definition.name, handle, revision)


def _own(catalog: Catalog, definition: Definition, prompt: Prompt) -> t.Prompt:
    arguments = _arguments(prompt.parameters)
    if (
        definition.contract != "exact"
        and catalog.endpoint.session is None
        and "session" not in prompt.parameters.model_fields
    ):
        arguments.append(SESSION)
    return t.Prompt(
        name=catalog.joined(definition, prompt.name),
        title=prompt.options.title or f"{definition.title}: {prompt.name}",
        description=prompt.description,
        arguments=arguments,
        icons=icons(prompt.options.icons or definition.icons),
    )


def _built_in(catalog: Catalog, definition: Definition) -> list[t.Prompt]:
    start = t.Prompt(
        name=catalog.joined(definition, START),
        title=f"{definition.title}: start",
        description=f"Start a session: {_first_line(definition)}",
        arguments=_arguments(definition.start_parameters),
        icons=icons(definition.icons),
    )
    resume = t.Prompt(
        name=catalog.joined(definition, RESUME),
        title=f"{definition.title}: resume",
        description=f"Go on with a session: {_first_line(definition)}",
        arguments=[] if catalog.endpoint.session else [SESSION],
        icons=icons(definition.icons),
    )
    names = {catalog.joined(definition, prompt) for prompt in definition.prompts}
    wanted = [resume] if catalog.endpoint.session else [start, resume]
    return [prompt for prompt in wanted if prompt.name not in names]


async def _starting(definition: Definition, catalog: Catalog, given: dict[str, Any]) -> str:
    arguments = _decoded(definition.start_parameters, given)
    parsed(definition.start_parameters, arguments)
    world = "" if catalog.endpoint.world else f"world={definition.name!r}, "
    return (
        f"{definition.description}\n\nStart a session with start_session({world}arguments={json.dumps(arguments)},"
        f" main=true). Keep its handle. Its actions: {', '.join(definition.actions)}."
    )


def _resuming(dispatcher: Dispatcher, principal: Principal, definition: Definition, session: str | None) -> str:
    handle = session or dispatcher.main(principal, definition.name)
    now = dispatcher.now(principal, handle)
    recent = dispatcher.history(principal, handle, max(0, now.revision - 5))
    lines = [f"- {entry['revision']}: {entry['action']} {json.dumps(entry['arguments'])}" for entry in recent]
    return (
        f"{definition.description}\n\nGo on with session {handle}: revision {now.revision}, state {now.state}."
        f" Possible now: {', '.join(now.allowed_actions) or 'nothing but undo and fork_session'}."
        "\nWhat happened last:\n" + "\n".join(lines)
    )


def _said(description: str, answer: Any) -> t.GetPromptResult:
    parts = answer if isinstance(answer, list | tuple) else [answer]
    blocks = [block for part in parts for block in rendered(part if isinstance(part, str | Content) else str(part))[1]]
    messages = [{"role": "user", "content": dict(block)} for block in blocks]
    return t.GetPromptResult.model_validate({"description": description.partition("\n")[0], "messages": messages})


def _arguments(parameters: type[BaseModel]) -> list[t.PromptArgument]:
    return [
        t.PromptArgument(name=field.alias or name, description=field.description, required=field.is_required())
        for name, field in parameters.model_fields.items()
    ]


def _decoded(parameters: type[BaseModel], given: Mapping[str, str]) -> dict[str, Any]:
    """Prompt arguments are always text: read as JSON what is not declared as text."""
    decoded: dict[str, Any] = dict(given)
    schema = described(parameters)["properties"]
    for name in parameters.model_fields:
        if name in given and schema[name].get("type") not in ("string", None):
            try:
                decoded[name] = json.loads(given[name])
            except ValueError:
                raise InvalidArguments(f"$.{name}: {given[name]!r} is not JSON.", path=f"$.{name}") from None
    return decoded


def _values(parameters: type[BaseModel], argument: str, typed: str) -> list[str]:
    schema = described(parameters)
    found: Any = schema["properties"].get(argument, {})
    if "$ref" in found:
        found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    values: Iterable[Any] = [found["const"]] if "const" in found else found.get("enum", ())
    if found.get("type") == "boolean":
        values = ("true", "false")
    return [str(value) for value in values if str(value).startswith(typed)]


def _first_line(definition: Definition) -> str:
    return definition.description.partition("\n")[0] or definition.title
