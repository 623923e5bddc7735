"""Failed jobs as text for a terminal."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from config.masking import rules
from tasks.terminal import ago, columns, plain

if TYPE_CHECKING:
    from tasks.failed.job import FailedJob

HEADINGS = ("JOB", "TASK", "QUEUE", "FAILED", "TRIES", "ERROR")


def table(jobs: "Sequence[FailedJob]") -> str:
    """Return one line for each job below a line of headings."""
    now = datetime.now(UTC)
    rows = [HEADINGS, *(_row(job, now) for job in jobs)]
    return columns(rows)


def details(job: "FailedJob", *, reveal: bool = False) -> str:
    """Return all that a person may want to know of one job, masked unless it is to be revealed."""
    shown = job.as_json(reveal=reveal)
    facts = {
        "job": job.job_id,
        "task": job.task,
        "queue": job.queue,
        "priority": str(job.priority),
        "data": json.dumps(shown["data"], default=str, ensure_ascii=False),
        **({"arguments": json.dumps(shown["args"], default=str)} if job.args else {}),
        "failed at": f"{job.failed_at:%Y-%m-%d %H:%M:%S} UTC",
        "worker": job.worker,
        "attempts": str(job.attempts),
        "lost workers": str(job.deaths),
        "begun anew": f"{job.reruns} times",
        **({"request": job.request_id} if job.request_id else {}),
        "error": f"{job.error_type}: {shown['error']}",
    }
    lines = [f"{name:<14}{plain(value)}".rstrip() for name, value in facts.items()]
    trace = "\n".join(plain(line) for line in shown["traceback"].rstrip().split("\n"))
    return "\n".join([*lines, "", trace]).rstrip()


def _row(job: "FailedJob", now: datetime) -> tuple[str, ...]:
    return (
        plain(job.job_id),
        plain(job.task),
        plain(job.queue),
        ago((now - job.failed_at).total_seconds()),
        str(job.attempts),
        plain(f"{job.error_type}: {rules().text(job.error)}"),
    )
