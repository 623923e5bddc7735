"""Products and orders: the first version of the schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A migration says what the schema was on its day, so it borrows nothing from the models.
_money = sa.Numeric(12, 2).with_variant(sa.Integer(), "sqlite")
_moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make the four tables, empty."""
    _make_product()
    _make_order()
    _make_order_product()
    _make_order_effect()


def downgrade() -> None:
    """Drop them again, with everything in them."""
    for table in ("order_effect", "order_product", "order", "product"):
        op.drop_table(table)


def _make_product() -> None:
    op.create_table(
        "product",
        sa.Column("sku", sa.String(40), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("price", _money, nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("picture", sa.String(120), nullable=False),
        sa.CheckConstraint("price > 0", name="ck_product_price"),
        sa.PrimaryKeyConstraint("sku", name="pk_product"),
    )


def _make_order() -> None:
    op.create_table(
        "order",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("number", sa.String(16), nullable=False),
        sa.Column("customer_name", sa.String(100), nullable=False),
        sa.Column("customer_email", sa.String(254), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total", _money, nullable=False),
        sa.Column("idempotency_key", sa.String(200)),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("created_at", _moment, nullable=False),
        sa.CheckConstraint("total > 0", name="ck_order_total"),
        sa.PrimaryKeyConstraint("id", name="pk_order"),
        sa.UniqueConstraint("number", name="uq_order_number"),
        sa.UniqueConstraint("idempotency_key", name="uq_order_idempotency_key"),
    )


def _make_order_product() -> None:
    op.create_table(
        "order_product",
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("sku", sa.String(40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("unit_price", _money, nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.CheckConstraint("quantity BETWEEN 1 AND 99", name="ck_order_product_quantity"),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name="fk_order_product_order_id"),
        sa.ForeignKeyConstraint(["sku"], ["product.sku"], name="fk_order_product_sku"),
        sa.PrimaryKeyConstraint("order_id", "sku", name="pk_order_product"),
    )


def _make_order_effect() -> None:
    op.create_table(
        "order_effect",
        sa.Column("order_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("done_at", _moment),
        sa.CheckConstraint("kind IN ('receipt', 'sale', 'inventory')", name="ck_order_effect_kind"),
        sa.ForeignKeyConstraint(["order_id"], ["order.id"], name="fk_order_effect_order_id"),
        sa.PrimaryKeyConstraint("order_id", "kind", name="pk_order_effect"),
        sa.UniqueConstraint("job_id", name="uq_order_effect_job_id"),
    )
