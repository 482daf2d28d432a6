"""Who may: accounts, browsers, clients, grants, tokens, invitations, offers; and people's mail addresses."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0003_access"
down_revision = "0002_strength"
branch_labels = None
depends_on = None

TABLES = (
    "attempt",
    "account",
    "browser",
    "client",
    "invitation",
    "spent",
    "oauth_grant",
    "offer",
    "taker",
    "code",
    "refresh",
    "token",
)
"""Each after those it refers to."""
INDEXES = (
    ("attempt", "at"),
    ("browser", "expires_at"),
    ("browser", "person_id"),
    ("client", "expires_at"),
    ("client", "service_id"),
    ("invitation", "expires_at"),
    ("invitation", "person_id"),
    ("spent", "expires_at"),
    ("oauth_grant", "client_id"),
    ("oauth_grant", "person_id"),
    ("offer", "whom"),
    ("taker", "person_id"),
    ("code", "expires_at"),
    ("code", "grant_id"),
    ("refresh", "expires_at"),
    ("refresh", "grant_id"),
    ("token", "expires_at"),
    ("token", "grant_id"),
    ("token", "person_id"),
    ("person", "mail"),
)
"""Indexes of one column: table, column."""


def text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    """A column of text."""
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=nullable)  # type: ignore[attr-defined]


def number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    """A column of numbers."""
    return sa.Column(name, sa.Integer(), nullable=nullable)


def refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    """A reference that goes with what it refers to."""
    return sa.ForeignKeyConstraint([column], [to], name=op.f(f"fk_{table}_{column}"), ondelete="CASCADE")


def upgrade() -> None:
    """Apply the change."""
    op.add_column("person", text("mail", nullable=True))
    op.create_table(
        "attempt",
        text("key"),
        number("failures"),
        text("until"),
        text("at"),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_attempt")),
    )
    op.create_table(
        "account",
        number("person_id"),
        text("login"),
        text("password"),
        text("created_at"),
        refers("account", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_account")),
        sa.UniqueConstraint("login", name=op.f("uq_account_login")),
    )
    op.create_table(
        "browser",
        text("hash"),
        number("person_id"),
        text("sealed", nullable=True),
        text("created_at"),
        text("expires_at"),
        refers("browser", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_browser")),
    )
    op.create_table(
        "client",
        text("id"),
        text("kind"),
        text("name"),
        text("secret", nullable=True),
        text("method"),
        text("redirect_uris"),
        text("grant_types"),
        text("scope", nullable=True),
        text("uri", nullable=True),
        number("service_id", nullable=True),
        text("created_at"),
        text("used_at", nullable=True),
        text("expires_at", nullable=True),
        refers("client", "service_id", "person.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client")),
    )
    op.create_table(
        "invitation",
        text("hash"),
        text("purpose"),
        number("person_id", nullable=True),
        text("login", nullable=True),
        text("expires_at"),
        refers("invitation", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_invitation")),
    )
    op.create_table(
        "spent",
        text("hash"),
        text("expires_at"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_spent")),
    )
    op.create_table(
        "oauth_grant",
        number("id"),
        number("person_id"),
        text("client_id"),
        text("resource"),
        text("scope"),
        text("redirect_uri", nullable=True),
        text("created_at"),
        text("used_at"),
        text("ended_at", nullable=True),
        refers("oauth_grant", "client_id", "client.id"),
        refers("oauth_grant", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oauth_grant")),
    )
    op.create_table(
        "offer",
        text("id"),
        number("session_id"),
        text("whom"),
        text("role", nullable=True),
        text("created_at"),
        refers("offer", "session_id", "session.id"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offer")),
        sa.UniqueConstraint("session_id", "whom", name=op.f("uq_offer_session_id_whom")),
    )
    op.create_table(
        "taker",
        text("offer_id"),
        number("person_id"),
        refers("taker", "offer_id", "offer.id"),
        refers("taker", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("offer_id", "person_id", name=op.f("pk_taker")),
    )
    op.create_table(
        "code",
        text("hash"),
        number("grant_id"),
        text("redirect_uri"),
        sa.Column("explicit", sa.Boolean(), nullable=False),
        text("challenge"),
        text("sealed", nullable=True),
        text("expires_at"),
        text("used_at", nullable=True),
        refers("code", "grant_id", "oauth_grant.id"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_code")),
    )
    op.create_table(
        "refresh",
        text("hash"),
        number("grant_id"),
        text("sealed", nullable=True),
        text("created_at"),
        text("expires_at"),
        text("rotated_at", nullable=True),
        text("successor", nullable=True),
        refers("refresh", "grant_id", "oauth_grant.id"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_refresh")),
    )
    op.create_table(
        "token",
        text("hash"),
        number("person_id"),
        number("grant_id", nullable=True),
        text("name", nullable=True),
        text("resource"),
        text("scope"),
        text("sealed", nullable=True),
        text("created_at"),
        text("expires_at", nullable=True),
        refers("token", "grant_id", "oauth_grant.id"),
        refers("token", "person_id", "person.id"),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_token")),
    )
    for table, column in INDEXES:
        op.create_index(op.f(f"ix_{table}_{column}"), table, [column])


def downgrade() -> None:
    """Take the change back."""
    for table, column in INDEXES:
        op.drop_index(op.f(f"ix_{table}_{column}"), table)
    for table in reversed(TABLES):
        op.drop_table(table)
    op.drop_column("person", "mail")
