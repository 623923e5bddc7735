"""Failed jobs: look at them, retry them, discard them.

    from tasks import failures

    failures.list(task="work.email_job", newer_than=3_600).jobs
    failures.show(job_id).traceback
    failures.retry(job_id)

Every job that has failed for good is here, with all that it takes to run it again, until somebody
retries or discards it, or it makes room: `FAILED_JOBS_MAX` and `FAILED_JOBS_MAX_AGE` say when.
A job that will retry by itself is not here.

`celery -A tasks failed` does the same in a terminal.
"""

from collections.abc import Callable, Mapping, Sequence

from celery import Celery

from tasks.broker.access import reachable, server_of
from tasks.celery import app as tasks_app
from tasks.envelopes import refuse_envelopes
from tasks.errors import NoSuchFailedJob
from tasks.failed.job import FailedJob, Filter, Outcome, Page
from tasks.failed.message import run_again
from tasks.failed.retrying import mark_waiting, retry_some
from tasks.failed.store import Entry, FailedStore
from tasks.results import JSON

__all__ = [
    "FailedJob",
    "FailedJobs",
    "Filter",
    "Outcome",
    "Page",
    "clear",
    "count",
    "discard",
    "discard_many",
    "list",
    "retry",
    "retry_many",
    "show",
]

Progress = Callable[[int, int], object]
"""Called with how many jobs were handled, and how many there are to handle."""

ALL = Filter()


class FailedJobs:
    """The failed jobs of one app. The functions of this module are those of `tasks.celery.app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def list(
        self,
        *,
        task: str | None = None,
        queue: str | None = None,
        error: str | None = None,
        older_than: float | None = None,
        newer_than: float | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Return a page of failed jobs, the newest first.

        Args:
            task: only those of this task.
            queue: only those of this queue.
            error: only those with this class of error, such as `OrderRefused`.
            older_than: only those that failed at least so many seconds ago.
            newer_than: only those that failed at most so many seconds ago.
            cursor: a page's `next_cursor`, to get the page that follows it.
            limit: how many at most.

        Raises:
            Unreachable: when the broker did not answer.

        """
        where = Filter(task, queue, error, older_than, newer_than)
        with reachable("ask again later"):
            store = self._store()
            jobs, next_cursor = store.newest(where, cursor, limit)
            return Page(tuple(jobs), store.count(where), next_cursor)

    def count(self, where: Filter = ALL) -> int:
        """Return how many failed jobs there are.

        Raises:
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            return self._store().count(where)

    def show(self, job_id: str) -> FailedJob:
        """Return one failed job.

        Raises:
            NoSuchFailedJob: when no failed job has this id.
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            return _only(job_id, self._store().get_many([job_id])).job

    def retry(self, job_id: str, data: Mapping[str, JSON] | None = None) -> None:
        """Put the job back into its queue. It keeps its id, and starts with its first attempt.

        That it is queued and that it is a failed job no more is one step: of several who retry it
        at once, one does, and the others get NoSuchFailedJob.

        Args:
            job_id: the failed job.
            data: named arguments to run it with, in the place of all that it had.

        Raises:
            BadJob: when `data` are not what JSON can carry; the job stays failed.
            NoSuchFailedJob: when no failed job has this id.
            Unreachable: when the broker did not answer; the list tells whether it was retried.

        """
        if data is not None:
            refuse_envelopes(data, f"job {job_id}")
        with reachable("it may have been retried; if it is still listed, retry it again"):
            store = self._store()
            answer = "changed"
            while answer == "changed":
                entry = _only(job_id, store.get_many([job_id]))
                new = run_again(entry.job.message, entry.job.queue, data)
                (answer,) = store.requeue([(entry, new)])
        if answer == "gone":
            raise NoSuchFailedJob(job_id)
        mark_waiting(self._app, [entry])

    def retry_many(
        self, where: Filter, progress: Progress | None = None, limit: int | None = None
    ) -> Outcome:
        """Retry what fits the filter and has failed by now, the oldest first.

        Each job by itself: what was done when it is interrupted, stays done.

        Raises:
            Unreachable: when the broker did not answer; some may have been retried.

        """
        return self._many(where, self._retry, progress, limit)

    def discard(self, job_id: str) -> None:
        """Forget a failed job for good.

        Raises:
            NoSuchFailedJob: when no failed job has this id.
            Unreachable: when the broker did not answer; the list tells whether it was discarded.

        """
        with reachable("it may have been discarded; if it is still listed, discard it again"):
            if not self._store().discard([job_id]):
                raise NoSuchFailedJob(job_id)

    def discard_many(
        self, where: Filter, progress: Progress | None = None, limit: int | None = None
    ) -> Outcome:
        """Forget what fits the filter and has failed by now, the oldest first.

        Raises:
            Unreachable: when the broker did not answer; some may have been discarded.

        """
        return self._many(where, self._discard, progress, limit)

    def clear(self, progress: Progress | None = None) -> Outcome:
        """Forget everything that has failed by now.

        Raises:
            Unreachable: when the broker did not answer; some may have been discarded.

        """
        return self.discard_many(ALL, progress)

    def _store(self) -> FailedStore:
        return FailedStore(server_of(self._app))

    def _retry(self, job_ids: Sequence[str]) -> int:
        return retry_some(self._app, self._store(), job_ids)

    def _discard(self, job_ids: Sequence[str]) -> int:
        return self._store().discard(job_ids)

    def _many(
        self,
        where: Filter,
        handle: Callable[[Sequence[str]], int],
        progress: Progress | None,
        limit: int | None,
    ) -> Outcome:
        with reachable("some may be done; the list tells which are left"):
            store = self._store()
            total = store.count(where) if limit is None else min(limit, store.count(where))
            done = seen = 0
            for found in store.oldest(where):
                part = found if limit is None else found[: limit - seen]
                done, seen = done + handle(part), seen + len(part)
                if progress is not None:
                    progress(seen, max(seen, total))
                if limit is not None and seen >= limit:
                    break
        return Outcome(done, seen - done)


def _only(job_id: str, entries: Sequence[Entry]) -> Entry:
    if not entries:
        raise NoSuchFailedJob(job_id)
    return entries[0]


_jobs = FailedJobs(tasks_app)
clear = _jobs.clear
count = _jobs.count
discard = _jobs.discard
discard_many = _jobs.discard_many
list = _jobs.list  # noqa: A001 (`failures.list` says what it does)
retry = _jobs.retry
retry_many = _jobs.retry_many
show = _jobs.show
