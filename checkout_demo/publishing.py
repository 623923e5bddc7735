"""Publish an order's jobs, after its commit."""

import structlog

from checkout_demo.models import Order
from tasks.errors import Unreachable
from tasks.scheduler import schedule

_logger = structlog.stdlib.get_logger(__name__)


def publish(order: Order) -> None:
    """Put the order's jobs into their queue. A broker that is away is logged, not raised.

    The customer's order stands in the database by now, so the answer is the order. What the log
    names as unpublished nobody does by itself: between the commit and this call lies a gap, in
    which jobs can be lost.
    """
    for place, effect in enumerate(order.effects):
        try:
            schedule(effect.kind.task, {"order_id": order.id}, job_id=effect.job_id)
        except Unreachable as error:
            # One wait for a broker that is away is enough for one request.
            missing = [left.kind.task for left in order.effects[place:]]
            _logger.error(  # noqa: TRY400 (the reason is all that a traceback would tell)
                "jobs not published", order_id=order.id, tasks=missing, reason=error.reason
            )
            return
