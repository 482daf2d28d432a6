"""Who wants to hear of which resource, and telling them, in both eras.

A subscription is kept by topic: a session's resource, or the main session's
of a person, so that an alias follows the session that is main now.
"""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager, contextmanager

import anyio
import mcp_types as t
from anyio import to_thread
from anyio.abc import TaskGroup

from engine.dispatch import Dispatcher
from engine.errors import EngineError
from engine.feed import Feed
from engine.looks import main_of
from engine.mcp_adapter.asking import Context
from engine.mcp_adapter.catalog import Address, Catalog
from engine.mcp_adapter.listening import listened
from engine.mcp_adapter.subscriber import Send, Subscriber
from engine.registry import Registry
from engine.store.stores import Store
from engine.types import Change, Principal

Topic = tuple[str, str]
"""(a session's handle, or `world#person` for a main session; the resource's name)"""

logger = logging.getLogger(__name__)


class Hub:
    """The subscribers of one process. `tell` may be called from any thread; all else on the event loop."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self.feed = Feed(registry, store)
        self.feed.followers.append(self)
        self._by_owner: dict[str, dict[Subscriber, None]] = {}
        self._streams: set[Subscriber] = set()
        self._connections: dict[str, Subscriber] = {}
        self._hearing: dict[str, Principal] = {}
        self._tasks: TaskGroup | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver for as long as the block lasts; then end every stream gracefully."""
        async with self.feed.running(), anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                yield
            finally:
                self._tasks = None
                self.end()
                tasks.cancel_scope.cancel()

    def end(self) -> None:
        """End every listen stream gracefully: each gets its result."""
        for stream in self._streams:
            stream.outbox.close()

    def tell(self, change: Change) -> None:
        """Pass a change of this process on to whoever subscribed to what it touched; returns at once."""
        self.feed.tell(change)

    async def listen(
        self, context: Context, person: int, wanted: Mapping[Topic, Iterable[str]]
    ) -> t.SubscriptionsListenResult:
        """Serve a person's subscriptions/listen stream (MCP 2026-07-28) of resources, by topic with their URIs."""
        uris = [uri for found in wanted.values() for uri in found]
        stream = Subscriber()
        self._streams.add(stream)
        try:
            await self._subscribe(stream, person, wanted)
            return await listened(context, uris, stream.outbox)
        finally:
            self._streams.discard(stream)
            self._remove(stream)

    async def connect(
        self,
        connection: str,
        person: int,
        wanted: Mapping[Topic, Iterable[str]],
        send: Send,
        *,
        at_once: bool = False,
    ) -> None:
        """Have a person's legacy connection told of topics, under the URIs it asked for.

        `at_once` it is told that each may have changed: another process may have had to tell it so.
        """
        known = self._connections.setdefault(connection, Subscriber())
        known.send = send
        await self._subscribe(known, person, wanted)
        if self._connections.get(connection) is not known:
            self._remove(known)  # it was closed meanwhile
        for uris in wanted.values():
            for uri in uris if at_once else ():
                known.outbox.put(uri)

    def disconnect(self, connection: str, uri: str | None = None) -> None:
        """Stop telling a legacy connection of a URI, or of all."""
        known = self._connections.get(connection)
        if known is None:
            return
        if uri is None:
            del self._connections[connection]
            self._remove(known)
            return
        for owner in known.without(uri):
            self._leave(known, owner)

    @contextmanager
    def hearing(self, connection: str, principal: Principal) -> Iterator[Callable[[], None]]:
        """Tell a legacy connection what a principal may read, once what is given is called: nobody else hears there.

        A person's clients may share a connection, so what one subscribed to says nothing of who listens. What
        changed while nobody listened is told then.
        """
        self._hearing[connection] = principal
        scope = anyio.CancelScope()

        def begin() -> None:
            if self._tasks is not None:
                self._tasks.start_soon(self._deliver, connection, principal, scope)

        try:
            yield begin
        finally:
            self._hearing.pop(connection, None)
            scope.cancel()

    def subscribed(self, connection: str) -> Set[str]:
        """The URIs that a legacy connection is told of by this process."""
        known = self._connections.get(connection)
        return frozenset() if known is None else known.uris

    def is_heard(self, connection: str) -> bool:
        """Whether somebody hears what a legacy connection is told."""
        return connection in self._hearing

    # what the feed tells

    def changed(self, owner: str, tables: Set[str] | None) -> None:
        """Tell of the resources of a session that a change touched."""
        world, _ = self.feed.place(owner)
        for subscriber in tuple(self._by_owner.get(owner, ())):
            subscriber.put(owner, lambda name: self._touched(world, name, tables))

    def shared_changed(self, world: str, tables: Set[str]) -> None:
        """Tell of the resources of all sessions that are made of shared rows."""
        for owner, subscribers in tuple(self._by_owner.items()):
            if self.feed.place(owner)[0] == world:
                for subscriber in tuple(subscribers):
                    subscriber.put(owner, lambda name: self._is_of(world, name, tables))

    def read_by(self, session: str, people: Set[int]) -> None:
        """Tell nobody else of a session."""
        for subscriber in tuple(self._by_owner.get(session, ())):
            for person in subscriber.people(session) - people:
                self._withdraw(subscriber, session, person)

    def parted(self, session: str, person: int) -> None:
        """Tell a person nothing more of a session."""
        for subscriber in tuple(self._by_owner.get(session, ())):
            self._withdraw(subscriber, session, person)

    def _touched(self, world: str, name: str, tables: Set[str] | None) -> bool:
        definition = self._registry.worlds.get(world)
        resource = None if definition is None else definition.resources.get(name)
        return tables is None or resource is None or resource.touched_by(frozenset(tables))

    def _is_of(self, world: str, name: str, tables: Set[str]) -> bool:
        definition = self._registry.worlds.get(world)
        resource = None if definition is None else definition.resources.get(name)
        return resource is not None and resource.tables is not None and not resource.tables.isdisjoint(tables)

    # who is told

    async def _subscribe(self, subscriber: Subscriber, person: int, wanted: Mapping[Topic, Iterable[str]]) -> None:
        names: dict[str, list[str]] = {}
        for owner, name in wanted:
            names.setdefault(owner, []).append(name)
        await self.feed.follow(names)
        for (owner, name), uris in wanted.items():
            subscriber.wanted.setdefault(owner, {}).setdefault((name, person), {}).update(dict.fromkeys(uris))
        for owner in names:
            if subscriber in self._by_owner.setdefault(owner, {}):
                self.feed.unfollow(owner)
            self._by_owner[owner][subscriber] = None

    def _withdraw(self, subscriber: Subscriber, session: str, person: int) -> None:
        """Tell a person nothing more of a session that is not shared with them any more."""
        if subscriber.withdraw(session, person):
            self._leave(subscriber, session)

    def _leave(self, subscriber: Subscriber, owner: str) -> None:
        subscriber.wanted.pop(owner, None)
        subscribers = self._by_owner.get(owner, {})
        if subscribers.pop(subscriber, subscriber) is None:
            self.feed.unfollow(owner)
        if not subscribers:
            self._by_owner.pop(owner, None)

    def _remove(self, subscriber: Subscriber) -> None:
        for owner in tuple(subscriber.wanted):
            self._leave(subscriber, owner)
        subscriber.outbox.close()

    # legacy connections

    async def _deliver(self, connection: str, principal: Principal, scope: anyio.CancelScope) -> None:
        with scope:
            known = self._connections.setdefault(connection, Subscriber())
            while (uri := await known.outbox.next()) is not None:
                owner = known.owner_of(uri)
                if owner is None or known.send is None or not self._may_read(principal, owner):
                    continue
                try:
                    await known.send(uri)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    self.disconnect(connection)
                except anyio.get_cancelled_exc_class():
                    known.outbox.put(uri)  # for whoever listens next
                    raise

    def _may_read(self, principal: Principal, owner: str) -> bool:
        world, handle = self.feed.place(owner)
        definition = self._registry.worlds.get(world)
        scope = f"{world}:read" if definition is None else definition.read_scope
        return (
            principal.allows(scope)
            and principal.reaches(world, handle)
            and (definition is None or definition.is_for(principal))
        )


async def topic_of(dispatcher: Dispatcher, principal: Principal, address: Address) -> Topic:
    """The topic of a resource that the principal may read. Raises NotFound, Forbidden."""
    if address.session is not None:
        await to_thread.run_sync(dispatcher.world_of, principal, address.session)
        return address.session, address.name
    await to_thread.run_sync(dispatcher.main, principal, address.definition.name)
    return main_of(address.definition.name, await to_thread.run_sync(person_of, dispatcher, principal)), address.name


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
