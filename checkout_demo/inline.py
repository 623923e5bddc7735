"""`CHECKOUT_MODE=inline`: the three effects inside the request, for comparison.

The customer waits for a mail server and an ERP, and sees their faults. It is how many shops work;
the default mode is here to show the other way.
"""

from collections.abc import Mapping

import structlog

from checkout_demo.database import Database
from checkout_demo.effects.errors import EffectError
from checkout_demo.fulfilment import fulfil
from checkout_demo.ledger import record
from checkout_demo.models import EffectKind, Order

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
            response = fulfil(order, effect.kind)
        except EffectError as error:
            _logger.warning(
                "effect failed", order_id=order.id, effect=effect.kind, reason=str(error)
            )
            failures[effect.kind] = error
        else:
            with database.writing() as session:
                record(session, order, effect.kind, response)
    if failures:
        raise EffectFailed(order, failures)
