"""The threads that talk to the brokers: Flower's loop never waits for a server.

There are few of them, and what waits for one is limited too. So a broker that hangs costs a page
that says so, and Flower itself stays quick.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from tasks.errors import Unreachable

THREADS = 8

WAITING = 32
"""Calls that run or wait for a thread; more of them are refused."""

LOOKING_SECONDS = 10.0
"""How long a page waits for what it shows. The servers' own timeouts are far shorter."""

ACTING_SECONDS = 60.0
"""How long a page waits for what it was told to do; more than it gives itself for many jobs."""

Answer = TypeVar("Answer")

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="monitor")
_running: set[asyncio.Future[Any]] = set()


async def in_background(call: Callable[[], Answer], *, seconds: float = LOOKING_SECONDS) -> Answer:
    """Return what the call returns, from a thread.

    Raises:
        Unreachable: when it took longer, or when too many such calls wait already.

    """
    if len(_running) >= WAITING:
        raise Unreachable("many requests wait for it already", "try again in a moment")
    future = asyncio.get_running_loop().run_in_executor(_threads, call)
    _running.add(future)
    future.add_done_callback(_ended)
    try:
        return await asyncio.wait_for(asyncio.shield(future), seconds)
    except TimeoutError as error:
        if future.done() and not future.cancelled():
            # It is the call's own.
            return future.result()
        advice = "it may still go on; look again later"
        raise Unreachable(f"no answer in {seconds:g} s", advice) from error


def _ended(future: "asyncio.Future[Any]") -> None:
    _running.discard(future)
    if not future.cancelled():
        # Nobody may wait for it any more; asyncio would complain of an error that nobody has seen.
        future.exception()
