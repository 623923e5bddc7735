"""A worker's request of one job that counts how each attempt ended.

It lives in the worker's main process, where the outcomes of prefork, threads and solo all pass.
"""

from collections.abc import Callable
from functools import wraps
from time import time
from typing import Any

from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined] # not in the stubs
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Retry
from celery.worker.request import Request as CeleryRequest
from kombu.transport.virtual import Message

from tasks.enqueued import waiting_since
from tasks.history.recorder import recorder


def queue_of(message: Message) -> str:
    """Return the name of the queue that the message came from."""
    return str(message.delivery_info.get("routing_key") or "")


class CountedRequest(CeleryRequest):
    """Celery's request, counted once: at a hard time limit, Celery tells of it twice."""

    _is_counted = False
    _runs_again = False
    """Whether its message went back to its queue, so that this was not its end."""
    _has_succeeded = False

    def __init_subclass__(cls, **options: Any) -> None:
        """Count in what Celery makes of this for each task, with an `on_success` of its own."""
        super().__init_subclass__(**options)
        if "on_success" in vars(cls):
            cls.on_success = _counted(cls.on_success)

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Handle a job that ran for too long."""
        super().on_timeout(soft, timeout)
        if not soft:
            recorder.timed_out(self._type, queue_of(self.message))
            self.count("failed")

    def reject(self, requeue: bool = False) -> None:
        """Put the message back, or be done with it."""
        self._runs_again = self._runs_again or requeue
        super().reject(requeue)

    def count_failure(self, error: BaseException | None) -> None:
        """Count an attempt that ended with this error."""
        if self._runs_again or self._already_cancelled:
            return
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        if isinstance(error, Retry):
            self.count("retried")
        elif self._already_revoked or isinstance(error, (Ignore, Terminated)):
            self.count("cancelled")
        else:
            self.count("succeeded" if self._has_succeeded else "failed")

    def count(self, outcome: str, seconds: float | None = None) -> None:
        """Count the attempt, which took so long; None: until now."""
        if self._is_counted:
            return
        self._is_counted = True
        began, since = self.time_start, waiting_since(self.request_dict)
        if seconds is None and began is not None:
            seconds = time() - began
        wait = None if began is None or since is None else began - since
        recorder.ended(self._type, queue_of(self.message), outcome, wait, seconds)

    def _success_was_stored(self) -> Any:  # noqa: ANN401 (Celery's)
        found = super()._success_was_stored()
        self._has_succeeded = bool(found)
        return found


def _counted(on_success: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(on_success)
    def counted(
        self: CountedRequest, failed__retval__runtime: tuple[bool, Any, float], **options: Any
    ) -> Any:  # noqa: ANN401 (Celery's)
        answer = on_success(self, failed__retval__runtime, **options)
        failed, _, seconds = failed__retval__runtime
        if not failed:
            self.count("succeeded", seconds)
        return answer

    return counted
