"""arq: two workers of coroutines.

It polls, by default twice a second, and takes up to five times `max_jobs` each time; here it polls
each 10 ms. It has nothing for many jobs at once. A job's record goes when the job is done, with its
result where none is kept (`keep_result=0`).
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings

from benchmarks.peers.protocol import RESULTS, URL, Peer, work_async

SETTINGS = RedisSettings.from_dsn(URL)


async def job(_context: Mapping[str, Any], number: int) -> int:
    """Do what every peer's job does."""
    return await work_async(number)


class WorkerSettings:
    """What its command reads."""

    functions = (job,)
    redis_settings = SETTINGS
    max_jobs = 100
    poll_delay = 0.01
    keep_result = 3_600 if RESULTS else 0
    log_results = False


_loop = asyncio.new_event_loop()
_pools: list[ArqRedis] = []


def publish(numbers: Iterable[int]) -> None:
    """Queue each with a call of its own."""
    _loop.run_until_complete(_publish(numbers))


async def _publish(numbers: Iterable[int]) -> None:
    if not _pools:
        _pools.append(await create_pool(SETTINGS))
    for number in numbers:
        await _pools[0].enqueue_job("job", number)


_WORKERS = [["arq", "benchmarks.peers.arq.WorkerSettings"]] * 2
PEER = Peer(
    source="https://arq-docs.helpmanual.io/",
    packages=("arq", "redis", "hiredis", "uvloop"),
    settings="max_jobs=100, poll_delay=0.01 s, log_results=False, keep_result=0 without results",
    workers={"noop": _WORKERS, "io": _WORKERS},
    publish=publish,
)
