"""The job that waits: the seed's TestJob, for trying out queues and workers."""

import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from config.settings import framework_settings
from tasks.celery import app
from tasks.job import Job
from tasks.work.journal import append

__test__ = False
"""Keeps pytest from taking this module for tests, by its name."""

JOURNAL = "test_job.jsonl"
"""The file below `STATE_DIR` to which each run adds a line."""
LONGEST_WAIT = 60.0
"""Seconds; well below `task_soft_time_limit`, so that the job is never told to stop."""
_STEPS = 10


@app.task(name="work.test_job", base=Job, bind=True)
def test_job(
    self: Job,
    payload: str = "Hello",  # noqa: PT028 (a job, not a test)
    wait_at_most: float = 2.0,  # noqa: PT028 (a job, not a test)
) -> str:
    """Wait a random while of at most `wait_at_most` seconds (0 to 60), and leave a line behind.

    The line is `{"payload", "date", "job_id"}`, the date in UTC as in ISO 8601, in `test_job.jsonl`
    below `STATE_DIR`. At least once: a worker that is killed after the line was written writes it
    again.

    Raises:
        ValueError: when `wait_at_most` is out of its bounds.

    """
    seconds = wait(wait_at_most, report=self.progress)
    journal = framework_settings().state_dir / JOURNAL
    return record(payload, seconds, journal=journal, job_id=self.job_id, now=datetime.now(UTC))


def wait(
    at_most: float,
    *,
    report: Callable[[int, int, str], None],
    draw: Callable[[float, float], float] = random.uniform,
    sleep: Callable[[float], None] = time.sleep,
) -> float:
    """Sleep for a while drawn from 0 to `at_most` seconds, reporting ten steps; return the while.

    Raises:
        ValueError: unless 0 <= at_most <= 60.

    """
    if not 0 <= at_most <= LONGEST_WAIT:
        raise ValueError(f"wait_at_most must be 0 to {LONGEST_WAIT:g} seconds, not {at_most}")
    seconds = draw(0, at_most)
    for done in range(_STEPS):
        report(done, _STEPS, "waiting")
        sleep(seconds / _STEPS)
    report(_STEPS, _STEPS, "done waiting")
    return seconds


def record(payload: str, seconds: float, *, journal: Path, job_id: str, now: datetime) -> str:
    """Write the job's line, and return the sentence that says what was done and when."""
    date = now.isoformat(timespec="milliseconds")
    append(journal, {"payload": payload, "date": date, "job_id": job_id})
    return f"Test job with payload {payload!r} waited {seconds:.1f} s and was done at {date}."
