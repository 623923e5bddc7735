"""taskiq with taskiq-redis: two processes of coroutines, on uvloop.

`ListQueueBroker` pops, and knows no acknowledgement. It has nothing for many jobs at once.
"""

import asyncio
from collections.abc import Iterable

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

from benchmarks.peers.protocol import RESULTS, URL, Peer, work_async

broker = ListQueueBroker(URL)
if RESULTS:
    broker = broker.with_result_backend(RedisAsyncResultBackend(URL, result_ex_time=3_600))


@broker.task(task_name="bench_noop")
async def job(number: int) -> int:
    """Do what every peer's job does."""
    return await work_async(number)


_loop = asyncio.new_event_loop()


def publish(numbers: Iterable[int]) -> None:
    """Queue each with a call of its own."""
    _loop.run_until_complete(_publish(numbers))


async def _publish(numbers: Iterable[int]) -> None:
    for number in numbers:
        await job.kiq(number)


_WORKER = (
    *("python", "-m", "taskiq", "worker", "benchmarks.peers.taskiq:broker", "--workers", "2"),
    *("--max-async-tasks", "100", "--log-level", "WARNING"),
)
PEER = Peer(
    source="https://taskiq-python.github.io/guide/cli.html, "
    "https://github.com/taskiq-python/taskiq-redis",
    packages=("taskiq", "taskiq-redis", "redis", "hiredis", "uvloop"),
    settings="ListQueueBroker, uvloop, results only where they are asked for",
    workers={"noop": [_WORKER], "io": [_WORKER]},
    publish=publish,
)
