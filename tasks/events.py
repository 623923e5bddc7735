"""Events of a worker, which monitors show, and which must not hold the worker up.

Celery's heartbeat asks for its publish to be repeated until it succeeds, in the worker's main loop.
While the broker does not answer, that loop ends never: the worker takes no jobs, and cannot even be
stopped. Here an event is sent once. One that could not be sent is kept, as Celery does, and goes
with the next connection.

Celery sends each job's events, three or more, in the main loop as well, where jobs are handed out
and acknowledged; and a Flower on the same machine takes as long again to read them. That costs a
worker of short jobs a third to a half of its speed. Here the events of jobs are collected, and a
thread sends them together, in the form of Celery's own batches (`task.multi`), which every monitor
reads. When a worker runs more jobs a second than `EVENT_JOBS_MAX`, the rest are left out: all
events of a job or none, so that no monitor shows halves. How many is counted; tasks/history counts
every job in any case.
"""

import logging
from collections import OrderedDict, deque
from threading import Event as Signal
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher as CeleryEventDispatcher
from celery.events.event import Event, group_from
from celery.utils.time import utcoffset

from config.masking import rules
from config.settings import framework_settings
from tasks.history.recorder import recorder

KEEP = 1_000
"""Events that are kept while the broker is away: half an hour of heartbeats. The newest count."""

TICK_SECONDS = 0.25
"""How long events of jobs are collected before they are sent."""

BATCH = 250
"""Events in one message, some 100 KB."""

MOST_WAITING = 5_000
"""Events of jobs that wait to be sent: a broker that is slow must not fill the memory."""

BURST_SECONDS = 2.0
"""A worker that was idle may run so many seconds' worth of jobs at once, and none is left out."""

REMEMBERED = 10_000
"""Jobs that were left out and may still have events to come."""

WITHOUT_EVENTS = "jobs_without_events"
"""What jobs are counted as that are left out."""

JOBS = "task"
"""Celery's name of the group of events that are about jobs."""

_logger = logging.getLogger("tasks.events")


class Allowance:
    """So many a second, and what was not used for a while on top."""

    def __init__(self, per_second: float, now: float) -> None:
        self._per_second = per_second
        self._most = self._left = per_second * BURST_SECONDS
        self._at = now

    def take(self, now: float) -> bool:
        """Take one; False when there is none left."""
        self._left = min(self._left + (now - self._at) * self._per_second, self._most)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class EventDispatcher(CeleryEventDispatcher):
    """Celery's dispatcher, without its endless patience, and out of the way of jobs."""

    if TYPE_CHECKING:
        # What Celery has and its type stubs leave out.
        _outbound_buffer: deque[tuple[Any, str]]
        _closed: bool
        _publish: Any
        clock: Any
        mutex: Lock
        pid: int
        producer: Any

    def __init__(self, *args: Any, **options: Any) -> None:
        self._waiting: deque[dict[str, Any]] = deque()
        self._left_out: OrderedDict[str, None] = OrderedDict()
        self._admitted: set[str] = set()
        self._refused = self._refused_and_counted = 0
        """Jobs that were not admitted, counted by who asks and by who tells the history."""
        self._allowance = Allowance(framework_settings().event_jobs_max, monotonic())
        self._sender: Thread | None = None
        self._starting = Lock()
        """Held while the sender is started, and while it tells how many were refused."""
        self._ending = Signal()
        super().__init__(*args, **options)

    def send(self, type: str, *args: Any, **options: Any) -> Any:  # noqa: A002, ANN401 (Celery's)
        """Send an event, or keep it for later; collect it if it is about a job."""
        if group_from(type) == JOBS:
            if self.enabled and (not self.groups or JOBS in self.groups):
                self._collect(type, options)
            return None
        options["retry"] = False
        while len(self._outbound_buffer) >= KEEP:
            self._outbound_buffer.popleft()
        return super().send(type, *args, **options)

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what was kept, and what was collected."""
        self._count_refused()
        super().flush(errors, groups)
        if groups:
            while self._waiting and self._send_batch():
                pass

    def extend_buffer(self, other: CeleryEventDispatcher) -> None:
        """Take over what another dispatcher has not sent: its connection was lost."""
        super().extend_buffer(other)
        if not isinstance(other, EventDispatcher):
            return
        self._waiting.extendleft(reversed(other._waiting))  # noqa: SLF001 (of another of this class)
        self._left_out.update(other._left_out)  # noqa: SLF001 (likewise)

    def close(self) -> None:
        """Send nothing any more."""
        self._ending.set()
        super().close()

    def admits(self, job_id: str) -> bool:
        """Tell whether the events of this job, which begins now, are to be sent.

        If so, its `task-received` is to follow; if not, the job is counted as one without events,
        and `leave_out` is to be called if there may be some.
        """
        if not self.groups or JOBS in self.groups:
            if self._allowance.take(monotonic()):
                self._admitted.add(job_id)
                return True
            self._refused += 1
            if self._sender is None:
                self._start_sender()
        return False

    def leave_out(self, job_id: str) -> None:
        """Send no event of this job, which was not admitted, and comes to some all the same."""
        self._left_out[job_id] = None
        if len(self._left_out) > REMEMBERED:
            self._left_out.popitem(last=False)

    def _collect(self, type: str, fields: dict[str, Any]) -> None:  # noqa: A002 (Celery's)
        job_id = fields.get("uuid", "")
        if type == "task-received":
            if job_id in self._admitted or self._allowance.take(monotonic()):
                self._admitted.discard(job_id)
                self._left_out.pop(job_id, None)
            else:
                self._leave_out(job_id)
        if job_id in self._left_out:
            return
        if len(self._waiting) >= MOST_WAITING:
            self._leave_out(job_id)
            return
        clock = self.clock.forward()
        self._waiting.append(
            Event(type, hostname=self.hostname, utcoffset=utcoffset(), pid=self.pid, clock=clock)
            | fields
        )
        if self._sender is None or not self._sender.is_alive():
            self._start_sender()

    def _leave_out(self, job_id: str) -> None:
        recorder.count(WITHOUT_EVENTS)
        self.leave_out(job_id)

    def _count_refused(self) -> None:
        with self._starting:
            refused = self._refused
            if refused > self._refused_and_counted:
                recorder.count(WITHOUT_EVENTS, refused - self._refused_and_counted)
                self._refused_and_counted = refused

    def _start_sender(self) -> None:
        with self._starting:
            if self._sender is None or not self._sender.is_alive():
                self._ending.clear()
                self._sender = Thread(target=self._run, name="event-sender", daemon=True)
                self._sender.start()

    def _run(self) -> None:
        while not self._ending.wait(TICK_SECONDS):
            try:
                self.flush(errors=False)
            except Exception:
                _logger.exception("events could not be sent")

    def _send_batch(self) -> bool:
        """Send some of what was collected; False: it could not be, and is dropped."""
        batch: list[dict[str, Any]] = []
        while self._waiting and len(batch) < BATCH:
            batch.append(rules().value(self._waiting.popleft()))
        with self.mutex:
            if self._closed:
                self._waiting.extendleft(reversed(batch))
                return False
            kept = len(self._outbound_buffer)
            self._publish(batch, self.producer, f"{JOBS}.multi")
            if len(self._outbound_buffer) > kept:
                # What waits there is single events of the worker's, and few.
                self._outbound_buffer.pop()
                recorder.count(WITHOUT_EVENTS, len({event.get("uuid") for event in batch}))
                return False
            return True


class Events(CeleryEvents):
    """What `app.events` is."""

    dispatcher_cls = "tasks.events:EventDispatcher"
