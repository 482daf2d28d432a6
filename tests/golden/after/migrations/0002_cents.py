"""The columns of version 2. What is in them is for the world's upgrade to say."""

import sqlalchemy as sa
from alembic import op

revision = "0002_cents"
down_revision = "0001_whole"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    with op.batch_alter_table("ledger__line") as table:
        table.alter_column("amount", new_column_name="cents")
        table.add_column(sa.Column("kind", sa.String(), server_default="cost", nullable=False))
    op.drop_table("ledger__label")


def downgrade() -> None:
    """Take the change back, but for the labels."""
    op.create_table(
        "ledger__label",
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("word", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "line", "word", name=op.f("pk_ledger__label")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_ledger__label_session_id"), ondelete="CASCADE"
        ),
    )
    with op.batch_alter_table("ledger__line") as table:
        table.drop_column("kind")
        table.alter_column("cents", new_column_name="amount")
