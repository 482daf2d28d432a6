"""What a world may say to the database itself: it may read. Everything else would escape the journal.

A world's rows lead to its ORM session, and that to the connection. So while a
world can reach it, a connection is watched, and only the engine's own writing,
which takes images for the journal, is let through.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Select, event
from sqlalchemy.sql import CompoundSelect

WATCHED = "watched"
"""Where a connection's `info` says so."""

_READS = re.compile(r"\s*(select|values|with)\b", re.IGNORECASE)
_WRITES = re.compile(
    r";\s*\S|\b(alter|attach|call|copy|create|delete|do|drop|grant|insert|into|merge|replace|truncate|update|vacuum)\b",
    re.IGNORECASE,
)


def guard(engine: Engine) -> None:
    """Have an engine's connections refuse what would escape the journal, while they are watched."""
    event.listen(engine, "before_cursor_execute", _check_statement)
    event.listen(engine, "commit", _refuse_ending)
    event.listen(engine, "rollback", _refuse_ending)


def watch(connection: Connection) -> None:
    """Watch a connection from here on: a world can reach it."""
    connection.info[WATCHED] = True


def unwatch(connection: Connection) -> None:
    """Watch it no longer: the world is done."""
    if _watched(connection):
        del connection.info[WATCHED]


def _watched(connection: Connection) -> bool:
    """Whether a connection is watched. One that was cut has no `info`, and can write nothing either."""
    return not connection.invalidated and WATCHED in connection.info


@contextmanager
def journaled(connection: Connection) -> Iterator[None]:
    """Let the engine write: what it writes in this block, the journal knows."""
    watched = _watched(connection)
    unwatch(connection)
    try:
        yield
    finally:
        if watched and not connection.invalidated:
            watch(connection)


def _check_statement(
    connection: Connection, cursor: object, statement: str, parameters: object, context: Any, many: bool
) -> None:
    if _watched(connection) and not _only_reads(context, statement):
        raise TypeError(
            f"the statement {statement[:80]!r} would escape the journal; load the rows and change them"
            " (rows(…).where(), add, remove), or read with select(…)"
        )


def _only_reads(context: Any, statement: str) -> bool:
    """Whether a statement is one of SQLAlchemy's selects, or text that has no word of writing in it."""
    compiled = None if context is None else context.compiled
    if compiled is not None and isinstance(compiled.statement, Select | CompoundSelect):
        return not any(getattr(cte.element, "is_dml", False) for cte in compiled.ctes or ())
    return bool(_READS.match(statement)) and not _WRITES.search(statement)


def _refuse_ending(connection: Connection) -> None:
    if _watched(connection):
        raise TypeError("an action is one transaction, which the engine ends; to take everything back, raise Refused")
