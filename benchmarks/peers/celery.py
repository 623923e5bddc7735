"""Celery 5.7 in an environment of its own, at the best settings that were found for each load.

`celery_newcomer.py` is the same as its first steps have it. Prefetching and what workers tell each
other are what its guide names for short jobs; two solo workers for no-op jobs and threads for jobs
that wait were the fastest in trials.
"""

from collections.abc import Sequence
from typing import Any

from celery import Celery

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work
from benchmarks.peers.workers import celery_workers

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(task_default_queue="default", worker_send_task_events=False)


@app.task(name="bench.noop", ignore_result=not RESULTS)
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


def publish_many(numbers: Sequence[int]) -> None:
    """Queue them through `Producer.batch()`, new in kombu 5.7."""
    pool: Any = app.producer_pool  # the stubs know no batch()
    with pool.acquire(block=True) as producer, producer.batch():
        for number in numbers:
            job.apply_async((number,), producer=producer)


PEER = Peer(
    source="https://docs.celeryq.dev/en/stable/userguide/optimizing.html",
    packages=("celery", "kombu", "redis", "hiredis"),
    settings="early acknowledgement (its default), hiredis; Producer.batch() for many",
    workers=celery_workers("benchmarks.peers.celery"),
    publish=each(job.delay),
    publish_many=publish_many,
)
