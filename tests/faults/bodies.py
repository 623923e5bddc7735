"""What the jobs of the load do, in either transport: each run is written down where no fault is.

The book is a second server that nothing kills. A body appends `start`, works, applies its effect
and appends `end`. The effect is one step keyed by the job's id, as at the ERP sandbox: the book
counts how often it was really applied.
"""

import json
import os
import signal
import time
from functools import cache
from typing import Any

import redis
from celery import Task

EVENTS, ACCEPTED, REFUSED, STOP = "events", "accepted", "refused", "stop"
KEYS, EFFECTS = "keys", "effects"

STOCK_TIMEOUT = 5
"""Seconds after which a stock worker's claim goes back, `visibility_timeout`."""

_EFFECT = """
if redis.call('SADD', KEYS[1], ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[2], ARGV[2], 1) end
"""


@cache
def book() -> redis.Redis:
    """Return a client of the book; redis-py makes connections anew after a fork."""
    return redis.Redis.from_url(os.environ["BOOK_URL"])


def note(task: Task[..., Any], what: str, number: int) -> None:
    """Append what happened, in one write."""
    tag = (task.request.properties or {}).get("delivery_tag", "")
    event = [what, number, task.request.id, task.request.hostname, tag, time.time(), os.getpid()]
    book().rpush(EVENTS, json.dumps(event))


def carry_out(task: Task[..., Any], number: int, seconds: float, again: int = 0) -> int:
    """Do the work of one job; the first `again` attempts ask for another one."""
    note(task, "start", number)
    time.sleep(seconds)
    if task.request.retries < again:
        note(task, "again", number)
        raise task.retry(countdown=0.1)
    book().eval(_EFFECT, 2, KEYS, EFFECTS, str(task.request.id), str(number))
    note(task, "end", number)
    return number


def die(task: Task[..., Any], number: int, how: str) -> None:
    """Take the process along."""
    note(task, "start", number)
    if how == "exit":
        os._exit(1)
    if how == "memory":
        raise MemoryError("as a job that allocates too much")
    os.kill(os.getpid(), signal.Signals[how])
    # A signal to oneself may come a moment later.
    time.sleep(30)
