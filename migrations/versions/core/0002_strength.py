"""Row sets, hidden sessions, snapshots, shared rows' images, and what limits and retention need."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from engine.store.tables import Large

revision = "0002_strength"
down_revision = "0001_core"
branch_labels = None
depends_on = None

SESSION = (
    sa.Column("rows_id", sa.Integer(), nullable=True),
    sa.Column("hidden", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
    sa.Column("floor", sa.Integer(), server_default="1", nullable=False),
    sa.Column("stored", Large, server_default="0", nullable=False),
)
JOURNAL = (
    sa.Column("adopted", sa.Integer(), nullable=True),
    sa.Column("shared", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
)
INDEXES = (
    ("ix_session_hidden_rows_id", "session", ["hidden", "rows_id"], "hidden is not null"),
    ("ix_journal_session_id_revision", "journal", ["session_id", "revision"], "adopted is not null"),
)


def upgrade() -> None:
    """Apply the change."""
    for column in SESSION:
        op.add_column("session", column._copy())
    for column in JOURNAL:
        op.add_column("journal", column._copy())
    for name, table, columns, condition in INDEXES:
        where = sa.text(condition)
        op.create_index(op.f(name), table, columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "snapshot",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("rows", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_snapshot_session_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_id", "revision", name=op.f("pk_snapshot")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("snapshot")
    for name, table, _, _ in INDEXES:
        op.drop_index(op.f(name), table)
    for column in JOURNAL:
        op.drop_column("journal", column.name)
    for column in SESSION:
        op.drop_column("session", column.name)
