"""The feed of a process: what became of sessions, from whichever process it came.

The journal is the feed. For each session that somebody follows, the revision is
kept up to which everybody was told; what this process did itself moves it on at
once, and a look finds the rest. A hint of the store says when to look; without
any, a look every half second finds everything.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Set
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Protocol

import anyio
from anyio import to_thread

from engine.looks import Asked, Found, Known, found_by, is_of, known_of, main_of, places_of
from engine.registry import Registry
from engine.store import feed as stored
from engine.store.feed import Place, Touch
from engine.store.records import Transaction
from engine.store.stores import Store
from engine.types import Change

LOOK_EVERY = 0.5
"""Seconds between two looks without any hint, and between two looks at who may still read."""
REST = 1.0
"""How often as long as a look took nobody looks after it: what is followed by many must not take the process over."""
WINDOW = 3
"""Within how many times an action's time an entry is sure to appear: its time is read before it is committed."""
LATE = timedelta(seconds=1)
"""How far a hinted look at shared rows goes back; the others go back the whole window."""

Wait = Callable[[float], bool]
logger = logging.getLogger(__name__)


class Follower(Protocol):
    """Who is told, on the event loop. An owner is a session's handle, or `main_of` a person."""

    def changed(self, owner: str, tables: Set[str] | None) -> None:
        """A session changed: these tables of those that were asked for, and what is made of no table; None: all."""

    def shared_changed(self, world: str, tables: Set[str]) -> None:
        """Shared rows of a world changed."""

    def read_by(self, session: str, people: Set[int]) -> None:
        """Who may read a session by its handle, by now: nobody, where it is gone."""

    def parted(self, session: str, person: int) -> None:
        """Somebody may not read a session any more."""


class Feed:
    """Tells followers of changes. `tell` may be called from any thread; all else on the event loop."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self.followers: list[Follower] = []
        self._known: dict[str, Known] = {}
        self._shared: Counter[tuple[str, str]] = Counter()
        self._told_shared: Set[tuple[str, int]] = frozenset()
        self._told_since: set[tuple[str, int]] = set()
        self._shared_at: datetime | None = None
        self._limiter: anyio.CapacityLimiter | None = None
        self._followed = asyncio.Event()
        self._thorough_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: Callable[[], None] = _nothing

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look for as long as the block lasts."""
        watch = self._store.watching()
        self._limiter = anyio.CapacityLimiter(1)
        self._loop, self._wake = asyncio.get_running_loop(), watch.wake
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._look_on, watch.wait)
                try:
                    yield
                finally:
                    self._loop, self._wake = None, _nothing
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(watch.close)

    def tell(self, change: Change) -> None:
        """Pass a change of this process on to whoever follows; returns at once."""
        loop = self._loop
        if loop is not None and self._known:
            loop.call_soon_threadsafe(self._told, change)

    async def follow(self, wanted: Mapping[str, Iterable[str]]) -> None:
        """Have followers told of what becomes of owners from now on, of whose resources of these names.

        Each owner is to be let go of by `unfollow`, as often.
        """
        places, before, at = await to_thread.run_sync(self._store.read, lambda tx: self._begun(tx, wanted))
        for owner, names in wanted.items():
            known = self._known.get(owner)
            if known is None:
                known = self._known[owner] = known_of(owner, places.get(owner))
            known.follows += 1
            if not self._shared:
                self._told_shared, self._shared_at = before, at
            self._ask_for(known, names)
        self._followed.set()
        self._thorough_at = 0.0
        self._wake()

    def unfollow(self, owner: str) -> None:
        """Take a follow back."""
        known = self._known.get(owner)
        if known is None:
            return
        known.follows -= 1
        if known.follows <= 0:
            del self._known[owner]
            self._shared -= Counter((known.world, table) for table in known.shared)
        if not self._known:
            self._followed.clear()

    def place(self, owner: str) -> tuple[str, str | None]:
        """The world of an owner that is followed, and its handle if there is such a session."""
        known = self._known[owner]
        return known.world, known.handle

    # what this process did

    def _told(self, change: Change) -> None:
        for person in change.parted:
            for follower in self.followers:
                follower.parted(change.session, person)
        tables = None if change.adopted else frozenset(row.table for row in (*change.rows, *change.shared))
        owners = [change.session] + ([] if change.main_of is None else [main_of(change.world, change.main_of)])
        for owner in owners:
            if (known := self._known.get(owner)) is not None:
                self._move(owner, known, change, tables)
        if change.shared:
            if self._shared:
                self._told_since.add((change.session, change.revision))
            self._tell_shared(change.world, frozenset(row.table for row in change.shared))

    def _move(self, owner: str, known: Known, change: Change, tables: Set[str] | None) -> None:
        if known.handle == change.session and change.revision <= known.revision:
            return  # a look was faster
        if known.handle == change.session and change.revision > known.revision + 1:
            self._wake()  # others were between, and may have changed who may read: that is for a look
            return
        if known.handle != change.session:
            tables = None
        known.handle, known.revision = change.session, change.revision
        known.moved += 1
        self._tell(owner, tables)

    def _tell(self, owner: str, tables: Set[str] | None) -> None:
        for follower in self.followers:
            follower.changed(owner, tables)

    def _tell_shared(self, world: str, tables: Set[str]) -> None:
        asked = {table for table in tables if (world, table) in self._shared}
        for follower in self.followers if asked else ():
            follower.shared_changed(world, asked)

    # what anybody did

    async def _look_on(self, wait: "Wait") -> None:
        took = 0.0
        while True:
            await self._followed.wait()
            await anyio.sleep(min(LOOK_EVERY, REST * took))
            left = max(0.0, min(LOOK_EVERY, self._thorough_at - time.monotonic()))
            await to_thread.run_sync(wait, left, limiter=self._limiter, abandon_on_cancel=True)
            began = time.monotonic()
            try:
                await self._look()
            except Exception:
                logger.exception("a look at what changed failed")
                await anyio.sleep(LOOK_EVERY)
            took = time.monotonic() - began

    async def _look(self) -> None:
        """Find out what became of what is followed, and tell."""
        now = time.monotonic()
        thorough = now >= self._thorough_at
        if thorough:
            self._thorough_at = now + LOOK_EVERY
        since = None
        if self._shared:
            since = self._window if thorough else LATE
        self._told_shared |= self._told_since
        self._told_since = set()
        known = {owner: (one, one.handle, one.revision, one.moved) for owner, one in self._known.items()}
        asked = Asked(known, thorough, since, self._shared_at)
        found = await to_thread.run_sync(self._store.read, lambda transaction: found_by(transaction, asked))
        self._apply(asked, found)

    def _apply(self, asked: Asked, found: Found) -> None:
        for session, people in found.readers.items():
            for follower in self.followers:
                follower.read_by(session, people)
        for owner, (place, touched) in found.places.items():
            known, before, revision, moved = asked.known[owner]
            if self._known.get(owner) is not known:
                continue
            if is_of(known, before, revision, place):
                self._catch_up(owner, known, place, touched)
            elif known.moved == moved:  # else the next look says which session is main by now
                known.handle, known.revision = (None, 0) if place is None else (place.handle, place.revision)
                known.place = place or known.place
                self._tell(owner, None)
        for world, tables in self._new_shared(found, asked.thorough) if found.at is not None else ():
            self._tell_shared(world, tables)

    def _catch_up(self, owner: str, known: Known, place: Place | None, touched: list[Touch] | None) -> None:
        if place is None or place.revision <= known.revision or known.handle != place.handle:
            return
        tables: set[str] | None = None
        if touched is not None:
            tables = {table for one in touched if one.revision > known.revision for table in one.tables(known.tables)}
        known.revision = place.revision
        self._tell(owner, tables)

    # shared rows

    @property
    def _window(self) -> timedelta:
        return timedelta(seconds=WINDOW * self._store.limits.seconds)

    def _begun(
        self, transaction: Transaction, wanted: Mapping[str, Iterable[str]]
    ) -> tuple[dict[str, Place], Set[tuple[str, int]], datetime]:
        """Where owners are, which changes of shared rows are past, if this is the first to ask for any, and when."""
        past: list[tuple[str, Touch]] = []
        if not self._shared and self._is_made_of_shared({name for names in wanted.values() for name in names}):
            past = stored.shared_touches(transaction, transaction.now - self._window)
        return places_of(transaction, wanted), {one.key for _, one in past}, transaction.now

    def _is_made_of_shared(self, names: Set[str]) -> bool:
        """Whether a resource of one of these names, of whatever world, is made of shared rows."""
        return any(
            not definition.shared_tables.isdisjoint(resource.tables or ())
            for definition in self._registry.worlds.values()
            for name, resource in definition.resources.items()
            if name in names
        )

    def _ask_for(self, known: Known, names: Iterable[str]) -> None:
        """Note which tables resources are made of; from the first shared one on, shared rows are looked at, too."""
        definition = self._registry.worlds.get(known.world)
        if definition is None:
            return
        for name in names:
            resource = definition.resources.get(name)
            known.tables |= (None if resource is None else resource.tables) or frozenset()
        new = (known.tables & definition.shared_tables) - known.shared
        known.shared |= new
        self._shared.update((known.world, table) for table in new)

    def _new_shared(self, found: Found, thorough: bool) -> Iterator[tuple[str, Set[str]]]:
        """Changes of shared rows that were not told of yet. They appear late, so no time is a mark to go on from."""
        keys = frozenset(touch.key for _, touch in found.shared)
        for world, touch in found.shared:
            if touch.key not in self._told_shared and touch.key not in self._told_since:
                yield world, frozenset(touch.tables([table for of, table in self._shared if of == world]))
        if found.missed:
            yield from ((world, {table}) for world, table in tuple(self._shared))
        self._told_shared = keys if thorough else self._told_shared | keys
        if thorough:
            self._shared_at = found.at


def _nothing() -> None:
    """Wake nobody: nobody waits."""
