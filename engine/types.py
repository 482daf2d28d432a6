"""Values that cross modules: who acts, what happened, what came of it."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from engine.errors import Refused

Json: TypeAlias = Any
"""A JSON value: None, bool, int, float, str, or a list or str-keyed dict of them."""


_COMPACT = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)
"""Made once: `json.dumps` with options makes one each time, which takes as long as a small value's text."""


def dumped(value: Json) -> str:
    """A JSON value as compact text."""
    return _COMPACT.encode(value)


_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """A text from outside as any database keeps it: NUL and half characters are replaced by a sign that says so."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


CLIENT = 100
"""Characters of a client's name that are kept."""


def client_named(*parts: str) -> str | None:
    """How a program calls itself, on one line, cut and without what cannot be printed; None for nothing."""
    text = " ".join(" ".join(parts).split())[:CLIENT]
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text) or None


_DECODER = json.JSONDecoder()
_GAP = re.compile(r"[ \t\n\r]*")


def elements(text: str) -> Iterator[Json]:
    """The elements of a JSON array, one by one: a long text that is parsed at once holds up every other thread.

    Raises ValueError for what is no array.
    """
    at, sign = _after(text, 0, "[")
    if sign == "[" and text[at : at + 1] == "]":
        at, sign = _after(text, at, "]")
    while sign in ("[", ","):
        try:
            value, at = _DECODER.raw_decode(text, at)
        except RecursionError:
            raise ValueError("JSON that is nested too deeply") from None
        yield value
        at, sign = _after(text, at, ",]")
    if sign != "]" or at != len(text):
        raise ValueError(f"no JSON array: {text[:40]!r}")


def _after(text: str, at: int, signs: str) -> tuple[int, str]:
    """Where what comes after the next sign begins, and that sign; none if it is not among `signs`."""
    at = _gap(text, at)
    sign = text[at : at + 1]
    return (_gap(text, at + 1), sign) if sign and sign in signs else (at, "")


def _gap(text: str, at: int) -> int:
    return _GAP.match(text, at).end()  # type: ignore[union-attr]


class Role(StrEnum):
    """What a principal may do with a session: viewer reads, editor acts, owner decides."""

    VIEWER = "viewer"
    EDITOR = "editor"
    OWNER = "owner"

    def covers(self, needed: "Role") -> bool:
        """Whether this role includes `needed`."""
        return _ROLES.index(self) >= _ROLES.index(needed)


_ROLES = tuple(Role)
"""From the one that may do least."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts. `issuer` and `subject` identify; `name` is for display; `scopes` are granted to this call.

    `mail` is an address that their identity provider found to be theirs. A call may be kept to one `world` and its
    sessions, or to one `session`: all else does not exist for it.
    """

    issuer: str
    subject: str
    name: str = ""
    scopes: frozenset[str] = frozenset({"*"})
    operator: bool = False
    """Whether it is the server's operator, who may do with any session what its owner may."""
    mail: str | None = None
    world: str | None = None
    session: str | None = None
    grantable: frozenset[str] = frozenset({"*"})
    """What the client may be granted beside `scopes`, if the person consents."""
    is_known: bool = False
    """Whether there is such a person already, as a token says: none is made of it, lest a deleted one comes back."""
    client: str | None = field(default=None, compare=False)
    """The program that the call came through, by what it calls itself."""

    def allows(self, scope: str) -> bool:
        """Whether the call may use what `scope` guards. `*` grants all."""
        return scope in self.scopes or "*" in self.scopes

    def could_allow(self, scope: str) -> bool:
        """Whether the call may use it, or its client may still be granted it."""
        return self.allows(scope) or scope in self.grantable or "*" in self.grantable

    def reaches(self, world: str, session: str | None = None) -> bool:
        """Whether a world, or a session of it, is within what the call is kept to."""
        return self.session in (None, session) and self.world in (None, world)


LOCAL = Principal(issuer="local", subject="local", name="local user")
"""The person at this machine: stdio, the terminal, and HTTP while authorization is off."""

AT_TERMINAL = replace(LOCAL, client="terminal")
"""The same at the command line."""

OPERATOR = Principal(issuer="local", subject="operator", name="operator", operator=True, client="terminal")
"""Who inspects and administers at the command line."""

TIMER = Principal(issuer="local", subject="timer", name="timer", operator=True)
"""Who acts when a timer is due."""

EFFECT = Principal(issuer="local", subject="effect", name="effect", operator=True)
"""Who acts when an effect has come to its end."""

SEATS = (OPERATOR, TIMER, EFFECT)
"""Who acts here and is no person: nobody signs in as one of them, or has anything shared with them."""

DELETED = Principal(issuer="deleted", subject="", name="a deleted person")
"""Who is in the place of people that were deleted; the subjects are random, and nobody signs in as them."""


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row before and after a change, as JSON objects by column; None where it did not exist."""

    table: str
    before: Mapping[str, Json] | None
    after: Mapping[str, Json] | None

    @property
    def back(self) -> "RowChange":
        """The change that takes this one back."""
        return RowChange(self.table, self.after, self.before)


@dataclass(frozen=True, slots=True)
class Written:
    """Rows that were written ahead and that nobody sees yet: how many, of which part, and at which revision begun.

    Hand it to `self.adopt(…)` in the action.
    """

    part: int
    count: int
    revision: int
    bytes: int = field(repr=False)
    """What the rows weigh, as JSON."""
    session_id: int = field(repr=False)
    rows_id: int = field(repr=False)
    """The row set that they stand in."""
    hidden_id: int = field(repr=False)
    """The row of `session` that keeps them from being lost."""


@dataclass(frozen=True, slots=True)
class Change:
    """One journal entry: something that happened to a session and is durable."""

    session: str
    world: str
    revision: int
    action: str
    arguments: Mapping[str, Json]
    principal: Principal
    at: datetime
    state_before: str | None
    state: str
    rows: tuple[RowChange, ...] = ()
    shared: tuple[RowChange, ...] = ()
    """What became of the rows that all sessions share."""
    undone: int | None = None
    """The revision that this change undid or did again."""
    main_of: int | None = field(default=None, repr=False)
    """The internal id of the person whose main session it is."""
    adopted: bool = False
    """Whether all rows changed at once, for others that were written ahead; `rows` is empty then."""
    parted: tuple[int, ...] = field(default=(), repr=False)
    """The internal ids of the people who may not see the session any more."""
    due_at: str | None = field(default=None, repr=False)
    """When the first of the session's timers is due, ISO 8601."""
    effects: int = field(default=0, repr=False)
    """How many effects it asked for."""
    client: str | None = None
    """The program that it came through, by what it calls itself."""


@dataclass(frozen=True, slots=True)
class Message:
    """One remark on an outcome, in the field's common shape (type, code, content, path, severity)."""

    type: str
    code: str
    content: str
    path: str = "$"
    severity: str = "recoverable"

    def as_json(self) -> dict[str, str]:
        """The wire form; severity is given for errors only."""
        plain = {"type": self.type, "code": self.code, "content": self.content, "path": self.path}
        return plain | ({"severity": self.severity} if self.type == "error" else {})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an accepted call gives: the action's value and the session as it is now."""

    session: str
    world: str
    revision: int
    state: str
    allowed_actions: tuple[str, ...]
    value: Json
    content: tuple[Mapping[str, Json], ...] = ()
    messages: tuple[Message, ...] = ()
    replayed: int | None = None
    """The revision at which a repeated call was first carried out."""
    expired_at: str | None = None
    """When the session expired, if it did: ISO 8601, UTC."""
    change: Change | None = field(default=None, compare=False)
    refused_actions: Mapping[str, Refused] = field(default_factory=dict, compare=False)
    """Where the session was only looked at: the other actions, each with what is against it."""

    @property
    def refusals(self) -> dict[str, Json]:
        """`refused_actions` as JSON: by action the rule, the reason and a hint."""
        return {
            name: {"rule": no.rule, "reason": no.reason, "hint": no.hint} for name, no in self.refused_actions.items()
        }
