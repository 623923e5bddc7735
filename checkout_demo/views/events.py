"""Server-sent events of jobs."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import structlog
from fastapi.sse import ServerSentEvent

from checkout_demo.job_cards import as_json
from tasks.errors import Unreachable
from tasks.watch import follow

_logger = structlog.stdlib.get_logger(__name__)

RECONNECT_MILLISECONDS = 3000


async def events_of(job_ids: Sequence[str]) -> AsyncIterator[ServerSentEvent]:
    """Yield each job's status as JSON, now and at every change, until nothing more can change.

    A result backend that goes away ends the stream; a browser then asks again by itself.
    """
    try:
        # A generator of its own, which must be closed when the visitor leaves.
        async with aclosing(follow(job_ids)) as changes:
            async for status in changes:
                yield ServerSentEvent(data=as_json(status), retry=RECONNECT_MILLISECONDS)
    except Unreachable as error:
        _logger.warning("events ended early", reason=str(error))
