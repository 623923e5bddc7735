"""Look at the outbox, and mend it: what an operator and a page need.

    operating.stats().lag
    operating.unfinished(limit=20)
    operating.publish_again(job_id)

All of these raise NoOutbox when no database is known, and Unreachable when it did not answer.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from kombu.utils.json import loads
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tasks.celery import app
from tasks.errors import NoSuchRow, Unreachable
from tasks.outbox import database, rows
from tasks.outbox.publisher import publisher
from tasks.outbox.publishing import publish
from tasks.outbox.rows import Counts
from tasks.outbox.table import OutboxRow, metadata
from tasks.scheduler import JobStatus
from tasks.states import JobState

_STATES = {
    None: JobState.WAITING,
    rows.COMPLETE: JobState.COMPLETE,
    rows.FAILED: JobState.FAILED,
    rows.CANCELLED: JobState.CANCELLED,
}


def stats() -> Counts:
    """Return how many rows wait, are not finished, and have failed, and how old the oldest are."""
    with _answering():
        return rows.counts(database.engine())


def find(job_id: str) -> OutboxRow | None:
    """Return the row of a job; None if there is none."""
    with _answering():
        return rows.find(database.engine(), job_id)


def unfinished(limit: int = 50, after: str = "") -> Sequence[OutboxRow]:
    """Return rows that are not finished, by id; `after` is the last id of the page before."""
    return _page(OutboxRow.finished_at.is_(None), limit, after)


def failed(limit: int = 50, after: str = "") -> Sequence[OutboxRow]:
    """Return rows that have failed, by id; `after` is the last id of the page before."""
    return _page(
        (OutboxRow.finished_at.is_not(None)) & (OutboxRow.outcome == rows.FAILED), limit, after
    )


def publish_again(job_id: str, *, wait: bool = True) -> None:
    """Run a job anew, whatever has become of it; the row and the id stay the same.

    For one that is finished, its body runs again: with the same keys, so an effect that honours
    them does not happen again. One that runs at this moment is not run a second time.

    Args:
        job_id: the job's id.
        wait: whether to wait for the broker; False leaves it to a thread of this process.

    Raises:
        NoSuchRow: when there is no row of this job.
        Unreachable: when the broker did not answer; a relay will publish it then.

    """
    engine = database.engine()
    with _answering():
        rows.reopen(engine, [job_id], rows.OUTCOMES)
        rows.unpublish(engine, [job_id])
        again = rows.begin_new_run(engine, [job_id])
        if not again:
            raise NoSuchRow(job_id)
        if wait:
            rows.mark_published(engine, publish(app, again))
        else:
            publisher.publish(again)


def prunable(older_than: timedelta) -> int:
    """Return how many rows finished so long ago."""
    with _answering(), Session(database.engine()) as session:
        old = OutboxRow.finished_at < rows.now() - older_than
        return session.scalar(select(func.count()).where(old)) or 0


def prune(older_than: timedelta, on_progress: Callable[[int], object] = lambda _: None) -> int:
    """Forget what finished so long ago; return how many rows. In small steps, each reported."""
    total = 0
    with _answering():
        while step := rows.prune(database.engine(), older_than, older_than):
            total += step
            on_progress(total)
    return total


def create_table() -> None:
    """Make the table and its indices where they are missing."""
    with _answering():
        metadata.create_all(database.engine())


def status_of_row(job_id: str) -> JobStatus | None:
    """Return how a job is by what its row says; None if there is no row, or no outbox."""
    if not database.is_used():
        return None
    row = find(job_id)
    if row is None:
        return None
    return JobStatus(
        job_id,
        _STATES[row.outcome],
        data=None if row.result is None else loads(row.result),
        attempts=row.attempts,
        error=row.error if row.outcome == rows.FAILED else None,
        is_stored=True,
    )


def _page(where: object, limit: int, after: str) -> Sequence[OutboxRow]:
    with _answering(), Session(database.engine()) as session:
        found = select(OutboxRow).where(where, OutboxRow.id > after)  # type: ignore[arg-type] # a clause
        return list(session.scalars(found.order_by(OutboxRow.id).limit(limit)))


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        # Its message holds the statement and its parameters; the driver's own sentence is enough.
        reason = str(getattr(error, "orig", None) or type(error).__name__)
        raise Unreachable(f"the outbox's database: {reason}", "try again later") from error
