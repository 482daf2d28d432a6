"""tools/call: a tool's name and arguments to a call of the dispatcher, its outcome or error to a result."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

import mcp_types as t
from anyio import to_thread
from mcp.shared.exceptions import MCPError

from engine.actions import Action
from engine.arguments import canonical, parsed
from engine.definition import Definition
from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.mcp_adapter.asking import Context, InputNeeded, RoundAsking, asking_for
from engine.mcp_adapter.catalog import Catalog
from engine.mcp_adapter.envelope import Sessionless, accepted, exact, refused, sessionless, unforeseen
from engine.mcp_adapter.rounds import Round, answers_now, round_before
from engine.mcp_adapter.session_tools import Request, SessionTool
from engine.mcp_adapter.taking import taken
from engine.mcp_adapter.tools import session_tools
from engine.operations import Call
from engine.preparing import prepared_call
from engine.types import Outcome, Principal

KEY = "turnkeeper/key"
IF_REVISION = "turnkeeper/if-revision"

Result = t.CallToolResult | t.InputRequiredResult


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tools/call as it came: where, by whom, with what."""

    dispatcher: Dispatcher
    catalog: Catalog
    principal: Principal
    context: Context
    params: t.CallToolRequestParams

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, ours to take from."""
        return dict(self.params.arguments or {})

    @property
    def retry(self) -> tuple[str | None, int | None]:
        """The key and expected revision that a program may send beside the arguments. Raises InvalidArguments."""
        meta = dict((self.context.params or {}).get("_meta") or {})
        return taken(meta, KEY, str), taken(meta, IF_REVISION, int)


async def call_tool(asked: ToolCall) -> Result:
    """Carry out a tools/call. Raises MCPError."""
    name, catalog = asked.params.name, asked.catalog
    found = catalog.action(name)
    tool = next((tool for tool in session_tools(catalog) if tool.name == name), None)
    try:
        if found is not None:
            return await _call_action(asked, *found)
        if tool is not None:
            return await _call_session_tool(asked, tool)
    except (MCPError, EngineError):
        raise
    except Exception as error:
        raise unforeseen(error) from error
    names = ", ".join([*(name for name, _, _ in catalog.actions()), *(tool.name for tool in session_tools(catalog))])
    raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {name[:80]!r}. There are: {names}.")


async def _call_action(asked: ToolCall, definition: Definition, action: Action) -> Result:
    session = asked.catalog.endpoint.session
    try:
        call = _call(asked, definition, action)
        session = call.session
        outcome = await (_ask(asked, action, call) if action.asks else _carry_out(asked.dispatcher, call))
    except EngineError as error:
        now = await to_thread.run_sync(_now, asked, definition.name, session)
        return refused(error, now, action)
    if isinstance(outcome, t.InputRequiredResult):
        return outcome
    return exact(outcome, action) if action.contract == "exact" else accepted(outcome)


async def _carry_out(dispatcher: Dispatcher, call: Call) -> Outcome:
    # Not abandoned on cancellation: a commit that has begun is finished and its hooks are told.
    return await to_thread.run_sync(dispatcher.dispatch, call)


async def _ask(asked: ToolCall, action: Action, call: Call) -> Outcome | t.InputRequiredResult:
    """The part before the path: questions, round by round, then the action under the key of the first round."""
    dispatcher, context, state = asked.dispatcher, asked.context, asked.params.request_state
    before = round_before(asked.catalog, state)
    if before is not None:
        call = replace(call, session=before.session, key=before.key)
    if not action.read_only and (recorded := await to_thread.run_sync(dispatcher.recorded, call)) is not None:
        return recorded
    if before is None:
        session, revision = await to_thread.run_sync(dispatcher.check, call)
        before = Round(asked.catalog.endpoint.name, {}, session, revision, call.key or uuid.uuid4().hex)
    call = replace(call, session=before.session, if_revision=before.revision, key=before.key)
    rounds = not context.session.can_send_request
    asking = asking_for(context, {**before.answers, **answers_now(context, state)}, rounds=rounds)
    try:
        call = await prepared_call(dispatcher, call, asking)
    except InputNeeded as needed:
        used = asking.used if isinstance(asking, RoundAsking) else {}
        again = replace(before, answers={**before.answers, **used})
        return t.InputRequiredResult(input_requests=needed.requests, request_state=again.dump())
    return await _carry_out(dispatcher, call)


async def _call_session_tool(asked: ToolCall, tool: SessionTool) -> t.CallToolResult:
    session = asked.catalog.endpoint.session
    try:
        given = parsed(tool.arguments, asked.arguments)
        canonical(tool.arguments, given, asked.dispatcher.limits)
        arguments = tool.arguments.model_construct(**given)
        session = session or getattr(arguments, "session", None)
        request = Request(asked.dispatcher, asked.catalog, asked.principal, arguments, *asked.retry)
        result = await to_thread.run_sync(tool.run, request)
    except EngineError as error:
        now = await to_thread.run_sync(_now, asked, None, session)
        return refused(error, now)
    return sessionless(result) if isinstance(result, Sessionless) else accepted(result)


def _call(asked: ToolCall, definition: Definition, action: Action) -> Call:
    arguments = asked.arguments
    key, if_revision = asked.retry
    session = asked.catalog.endpoint.session
    if action.contract != "exact":
        if session is None:
            session = taken(arguments, "session", str)
        if not action.read_only:
            if_revision = taken(arguments, "if_revision", int) if "if_revision" in arguments else if_revision
    return Call(
        principal=asked.principal,
        world=definition.name,
        action=action.name,
        arguments=arguments,
        session=session,
        key=key,
        if_revision=if_revision,
    )


def _now(asked: ToolCall, world: str | None, session: str | None) -> Outcome | None:
    """The session that a refused call was about, for the refusal to show; None if there is none to show."""
    try:
        if session is None:
            return None if world is None else asked.dispatcher.main_now(asked.principal, world)
        return asked.dispatcher.now(asked.principal, session)
    except EngineError:
        return None
