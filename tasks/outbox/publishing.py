"""Put rows of the outbox into their queues."""

import logging
from collections.abc import Sequence

from kombu.utils.json import loads

from tasks.app import App
from tasks.broker.bulk import NewJob, publish_many
from tasks.errors import Unreachable
from tasks.failed.message import OUTBOX, RERUNS
from tasks.outbox.rows import Outgoing

_logger = logging.getLogger("tasks.outbox")


def publish(app: App, outgoing: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Publish these rows in a few trips to the server, and return those that were.

    Raises:
        Unreachable: when the broker or the result backend did not answer; some may be published.

    """
    try:
        publish_many(app, [job_of(row) for row in outgoing])
    except Unreachable:
        raise
    except Exception:
        if len(outgoing) == 1:
            _logger.exception("the row of job %s cannot be published", outgoing[0].id)
            return []
        # One that cannot be published must not keep the others back.
        return [row for one in outgoing for row in publish(app, [one])]
    return outgoing


def job_of(row: Outgoing) -> NewJob:
    """Return the job that a row stands for."""
    headers = {**loads(row.headers), OUTBOX: 1}
    if row.run:
        headers[RERUNS] = row.run
    options = {"queue": row.queue, "priority": row.priority, "eta": row.run_at}
    return NewJob(
        id=row.id,
        task=row.task,
        data=loads(row.data),
        options={name: value for name, value in options.items() if value is not None},
        headers=headers,
    )
