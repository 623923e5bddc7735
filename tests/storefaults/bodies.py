"""The store's jobs, with each run of a body written down: a worker loads this beside them.

A file per job, locked while its body runs, tells whether two run at once. The kernel frees the lock
of a process that dies, and of no other, so a frozen one still counts as running.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Task

from checkout_demo import jobs

BOOK = Path(os.environ.get("STORE_BOOK", "/nowhere"))


def note(what: str, job_id: str) -> None:
    """Append a line, in one write."""
    with BOOK.open("ab", buffering=0) as book:
        book.write(f"{what} {job_id} {os.getpid()}\n".encode())


@contextmanager
def written_down(job_id: str) -> Iterator[None]:
    """Write down that the body begins and ends, and if it is not the only one."""
    with (BOOK.parent / "running" / job_id).open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("concurrent", job_id)
        note("begin", job_id)
        yield
        note("end", job_id)


def record(task: Task[..., Any]) -> None:
    """Have each run of the task's body written down."""
    body: Callable[..., Any] = task.run

    def run(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (any body's)
        with written_down(str(task.request.id)):
            return body(*args, **kwargs)

    task.run = run  # type: ignore[method-assign] # the point of this module


for order_job in (jobs.send_receipt, jobs.record_sale, jobs.decrease_inventory):
    record(order_job)
