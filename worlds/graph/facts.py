"""What a graph is kept as: one table of facts, each with when it was recorded and when it held.

An entity, an observation, a relation, an alias of a name and a rule about a type
of relations are facts. They name what they are about, so an entity need not
exist to be related; `node` and `target` are numbers that stand for these names,
so that long names can be looked up and graphs walked.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from typing import Any

from sqlmodel import JSON, Column, Field, Index, text

from engine import HistoryRow, Part, Refused


class Kind(StrEnum):
    """What a fact says of its subject."""

    ENTITY = "entity"
    """It is of a type."""
    OBSERVATION = "observation"
    """Something was observed of it: `object` is the text."""
    RELATION = "relation"
    """It is related, by `type`, to `object`."""
    ALIAS = "alias"
    """It is another name of `object`."""
    FUNCTIONAL = "functional"
    """Of relations of this type, which is the subject, an entity has one at a time."""


ENDED, OF_ENTITY = text("until is not null"), text("kind = 'entity'")


_WHETHER_ENTITY = ("session_id", "node", "id", "since", "until", "valid_from", "valid_to")
"""All that says whether there is an entity: the index answers by itself."""


class Fact(HistoryRow, table=True):
    """One thing that was told. It held from `valid_from` on and before `valid_to`: UTC, null where that is open."""

    __tablename__ = "graph__fact"
    __search__ = "words"
    __table_args__ = (
        Index(None, "session_id", "node", "kind", "target"),
        Index(None, "session_id", "target", "kind"),
        Index(None, "session_id", "kind", "type", "id", "since"),
        Index("ix_graph__fact_entity", *_WHETHER_ENTITY, sqlite_where=OF_ENTITY, postgresql_where=OF_ENTITY),
        Index(None, "session_id", "since"),
        Index(None, "session_id", "until", sqlite_where=ENDED, postgresql_where=ENDED),
    )
    kind: str
    subject: str
    type: str = ""
    object: str = ""
    node: int
    target: int
    valid_from: str | None = None
    valid_to: str | None = None
    weight: float | None = None
    attributes: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    source: str | None = None
    words: str = ""


class Import(Part, table=True):
    """A file that was taken in as a whole: while it stands, so do the facts that were written ahead of it."""

    __tablename__ = "graph__import"
    format: str
    source: str | None = None
    facts: int


def node(name: str) -> int:
    """The number that stands for a name: 64 bits of its hash, signed."""
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


def nth(number: int) -> str:
    """The type of what was observed of the first, second … of the entities that were told of by one name at once."""
    return "" if number == 1 else str(number)


def words(*texts: str) -> str:
    """The words of texts as they are searched: folded, without accents, with a space between each two.

    Scripts that are written without spaces have a word for each character. What a database's index would not hold is
    left out: what comes after `MOST_BYTES`, and a word where it was there `OFTEN` times already.
    """
    text = " ".join(texts)
    parts = _ASCII.findall(text.lower()) if text.isascii() else _word().findall(_bare(text))
    found = [word[:WORD] for word in parts]
    return " ".join(found if len(found) <= OFTEN else _within_bounds(found))


def _bare(text: str) -> str:
    """A text folded, without accents, and without the vowel signs that Hebrew and Arabic may leave out."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFC", "".join(char for char in folded if unicodedata.combining(char) not in _ACCENTS))


@cache
def _word() -> re.Pattern[str]:
    """What is a word: letters and digits with the marks that belong to them, as in Hindi and Thai."""
    marks = "".join(char for char in map(chr, range(0x300, 0x20000)) if unicodedata.category(char) in ("Mn", "Mc"))
    return re.compile(rf"(?=[{_ALONE}])[^\W_]|(?:(?![{_ALONE}])[^\W_][{marks}]*)+")


def _within_bounds(found: list[str]) -> Iterator[str]:
    often, size = Counter[str](), 0
    for word in found:
        often[word] += 1
        size += len(word.encode()) + EACH
        if size > MOST_BYTES:
            return
        if often[word] <= OFTEN:
            yield word


WORD = 64
"""Characters of a word that count."""
OFTEN = 250
"""How often a word counts in one text: PostgreSQL keeps 255 places of each."""
EACH = 30
"""Bytes that an index needs for a word beside its letters, at most."""
MOST_BYTES = 500_000
"""Bytes of words, and of what the index needs for each: PostgreSQL keeps 1 MiB, and 16,383 places."""
LONGEST_TYPE = 500
"""Characters of a type: an index holds it."""
LONGEST_SOURCE = 2_000
"""Characters of a source: each fact that came from it has it."""
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_ASCII = re.compile("[a-z0-9]+")
_ACCENTS = frozenset({*range(10, 36), *range(200, 256)})
"""Combining classes: of marks above and below letters, and of signs that may be left out."""


def entity(name: str, type: str, /, **more: Any) -> dict[str, Any]:
    """The fact that there is an entity of that name and type."""
    return _fact(Kind.ENTITY, name, type=type, words=words(name, type), **more)


def observation(name: str, text: str, /, **more: Any) -> dict[str, Any]:
    """The fact that something was observed of an entity."""
    return _fact(Kind.OBSERVATION, name, object=text, words=words(text), **more)


def relation(source: str, type: str, target: str, /, **more: Any) -> dict[str, Any]:
    """The fact that one thing is related to another."""
    return _fact(Kind.RELATION, source, type=type, object=target, **more)


def alias(name: str, of: str, /, **more: Any) -> dict[str, Any]:
    """The fact that a name is another name of an entity."""
    return _fact(Kind.ALIAS, name, object=of, words=words(name), **more)


def functional(type: str, **more: Any) -> dict[str, Any]:
    """The rule that an entity has one relation of that type at a time."""
    return _fact(Kind.FUNCTIONAL, type, **more)


def identity(fact: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two facts have in common that say the same of the same time."""
    return tuple(fact.get(name) for name in ("kind", "node", "type", "target", "valid_from", "valid_to"))


def _fact(kind: Kind, subject: str, *, type: str = "", object: str | None = None, **more: Any) -> dict[str, Any]:
    _insist_on_kept(subject, type, object or "")
    return {
        "kind": kind.value,
        "subject": subject,
        "type": type,
        "object": object or "",
        "node": node(subject),
        "target": 0 if object is None else node(object),
        **more,
    }


def _insist_on_kept(subject: str, type: str, object: str) -> None:
    """Insist on texts that any database keeps, and on types that it finds facts by. Raises Refused."""
    if "\0" in subject or "\0" in type or "\0" in object:
        raise Refused("nul_character", "A name, type or text holds the character NUL (\\u0000), which is not kept.")
    if len(type) > LONGEST_TYPE:
        raise Refused(
            "type_too_long",
            f"A type has {len(type):,} characters; at most {LONGEST_TYPE} are kept. What is longer is an observation.",
        )
