"""What the feed of changes asks the store, each in one statement: how far sessions are, and what was touched since."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from engine.store.records import Transaction
from engine.types import dumped

LARGEST = 256 * 1024
"""Characters of an entry's images that are looked into; a larger change counts as one of every table."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a session is. `floor` is the first revision of which everything is kept."""

    session_id: int
    handle: str
    world: str
    revision: int
    floor: int


@dataclass(frozen=True, slots=True)
class Touch:
    """What a change touched: JSON texts of images, empty where there are none; None for what may be anything."""

    session: str
    revision: int
    images: str | None

    @property
    def key(self) -> tuple[str, int]:
        """What names the change."""
        return self.session, self.revision

    def tables(self, among: Collection[str]) -> Collection[str]:
        """Those of the tables that it touched, perhaps: text within the images cannot look like one's beginning."""
        images = self.images
        return among if images is None else [table for table in among if f"[{dumped(table)}," in images]


_PLACE = "session.id, handle, world, revision, floor"


def places(transaction: Transaction, sessions: Collection[int]) -> dict[int, Place]:
    """How far sessions are, by internal id; those that are gone are missing."""
    among, values = _among(transaction, sessions)
    found = transaction.execute(f"select {_PLACE} from session where id {among} and hidden is null", values)
    return {row[0]: Place(*row) for row in found.fetchall()}


def found(transaction: Transaction, handles: Collection[str]) -> dict[str, Place]:
    """How far sessions are, by handle; those that are gone are missing."""
    among, values = _among(transaction, handles)
    rows = transaction.execute(f"select {_PLACE} from session where handle {among} and hidden is null", values)
    return {row[1]: Place(*row) for row in rows.fetchall()}


def mains(transaction: Transaction, people: Collection[int]) -> dict[tuple[str, int], Place]:
    """How far people's main sessions are, by world and the person's internal id."""
    among, values = _among(transaction, people)
    rows = transaction.execute(
        f"select main_of, {_PLACE} from session where main_of {among} and hidden is null", values
    )
    return {(row[3], row[0]): Place(*row[1:]) for row in rows.fetchall()}


def touches(transaction: Transaction, place: Place, after: int) -> list[Touch]:
    """What the changes of a session after a revision touched, oldest first."""
    rows = transaction.execute(
        "select revision, case when adopted is null"
        " and coalesce(length(rows), 0) + coalesce(length(shared), 0) <= ?"
        " then coalesce(rows, '') || coalesce(shared, '') end"
        " from journal where session_id = ? and revision > ? order by revision",
        (LARGEST, place.session_id, after),
    )
    return [Touch(place.handle, *row) for row in rows.fetchall()]


def shared_touches(transaction: Transaction, since: datetime) -> list[tuple[str, Touch]]:
    """Changes of shared rows since a time, with the world and what of them was touched."""
    rows = transaction.execute(
        "select world, handle, journal.revision, case when length(shared) <= ? then shared end"
        " from journal join session on session.id = session_id where shared is not null and at > ?",
        (LARGEST, since.isoformat(timespec="microseconds")),
    )
    return [(row[0], Touch(*row[1:])) for row in rows.fetchall()]


def _among(transaction: Transaction, values: Collection[int] | Collection[str]) -> tuple[str, tuple[object, ...]]:
    """A condition that a column is among values, however many, in one prepared statement."""
    if transaction.dialect == "sqlite":
        return "in (select value from json_each(?))", (dumped(list(values)),)
    return "= any(?)", (list(values),)
