"""The same load on Celery's own Redis transport: `celery -A tests.faults.stock worker`.

With the settings that lose least: late acknowledgement, redelivery of what a lost process ran, no
prefetching, a short visibility timeout and a sweep every second.
"""

import os
from typing import Any

from celery import Celery, Task

from tests.faults import bodies
from tests.faults.bodies import STOCK_TIMEOUT

app = Celery("stock", broker=os.environ.get("BROKER_URL"), backend=os.environ.get("BROKER_URL"))
app.conf.update(
    task_default_queue="default",
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_track_started=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": STOCK_TIMEOUT,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "unacked_mutex_expire": 2,
        "socket_timeout": 5,
        "socket_connect_timeout": 1,
    },
)


@app.task(name="faults.work", bind=True)
def work(self: Task[..., Any], number: int, seconds: float, again: int = 0) -> int:
    """Work for some seconds, then have an effect."""
    return bodies.carry_out(self, number, seconds, again)
