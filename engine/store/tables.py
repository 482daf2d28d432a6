"""The engine's own tables. Worlds add theirs as Row classes.

`session.id` is internal and leads every key; `session.handle` is its public
name. A person appears elsewhere only as `person.id`. Times are UTC, ISO 8601.
"""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from engine.store import access, work
from engine.store.schema import Large, partial_index


class PersonRow(SQLModel, table=True):
    """Who somebody is: the only table that says so. `mail` is an address that was found to be theirs."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)
    id: int | None = Field(default=None, primary_key=True)
    issuer: str
    subject: str
    name: str = ""
    mail: str | None = Field(default=None, index=True)


class SessionRow(SQLModel, table=True):
    """One durable instance of a world, as it is now.

    `main_of` is the person whose main session of the world it is. `undo_top`
    is the revision that undo would take back next, `redo_top` the undo entry
    that redo would reverse next. `rows_id` is the row set it shows, if that is
    not its own: the id under which its rows stand. `hidden` says why no reader
    may see this row: it is a `batch` being written, only the `rows` of another
    session (then `rows_id` is that session), a `part` being written into the row set `rows_id` or a `dropped` one (then
    `revision` is its number), or is `erased` and about to go.
    `floor` is the first revision whose past is kept, `stored` the bytes of
    journal and rows, as JSON. `timers` are those that are set, as a JSON list, `due_at` is when the first of them is
    due. `news` is set while consumers may not have heard of its last changes. Its past up to `copied_to` is another
    session's.
    """

    __tablename__ = "session"
    __table_args__ = (
        UniqueConstraint("main_of", "world"),
        Index(None, "owner_id", "world"),
        partial_index("hidden is not null", "hidden", "rows_id"),
        partial_index("due_at is not null", "due_at"),
        partial_index("news is not null", "world", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    handle: str = Field(unique=True)
    world: str
    version: int
    owner_id: int = Field(foreign_key="person.id")
    main_of: int | None = Field(default=None, foreign_key="person.id")
    state: str
    data: str | None = None
    revision: int
    undo_top: int | None = None
    redo_top: int | None = None
    forked_from: str | None = None
    forked_at: int | None = None
    created_at: str
    updated_at: str
    ended_at: str | None = None
    rows_id: int | None = None
    hidden: str | None = None
    floor: int = Field(default=1, sa_column_kwargs={"server_default": "1"})
    stored: int = Field(default=0, sa_type=Large, sa_column_kwargs={"server_default": "0"})
    timers: str | None = None
    due_at: str | None = None
    copied_to: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    news: int | None = None


class JournalRow(SQLModel, table=True):
    """One change of one session: a past fact, never altered.

    `state` is the state after it; `data` the document after it (JSON `null`: none),
    or SQL null if it stayed the same; `rows` the images `[table, before, after]` of each row
    touched; `target` the revision that an undo or redo is about; `below` what
    lay under this entry on the undo (for an undo: the redo) stack. `adopted` is
    the row set that the session shows from this entry on, if it changed here;
    `shared` the images of the shared rows touched; `timers` the timers that were set after it (JSON `null`: none),
    or SQL null if they stayed the same. `client` is the program that it came through, by what it calls itself.
    """

    __tablename__ = "journal"
    __table_args__ = (
        partial_index("key is not null", "session_id", "person_id", "key", unique=True),
        partial_index("target is not null", "session_id", "target", "revision"),
        partial_index("adopted is not null", "session_id", "revision"),
        partial_index("shared is not null", "at"),
        partial_index("timers is not null", "session_id", "revision", name="ix_journal_timers"),
    )
    session_id: int = Field(primary_key=True, foreign_key="session.id", ondelete="CASCADE")
    revision: int = Field(primary_key=True)
    action: str
    arguments: str
    person_id: int = Field(foreign_key="person.id")
    key: str | None = None
    version: int
    result: str
    state: str
    data: str | None = None
    rows: str | None = None
    seed: str | None = None
    target: int | None = None
    below: int | None = None
    at: str
    adopted: int | None = None
    shared: str | None = None
    timers: str | None = None
    client: str | None = None


class SnapshotRow(SQLModel, table=True):
    """A session's rows as they were at a revision, so that a far past is near: images by table, as JSON."""

    __tablename__ = "snapshot"
    session_id: int = Field(primary_key=True, foreign_key="session.id", ondelete="CASCADE")
    revision: int = Field(primary_key=True)
    rows: str


class StartKeyRow(SQLModel, table=True):
    """The key with which a person started or forked a session, so that a retry finds it."""

    __tablename__ = "start_key"
    person_id: int = Field(primary_key=True, foreign_key="person.id")
    key: str = Field(primary_key=True)
    session_id: int = Field(foreign_key="session.id", ondelete="CASCADE", index=True)
    request: str


class ShareRow(SQLModel, table=True):
    """What a session's owner lets another person do with it."""

    __tablename__ = "share"
    session_id: int = Field(primary_key=True, foreign_key="session.id", ondelete="CASCADE")
    person_id: int = Field(primary_key=True, foreign_key="person.id", index=True)
    role: str


class ConnectionRow(SQLModel, table=True):
    """A legacy MCP connection, so that any process can go on with it."""

    __tablename__ = "connection"
    id: str = Field(primary_key=True)
    person_id: int = Field(foreign_key="person.id")
    endpoint: str
    parameters: str
    used_at: str


class SubscriptionRow(SQLModel, table=True):
    """A resource that a legacy connection wants to hear of."""

    __tablename__ = "subscription"
    connection_id: str = Field(primary_key=True, foreign_key="connection.id", ondelete="CASCADE")
    uri: str = Field(primary_key=True)


class WriterRow(SQLModel, table=True):
    """The last transaction of a writer's connection, where a cut one leaves its outcome unknown. `at`: UTC, seconds."""

    __tablename__ = "writer"
    id: str = Field(primary_key=True)
    number: int = Field(sa_type=Large)
    at: int = Field(sa_type=Large)


class SecretRow(SQLModel, table=True):
    """A secret of this installation, made once."""

    __tablename__ = "secret"
    name: str = Field(primary_key=True)
    value: str


CORE = frozenset(
    str(row.__tablename__)
    for row in (
        PersonRow,
        SessionRow,
        JournalRow,
        SnapshotRow,
        StartKeyRow,
        ShareRow,
        ConnectionRow,
        SubscriptionRow,
        SecretRow,
        WriterRow,
        *access.TABLES,
        *work.TABLES,
    )
)
"""The names of the engine's tables."""
