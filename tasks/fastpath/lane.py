"""Runs plain jobs: see the package's own words."""

import logging
from time import time
from typing import Any

from celery import Task
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker import state

from tasks import tracing
from tasks.broker.channel import CONNECTION_LOST, ClaimingChannel
from tasks.broker.claims import Claim
from tasks.events import EventDispatcher
from tasks.fastpath import conditions
from tasks.fastpath.celerys_way import Celerys
from tasks.fastpath.plain import are_plain, arguments_of, fields_of
from tasks.fastpath.run import Run
from tasks.fastpath.states import States
from tasks.history.recorder import recorder
from tasks.results import CLAIMED_AT, JobResults
from tasks.worker import Consumer, is_stopping

_logger = logging.getLogger("tasks.broker")


class FastPath:
    """Runs plain jobs for one consumer, from one channel."""

    def __init__(self, consumer: Consumer, channel: ClaimingChannel) -> None:
        self._consumer = consumer
        self._channel = channel
        self._celerys = Celerys(consumer, channel)
        self._in_threads = isinstance(consumer.pool, ThreadPool)
        self._tasks: dict[str, Task[..., Any] | None] = {}
        self._states: dict[int, States] = {}
        self._begun: Run | None = None
        """The job that has begun and is yet to run, where there is no pool."""

    @staticmethod
    def is_possible(consumer: Consumer) -> bool:
        """Tell whether any job of this consumer can take the short way."""
        app = consumer.app
        return (
            type(consumer.pool) in (SoloPool, ThreadPool)
            and "application/json" in consumer.task_consumer.accept
            and not app.conf.worker_deduplicate_successful_tasks
            and not consumer.on_task_message
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
            self.finish()  # it was claimed before this one
            return False
        arguments = arguments_of(envelope)
        if arguments is None or self._has_events(task, headers["id"]):
            self.finish()
            return False
        headers[CLAIMED_AT] = round(time(), 6)
        fields = fields_of(envelope, arguments, self._consumer.hostname)
        run = Run(claim, task, fields, self._celerys, self._channel)
        if not self._in_threads:
            self.finish()
            if is_stopping():
                return True  # since the one before has begun; this one goes back
        recorder.taken(name, run.queue)
        tracing.received(run.job_id, name, run.fields.get(tracing.HEADER))
        if self._in_threads:
            run.show()
            self._consumer.pool.executor.submit(self._run, run)
        elif run.begin(self._states_of):
            self._begun = run
        return True

    def finish(self, *, runs: bool = True) -> None:
        """Run the job that has begun here already, if there is one; not `runs`: leave it alone.

        What is left alone stays claimed, and goes back when the lease of this worker has ended.
        """
        begun, self._begun = self._begun, None
        if begun is not None and runs:
            self._finish(begun)
        elif begun is not None:
            begun.leave()

    def _finish(self, begun: Run) -> None:
        try:
            begun.run()
        except (*CONNECTION_LOST, MemoryError):
            begun.give_back()
            raise
        except Exception as error:
            # As the channel has it, which is about to deliver another message.
            claim = begun.claim
            _logger.exception("a message of queue %s cannot become a job", claim.queue)
            self._channel.quarantine(claim.tag, claim.queue, error)

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

    def _run(self, run: Run) -> None:
        if not run.begin(self._states_of):
            return
        try:
            run.run()
        except CONNECTION_LOST as error:
            _logger.warning("job %s goes back, its end could not be stored: %s", run.job_id, error)
            run.give_back()

    def _states_of(self, backend: JobResults) -> States:
        # Each thread has a backend of its own, as Celery has it.
        found = self._states.get(id(backend))
        if found is None:
            found = self._states[id(backend)] = States(
                backend, self._consumer.hostname, is_alone=not self._in_threads
            )
        return found
