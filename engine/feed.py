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
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

import anyio
from anyio import to_thread

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

LONG = 1_000
"""Changes since a look that are still looked into; more count as changes of every table."""

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


def main_of(world: str, person: int) -> str:
    """What stands for the session that is a person's main one of a world."""
    return f"{world}#{person}"


@dataclass(slots=True)
class _Known:
    """A session that is followed: up to where everybody was told. `moved` counts what this process did."""

    world: str
    main: tuple[str, int] | None
    place: Place | None
    revision: int
    handle: str | None
    follows: int = 0
    moved: int = 0
    tables: set[str] = field(default_factory=set)
    """The tables that somebody asked for."""
    shared: set[str] = field(default_factory=set)
    """Those of them that all sessions share."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a look is about: sessions as they were known when it began."""

    known: Mapping[str, tuple[_Known, str | None, int, int]]
    since: timedelta | None
    thorough: bool


@dataclass(slots=True)
class _Found:
    """What a look found: where sessions are by now, with what was touched; who may read; changes of shared rows."""

    places: dict[str, tuple[Place | None, list[Touch] | None]] = field(default_factory=dict)
    readers: dict[str, Set[int]] = field(default_factory=dict)
    shared: list[tuple[str, Touch]] = field(default_factory=list)


class Feed:
    """Tells followers of changes. `tell` may be called from any thread; all else on the event loop."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self.followers: list[Follower] = []
        self._known: dict[str, _Known] = {}
        self._shared: Counter[tuple[str, str]] = Counter()
        self._told_shared: Set[tuple[int, int]] = frozenset()
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
        places, before = await to_thread.run_sync(self._store.read, lambda tx: self._begun(tx, wanted))
        for owner, names in wanted.items():
            known = self._known.get(owner)
            if known is None:
                known = self._known[owner] = _known(owner, places.get(owner))
            known.follows += 1
            if not self._shared:
                self._told_shared = before
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

    async def changed_since(self, owners: Iterable[str], at: str) -> Set[str]:
        """Those of some owners that changed after a time, as tables keep it, or are not there."""
        asked = tuple(owners)
        places = await to_thread.run_sync(self._store.read, lambda tx: _places(tx, asked))
        return {owner for owner in asked if owner not in places or places[owner].updated_at > at}

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
            self._tell_shared(change.world, frozenset(row.table for row in change.shared))

    def _move(self, owner: str, known: _Known, change: Change, tables: Set[str] | None) -> None:
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
        known = {owner: (one, one.handle, one.revision, one.moved) for owner, one in self._known.items()}
        asked = _Asked(known, since, thorough)
        found = await to_thread.run_sync(self._store.read, lambda transaction: _found(transaction, asked))
        self._apply(asked, found)

    def _apply(self, asked: _Asked, found: _Found) -> None:
        for session, people in found.readers.items():
            for follower in self.followers:
                follower.read_by(session, people)
        for owner, (place, touched) in found.places.items():
            known, before, _, moved = asked.known[owner]
            if self._known.get(owner) is not known:
                continue
            if (None if place is None else place.handle) == before:
                self._catch_up(owner, known, place, touched)
            elif known.moved == moved:  # else the next look says which session is main by now
                known.handle, known.revision = (None, 0) if place is None else (place.handle, place.revision)
                self._tell(owner, None)
        for world, tables in self._new_shared(found.shared, asked.thorough):
            self._tell_shared(world, tables)

    def _catch_up(self, owner: str, known: _Known, place: Place | None, touched: list[Touch] | None) -> None:
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
    ) -> tuple[dict[str, Place], Set[tuple[int, int]]]:
        """Where owners are, and which changes of shared rows are past, if this is the first to ask for any."""
        past: list[tuple[str, Touch]] = []
        if not self._shared and self._is_made_of_shared({name for names in wanted.values() for name in names}):
            past = stored.shared_touches(transaction, transaction.now - self._window)
        return _places(transaction, wanted), {one.key for _, one in past}

    def _is_made_of_shared(self, names: Set[str]) -> bool:
        """Whether a resource of one of these names, of whatever world, is made of shared rows."""
        return any(
            not definition.shared_tables.isdisjoint(resource.tables or ())
            for definition in self._registry.worlds.values()
            for name, resource in definition.resources.items()
            if name in names
        )

    def _ask_for(self, known: _Known, names: Iterable[str]) -> None:
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

    def _new_shared(self, found: list[tuple[str, Touch]], thorough: bool) -> Iterator[tuple[str, Set[str]]]:
        """Changes of shared rows that were not told of yet. They appear late, so no time is a mark to go on from."""
        keys = frozenset(touch.key for _, touch in found)
        for world, touch in found:
            if touch.key not in self._told_shared:
                yield world, frozenset(touch.tables([table for of, table in self._shared if of == world]))
        self._told_shared = keys if thorough else self._told_shared | keys


def _nothing() -> None:
    """Wake nobody: nobody waits."""


def _known(owner: str, place: Place | None) -> _Known:
    """An owner as it is when somebody begins to follow it."""
    world, _, person = owner.partition("#")
    main = (world, int(person)) if person else None
    if place is None:
        return _Known(world if main else "", main, None, 0, None)
    return _Known(place.world, main, place, place.revision, place.handle)


def _places(transaction: Transaction, owners: Iterable[str]) -> dict[str, Place]:
    """How far owners are, those that are there."""
    handles = [owner for owner in owners if "#" not in owner]
    people = {int(owner.partition("#")[2]) for owner in owners if "#" in owner}
    mains = stored.mains(transaction, people) if people else {}
    return {
        **(stored.found(transaction, handles) if handles else {}),
        **{main_of(world, person): place for (world, person), place in mains.items()},
    }


def _found(transaction: Transaction, asked: _Asked) -> _Found:
    """What became of what is followed, as one snapshot has it."""
    found = _Found()
    ids = [one.place.session_id for one, *_ in asked.known.values() if one.main is None and one.place is not None]
    people = {one.main[1] for one, *_ in asked.known.values() if one.main is not None}
    places = stored.places(transaction, ids) if ids else {}
    mains = stored.mains(transaction, people) if people else {}
    readers = []
    for owner, (known, handle, revision, _) in asked.known.items():
        if known.main is not None:
            place = mains.get(known.main)
        else:
            place = None if known.place is None else places.get(known.place.session_id)
            if place is not None and place.handle != owner:  # it was erased, and SQLite gave its id to another
                place = None
        went_on = place is not None and (place.handle != handle or place.revision > revision)
        if went_on or (place is None) != (handle is None):
            found.places[owner] = (place, _touches(transaction, known, place, handle, revision))
        if known.main is None and (went_on or place is None or asked.thorough):
            readers.append(owner)
    if readers:
        told = transaction.readers(sorted(readers))
        found.readers = {handle: told.get(handle, set()) for handle in readers}
    if asked.since is not None:
        found.shared = stored.shared_touches(transaction, transaction.now - asked.since)
    return found


def _touches(
    transaction: Transaction, known: _Known, place: Place | None, handle: str | None, revision: int
) -> list[Touch] | None:
    """What was touched since a revision; None for whatever it may have been, where the journal does not say (any more).

    Nor is it looked for where nobody asked for a table.
    """
    if place is None or place.handle != handle or not known.tables:
        return None
    if place.floor > revision or place.revision - revision > LONG:
        return None
    found = stored.touches(transaction, place.session_id, revision)
    return found if len(found) == place.revision - revision else None
