"""Failed jobs as text for a terminal."""

import json
import re
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.failed.job import FailedJob

HEADINGS = ("JOB", "TASK", "QUEUE", "FAILED", "TRIES", "ERROR")

UNLIMITED = 200
"""Columns of a line that goes to a file or another program."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def table(jobs: "Sequence[FailedJob]") -> str:
    """Return one line for each job below a line of headings."""
    now = datetime.now(UTC)
    rows = [HEADINGS, *(_row(job, now) for job in jobs)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS) - 1)]
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    return "\n".join(_line(row, widths)[: max(width, 40)].rstrip() for row in rows)


def details(job: "FailedJob") -> str:
    """Return all that a person may want to know of one job."""
    facts = {
        "job": job.job_id,
        "task": job.task,
        "queue": job.queue,
        "priority": str(job.priority),
        "data": json.dumps(job.data, default=str, ensure_ascii=False),
        **({"arguments": json.dumps(job.args, default=str)} if job.args else {}),
        "failed at": f"{job.failed_at:%Y-%m-%d %H:%M:%S} UTC",
        "worker": job.worker,
        "attempts": str(job.attempts),
        "lost workers": str(job.deaths),
        "begun anew": f"{job.reruns} times",
        **({"request": job.request_id} if job.request_id else {}),
        "error": f"{job.error_type}: {job.error}",
    }
    lines = [f"{name:<14}{plain(value)}".rstrip() for name, value in facts.items()]
    trace = "\n".join(plain(line) for line in job.traceback.rstrip().split("\n"))
    return "\n".join([*lines, "", trace]).rstrip()


def plain(text: str) -> str:
    """Return it on one line, with nothing in it that a terminal would obey."""
    spaced = text.replace("\n", " ").replace("\t", " ")
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", spaced)


def ago(seconds: float) -> str:
    """Return a time in its largest whole unit, such as `3h`."""
    for unit, size in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit} ago"
    return "just now"


def _row(job: "FailedJob", now: datetime) -> tuple[str, ...]:
    return (
        plain(job.job_id),
        plain(job.task),
        plain(job.queue),
        ago((now - job.failed_at).total_seconds()),
        str(job.attempts),
        plain(f"{job.error_type}: {job.error}"),
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    *first, last = row
    padded = [part.ljust(width) for part, width in zip(first, widths, strict=True)]
    return "  ".join([*padded, last])
