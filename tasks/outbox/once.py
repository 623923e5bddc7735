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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from celery.exceptions import Ignore, Retry
from kombu.utils.json import dumps, loads
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from tasks.errors import JobCancelled
from tasks.failed.message import RERUNS
from tasks.outbox import database, rows
from tasks.outbox.locks import lock

if TYPE_CHECKING:
    from tasks.job import Job

_logger = logging.getLogger("tasks.outbox")

_CLAIM = "outbox_claim"
"""Where a request keeps the claim of the job that runs."""

SOON = timedelta(seconds=5)
"""When a relay looks at a row whose second delivery was dropped: the first run may die yet."""

_LOCK_SECONDS = 0.5
"""How long a delivery waits for the lock. An attempt that asks for another one at once still has it
when that one arrives, for some milliseconds."""

_LOCK_EVERY = 0.02

_ROW_TRIES = 5
"""How often, with a second between, a row is looked for that is not there. It is there before its
message is, unless its transaction was not the one that the session has committed."""

_AWAY = (OperationalError, InterfaceError)
"""What drivers raise for a database that is away, has cut the connection, or is locked."""

_END_SECONDS = 60.0
"""How long a body that is done waits until the database takes that down. To give up has it run
again, with whatever it did elsewhere; to wait costs one place in the pool."""

_END_EVERY = (0.02, 0.2)

_WITHOUT_LIMIT = 10**9
"""Attempts for as long as the database is away: that is no fault of the job's."""


class OutboxAway(Exception):
    """The outbox's database did not answer, or was locked for too long. It may pass."""


class LostClaim(Exception):
    """The job had ended elsewhere when this run came to its end; nothing of it was stored."""


@contextmanager
def _named() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise OutboxAway(str(error)) from error


@dataclass
class Claim:
    """A job that runs here, and nowhere else."""

    job_id: str
    bind: Engine | Connection
    is_finished: bool = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session whose transaction is committed when the block ends.

        Raises:
            OutboxAway: when the database did not carry it out.

        """
        with _named(), Session(self.bind) as session, session.begin():
            yield session

    @contextmanager
    def ending(self, result: object) -> Iterator[Session]:
        """Open a session whose commit, when the block ends, notes that the job is complete.

        Raises:
            OutboxAway: when the database did not carry it out, a lock having been waited for.
            LostClaim: when the job had ended elsewhere.

        """
        with _named(), Session(self.bind) as session:
            # First, because a transaction of SQLite's that begins with reading may find itself shut
            # out when it comes to write; and because until the block has begun, it can be repeated.
            self._wait_to_finish(session, result)
            yield session
            session.commit()
        self.is_finished = True

    def _wait_to_finish(self, session: Session, result: object) -> None:
        end = monotonic() + _END_SECONDS
        while True:
            try:
                self.finish(session, result)
            except _AWAY as error:
                # A claim that hung on a connection is lost with it, and somebody may run the job.
                if monotonic() > end or error.connection_invalidated or self._is_cut:
                    raise
                session.rollback()
                _logger.info("job %s waits for the outbox to note its end: %s", self.job_id, error)
                sleep(random.uniform(*_END_EVERY))  # noqa: S311 (no secret)
            else:
                return

    @property
    def _is_cut(self) -> bool:
        return isinstance(self.bind, Connection) and (self.bind.invalidated or self.bind.closed)

    def finish(self, session: Session, result: object) -> None:
        """Note in the session's transaction that the job is complete."""
        stored = None if result is None else dumps(result)
        if not rows.finish(session.connection(), self.job_id, rows.COMPLETE, stored, None):
            raise LostClaim(self.job_id)


@contextmanager
def finishing(job: "Job", result: object = None) -> Iterator[Session]:
    """Open a session for the database work of a body; its commit marks the job as done.

        outcome = call_the_erp()
        with finishing(self, outcome) as session:
            session.add(Booking(...))
        return outcome

    What the block stores and the row's being done are one commit. A job that was scheduled without
    an outbox gets a plain transaction. A database that is away or locked has the job tried again.

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
        with _locked(job.job_id) as claim:
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


@contextmanager
def _locked(job_id: str) -> Iterator[Claim | None]:
    """Hold the job's lock; yield None if somebody else does, for longer than a moment."""
    end = monotonic() + _LOCK_SECONDS
    while True:
        with ExitStack() as stack:
            with _named():
                bind = stack.enter_context(lock(database.engine(), job_id))
            if bind is not None or monotonic() > end:
                yield None if bind is None else Claim(job_id, bind)
                return
        sleep(_LOCK_EVERY)


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
    with _named():
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
