"""The query language of search: words, "phrases", AND, OR, NOT, prefix*, type:… and rel:…, as a tree.

Words side by side are as if AND stood between them; NOT binds most, then AND, then OR. What is wrong is refused with
its place, counted from 1, and with what would be right.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn, TypeAlias

from engine import Phrase, Prefix, Refused, Word
from worlds.graph.facts import words

LONGEST = 1_000
"""Characters of a query."""
MOST_TERMS = 32
"""Words, phrases and filters in a query."""
DEEPEST = 50
"""Parentheses and NOTs within each other."""
EXAMPLE = 'Write words, "a phrase", pre*, type:person, rel:works_at, joined by AND, OR, NOT and parentheses.'


@dataclass(frozen=True, slots=True)
class Typed:
    """Entities of a type."""

    type: str


@dataclass(frozen=True, slots=True)
class Related:
    """Entities with a relation of a type, from them or to them."""

    type: str


@dataclass(frozen=True, slots=True)
class All:
    """Entities that are in all of these sets."""

    of: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Entities that are in any of these sets."""

    of: tuple["Query", ...]


@dataclass(frozen=True, slots=True)
class Other:
    """All entities that are not in this set."""

    of: "Query"


Leaf: TypeAlias = Word | Prefix | Phrase | Typed | Related
Query: TypeAlias = Leaf | All | Some | Other

_TOKEN = re.compile(
    r"""(?P<space>\s+) | (?P<open>\() | (?P<close>\))
    | (?P<minus>-(?=[^\s)-]))
    | (?P<field>[A-Za-z]+):(?P<value>"[^"]*"|[^\s()"]*)
    | (?P<phrase>"[^"]*")(?P<star>\*?)
    | (?P<quote>")
    | (?P<text>[^\s()"]+)""",
    re.VERBOSE,
)
_FIELDS = ("type", "rel")
_OPERATORS = ("AND", "OR", "NOT")


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a query: what kind, at which place, and what it says."""

    kind: str
    at: int
    text: str
    leaf: Leaf | None = None


def parsed(query: str) -> Query:
    """A query as a tree. Raises Refused."""
    if len(query) > LONGEST:
        _refuse(f"has {len(query):,} characters; at most {LONGEST:,} are read", 1)
    tokens = [*_tokens(query)]
    if not tokens:
        raise Refused("query", "The query names nothing to look for.", hint=EXAMPLE)
    if sum(token.kind == "leaf" for token in tokens) > MOST_TERMS:
        _refuse(f"has more than {MOST_TERMS} words, phrases and filters", tokens[-1].at)
    parser = _Parser(tokens, len(query) + 1)
    tree = parser.either()
    if (left := parser.next()) is not None:
        _refuse("closes a parenthesis that was never opened", left.at)
    return tree


def words_of(leaf: Leaf) -> tuple[str, ...]:
    """The words of a term; none of a type."""
    match leaf:
        case Word(text) | Prefix(text):
            return (text,)
        case Phrase(words):
            return words
    return ()


def leaves(tree: Query) -> Iterator[Leaf]:
    """The words, phrases and filters of a query, from left to right."""
    match tree:
        case All(of) | Some(of):
            for part in of:
                yield from leaves(part)
        case Other(part):
            yield from leaves(part)
        case _:
            yield tree


class _Parser:
    """Reads tokens from left to right, one look ahead."""

    def __init__(self, tokens: list[Token], end: int) -> None:
        self._tokens, self._at, self._end, self._depth = tokens, 0, end, 0

    def next(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def either(self) -> Query:
        parts = [self._both()]
        while self._took("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else Some(tuple(parts))

    def _both(self) -> Query:
        parts = [self._one()]
        while (token := self.next()) is not None and token.kind not in ("OR", "close"):
            self._took("AND")
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _one(self) -> Query:
        token = self.next()
        if token is None:
            _refuse("ends where a word, a phrase or a filter would be next", self._end)
        self._at += 1
        if token.leaf is not None:
            return token.leaf
        if token.kind not in ("NOT", "minus", "open"):
            _refuse(f"has {token.text} where a word, a phrase or a filter would be", token.at)
        self._depth += 1
        if self._depth > DEEPEST:
            _refuse(f"has more than {DEEPEST} parentheses and NOTs within each other", token.at)
        inner = self._bracketed(token) if token.kind == "open" else Other(self._one())
        self._depth -= 1
        return inner

    def _bracketed(self, opened: Token) -> Query:
        inner = self.either()
        if not self._took("close"):
            _refuse("opens a parenthesis that is never closed", opened.at)
        return inner

    def _took(self, kind: str) -> bool:
        token = self.next()
        if token is None or token.kind != kind:
            return False
        self._at += 1
        return True


def _tokens(query: str) -> Iterator[Token]:
    at = 0
    while at < len(query):
        found = _TOKEN.match(query, at)
        assert found is not None and found.end() > at  # every character begins a token
        if found["quote"]:
            _refuse("opens a quotation mark that is never closed", at + 1)
        if not found["space"]:
            yield _token(found, at + 1)
        at = found.end()


def _token(found: re.Match[str], at: int) -> Token:
    for kind in ("open", "close", "minus"):
        if found[kind]:
            return Token(kind, at, found[kind])
    if found["field"] and found["field"].lower() in _FIELDS:
        return Token("leaf", at, found[0], _filter(found, at))
    if found[0] in _OPERATORS:
        return Token(found[0], at, found[0])
    return Token("leaf", at, found[0], _words(found[0], at))


def _filter(found: re.Match[str], at: int) -> Leaf:
    value, name = found["value"].strip('"'), found["field"].lower()
    if not value:
        _refuse(f'has {name}: without what it is to be, such as {name}:person or {name}:"two words"', at)
    return Typed(value) if name == "type" else Related(value)


def _words(text: str, at: int) -> Leaf:
    """A word, or where there are several in it, as in well-known, these in a row; with * at the end, what begins so."""
    parts = tuple(words(text).split())
    if not parts:
        _refuse(f"has {text!r}, in which there is no letter or digit", at)
    if not text.endswith("*"):
        return Word(parts[0]) if len(parts) == 1 else Phrase(parts)
    if len(parts) > 1:
        _refuse(f"has {text!r}; an asterisk may follow one word, such as dog*", at)
    return Prefix(parts[0])


def _refuse(wrong: str, at: int) -> NoReturn:
    raise Refused("query", f"The query {wrong} (at character {at}).", hint=EXAMPLE)
