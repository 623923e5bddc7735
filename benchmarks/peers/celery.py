"""Celery 5.7 in an environment of its own, at the best settings that were found for each load.

`celery_newcomer.py` is the same as its first steps have it. Prefetching and what workers tell each
other are what its guide names for short jobs; two solo workers for no-op jobs and threads for jobs
that wait were the fastest in trials.
"""

from celery import Celery

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work
from benchmarks.peers.workers import batched, celery_workers

app = Celery("bench", broker=URL, backend=URL)
app.conf.update(task_default_queue="default", worker_send_task_events=False)


@app.task(name="bench.noop", ignore_result=not RESULTS)
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


PEER = Peer(
    source="https://docs.celeryq.dev/en/stable/userguide/optimizing.html",
    packages=("celery", "kombu", "redis", "hiredis"),
    settings="early acknowledgement (its default), hiredis; Producer.batch() for many",
    workers=celery_workers("benchmarks.peers.celery"),
    publish=each(job.delay),
    publish_many=batched(
        app, lambda number, producer: job.apply_async((number,), producer=producer)
    ),
)
