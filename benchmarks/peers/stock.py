"""Celery's own transport and result backend, otherwise with the very settings of this project.

It runs in this project's environment, so that the two differ in nothing else.
"""

import os

from celery import Celery

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work
from benchmarks.peers.workers import batched, celery_workers

app = Celery("bench")
app.config_from_object("celeryconfig")
app.conf.update(
    imports=(),
    broker_transport="redis",
    broker_transport_options={"visibility_timeout": 3_600},
    result_backend=URL,
    worker_consumer="celery.worker.consumer:Consumer",
    worker_send_task_events=os.environ.get("BENCH_EVENTS") == "1",
    task_send_sent_event=False,
)


@app.task(name="bench.noop", ignore_result=not RESULTS)
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


PEER = Peer(
    source="https://docs.celeryq.dev/en/stable/userguide/optimizing.html",
    packages=("celery", "kombu", "redis", "hiredis"),
    settings=(
        "celeryconfig.py with Celery's own transport, consumer and result backend; no events; "
        "delay(), and Producer.batch() for many"
    ),
    workers=celery_workers("benchmarks.peers.stock"),
    publish=each(lambda number: job.delay(number=number)),
    publish_many=batched(
        app, lambda number, producer: job.apply_async(kwargs={"number": number}, producer=producer)
    ),
)
