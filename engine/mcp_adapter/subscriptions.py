"""Who wants to hear of which resource, and telling them: in both eras, of changes made in this process.

A subscription is kept by topic: a session's resource, or the main session's
of a person, so that an alias follows the session that is main now.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
import mcp_types as t
from anyio import to_thread
from anyio.abc import TaskGroup
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent

from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Address, Catalog
from engine.registry import Registry
from engine.resources import BUILT_IN
from engine.types import Change, Principal

Topic = tuple[str, str]
"""(a session's handle, or `world#person` for a main session; the resource's name)"""

Send = Callable[[str], Awaitable[None]]
logger = logging.getLogger(__name__)


class Hub:
    """The subscribers of one process. `tell` may be called from any thread; all else on the event loop."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._listeners: dict[object, Callable[[Topic], None]] = {}
        self._connections: dict[str, dict[Topic, dict[str, Send]]] = defaultdict(lambda: defaultdict(dict))
        self._handlers: set[ListenHandler] = set()
        self._tasks: TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver for as long as the block lasts; then end every stream gracefully."""
        async with anyio.create_task_group() as tasks:
            self._tasks, self._loop = tasks, asyncio.get_running_loop()
            try:
                yield
            finally:
                self._tasks = self._loop = None
                for handler in tuple(self._handlers):
                    handler.close()
                tasks.cancel_scope.cancel()

    def tell(self, change: Change) -> None:
        """Pass a change on to whoever subscribed to what it touched; returns at once."""
        loop = self._loop
        if loop is not None and (self._listeners or self._connections):
            loop.call_soon_threadsafe(self._fan_out, tuple(topics(self._registry, change)))

    async def listen(
        self, context: Context, params: t.SubscriptionsListenRequestParams, wanted: Mapping[Topic, Iterable[str]]
    ) -> t.SubscriptionsListenResult:
        """Serve a subscriptions/listen stream (MCP 2026-07-28) of the resources wanted, by topic with their URIs."""
        uris = [uri for found in wanted.values() for uri in found]
        narrowed = t.SubscriptionFilter(resource_subscriptions=uris or None)
        handler = ListenHandler(_Bus(self, wanted))
        self._handlers.add(handler)
        try:
            return await handler(context, params.model_copy(update={"notifications": narrowed}))
        finally:
            self._handlers.discard(handler)

    def connect(self, connection: str, topic: Topic, uri: str, send: Send) -> None:
        """Have a legacy connection told of a topic, under the URI it asked for."""
        self._connections[connection][topic][uri] = send

    def disconnect(self, connection: str, uri: str | None = None) -> None:
        """Stop telling a legacy connection of a URI, or of all."""
        if uri is None:
            self._connections.pop(connection, None)
            return
        for uris in self._connections.get(connection, {}).values():
            uris.pop(uri, None)

    def add(self, listener: Callable[[Topic], None]) -> Callable[[], None]:
        """Have a function called with every topic; gives the function that ends it."""
        token = object()
        self._listeners[token] = listener
        return lambda: self._listeners.pop(token, None) and None

    def _fan_out(self, touched: Iterable[Topic]) -> None:
        for topic in touched:
            for listener in tuple(self._listeners.values()):
                listener(topic)
            for connection, known in tuple(self._connections.items()):
                for uri, send in tuple(known.get(topic, {}).items()):
                    if self._tasks is not None:
                        self._tasks.start_soon(self._deliver, connection, uri, send)

    async def _deliver(self, connection: str, uri: str, send: Send) -> None:
        try:
            await send(uri)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.disconnect(connection)


class _Bus:
    """The hub as the SDK's listen handler knows it, for one stream's topics."""

    def __init__(self, hub: Hub, wanted: Mapping[Topic, Iterable[str]]) -> None:
        self._hub = hub
        self._wanted = wanted

    async def publish(self, event: ServerEvent) -> None:
        """Not used: the hub is told of changes, not of events."""
        raise TypeError("tell the hub of a change instead")

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        def hear(topic: Topic) -> None:
            for uri in self._wanted.get(topic, ()):
                listener(ResourceUpdated(uri))

        return self._hub.add(hear)


def topics(registry: Registry, change: Change) -> Iterable[Topic]:
    """What a change touched: its session's resources, also as its person's main session."""
    definition = registry.worlds[change.world]
    tables = frozenset(row.table for row in change.rows)
    names = [*BUILT_IN, *(name for name, found in definition.resources.items() if found.touched_by(tables))]
    owners = [change.session] + ([] if change.main_of is None else [_main(change.world, change.main_of)])
    return [(owner, name) for owner in owners for name in names]


async def topic_of(dispatcher: Dispatcher, principal: Principal, address: Address) -> Topic:
    """The topic of a resource that the principal may read. Raises NotFound, Forbidden."""
    if address.session is not None:
        await to_thread.run_sync(dispatcher.world_of, principal, address.session)
        return address.session, address.name
    await to_thread.run_sync(dispatcher.main, principal, address.definition.name)
    person: Any = await to_thread.run_sync(partial(dispatcher.store.read, lambda tx: tx.person_id(principal)))
    return _main(address.definition.name, person), address.name


async def readable(
    dispatcher: Dispatcher, catalog: Catalog, principal: Principal, uris: Iterable[str]
) -> dict[Topic, list[str]]:
    """Those of the URIs that the principal may read, by topic."""
    found: dict[Topic, list[str]] = {}
    for uri in uris:
        try:
            topic = await topic_of(dispatcher, principal, catalog.address(uri))
        except EngineError as error:
            logger.info("not subscribed to %s: %s", uri[:200], error.rule)
            continue
        found.setdefault(topic, []).append(uri)
    return found


def _main(world: str, person: int) -> str:
    return f"{world}#{person}"
