"""Publish many jobs in one trip to the server: their marks as Waiting, messages and events.

Their messages are those of Celery's own `send_task`: its signals, routes and options are as ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
from kombu.exceptions import OperationalError

from tasks import carried
from tasks.app import App
from tasks.errors import Unreachable
from tasks.unpublished import unreachable


@dataclass(frozen=True)
class NewJob:
    """One job that is to be published."""

    id: str
    task: str
    data: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    """What `send_task` takes, such as queue, priority, eta."""
    headers: Mapping[str, Any] = field(default_factory=dict)


def publish_many(app: App, jobs: Sequence[NewJob]) -> None:
    """Publish the jobs, those of each queue in their order.

    Raises:
        Unreachable: when the broker or the result backend did not answer in time; its
            `may_be_queued` tells whether some of the jobs may be in their queues.

    """
    try:
        with app.batch() as batch:
            for job in jobs:
                with carried.restored(job.headers):
                    app.put_into(
                        batch,
                        job.task,
                        kwargs=dict(job.data),
                        task_id=job.id,
                        headers=dict(job.headers),
                        **job.options,
                    )
            batch.flush()
    except Unreachable:
        raise
    except (redis.RedisError, OperationalError) as error:
        raise unreachable(error) from error
