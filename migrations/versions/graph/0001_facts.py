"""The facts of a graph, and the files that were taken in as a whole."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from engine.store import search
from engine.store.schema import Large

revision = "0001_graph"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "graph__fact",
        sa.Column("session_id", Large, nullable=False),
        sa.Column("id", Large, nullable=False),
        sa.Column("since", Large, nullable=False),
        sa.Column("until", Large, nullable=True),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("object", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("node", Large, nullable=False),
        sa.Column("target", Large, nullable=False),
        sa.Column("valid_from", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("valid_to", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("weight", sa.Float(), nullable=True),
        sa.Column("attributes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("words", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_graph__fact_session_id"),
            ondelete="CASCADE",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("session_id", "id", "since", name=op.f("pk_graph__fact")),
    )
    by_type = op.f("ix_graph__fact_session_id_kind_type_id_since")
    op.create_index(by_type, "graph__fact", ["session_id", "kind", "type", "id", "since"])
    columns = ["session_id", "node", "kind", "target"]
    op.create_index(op.f("ix_graph__fact_session_id_node_kind_target"), "graph__fact", columns)
    op.create_index(op.f("ix_graph__fact_session_id_target_kind"), "graph__fact", ["session_id", "target", "kind"])
    op.create_index(
        "ix_graph__fact_entity",
        "graph__fact",
        ["session_id", "node", "id", "since", "until", "valid_from", "valid_to"],
        sqlite_where=sa.text("kind = 'entity'"),
        postgresql_where=sa.text("kind = 'entity'"),
    )
    op.create_index(op.f("ix_graph__fact_session_id_since"), "graph__fact", ["session_id", "since"])
    op.create_index(
        op.f("ix_graph__fact_session_id_until"),
        "graph__fact",
        ["session_id", "until"],
        sqlite_where=sa.text("until is not null"),
        postgresql_where=sa.text("until is not null"),
    )
    search.create(op.get_bind(), "graph__fact", "words")
    op.create_table(
        "graph__import",
        sa.Column("session_id", Large, nullable=False),
        sa.Column("id", Large, nullable=False),
        sa.Column("since", Large, nullable=False),
        sa.Column("until", Large, nullable=True),
        sa.Column("format", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("facts", Large, nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_graph__import_session_id"),
            ondelete="CASCADE",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("session_id", "id", "since", name=op.f("pk_graph__import")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("graph__import")
    search.drop(op.get_bind(), "graph__fact")
    op.drop_table("graph__fact")
