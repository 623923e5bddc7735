"""The store's tables.

product         what can be bought
order           one checkout; its id is the unguessable part of its address
order_product   what was bought, at the price of that moment
order_effect    what must happen because of it; the job's id is the effect's idempotency key
job_outbox      the jobs that do it, until they are done: see tasks/outbox/
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import (
    Case,
    CheckConstraint,
    Enum,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    case,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from checkout_demo.money import Money
from tasks.outbox.table import Utc as Utc  # noqa: PLC0414 (an export: one column type for both)


class EffectKind(StrEnum):
    """What an order sets in motion. The order here is the order on the page."""

    RECEIPT = "receipt"
    SALE = "sale"
    INVENTORY = "inventory"

    @property
    def task(self) -> str:
        """The name of the task that does it."""
        return _TASKS[self]


_TASKS = {
    EffectKind.RECEIPT: "orders.send_receipt",
    EffectKind.SALE: "orders.record_sale",
    EffectKind.INVENTORY: "orders.decrease_inventory",
}
_PLACES = {kind: place for place, kind in enumerate(EffectKind)}


class Base(DeclarativeBase):
    """What all tables share: how constraints are named, so that migrations can name them too."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Product(Base):
    """Something the store sells."""

    __tablename__ = "product"
    __table_args__ = (CheckConstraint("price > 0", name="price"),)

    sku: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    price: Mapped[Decimal] = mapped_column(Money)
    description: Mapped[str] = mapped_column(Text)
    picture: Mapped[str] = mapped_column(String(120))
    """File below `static/`."""


class Order(Base):
    """One checkout."""

    __tablename__ = "order"
    __table_args__ = (CheckConstraint("total > 0", name="total"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    number: Mapped[str] = mapped_column(String(16), unique=True)
    """What people say on the telephone; it opens nothing."""
    customer_name: Mapped[str] = mapped_column(String(100))
    customer_email: Mapped[str] = mapped_column(String(254))
    currency: Mapped[str] = mapped_column(String(3))
    total: Mapped[Decimal] = mapped_column(Money)
    idempotency_key: Mapped[str | None] = mapped_column(String(200), unique=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of what was asked for: tells a repeated request from another one with its key."""
    created_at: Mapped[datetime] = mapped_column(Utc, index=True)

    lines: Mapped[list["OrderProduct"]] = relationship(
        order_by="OrderProduct.position", cascade="all, delete-orphan"
    )
    effects: Mapped[list["OrderEffect"]] = relationship(
        order_by=lambda: BY_KIND, cascade="all, delete-orphan"
    )


class OrderProduct(Base):
    """One line of an order."""

    __tablename__ = "order_product"
    __table_args__ = (CheckConstraint("quantity BETWEEN 1 AND 99", name="quantity"),)

    order_id: Mapped[str] = mapped_column(ForeignKey("order.id"), primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("product.sku"), primary_key=True)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(80))
    unit_price: Mapped[Decimal] = mapped_column(Money)
    quantity: Mapped[int]

    @property
    def total(self) -> Decimal:
        """The line's price."""
        return self.unit_price * self.quantity


class OrderEffect(Base):
    """One thing that must happen once because of an order."""

    __tablename__ = "order_effect"
    __table_args__ = (
        # What an operator asks for: hopefully few.
        Index(
            "ix_order_effect_not_done",
            "order_id",
            postgresql_where=text("done_at IS NULL"),
            sqlite_where=text("done_at IS NULL"),
        ),
    )

    order_id: Mapped[str] = mapped_column(ForeignKey("order.id"), primary_key=True)
    kind: Mapped[EffectKind] = mapped_column(
        Enum(
            EffectKind,
            name="kind",
            native_enum=False,
            create_constraint=True,
            length=16,
            values_callable=lambda kinds: [kind.value for kind in kinds],
        ),
        primary_key=True,
    )
    job_id: Mapped[str] = mapped_column(String(36), unique=True)
    """Celery's task id, the ERP's idempotency key and the mail's Message-ID: one id everywhere."""
    done_at: Mapped[datetime | None] = mapped_column(Utc)
    """When it was done, by a commit that also ends its job. None: not yet."""
    response: Mapped[str | None] = mapped_column(Text)
    """What came of it, as JSON."""


BY_KIND: Case[int] = case(_PLACES, value=OrderEffect.kind)
"""What sorts effects as the page shows them."""
