"""Opening a session file that anybody may have made: whether it is one, is whole, and holds nothing else."""

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from engine.copying import paced
from engine.errors import NotFound, Refused
from engine.files.shapes import BOOLEAN, FILE, FORMATS, INTEGER, JSON, KINDS, REAL, TEXT, Shape, quoted, shape_in
from engine.files.writing import APPLICATION_ID, digest_of
from engine.store.sqlite import SQLITE
from engine.types import Json

MAGIC = b"SQLite format 3\0"
SECONDS = 60.0
"""How long looking a file through may take."""
STEPS = 10_000
"""Instructions of SQLite from one look at the clock to the next."""
CELL = 64 * 1024 * 1024
"""Bytes of a single value at most."""


@dataclass(frozen=True, slots=True)
class SessionFile:
    """An open session file that is what it should be: of a known format, whole, plain, and as it was written."""

    path: Path
    connection: Any
    about: dict[str, Json]
    worlds: dict[str, Shape]
    """The world's tables, by name."""
    journal: Shape
    """The journal's, which is not the same in each format."""

    def rows(self, shape: Shape) -> Iterator[tuple[Any, ...]]:
        """The rows of a table as SQLite has them, a little at a time."""
        return paced(self.connection.execute(shape.selection))

    def one(self, statement: str) -> Any:
        """The single value that a statement gives."""
        return self.connection.execute(statement).fetchone()[0]


@contextmanager
def open_file(path: Path) -> Iterator[SessionFile]:
    """A session file, looked through. Raises NotFound; Refused: foreign_file, newer_file, damaged_file."""
    _check_header(path)
    connection: Any = SQLITE.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
    try:
        with explaining(path):
            for pragma in ("trusted_schema = off", "cell_size_check = on", "mmap_size = 0", "query_only = on"):
                connection.execute(f"pragma {pragma}")
            _limit_time(connection)
            if (said := connection.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
                raise damaged(path, str(said).strip())
            fixed = FORMATS[connection.execute("pragma user_version").fetchone()[0]]
            found = SessionFile(
                path,
                connection,
                worlds=_plain_tables(path, connection, fixed),
                about=_about(path, connection),
                journal=next(shape for shape in fixed if shape.name == "journal"),
            )
            connection.set_progress_handler(None, 0)
        yield found
    finally:
        connection.close()


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Have what SQLite, a model or a value says against a file raised as Refused: damaged_file."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise damaged(path, f"{error.title}.{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except SQLITE.ProgrammingError:
        raise
    except (SQLITE.Error, SQLITE.Warning, OverflowError, ValueError, TypeError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, what: str) -> Refused:
    """The refusal of a file that is not as it was written."""
    return Refused(
        "damaged_file",
        f"{path} is damaged: {what}.",
        hint="Export the session again, or take another copy of the file. Nothing was changed.",
    )


def newer(path: Path, what: str, here: str) -> Refused:
    """The refusal of a file that a newer version wrote."""
    return Refused(
        "newer_file",
        f"{path} was written by {what}; here is {here}.",
        hint="Install the newer one. Nothing was changed.",
    )


def _check_header(path: Path) -> None:
    """Insist on what SQLite puts into the first bytes (sqlite.org/fileformat.html, 1.3)."""
    try:
        with path.open("rb") as file:
            header, size = file.read(100), os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise Refused("foreign_file", f"{path} cannot be read: {error.strerror}.") from None
    if not header.startswith(MAGIC) or len(header) < 100:
        raise _foreign(path)
    (version,), (application,) = struct.unpack(">i", header[60:64]), struct.unpack(">i", header[68:72])
    if application != APPLICATION_ID:
        raise _foreign(path)
    if version > max(FORMATS):
        raise newer(path, f"a newer Turnkeeper: its format is {version}", str(max(FORMATS)))
    if version < 1:
        raise damaged(path, f"its format is {version}")
    page, pages = struct.unpack(">H", header[16:18])[0], struct.unpack(">I", header[28:32])[0]
    if size < pages * (65536 if page == 1 else page):
        raise damaged(path, "its end is missing")


def _foreign(path: Path) -> Refused:
    return Refused(
        "foreign_file",
        f"{path} is no exported session.",
        hint="`turnkeeper export` writes such files. Nothing was changed.",
    )


def _limit_time(connection: Any) -> None:
    until = time.monotonic() + SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)


def _plain_tables(path: Path, connection: Any, fixed: tuple[Shape, ...]) -> dict[str, Shape]:
    """The world's tables, after all were held to the SQL that an export would write."""
    found = {}
    for kind, name, table, sql in connection.execute("select type, name, tbl_name, sql from sqlite_master"):
        if kind == "table":
            found[name] = sql
        elif kind != "index" or sql is not None or table == name:
            raise damaged(path, f"it has a {kind} {name!r:.60}, which no export has")
    shapes = {name: shape_in(connection, name) for name in found}
    for name, sql in found.items():
        if sql != shapes[name].sql or not {kind for _, kind in shapes[name].columns} <= set(KINDS):
            raise damaged(path, f"its table {name!r:.60} is not as an export makes it")
    for shape in fixed:
        if shapes.pop(shape.name, None) != shape:
            raise damaged(path, f"its table {shape.name!r} is not as an export makes it")
    for shape in (*fixed, *shapes.values()):
        _check_types(path, connection, shape)
    return shapes


def _check_types(path: Path, connection: Any, shape: Shape) -> None:
    """Insist that every value is of its column's kind and of a size that can be looked at."""
    tests = [
        f"typeof({quoted(name)}) not in ('null', '{_STORED[kind]}') or length(cast({quoted(name)} as blob)) > {CELL}"
        for name, kind in shape.columns
    ]
    statement = f"select 1 from {quoted(shape.name)} where {' or '.join(tests)} limit 1"
    if connection.execute(statement).fetchone() is not None:
        raise damaged(path, f"its table {shape.name!r:.60} holds what it cannot")


_STORED = {TEXT: "text", JSON: "text", INTEGER: "integer", BOOLEAN: "integer", REAL: "real"}


def _about(path: Path, connection: Any) -> dict[str, Json]:
    rows = connection.execute(FILE.selection).fetchall()
    if len(rows) != 1 or None in rows[0]:
        raise damaged(path, "it does not say what it is")
    about = FILE.image(rows[0])
    if not isinstance(about["shared"], list):
        raise damaged(path, "it does not say which rows are shared")
    if about["digest"] != digest_of(connection):
        raise damaged(path, "its content is not what was exported")
    return about
