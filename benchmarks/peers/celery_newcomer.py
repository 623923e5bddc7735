"""Celery 5.7 as its first steps have it: an app with broker and backend, `delay()`, one worker."""

from celery import Celery

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work

app = Celery("bench", broker=URL, backend=URL if RESULTS else None)


@app.task(name="bench.noop")
def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


_WORKER = (
    *("python", "-m", "benchmarks.peers.launch", "-A", "benchmarks.peers.celery_newcomer"),
    *("worker", "--concurrency", "2", "-l", "INFO"),
)
PEER = Peer(
    source="https://docs.celeryq.dev/en/stable/getting-started/first-steps-with-celery.html",
    packages=("celery", "kombu", "redis"),
    settings="all defaults",
    workers={"noop": [_WORKER], "io": [_WORKER]},
    publish=each(job.delay),
)
