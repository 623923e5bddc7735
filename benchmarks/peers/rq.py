"""rq: a pool of two `SimpleWorker`, which its notes on performance name for short jobs.

It has neither threads nor coroutines, so jobs that wait get 16 processes instead of two.
"""

from collections.abc import Sequence

import redis
from rq import Queue

from benchmarks.peers.protocol import RESULTS, URL, Peer, each, work

queue = Queue("default", connection=redis.Redis.from_url(URL))
TTL = 500 if RESULTS else 0
"""Seconds that a result is kept: its default, or not at all."""


def job(number: int) -> int:
    """Do what every peer's job does."""
    return work(number)


def publish_many(numbers: Sequence[int]) -> None:
    """Queue them with `enqueue_many`, in one pipeline for each thousand."""
    for first in range(0, len(numbers), 1_000):
        some = numbers[first : first + 1_000]
        queue.enqueue_many([Queue.prepare_data(job, (number,), result_ttl=TTL) for number in some])


def _pool(workers: int) -> list[list[str]]:
    # It reads RQ_REDIS_URL.
    command = ["rq", "worker-pool", "default", "--num-workers", str(workers)]
    return [[*command, "--worker-class", "rq.worker.SimpleWorker", "--quiet"]]


PEER = Peer(
    source="https://github.com/rq/rq/blob/master/docs/benchmark.md, "
    "https://python-rq.org/docs/workers/",
    packages=("rq", "redis", "hiredis"),
    settings="SimpleWorker, enqueue_many for many; result_ttl=0 where no results are asked for",
    workers={"noop": _pool(2), "io": _pool(16)},
    publish=each(lambda number: queue.enqueue(job, number, result_ttl=TTL)),
    publish_many=publish_many,
)
