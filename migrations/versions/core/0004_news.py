"""What happens after the commit: news of sessions, timers, consumers, effects, webhooks, and who works on them.

And the client that a change came through.
"""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004_news"
down_revision = "0003_access"
branch_labels = None
depends_on = None

TABLES = ("worker", "claim", "consumer", "heard", "effect", "webhook", "delivery", "delivery_attempt", "progress")
"""Each after those it refers to."""
INDEXES = (
    ("claim", "worker_id", None),
    ("delivery", "done_at", "state = 'done'"),
    ("delivery", "session_id", None),
    ("delivery", "webhook_id", "state = 'dead'"),
    ("delivery", "webhook_id,created_at", None),
    ("delivery", "webhook_id,due_at", "state = 'waiting' and due_at is not null"),
    ("delivery", "webhook_id,session_id,revision", "state = 'waiting'"),
    ("delivery", "worker_id", None),
    ("effect", "due_at", "state = 'waiting'"),
    ("effect", "session_id", "state = 'parked'"),
    ("effect", "worker_id", None),
    ("heard", "consumer", "parked_at is not null"),
    ("heard", "consumer,due_at", "due_at is not null"),
    ("heard", "session_id", None),
    ("journal", "at", "shared is not null"),
    ("session", "due_at", "due_at is not null"),
    ("session", "world,id", "news is not null"),
)
"""Indexes: table, columns, and which rows they have if not all."""
TIMERS = "timers is not null"
"""The rows of an index whose columns another one has, too, and which has a name of its own therefore."""

Large = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """A column of text."""
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=nullable)  # type: ignore[attr-defined]


def number(name: str, *, nullable: bool = False, large: bool = False) -> sa.Column[int]:
    """A column of numbers."""
    return sa.Column(name, Large if large else sa.Integer(), nullable=nullable)


def refers(table: str, column: str, to: str, ondelete: str = "CASCADE") -> sa.ForeignKeyConstraint:
    """A reference, which goes or is cleared with what it refers to."""
    return sa.ForeignKeyConstraint([column], [to], name=op.f(f"fk_{table}_{column}"), ondelete=ondelete)


def keyed(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    """A table's key."""
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def upgrade() -> None:
    """Apply the change."""
    for column in (text("timers", nullable=True), text("due_at", nullable=True), number("news", nullable=True)):
        op.add_column("session", column)
    op.add_column("session", sa.Column("copied_to", sa.Integer(), server_default="0", nullable=False))
    for name in ("timers", "client"):
        op.add_column("journal", text(name, nullable=True))
    op.execute("update session set copied_to = coalesce(forked_at, 0)")
    op.create_table(
        "worker", text("id"), text("kind"), text("place"), text("started_at"), text("until"), keyed("worker", "id")
    )
    op.create_table(
        "claim",
        number("session_id"),
        text("worker_id"),
        refers("claim", "session_id", "session.id"),
        refers("claim", "worker_id", "worker.id"),
        keyed("claim", "session_id"),
    )
    op.create_table(
        "consumer",
        text("name"),
        text("kind"),
        text("world", nullable=True),
        text("since"),
        sa.Column("from_start", sa.Boolean(), nullable=False),
        keyed("consumer", "name"),
    )
    op.create_table(
        "heard",
        text("consumer"),
        number("session_id"),
        number("revision"),
        number("attempts"),
        text("due_at", nullable=True),
        text("parked_at", nullable=True),
        text("error", nullable=True),
        refers("heard", "consumer", "consumer.name"),
        refers("heard", "session_id", "session.id"),
        keyed("heard", "consumer", "session_id"),
    )
    op.create_table(
        "effect",
        number("id", large=True),
        number("session_id"),
        number("revision"),
        number("number"),
        text("name"),
        text("arguments"),
        text("key"),
        text("state"),
        number("attempts"),
        text("created_at"),
        text("due_at"),
        text("deadline_at"),
        text("worker_id", nullable=True),
        text("claimed_at", nullable=True),
        text("result", nullable=True),
        text("error", nullable=True),
        number("compensates", nullable=True, large=True),
        refers("effect", "session_id", "session.id"),
        refers("effect", "worker_id", "worker.id", "SET NULL"),
        keyed("effect", "id"),
        sa.UniqueConstraint("session_id", "revision", "number", name=op.f("uq_effect_session_id_revision_number")),
    )
    op.create_table(
        "webhook",
        text("id"),
        text("url"),
        text("types"),
        text("secrets"),
        text("created_at"),
        text("disabled", nullable=True),
        text("failing_since", nullable=True),
        keyed("webhook", "id"),
    )
    op.create_table(
        "delivery",
        text("id"),
        text("webhook_id"),
        number("session_id"),
        number("revision"),
        text("type"),
        text("body"),
        text("state"),
        number("attempts"),
        text("created_at"),
        text("due_at", nullable=True),
        text("done_at", nullable=True),
        text("worker_id", nullable=True),
        refers("delivery", "webhook_id", "webhook.id"),
        refers("delivery", "session_id", "session.id"),
        refers("delivery", "worker_id", "worker.id", "SET NULL"),
        keyed("delivery", "id"),
        sa.UniqueConstraint(
            "webhook_id", "session_id", "revision", name=op.f("uq_delivery_webhook_id_session_id_revision")
        ),
    )
    op.create_table(
        "delivery_attempt",
        text("delivery_id"),
        number("number"),
        text("at"),
        sa.Column("seconds", sa.Float(), nullable=False),
        number("status", nullable=True),
        text("error", nullable=True),
        refers("delivery_attempt", "delivery_id", "delivery.id"),
        keyed("delivery_attempt", "delivery_id", "number"),
    )
    op.create_table("progress", text("name"), number("at", large=True), keyed("progress", "name"))
    for table, columns, where in INDEXES:
        wanted = sa.text(where) if where else None
        op.create_index(_index(table, columns), table, columns.split(","), sqlite_where=wanted, postgresql_where=wanted)
    wanted = sa.text(TIMERS)
    columns = ["session_id", "revision"]
    op.create_index("ix_journal_timers", "journal", columns, sqlite_where=wanted, postgresql_where=wanted)


def downgrade() -> None:
    """Take the change back."""
    op.drop_index("ix_journal_timers", "journal")
    for table, columns, _ in INDEXES:
        op.drop_index(_index(table, columns), table)
    for table in reversed(TABLES):
        op.drop_table(table)
    for name in ("client", "timers"):
        op.drop_column("journal", name)
    for column in ("copied_to", "news", "due_at", "timers"):
        op.drop_column("session", column)


def _index(table: str, columns: str) -> str:
    return op.f(f"ix_{table}_{columns.replace(',', '_')}")
