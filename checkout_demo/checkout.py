"""The one transaction of the store: an order, its lines and what it sets in motion.

check      every fault at once, or a good request
store      order, lines, effects and their three jobs in one commit; a repeated key finds the order
           it made

The jobs are rows of the outbox: after the commit they are published by a thread of this process,
or else by a relay. The request waits for neither.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from checkout_demo.catalogue import in_stock
from checkout_demo.database import Database
from checkout_demo.faults import KeyReused
from checkout_demo.inline import perform
from checkout_demo.ledger import enqueue
from checkout_demo.models import EffectKind, Order, OrderEffect, OrderProduct, Product
from checkout_demo.money import CURRENCY
from checkout_demo.order_request import OrderRequest, check
from checkout_demo.orders import WHOLE

Mode = Literal["deferred", "inline"]

# Without 0 O 1 I L U: what is read out on a telephone should not need spelling.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True)
class PlacedOrder:
    """An order that is stored, with its lines and effects."""

    order: Order
    is_new: bool
    """False: a request with this idempotency key had made it before."""


def place_order(
    database: Database,
    cart: object,
    customer: object,
    idempotency_key: str | None = None,
    *,
    mode: Mode = "deferred",
) -> PlacedOrder:
    """Make an order of a cart, once for each idempotency key, and set off what follows from it.

    `cart` is a list of `{"sku", "quantity"}`, `customer` is `{"name", "email"}`, both as they came.
    Nothing here waits for a broker: one that is away delays the jobs, and loses none.

    Raises:
        BadOrder: with every fault of cart, customer and key; nothing was stored.
        KeyReused: when the key made an order with other content; nothing was stored.
        EffectFailed: with mode "inline" only; the order is stored.

    """
    products = _products(database)
    request = check(cart, customer, idempotency_key, skus=products)
    placed = _placed_before(database, request, idempotency_key) or _store(
        database, _new_order(request, products, idempotency_key), request, mode
    )
    if mode == "inline":
        perform(database, placed.order)
    return placed


def _products(database: Database) -> Mapping[str, Product]:
    with database.reading() as session:
        return {product.sku: product for product in in_stock(session)}


def _placed_before(
    database: Database, request: OrderRequest, key: str | None
) -> PlacedOrder | None:
    if key is None:
        return None
    with database.reading() as session:
        order = session.scalar(select(Order).where(Order.idempotency_key == key).options(*WHOLE))
    if order is None:
        return None
    if order.fingerprint != request.fingerprint:
        raise KeyReused(order.number)
    return PlacedOrder(order, is_new=False)


def _store(database: Database, order: Order, request: OrderRequest, mode: Mode) -> PlacedOrder:
    try:
        with database.writing() as session:
            session.add(order)
            if mode == "deferred":
                for effect in order.effects:
                    enqueue(session, order, effect)
    except IntegrityError:
        # Two requests with one key came at the same time, and the other one was first.
        placed = _placed_before(database, request, order.idempotency_key)
        if placed is None:
            raise
        return placed
    return PlacedOrder(order, is_new=True)


def _new_order(request: OrderRequest, products: Mapping[str, Product], key: str | None) -> Order:
    lines = [
        OrderProduct(
            sku=item.sku,
            position=position,
            name=products[item.sku].name,
            unit_price=products[item.sku].price,
            quantity=item.quantity,
        )
        for position, item in enumerate(request.items)
    ]
    return Order(
        id=str(uuid4()),
        number=_number(),
        customer_name=request.customer.name,
        customer_email=request.customer.email,
        currency=CURRENCY,
        total=sum((line.total for line in lines), start=0 * lines[0].total),
        idempotency_key=key,
        fingerprint=request.fingerprint,
        created_at=datetime.now(UTC),
        lines=lines,
        effects=[OrderEffect(kind=kind, job_id=str(uuid4())) for kind in EffectKind],
    )


def _number() -> str:
    """Return a number for people: 30^8 of them, so that it tells nobody how much is sold."""
    letters = [secrets.choice(_LETTERS) for _ in range(8)]
    return f"{''.join(letters[:4])}-{''.join(letters[4:])}"
