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

from collections.abc import Callable, Mapping

from celery import Celery

from tasks.celery import app as tasks_app
from tasks.queued.job import LAST, NEXT, Outcome, Page, QueuedJob
from tasks.results import JSON

__all__ = [
    "LAST",
    "NEXT",
    "Outcome",
    "Page",
    "Pending",
    "QueuedJob",
    "cancel",
    "delayed",
    "edit",
    "find",
    "list",
    "move",
    "move_all",
    "remove",
    "remove_all",
    "run_now",
    "show",
    "show_delayed",
    "to_front",
]

Progress = Callable[[int, int], object]
"""Called with how many jobs were handled, and how many there are to handle."""

MOST = 100
"""Jobs on a page, at most."""


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
        raise NotImplementedError

    def show(self, ref: str) -> QueuedJob:
        """Return one job of a queue. Its `ref` may be a newer one.

        Raises:
            JobGone: when it does not wait there any more.
            Unreachable: when the broker did not answer.

        """
        raise NotImplementedError

    def find(self, queue: str, job_id: str) -> QueuedJob:
        """Look for a job by its id among the first and the last 10,000 of a queue.

        Raises:
            JobGone: when it is not there.
            Unreachable: when the broker did not answer.

        """
        raise NotImplementedError

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
        raise NotImplementedError

    def move(self, ref: str, to: str) -> None:
        """Put the job behind what waits in another queue, at its priority.

        Raises:
            JobGone: when a worker took it first.
            NoSuchQueue: when there is no queue `to`.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        raise NotImplementedError

    def to_front(self, ref: str) -> None:
        """Make it the job whose turn is next, before those of every priority.

        Raises:
            JobGone: when a worker took it first.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        raise NotImplementedError

    def remove(self, ref: str) -> QueuedJob:
        """Take the job out of its queue; its state is Cancelled then. Return what it was.

        A message that is no job goes to quarantine. A chord that waits for a removed job waits for
        ever: `scheduler.cancel` tells it.

        Raises:
            JobGone: when a worker took it first.
            Unreachable: when the broker did not answer, a list tells whether it was done; or when
                the result backend did not, the job is removed then and looks as if it waited.

        """
        raise NotImplementedError

    # -- changing many -----------------------------------------------------------------------------

    def move_all(self, queue: str, to: str, progress: Progress | None = None) -> Outcome:
        """Put as many jobs as wait in the queue now into another one, in their order.

        Raises:
            NoSuchQueue: when there is no queue `to`.
            Unreachable: when the broker did not answer; some may have been moved.

        """
        raise NotImplementedError

    def remove_all(self, queue: str, progress: Progress | None = None) -> Outcome:
        """Remove as many jobs as wait in the queue now, each as `remove` does.

        Raises:
            Unreachable: when a server did not answer; some may have been removed.

        """
        raise NotImplementedError

    # -- what waits for its time -------------------------------------------------------------------

    def delayed(self, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Return a page of the jobs whose time has not come: delayed ones, and those that retry.

        Those that are due first come first; each has `due`. A job with `countdown` or `eta` is
        among them once a worker has seen it.

        Raises:
            BadCursor: when the cursor is none of this function's.
            Unreachable: when the broker did not answer.

        """
        raise NotImplementedError

    def show_delayed(self, ref: str) -> QueuedJob:
        """Return one job that waits for its time.

        Raises:
            JobGone: when it does not any more.
            Unreachable: when the broker did not answer.

        """
        raise NotImplementedError

    def run_now(self, ref: str) -> None:
        """Put a job that waits for its time at the front of its queue.

        Raises:
            JobGone: when its time has come meanwhile.
            NotAJob: when the message is none.
            Unreachable: when the broker did not answer; a list tells whether it was done.

        """
        raise NotImplementedError

    def cancel(self, ref: str) -> QueuedJob:
        """Remove a job that waits for its time; its state is Cancelled then. Return what it was.

        Raises:
            JobGone: when its time has come meanwhile.
            Unreachable: as `remove`.

        """
        raise NotImplementedError


_pending = Pending(tasks_app)
cancel = _pending.cancel
delayed = _pending.delayed
edit = _pending.edit
find = _pending.find
list = _pending.list  # noqa: A001 (`pending.list` says what it does)
move = _pending.move
move_all = _pending.move_all
remove = _pending.remove
remove_all = _pending.remove_all
run_now = _pending.run_now
show = _pending.show
show_delayed = _pending.show_delayed
to_front = _pending.to_front
