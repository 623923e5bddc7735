"""The worker's side of the broker: Celery's consumer and request, made to bear what can come.

- What cannot become a job goes to quarantine, whatever is wrong with it, and the worker goes on.
  Celery drops some such messages in silence, and ends over others.
- A message that has outlived its limit of workers becomes a failed job instead of killing another.
- A job that fails is kept first and acknowledged then, that of a task nobody knows included.
- A job that fails with MemoryError is put back like one whose process died; Celery ends the worker.
- When the worker is told to stop, what it has claimed and not started goes back at once.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import time
from typing import Any

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery import signals
from celery.app.task import Context
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.exceptions import InvalidTaskError, NotRegistered
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.transport.virtual import Message

from tasks import liveness, recording
from tasks.broker.channel import CONNECTION_LOST, ClaimingChannel, give_back_waiting
from tasks.errors import DeliveryLimitReached
from tasks.history.processes import count_ends
from tasks.history.recorder import recorder
from tasks.history.request import CountedRequest, queue_of
from tasks.history.tally import UNKNOWN_TASK
from tasks.message import check_body, check_headers, due_at
from tasks.pool import kept_jobs
from tasks.results import CLAIMED_AT

_logger = logging.getLogger("tasks.worker")

SOON_SECONDS = 0.5
"""A job that is due so soon waits in the worker; what is due later waits on the server."""

CELERYS_FIELDS = frozenset(vars(Context)) | {
    "lang",
    "task",
    "argsrepr",
    "kwargsrepr",
    "compression",
}
"""What a job's context holds beside the headers of whoever sent it: Celery's `Context` removes the
same names, which it collects for each job."""

Handler = Callable[[Message], object]


class GoneBack(Exception):
    """A job waited in the pool, and its claim has gone back meanwhile: it must not start here."""


class Consumer(CeleryConsumer):
    """Celery's consumer. Set by `worker_consumer`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.pool, SoloPool):
            # It runs one job at a time, whatever --concurrency says, which is the number of
            # processors by default: the others would wait here while another worker is idle.
            self.initial_prefetch_count = self.prefetch_multiplier

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Handler:
        """Return what is called with each message of a queue."""
        celerys_start = super().create_task_handler(*args, **kwargs)
        is_solo = isinstance(self.pool, SoloPool)
        waits_in_pool = isinstance(self.pool, ThreadPool)
        runs_here = waits_in_pool or is_solo

        def start(message: Message) -> None:
            strategy = self.strategies.get(message.headers["task"])
            if strategy is None or (self.restart_count and not self._maximum_prefetch_restored):
                celerys_start(message)
                return
            # As Celery does it, without the promises it makes for each job.
            ack, reject = message.ack_log_error, message.reject_log_error
            if not is_solo:
                ack, reject = partial(self.call_soon_ack, ack), partial(self.call_soon_ack, reject)
            try:
                strategy(message, None, ack, reject, self.on_task_message)
            except (InvalidTaskError, ContentDisallowed) as error:
                self.on_invalid_task(None, message, error)
            except DecodeError as error:
                self.on_decode_error(message, error)

        def on_task_received(message: Message) -> None:
            if is_stopping():
                return  # the rest of a batch: it goes back with what has not started
            check_headers(message.headers)
            check_body(message.payload)
            deaths = int(message.headers.get("deaths", 0))
            due = due_at(message.headers)
            if deaths and deaths >= _channel(message).delivery_limit:
                self._give_up(message, deaths)
            elif due is not None and due - time() > SOON_SECONDS:
                _channel(message).delay(message.delivery_tag, due)
            else:
                message.waits_in_pool, message.runs_here = waits_in_pool, runs_here
                message.headers[CLAIMED_AT] = round(time(), 6)
                recorder.claimed(self._counted_as(message), queue_of(message), deaths)
                start(message)

        return on_task_received

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Quarantine a message whose body cannot be read."""
        _quarantine(message, exc)

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:  # noqa: ARG002 (Celery's)
        """Quarantine a message whose headers make no job."""
        _quarantine(message, exc)

    def on_unknown_message(self, body: object, message: Message) -> None:  # noqa: ARG002 (Celery's)
        """Quarantine a message that is not about a task."""
        _quarantine(message, "it is not a message about a task")

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:  # noqa: ARG002 (Celery's)
        """Fail a job whose task is not registered here. Celery rejects its message first."""
        name = message.headers["task"]
        request = self._fail(message, NotRegistered(name))
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=request.id)
        _logger.error(
            "job %s is of task %r, which is not registered: add its module to `imports` in "
            "celeryconfig.py, and retry it",
            *(request.id, name),
        )

    def on_ready(self) -> None:
        """Begin to write down that this worker consumes."""
        super().on_ready()
        channel = self.task_consumer.channel
        beat = liveness.beat(
            *(channel.holdings, channel.global_keyprefix, self.hostname),
            queues=lambda: sorted(queue.name for queue in self.task_consumer.queues),
            in_loop=isinstance(self.pool, SoloPool),
        )
        recorder.attach(channel.holdings, channel.global_keyprefix)
        if isinstance(self.pool, (SoloPool, ThreadPool)):
            recording.jobs_run_here(channel.holdings)
        channel.holdings.on_renewal[:] = [beat, recorder.flush]
        self._open_fast_path(channel)
        beat()
        count_ends(self.pool)

    def _open_fast_path(self, channel: ClaimingChannel) -> None:
        from tasks.fastpath.lane import FastPath  # noqa: PLC0415 (it imports this module)

        if FastPath.is_possible(self):
            channel.fast_path = FastPath(self, channel)

    def on_close(self) -> None:
        """Forget what has not started. Celery calls this without a connection, and at the end."""
        with kept_jobs(self.pool) as forgotten:
            super().on_close()
        for request in forgotten:
            with suppress(*CONNECTION_LOST):  # then the lease keeper gives it back
                _channel(request.message).holdings.give_back([request.message.delivery_tag])

    def stop(self) -> None:
        """Stop consuming; what has not started goes back before the running jobs have ended."""
        if self.controller and self.controller.semaphore:
            # They wait for a process of the pool, and must not get one any more.
            self.controller.semaphore.clear()
        for request in tuple(state.scheduled_requests):
            if request._eta_timer_entry is not None:  # noqa: SLF001 (as Celery's own on_close does)
                self.timer.cancel(request._eta_timer_entry)  # noqa: SLF001
        if self.task_consumer:
            channel = self.task_consumer.channel
            channel.holdings.on_renewal.clear()
            with suppress(*CONNECTION_LOST):
                liveness.forget(channel.holdings, channel.global_keyprefix, self.hostname)
        give_back_waiting()
        if self.event_dispatcher:
            # Celery closes it without sending what was collected since the last time.
            with suppress(Exception):
                self.event_dispatcher.flush(errors=False)
        super().stop()

    def _give_up(self, message: Message, deaths: int) -> None:
        error = DeliveryLimitReached(message.headers["id"], deaths)
        request = self._fail(message, error)
        _logger.critical("gave up job %s: %s", request.id, error)

    def _fail(self, message: Message, error: Exception) -> Context:
        """Record a job that was not started as failed, and only then be done with its message."""
        request = context_of(message, self.hostname)
        self.app.backend.mark_as_failure(
            request.id, error, request=request, store_result=not request.ignore_result
        )
        message.ack()
        recorder.ended(self._counted_as(message), queue_of(message), "failed", wait=None, run=None)
        if self.event_dispatcher:
            self.event_dispatcher.send("task-failed", uuid=request.id, exception=repr(error))
        return request

    def _counted_as(self, message: Message) -> str:
        name: str = message.headers["task"]
        return name if name in self.strategies else UNKNOWN_TASK


class Request(CountedRequest):
    """Celery's request of one job."""

    _acknowledges_last = False
    _acknowledgement: Callable[[], object] | None = None

    def __init__(self, message: Message, **options: Any) -> None:
        super().__init__(message, **options)
        if getattr(message, "runs_here", False):
            # It was read to be checked, and need not be read again where it runs.
            self._body: Any = message.payload
            self._content_type = self._content_encoding = None
            if self.request_dict.get("headers") is None:
                self.request_dict["headers"] = {
                    name: value
                    for name, value in self.request_dict.items()
                    if name not in CELERYS_FIELDS
                }

    def revoked(self) -> bool:
        """Tell whether the job must not run. Celery asks this right before it hands it to the pool.

        It asks on receipt as well if the job expires; the request is not reserved then. What is
        handed to processes, or to none, starts at once; what is handed to threads may wait there.
        """
        if super().revoked():
            return True
        if self not in state.reserved_requests or self.message.waits_in_pool:
            return False
        return not self._start()

    def on_accepted(self, pid: int, time_accepted: float) -> None:
        """Note that the body runs; threads call this right before it.

        Raises:
            GoneBack: in a thread, which then leaves the job alone.

        """
        if self.message.waits_in_pool and not self._start():
            raise GoneBack(self.id)
        super().on_accepted(pid, time_accepted)

    def _start(self) -> bool:
        if self.ignore_result or not self.task.track_started:
            # Otherwise that it begins is recorded now, and with it what was left.
            with suppress(*CONNECTION_LOST):
                recording.flush_all()
        started = _channel(self.message).holdings.start(self.message.delivery_tag)
        if not started:
            _logger.info("job %s is not started: its claim has gone back", self.id)
        return started

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> Any:  # noqa: ANN401 (Celery's)
        """Handle a failed run; one that took its process with it counts as a death."""
        error = exc_info.exception
        error = getattr(error, "exc", error)
        if isinstance(error, MemoryError):
            exc_info = _as_lost(error)
            error = exc_info.exception
        out_of_memory = isinstance(getattr(error, "reason", None), MemoryError)
        if out_of_memory or isinstance(error, (WorkerLostError, SystemExit)):
            _channel(self.message).mark_lost(self.message.delivery_tag)
        self._acknowledges_last = True
        try:
            return super().on_failure(exc_info, send_failed_event, return_ok)
        finally:
            self._acknowledges_last = False
            if self._acknowledgement is not None:
                self._acknowledgement()
            self.count_failure(exc_info.exception)

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002 (Celery's)
        """Tell a monitor of this job: its arguments as they are shown, never as they are."""
        found: dict[str, Any] = super().info(safe=True)
        return found

    def acknowledge(self) -> None:
        """Be done with the message. Celery does so before it has recorded a failure; this waits."""
        if self._acknowledges_last:
            self._acknowledgement = super().acknowledge
        else:
            super().acknowledge()

    def reject(self, requeue: bool = False) -> None:
        """Put the message back, or be done with it, and then as `acknowledge` is."""
        if self._acknowledges_last and not requeue:
            self._acknowledgement = super().reject
        else:
            super().reject(requeue)


def context_of(message: Message, worker: str) -> Context:
    """Return the context of a job that was never started, for recording its failure."""
    args, kwargs, embed = message.payload
    fields = {**message.headers, **{k: v for k, v in (embed or {}).items() if v is not None}}
    return Context(
        fields,
        args=args,
        kwargs=kwargs,
        delivery_info={"routing_key": message.delivery_info.get("routing_key")},
        properties=message.properties,
        hostname=worker,
        called_directly=False,
    )


def is_stopping() -> bool:
    """Tell whether the worker was asked to stop; Celery sees to it at its next turn."""
    stop, terminate = state.should_stop, state.should_terminate
    # An exit code is as good as True, and the usual one is 0.
    return (stop is not None and stop is not False) or (
        terminate is not None and terminate is not False
    )


def _as_lost(error: MemoryError) -> ExceptionInfo:
    try:
        raise WorkerLostError(f"ran out of memory: {error}")  # noqa: TRY301 (only raising makes one)
    except WorkerLostError:
        return ExceptionInfo()


def _channel(message: Message) -> ClaimingChannel:
    found = message.channel
    if not isinstance(found, ClaimingChannel):
        raise TypeError("broker_transport must be tasks.broker.transport:Transport")
    return found


def _quarantine(message: Message, reason: Exception | str) -> None:
    _channel(message).quarantine(message.delivery_tag, queue_of(message), reason)


@signals.worker_shutdown.connect
def _send_the_last(sender: Any, **_: object) -> None:  # noqa: ANN401 (Celery's worker)
    """Send the last counts and events: a worker that was told to stop ends here, after its jobs."""
    dispatcher = getattr(getattr(sender, "consumer", None), "event_dispatcher", None)
    if dispatcher is not None:
        dispatcher.flush()
    recorder.flush()
