"""Run the body of a job that belongs to a row of the outbox, and note in the row how it ended.

The row is what tells whether there is anything left to do, whatever the broker delivers: a second
delivery of a finished job is answered with what the first one returned, and one that comes while
the job runs is dropped. `Job` calls `run` for every job whose message says that it has a row.

Exactly once is what happens to the row and to whatever else `finishing` commits with it. A body may
be begun again when its process died before that commit; give its other effects a key.
"""

import logging
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Retry
from kombu.utils.json import loads
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from tasks.errors import JobCancelled
from tasks.failed.message import RERUNS
from tasks.outbox import database, rows
from tasks.outbox.claims import Claim, LostClaim, OutboxAway, locked, raising_away

if TYPE_CHECKING:
    from tasks.job import Job

_logger = logging.getLogger("tasks.outbox")

_CLAIM = "outbox_claim"
"""Where a request keeps the claim of the job that runs."""

SOON = timedelta(seconds=5)
"""When a relay looks at a row whose second delivery was dropped: the first run may die yet."""

_ROW_TRIES = 5
"""How often, with a second between, a row is looked for that is not there. It is there before its
message is, unless its transaction was not the one that the session has committed."""

_WITHOUT_LIMIT = 10**9
"""Attempts for as long as the database is away: that is no fault of the job's."""


@contextmanager
def finishing(job: "Job", result: object = None) -> Iterator[Session]:
    """Open a session for the database work of a body; its commit marks the job as done.

        outcome = call_the_erp()
        with finishing(self, outcome) as session:
            session.add(Booking(...))
        return outcome

    What the block stores and the row's being done are one commit. A job that was scheduled without
    an outbox gets a plain transaction. A lock that others hold is waited for, up to a minute; a
    database that is away has the job tried again.

    Args:
        job: the task that runs, `self` in a bound body.
        result: what the body is going to return; kept in the row.

    Raises:
        NoOutbox: when no database is known.

    """
    claim: Claim | None = getattr(job.request, _CLAIM, None)
    if claim is None:
        with Session(database.engine()) as session, session.begin():
            yield session
        return
    with claim.ending(result) as session:
        yield session


def run(job: "Job", body: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 (any body's)
    """Run the body unless its row tells that there is nothing to do, and note how it ended."""
    try:
        with locked(job.job_id) as claim:
            if claim is None:
                return _drop(job)
            if not _begin(job, claim):
                return _answer_without_running(job)
            job.request.update({_CLAIM: claim})
            return _carry_out(claim, lambda: body(*args, **kwargs))
    except OutboxAway as error:
        # Before the body, or after it: the row is not finished, so the job is not either.
        _logger.warning("the outbox is away; job %s is tried again: %s", job.job_id, error)
        wait = random.uniform(0.5, 2)  # noqa: S311 (no secret)
        raise job.retry(exc=error, countdown=wait, max_retries=_WITHOUT_LIMIT) from error


def fail(job_id: str, error: BaseException) -> None:
    """Note that a job has failed for good. Never raises: a relay will find it failed as well."""
    try:
        with database.engine().begin() as connection:
            rows.finish(connection, job_id, rows.FAILED, None, f"{type(error).__name__}: {error}")
    except SQLAlchemyError as problem:
        _logger.warning("could not note in its row that job %s has failed: %s", job_id, problem)


def cancel(job_id: str) -> None:
    """Note that a job was cancelled."""
    with database.engine().begin() as connection:
        rows.finish(connection, job_id, rows.CANCELLED, None, None)


def _begin(job: "Job", claim: Claim) -> bool:
    """Note that the body begins, if there is anything left to do."""
    with claim.transaction() as session:
        run_number = int(getattr(job.request, RERUNS, None) or 0)
        return rows.begin(session.connection(), claim.job_id, run_number)


def _answer_without_running(job: "Job") -> Any:  # noqa: ANN401 (any body's)
    """Answer a delivery of a job that has ended, or of one that never was."""
    with raising_away():
        row = rows.find(database.engine(), job.job_id)
    if row is None:
        return _miss(job)
    if row.outcome == rows.CANCELLED:
        raise JobCancelled("cancelled before it started")
    return None if row.result is None else loads(row.result)


def _carry_out(claim: Claim, body: Callable[[], Any]) -> Any:  # noqa: ANN401 (any body's)
    try:
        result = body()
        if not claim.is_finished:
            with claim.ending(result):
                pass
    except LostClaim as lost:
        _logger.warning("job %s had ended elsewhere; what this run did is undone", claim.job_id)
        raise Ignore(str(lost)) from lost
    except JobCancelled:
        _note(claim, lambda at: rows.finish(at, claim.job_id, rows.CANCELLED, None, None))
        raise
    except Retry as retry:
        reason = str(retry.exc or retry.message or "it asked for another attempt")
        _note(claim, lambda at: rows.note_error(at, claim.job_id, reason))
        raise
    return result


def _note(claim: Claim, write: Callable[[Connection], object]) -> None:
    """Write what is good to know; the row is right without it."""
    try:
        with claim.transaction() as session:
            write(session.connection())
    except OutboxAway as error:
        _logger.warning("could not note how an attempt of %s ended: %s", claim.job_id, error)


def _drop(job: "Job") -> Any:  # noqa: ANN401 (never returns)
    """Be done with a delivery of a job that runs elsewhere."""
    _logger.info("job %s runs already; this delivery is dropped", job.job_id)
    rows.look_again(database.engine(), [job.job_id], SOON)
    raise Ignore("it runs already")


def _miss(job: "Job") -> Any:  # noqa: ANN401 (never returns)
    """Look for the row again a little later, then be done with the delivery."""
    if (job.request.retries or 0) < _ROW_TRIES:
        raise job.retry(countdown=1, max_retries=_WITHOUT_LIMIT)
    _logger.warning(
        "job %s has no row in the outbox: its transaction was rolled back, or it finished long "
        "ago and is forgotten. It is not run",
        job.job_id,
    )
    job.backend.mark_as_revoked(job.job_id, "it has no row in the outbox", request=job.request)
    raise Ignore("it has no row in the outbox")
