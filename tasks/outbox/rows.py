"""What is asked of the table, and written to it: one short transaction each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from tasks.outbox.table import OutboxRow

UNPUBLISHED_DUE = timedelta(seconds=1)
"""How long the process that has enqueued a job has for publishing it before a relay does."""

PUBLISHED_DUE = timedelta(seconds=60)
"""After so long, a relay asks the broker whether a job that is not finished is still there."""

COMPLETE, FAILED, CANCELLED = OUTCOMES = "complete", "failed", "cancelled"

ERROR_LENGTH = 2_000
"""Characters of an error that are kept."""

_UNFINISHED = OutboxRow.finished_at.is_(None)


@dataclass(frozen=True)
class Outgoing:
    """What is needed to publish a row."""

    id: str
    task: str
    queue: str | None
    priority: int | None
    data: str
    headers: str
    run_at: datetime | None
    run: int = 0


_OUTGOING = tuple(getattr(OutboxRow, name) for name in Outgoing.__dataclass_fields__)


def now() -> datetime:
    """Return the moment, by this machine's clock. Others may be seconds off: that delays only."""
    return datetime.now(UTC)


# -- for relays ------------------------------------------------------------------------------------


def lease_due(
    engine: Engine, most: int, lease: timedelta, *, published: bool
) -> Sequence[Outgoing]:
    """Return rows that are due, and keep other relays away from them for a while.

    Args:
        engine: the outbox's database.
        most: how many rows at most, the longest due first.
        lease: after so long, others may take them.
        published: whether to return those that were published once, or those that never were.

    """
    moment = now()
    state = OutboxRow.published_at.is_not(None) if published else OutboxRow.published_at.is_(None)
    # PostgreSQL passes over what another relay has in its hands; SQLite lets one writer in.
    due = (
        select(OutboxRow.id)
        .where(_UNFINISHED, state, OutboxRow.due_at <= moment)
        .order_by(OutboxRow.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
        # Apart, so that PostgreSQL carries it out once and never locks more than that.
        .cte()
    )
    taken = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(select(due.c.id)))
        .values(due_at=moment + lease)
        .returning(*_OUTGOING)
    )
    with Session(engine) as session, session.begin():
        return [Outgoing(*row) for row in session.execute(taken, execution_options=_PLAIN)]


def mark_published(engine: Engine, rows: Sequence[Outgoing]) -> None:
    """Note that these rows were published now; in the order of ids, so nobody deadlocks."""
    moment = now()
    with engine.begin() as connection:
        for part in _parts(sorted(rows, key=lambda row: row.id)):
            soonest = moment + PUBLISHED_DUE
            connection.execute(
                update(OutboxRow)
                .where(OutboxRow.id.in_([row.id for row in part]), _UNFINISHED)
                .values(published_at=moment, due_at=_later_of(soonest))
            )


def begin_new_run(engine: Engine, ids: Sequence[str]) -> Sequence[Outgoing]:
    """Give each of these rows that is not finished a new run, and return them."""
    raised = (
        update(OutboxRow)
        .where(OutboxRow.id.in_(ids), _UNFINISHED)
        .values(run=OutboxRow.run + 1)
        .returning(*_OUTGOING)
    )
    with Session(engine) as session, session.begin():
        return [Outgoing(*row) for row in session.execute(raised, execution_options=_PLAIN)]


def look_again(engine: Engine, ids: Sequence[str], after: timedelta) -> None:
    """Have a relay look at these rows after a while."""
    with engine.begin() as connection:
        for part in _parts(sorted(ids)):
            connection.execute(
                update(OutboxRow)
                .where(OutboxRow.id.in_(part), _UNFINISHED)
                .values(due_at=now() + after)
            )


def suspect_all(engine: Engine) -> int:
    """Have relays look at all that was published and is not finished; return how many."""
    suspects = (
        update(OutboxRow)
        .where(_UNFINISHED, OutboxRow.published_at.is_not(None), OutboxRow.due_at > now())
        .values(due_at=now())
    )
    with engine.begin() as connection:
        return int(connection.execute(suspects).rowcount)


def prune(engine: Engine, complete: timedelta, others: timedelta, most: int = 500) -> int:
    """Forget up to `most` rows that finished long ago; return how many."""
    moment = now()
    old = or_(
        and_(OutboxRow.outcome == COMPLETE, OutboxRow.finished_at < moment - complete),
        OutboxRow.finished_at < moment - others,
    )
    ids = select(OutboxRow.id).where(old).limit(most).with_for_update(skip_locked=True).cte()
    # Counted by what comes back: SQLite's driver knows no row count of a statement with a CTE.
    gone = delete(OutboxRow).where(OutboxRow.id.in_(select(ids.c.id))).returning(OutboxRow.id)
    with engine.begin() as connection:
        return len(connection.execute(gone).all())


# -- for the run of a job --------------------------------------------------------------------------


def begin(connection: Connection, job_id: str, run: int) -> bool:
    """Note that the body begins; False: there is nothing to do, or no such row.

    A row that had failed and is run anew is open again.
    """
    moment = now()
    begun = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == job_id, or_(_UNFINISHED, OutboxRow.outcome == FAILED))
        .values(
            attempts=OutboxRow.attempts + 1,
            first_started_at=func.coalesce(OutboxRow.first_started_at, moment),
            started_at=moment,
            finished_at=None,
            outcome=None,
            run=case((OutboxRow.run < run, run), else_=OutboxRow.run),
            due_at=moment + PUBLISHED_DUE,
        )
    )
    return bool(begun.rowcount)


def finish(
    connection: Connection, job_id: str, outcome: str, result: str | None, error: str | None
) -> bool:
    """Note how the job has ended; False: it had ended before, or the row is gone."""
    values: dict[str, Any] = {"finished_at": now(), "outcome": outcome, "result": result}
    if error is not None:
        values["error"] = error[:ERROR_LENGTH]
    ended = connection.execute(
        update(OutboxRow).where(OutboxRow.id == job_id, _UNFINISHED).values(values)
    )
    return bool(ended.rowcount)


def note_error(connection: Connection, job_id: str, error: str) -> None:
    """Note the error of an attempt that another one follows."""
    connection.execute(
        update(OutboxRow)
        .where(OutboxRow.id == job_id, _UNFINISHED)
        .values(error=error[:ERROR_LENGTH])
    )


def reopen(engine: Engine, ids: Sequence[str], outcomes: Sequence[str] = (FAILED,)) -> None:
    """Note that jobs which had ended so are to run anew."""
    with engine.begin() as connection:
        for part in _parts(sorted(ids)):
            connection.execute(
                update(OutboxRow)
                .where(OutboxRow.id.in_(part), OutboxRow.outcome.in_(outcomes))
                .values(finished_at=None, outcome=None, due_at=now() + PUBLISHED_DUE)
            )


def unpublish(engine: Engine, ids: Sequence[str]) -> None:
    """Leave these rows to a relay, unless they are published within a second."""
    with engine.begin() as connection:
        connection.execute(
            update(OutboxRow)
            .where(OutboxRow.id.in_(ids), _UNFINISHED)
            .values(published_at=None, due_at=now() + UNPUBLISHED_DUE)
        )


# -- for whoever asks ------------------------------------------------------------------------------


def find(engine: Engine, job_id: str) -> OutboxRow | None:
    """Return a row; None if there is none."""
    with Session(engine) as session:
        return session.get(OutboxRow, job_id)


@dataclass(frozen=True)
class Counts:
    """How the outbox is. Ages in seconds; 0 where there is nothing to have an age."""

    unpublished: int
    unfinished: int
    """Unpublished ones included."""
    failed: int
    lag: float
    """The age of the oldest row that was not published."""
    oldest_unfinished: float


def counts(engine: Engine) -> Counts:
    """Count what is left to do, and what has failed."""
    unpublished = OutboxRow.published_at.is_(None)
    with Session(engine) as session:
        left, open_since = session.execute(
            select(func.count(), func.min(OutboxRow.created_at)).where(_UNFINISHED)
        ).one()
        waiting, waits_since = session.execute(
            select(func.count(), func.min(OutboxRow.created_at)).where(_UNFINISHED, unpublished)
        ).one()
        failed = session.scalar(
            select(func.count()).where(
                OutboxRow.finished_at.is_not(None), OutboxRow.outcome == FAILED
            )
        )
    return Counts(waiting, left, failed or 0, _age(waits_since), _age(open_since))


_PLAIN = {"synchronize_session": False}
"""Nothing of these rows is loaded in the session that could be out of date."""


def _later_of(soonest: datetime) -> Any:  # noqa: ANN401 (an SQL expression)
    """Return the later of this moment and the row's own time: a job for later is not missed yet."""
    return case((OutboxRow.run_at > soonest, OutboxRow.run_at), else_=soonest)


def _parts(items: Sequence[Any], size: int = 500) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max((now() - since).total_seconds(), 0.0)
