"""Runs plain jobs: see the package's own words."""

import logging
import os
from contextlib import suppress
from time import time
from typing import Any

from celery import Task, _state
from celery.app.task import Context
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.states import SUCCESS
from celery.worker import state

from tasks import recording, tracing
from tasks.broker.channel import CONNECTION_LOST, ClaimingChannel
from tasks.broker.holdings import Claim
from tasks.enqueued import waiting_since
from tasks.events import EventDispatcher
from tasks.failed.message import OUTBOX
from tasks.fastpath import conditions
from tasks.fastpath.celerys_way import Celerys, Shown
from tasks.fastpath.plain import are_plain, arguments_of, fields_of
from tasks.fastpath.states import States
from tasks.history.recorder import recorder
from tasks.results import CLAIMED_AT, UNRECORDED
from tasks.worker import Consumer, is_stopping

_logger = logging.getLogger("tasks.worker")

_TASKS_HERE: Any = vars(_state)["_task_stack"]
"""What Celery's `current_task` looks at."""

_NOTED = ("log_tokens", "started", "cancelled", UNRECORDED)
"""What is noted in the request of a job while it runs, and Celery's way must know."""


class NotStarted(Exception):
    """The body has not run: the job was cancelled, or nobody could be told that it began."""


class PlainJob:
    """A plain job that this worker has claimed."""

    __slots__ = ("claim", "context", "fields", "job_id", "shown", "task")

    def __init__(self, claim: Claim, task: Task[..., Any], fields: dict[str, Any]) -> None:
        self.claim = claim
        self.task = task
        self.fields = fields
        """Those of its request, as the body sees it."""
        self.job_id: str = fields["id"]
        self.shown: Shown | None = None
        """What others see of it, where somebody can look while it runs."""
        self.context = Context.__new__(Context)
        # As Celery makes it, which copies the fields and looks through them.
        self.context.__dict__ = fields

    @property
    def ignores_result(self) -> bool:
        """Whether what becomes of it is kept."""
        asked = self.fields.get("ignore_result")
        return bool(self.task.ignore_result if asked is None else asked)


class FastPath:
    """Runs plain jobs for one consumer, from one channel."""

    def __init__(self, consumer: Consumer, channel: ClaimingChannel) -> None:
        self._consumer = consumer
        self._channel = channel
        self._holdings = channel.holdings
        self._celerys = Celerys(consumer, channel)
        self._in_threads = isinstance(consumer.pool, ThreadPool)
        self._pid = os.getpid()
        self._tasks: dict[str, Task[..., Any] | None] = {}
        self._states: dict[int, States] = {}

    @staticmethod
    def is_possible(consumer: Consumer) -> bool:
        """Tell whether any job of this consumer can take the short way."""
        app = consumer.app
        return (
            isinstance(consumer.pool, (SoloPool, ThreadPool))
            and "application/json" in consumer.task_consumer.accept
            and not app.conf.worker_deduplicate_successful_tasks
            and conditions.does_nothing(app.loader)
            and conditions.nothing_is_replaced()
        )

    def is_open(self) -> bool:
        """Tell whether plain jobs can take the short way now. Asked before each batch."""
        consumer = self._consumer
        is_restoring = consumer.restart_count and not consumer._maximum_prefetch_restored  # noqa: SLF001
        return not is_restoring and conditions.nobody_listens()

    def take(self, claim: Claim, envelope: dict[str, Any]) -> bool:
        """Run the job, or have the pool run it; False: it is not plain, and nothing was done."""
        headers = envelope["headers"]
        name = headers.get("task")
        task = self._task(name) if type(name) is str else None
        if (
            task is None
            or not are_plain(headers)
            or headers["id"] in state.revoked
            or self._consumer.task_buckets[name] is not None
            or is_stopping()
        ):
            return False
        arguments = arguments_of(envelope)
        if arguments is None or self._has_events(task, headers["id"]):
            return False
        headers[CLAIMED_AT] = round(time(), 6)
        job = PlainJob(claim, task, fields_of(envelope, arguments, self._consumer.hostname))
        recorder.taken(name, claim.queue)
        tracing.received(job.job_id, name, headers.get(tracing.HEADER))
        if self._in_threads:
            job.shown = Shown(self._celerys, claim, job.job_id, name, headers[CLAIMED_AT])
            state.task_reserved(job.shown)
            self._consumer.pool.executor.submit(self._run, job)
        else:
            self._run(job)
        return True

    def _task(self, name: str) -> Task[..., Any] | None:
        """Return the task of this name, if it is registered and plain."""
        try:
            return self._tasks[name]
        except KeyError:
            if name not in self._consumer.strategies:
                return None
            task = self._consumer.app.tasks[name]
            found = self._tasks[name] = task if conditions.is_plain(task) else None
            return found

    def _has_events(self, task: Task[..., Any], job_id: str) -> bool:
        """Tell whether monitors are to be told of this job."""
        dispatcher = self._consumer.event_dispatcher
        if not (dispatcher and dispatcher.enabled and task.send_events):
            return False
        return not isinstance(dispatcher, EventDispatcher) or dispatcher.admits(job_id)

    # -- from here on in the thread that runs the job ----------------------------------------------

    def _run(self, job: PlainJob) -> None:
        task, context = job.task, job.context
        states = None if job.ignores_result else self._states_of(task)
        is_recorded = states is not None and task.track_started
        if not is_recorded and recording.is_any_left():
            # Otherwise that it begins is recorded now, and with it what was left.
            with suppress(*CONNECTION_LOST):
                recording.flush_all()
        if not self._holdings.start(job.claim.tag):
            _logger.info("job %s is not started: its claim has gone back", job.job_id)
            self._forget(job)
            return
        began = time()
        self._show(job, began)
        error: BaseException | None = None
        _TASKS_HERE.push(task)
        task.request_stack.push(context)
        tracing.begin(job.job_id, task.name, context)
        try:
            if states is not None and is_recorded:
                states.start(job.job_id, context)
                if context.get("cancelled") or context.get(UNRECORDED):
                    raise NotStarted  # noqa: TRY301 (Celery's way tells why)
            body = task if OUTBOX in job.fields else task.run
            result = body(*job.fields["args"], **job.fields["kwargs"])
            if states is not None:
                states.succeed(job.job_id, context, result)
            tracing.end(context, SUCCESS)
        except BaseException as raised:  # noqa: BLE001 (Celery's way tells them apart)
            error = raised
        finally:
            task.request_stack.pop()
            _TASKS_HERE.pop()
        if error is None:
            self._succeed(job, began)
        else:
            self._hand_over(job, began, error)

    def _states_of(self, task: Task[..., Any]) -> States:
        backend: Any = task.backend  # each thread has its own, as Celery has it
        found = self._states.get(id(backend))
        if found is None:
            found = self._states[id(backend)] = States(backend, self._consumer.hostname)
        return found

    def _succeed(self, job: PlainJob, began: float) -> None:
        self._forget(job)
        self._holdings.acknowledge(job.claim.tag)
        self._channel.flush_soon()
        since = waiting_since(job.fields)
        wait = None if since is None else began - since
        recorder.ran(job.task.name, job.claim.queue, wait, time() - began)

    def _hand_over(self, job: PlainJob, began: float, error: BaseException) -> None:
        """Have Celery do what it does when a body raises this."""
        request = self._celerys.request(job.claim, job.fields[CLAIMED_AT])
        request.time_start, request.worker_pid = began, self._pid
        state.requests[job.job_id] = request
        state.active_requests.add(request)
        if job.shown is not None:
            state.active_requests.discard(job.shown)
            state.reserved_requests.discard(job.shown)
        noted = {name: job.fields[name] for name in _NOTED if name in job.fields}
        self._celerys.take_over(request, noted, error)

    def _show(self, job: PlainJob, began: float) -> None:
        state.total_count[job.task.name] += 1
        state.all_total_count[0] += 1
        if job.shown is not None:
            job.shown.time_start = began
            state.active_requests.add(job.shown)

    def _forget(self, job: PlainJob) -> None:
        if job.shown is not None:
            state.task_ready(job.shown)
