"""What Celery's prefork pool would forget when the consumer closes: jobs that it has handed over.

When the connection is lost, and when the worker is told to stop, Celery empties the pool of every
job that no process has accepted yet: the broker will deliver it again, it thinks. But it may lie in
the pipe to a process already, and run. Here that job's claim would be held, and its result read by
nobody, for as long as the worker lives; and at the end, the process would wait for half a minute
for its result to be read.

So what is in a pipe is kept, and accepted and acknowledged as ever. What is in none is forgotten
by the pool, and its claim goes back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.worker.request import Request


@contextmanager
def kept_jobs(pool: Any) -> Iterator[list[Request]]:  # noqa: ANN401 (any pool of Celery's)
    """Keep what is in a pipe while the pool is emptied; yield the requests that it will forget.

    Only with prefork there is something to do.
    """
    inner: Any = getattr(pool, "_pool", None) if isinstance(pool, PreforkPool) else None
    unaccepted = [job for job in tuple(inner._cache.values()) if not job._accepted] if inner else []  # noqa: SLF001
    kept = [job for job in unaccepted if _is_handed_over(job)]
    for job in kept:
        _finish_writing(inner, job)
        job._accepted = True  # noqa: SLF001 (what is accepted is not emptied out)
    try:
        yield [_request_of(job) for job in unaccepted if job not in kept]
    finally:
        for job in kept:
            # Its process tells when it really is.
            job._accepted = job._worker_pid is not None  # noqa: SLF001


def _is_handed_over(job: Any) -> bool:  # noqa: ANN401 (billiard's)
    """Tell whether some of the job is in the pipe to a process that lives."""
    process = job._write_to  # noqa: SLF001
    return process is not None and process._is_alive()  # noqa: SLF001


def _finish_writing(inner: Any, job: Any) -> None:  # noqa: ANN401 (Celery's, billiard's)
    """Write the rest: half a job in a pipe would garble what comes after it.

    Celery does so when the connection is lost, and not at the end.
    """
    writer = job._writer()  # noqa: SLF001
    if writer is not None and writer in inner._active_writers:  # noqa: SLF001
        inner._flush_writer(job._write_to, writer)  # noqa: SLF001


def _request_of(job: Any) -> Request:  # noqa: ANN401 (billiard's)
    return job._accept_callback.__self__  # noqa: SLF001
