"""tools/call: a tool's name and arguments to a call of the dispatcher, its outcome or error to a result."""

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import mcp_types as t
from anyio import to_thread
from mcp.shared.exceptions import MCPError

from engine.actions import Action
from engine.arguments import canonical, parsed
from engine.asgi import STILL
from engine.dispatch import Dispatcher
from engine.errors import EngineError, Unauthenticated
from engine.mcp_adapter.asking import Context, InputNeeded, RoundAsking, asking_for
from engine.mcp_adapter.catalog import Catalog, Offer
from engine.mcp_adapter.envelope import Sessionless, accepted, exact, refused, sessionless, unforeseen
from engine.mcp_adapter.handing import Handing
from engine.mcp_adapter.rounds import Round, answers_now, round_before
from engine.mcp_adapter.session_tools import Request, SessionTool
from engine.mcp_adapter.taking import taken
from engine.mcp_adapter.tools import session_tools
from engine.operations import Call
from engine.preparing import given_up, prepared_call
from engine.types import Json, Outcome, Principal

KEY = "turnkeeper/key"
IF_REVISION = "turnkeeper/if-revision"

R = TypeVar("R")
Result = dict[str, Json]
"""A CallToolResult as the wire has it."""
Still = Callable[[], Awaitable[Principal | None]]
"""What is at `STILL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tools/call as it came: where, by whom, with what, and what a program may send beside it."""

    handing: Handing
    catalog: Catalog
    principal: Principal
    name: str
    given: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def dispatcher(self) -> Dispatcher:
        """Who carries it out."""
        return self.handing.dispatcher

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments, ours to take from."""
        return dict(self.given)

    @property
    def retry(self) -> tuple[str | None, int | None]:
        """The key and expected revision that a program may send beside the arguments. Raises InvalidArguments."""
        meta = dict(self.meta)
        return taken(meta, KEY, str), taken(meta, IF_REVISION, int)


async def call_tool(asked: ToolCall, context: Context, state: str | None) -> Result | t.InputRequiredResult:
    """Carry out a tools/call; its result, or what a person has to be asked first. Raises MCPError."""
    offer = asked.catalog.offers.get(asked.name)
    if offer is not None:
        if offer.action.asks:
            return await _foreseen(_ask_and_act(asked, offer, context, state))
        return await call_plainly(asked, offer)
    tools = {tool.name: tool for tool in session_tools(asked.catalog)}
    if asked.name in tools:
        return await _foreseen(_call_session_tool(asked, tools[asked.name]))
    names = ", ".join([*asked.catalog.offers, *tools])
    raise MCPError(t.INVALID_PARAMS, f"Unknown tool: {asked.name[:80]!r}. There are: {names}.")


async def call_plainly(asked: ToolCall, offer: Offer) -> Result:
    """Carry out a call of an action that asks nobody anything. Raises MCPError."""
    return await _foreseen(_act(asked, offer))


async def _foreseen(result: Awaitable[R]) -> R:
    try:
        return await result
    except (MCPError, EngineError):
        raise
    except Exception as error:
        raise unforeseen(error) from error


async def _act(asked: ToolCall, offer: Offer) -> Result:
    session = asked.catalog.endpoint.session
    try:
        call = _call(asked, offer)
        session = call.session
        outcome = await asked.handing.carry_out(call)
    except EngineError as error:
        return await _refused(asked, offer, session, error)
    return _answered(offer, outcome)


async def _ask_and_act(
    asked: ToolCall, offer: Offer, context: Context, state: str | None
) -> Result | t.InputRequiredResult:
    session = asked.catalog.endpoint.session
    try:
        call = _call(asked, offer)
        session = call.session
        outcome = await _ask(asked, offer.action, call, context, state)
    except EngineError as error:
        return await _refused(asked, offer, session, error)
    return outcome if isinstance(outcome, t.InputRequiredResult) else _answered(offer, outcome)


def _answered(offer: Offer, outcome: Outcome) -> Result:
    return exact(outcome, structured=offer.structured) if offer.action.contract == "exact" else accepted(outcome)


async def _refused(asked: ToolCall, offer: Offer, session: str | None, error: EngineError) -> Result:
    now = None
    if not isinstance(error, Unauthenticated):  # who is nobody is shown nothing
        now = await to_thread.run_sync(_now, asked, offer.definition.name, session)
    return refused(error, now, offer.action)


async def _ask(
    asked: ToolCall, action: Action, call: Call, context: Context, state: str | None
) -> Outcome | t.InputRequiredResult:
    """The part before the path: questions, round by round, then the action under the key of the first round."""
    dispatcher = asked.dispatcher
    before = round_before(asked.catalog, state)
    if before is not None:
        call = replace(call, session=before.session, key=before.key)
    if not action.read_only and (recorded := await to_thread.run_sync(dispatcher.recorded, call)) is not None:
        return recorded
    if before is None:
        session, revision = await to_thread.run_sync(dispatcher.check, call)
        before = Round(asked.catalog.endpoint.name, {}, session, revision, call.key or uuid.uuid4().hex)
    call = replace(call, session=before.session, key=before.key)
    rounds = not context.session.can_send_request
    asking = asking_for(context, {**before.answers, **answers_now(context, state)}, rounds=rounds)
    try:
        call = await prepared_call(dispatcher, call, asking, seen=before.revision)
    except InputNeeded as needed:
        used = asking.used if isinstance(asking, RoundAsking) else {}
        again = replace(before, answers={**before.answers, **used})
        return t.InputRequiredResult(input_requests=needed.requests, request_state=again.dump())
    try:
        principal = await _still(call.principal, context)
    except BaseException:
        await given_up(dispatcher, call)
        raise
    return await asked.handing.carry_out(replace(call, principal=principal))


async def _still(principal: Principal, context: Context) -> Principal:
    """Who asks, now that the person has answered. Raises Unauthenticated if the token was taken back meanwhile."""
    still: Still | None = None if context.request is None else context.request.scope.get(STILL)
    found = principal if still is None else await still()
    if found is None:
        said = "The token that this call came with expired or was revoked while the call waited; nothing was done."
        raise Unauthenticated(said, hint="Get a new token, and call again.")
    return replace(found, client=principal.client)


async def _call_session_tool(asked: ToolCall, tool: SessionTool) -> Result:
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


def _call(asked: ToolCall, offer: Offer) -> Call:
    arguments = asked.arguments
    key, if_revision = asked.retry
    session = asked.catalog.endpoint.session
    if offer.action.contract != "exact":
        if session is None:
            session = taken(arguments, "session", str)
        if not offer.action.read_only:
            if_revision = taken(arguments, "if_revision", int) if "if_revision" in arguments else if_revision
    return Call(
        principal=asked.principal,
        world=offer.definition.name,
        action=offer.action.name,
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
