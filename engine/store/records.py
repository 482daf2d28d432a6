"""What the engine reads and writes in its own tables, by prepared statements on the driver's connection.

A `Transaction` is one open transaction; its methods are the only statements
the engine runs on the hot path. `rows` gives a world's ORM session on it.
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Literal

from sqlalchemy import Connection, Executable, Table
from sqlalchemy.exc import ArgumentError, CompileError, DBAPIError, StatementError
from sqlmodel import Session as DbSession

from engine.errors import LimitExceeded, StoreError, Unauthenticated
from engine.keys import Keys
from engine.limits import DEFAULT, Limits
from engine.store import raw
from engine.store.bulk import insert_many
from engine.store.memory import Memory
from engine.types import DELETED, Principal, Role

_SIZES = (1, 10, 200)
"""How many values a statement takes where their number varies: few sizes, since each is prepared."""

logger = logging.getLogger(__name__)

Execute = Callable[..., Any]
"""Runs one statement with its values, and gives a cursor."""
_ACCESS_TOKEN = (
    "select issuer, subject, person.name, mail, token.scope, token.resource, token.expires_at,"
    " client.scope, oauth_grant.redirect_uri is not null, coalesce(nullif(client.name, ''), client.id)"
    " from token join person on person.id = token.person_id"
    " left join oauth_grant on oauth_grant.id = token.grant_id left join client on client.id = oauth_grant.client_id"
    f" where token.hash = ? and ended_at is null and issuer <> '{DELETED.issuer}'"
)
_PLAIN = 64
"""Characters of a secret that is not sealed."""
_SEALED = (("secret", "name", "value"), ("webhook", "id", "secrets"))
"""What is sealed under the keys: table, key, column."""
Dialect = Literal["sqlite", "postgresql"]


@dataclass(slots=True)
class Record:
    """A session's row, as read; the dispatcher changes it and `save` writes it."""

    id: int
    handle: str
    world: str
    version: int
    owner_id: int
    main_of: int | None
    state: str
    data: str | None
    revision: int
    undo_top: int | None
    redo_top: int | None
    forked_from: str | None
    forked_at: int | None
    created_at: str
    updated_at: str
    ended_at: str | None
    rows_id: int | None
    hidden: str | None
    floor: int
    stored: int
    timers: str | None
    due_at: str | None
    copied_to: int

    @property
    def rows_at(self) -> int:
        """The row set that the session shows: the id under which its rows stand."""
        return self.id if self.rows_id is None else self.rows_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A journal row."""

    session_id: int
    revision: int
    action: str
    arguments: str
    person_id: int
    key: str | None
    version: int
    result: str
    state: str
    data: str | None
    rows: str | None
    seed: str | None
    target: int | None
    below: int | None
    at: str
    adopted: int | None = None
    shared: str | None = None
    timers: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """What a journal row says of rows, and the world's version that wrote it."""

    revision: int
    version: int
    rows: str


@dataclass(frozen=True, slots=True)
class ConnectionRecord:
    """A legacy connection and what it subscribes to."""

    id: str
    person_id: int
    endpoint: str
    parameters: str
    uris: tuple[str, ...]


_SESSION = ", ".join(f"session.{field.name}" for field in fields(Record))
_ENTRY = ", ".join(field.name for field in fields(Entry))
_SAVE = (
    "update session set main_of = ?, state = ?, data = ?, version = ?, revision = ?, undo_top = ?, redo_top = ?,"
    " updated_at = ?, ended_at = ?, stored = ?, timers = ?, due_at = ?, news = 1 where id = ? and revision = ?"
)
_INSERT_ENTRY = f"insert into journal ({_ENTRY}) values ({', '.join('?' * len(fields(Entry)))})"


class Transaction:
    """One transaction, for as long as the store holds it open. `now` is its single reading of the clock.

    `deadline` is when it must be done, in seconds of `time.monotonic`; `wrote`
    names the journal entries that it added, as (session id, revision, time);
    `memory` is what the process remembers, if it does.
    """

    def __init__(
        self,
        connection: Connection,
        execute: Execute,
        now: datetime,
        *,
        writable: bool,
        dialect: Dialect = "sqlite",
        limits: Limits = DEFAULT,
        keys: Keys | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.keys = keys
        self.memory = memory
        self._connection = connection
        self._execute = execute
        self._lock = " for no key update" if writable and dialect == "postgresql" else ""
        self._elsewhere: dict[int, DbSession] = {}
        self.now = now
        self.writable = writable
        self.limits = limits
        self.dialect = dialect
        self.deadline = time.monotonic() + limits.seconds
        self.wrote: list[tuple[int, int, str]] = []
        self._people: dict[tuple[str, str], int] = {}

    def check_time(self) -> None:
        """Insist that there is time left. Raises LimitExceeded."""
        over = time.monotonic() - self.deadline
        if over > 0:
            raise too_long(self.limits.seconds, self.limits.seconds + over)

    @cached_property
    def db(self) -> DbSession:
        """The ORM session of worlds' rows, in this transaction."""
        return DbSession(self._connection, autoflush=False)

    def db_of(self, rows_id: int) -> DbSession:
        """The ORM session that a session's rows are read from."""
        return self._elsewhere.get(rows_id) or self.db

    def read_elsewhere(self, rows_id: int, db: DbSession) -> None:
        """From now on, read a session's rows from a private copy, which is thrown away with the transaction."""
        self._elsewhere[rows_id] = db

    @cached_property
    def at(self) -> str:
        """The time of this transaction as the tables keep it."""
        return self.now.isoformat(timespec="microseconds")

    def close(self) -> None:
        """Let go of what the transaction held in memory."""
        self._let_go_of_rows()
        for copy in set(self._elsewhere.values()):
            copy.close()
            copy.get_bind().engine.dispose()

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of the transaction, which is taken back alone if the block raises."""
        written, people = len(self.wrote), dict(self._people)
        self._execute("SAVEPOINT part", ())
        try:
            yield
        except BaseException as error:
            self._let_go_of_rows()
            del self.wrote[written:]
            self._people = people
            try:
                self._execute("ROLLBACK TO part", ())
                self._execute("RELEASE part", ())
            except Exception:  # the database dropped the whole transaction, which the error itself tells
                raise error from None
            raise
        self._let_go_of_rows()
        self._execute("RELEASE part", ())

    def _let_go_of_rows(self) -> None:
        """Close the ORM session, so that what comes next reads its rows anew."""
        if "db" in vars(self):
            raw.unwatch(self._connection)
            vars(self).pop("db").close()

    def watch(self) -> None:
        """Refuse what would escape the journal from here on: a world got a row, which leads to the connection."""
        raw.watch(self._connection)

    def journaled(self) -> AbstractContextManager[None]:
        """Let the engine write rows in a block, although a world can reach the connection."""
        return raw.journaled(self._connection)

    def run(self, statement: Executable, values: Any = None, *, page: int | None = None, of: int | None = None) -> Any:
        """What a statement of the engine's own gives, off the hot path; `page` rows at a time if it is much.

        `of` is the row set that it reads, in present form where a session of an older version was brought to it.
        """
        options = {} if page is None else {"yield_per": page}
        db = self.db if of is None else self.db_of(of)
        with self.journaled():
            return db.connection().execute(statement, values, execution_options=options)

    def insert_many(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of a world's table, each with a value for every column."""
        insert_many(self._connection, table, rows)

    def execute(self, statement: str, values: Sequence[object] = ()) -> Any:
        """Run a prepared statement of the engine's own, with `?` for each value; a cursor."""
        return self._execute(statement, tuple(values))

    def defer_references(self) -> None:
        """Have foreign keys checked at the commit, for rows that are written in any order."""
        if self.dialect == "sqlite":
            self._execute("pragma defer_foreign_keys = on", ())
        else:
            self._execute("set constraints all deferred", ())

    # people

    def person_id(self, principal: Principal) -> int | None:
        """The internal id of a principal, or None for one who was never here."""
        names = (principal.issuer, principal.subject)
        if names not in self._people:
            row = self._execute("select id from person where issuer = ? and subject = ?", names).fetchone()
            if row is None:
                return None
            self._people[names] = row[0]
        return self._people[names]

    def ensure_person(self, principal: Principal) -> int:
        """The internal id of a principal, made if need be. Raises Unauthenticated for one deleted meanwhile."""
        if (found := self.person_id(principal)) is not None:
            return found
        if principal.is_known:
            raise _deleted()
        values = (principal.issuer, principal.subject, principal.name)
        made = self._execute(
            "insert into person (issuer, subject, name) values (?, ?, ?) on conflict (issuer, subject) do nothing"
            " returning id",
            values,
        ).fetchone()
        found = self.person_id(principal) if made is None else int(made[0])  # another transaction was faster
        if found is None:
            raise StoreError(f"The person {principal.subject!r} came and went while it was looked for.")
        return found

    def lock_person(self, person_id: int) -> None:
        """Have others wait who count what this person owns. Raises Unauthenticated for one deleted meanwhile."""
        row = self._execute("select issuer from person where id = ?" + self._lock, (person_id,)).fetchone()
        if row[0] == DELETED.issuer:
            raise _deleted()

    def people(self, subject: str) -> Sequence[tuple[int, str, str, str]]:
        """The people of that subject, as (id, issuer, subject, name)."""
        found: Sequence[tuple[int, str, str, str]] = self._execute(
            "select id, issuer, subject, name from person where subject = ?", (subject,)
        ).fetchall()
        return found

    def person_name(self, person_id: int) -> str:
        """How to call a person."""
        row = self._execute("select name, subject from person where id = ?", (person_id,)).fetchone()
        return str(row[0] or row[1])

    def principal(self, person_id: int) -> Principal:
        """The person as a principal."""
        issuer, subject, name, mail = self._execute(
            "select issuer, subject, name, mail from person where id = ?", (person_id,)
        ).fetchone()
        return Principal(issuer, subject, name, mail=mail)

    def access_token(self, token_hash: str) -> tuple[Any, ...] | None:
        """What an access token is kept with, if it was not taken back.

        (issuer, subject, name, mail, scope, resource, expires_at, what the client may be granted, whether a person
        granted it, what the client is called)
        """
        row: tuple[Any, ...] | None = self._execute(_ACCESS_TOKEN, (token_hash,)).fetchone()
        return row

    # sessions

    def session(self, handle: str) -> Record | None:
        """The session of that handle."""
        return self._record(
            "select " + _SESSION + " from session where handle = ? and hidden is null" + self._lock, (handle,)
        )

    def unlocked(self, handle: str) -> Record | None:
        """The session of that handle as it is seen without waiting for those who change it."""
        return self._record("select " + _SESSION + " from session where handle = ? and hidden is null", (handle,))

    @property
    def locks(self) -> bool:
        """Whether a session that is found here is locked, so that its others wait."""
        return bool(self._lock)

    def main_session(self, person_id: int, world: str) -> Record | None:
        """A person's main session of a world."""
        statement = "select " + _SESSION + " from session where main_of = ? and world = ? and hidden is null"
        statement += self._lock
        return self._record(statement, (person_id, world))

    def sessions_of(self, person_id: int, world: str | None) -> list[tuple[Record, Role]]:
        """The sessions a person owns or was given a share of, the most recently changed first."""
        found = self._execute(
            f"select {_SESSION}, coalesce(share.role, 'owner') from session"
            " left join share on share.session_id = session.id and share.person_id = ?"
            " where session.id in (select id from session where owner_id = ?"
            " union select session_id from share where person_id = ?)"
            " and world = coalesce(?, world) and hidden is null"
            " order by updated_at desc, session.id desc",
            (person_id, person_id, person_id, world),
        )
        return [(Record(*row[:-1]), Role(row[-1])) for row in found]

    def all_sessions(self, world: str | None) -> list[Record]:
        """Every session there is, the most recently changed first."""
        statement = (
            f"select {_SESSION} from session where world = coalesce(?, world) and hidden is null"
            " order by updated_at desc, id desc"
        )
        return [Record(*row) for row in self._execute(statement, (world,))]

    def owned(self, person_id: int) -> int:
        """How many sessions a person owns that have not ended."""
        statement = "select count(*) from session where owner_id = ? and ended_at is null and hidden is null"
        return int(self._execute(statement, (person_id,)).fetchone()[0])

    def idle(self, person_id: int, world: str, since: datetime) -> int:
        """How many of those are of a world and were not changed since a time."""
        row = self._execute(
            "select count(*) from session where owner_id = ? and world = ? and updated_at <= ?"
            " and ended_at is null and hidden is null",
            (person_id, world, since.isoformat(timespec="microseconds")),
        ).fetchone()
        return int(row[0])

    def role(self, record: Record, person_id: int | None) -> Role | None:
        """What a person may do with a session."""
        if person_id == record.owner_id:
            return Role.OWNER
        row = self._execute(
            "select role from share where session_id = ? and person_id = ?", (record.id, person_id)
        ).fetchone()
        return None if row is None else Role(row[0])

    def readers(self, sessions: Sequence[str]) -> dict[str, set[int]]:
        """Who may read sessions, by their handles: owners and those they share with."""
        found: dict[str, set[int]] = {}
        for start in range(0, len(sessions), _SIZES[-1]):
            handles = sessions[start : start + _SIZES[-1]]
            size = next(size for size in _SIZES if size >= len(handles))
            marks = ", ".join("?" * size)
            statement = (
                "select handle, owner_id, person_id from session left join share on share.session_id = session.id"
                f" where hidden is null and handle in ({marks})"
            )
            for handle, owner, person in self._execute(statement, (*handles, *[""] * (size - len(handles)))).fetchall():
                found.setdefault(handle, {owner}).add(person)
        return found

    def share(self, session_id: int, person_id: int, role: Role | None) -> None:
        """Give a person a role in a session, or with None take it back."""
        self._execute("delete from share where session_id = ? and person_id = ?", (session_id, person_id))
        if role is not None:
            self._execute("insert into share values (?, ?, ?)", (session_id, person_id, role.value))

    def hand_over(self, session_id: int, person_id: int) -> None:
        """Have a person own a session, with the row sets that are its own."""
        self._execute(
            "update session set owner_id = ?, main_of = null where id = ?"
            " or (hidden in ('rows', 'part', 'dropped') and rows_id = ?)",
            (person_id, session_id, session_id),
        )

    def insert_session(self, *, world: str, version: int, owner_id: int, state: str, data: str | None) -> Record:
        """A new session at revision 0: `save` makes its first revision."""
        handle = "ses_" + secrets.token_urlsafe(18)
        row = self._execute(
            "insert into session (handle, world, version, owner_id, state, data, revision, created_at, updated_at)"
            " values (?, ?, ?, ?, ?, ?, 0, ?, ?) returning " + _SESSION.replace("session.", ""),
            (handle, world, version, owner_id, state, data, self.at, self.at),
        ).fetchone()
        return Record(*row)

    def save(self, record: Record, *, expected: int) -> bool:
        """Write a session's row if it is still at the expected revision; whether it was."""
        record.updated_at = max(self.at, record.updated_at)  # clocks differ, and may have been read before a wait
        values = (
            record.main_of,
            record.state,
            record.data,
            record.version,
            record.revision,
            record.undo_top,
            record.redo_top,
            record.updated_at,
            record.ended_at,
            record.stored,
            record.timers,
            record.due_at,
            record.id,
            expected,
        )
        return bool(self._execute(_SAVE, values).rowcount == 1)

    def release(self, session_id: int) -> None:
        """Have a session be nobody's main one."""
        self._execute("update session set main_of = null where id = ?", (session_id,))

    def release_main(self, person_id: int, world: str) -> None:
        """Free a person's place for a main session of a world."""
        self._execute("update session set main_of = null where main_of = ? and world = ?", (person_id, world))

    # the journal

    def append(self, entry: Entry) -> None:
        """Add a journal entry."""
        self._execute(_INSERT_ENTRY, _values_of(entry))
        self.wrote.append((entry.session_id, entry.revision, entry.at))

    def entry(self, session_id: int, revision: int) -> Entry | None:
        """One journal entry."""
        return self._entry("where session_id = ? and revision = ?", (session_id, revision))

    def entry_of_key(self, session_id: int, person_id: int, key: str) -> Entry | None:
        """What a person did in a session with that key."""
        return self._entry("where session_id = ? and person_id = ? and key = ?", (session_id, person_id, key))

    def entries(self, session_id: int, *, after: int = 0, limit: int = -1, newest: bool = False) -> Iterator[Entry]:
        """Journal entries after a revision, oldest first unless `newest`; `limit` -1 means all."""
        order = "desc" if newest else "asc"
        statement = f"select {_ENTRY} from journal where session_id = ? and revision > ? order by revision {order}"
        values: tuple[object, ...] = (session_id, after)
        if limit >= 0:
            statement, values = statement + " limit ?", (*values, limit)
        return (_entry_of(row) for row in self._execute(statement, values))

    def latest_about(self, session_id: int, revision: int) -> Entry | None:
        """The last undo or redo of a revision."""
        return self._entry("where session_id = ? and target = ? order by revision desc limit 1", (session_id, revision))

    def data_at(self, session_id: int, revision: int) -> tuple[str | None, int]:
        """The document as it was stored for a revision, and the world's version that stored it."""
        row = self._execute(
            "select data, version from journal where session_id = ? and revision <= ? and data is not null"
            " order by revision desc limit 1",
            (session_id, revision),
        ).fetchone()
        return (None, 0) if row is None else (None if row[0] == "null" else row[0], row[1])

    def timers_at(self, session_id: int, revision: int) -> str | None:
        """The timers as they were set after a revision, as text."""
        row = self._execute(
            "select timers from journal where session_id = ? and revision <= ? and timers is not null"
            " order by revision desc limit 1",
            (session_id, revision),
        ).fetchone()
        return None if row is None or row[0] == "null" else str(row[0])

    def store_present(self, record: Record, version: int) -> bool:
        """Write a session's state, document and timers as the world's version has them, unless another did; whether."""
        statement = (
            "update session set state = ?, data = ?, timers = ?, due_at = ?, version = ? where id = ? and version = ?"
        )
        present = (record.state, record.data, record.timers, record.due_at)
        values = (*present, record.version, record.id, version)
        return bool(self._execute(statement, values).rowcount == 1)

    def rows_at(self, session_id: int, revision: int) -> int:
        """The row set that a session showed at a revision."""
        row = self._execute(
            "select adopted from journal where session_id = ? and revision <= ? and adopted is not null"
            " order by revision desc limit 1",
            (session_id, revision),
        ).fetchone()
        return session_id if row is None else int(row[0])

    def undone_by(self, session_id: int, revision: int) -> int | None:
        """The row set in which a change is undone already, if it was taken back by switching to one."""
        row = self._execute(
            "select adopted from journal where session_id = ? and target = ? and action = 'undo'"
            " and adopted is not null order by revision desc limit 1",
            (session_id, revision),
        ).fetchone()
        return None if row is None else int(row[0])

    def has(self, session_id: int, revision: int, at: str) -> bool:
        """Whether the journal has that very entry: how a commit is looked up whose outcome is unknown."""
        statement = "select 1 from journal where session_id = ? and revision = ? and at = ?"
        return self._execute(statement, (session_id, revision, at)).fetchone() is not None

    def under_way(self, number: str) -> bool:
        """Whether another transaction of PostgreSQL, by its number, has not ended yet: it holds a lock on itself."""
        statement = (
            "select 1 from pg_locks where locktype = 'transactionid' and transactionid = ?::xid8::xid and granted"
        )
        return self._execute(statement, (number,)).fetchone() is not None

    def last_of(self, writer: str) -> int | None:
        """The number of the last transaction of a PostgreSQL writer that was committed."""
        row = self._execute("select number from writer where id = ?", (writer,)).fetchone()
        return None if row is None else int(row[0])

    # keys of starts

    def start_key(self, person_id: int, key: str) -> tuple[int, str] | None:
        """What a person started with that key, as (session id, the request's canonical JSON)."""
        row: tuple[int, str] | None = self._execute(
            "select session_id, request from start_key where person_id = ? and key = ?", (person_id, key)
        ).fetchone()
        return row

    def keep_start_key(self, person_id: int, key: str, session_id: int, request: str) -> None:
        """Remember a start's key."""
        self._execute("insert into start_key values (?, ?, ?, ?)", (person_id, key, session_id, request))

    def session_by_id(self, session_id: int) -> Record | None:
        """The session of that internal id."""
        statement = "select " + _SESSION + " from session where id = ? and hidden is null" + self._lock
        return self._record(statement, (session_id,))

    # secrets and legacy connections

    def secret(self, name: str, *, lasting: bool = False) -> str:
        """A secret of this installation, made if need be: 32 random bytes as hex.

        It is sealed under the installation's keys; where these are none of the store's, it stands as it is. Where the
        key that sealed it is gone, it is made anew, as after a restore without the keys; a `lasting` one is not, and
        that raises StoreError.
        """
        found = self._execute("select value from secret where name = ?", (name,)).fetchone()
        if found is None:
            made = secrets.token_hex(32)
            kept = made if self.keys is None else self.keys.sealed(made)
            self._execute("insert into secret values (?, ?) on conflict (name) do nothing", (name, kept))
            found = self._execute("select value from secret where name = ?", (name,)).fetchone()
        value = str(found[0])
        if self.keys is None:
            return value
        if len(value) == _PLAIN:  # of before there were keys
            self._execute("update secret set value = ? where name = ?", (self.keys.sealed(value), name))
            return value
        try:
            return self.keys.opened(value)
        except StoreError:
            if lasting:
                raise
        logger.warning("the secret %s was sealed under a key that is not here, and is made anew", name)
        self._execute("delete from secret where name = ?", (name,))
        return self.secret(name)

    def opened(self, kept: str) -> str:
        """The text of what is kept sealed under one of the keys, or is of before there were any. Raises StoreError."""
        is_plain = len(kept) == _PLAIN or kept.startswith("[")
        return kept if self.keys is None or is_plain else self.keys.opened(kept)

    def seal_anew(self) -> None:
        """Seal every secret under the present key, so that older ones are needed no more. Raises StoreError."""
        if self.keys is None:
            return
        for table, key, column in _SEALED:
            for name, kept in self._execute(f"select {key}, {column} from {table}", ()).fetchall():
                sealed = self.keys.sealed(self.opened(kept))
                self._execute(f"update {table} set {column} = ? where {key} = ?", (sealed, name))

    def forget_secrets(self) -> None:
        """Delete the secrets, so that new ones are made; webhooks whose own cannot be opened get them by rotation."""
        self._execute("delete from secret", ())
        for webhook, kept in self._execute("select id, secrets from webhook", ()).fetchall():
            try:
                self.opened(kept)
            except StoreError:
                why = "the key that sealed its secret is lost: rotate it, then enable it"
                self._execute("update webhook set secrets = '[]', disabled = ? where id = ?", (why, webhook))

    def keep_connection(self, connection_id: str, person_id: int, endpoint: str, parameters: str) -> None:
        """Remember a legacy connection."""
        values = (connection_id, person_id, endpoint, parameters, self.at)
        self._execute("insert into connection values (?, ?, ?, ?, ?) on conflict (id) do nothing", values)

    def connection(self, connection_id: str) -> ConnectionRecord | None:
        """A remembered legacy connection."""
        row = self._execute(
            "select id, person_id, endpoint, parameters from connection where id = ?", (connection_id,)
        ).fetchone()
        if row is None:
            return None
        return ConnectionRecord(row[0], row[1], row[2], row[3], tuple(sorted(self.subscriptions([row[0]])[row[0]])))

    def subscriptions(self, connections: Sequence[str]) -> dict[str, set[str]]:
        """What legacy connections subscribed to: URIs by the connection's id."""
        found: dict[str, set[str]] = {connection: set() for connection in connections}
        for start in range(0, len(connections), _SIZES[-1]):
            ids = connections[start : start + _SIZES[-1]]
            size = next(size for size in _SIZES if size >= len(ids))
            statement = f"select connection_id, uri from subscription where connection_id in ({', '.join('?' * size)})"
            for connection, uri in self._execute(statement, (*ids, *[""] * (size - len(ids)))).fetchall():
                found[connection].add(uri)
        return found

    def use_connection(self, connection_id: str) -> None:
        """Note that a legacy connection is alive."""
        self._execute("update connection set used_at = ? where id = ?", (self.at, connection_id))

    def drop_connection(self, connection_id: str) -> None:
        """Forget a legacy connection."""
        self._execute("delete from connection where id = ?", (connection_id,))

    def sweep_connections(self, before: datetime) -> None:
        """Forget the legacy connections last used before a time."""
        self._execute("delete from connection where used_at < ?", (before.isoformat(timespec="microseconds"),))

    def subscribe(self, connection_id: str, uri: str) -> None:
        """Remember a subscription."""
        self._execute("insert into subscription values (?, ?) on conflict do nothing", (connection_id, uri))

    def unsubscribe(self, connection_id: str, uri: str) -> None:
        """Forget a subscription."""
        self._execute("delete from subscription where connection_id = ? and uri = ?", (connection_id, uri))

    def _record(self, statement: str, values: tuple[object, ...]) -> Record | None:
        row = self._execute(statement, values).fetchone()
        return None if row is None else Record(*row)

    def _entry(self, where: str, values: tuple[object, ...]) -> Entry | None:
        row = self._execute(f"select {_ENTRY} from journal {where}", values).fetchone()
        return None if row is None else _entry_of(row)


def too_long(allowed: float, received: float) -> LimitExceeded:
    """The refusal of what takes longer than an action may; both in seconds."""
    return LimitExceeded(
        "action_too_long",
        f"The action took more than {allowed:g} s, which is all that an action may take; it was taken back.",
        received=received,
        allowed=allowed,
        hint="Do less in one call.",
    )


def is_malformed(error: BaseException) -> bool:
    """Whether a statement did not even get to the database, since none can be made of what was written."""
    return isinstance(error, ArgumentError | CompileError | StatementError) and not isinstance(error, DBAPIError)


_ENTRY_NAMES = tuple(field.name for field in fields(Entry))
_values_of = attrgetter(*_ENTRY_NAMES)


def _entry_of(row: Sequence[Any]) -> Entry:
    return Entry(**dict(zip(_ENTRY_NAMES, row, strict=True)))


def _deleted() -> Unauthenticated:
    return Unauthenticated("Who you were here was deleted.", hint="Sign in again: you are somebody new.")
