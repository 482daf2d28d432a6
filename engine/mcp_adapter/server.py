"""The low-level MCP servers, one for each endpoint: handlers that hand over to the modules beside this one."""

import json
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

import mcp_types as t
from anyio import to_thread
from mcp.server.caching import CacheHint
from mcp.server.context import CallNext, HandlerResult
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from opentelemetry import trace
from pydantic import ValidationError

from engine.dispatch import Dispatcher
from engine.mcp_adapter import calls, prompts, tools, views
from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Catalog, Endpoint
from engine.mcp_adapter.envelope import unforeseen, wire_error
from engine.mcp_adapter.handing import Handing
from engine.mcp_adapter.naming import client_of, through
from engine.mcp_adapter.subscriptions import Hub, person_of, readable, topic_of
from engine.settings import own_version
from engine.types import Principal

LIST_TTL_MS = 300_000
ANSWER_WITHIN = 24 * 3600.0
"""Seconds that a person may take to answer; if the session went on meanwhile, its revision tells."""

PrincipalOf = Callable[[Context], Principal]
P = TypeVar("P")
R = TypeVar("R")


class WorldServer(Server[Any]):
    """The SDK's server, honest about lists: they never change while it runs."""

    def get_capabilities(self, *args: Any, **options: Any) -> t.ServerCapabilities:
        """What clients may expect."""
        found = super().get_capabilities(*args, **options)
        for part in (found.tools, found.prompts, found.resources):
            if part is not None:
                part.list_changed = False
        return found


def build_server(
    dispatcher: Dispatcher,
    hub: Hub,
    endpoint: Endpoint,
    principal_of: PrincipalOf,
    keep: "Keeper | None" = None,
    handing: Handing | None = None,
) -> WorldServer:
    """The MCP server of an endpoint. `keep` remembers legacy connections and their subscriptions.

    Endpoints of one event loop share a `handing`, so that the callers of all are gathered.
    """
    fixed = Catalog(dispatcher.registry, endpoint)
    handing = handing or Handing(dispatcher)

    def acting(context: Context) -> Principal:
        return through(principal_of(context), client_of(context))

    async def catalog_of(context: Context) -> Catalog:
        handle = None if context.request is None else context.request.path_params.get("session")
        principal = acting(context)
        if handle is None:
            return fixed.seen_by(principal)
        return (await to_thread.run_sync(catalog_of_session, dispatcher, principal, handle)).seen_by(principal)

    async def list_tools(context: Context, params: t.PaginatedRequestParams | None) -> t.ListToolsResult:
        return t.ListToolsResult(tools=tools.listed(await catalog_of(context)))

    async def call_tool(context: Context, params: t.CallToolRequestParams) -> t.CallToolResult | t.InputRequiredResult:
        asked = calls.ToolCall(
            handing=handing,
            catalog=await catalog_of(context),
            principal=acting(context),
            name=params.name,
            given=params.arguments or {},
            meta=(context.params or {}).get("_meta") or {},
        )
        found = await calls.call_tool(asked, context, params.request_state)
        return t.CallToolResult.model_validate(found) if isinstance(found, dict) else found

    async def list_resources(context: Context, params: t.PaginatedRequestParams | None) -> t.ListResourcesResult:
        return t.ListResourcesResult(resources=views.listed(await catalog_of(context)))

    async def list_templates(
        context: Context, params: t.PaginatedRequestParams | None
    ) -> t.ListResourceTemplatesResult:
        found = views.templates(await catalog_of(context))
        return t.ListResourceTemplatesResult(resource_templates=found)

    async def read_resource(context: Context, params: t.ReadResourceRequestParams) -> t.ReadResourceResult:
        address = (await catalog_of(context)).address(params.uri)
        found = await to_thread.run_sync(views.read, dispatcher, acting(context), address)
        return t.ReadResourceResult.model_validate({"contents": [found], "ttlMs": 0, "cacheScope": "private"})

    async def list_prompts(context: Context, params: t.PaginatedRequestParams | None) -> t.ListPromptsResult:
        return t.ListPromptsResult(prompts=prompts.listed(await catalog_of(context)))

    async def get_prompt(
        context: Context, params: t.GetPromptRequestParams
    ) -> t.GetPromptResult | t.InputRequiredResult:
        return await prompts.get(dispatcher, await catalog_of(context), acting(context), context, params)

    async def complete(context: Context, params: t.CompleteRequestParams) -> t.CompleteResult:
        catalog, principal, argument = await catalog_of(context), acting(context), params.argument
        found: list[str] = []
        if isinstance(params.ref, t.PromptReference):
            asked = (dispatcher, catalog, principal, params.ref.name, argument)
            found = await to_thread.run_sync(prompts.completions, *asked)
        elif argument.name == "session":
            wanted = (dispatcher, principal, catalog.endpoint.world, argument.value)
            found = await to_thread.run_sync(views.handles, *wanted)
        return t.CompleteResult(
            completion=t.Completion(values=found[:100], total=len(found), has_more=len(found) > 100)
        )

    async def listen(context: Context, params: t.SubscriptionsListenRequestParams) -> t.SubscriptionsListenResult:
        uris = params.notifications.resource_subscriptions or []
        principal = acting(context)
        person = await to_thread.run_sync(person_of, dispatcher, principal)
        wanted = await readable(dispatcher, await catalog_of(context), principal, uris)
        return await hub.listen(context, person, wanted)

    async def subscribe(context: Context, params: t.SubscribeRequestParams) -> t.EmptyResult:
        principal, connection = acting(context), connection_id(context)
        address = (await catalog_of(context)).address(params.uri)
        person = await to_thread.run_sync(person_of, dispatcher, principal)
        topic = await topic_of(dispatcher, principal, address)
        await hub.connect(connection, person, {topic: [params.uri]}, context.session.send_resource_updated)
        if keep is not None:
            await to_thread.run_sync(keep.subscribe, connection, params.uri)
        return t.EmptyResult()

    async def unsubscribe(context: Context, params: t.UnsubscribeRequestParams) -> t.EmptyResult:
        connection = connection_id(context)
        hub.disconnect(connection, params.uri)
        if keep is not None:
            await to_thread.run_sync(keep.unsubscribe, connection, params.uri)
        return t.EmptyResult()

    async def set_level(context: Context, params: t.SetLevelRequestParams) -> t.EmptyResult:
        return t.EmptyResult()

    server = WorldServer(
        "turnkeeper" if endpoint.world is None else f"turnkeeper-{endpoint.world}",
        version=own_version(),
        title="Turnkeeper" if endpoint.world is None else fixed.worlds[0].title,
        instructions=_instructions(fixed),
        cache_hints=dict.fromkeys(
            ("server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"),
            CacheHint(ttl_ms=LIST_TTL_MS, scope="private"),
        ),
        get_tool_input_schema=lambda name: _schema(fixed, name),
        on_list_tools=_ours(list_tools),
        on_call_tool=_ours(call_tool),
        on_list_resources=_ours(list_resources),
        on_list_resource_templates=_ours(list_templates),
        on_read_resource=_ours(read_resource),
        on_subscribe_resource=_ours(subscribe),
        on_unsubscribe_resource=_ours(unsubscribe),
        on_subscriptions_listen=_ours(listen),
        on_list_prompts=_ours(list_prompts),
        on_get_prompt=_ours(get_prompt),
        on_completion=_ours(complete),
    )
    server.add_request_handler("logging/setLevel", t.SetLevelRequestParams, set_level)
    if not traced():
        server.middleware.clear()  # The SDK's one traces each request, which is not free where nobody looks at it.
    server.middleware.append(_explain)
    if keep is not None:
        server.middleware.append(keep)
    key = dispatcher.store.write(lambda transaction: transaction.secret("request-state"))
    security = RequestStateSecurity(
        keys=[key], ttl=ANSWER_WITHIN, bind_principal=lambda context: _bound(principal_of(context))
    )
    server.middleware.append(RequestStateBoundary(security, default_audience="turnkeeper"))
    return server


def traced() -> bool:
    """Whether OpenTelemetry was set up in this process, so that spans go somewhere."""
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


class Keeper:
    """Remembers legacy connections in the store, so that any process can go on with them.

    As middleware it keeps a connection when its `initialize` has succeeded.
    """

    def __init__(self, dispatcher: Dispatcher, principal_of: PrincipalOf) -> None:
        self._store = dispatcher.store
        self._principal_of = principal_of

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        if ctx.method == "initialize" and ctx.request is not None:
            path = ctx.request.scope["path"]
            await to_thread.run_sync(self._keep, connection_id(ctx), self._principal_of(ctx), path, ctx.params)
        return result

    def subscribe(self, connection: str, uri: str) -> None:
        """Remember a subscription."""
        self._store.write(lambda transaction: transaction.subscribe(connection, uri))

    def unsubscribe(self, connection: str, uri: str) -> None:
        """Forget a subscription."""
        self._store.write(lambda transaction: transaction.unsubscribe(connection, uri))

    def _keep(self, connection: str, principal: Principal, path: str, params: Any) -> None:
        parameters = json.dumps(dict(params or {}))
        self._store.write(
            lambda transaction: transaction.keep_connection(
                connection, transaction.ensure_person(principal), path, parameters
            )
        )


CALLER: ContextVar[Principal] = ContextVar("caller")
"""Who sent the HTTP request under way, for where the SDK does not say."""

CONNECTION = "turnkeeper.connection"
"""Where the ASGI scope carries a legacy connection's id."""

PIPE = "stdio"
"""The connection of a process that serves its pipes."""


def connection_id(context: Context) -> str:
    """What names the connection: its id over HTTP, else this process's one pipe."""
    return PIPE if context.request is None else str(context.request.scope.get(CONNECTION, "stateless"))


def catalog_of_session(dispatcher: Dispatcher, principal: Principal, handle: str) -> Catalog:
    """The names of a session's own endpoint. Raises NotFound."""
    return Catalog(dispatcher.registry, Endpoint(dispatcher.world_of(principal, handle), handle))


def _ours(handler: Callable[[Context, P], Awaitable[R]]) -> Callable[[Context, P], Awaitable[R]]:
    """A handler whose validation errors are an author's, not those of the SDK about the request's parameters."""

    async def guarded(context: Context, params: P) -> R:
        try:
            return await handler(context, params)
        except ValidationError as error:
            raise unforeseen(error) from error

    return guarded


async def _explain(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Turn the engine's errors into the wire's, for every method alike."""
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Exception as error:
        uri = (ctx.params or {}).get("uri")
        raise wire_error(error, uri if isinstance(uri, str) else None) from error


def _schema(catalog: Catalog, tool: str) -> dict[str, Any] | None:
    """The schema to check `Mcp-Param-*` headers against: None, which is quicker, where an action has none.

    What is not there for who asks has none, or a wrong header would tell of it.
    """
    found = catalog.seen_by(CALLER.get()).offers.get(tool)
    return None if found is None else found.mirrored


def _bound(principal: Principal) -> str:
    return f"{principal.issuer} {principal.subject}"


def _instructions(catalog: Catalog) -> str:
    told = [world for world in catalog.worlds if world.only_for is None or not catalog.together]
    worlds = "\n".join(f"- {world.name}: {world.description.partition(chr(10))[0]}" for world in told)
    return (
        "Sessions here are durable, yours, and undoable: every action makes a revision, `undo` takes it back, and"
        " `fork_session` tries another way. Leave `session` out to use your main session of a world. Pass"
        f" `if_revision` with what you last saw when you retry.\n{worlds}"
    )
