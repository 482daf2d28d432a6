"""What words a searched table has, and which of them very many rows have: asked of the index alone."""

import json
import sys
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, Table, text

from engine.store.matching import Told, written
from engine.terms import Term

AT_ONCE = 500
"""Terms that one statement counts."""
BEGINNING, MANY, LISTED = 2, 50, 3_000
"""Of so many words that begin with the same letters all that begin so are listed, if that is no more than this."""


def common(connection: Connection, of: Table, told: Told, terms: Sequence[Term], most: int) -> frozenset[Term]:
    """Which of some terms more than `most` rows have, or had, that were told."""
    for count in _COUNTS[connection.dialect.name]:
        each = (terms[at : at + AT_ONCE] for at in range(0, len(terms), AT_ONCE))
        had = [rows for some in each for rows in _had(connection, count, of, told, some, most)]
        terms = [term for term, rows in zip(terms, had, strict=True) if rows > most]
    return frozenset(terms)


def _had(connection: Connection, count: str, of: Table, told: Told, terms: Sequence[Term], most: int) -> Sequence[int]:
    """How many rows have each of some terms, up to one more than `most`."""
    sought = {f"t{at}": written(connection.dialect.name, told.row_set, term) for at, term in enumerate(terms)}
    given = {"row_set": told.row_set, "at": told.at, "parts": json.dumps([0, *told.parts]), "most": most + 1}
    each = ", ".join(count.format(of=of.name, term=f":{name}") for name in sought)
    return connection.execute(text(f"select {each}"), {**given, **sought}).one()


def known(connection: Connection, of: Table, row_set: int, words: Collection[str]) -> frozenset[str]:
    """Which of these words the rows of a row set have, or had."""
    asked = {f"{row_set}_{word}": word for word in words}
    there, left = _listed(connection, of, asked) if connection.dialect.name == "sqlite" else (set[str](), [*asked])
    statement = text(_KNOWN[connection.dialect.name].format(of=of.name))
    there.update(connection.execute(statement, {"words": json.dumps(left)}).scalars() if left else ())
    return frozenset(asked[word] for word in there)


def _listed(connection: Connection, of: Table, asked: Iterable[str]) -> tuple[set[str], list[str]]:
    """Which words FTS5's index has, and those that are to be looked up, each by itself.

    Many that begin alike are found in the list of what the index has that begins so: a word of it takes 1 µs, while
    looking one up takes 20.
    """
    alike: dict[str, set[str]] = {}
    for word in asked:
        alike.setdefault(word[: word.index("_") + 1 + BEGINNING], set()).add(word)
    there, left = set[str](), list[str]()
    for beginning, some in alike.items():
        listed = _beginning(connection, of, beginning) if len(some) >= MANY else None
        if listed is None:
            left += some
        else:
            there |= some.intersection(listed)
    return there, left


def _beginning(connection: Connection, of: Table, beginning: str) -> Sequence[str] | None:
    """The words that FTS5's index has that begin so; None if these are too many."""
    statement = text(_LIST.format(of=of.name))
    bounds = {"first": beginning, "last": beginning + chr(sys.maxunicode), "most": LISTED + 1}
    listed = connection.execute(statement, bounds).scalars().all()
    return listed if len(listed) <= LISTED else None


_KNOWN = {
    "sqlite": """select value from json_each(:words)
        where exists (select 1 from "{of}__words" where "{of}__words" match '"' || value || '"')""",
    "postgresql": """select value from json_array_elements_text(cast(:words as json)) as each (value)
        where exists (select 1 from "{of}__words" where words @@ cast('''' || value || '''' as tsquery))""",
}
_LIST = """select term from "{of}__vocab" where term >= :first and term < :last limit :most"""
_COUNTS = {
    "sqlite": (
        # How many rows there are at most, the index says by itself.
        """(select count(*) from (select 1 from "{of}__words" where "{of}__words" match {term} limit :most))""",
        """(select count(*) from (select 1 from "{of}__words" as had cross join "{of}__document" as document
            where "{of}__words" match {term} and document.docid = had.rowid and document.since <= :at
                and document.id >> 32 in (select value from json_each(:parts)) limit :most))""",
    ),
    "postgresql": (
        """(select count(*) from (select 1 from "{of}__words"
            where words @@ cast({term} as tsquery) and session_id + 0 = :row_set and since + 0 <= :at and id >> 32 in
                (select cast(value as bigint) from json_array_elements_text(cast(:parts as json)) as each (value))
            limit :most) as had)""",
    ),
}
"""Statements that count what has a term, each of what the one before left open."""
