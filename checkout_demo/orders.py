"""Find orders that are stored."""

from sqlalchemy import select
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.interfaces import ORMOption

from checkout_demo.database import Database
from checkout_demo.models import EffectKind, Order, OrderEffect

WHOLE: tuple[ORMOption, ...] = (selectinload(Order.lines), selectinload(Order.effects))
"""Options of a query: load an order with its lines and effects, usable after the session."""


class OrderNotFound(LookupError):
    """No order has this id. A job for it will not find it later either."""

    def __init__(self, order_id: str) -> None:
        self.order_id = order_id
        super().__init__(order_id)

    def __str__(self) -> str:
        return f"there is no order {self.order_id}; DATABASE_URL may name another database"


def find_order(database: Database, order_id: str) -> Order:
    """Return an order with its lines and effects.

    Raises:
        OrderNotFound: if no order has this id.

    """
    with database.reading() as session:
        order = session.scalar(select(Order).where(Order.id == order_id).options(*WHOLE))
    if order is None:
        raise OrderNotFound(order_id)
    return order


def effect_of(order: Order, kind: EffectKind) -> OrderEffect:
    """Return the one effect of this kind that the order has."""
    return next(effect for effect in order.effects if effect.kind is kind)
