"""The jobs that wait, in their queues and for their time: look at them, mend them.

    from tasks import pending

    for job in pending.list("default").jobs:
        print(job.ref, job.job_id, job.task, job.data)
    pending.edit(job.ref, {"order": 5})
    pending.remove(job.ref)

Workers go on meanwhile. Each change is one step on the server that is done only if the job still
waits, byte for byte as it was seen. Otherwise it raises JobGone and changes nothing: so a job is
neither lost nor run twice over it.

`celery -A tasks queue jobs|show|edit|move|front|remove|delayed|run-now|cancel` does the same in a
terminal.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

import redis
from celery import Celery

from tasks.broker.access import reachable, server_of
from tasks.celery import app as tasks_app
from tasks.envelopes import refuse_envelopes
from tasks.errors import JobGone, NotAJob
from tasks.queued.change import due_now, edited, moved
from tasks.queued.delayed import DelayedStore
from tasks.queued.job import (
    DELAYED,
    HELD,
    LAST,
    NEXT,
    QUEUED,
    Outcome,
    Page,
    QueuedJob,
    Sighting,
    place_of,
)
from tasks.queued.many import Progress, move_waiting, remove_waiting
from tasks.queued.store import SEEK_MOST, SEEK_STEP, QueueStore, cursor_of
from tasks.queues import Queues
from tasks.results import JSON, JobResults
from tasks.states import from_celery

__all__ = [
    "DELAYED",
    "HELD",
    "LAST",
    "NEXT",
    "QUEUED",
    "Outcome",
    "Page",
    "Pending",
    "QueuedJob",
    "Sighting",
    "cancel",
    "delayed",
    "edit",
    "find",
    "find_delayed",
    "list",
    "locate",
    "move",
    "move_all",
    "remove",
    "remove_all",
    "run_now",
    "show",
    "show_delayed",
    "to_front",
]

MOST = 100
"""Jobs on a page, at most."""

LOCATE_QUEUES = 20
"""Queues whose ends `locate` looks at, at most."""

_TAKEN = (
    "a worker took it first, so it runs or has run; or somebody has changed it, or the queue has "
    "moved on by more than we look for: list it anew"
)
_NOT_DELAYED = "it waits for its time no more: it is in its queue, or runs, or was cancelled"
_PERHAPS = "it may have been done; look at the list before you do it again"


class Pending:
    """The waiting jobs of one app. The functions of this module are those of `tasks.celery.app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    # -- looking -----------------------------------------------------------------------------------

    def list(
        self, queue: str, *, end: str = NEXT, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """Return a page of the jobs in a queue.

        Args:
            queue: its name. One that nobody uses is empty.
            end: `NEXT` for the order in which workers take them, `LAST` for the reverse.
            cursor: a page's `next_cursor`, to get the page that follows it at the same end. The
                queue may move meanwhile: a page may then repeat jobs of the one before, but skips
                none.
            limit: how many at most, up to 100.

        Raises:
            BadCursor: when the cursor is none of this function's.
            Unreachable: when the broker did not answer.

        """
        if end not in (NEXT, LAST):
            raise ValueError(f"the ends of a queue are {NEXT!r} and {LAST!r}, not {end!r}")
        at = None if cursor is None else cursor_of(cursor)
        with reachable("ask again later"):
            store = self._store()
            total = sum(store.lengths(queue).values())
            jobs, next_cursor = store.page(queue, end, at, max(1, min(limit, MOST)))
        return Page(tuple(jobs), total, str(next_cursor) if next_cursor else None)

    def show(self, ref: str) -> QueuedJob:
        """Return one job of a queue. Its `ref` may be a newer one.

        Raises:
            JobGone: when it does not wait there any more.
            Unreachable: when the broker did not answer.

        """
        place = place_of(ref)
        with reachable("ask again later"):
            found = self._store().find(place)
        return found or self._gone(ref)

    def find(self, queue: str, job_id: str) -> QueuedJob:
        """Look for a job by its id among the first and the last 10,000 of a queue.

        Raises:
            JobGone: when it is not there.
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            found = self._store().seek(queue, job_id)
        if found is None:
            where = f"among the first and the last {SEEK_MOST:,} jobs of queue {queue}"
            raise JobGone(job_id, f"it is not {where}{self._state_of(job_id)}")
        return found

    def locate(self, job_id: str) -> Sighting | None:
        """Tell where a job is that has not ended: with a worker, put aside, or in a queue.

        Looks at what workers hold, at the first 10,000 that wait for their time, and at the ends of
        the queues that are not empty, of twenty at most: some milliseconds of the server's. None:
        it is not there; `find` looks further into one queue.

        Raises:
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            delayed = DelayedStore(server_of(self._app))
            if job := delayed.seek_held(job_id):
                return Sighting(HELD, job)
            if job := delayed.seek(job_id):
                return Sighting(DELAYED, job)
            store = self._store()
            names = [queue.name for queue in Queues(self._app).list() if queue.length]
            for name in names[:LOCATE_QUEUES]:
                if job := store.seek(name, job_id, SEEK_STEP):
                    return Sighting(QUEUED, job)
        return None

    # -- changing one ------------------------------------------------------------------------------

    def edit(self, ref: str, data: Mapping[str, JSON]) -> QueuedJob:
        """Have the job run with other data; it keeps its place. Return it as it waits now.

        Args:
            ref: which job.
            data: named arguments in the place of all that it had.

        Raises:
            BadJob: when `data` are not what JSON can carry.
            JobGone: when a worker took it first.
            NotAJob: when the message is none.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        refuse_envelopes(data, f"job {ref}")
        job = self.show(ref)
        if job.fault is not None:
            raise NotAJob(job.fault)
        with reachable(_PERHAPS):
            found = self._store().replace(place_of(job.ref), edited(job.message, data))
        return found or self._gone(ref, job)

    def move(self, ref: str, to: str) -> None:
        """Put the job behind what waits in another queue, at its priority.

        Raises:
            JobGone: when a worker took it first.
            NoSuchQueue: when there is no queue `to`.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        Queues(self._app).show(to)
        job = self.show(ref)
        with reachable(_PERHAPS):
            is_done = self._store().to_end(place_of(job.ref), to, moved(job.message, to))
        if not is_done:
            self._gone(ref, job)

    def to_front(self, ref: str) -> None:
        """Make it the job whose turn is next, before those of every priority.

        Raises:
            JobGone: when a worker took it first.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        job = self.show(ref)
        with reachable(_PERHAPS):
            is_done = self._store().to_front(place_of(job.ref), job.message)
        if not is_done:
            self._gone(ref, job)

    def remove(self, ref: str) -> QueuedJob:
        """Take the job out of its queue; its state is Cancelled then. Return what it was.

        A message that is no job goes to quarantine. A chord that waits for a removed job waits for
        ever: `scheduler.cancel` tells it.

        Raises:
            JobGone: when a worker took it first.
            Unreachable: when the broker did not answer, a list tells whether it was done; or when
                the result backend did not, the job is removed then and looks as if it waited.

        """
        job = self.show(ref)
        with reachable(_PERHAPS):
            (is_done,) = self._store().remove([job], [place_of(job.ref)], self._keep)
        if not is_done:
            self._gone(ref, job)
        self._mark_cancelled([job])
        return job

    # -- changing many -----------------------------------------------------------------------------

    def move_all(self, queue: str, to: str, progress: Progress | None = None) -> Outcome:
        """Put as many jobs as wait in the queue now into another one, in their order.

        Raises:
            NoSuchQueue: when there is no queue `to`.
            Unreachable: when the broker did not answer; some may have been moved.

        """
        if queue == to:
            raise ValueError(f"the jobs are in queue {to} already")
        Queues(self._app).show(to)
        with reachable("some may have been moved; the lists tell"):
            return move_waiting(self._store(), queue, to, progress)

    def remove_all(self, queue: str, progress: Progress | None = None) -> Outcome:
        """Remove as many jobs as wait in the queue now, each as `remove` does.

        Raises:
            Unreachable: when a server did not answer; some may have been removed.

        """
        with reachable("some may have been removed; the list tells which are left"):
            return remove_waiting(self._store(), queue, self._keep, self._mark_cancelled, progress)

    # -- what waits for its time -------------------------------------------------------------------

    def delayed(self, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Return a page of the jobs whose time has not come: delayed ones, and those that retry.

        Those that are due first come first; each has `due`. A job with `countdown` or `eta` is
        among them once a worker has seen it.

        Raises:
            BadCursor: when the cursor is none of this function's.
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            store = DelayedStore(server_of(self._app))
            jobs, total, next_cursor = store.page(cursor, max(1, min(limit, MOST)))
        return Page(tuple(jobs), total, next_cursor)

    def show_delayed(self, ref: str) -> QueuedJob:
        """Return one job that waits for its time.

        Raises:
            JobGone: when it does not any more.
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            found = DelayedStore(server_of(self._app)).find(ref)
        if found is None:
            raise JobGone(ref, _NOT_DELAYED)
        return found

    def find_delayed(self, job_id: str) -> QueuedJob:
        """Look for a job by its id among the first 10,000 that wait for their time.

        Raises:
            JobGone: when it is not there.
            Unreachable: when the broker did not answer.

        """
        with reachable("ask again later"):
            found = DelayedStore(server_of(self._app)).seek(job_id)
        if found is not None:
            return found
        where = f"among the first {SEEK_MOST:,} jobs that wait for their time"
        raise JobGone(job_id, f"it is not {where}{self._state_of(job_id)}")

    def run_now(self, ref: str) -> None:
        """Put a job that waits for its time at the front of its queue.

        Raises:
            JobGone: when its time has come meanwhile.
            NotAJob: when the message is none.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        job = self.show_delayed(ref)
        if job.fault is not None:
            raise NotAJob(job.fault)
        with reachable(_PERHAPS):
            is_done = DelayedStore(server_of(self._app)).run_now(job, due_now(job.message))
        if not is_done:
            raise JobGone(job.name, _NOT_DELAYED)

    def cancel(self, ref: str) -> QueuedJob:
        """Remove a job that waits for its time; its state is Cancelled then. Return what it was.

        Raises:
            JobGone: when its time has come meanwhile.
            Unreachable: as `remove`.

        """
        job = self.show_delayed(ref)
        with reachable(_PERHAPS):
            is_done = DelayedStore(server_of(self._app)).cancel(job, self._keep)
        if not is_done:
            raise JobGone(job.name, _NOT_DELAYED)
        self._mark_cancelled([job])
        return job

    # -- how ---------------------------------------------------------------------------------------

    @property
    def _keep(self) -> int:
        return int(server_of(self._app).channel.quarantine_limit)

    def _store(self) -> QueueStore:
        return QueueStore(server_of(self._app))

    def _mark_cancelled(self, jobs: Sequence[QueuedJob]) -> None:
        backend = self._app.backend
        if not isinstance(backend, JobResults):
            return
        advice = "the jobs are removed, but look as if they waited; cancel them by their ids"
        with reachable(advice):
            for job in jobs:
                if job.job_id is not None:
                    backend.cancel(job.job_id)

    def _gone(self, ref: str, job: QueuedJob | None = None) -> NoReturn:
        if job is None or job.job_id is None:
            raise JobGone(ref, _TAKEN)
        raise JobGone(job.job_id, f"{_TAKEN}{self._state_of(job.job_id)}")

    def _state_of(self, job_id: str) -> str:
        """Return what is known of the job's state, for an error; '' when nothing is."""
        backend = self._app.backend
        if not isinstance(backend, JobResults):
            return ""
        with suppress(redis.RedisError):
            record = backend.record_of(job_id)
            return f"; its state is {from_celery(record.state)}" if record else ""
        return ""


_pending = Pending(tasks_app)
cancel = _pending.cancel
delayed = _pending.delayed
edit = _pending.edit
find = _pending.find
find_delayed = _pending.find_delayed
list = _pending.list  # noqa: A001 (`pending.list` says what it does)
locate = _pending.locate
move = _pending.move
move_all = _pending.move_all
remove = _pending.remove
remove_all = _pending.remove_all
run_now = _pending.run_now
show = _pending.show
show_delayed = _pending.show_delayed
to_front = _pending.to_front
