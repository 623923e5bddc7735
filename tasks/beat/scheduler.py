"""What `celery beat` runs. Set by `beat_scheduler`."""

import logging
import os
import socket
from copy import copy
from datetime import datetime
from time import monotonic, time
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import redis
from celery.beat import ScheduleEntry, SchedulingError
from celery.beat import Scheduler as CeleryScheduler
from celery.utils.functional import maybe_evaluate
from kombu import Connection, Producer
from kombu.utils.objects import cached_property

from tasks.beat.recorder import Recorded, recording
from tasks.beat.store import ASKED, TICK, EntryStore, Run, State
from tasks.beat.words import in_words
from tasks.broker.access import AWAY, server_of

HEARD_EVERY = 5.0
"""Seconds between two signs of life."""

_logger = logging.getLogger("tasks.beat")


class Scheduler(CeleryScheduler):
    """Celery's scheduler, with its memory on the broker's server.

    Promised: a tick is sent once, also when several beats run. What was due while no beat ran, or
    while the broker was away, is sent once when that is over, however often it was due. What was
    due while an entry was paused is left out.

    Not promised: a tick of an entry whose job cannot be made, for it is left out and shown as an
    error; and that a tick comes more than a second early or late by the clock of the machine that
    beat runs on.
    """

    max_interval = 1
    """Seconds between two looks at what people have asked for."""

    _is_told = False
    _is_away = False
    _heard_at = -HEARD_EVERY

    def tick(self, *_: object, **__: object) -> float:
        """Send what is due, and return the seconds until there is something to do again."""
        try:
            wait = self._look()
        except AWAY as error:
            if not self._is_away:
                _logger.warning("the broker is away; what is due meanwhile waits for it: %s", error)
            self._is_away = True
            self._hang_up()
            return float(self.max_interval)
        if self._is_away:
            _logger.info("the broker is back")
        self._is_away = False
        return wait

    @property
    def info(self) -> str:
        """Where the schedule is kept, for the lines that beat prints when it starts."""
        return "    . memory -> the broker"

    @cached_property
    def connection(self) -> Connection:
        """Make a connection that sends nothing to queues."""
        return recording(self.app.connection_for_write())

    @cached_property
    def producer(self) -> Producer:
        """Make what Celery hands a job's message to."""
        return Producer(self.connection.default_channel, auto_declare=False)

    # -- looking -----------------------------------------------------------------------------------

    def _look(self) -> float:
        store = EntryStore(server_of(self.app))
        entries: dict[str, ScheduleEntry] = dict(self.schedule)
        if monotonic() - self._heard_at >= HEARD_EVERY:
            store.be_heard(f"{socket.gethostname()}:{os.getpid()}")
            self._heard_at = monotonic()
        states = store.states(tuple(entries)) if self._is_told else {}
        if any(name not in states or states[name].base is None for name in entries):
            # At the start, and when the server has forgotten everything.
            about = {name: self._about(entry) for name, entry in entries.items()}
            store.tell(about, str(self.app.main), time())
            states = store.states(tuple(entries))
        elif not self._is_told:
            store.tell({}, str(self.app.main), time())
        self._is_told = True
        waits = [self._attend(store, name, entry, states[name]) for name, entry in entries.items()]
        return max(min([*waits, float(self.max_interval)]), 0.0)

    def _attend(self, store: EntryStore, name: str, entry: ScheduleEntry, state: State) -> float:
        """Run one entry if it is due or asked for; return the seconds until it may be again."""
        idle = float(self.max_interval)
        if state.asked is not None:
            self._run(store, name, entry, ASKED, state.asked)
        if state.paused is not None or state.base is None:
            return idle
        is_due, wait = self._is_due(entry, float(state.base))
        if is_due:
            return 0.0 if self._run(store, name, entry, TICK, state.base) else idle
        if state.next is None and wait is not None:
            store.set_next(name, time() + wait)
        return idle if wait is None else wait

    def _is_due(self, entry: ScheduleEntry, base: float) -> tuple[bool, float | None]:
        """Tell whether an entry is due, and the seconds until it is the next time."""
        schedule: Any = entry.schedule
        try:
            is_due, wait = schedule.is_due(datetime.fromtimestamp(base, self.app.timezone))
        except Exception:
            _logger.exception("cannot tell when entry %s is due", entry.name)
            return False, None
        return bool(is_due), float(wait)

    # -- running -----------------------------------------------------------------------------------

    def _run(
        self, store: EntryStore, name: str, entry: ScheduleEntry, kind: str, expected: str
    ) -> bool:
        """Put the entry's job into its queue and write that down; False: try again later."""
        # The same for every beat, and for another try: so all of them mark the same job as waiting.
        job_id = str(uuid5(NAMESPACE_OID, f"expresslane {name} {kind} {expected}"))
        try:
            messages, error = self._messages_of(entry, job_id)
            now = time()
            _, wait = self._is_due(entry, now)
            upcoming = None if wait is None else now + wait
            is_first = store.tick(name, Run(kind, expected, now, job_id, upcoming, messages, error))
        except redis.ResponseError as refused:
            _logger.warning("entry %s waits, because the broker refuses its job: %s", name, refused)
            return False
        if not is_first:
            _logger.info("entry %s: another beat was faster, or it was paused", name)
        elif not error:
            _logger.info("entry %s: job %s of %s is in its queue", name, job_id, entry.task)
        return True

    def _messages_of(self, entry: ScheduleEntry, job_id: str) -> tuple[list[Recorded], str]:
        """Return the messages of an entry's job, or why there is none."""
        channel: Any = self.producer.channel
        channel.recorded.clear()
        once = copy(entry)
        once.options = {**(entry.options or {}), "task_id": job_id}
        try:
            self.apply_async(once, producer=self.producer, advance=False)
        except SchedulingError as error:
            cause = error.__context__ or error
            # kombu closes a channel over some errors.
            self._hang_up()
            if isinstance(cause, AWAY):
                raise _refusal(cause) or cause from error
            _logger.exception("the job of entry %s cannot be made; it is left out", entry.name)
            return [], f"{type(cause).__name__}: {cause}"[:500]
        return list(channel.recorded), ""

    def _about(self, entry: ScheduleEntry) -> dict[str, Any]:
        options = entry.options or {}
        return {
            "task": entry.task,
            "words": in_words(entry.schedule),
            "timezone": str(self.app.timezone),
            "queue": options.get("queue") or options.get("routing_key"),
            "args": list(maybe_evaluate(entry.args) or ()),
            "data": dict(entry.kwargs or {}),
        }

    def _hang_up(self) -> None:
        """Forget the connection, so that the next one is a new one."""
        self.__dict__.pop("producer", None)
        connection = self.__dict__.pop("connection", None)
        if connection is not None:
            connection.release()


def _refusal(error: BaseException) -> redis.ResponseError | None:
    """Return the server's own error, if it is one that answers; None if it is away."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, redis.ResponseError):
        cause = cause.__cause__
    return cause
