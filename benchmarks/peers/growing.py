"""Expresslane with as many queues, workers and data as the environment says: for `growth`."""

import os
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.peers import expresslane  # also for what it sets
from benchmarks.peers.protocol import each, work
from benchmarks.peers.workers import QUIET
from tasks.bulk import delay_many
from tasks.celery import app

QUEUES = [f"q{number}" for number in range(int(os.environ.get("BENCH_QUEUES", "1")))]
WORKERS = int(os.environ.get("BENCH_WORKERS", "1"))
DATA = "x" * int(os.environ.get("BENCH_PAYLOAD", "100"))


@app.task(name="bench.grow", ignore_result=True)
def job(number: int, data: str) -> None:
    """Do what every job does, with data that nobody reads."""
    if len(data) != len(DATA):
        raise ValueError(f"{len(data)} characters of {len(DATA)} came")
    work(number)


def publish(number: int) -> None:
    """Queue one, in one queue after the other."""
    job.apply_async((number, DATA), queue=QUEUES[number % len(QUEUES)])


def publish_many(numbers: Sequence[int]) -> None:
    """Queue them together, in each queue its part."""
    for position, queue in enumerate(QUEUES):
        part = numbers[position :: len(QUEUES)]
        delay_many(job, ({"number": number, "data": DATA} for number in part), queue=queue)


PEER = replace(
    expresslane.PEER,
    workers={
        "growth": [
            [
                *("env", "LOG_LEVEL=WARNING", "python", "-m", "benchmarks.peers.launch"),
                *("-A", "benchmarks.peers.growing", "worker", "-Q", ",".join(QUEUES)),
                *("--pool", "solo", "-n", f"w{number}@%h", "--prefetch-multiplier", "4", *QUIET),
            ]
            for number in range(WORKERS)
        ]
    },
    publish=each(publish),
    publish_many=publish_many,
)
