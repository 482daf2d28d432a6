"""What the engine's tables are made with: how their keys and indexes are called, large integers, partial indexes."""

from typing import Any

from sqlalchemy import BigInteger, Index, Integer, literal_column, text
from sqlmodel import SQLModel

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


Large = BigInteger().with_variant(Integer(), "sqlite")
"""Integers of 64 bits on every database."""
PART_BITS = 32
"""Of the id of a row of history, what is above so many bits is its part's number; 0 is of the session's own changes."""
_SHIFT: Any = literal_column(str(PART_BITS))  # PostgreSQL shifts by an integer of 32 bits only, as a literal is


def part(id: Any) -> Any:
    """The part that the id of a row of history says.

    Computed: by a bound on the id itself SQLite would read the whole key, whatever else is asked.
    """
    return id.bitwise_rshift(_SHIFT)


def partial_index(where: str, *columns: str, unique: bool = False, name: str | None = None) -> Index:
    """An index of the few rows that fit a condition; two of the same columns need names of their own."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))
