"""The tables of what happens after the commit: who works, on which session, how far consumers are, effects, webhooks.

Whoever works is a row of `worker`, renewed while it lives; what it holds refers
to that row, so a worker that is gone holds nothing (`workers` has the statements).
"""

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from engine.store.schema import Large, partial_index


class WorkerRow(SQLModel, table=True):
    """A process that does background work, for as long as `until` is to come. `kind`: `serve`, or `stdio`."""

    __tablename__ = "worker"
    id: str = Field(primary_key=True)
    kind: str
    place: str
    started_at: str
    until: str


class ClaimRow(SQLModel, table=True):
    """A session whose news a worker is passing on."""

    __tablename__ = "claim"
    session_id: int = Field(primary_key=True, foreign_key="session.id", ondelete="CASCADE")
    worker_id: str = Field(foreign_key="worker.id", ondelete="CASCADE", index=True)


class ConsumerRow(SQLModel, table=True):
    """Who hears of changes: a hook by its name, or a webhook. `world` None: of all worlds'.

    It hears of what came after `since`; with `from_start` of all that a session did itself.
    """

    __tablename__ = "consumer"
    name: str = Field(primary_key=True)
    kind: str
    world: str | None = None
    since: str
    from_start: bool = False


class HeardRow(SQLModel, table=True):
    """Up to which revision of a session a consumer has heard.

    One that failed at the next one has `attempts` and an `error`, and comes again at `due_at`; once it is
    parked it has none, and what came later waits.
    """

    __tablename__ = "heard"
    __table_args__ = (
        partial_index("due_at is not null", "consumer", "due_at"),
        partial_index("parked_at is not null", "consumer"),
    )
    consumer: str = Field(primary_key=True, foreign_key="consumer.name", ondelete="CASCADE")
    session_id: int = Field(primary_key=True, foreign_key="session.id", ondelete="CASCADE", index=True)
    revision: int
    attempts: int = 0
    due_at: str | None = None
    parked_at: str | None = None
    error: str | None = None


class EffectRow(SQLModel, table=True):
    """Work outside the transaction that a change asked for: `number` among those of its revision.

    `state`: `waiting`, `done`, `failed`, `parked`, `cancelled`, or `refused` (it was done, its session refused that,
    and another effect takes it back). `key` is what its handler can pass on, so that
    what is tried twice is done once. `claimed_at` says when somebody began first, `compensates` which effect it takes
    back.
    """

    __tablename__ = "effect"
    __table_args__ = (
        UniqueConstraint("session_id", "revision", "number"),
        partial_index("state = 'waiting'", "due_at"),
        partial_index("state = 'parked'", "session_id"),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=Large)
    session_id: int = Field(foreign_key="session.id", ondelete="CASCADE")
    revision: int
    number: int
    name: str
    arguments: str
    key: str
    state: str = "waiting"
    attempts: int = 0
    created_at: str
    due_at: str
    deadline_at: str
    worker_id: str | None = Field(default=None, foreign_key="worker.id", ondelete="SET NULL", index=True)
    claimed_at: str | None = None
    result: str | None = None
    error: str | None = None
    compensates: int | None = Field(default=None, sa_type=Large)


class WebhookRow(SQLModel, table=True):
    """An endpoint that is told of changes. `types`: words such as `cart.*`; `secrets`: a sealed JSON list.

    `disabled` says why nothing is delivered to it; `failing_since` when its deliveries began to fail.
    """

    __tablename__ = "webhook"
    id: str = Field(primary_key=True)
    url: str
    types: str
    secrets: str
    created_at: str
    disabled: str | None = None
    failing_since: str | None = None


class DeliveryRow(SQLModel, table=True):
    """One message for a webhook, about one change. `state`: `waiting`, `done`, or `dead`.

    Of those of a session that wait, the first is due at some time; the others have no `due_at` until it is their turn.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "session_id", "revision"),
        partial_index("state = 'waiting' and due_at is not null", "webhook_id", "due_at"),
        partial_index("state = 'waiting'", "webhook_id", "session_id", "revision"),
        partial_index("state = 'dead'", "webhook_id"),
        partial_index("state = 'done'", "done_at"),
        Index(None, "webhook_id", "created_at"),
    )
    id: str = Field(primary_key=True)
    webhook_id: str = Field(foreign_key="webhook.id", ondelete="CASCADE")
    session_id: int = Field(foreign_key="session.id", ondelete="CASCADE", index=True)
    revision: int
    type: str
    body: str
    state: str = "waiting"
    attempts: int = 0
    created_at: str
    due_at: str | None = None
    done_at: str | None = None
    worker_id: str | None = Field(default=None, foreign_key="worker.id", ondelete="SET NULL", index=True)


class DeliveryAttemptRow(SQLModel, table=True):
    """One attempt at a delivery: the HTTP status, or what kept it from one."""

    __tablename__ = "delivery_attempt"
    delivery_id: str = Field(primary_key=True, foreign_key="delivery.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    at: str
    seconds: float
    status: int | None = None
    error: str | None = None


class ProgressRow(SQLModel, table=True):
    """Where something that goes through all sessions, a little at a time, is to go on: beyond that id."""

    __tablename__ = "progress"
    name: str = Field(primary_key=True)
    at: int = Field(sa_type=Large)


TABLES = (
    WorkerRow,
    ClaimRow,
    ConsumerRow,
    HeardRow,
    EffectRow,
    WebhookRow,
    DeliveryRow,
    DeliveryAttemptRow,
    ProgressRow,
)
