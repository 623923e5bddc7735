"""The ledger of effects: what each order must cause, and what has become of it.

Two tables tell it, and no fact stands in both. The job's row in the outbox has its attempts, their
times and the last error, until it is forgotten a week after its end (`OUTBOX_KEEP`). The effect has
its key, its answer and when it was done, and keeps them as long as the order. The job's own commit
writes both.

A replay runs the same job with the same key. The first answer stays in the ledger: the ERP gives
that one again, and a mail has none but its Message-ID.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from kombu.utils.json import dumps, loads
from sqlalchemy import ColumnElement, Select, select, true, update
from sqlalchemy.orm import Session

from checkout_demo.database import Database
from checkout_demo.models import BY_KIND, EffectKind, Order, OrderEffect
from tasks import outbox
from tasks.errors import NoSuchRow
from tasks.outbox import OutboxRow, operating
from tasks.outbox.rows import CANCELLED, FAILED

PAGE = 50
"""Effects on one page."""

LAST_PAGE = 200
"""Who looks further back knows the order's number."""


class EffectState(StrEnum):
    """How an effect stands, as the ledger alone tells it: no broker is asked."""

    WAITING = "Waiting"
    """Its job is to be run, and was not begun."""
    TRYING = "Trying"
    """Its job was begun, and has not ended: it runs, or waits for another attempt."""
    DONE = "Done"
    FAILED = "Failed"
    """Its job has ended without it. A person has to look."""
    NO_JOB = "No job"
    """It is not done, and the outbox has no job that would do it."""
    REPLAYING = "Replaying"
    """It is done, and its job was asked to run once more."""
    REPLAY_FAILED = "Replay failed"
    """It is done; to run its job once more has failed."""


class Shown(StrEnum):
    """Which effects a list shows."""

    OPEN = "open"
    FAILED = "failed"
    ALL = "all"


class NoSuchEffect(LookupError):
    """No effect has this job's id."""


@dataclass(frozen=True)
class Entry:
    """One effect of one order, with its job's row, which is None once that is forgotten."""

    order: Order
    effect: OrderEffect
    row: OutboxRow | None

    @property
    def state(self) -> EffectState:
        """How it stands."""
        outcome = self.row.outcome if self.row else None
        has_failed = outcome in (FAILED, CANCELLED)
        if self.effect.done_at:
            if has_failed:
                return EffectState.REPLAY_FAILED
            is_open = self.row is not None and outcome is None
            return EffectState.REPLAYING if is_open else EffectState.DONE
        if self.row is None:
            return EffectState.NO_JOB
        if has_failed:
            return EffectState.FAILED
        return EffectState.TRYING if self.row.attempts else EffectState.WAITING

    @property
    def response(self) -> Any:  # noqa: ANN401 (any JSON)
        """What came of it."""
        return None if self.effect.response is None else loads(self.effect.response)


def record(session: Session, order: Order, kind: EffectKind, response: Mapping[str, Any]) -> None:
    """Note in the session's transaction that an effect is done, and what came of it, once."""
    session.execute(
        update(OrderEffect)
        .where(
            OrderEffect.order_id == order.id,
            OrderEffect.kind == kind,
            OrderEffect.done_at.is_(None),
        )
        .values(done_at=datetime.now(UTC), response=dumps(response))
    )


def entries(
    database: Database, shown: Shown, *, number: str = "", page: int = 1
) -> Sequence[Entry]:
    """Return a page of effects and one more, those of the newest orders first.

    Args:
        database: the store's.
        shown: which of them.
        number: only those of the order with this number; of all orders by default.
        page: 1 to `LAST_PAGE`.

    """
    wanted = _entries().where(_condition(shown))
    if number:
        wanted = wanted.where(Order.number == number)
    ordered = wanted.order_by(Order.created_at.desc(), Order.id, BY_KIND)
    with database.reading() as session:
        found = session.execute(ordered.offset((page - 1) * PAGE).limit(PAGE + 1))
        return [Entry(*row) for row in found]


def entry(database: Database, job_id: str) -> Entry:
    """Return the effect whose job has this id.

    Raises:
        NoSuchEffect: when there is none.

    """
    with database.reading() as session:
        found = session.execute(_entries().where(OrderEffect.job_id == job_id)).one_or_none()
    if found is None:
        raise NoSuchEffect(job_id)
    return Entry(*found)


def rows_of(database: Database, order: Order) -> Mapping[str, OutboxRow]:
    """Return the rows that the outbox has of the order's jobs, by their ids."""
    ids = [effect.job_id for effect in order.effects]
    with database.reading() as session:
        found = session.scalars(select(OutboxRow).where(OutboxRow.id.in_(ids)))
        return {row.id: row for row in found}


def replay(database: Database, found: Entry) -> None:
    """Run the effect's job once more, with the same id and so with the same keys.

    Nothing here waits for the broker. A job whose row is forgotten, or that never had one, gets
    another.
    """
    try:
        operating.publish_again(found.effect.job_id, wait=False)
    except NoSuchRow:
        with database.writing() as session:
            enqueue(session, found.order, found.effect)


def enqueue(session: Session, order: Order, effect: OrderEffect) -> None:
    """Enqueue the effect's job in the session's transaction."""
    outbox.schedule(session, effect.kind.task, {"order_id": order.id}, job_id=effect.job_id)


def _entries() -> Select[Order, OrderEffect, OutboxRow]:
    return (
        select(Order, OrderEffect, OutboxRow)
        .join(OrderEffect, OrderEffect.order_id == Order.id)
        .outerjoin(OutboxRow, OutboxRow.id == OrderEffect.job_id)
    )


def _condition(shown: Shown) -> ColumnElement[bool]:
    if shown is Shown.OPEN:
        return OrderEffect.done_at.is_(None)
    if shown is Shown.FAILED:
        return OutboxRow.outcome.in_((FAILED, CANCELLED))
    return true()
