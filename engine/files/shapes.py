"""What the tables of a session file are: the fixed ones, and a world's, as SQL and back.

The SQL of a file's tables is always what `Shape.sql` says, so that a file can
be held to it word for word: no trigger, view, default or expression fits in.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Boolean, Column, Date, DateTime, Enum, Float, Integer, String, Time, TypeDecorator, Uuid
from sqlalchemy.types import TypeEngine
from sqlmodel import SQLModel

from engine.models import table_of
from engine.types import Json

TEXT, INTEGER, REAL, BOOLEAN, JSON = KINDS = ("TEXT", "INTEGER", "REAL", "BOOLEAN", "JSON TEXT")
"""Types of columns; `JSON TEXT` holds JSON, and says TEXT so that SQLite leaves it as it is."""

_VALUES = {TEXT: str, INTEGER: int, REAL: float, BOOLEAN: bool}


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """A foreign key, for those who look at the file: Datasette makes links of them."""

    columns: tuple[str, ...]
    table: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """A table of a session file: its columns with their kinds, its key, and what refers elsewhere."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def sql(self) -> str:
        """The statement that makes it."""
        lines = [f"{quoted(name)} {kind}" for name, kind in self.columns]
        lines += [f"PRIMARY KEY ({_listed(self.key)})"] if self.key else []
        lines += [
            f"FOREIGN KEY ({_listed(found.columns)}) REFERENCES {quoted(found.table)} ({_listed(found.keys)})"
            for found in sorted(self.references)
        ]
        return f"CREATE TABLE {quoted(self.name)} (\n    " + ",\n    ".join(lines) + "\n)"

    @property
    def insertion(self) -> str:
        """The statement that adds a row."""
        names = _listed(tuple(name for name, _ in self.columns))
        return f"insert into {quoted(self.name)} ({names}) values ({', '.join('?' * len(self.columns))})"

    @property
    def selection(self) -> str:
        """The statement that gives the rows, as they were added."""
        return f"select {_listed(tuple(name for name, _ in self.columns))} from {quoted(self.name)} order by rowid"

    def row(self, image: dict[str, Json]) -> tuple[Any, ...]:
        """An image as values of this table."""
        return tuple(encoded(kind, image.get(name)) for name, kind in self.columns)

    def image(self, row: tuple[Any, ...]) -> dict[str, Json]:
        """The image that values of this table stand for. Raises ValueError."""
        return {name: decoded(kind, value) for (name, kind), value in zip(self.columns, row, strict=True)}


FILE = Shape(
    "turnkeeper",
    (
        ("world", TEXT),
        ("world_version", INTEGER),
        ("handle", TEXT),
        ("revision", INTEGER),
        ("exported_at", TEXT),
        ("turnkeeper", TEXT),
        ("shared", JSON),
        ("owner", TEXT),
        ("digest", TEXT),
    ),
)
"""One row: what the file is.

`turnkeeper` is the version that wrote it, `shared` the tables of copies of
shared rows, `owner` and `digest` are hashes.
"""

PERSON = Shape("person", (("id", INTEGER), ("name", TEXT)), ("id",))
"""Who acted, by numbers of this file alone."""

SESSION = Shape(
    "session",
    (
        ("handle", TEXT),
        ("world", TEXT),
        ("version", INTEGER),
        ("owner", INTEGER),
        ("state", TEXT),
        ("data", JSON),
        ("revision", INTEGER),
        ("undo_top", INTEGER),
        ("redo_top", INTEGER),
        ("forked_from", TEXT),
        ("forked_at", INTEGER),
        ("created_at", TEXT),
        ("updated_at", TEXT),
        ("ended_at", TEXT),
        ("floor", INTEGER),
    ),
    ("handle",),
    (Reference(("owner",), "person", ("id",)),),
)
"""One row: the session as it was when the file was made."""

JOURNAL = Shape(
    "journal",
    (
        ("revision", INTEGER),
        ("action", TEXT),
        ("arguments", JSON),
        ("by", INTEGER),
        ("at", TEXT),
        ("state", TEXT),
        ("result", JSON),
        ("data", JSON),
        ("rows", JSON),
        ("shared", JSON),
        ("seed", TEXT),
        ("version", INTEGER),
        ("target", INTEGER),
        ("below", INTEGER),
        ("adopted", INTEGER),
        ("timers", JSON),
        ("client", TEXT),
    ),
    ("revision",),
    (Reference(("by",), "person", ("id",)),),
)
"""What happened, oldest first."""

JOURNAL_1 = replace(JOURNAL, columns=JOURNAL.columns[:-2])
"""The same of a session that never waited for anything and knows no clients, as all were at first."""

SNAPSHOT = Shape("snapshot", (("row_set", INTEGER), ("table", TEXT), ("row", JSON)))
"""Rows that the session no longer shows, for the revisions at which it did: `journal.adopted` names row sets."""

FORMATS = {
    1: (FILE, PERSON, SESSION, JOURNAL_1, SNAPSHOT),
    2: (FILE, PERSON, SESSION, JOURNAL, SNAPSHOT),
}
"""The fixed tables by the number of the file's format. The lowest is written that holds it all, for older readers."""


def shape_of(model: type[SQLModel]) -> Shape:
    """A world's table as a file has it: without the session."""
    table = table_of(model)
    references = []
    for constraint in table.foreign_key_constraints:
        pairs = [(element.parent.name, element.column.name) for element in constraint.elements]
        kept = [(here, there) for here, there in pairs if here != "session_id"]
        if kept:
            here, there = zip(*kept, strict=True)
            references.append(Reference(here, constraint.referred_table.name, there))
    return Shape(
        table.name,
        tuple((column.name, _kind(column)) for column in table.columns if column.name != "session_id"),
        tuple(column.name for column in table.primary_key if column.name != "session_id"),
        tuple(references),
    )


def shape_in(connection: Any, name: str) -> Shape:
    """A table as it is in a file."""
    columns = connection.execute(
        "select name, type, pk from pragma_table_xinfo(?) where hidden = 0 order by cid", (name,)
    ).fetchall()
    key = sorted((place, column) for column, _, place in columns if place)
    return Shape(
        name,
        tuple((column, kind) for column, kind, _ in columns),
        tuple(column for _, column in key),
        tuple(_references_in(connection, name)),
    )


def quoted(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def encoded(kind: str, value: Json) -> Any:
    """A JSON value in a column of some kind. Raises TypeError."""
    if value is None:
        return None
    if kind == JSON:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if not isinstance(value, _VALUES[kind]) or (kind == INTEGER and isinstance(value, bool)):
        raise TypeError(f"a column of {kind} cannot hold {value!r}")
    return value


def decoded(kind: str, value: Any) -> Json:
    """The JSON value in a column of some kind. Raises ValueError."""
    if value is None:
        return None
    if kind == JSON and isinstance(value, str):
        return parsed_json(value)
    if kind == BOOLEAN and value in (0, 1):
        return bool(value)
    if kind == BOOLEAN or not isinstance(value, _VALUES.get(kind, ())):
        raise ValueError(f"a column of {kind} holds {value!r:.60}")
    return value


def parsed_json(text: str) -> Json:
    """What JSON text says. Raises ValueError, also where it is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None


def _kind(column: "Column[Any]") -> str:
    """What holds a column's images: JSON where the type alone does not tell."""
    declared: Any = column.type
    if isinstance(declared, TypeDecorator) and type(declared).__module__.startswith("sqlmodel."):
        declared = declared.impl_instance
    if isinstance(declared, Enum):
        values = [member.value for member in declared.enum_class or ()]
        texts, numbers = (all(isinstance(value, kind) for value in values) for kind in (str, int))
        return TEXT if texts else INTEGER if numbers else JSON
    return next((kind for types, kind in _KINDS_OF if isinstance(declared, types)), JSON)


_KINDS_OF: tuple[tuple[tuple[type[TypeEngine[Any]], ...], str], ...] = (
    ((Boolean,), BOOLEAN),
    ((Integer,), INTEGER),
    ((Float,), REAL),
    ((String, DateTime, Date, Time, Uuid), TEXT),
)


def _references_in(connection: Any, name: str) -> Iterator[Reference]:
    found: dict[int, list[tuple[str, str, str]]] = {}
    rows = connection.execute(
        'select id, "table", "from", "to" from pragma_foreign_key_list(?) order by id, seq', (name,)
    )
    for number, table, here, there in rows:
        found.setdefault(number, []).append((table, here, str(there)))
    for parts in found.values():
        yield Reference(tuple(here for _, here, _ in parts), parts[0][0], tuple(there for _, _, there in parts))


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(quoted, names))
