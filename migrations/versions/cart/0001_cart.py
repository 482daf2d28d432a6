"""The catalogue that all carts share, and the lines of each."""

import sqlalchemy as sa
import sqlmodel
from alembic import op

from engine.store.schema import Large

revision = "0001_cart"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply the change."""
    op.create_table(
        "cart__product",
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("price", Large, nullable=False),
        sa.Column("currency", sqlmodel.sql.sqltypes.AutoString(length=3), nullable=False),
        sa.Column("stock", Large, nullable=False),
        sa.CheckConstraint("price >= 0", name=op.f("ck_cart__product_price")),
        sa.CheckConstraint("stock >= 0", name=op.f("ck_cart__product_stock")),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_cart__product")),
    )
    op.create_table(
        "cart__cart_line",
        sa.Column("session_id", Large, nullable=False),
        sa.Column("sku", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("quantity", Large, nullable=False),
        sa.Column("price", Large, nullable=False),
        sa.Column("currency", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("quantity between 1 and 99", name=op.f("ck_cart__cart_line_quantity")),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["session.id"],
            name=op.f("fk_cart__cart_line_session_id"),
            ondelete="CASCADE",
            deferrable=True,
        ),
        sa.PrimaryKeyConstraint("session_id", "sku", name=op.f("pk_cart__cart_line")),
    )


def downgrade() -> None:
    """Take the change back."""
    op.drop_table("cart__cart_line")
    op.drop_table("cart__product")
