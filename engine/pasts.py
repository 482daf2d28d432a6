"""What the rows of a session were at a revision: the present ones, or a snapshot's, with what came after taken back."""

import json
from bisect import bisect_right
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias, TypeVar

from sqlalchemy import Select, func, insert, literal, select

from engine import configurations
from engine.definition import Definition
from engine.history import entry_at, images
from engine.models import Row, part_of, table_of
from engine.present import (
    ahead_of,
    bring,
    document_at,
    image,
    model_of,
    parts_of,
    state,
    timers_at,
    told_rows,
)
from engine.store.hidden import JOURNAL, SNAPSHOT
from engine.store.records import Images, Record, Transaction
from engine.timers import Timer
from engine.types import Json, RowChange

T = TypeVar("T")

SNAPSHOT_ROWS = 1_000
"""Rows that a snapshot has at most, since the action that comes to it waits for it."""


@dataclass(frozen=True, slots=True)
class Laid:
    """What stands in a row's place: this image, or, if it does not stand, no row."""

    image: Mapping[str, Json]
    stands: bool


Overlay: TypeAlias = dict[str, dict[str, Laid]]
"""What of a row set is other than it is now, by table and key."""


@dataclass(frozen=True, slots=True)
class Past:
    """A session as it was at a revision. `active` are its states; `rows` are images by table."""

    revision: int
    state: str
    active: frozenset[str]
    data: str | None
    rows: dict[str, list[Json]]
    timers: tuple[Timer, ...] = ()
    """What it waited for then."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Which row set a session showed at each of its revisions: `ids` from `revisions` on, before them its own."""

    own: int
    revisions: tuple[int, ...]
    ids: tuple[int, ...]

    def at(self, revision: int) -> int:
        """The row set shown at a revision."""
        place = bisect_right(self.revisions, revision)
        return self.ids[place - 1] if place else self.own

    def between(self, floor: int, revision: int) -> tuple[int, ...]:
        """All row sets shown from the first revision that is kept up to another."""
        first, last = bisect_right(self.revisions, floor), bisect_right(self.revisions, revision)
        return tuple(dict.fromkeys((self.at(floor), *self.ids[first:last])))


def past(transaction: Transaction, definition: Definition, record: Record, revision: int) -> Past:
    """The session as it was at a revision, in the world's present version. Raises NotFound, Refused."""
    bring(transaction, definition, record)
    entry = entry_at(transaction, record, revision)
    shown = shown_by(transaction, record)
    base, upto = _base(transaction, definition, record, shown, revision)
    overlay = taken_back(transaction, definition, shown, shown.at(revision), after=revision, upto=upto)
    rows = {table: _sorted(found, overlay.get(table, {})) for table, found in base.items()}
    document = document_at(transaction, definition, record, revision)
    text = state(definition, entry.version, entry.state)
    active = configurations.configuration_of(definition.chart, text).active
    timers = timers_at(transaction, definition, record, revision)
    return Past(revision, configurations.shown(text), active, document, rows, timers)


def shown_by(transaction: Transaction, record: Record) -> Shown:
    """Which row set a session showed when."""
    statement = select(JOURNAL.c.revision, JOURNAL.c.adopted).where(
        JOURNAL.c.session_id == record.id, JOURNAL.c.adopted.is_not(None)
    )
    found = transaction.run(statement.order_by(JOURNAL.c.revision)).all()
    return Shown(record.id, tuple(row[0] for row in found), tuple(row[1] for row in found))


def taken_back(
    transaction: Transaction, definition: Definition, shown: Shown, rows_id: int, *, after: int, upto: int
) -> Overlay:
    """What a row set was after a revision, other than it was after a later one, `upto`."""
    found: Overlay = {}
    with closing(_images_between(transaction, shown.own, after, upto)) as entries:
        for entry in entries:
            if shown.at(entry.revision) == rows_id:
                lay(definition, found, images(definition, entry, back=True))
    return found if definition.parts is None else _as_told(transaction, definition, found, rows_id, after)


def _as_told(
    transaction: Transaction, definition: Definition, overlay: Overlay, rows_id: int, revision: int
) -> Overlay:
    """An overlay without the rows that were written ahead and not adopted at a revision: none of them stood then."""
    told = frozenset(parts_of(transaction, definition, rows_id, revision))
    for laid in overlay.values():
        for key, one in laid.items():
            if one.stands and part_of(one.image) and part_of(one.image) not in told:
                laid[key] = Laid(one.image, False)
    return overlay


def lay(definition: Definition, overlay: Overlay, over: Iterable[RowChange]) -> Overlay:
    """An overlay with changes laid over it."""
    for change in over:
        rows = overlay.setdefault(str(model_of(definition, change.table).__tablename__), {})
        if change.before is not None:
            rows[address(definition, change.table, change.before)] = Laid(change.before, False)
        if change.after is not None:
            rows[address(definition, change.table, change.after)] = Laid(change.after, True)
    return overlay


def address(definition: Definition, table: str, image: Mapping[str, Json]) -> str:
    """The key of an image, as text."""
    return _key(model_of(definition, table), image)


def keep_snapshot(transaction: Transaction, definition: Definition, record: Record) -> None:
    """Keep a session's rows as they are if that pays: if at least as many changes of rows came since the last."""
    latest = _run_one(transaction, select(func.max(SNAPSHOT.c.revision)).where(SNAPSHOT.c.session_id == record.id))
    since = max(latest or 0, record.revision - SNAPSHOT_ROWS)
    changed = select(literal(1)).where(
        JOURNAL.c.session_id == record.id, JOURNAL.c.revision > since, JOURNAL.c.rows.is_not(None)
    )
    most = _run_one(transaction, select(func.count()).select_from(changed.subquery()))
    if most == 0 or count_rows(transaction, definition, record.rows_at, most + 1) > most:
        return
    rows = {
        str(row.__tablename__): list(_images_now(transaction, definition, row, record.rows_at, record.revision))
        for row in definition.rows
    }
    kept = {"session_id": record.id, "revision": record.revision, "rows": json.dumps(rows, ensure_ascii=False)}
    transaction.run(insert(SNAPSHOT).values(**kept))


def count_rows(transaction: Transaction, definition: Definition, rows_id: int, most: int) -> int:
    """How many rows a row set has, counted up to `most` a table."""
    found = 0
    for row in definition.rows:
        some = select(literal(1)).where(table_of(row).c.session_id == rows_id).limit(most)
        found += _run_one(transaction, select(func.count()).select_from(some.subquery()))
    return found


def _base(
    transaction: Transaction, definition: Definition, record: Record, shown: Shown, revision: int
) -> tuple[dict[str, dict[str, Json]], int]:
    """The nearest rows known of the row set that was shown at a revision, by table and key, and at which revision."""
    rows_id = shown.at(revision)
    told = parts_of(transaction, definition, rows_id, revision)
    later = select(SNAPSHOT.c.revision).where(SNAPSHOT.c.session_id == record.id, SNAPSHOT.c.revision >= revision)
    for at in transaction.run(later.order_by(SNAPSHOT.c.revision)).scalars():
        if shown.at(at) == rows_id:
            return _snapshot(transaction, definition, record, at, told), at
    return {
        str(row.__tablename__): {
            _key(row, found): found for found in _images_now(transaction, definition, row, rows_id, revision)
        }
        for row in definition.rows
    }, record.revision


def _snapshot(
    transaction: Transaction, definition: Definition, record: Record, at: int, told: Collection[int]
) -> dict[str, dict[str, Json]]:
    """A snapshot, which is of the version of the world that made its revision, with those parts that were `told`."""
    statement = select(SNAPSHOT.c.rows).where(SNAPSHOT.c.session_id == record.id, SNAPSHOT.c.revision == at)
    kept: dict[str, list[Json]] = json.loads(_run_one(transaction, statement))
    version = entry_at(transaction, record, at).version
    own = {str(row.__tablename__): ahead_of(definition, row) for row in definition.rows}
    found: dict[str, dict[str, Json]] = {str(row.__tablename__): {} for row in definition.rows}
    for table, rows in kept.items():
        for row in rows:
            if own.get(table) and part_of(row) and part_of(row) not in told:
                continue
            if (now := image(definition, version, table, row)) is not None:
                found[table][address(definition, table, now)] = now
    return found


def _images_between(transaction: Transaction, session_id: int, after: int, upto: int) -> Generator[Images]:
    """What changed rows after a revision and up to another, the newest first."""
    own = JOURNAL.c
    statement = select(own.revision, own.version, own.rows).where(
        own.session_id == session_id, own.revision > after, own.revision <= upto, own.rows.is_not(None)
    )
    with transaction.run(statement.order_by(own.revision.desc()), page=500) as found:
        yield from (Images(*row) for row in found)


def _images_now(
    transaction: Transaction, definition: Definition, row: type[Row], rows_id: int, revision: int
) -> Iterator[Json]:
    """The rows of a table as they are, without what was written ahead and not adopted at a revision."""
    table = table_of(row)
    told = told_rows(transaction, definition, row, rows_id, revision)
    rows = select(row).where(table.c.session_id == rows_id, *told).order_by(*table.primary_key)
    for found in transaction.db_of(rows_id).scalars(rows):
        yield found.model_dump(mode="json")


def _sorted(base: Mapping[str, Json], overlay: Mapping[str, Laid]) -> list[Json]:
    rows = {key: row for key, row in base.items() if key not in overlay}
    rows |= {key: laid.image for key, laid in overlay.items() if laid.stands}
    return [rows[key] for key in sorted(rows, key=json.loads)]


def _key(model: type[Row], image: Mapping[str, Json]) -> str:
    return json.dumps([image[name] for name in _key_names(model)])


@cache
def _key_names(model: type[Row]) -> tuple[str, ...]:
    return tuple(column.name for column in table_of(model).primary_key if column.name != "session_id")


def _run_one(transaction: Transaction, statement: "Select[T]") -> T:
    found: T = transaction.run(statement).scalar_one()
    return found
