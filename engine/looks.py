"""A look at sessions that are followed: where they are by now, what was touched, who may read them, in one snapshot."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.store import feed as stored
from engine.store.feed import Place, Touch
from engine.store.records import Transaction

LONG = 1_000
"""Changes since a look that are still looked into; more count as changes of every table."""


def main_of(world: str, person: int) -> str:
    """What stands for the session that is a person's main one of a world."""
    return f"{world}#{person}"


@dataclass(slots=True)
class Known:
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
class Asked:
    """What a look is about: sessions as they were known when it began."""

    known: Mapping[str, tuple[Known, str | None, int, int]]
    thorough: bool
    since: timedelta | None
    """How far a look at shared rows goes back, if there is one; a thorough one as much further as the last is past."""
    looked_at: datetime | None
    """When that last one was."""


@dataclass(slots=True)
class Found:
    """What a look found: where sessions are by now, with what was touched; who may read; changes of shared rows."""

    places: dict[str, tuple[Place | None, list[Touch] | None]] = field(default_factory=dict)
    readers: dict[str, Set[int]] = field(default_factory=dict)
    shared: list[tuple[str, Touch]] = field(default_factory=list)
    missed: bool = False
    """Whether the last look at shared rows is so long past that what was changed since is not looked into."""
    at: datetime | None = None


def known_of(owner: str, place: Place | None) -> Known:
    """An owner as it is when somebody begins to follow it."""
    world, _, person = owner.partition("#")
    main = (world, int(person)) if person else None
    if place is None:
        return Known(world if main else "", main, None, 0, None)
    return Known(place.world, main, place, place.revision, place.handle)


def places_of(transaction: Transaction, owners: Iterable[str]) -> dict[str, Place]:
    """How far owners are, those that are there."""
    handles = [owner for owner in owners if "#" not in owner]
    people = {int(owner.partition("#")[2]) for owner in owners if "#" in owner}
    mains = stored.mains(transaction, people) if people else {}
    return {
        **(stored.found(transaction, handles) if handles else {}),
        **{main_of(world, person): place for (world, person), place in mains.items()},
    }


def found_by(transaction: Transaction, asked: Asked) -> Found:
    """What became of what is followed, as one snapshot has it."""
    found = Found()
    ids = [one.place.session_id for one, *_ in asked.known.values() if one.main is None and one.place is not None]
    people = {one.main[1] for one, *_ in asked.known.values() if one.main is not None}
    places = stored.places(transaction, ids) if ids else {}
    mains = stored.mains(transaction, people) if people else {}
    here = {place.handle: place for place in places.values()}
    away = [owner for owner, (known, *_) in asked.known.items() if known.main is None and owner not in here]
    here |= stored.found(transaction, away) if away else {}  # erased, and perhaps brought back under another id
    readers = []
    for owner, (known, handle, revision, _) in asked.known.items():
        place = here.get(owner) if known.main is None else mains.get(known.main)
        went_on = place is not None and (place.handle != handle or place.revision != revision)
        if went_on or not is_of(known, handle, revision, place):
            found.places[owner] = (place, _touches(transaction, known, place, handle, revision))
        if known.main is None and (went_on or place is None or asked.thorough):
            readers.append(owner)
    if readers:
        told = transaction.readers(sorted(readers))
        found.readers = {handle: told.get(handle, set()) for handle in readers}
    if asked.since is not None:
        found.at, since = transaction.now, transaction.now - asked.since
        if asked.thorough and asked.looked_at is not None:
            found.missed = asked.looked_at < since
            since = since if found.missed else min(since, asked.looked_at - asked.since)
        found.shared = stored.shared_touches(transaction, since)
    return found


def is_of(known: Known, handle: str | None, revision: int, place: Place | None) -> bool:
    """Whether a place is of the very session that an owner was at a revision: erased ones come back from files."""
    if place is None or place.handle != handle:
        return place is None and handle is None
    is_row = known.main is not None or (known.place is not None and known.place.session_id == place.session_id)
    return is_row and place.revision >= revision


def _touches(
    transaction: Transaction, known: Known, place: Place | None, handle: str | None, revision: int
) -> list[Touch] | None:
    """What was touched since a revision; None for whatever it may have been, where the journal does not say (any more).

    Nor is it looked for where nobody asked for a table.
    """
    if place is None or place.handle != handle or not known.tables:
        return None
    if place.floor > revision or place.revision - revision > LONG:
        return None
    found = stored.touches(transaction, place, revision)
    return found if len(found) == place.revision - revision else None
