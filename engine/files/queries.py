"""SQL of an operator's own on a copy of one session: it reads, within limits of time and rows, and nothing else."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Refused
from engine.store.sqlite import SQLITE
from engine.types import Json

ROWS = 1_000
"""Rows of an answer, unless otherwise asked for."""
STEPS = 1_000
"""Instructions of SQLite from one look at the clock to the next."""

_READS = frozenset({SQLITE.SQLITE_SELECT, SQLITE.SQLITE_READ, SQLITE.SQLITE_RECURSIVE})
_PRAGMAS = frozenset({"foreign_key_list", "index_info", "index_list", "table_info", "table_list", "table_xinfo"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What a query gave: names of columns, rows, and whether there would have been more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Json, ...], ...]
    cut: bool


def ask(path: Path, statement: str, *, limit: int, seconds: float) -> Answer:
    """What a statement gives on a session file. Raises Refused: sql_error, not_read_only, too_slow."""
    with closing(SQLITE.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        for pragma in ("query_only = on", "trusted_schema = off"):
            connection.execute(f"pragma {pragma}")
        until = time.monotonic() + seconds
        connection.set_progress_handler(lambda: time.monotonic() > until, STEPS)
        denied: list[int] = []
        connection.set_authorizer(lambda *asked: _authorized(denied, *asked))
        with _explained(denied, seconds):
            cursor: Any = connection.execute(statement)
            rows = cursor.fetchmany(limit + 1)
        if cursor.description is None:
            raise Refused("sql_error", "The statement gives nothing.", hint="Write one that begins with select.")
        columns = tuple(column[0] for column in cursor.description)
        return Answer(columns, tuple(tuple(map(_plain, row)) for row in rows[:limit]), len(rows) > limit)


def _authorized(denied: list[int], action: int, first: str | None, second: str | None, *_: object) -> int:
    """What SQLite may do for a statement, asked while it compiles it."""
    if (
        action in _READS
        or (action == SQLITE.SQLITE_FUNCTION and second != "load_extension")
        or (action == SQLITE.SQLITE_PRAGMA and first in _PRAGMAS)
    ):
        return int(SQLITE.SQLITE_OK)
    denied.append(action)
    return int(SQLITE.SQLITE_DENY)


@contextmanager
def _explained(denied: list[int], seconds: float) -> Iterator[None]:
    try:
        yield
    except (SQLITE.Error, SQLITE.Warning, ValueError) as error:
        if denied:
            raise Refused(
                "not_read_only", "This statement would do more than read.", hint="Write one that begins with select."
            ) from error
        if "interrupted" in str(error):
            raise Refused(
                "too_slow",
                f"The statement took longer than {seconds:g} seconds, and was stopped.",
                hint="Ask for less, or export the session and ask the file.",
            ) from error
        raise Refused(
            "sql_error",
            f"SQLite cannot run this: {error}.",
            hint="`select name, sql from sqlite_master` shows the tables; only this session's rows are in them.",
        ) from error


def _plain(value: Any) -> Json:
    return value.hex() if isinstance(value, bytes) else value
