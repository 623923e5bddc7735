"""Publish many jobs in two trips to the server: their marks as Waiting, then their messages.

Each message is made by Celery's own `send_task`, so its signals, routes and options are as ever.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from tasks import carried
from tasks.app import unreachable
from tasks.errors import Unreachable
from tasks.results import JobResults


@dataclass(frozen=True)
class NewJob:
    """One job that is to be published."""

    id: str
    task: str
    data: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `send_task` takes, such as queue, priority, eta."""
    headers: Mapping[str, Any] = field(default_factory=dict)


def publish_many(app: Celery, jobs: Sequence[NewJob]) -> None:
    """Publish the jobs in their order.

    Raises:
        Unreachable: when the broker or the result backend did not answer in time; its
            `may_be_queued` tells whether some of the jobs may be in their queues.

    """
    backend = app.backend
    marking = backend.marks_together() if isinstance(backend, JobResults) else nullcontext()
    try:
        # Left in this order: the marks are sent, then the messages.
        with app.producer_or_acquire() as producer, producer.batch(), marking:
            for job in jobs:
                with carried.restored(job.headers):
                    app.send_task(
                        job.task,
                        kwargs=dict(job.data),
                        task_id=job.id,
                        headers=dict(job.headers),
                        producer=producer,
                        **job.options,
                    )
    except Unreachable:
        raise
    except (redis.RedisError, OperationalError) as error:
        raise unreachable(error) from error
