"""Copies of the database and of sessions that still hold data of somebody, as far as they lie beside the database."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from engine.auth.people.naming import Who
from engine.files.writing import owner_hash
from engine.store.sqlite import SQLITE

DATABASE, DUMP = b"SQLite format 3\0", b"PGDMP"
"""How files of SQLite and of pg_dump's custom format begin."""


def holding(folder: Path, own: Path | None, who: Who) -> list[Path]:
    """The files in a folder, but for the database itself, that hold data of a person; those that cannot be read, too.

    A dump of PostgreSQL is compressed and not looked into.
    """
    return [file for file in _files(folder, own) if _holds(file, who)]


def _files(folder: Path, own: Path | None) -> Iterator[Path]:
    """The files. The database's own are not even opened: to close one would end the locks this process has on it."""
    companions = () if own is None else (f"{own.name}-", f"{own.resolve().name}-")
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        is_own = own is not None and file.samefile(own)
        if file.is_file() and not is_own and not file.name.startswith(companions):
            yield file


def _holds(file: Path, who: Who) -> bool:
    try:
        with file.open("rb") as opened:
            beginning = opened.read(len(DATABASE))
    except OSError:
        return True
    return beginning.startswith(DUMP) or (beginning == DATABASE and _names(file, who))


def _names(file: Path, who: Who) -> bool:
    """Whether a database, or a session's file, says who somebody is."""
    try:
        with closing(SQLITE.connect(f"file:{quote(str(file.resolve()))}?mode=ro&immutable=1", uri=True)) as copy:
            columns = {row[1] for row in copy.execute("pragma table_info(person)")}
            if {"issuer", "subject"} <= columns:
                wanted = "select 1 from person where issuer = ? and subject = ?"
                return copy.execute(wanted, (who.issuer, who.subject)).fetchone() is not None
            if not columns:
                return False
            if who.name and copy.execute("select 1 from person where name = ?", (who.name,)).fetchone() is not None:
                return True
            handle, owner = copy.execute("select handle, owner from turnkeeper").fetchone()
            return bool(owner == owner_hash(handle, who.issuer, who.subject))
    except SQLITE.Error:
        return True
