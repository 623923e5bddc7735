"""One request's id in every log line that the request causes, however long after.

The id travels in the job's message: set when the job is published, bound to the log lines while it
runs, and so found again when the job publishes another one. A retry keeps its message's headers.
"""

import logging
from contextvars import Token
from time import monotonic
from typing import Any

from celery import Task, signals
from celery.app.task import Context
from celery.states import REJECTED
from celery.worker.request import Request

from config import bound as log_fields
from tasks.along import SENT_ALONG
from tasks.replay import replay_of
from tasks.states import from_celery

HEADER = "request_id"
"""The field of a job's message that carries the id."""

RECEIVERS = 1
"""How many receivers `connect` gives each of the signals of a job."""

_logger = logging.getLogger("tasks")


def connect() -> None:
    """Have Celery call this module at a job's stations. Called once, where the app is made."""
    if _send_along not in SENT_ALONG:
        SENT_ALONG.append(_send_along)
    signals.task_received.connect(_log_received)
    signals.task_prerun.connect(_bind)
    signals.task_postrun.connect(_unbind)


def _send_along(headers: dict[str, Any]) -> None:
    request_id = log_fields.bound(HEADER)
    if request_id is not None:
        headers.setdefault(HEADER, request_id)


def received(job_id: str, task: str, request_id: object) -> None:
    """Say it with the job's fields; Celery's own line, which has none, is switched off."""
    if not _logger.isEnabledFor(logging.INFO):
        return
    tokens = log_fields.bind(_fields(job_id, task, request_id))
    _logger.info("job received")
    log_fields.unbind(tokens)


def begin(job_id: str, task: str, request: Context) -> None:
    """Put the job's fields on the log lines of this thread until `end`."""
    tokens = log_fields.bind(_fields(job_id, task, _request_id(request)))
    vars(request).update(log_tokens=tokens, started=monotonic())
    if _logger.isEnabledFor(logging.INFO):
        _logger.info("job started, attempt %d", (request.retries or 0) + 1)


def end(request: Context, state: str | None) -> None:
    """Say how the job has ended, and take its fields off the log lines."""
    if _logger.isEnabledFor(logging.INFO):
        seconds = monotonic() - getattr(request, "started", monotonic())
        _logger.info("job %s after %.3f s", from_celery(state or REJECTED), seconds)
    tokens = getattr(request, "log_tokens", None)
    if isinstance(tokens, Token):
        log_fields.unbind(tokens)


def _log_received(request: Request, **_: object) -> None:
    received(request.id, request.name, request.request_dict.get(HEADER))


def _bind(task_id: str, task: Task[..., Any], **_: object) -> None:
    if replay_of(task.request) is None:
        begin(task_id, task.name, task.request)


def _unbind(task: Task[..., Any], state: str | None = None, **_: object) -> None:
    end(task.request, state)


def _request_id(request: Context) -> str | None:
    found = (request.headers or {}).get(HEADER)
    return str(found) if found else None


def _fields(job_id: str, task: str, request_id: object) -> dict[str, str]:
    fields = {"job_id": job_id, "task": task}
    return {**fields, HEADER: str(request_id)} if request_id else fields
