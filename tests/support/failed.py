"""Failed jobs without a worker: kept just as a worker would keep them."""

import json
from typing import Any
from uuid import uuid4

from celery.app.task import Context

from tasks.app import App
from tasks.broker.access import server_of
from tasks.celery import app
from tasks.failed.message import compose
from tasks.failed.store import FailedStore, Failure, Kept

MANY = 1_000_000
"""More than any test keeps, and more seconds than any takes."""


QUEUE = "nobody-works-here"


def store() -> FailedStore:
    """Return the failed jobs of the tests' broker."""
    return FailedStore(server_of(app))


def an_app(url: str, **options: object) -> App:
    """Return another app, with a broker of its own and no results."""
    other = App("other", broker=url, set_as_current=False)
    other.conf.update(
        broker_transport="tasks.broker.transport:Transport",
        broker_transport_options=options,
        broker_connection_timeout=1,
    )
    return other


def failure(
    task: str = "tests.add",
    *,
    queue: str = QUEUE,
    error: str = "ValueError",
    job_id: str | None = None,
    data: dict[str, Any] | None = None,
    priority: int = 0,
    **headers: Any,
) -> Failure:
    """Return the failure of a job that came in no claim."""
    job_id = job_id or str(uuid4())
    fields = {"id": job_id, "task": task, "timelimit": [None, None], **headers}
    request = Context(
        fields,
        args=[],
        kwargs=data or {"first": 1, "second": 2},
        delivery_info={"priority": priority},
    )
    return Failure(
        job_id=job_id,
        task=task,
        queue=queue,
        error_type=error,
        details=json.dumps(
            {
                "error": f"{error} of {task}",
                "traceback": "Traceback (most recent call last):\n",
                "attempts": 1,
                "deaths": 0,
                "worker": "w@here",
            }
        ),
        message=compose(app, request, queue),
    )


def keep(failed: Failure, most: int = MANY, seconds: int = MANY) -> Kept:
    """Keep it."""
    return store().store(failed, most, seconds)


def fail(task: str = "tests.add", **more: Any) -> str:
    """Keep one more failed job, and return its id."""
    failed = failure(task, **more)
    assert not keep(failed).is_lost
    return failed.job_id
