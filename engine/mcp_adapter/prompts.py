"""Prompts: the authors' own, and for each world one to start and one to resume a session."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import mcp_types as t
from anyio import to_thread
from mcp.shared.exceptions import MCPError
from pydantic import BaseModel

from engine.arguments import parsed
from engine.content import Content, rendered
from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.errors import InvalidArguments
from engine.mcp_adapter.asking import Context, InputNeeded, RoundAsking, asking_for
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.icons import icons
from engine.mcp_adapter.rounds import Round, answers_now, round_before
from engine.mcp_adapter.taking import taken
from engine.mcp_adapter.views import handles
from engine.preparing import Preparation
from engine.resources import Prompt
from engine.signatures import described
from engine.types import Json, Principal
from engine.world import World

START, RESUME = "start", "resume"
SESSION = t.PromptArgument(
    name="session", description="The session's handle. Left out: your main session.", required=False
)


def listed(catalog: Catalog) -> list[t.Prompt]:
    """The prompts of an endpoint: each world's own, then its start and resume."""
    found = []
    for definition in catalog.worlds:
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
            session = catalog.endpoint.session or taken(arguments, "session", str)
            text = await to_thread.run_sync(partial(_resuming, dispatcher, principal, definition, session))
            return _said(definition.description, text)
    raise _unknown(catalog, params.name)


def completions(
    dispatcher: Dispatcher, catalog: Catalog, principal: Principal, prompt: str, argument: t.CompletionArgument
) -> list[str]:
    """What a prompt's argument may be completed to: the values that its type allows, or handles. Raises MCPError."""
    found = next((known for known in listed(catalog) if known.name == prompt), None)
    if found is None:
        raise _unknown(catalog, prompt)
    if SESSION in (found.arguments or ()) and argument.name == SESSION.name:
        world = next(world for world in catalog.worlds if prompt in _names(catalog, world))
        return handles(dispatcher, principal, world.name, argument.value)
    parameters = _parameters(catalog, prompt)
    return [] if parameters is None else _values(parameters, argument.name, argument.value)


def _parameters(catalog: Catalog, name: str) -> type[BaseModel] | None:
    authored = (prompt.parameters for known, _, prompt in catalog.prompts() if known == name)
    starts = (world.start_parameters for world in catalog.worlds if name == catalog.joined(world, START))
    return next(authored, None) or next(starts, None)


def _names(catalog: Catalog, definition: Definition) -> list[str]:
    return [catalog.joined(definition, name) for name in (*definition.prompts, START, RESUME)]


def _unknown(catalog: Catalog, name: str) -> MCPError:
    names = ", ".join(prompt.name for prompt in listed(catalog))
    return MCPError(t.INVALID_PARAMS, f"Unknown prompt: {name[:80]!r}. There are: {names}.")


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
    session = catalog.endpoint.session
    if session is None and _takes_session(definition, prompt):
        session = taken(given, "session", str)
    arguments = parsed(prompt.parameters, _decoded(prompt.parameters, given))
    if prompt.options.prepare is not None:
        before = round_before(catalog, params.request_state) or Round(catalog.endpoint.name, {})
        answers = {**before.answers, **answers_now(context, params.request_state)}
        asking = asking_for(context, answers, rounds=not context.session.can_send_request)
        view = await to_thread.run_sync(partial(_detached, dispatcher, principal, definition, session))
        wanted = {name: arguments[name] for name in prompt.prepare_parameters}
        try:
            arguments["prepared"] = await prompt.options.prepare(view, Preparation(asking), **wanted)
        except InputNeeded as needed:
            used = {**before.answers, **(asking.used if isinstance(asking, RoundAsking) else {})}
            return t.InputRequiredResult(
                input_requests=needed.requests, request_state=replace(before, answers=used).dump()
            )
    look = partial(dispatcher.look, principal, definition.name, session, lambda view: prompt.method(view, **arguments))
    return _said(prompt.description, await to_thread.run_sync(look))


def _detached(dispatcher: Dispatcher, principal: Principal, definition: Definition, session: str | None) -> World:
    handle = session or dispatcher.main(principal, definition.name)
    revision = dispatcher.now(principal, handle).revision
    return dispatcher.detached(principal, definition.name, handle, revision)


def _own(catalog: Catalog, definition: Definition, prompt: Prompt) -> t.Prompt:
    arguments = _arguments(prompt.parameters)
    if catalog.endpoint.session is None and _takes_session(definition, prompt):
        arguments.append(SESSION)
    exact = definition.contract == "exact"
    return t.Prompt(
        name=catalog.joined(definition, prompt.name),
        title=prompt.options.title or (None if exact else f"{definition.title}: {prompt.name}"),
        description=prompt.description,
        arguments=arguments,
        icons=icons(prompt.options.icons or definition.icons, invented=not exact),
    )


def _takes_session(definition: Definition, prompt: Prompt) -> bool:
    """Whether the argument `session` is the engine's, and no parameter of the author's."""
    return definition.contract != "exact" and SESSION.name not in prompt.parameters.model_fields


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
    """Prompt arguments are always text: read as JSON what cannot be text."""
    decoded: dict[str, Any] = dict(given)
    schema = described(parameters)
    for name, field in schema["properties"].items():
        if name in given and not any(_may_be_text(kind) for kind in _kinds(field, schema)):
            try:
                decoded[name] = json.loads(given[name])
            except (ValueError, RecursionError):
                raise InvalidArguments(f"$.{name}: {given[name][:80]!r} is not JSON.", path=f"$.{name}") from None
    return decoded


def _values(parameters: type[BaseModel], argument: str, typed: str) -> list[str]:
    schema = described(parameters)
    found: dict[str, None] = {}
    for kind in _kinds(schema["properties"].get(argument, {}), schema):
        values = ["true", "false"] if kind.get("type") == "boolean" else kind.get("enum", [kind.get("const")])
        found |= {str(value): None for value in values if value is not None}
    return [value for value in found if value.startswith(typed)]


def _kinds(field: Mapping[str, Json], schema: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """What a field's schema may stand for: itself, what it refers to, or each of its alternatives."""
    if "$ref" in field:
        yield from _kinds(schema["$defs"][field["$ref"].rpartition("/")[2]], schema)
    elif (parts := field.get("anyOf") or field.get("oneOf")) is not None:
        for part in parts:
            yield from _kinds(part, schema)
    else:
        yield field


def _may_be_text(kind: Mapping[str, Json]) -> bool:
    return bool(kind.get("type", "string") == "string")


def _first_line(definition: Definition) -> str:
    return definition.description.partition("\n")[0] or definition.title
