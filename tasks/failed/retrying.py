"""Retrying many failed jobs, and what the result backend is told about it."""

import logging
from collections.abc import Sequence

import redis
from celery import Celery

from tasks.errors import NoOutbox
from tasks.failed.message import OUTBOX, run_again
from tasks.failed.store import Entry, FailedStore
from tasks.results import JobResults, RetriedJob

_logger = logging.getLogger("tasks.failed")


def retry_some(app: Celery, store: FailedStore, job_ids: Sequence[str]) -> int:
    """Put these jobs back into their queues; return how many of them were here."""
    entries = store.get_many(job_ids)
    messages = [(entry, run_again(entry.job.message, entry.job.queue)) for entry in entries]
    answers = store.requeue(messages)
    queued = [entry for entry, answer in zip(entries, answers, strict=True) if answer == "queued"]
    mark_waiting(app, queued)
    return len(queued)


def mark_waiting(app: Celery, entries: Sequence[Entry]) -> None:
    """Show these jobs as Waiting.

    They are queued already, and may even run. The other order would leave a job that is shown as
    Waiting and is in no queue, if we die in between; this one leaves it Failed until it starts.
    """
    _open_rows_of(entries)
    backend = app.backend
    if not isinstance(backend, JobResults) or not entries:
        return
    jobs = [
        RetriedJob(e.job.job_id, e.job.reruns + 1, bool(e.job.headers.get("ignore_result")))
        for e in entries
    ]
    try:
        backend.wait_again(jobs)
    except redis.RedisError as error:
        _logger.warning("%d retried jobs are shown as failed until they run: %s", len(jobs), error)


def _open_rows_of(entries: Sequence[Entry]) -> None:
    """Open the rows of jobs that belong to an outbox, so that a loss of the broker's is noticed."""
    ids = [entry.job.job_id for entry in entries if entry.job.headers.get(OUTBOX)]
    if not ids:
        return
    # Only who runs such jobs needs SQLAlchemy.
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 (see above)

    from tasks.outbox import database, rows  # noqa: PLC0415 (see above)

    try:
        rows.reopen(database.engine(), ids)
    except (NoOutbox, SQLAlchemyError) as error:
        _logger.warning("the rows of %d retried jobs open when they run: %s", len(ids), error)
