"""Jobs for a server of a test's own, as the app of the tests makes them for the common one."""

from typing import Any

import redis
from celery import Task

from tests.support.valkey import Valkey


def carry(
    valkey: Valkey,
    server: Valkey,
    task: "Task[..., Any]",
    queue: str,
    *args: object,
    **options: Any,
) -> str:
    """Send a job on the common server, and move its message to the other one; return its id."""
    common: redis.Redis = valkey.client
    job_id = str(task.apply_async(args, queue=queue, **options).id)
    message = common.lpop(queue)
    assert isinstance(message, bytes)
    common.delete(f"{queue}.bell", f"celery-task-meta-{job_id}")
    server.client.lpush(queue, message)
    server.client.lpush(f"{queue}.bell", 1)
    return job_id
