"""Expresslane, as its users have it: `tasks.celery.app`, with the crash-safe transport.

Its settings are those of `celeryconfig.py` but for what is written below.
"""

import os
from collections.abc import Sequence

from benchmarks.peers.protocol import RESULTS, Peer, each, work
from benchmarks.peers.workers import celery_workers
from tasks.bulk import delay_many
from tasks.celery import app
from tasks.history.recorder import recorder

# Not the store's jobs. No events, because nobody listens to them here: benchmarks/monitoring.py.
app.conf.update(
    imports=(),
    worker_send_task_events=os.environ.get("BENCH_EVENTS") == "1",
    task_send_sent_event=False,
)
recorder.is_on = os.environ.get("BENCH_HISTORY") != "0"


@app.task(name="bench.noop", ignore_result=not RESULTS)
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


def publish_many(numbers: Sequence[int]) -> None:
    """Queue them together."""
    delay_many(job, ({"number": number} for number in numbers))


PEER = Peer(
    source="docs/performance.md, docs/running-workers.md",
    packages=("expresslane", "celery", "kombu", "redis", "hiredis"),
    settings=(
        "celeryconfig.py: late acknowledgement, claims with a lease, delivery limit, history on; "
        "no events; delay() and delay_many()"
    ),
    workers=celery_workers(
        "benchmarks.peers.expresslane", "tasks", prefetch=16, threads=100, prefetch_io=4
    ),
    publish=each(lambda number: job.delay(number=number)),
    publish_many=publish_many,
)
