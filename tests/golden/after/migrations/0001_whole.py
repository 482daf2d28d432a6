"""The tables of version 1, which were made before the world had migrations."""

import sqlalchemy as sa
from alembic import op

revision = "0001_whole"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    for table, columns in (
        (
            "ledger__line",
            (
                sa.Column("number", sa.Integer(), nullable=False),
                sa.Column("text", sa.String(), nullable=False),
                sa.Column("amount", sa.Integer(), nullable=False),
                sa.PrimaryKeyConstraint("session_id", "number", name=op.f("pk_ledger__line")),
            ),
        ),
        (
            "ledger__label",
            (
                sa.Column("line", sa.Integer(), nullable=False),
                sa.Column("word", sa.String(), nullable=False),
                sa.PrimaryKeyConstraint("session_id", "line", "word", name=op.f("pk_ledger__label")),
            ),
        ),
    ):
        op.create_table(
            table,
            sa.Column("session_id", sa.Integer(), nullable=False),
            *columns,
            sa.ForeignKeyConstraint(
                ["session_id"], ["session.id"], name=op.f(f"fk_{table}_session_id"), ondelete="CASCADE"
            ),
        )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("ledger__label")
    op.drop_table("ledger__line")
