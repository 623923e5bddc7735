"""The cards of an order's page: one for each effect, with the state of its job.

What is done stands in the ledger, so nobody else is asked about it. An error's own words are for
whoever runs the store, on the pages of `views/operator.py`; a buyer learns what comes next.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from kombu.utils.json import loads

from checkout_demo.checkout import Mode
from checkout_demo.job_cards import JobCard
from checkout_demo.models import EffectKind, Order, OrderEffect
from tasks.errors import Unreachable
from tasks.outbox import OutboxRow
from tasks.scheduler import JobStatus, status
from tasks.states import JobState

TITLES: Mapping[EffectKind, str] = {
    EffectKind.RECEIPT: "Receipt by mail",
    EffectKind.SALE: "Sale in the books",
    EffectKind.INVENTORY: "Stock in the warehouse",
}


def cards_of(order: Order, mode: Mode, rows: Mapping[str, OutboxRow]) -> list[JobCard]:
    """Return a card for each effect. A state that cannot be looked up is told as such.

    `rows` are those that the outbox has of the order's jobs, by their ids.
    """
    statuses = _in_request(order) if mode == "inline" else _in_jobs(order, rows)
    return [
        JobCard(
            job_id=effect.job_id,
            title=TITLES[effect.kind],
            task=effect.kind.task,
            status=statuses.get(effect.job_id),
            done=_done(order, effect, statuses.get(effect.job_id)),
            done_at=effect.done_at,
        )
        for effect in order.effects
    ]


def _in_jobs(order: Order, rows: Mapping[str, OutboxRow]) -> dict[str, JobStatus]:
    found: dict[str, JobStatus] = {}
    for effect in order.effects:
        job_id = effect.job_id
        if effect.done_at:
            attempts = rows[job_id].attempts if job_id in rows else 0
            response = loads(effect.response) if effect.response else None
            found[job_id] = JobStatus(job_id, JobState.COMPLETE, response, attempts=attempts)
            continue
        # A backend that is away costs one wait: the circuit lets the others fail at once.
        with suppress(Unreachable):
            found[job_id] = replace(status(job_id), error=None)
    return found


def _in_request(order: Order) -> dict[str, JobStatus]:
    """Put what was done inside the request, or was not, into the words of jobs."""
    return {
        effect.job_id: JobStatus(
            effect.job_id, JobState.COMPLETE if effect.done_at else JobState.FAILED
        )
        for effect in order.effects
    }


def _done(order: Order, effect: OrderEffect, status_now: JobStatus | None) -> str:
    data = status_now.data if status_now else None
    facts: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    if effect.kind is EffectKind.RECEIPT:
        return f"Sent to {order.customer_email}."
    if effect.kind is EffectKind.SALE:
        return f"Recorded as sale {facts['sale_id']}." if "sale_id" in facts else "Recorded."
    pieces = sum(line.quantity for line in order.lines)
    return f"{pieces} {'piece' if pieces == 1 else 'pieces'} taken from the shelf."
