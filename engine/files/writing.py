"""Writing a session into a file, from one snapshot of the store and a little at a time."""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, or_, select

from engine.copying import paced
from engine.definition import Definition
from engine.errors import Refused, StoreError
from engine.files.shapes import FILE, FORMATS, JSON, PERSON, SESSION, SNAPSHOT, Shape, encoded, quoted, shape_of
from engine.files.shared import SharedCopies
from engine.models import Row, table_of
from engine.pasts import shown_by
from engine.present import told_rows
from engine.settings import own_version
from engine.store.hidden import JOURNAL as JOURNAL_TABLE
from engine.store.records import Entry, Record, Transaction
from engine.store.sqlite import SQLITE
from engine.types import Json, Principal, dumped

APPLICATION_ID = 0x544B4652
"""What SQLite files of this kind say they are (`TKFR`)."""
NOTHING = '{"value":null,"content":[]}'
"""The result of an entry of which only the document is kept."""
PAGE = 500
"""Journal entries that are read at once."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written where."""

    path: Path
    session: str
    world: str
    revision: int
    entries: int
    rows: int
    bytes: int


def write_file(
    transaction: Transaction, definition: Definition, record: Record, path: Path, *, replace: bool = False
) -> Exported:
    """Write a session into a new file, which is there whole or not at all. Raises Refused, StoreError."""
    with _new_file(path, replace=replace) as unfinished:
        entries, rows = fill(unfinished, transaction, definition, record)
    size = path.stat().st_size
    return Exported(path, record.handle, record.world, record.revision, entries, rows, size)


def fill(path: Path, transaction: Transaction, definition: Definition, record: Record) -> tuple[int, int]:
    """Write a session into an empty SQLite file; how many journal entries and rows it has."""
    connection: Any = SQLITE.connect(str(path), isolation_level=None)
    form = _form(transaction, record)
    try:
        for pragma in (
            "journal_mode = off",
            "synchronous = off",
            f"application_id = {APPLICATION_ID}",
            f"user_version = {form}",
        ):
            connection.execute(f"pragma {pragma}")
        connection.execute("begin")
        written = _Writing(connection, transaction, definition, record, FORMATS[form]).all()
        connection.execute("commit")
        return written
    finally:
        connection.close()


def _form(transaction: Transaction, record: Record) -> int:
    """The lowest format that holds all of a session."""
    own = JOURNAL_TABLE.c
    more = or_(own.timers.is_not(None), own.client.is_not(None))
    found = select(1).where(own.session_id == record.id, more).limit(1)
    return 1 if transaction.run(found).first() is None else 2


def digest_of(connection: Any) -> str:
    """A hash of all that a session file says: its tables and their rows."""
    found = hashlib.sha256()
    tables = connection.execute("select name, sql from sqlite_master where type = 'table' order by name").fetchall()
    for name, sql in tables:
        found.update(_line([name, sql]))
        for row in paced(connection.execute(f"select * from {quoted(name)} order by rowid"), PAGE):
            found.update(_line(row[:-1] if name == FILE.name else row))
    return found.hexdigest()


def owner_hash(handle: str, issuer: str, subject: str) -> str:
    """How a file says whose the session is without saying who that is."""
    return hashlib.sha256(json.dumps(["owner", handle, issuer, subject]).encode()).hexdigest()


class _Writing:
    """One session on its way into one file; people get numbers as they are met."""

    def __init__(
        self,
        connection: Any,
        transaction: Transaction,
        definition: Definition,
        record: Record,
        fixed: tuple[Shape, ...],
    ) -> None:
        self._connection = connection
        self._fixed = fixed
        self._journal = next(shape for shape in fixed if shape.name == JOURNAL_TABLE.name)
        self._transaction = transaction
        self._definition = definition
        self._record = record
        self._people: dict[int, int] = {}
        self._shared = SharedCopies(definition)
        kept = shown_by(transaction, record).between(record.floor, record.revision)
        self._sets = {rows_id: 0 if rows_id == record.id else number for number, rows_id in enumerate(kept, 1)}

    def all(self) -> tuple[int, int]:
        """Write everything; how many journal entries and rows that was."""
        worlds = [(model, shape_of(model)) for model in self._definition.rows]
        copies = {name: shape_of(model) for name, model in self._shared.models.items()}
        for shape in (*self._fixed, *(shape for _, shape in worlds), *copies.values()):
            self._connection.execute(shape.sql)
        self._session()
        entries = self._add(self._journal, map(self._entry, paced(self._entries())))
        now = self._record.rows_at
        rows = sum(self._add(shape, map(shape.row, self._images(model, now))) for model, shape in worlds)
        for rows_id in (found for found in self._sets if found != now):
            rows += sum(self._add(SNAPSHOT, self._earlier(model, rows_id)) for model in self._definition.rows)
        for name, shape in copies.items():
            self._add(shape, map(shape.row, self._shared.images(self._transaction, self._record, name)))
        named = [(number, self._transaction.person_name(person)) for person, number in self._people.items()]
        self._add(PERSON, iter(named))
        self._about()
        return entries, rows

    def _session(self) -> None:
        record = self._record
        values = {
            **{name: getattr(record, name) for name, _ in SESSION.columns if name != "owner"},
            "owner": self._person(record.owner_id),
        }
        self._add(SESSION, iter([tuple(values[name] for name, _ in SESSION.columns)]))

    def _entries(self) -> Iterator[Entry]:
        """The journal as far as it is kept; before that, only the entry that says what the document was there."""
        floor = self._record.floor
        own = JOURNAL_TABLE.c
        holder = select(func.max(own.revision)).where(
            own.session_id == self._record.id, own.revision <= floor, own.data.is_not(None)
        )
        after = min(floor, self._transaction.run(holder).scalar() or floor) - 1
        while some := list(self._transaction.entries(self._record.id, after=after, limit=PAGE)):
            yield from some
            after = some[-1].revision

    def _entry(self, entry: Entry) -> tuple[Any, ...]:
        own = {
            "by": self._person(entry.person_id),
            "adopted": self._sets.get(entry.adopted or 0),
            "shared": self._shared.seen(entry),
        }
        if entry.revision < self._record.floor:
            own |= {"arguments": "{}", "result": NOTHING, "rows": None, "shared": None, "timers": None}
        return tuple(own[name] if name in own else getattr(entry, name) for name, _ in self._journal.columns)

    def _earlier(self, model: type[Row], rows_id: int) -> Iterator[tuple[Any, ...]]:
        number, table = self._sets[rows_id], table_of(model).name
        return ((number, table, encoded(JSON, image)) for image in self._images(model, rows_id))

    def _images(self, model: type[Row], rows_id: int) -> Iterator[dict[str, Json]]:
        table = table_of(model)
        told = told_rows(self._transaction, self._definition, model, rows_id, self._record.revision)
        statement = select(model).where(table.c.session_id == rows_id, *told).order_by(*table.primary_key)
        db = self._transaction.db_of(rows_id)
        for row in paced(db.scalars(statement, execution_options={"yield_per": PAGE})):
            yield row.model_dump(mode="json")
            db.expunge(row)

    def _about(self) -> None:
        owner = self._transaction.principal(self._record.owner_id)
        about = {
            "world": self._definition.name,
            "world_version": self._definition.version,
            "handle": self._record.handle,
            "revision": self._record.revision,
            "exported_at": self._transaction.at,
            "turnkeeper": own_version(),
            "shared": dumped(sorted(self._shared.models)),
            "owner": _hash_of(self._record, owner),
            "digest": "",
        }
        self._add(FILE, iter([tuple(about[name] for name, _ in FILE.columns)]))
        self._connection.execute("update turnkeeper set digest = ?", (digest_of(self._connection),))

    def _person(self, person_id: int) -> int:
        return self._people.setdefault(person_id, len(self._people) + 1)

    def _add(self, shape: Shape, rows: Iterator[tuple[Any, ...]]) -> int:
        return max(0, int(self._connection.executemany(shape.insertion, rows).rowcount))


def _hash_of(record: Record, owner: Principal) -> str:
    return owner_hash(record.handle, owner.issuer, owner.subject)


@contextmanager
def _new_file(path: Path, *, replace: bool) -> Iterator[Path]:
    """The name to write under; when the block ends, what was written is at the path and on disk."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    reserved = False
    try:
        if not replace:
            path.touch(exist_ok=False)
            reserved = True
        unfinished.touch()
        yield unfinished
        _to_disk(unfinished)
        os.replace(unfinished, path)
        reserved = False
        _to_disk(path.parent)
    except FileExistsError:
        raise Refused(
            "file_exists", f"There is a file {path} already.", hint="Give another name, or --force to replace it."
        ) from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}.", hint="Check that its folder exists and has room."
        ) from error
    except SQLITE.Error as error:
        raise StoreError(f"{path} cannot be written: {error}.", hint="Check that its folder has room.") from error
    finally:
        unfinished.unlink(missing_ok=True)
        if reserved:
            path.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _line(values: Any) -> bytes:
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass") + b"\n"
