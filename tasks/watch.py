"""Follow jobs as they change, for a page that shows them live.

    async for status in follow([job_id]):
        ...

Redis tells when to look; what is yielded is always what is stored. So a message that gets lost
costs `RECHECK_SECONDS`, never a wrong answer.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import redis.asyncio as redis
from redis.exceptions import RedisError

from config.settings import framework_settings
from tasks.errors import Unreachable
from tasks.scheduler import JobStatus, backend, status
from tasks.states import JobState

RECHECK_SECONDS = 2.0
"""How often to look without having been told to."""

SERVER_SECONDS = 1.0
"""How long to wait for an answer of the server, the news apart."""


async def follow(job_ids: Iterable[str]) -> AsyncGenerator[JobStatus]:
    """Yield each job's status now, then each change, until all are final or Unknown.

    Raises:
        Unreachable: when the result backend does not answer.

    """
    open_jobs = dict.fromkeys(job_ids, None)
    seen: dict[str, JobStatus | None] = dict(open_jobs)
    async with _changes(list(open_jobs)) as wait_for_change:
        while open_jobs:
            for job_id in list(open_jobs):
                now = await asyncio.to_thread(status, job_id)
                if now != seen[job_id]:
                    seen[job_id] = now
                    yield now
                if now.state.is_final or now.state is JobState.UNKNOWN:
                    del open_jobs[job_id]
            if open_jobs:
                await wait_for_change()


@asynccontextmanager
async def _changes(job_ids: list[str]) -> AsyncIterator[Callable[[], Awaitable[object]]]:
    """Subscribe to all that is published about the jobs; yield what waits for the next news."""
    url = framework_settings().results.get_secret_value()
    if url.startswith("sentinel"):
        # Celery's pub/sub follows the master through Sentinel; here a look now and then does.
        yield lambda: asyncio.sleep(RECHECK_SECONDS)
        return
    keys = backend()
    channels = [
        key
        for job_id in job_ids
        for key in (keys.get_key_for_task(job_id), keys.get_key_for_job(job_id))
    ]
    try:
        async with (
            redis.Redis.from_url(
                url,
                socket_connect_timeout=SERVER_SECONDS,
                # A server that is frozen accepts connections, and says nothing.
                socket_timeout=SERVER_SECONDS,
            ) as client,
            client.pubsub(ignore_subscribe_messages=True) as news,
        ):
            await news.subscribe(*channels)
            yield lambda: news.get_message(timeout=RECHECK_SECONDS)
    except RedisError as error:
        raise Unreachable(str(error), "ask for the status again later") from error
