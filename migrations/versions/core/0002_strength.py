"""Row sets, hidden sessions, snapshots, shared rows' images, and what limits and retention need."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from engine.store.schema import Large

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
    ("ix_session_hidden_rows_id", "session", ["hidden", "rows_id"], "hidden is not null", False),
    ("ix_journal_session_id_revision", "journal", ["session_id", "revision"], "adopted is not null", False),
    (
        "ix_journal_session_id_target_revision",
        "journal",
        ["session_id", "target", "revision"],
        "target is not null",
        False,
    ),
    ("ix_journal_session_id_person_id_key", "journal", ["session_id", "person_id", "key"], "key is not null", True),
)
"""Indexes without the many rows that they have nothing to say of: name, table, columns, condition, uniqueness."""


def upgrade() -> None:
    """Apply the change."""
    for column in SESSION:
        op.add_column("session", column._copy())
    op.drop_index("ix_journal_session_id_target", "journal")
    with op.batch_alter_table("journal") as batch:
        batch.drop_constraint("uq_journal_session_id_person_id_key", type_="unique")
        for column in JOURNAL:
            batch.add_column(column._copy())
    for name, table, columns, condition, unique in INDEXES:
        where = sa.text(condition)
        op.create_index(op.f(name), table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
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
    op.create_table(
        "writer",
        sa.Column("id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("number", Large, nullable=False),
        sa.Column("at", Large, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_writer")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("writer")
    op.drop_table("snapshot")
    for name, table, *_ in INDEXES:
        op.drop_index(op.f(name), table)
    with op.batch_alter_table("journal") as batch:
        for column in JOURNAL:
            batch.drop_column(column.name)
        batch.create_unique_constraint(op.f("uq_journal_session_id_person_id_key"), ["session_id", "person_id", "key"])
    op.create_index(op.f("ix_journal_session_id_target"), "journal", ["session_id", "target"])
    for column in SESSION:
        op.drop_column("session", column.name)
