"""Job, the base of every task: what a body may use, and how a job fails.

    from tasks.celery import app
    from tasks.job import Job

    @app.task(name="reports.monthly", base=Job, bind=True, autoretry_for=(DatabaseBusy,))
    def monthly(self: Job, month: str) -> dict[str, int]:
        self.progress(0, 2, "reading")
        ...
        return {"rows": 12}

`autoretry_for` names the errors that may pass: they are retried, after a while that grows. Every
other error fails the job at once. What the body returns is the job's data.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import sleep
from types import ModuleType
from typing import Any

from billiard.einfo import ExceptionInfo
from celery import Celery, Task
from celery.exceptions import Reject

from tasks.errors import JobCancelled
from tasks.failed.message import OUTBOX
from tasks.replay import replay_of
from tasks.results import JSON, UNRECORDED, JobResults, Progress

_logger = logging.getLogger("tasks")

_AGAIN_AFTER = 1.0
"""Seconds before a job goes back to its queue whose next attempt could not be sent."""


class Job(Task[..., Any]):
    """A task whose calls are jobs.

    Retries: `max_retries` attempts after the first one. The wait before attempt n + 1 is drawn
    evenly from 0 to min(retry_backoff * 2 ** (n - 1), retry_backoff_max) seconds ("full jitter"),
    so that jobs that failed together do not come back together.

    Time limits: `soft_time_limit` raises `SoftTimeLimitExceeded` in the body, `time_limit` kills
    its process; both in seconds, the former below the latter, whose default stands in
    `celeryconfig.py`. They need the prefork pool.

    Hooks: `before_start` and `after_return` around the body, `on_give_up` when it has failed.
    """

    abstract = True
    Request = "tasks.worker:Request"

    max_retries = 10
    retry_backoff = 1
    retry_backoff_max = 600
    retry_jitter = True

    @classmethod
    def on_bound(cls, app: Celery) -> None:
        """Check the task's options where it is declared.

        Raises:
            ValueError: when a time limit could never come into force.

        """
        super().on_bound(app)
        soft, hard = cls.soft_time_limit, cls.time_limit
        if soft is not None and hard is not None and soft >= hard:
            raise ValueError(
                f"{cls.name}: soft_time_limit={soft:g} must be below time_limit={hard:g}; "
                "the prefork pool would never come to the hard one"
            )

    @property
    def job_id(self) -> str:
        """The id of the job that runs. It stays the same through all its attempts."""
        return str(self.request.id)

    @property
    def data(self) -> dict[str, Any]:
        """What the job was scheduled with: the keyword arguments of the call."""
        return dict(self.request.kwargs or {})

    def set_data(self, value: JSON) -> None:
        """Publish data while the body runs; they survive a failure.

        What the body returns replaces them, unless it returns None.

        Raises:
            JobCancelled: when the job was cancelled meanwhile.
            TypeError: when `value` cannot be written as JSON.

        """
        self._publish(data=value)

    def progress(self, done: int, total: int, message: str = "") -> None:
        """Tell how far the body is: `done` of `total` steps, and what it does now.

        Raises:
            JobCancelled: when the job was cancelled meanwhile.
            ValueError: unless 0 <= done <= total.

        """
        if not 0 <= done <= total:
            raise ValueError(f"progress must be 0 <= done <= total, not {done} of {total}")
        self._publish(progress=Progress(done, total, message).as_json())

    def on_give_up(self, error: BaseException) -> None:
        """Do what is left to do for a job that has failed for good. Override it; it does nothing.

        It runs in the worker that met the last error. A worker that is killed cannot run it.
        """

    def on_failure(
        self,
        exc: BaseException,
        task_id: str,  # noqa: ARG002 (Celery's signature)
        args: tuple[Any, ...],  # noqa: ARG002
        kwargs: dict[str, Any],  # noqa: ARG002
        einfo: ExceptionInfo,  # noqa: ARG002
    ) -> None:
        """Note a final failure, hand it on to `on_give_up`, and log what goes wrong there."""
        if self._has_row:
            # By now it is with the failed jobs, so that a retry there finds it.
            self._once().fail(self.job_id, exc)
        try:
            self.on_give_up(exc)
        except Exception:
            _logger.exception("on_give_up of %s failed", self.name)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        task_id: str | None = None,
        *more: Any,
        **options: Any,
    ) -> Any:  # noqa: ANN401 (Celery's: an AsyncResult, or an EagerResult)
        """Queue a job. `delay` comes here; `tasks/quick.py` sends what has no options.

        Raises:
            TypeError: when the arguments are not those of the body.
            BadJob: when they would not arrive as they are; nothing was queued.
            Unreachable: when the broker or the result backend did not answer in time.

        """
        if not more and not options:
            # A task may be used with an app that is not ours, as in the tests of who uses it.
            quickly: Any = getattr(self.app, "delay_quickly", None)
            sent = quickly(self, args, kwargs, task_id) if quickly else None
            if sent is not None:
                return sent
        apply_async: Any = super().apply_async
        return apply_async(args, kwargs, task_id, *more, **options)

    def delay_many(
        self,
        data: Iterable[Mapping[str, JSON]],
        *,
        on_progress: Callable[[Sequence[str]], object] = lambda _: None,
        **options: Any,
    ) -> Sequence[str]:
        """Queue one job for each of the data, and return their ids: `tasks.bulk.delay_many`."""
        from tasks.bulk import delay_many  # noqa: PLC0415 (it imports the app, which imports us)

        return delay_many(self, data, on_progress=on_progress, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (any body's)
        """Run the body, unless the job was cancelled before its turn came."""
        request = self.request
        if request.called_directly:
            return super().__call__(*args, **kwargs)
        if getattr(request, "cancelled", False):
            # It is recorded already; this tells a chord that it need not wait for this part.
            self.backend.mark_as_revoked(self.job_id, "cancelled", request=request)
            if self._has_row:
                self._once().cancel(self.job_id)
            raise JobCancelled("cancelled before it started")
        if getattr(request, UNRECORDED, False):
            # Whether it was cancelled is not known either; nothing is lost by doing it later.
            raise Reject("the result backend was away when it began", requeue=True)
        replay = replay_of(request)
        try:
            if replay is not None:
                if replay.error is not None:
                    raise replay.error
                return replay.result
            if self._has_row:
                return self._once().run(self, self.run, args, kwargs)
            return self.run(*args, **kwargs)
        except MemoryError as error:
            # Not a failure yet: it goes back to its queue, and counts as the death of a worker.
            raise Reject(error, requeue=True) from error

    def retry(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (Celery's)
        """Schedule the next attempt, as Celery does, but never lose the job over it.

        Celery fails the job when the next attempt cannot be sent. Here it goes back to its queue,
        and this attempt is made again.
        """
        try:
            return super().retry(*args, **kwargs)
        except Reject as rejected:
            # A full server refuses at once, and takes the job back all the same.
            sleep(_AGAIN_AFTER)
            raise Reject(getattr(rejected, "reason", None), requeue=True) from rejected

    @property
    def _has_row(self) -> bool:
        """Whether the job was enqueued in a transaction: see `tasks/outbox/`."""
        return bool(getattr(self.request, OUTBOX, None))

    @staticmethod
    def _once() -> ModuleType:
        # A worker that runs no such job does not load SQLAlchemy.
        from tasks.outbox import once  # noqa: PLC0415 (see above)

        return once

    def _publish(self, **fields: JSON) -> None:
        if self.request.called_directly or self.request.is_eager:
            return
        if not isinstance(self.backend, JobResults):
            raise TypeError(f"set_data and progress need our result backend, not {self.backend!r}")
        if self.backend.publish_fields(self.job_id, fields):
            return
        self.backend.mark_as_revoked(self.job_id, "cancelled", request=self.request)
        raise JobCancelled("cancelled while it ran")
