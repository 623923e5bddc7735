"""Keeping a job that has failed for good. The result backend calls `keep` for every failure."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import redis
from celery import Celery, states
from celery.app.task import Context
from celery.utils.serialization import UnpickleableExceptionWrapper
from kombu.exceptions import OperationalError
from kombu.utils.encoding import safe_repr
from kombu.utils.functional import retry_over_time

from config.settings import framework_settings
from tasks.broker.access import server_of
from tasks.broker.holdings import OWN_TAGS
from tasks.failed.message import compose
from tasks.failed.store import FailedStore, Failure, Kept

ERROR_LENGTH = 2_000
"""Characters of an error's sentence that are kept."""

TRACEBACK_LENGTH = 16_000
"""Characters of a traceback that are kept: its first half and its last, which say most."""

OUTCOME = "outcome"
"""Where the result backend notes on a request what it answered to the last change of state."""

_NO_FAILURE = frozenset({states.SUCCESS, states.REVOKED, "newer"})
"""Answers after which the job has not failed: it is complete or cancelled, or a newer run of it is
on record."""

_MAY_PASS = (
    *(redis.ConnectionError, redis.TimeoutError, OperationalError),
    *(redis.ReadOnlyError, redis.OutOfMemoryError),
)
"""The server is away, has just become a replica, or is full."""

_PATIENCE: dict[str, Any] = {
    "timeout": 600,
    "interval_start": 0.2,
    "interval_step": 0.5,
    "interval_max": 5,
}
"""Ten minutes. Without the server there is no other job to work on, and this one would be lost.

Who loses patience and kills us meanwhile does no harm: the job is still claimed, and runs again.
"""

_logger = logging.getLogger("tasks.failed")


def keep(
    app: Celery, job_id: str, error: BaseException, traceback: str | None, request: object
) -> None:
    """Keep a job that has failed, before its message is acknowledged.

    Never raises: what goes wrong here must not hide the failure itself, so it is logged.
    """
    if not _is_delivery(job_id, request):
        return
    outcome = getattr(request, OUTCOME, None)
    if outcome in _NO_FAILURE:
        _logger.warning("job %s is not kept as failed: its state is %s", job_id, outcome)
        return
    try:
        failure = _failure(app, job_id, error, traceback, request)
        kept: Kept = retry_over_time(
            lambda: _store(app, failure),
            _MAY_PASS,
            errback=_say_that_we_wait,  # type: ignore[arg-type] # the stubs have another signature
            **_PATIENCE,
        )
    except Exception:
        _logger.critical("job %s has failed and could not be kept", job_id, exc_info=True)
    else:
        _report(job_id, kept)


def _is_delivery(job_id: str, request: object) -> bool:
    """Tell whether this is a job that came in a message.

    Celery also reports failures of jobs that were never sent (the rest of a chain, the body of a
    chord), and of tasks that were called in place.
    """
    return (
        isinstance(request, Context)
        and request.id == job_id
        and bool(request.get("task"))
        and not request.is_eager
        and bool((request.delivery_info or {}).get("routing_key"))
    )


def _say_that_we_wait(error: BaseException, intervals: Iterator[float], _: int) -> float:
    wait = next(intervals)
    _logger.error("a failed job waits %.1f s to be kept, then tries again: %s", wait, error)
    return wait


def _store(app: Celery, failure: Failure) -> Kept:
    settings = framework_settings()
    store = FailedStore(server_of(app))
    return store.store(failure, settings.failed_jobs_max, settings.failed_jobs_max_age)


def _failure(
    app: Celery,
    job_id: str,
    error: BaseException,
    traceback: str | None,
    request: Any,  # noqa: ANN401 (checked above)
) -> Failure:
    details = {
        "error": _shortened(_sentence_of(error), ERROR_LENGTH),
        "traceback": _shortened(traceback or "", TRACEBACK_LENGTH),
        "attempts": int(request.retries or 0) + 1,
        "deaths": int(request.get("deaths") or 0),
        "worker": str(request.hostname or ""),
    }
    tag = str((request.properties or {}).get("delivery_tag") or "")
    is_claim = tag.startswith(OWN_TAGS)
    must_be_held = is_claim and _is_acknowledged_late(app, request.task)
    queue = str(request.delivery_info["routing_key"])
    return Failure(
        job_id=job_id,
        task=_name(request.task),
        queue=_name(queue),
        error_type=_name(_type_of(error)),
        details=json.dumps(details),
        tag=tag if is_claim else "",
        must_be_held=must_be_held,
        message=b"" if must_be_held else compose(app, request, queue),
    )


def _is_acknowledged_late(app: Celery, task: str) -> bool:
    """Tell whether the claim outlasts the run; that of a task nobody knows does."""
    return task not in app.tasks or bool(app.tasks[task].acks_late)


def _type_of(error: BaseException) -> str:
    if isinstance(error, UnpickleableExceptionWrapper):
        return str(error.exc_cls_name)
    return type(error).__name__


def _sentence_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 (the error's own code may do anything)
        return str(safe_repr(error))


def _name(text: str) -> str:
    """Return it as what the server can store: a message may name a task by half a character."""
    return text.encode("utf-8", "replace").decode()


def _shortened(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def _report(job_id: str, kept: Kept) -> None:
    if kept.is_lost:
        _logger.warning(
            "job %s is not kept as failed: this worker's claim on it is over, so it runs "
            "elsewhere, or was kept before and is retried or discarded by now",
            job_id,
        )
    if kept.dropped:
        _logger.warning(
            "%d failed jobs have made room for newer ones or were too old: %s",
            *(len(kept.dropped), ", ".join(kept.dropped)),
        )
