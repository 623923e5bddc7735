"""What has become of jobs that were published and are not finished in time."""

import logging
from collections.abc import Iterable, Sequence

from celery import states
from kombu.utils.json import dumps
from sqlalchemy import Engine

from tasks import scheduler
from tasks.app import App
from tasks.broker.access import server_of
from tasks.broker.presence import missing
from tasks.failed.store import Entry, FailedStore
from tasks.outbox import rows
from tasks.outbox.locks import running
from tasks.outbox.once import SOON
from tasks.outbox.publishing import publish
from tasks.outbox.rows import PUBLISHED_DUE, Outgoing
from tasks.results import JobResults, Record

_logger = logging.getLogger("tasks.outbox")


def reconcile(app: App, engine: Engine, due: Sequence[Outgoing]) -> None:
    """Note in these rows what has become of their jobs, and publish again those that are nowhere.

    Raises:
        Unreachable: when the broker or the result backend did not answer.

    """
    known = _queues(due)
    gone = missing(server_of(app), known, [row.id for row in due])
    there = [row.id for row in due if row.id not in gone]
    rows.look_again(engine, there, PUBLISHED_DUE)
    lost = _settle(app, engine, gone)
    busy = running(engine, lost)
    rows.look_again(engine, sorted(busy), SOON)
    again = rows.begin_new_run(engine, sorted(lost - busy))
    if again:
        rows.mark_published(engine, publish(app, again))
        _logger.warning("published %d jobs again that the broker had lost", len(again))


def _queues(due: Iterable[Outgoing]) -> list[str]:
    """Return every queue that is configured, has ever been used, or is named by a row."""
    named = {row.queue for row in due if row.queue is not None}
    return sorted({*scheduler.queues(), *named})


def _settle(app: App, engine: Engine, gone: set[str]) -> set[str]:
    """Note how those ended that have a final state; return the others."""
    ordered = sorted(gone)
    left: set[str] = set()
    failed = {entry.job.job_id: entry.job for entry in _failed(app, ordered)}
    for job_id, record in zip(ordered, _records(app, ordered), strict=True):
        if job_id in failed:
            job = failed[job_id]
            _end(engine, job_id, rows.FAILED, None, f"{job.error_type}: {job.error}")
        elif not _settle_by_state(engine, job_id, record):
            left.add(job_id)
    return left


def _settle_by_state(engine: Engine, job_id: str, record: Record | None) -> bool:
    if record is None or record.state not in (states.SUCCESS, states.FAILURE, states.REVOKED):
        return False
    if record.state == states.SUCCESS:
        result = None if record.result is None else dumps(record.result)
        _end(engine, job_id, rows.COMPLETE, result, None)
    elif record.state == states.FAILURE:
        # It was with the failed jobs, and somebody has discarded it there.
        _end(engine, job_id, rows.FAILED, None, scheduler.error_of(record.result))
    else:
        _end(engine, job_id, rows.CANCELLED, None, None)
    return True


def _end(engine: Engine, job_id: str, outcome: str, result: str | None, error: str | None) -> None:
    with engine.begin() as connection:
        rows.finish(connection, job_id, outcome, result, error)


def _failed(app: App, job_ids: Sequence[str]) -> Sequence[Entry]:
    return FailedStore(server_of(app)).get_many(job_ids) if job_ids else ()


def _records(app: App, job_ids: Sequence[str]) -> Sequence[Record | None]:
    backend = app.backend
    if not isinstance(backend, JobResults):
        return [None] * len(job_ids)
    return backend.records_of(job_ids)
