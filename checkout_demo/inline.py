"""`CHECKOUT_MODE=inline`: the three effects inside the request, for comparison.

The customer waits for a mail server and an ERP, and sees their faults. It is how many shops work;
the default mode is here to show the other way.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog

from checkout_demo.database import Database
from checkout_demo.effects.errors import EffectError
from checkout_demo.fulfilment import fulfil
from checkout_demo.models import EffectKind, Order, OrderEffect

_logger = structlog.stdlib.get_logger(__name__)


class EffectFailed(Exception):
    """The order is stored, but some of what follows from it could not be done in the request.

    The same request with the same idempotency key does what is missing, and only that.
    """

    def __init__(self, order: Order, failures: Mapping[EffectKind, EffectError]) -> None:
        self.order = order
        self.failures = dict(failures)
        super().__init__(", ".join(failures))


def perform(database: Database, order: Order) -> None:
    """Do those of the order's effects that are not done yet, one after the other.

    Raises:
        EffectFailed: naming each effect that failed; the others are done.

    """
    failures: dict[EffectKind, EffectError] = {}
    for effect in order.effects:
        if effect.done_at is not None:
            continue
        try:
            fulfil(order, effect.kind)
            effect.done_at = _record(database, effect)
        except EffectError as error:
            _logger.warning(
                "effect failed", order_id=order.id, effect=effect.kind, reason=str(error)
            )
            failures[effect.kind] = error
    if failures:
        raise EffectFailed(order, failures)


def _record(database: Database, effect: OrderEffect) -> datetime:
    done_at = datetime.now(UTC)
    with database.writing() as session:
        stored = session.get_one(OrderEffect, (effect.order_id, effect.kind))
        stored.done_at = done_at
    return done_at
