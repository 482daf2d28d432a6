"""Who wants to hear of which resource, and telling them: in both eras, of changes made in this process.

A subscription is kept by topic: a session's resource, or the main session's
of a person, so that an alias follows the session that is main now.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, contextmanager

import anyio
import mcp_types as t
from anyio import to_thread
from anyio.abc import TaskGroup
from mcp.server.subscriptions import ListenHandler, ResourceUpdated, ServerEvent

from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.looking import every
from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Address, Catalog
from engine.registry import Registry
from engine.resources import BUILT_IN
from engine.store.stores import Store
from engine.types import Change, Principal

Topic = tuple[str, str]
"""(a session's handle, or `world#person` for a main session; the resource's name)"""

LOOK_EVERY = 0.5
"""Seconds between two looks at whether those who subscribed may still read: others may take back what they shared."""

Send = Callable[[str], Awaitable[None]]
logger = logging.getLogger(__name__)


class Hub:
    """The subscribers of one process. `tell` may be called from any thread; all else on the event loop."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._streams: set[_Stream] = set()
        self._connections: dict[str, dict[tuple[Topic, int], dict[str, Send]]] = defaultdict(lambda: defaultdict(dict))
        self._hearing: dict[str, Principal] = {}
        self._handlers: set[ListenHandler] = set()
        self._tasks: TaskGroup | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver for as long as the block lasts; then end every stream gracefully."""
        async with anyio.create_task_group() as tasks:
            self._tasks, self._loop = tasks, asyncio.get_running_loop()
            tasks.start_soon(every, LOOK_EVERY, self._look)
            try:
                yield
            finally:
                self._tasks = self._loop = None
                self.end()
                tasks.cancel_scope.cancel()

    def end(self) -> None:
        """End every listen stream gracefully: each gets its result."""
        for handler in tuple(self._handlers):
            handler.close()

    def tell(self, change: Change) -> None:
        """Pass a change on to whoever subscribed to what it touched; returns at once."""
        loop = self._loop
        if loop is not None and (self._streams or self._connections):
            loop.call_soon_threadsafe(self._fan_out, change)

    async def listen(
        self,
        context: Context,
        params: t.SubscriptionsListenRequestParams,
        person: int,
        wanted: Mapping[Topic, Iterable[str]],
    ) -> t.SubscriptionsListenResult:
        """Serve a person's subscriptions/listen stream (MCP 2026-07-28) of resources, by topic with their URIs."""
        uris = [uri for found in wanted.values() for uri in found]
        narrowed = t.SubscriptionFilter(resource_subscriptions=uris or None)
        handler = ListenHandler(_Stream(self._streams, person, wanted))
        self._handlers.add(handler)
        try:
            return await handler(context, params.model_copy(update={"notifications": narrowed}))
        finally:
            self._handlers.discard(handler)

    def connect(self, connection: str, person: int, topic: Topic, uri: str, send: Send) -> None:
        """Have a person's legacy connection told of a topic, under the URI it asked for."""
        self._connections[connection][topic, person][uri] = send

    def disconnect(self, connection: str, uri: str | None = None) -> None:
        """Stop telling a legacy connection of a URI, or of all."""
        if uri is None:
            self._connections.pop(connection, None)
            return
        for uris in self._connections.get(connection, {}).values():
            uris.pop(uri, None)

    @contextmanager
    def hearing(self, connection: str, principal: Principal) -> Iterator[None]:
        """Tell a legacy connection what a principal may read, for as long as the block lasts: nobody else hears there.

        A person's clients may share a connection, so what one subscribed to says nothing of who listens.
        """
        self._hearing[connection] = principal
        try:
            yield
        finally:
            self._hearing.pop(connection, None)

    def is_heard(self, connection: str) -> bool:
        """Whether somebody hears what a legacy connection is told."""
        return connection in self._hearing

    def _fan_out(self, change: Change) -> None:
        for person in change.parted:
            self._withdraw(change.session, person)
        touched = frozenset(topics(self._registry, change))
        for stream in tuple(self._streams):
            stream.hear(touched)
        for connection in [name for name, hearer in self._hearing.items() if self._may_read(hearer, change)]:
            for (topic, _), uris in tuple(self._connections.get(connection, {}).items()):
                for uri, send in tuple(uris.items()) if topic in touched else ():
                    if self._tasks is not None:
                        self._tasks.start_soon(self._deliver, connection, uri, send)

    def _may_read(self, principal: Principal, change: Change) -> bool:
        world = self._registry.worlds[change.world]
        return (
            principal.allows(world.read_scope)
            and principal.reaches(change.world, change.session)
            and world.is_for(principal)
        )

    async def _look(self) -> None:
        """Withdraw what another process took back: shares, and sessions that were erased."""
        asked = self._asked()
        if asked:
            readers = await to_thread.run_sync(self._readers, sorted({session for session, _ in asked}))
            for session, person in asked:
                if person not in readers.get(session, ()):
                    self._withdraw(session, person)

    def _asked(self) -> set[tuple[str, int]]:
        """Which person wants to hear of which session by its handle."""
        of_streams = {(topic[0], stream.person) for stream in self._streams for topic in stream.topics}
        of_others = {(topic[0], person) for known in self._connections.values() for topic, person in known}
        return {(owner, person) for owner, person in of_streams | of_others if "#" not in owner}

    def _readers(self, sessions: list[str]) -> Mapping[str, Set[int]]:
        return self._store.read(lambda transaction: transaction.readers(sessions))

    def _withdraw(self, session: str, person: int) -> None:
        """Tell a person nothing more of a session that is not shared with them any more."""
        for stream in self._streams:
            stream.withdraw(session, person)
        for known in self._connections.values():
            for topic, whose in tuple(known):
                if topic[0] == session and whose == person:
                    del known[topic, whose]

    async def _deliver(self, connection: str, uri: str, send: Send) -> None:
        try:
            await send(uri)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            self.disconnect(connection)


class _Stream:
    """The hub as the SDK's listen handler knows it, for one person's stream and its topics."""

    def __init__(self, streams: "set[_Stream]", person: int, wanted: Mapping[Topic, Iterable[str]]) -> None:
        self._streams = streams
        self.person = person
        self._wanted = dict(wanted)
        self._listeners: list[Callable[[ServerEvent], None]] = []

    async def publish(self, event: ServerEvent) -> None:
        """Not used: the hub is told of changes, not of events."""
        raise TypeError("tell the hub of a change instead")

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Begin to be told, until what is given is called."""
        self._listeners.append(listener)
        self._streams.add(self)
        return lambda: self._streams.discard(self)

    @property
    def topics(self) -> Iterable[Topic]:
        """What the stream wants to hear of."""
        return self._wanted.keys()

    def hear(self, touched: Set[Topic]) -> None:
        """Pass on what the stream wants of the topics touched."""
        for topic, uris in self._wanted.items():
            for uri in uris if topic in touched else ():
                for listener in self._listeners:
                    listener(ResourceUpdated(uri))

    def withdraw(self, session: str, person: int) -> None:
        """Stop telling a person of a session."""
        if person == self.person:
            self._wanted = {topic: uris for topic, uris in self._wanted.items() if topic[0] != session}


def topics(registry: Registry, change: Change) -> Iterable[Topic]:
    """What a change touched: its session's resources, also as its person's main session."""
    definition = registry.worlds[change.world]
    tables = definition.tables if change.adopted else frozenset(row.table for row in (*change.rows, *change.shared))
    names = [*BUILT_IN, *(name for name, found in definition.resources.items() if found.touched_by(tables))]
    owners = [change.session] + ([] if change.main_of is None else [_main(change.world, change.main_of)])
    return [(owner, name) for owner in owners for name in names]


async def topic_of(dispatcher: Dispatcher, principal: Principal, address: Address) -> Topic:
    """The topic of a resource that the principal may read. Raises NotFound, Forbidden."""
    if address.session is not None:
        await to_thread.run_sync(dispatcher.world_of, principal, address.session)
        return address.session, address.name
    await to_thread.run_sync(dispatcher.main, principal, address.definition.name)
    return _main(address.definition.name, await to_thread.run_sync(person_of, dispatcher, principal)), address.name


def person_of(dispatcher: Dispatcher, principal: Principal) -> int:
    """The internal id of who subscribes."""
    return dispatcher.store.write(lambda transaction: transaction.ensure_person(principal))


async def readable(
    dispatcher: Dispatcher, catalog: Catalog, principal: Principal, uris: Iterable[str]
) -> dict[Topic, list[str]]:
    """Those of the URIs that the principal may read, by topic."""
    found: dict[Topic, list[str]] = {}
    for uri in uris:
        try:
            topic = await topic_of(dispatcher, principal, catalog.address(uri))
        except EngineError as error:
            logger.info("a subscription was refused: %s", error.rule)
            continue
        found.setdefault(topic, []).append(uri)
    return found


def _main(world: str, person: int) -> str:
    return f"{world}#{person}"
