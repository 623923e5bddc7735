"""The job that `drain` runs, and the app for each of the two transports."""

import os
import sys

import redis
from celery import Celery

from tasks.history.recorder import recorder

KIND = os.environ.get("BENCH_KIND", "expresslane")

app = Celery("bench")
if KIND != "stock":
    app.events_cls = "tasks.events:Events"
app.config_from_object("celeryconfig")
app.conf.update(
    imports=(),
    task_ignore_result=True,
    worker_send_task_events=os.environ.get("BENCH_EVENTS") == "1",
    task_send_sent_event=False,
)
if KIND == "stock":
    app.conf.update(
        broker_transport="redis",
        worker_consumer="celery.worker.consumer:Consumer",
        broker_transport_options={"visibility_timeout": 3_600},
    )

if os.environ.get("BENCH_HISTORY") == "0":
    recorder.is_on = False

_counter = redis.Redis.from_url(os.environ.get("BROKER_URL", "redis://127.0.0.1:6379/0"))


@app.task(name="bench.noop", **({} if KIND == "stock" else {"Request": "tasks.worker:Request"}))
def noop() -> None:
    """Count itself, and do nothing else."""
    _counter.incr("ran")


if __name__ == "__main__":
    with app.producer_pool.acquire(block=True) as producer, producer.batch():
        for _ in range(int(sys.argv[1])):
            noop.apply_async(producer=producer, queue="default")
