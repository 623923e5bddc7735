"""What a worker counts, until it is sent."""

import json
import logging
import os
from collections.abc import Mapping
from threading import Lock
from uuid import uuid4

import redis

from tasks.broker.holdings import Holdings
from tasks.history import store
from tasks.history.runs import Runs
from tasks.history.tally import FIELDS, OTHER, RUN, WAIT, WORKERS, Counts, Series, add, observe

_logger = logging.getLogger("tasks.history")


class Recorder:
    """The counts of this process. Safe to use from several threads."""

    def __init__(self) -> None:
        self.is_on = True
        """Whether it counts at all. A benchmark switches it off, to know what it costs."""
        self.forget()

    def forget(self) -> None:
        """Begin anew, with locks that nobody holds."""
        self._lock = Lock()
        self._flushing = Lock()
        self._counted: dict[Series, Counts] = {}
        self._runs: dict[tuple[str, str], Runs] = {}
        self._unsent: dict[Series, Counts] = {}
        self._flushes = 0
        self._name = uuid4().hex
        self._holdings: Holdings | None = None
        self._prefix = ""

    def attach(self, holdings: Holdings, prefix: str) -> None:
        """Say where `flush` sends to."""
        self._holdings, self._prefix = holdings, prefix

    def claimed(self, task: str, queue: str, deaths: int) -> None:
        """Count a job that was taken in order to run it."""
        if not self.is_on:
            return
        with self._lock:
            counts = self._of(Series(task, queue))
            _increase(counts, "k")
            if deaths:
                _increase(counts, "d")

    def ended(
        self, task: str, queue: str, outcome: str, wait: float | None, run: float | None
    ) -> None:
        """Count an attempt that came to an end.

        Args:
            task: its name.
            queue: its queue.
            outcome: `succeeded`, `failed`, `retried` or `cancelled`.
            wait: seconds from when it could have been run until it started; None if unknown.
            run: seconds from its start to its end; None if it was not started.

        """
        if not self.is_on:
            return
        with self._lock:
            counts = self._of(Series(task, queue))
            _increase(counts, FIELDS[outcome])
            if wait is not None:
                observe(counts, WAIT, max(wait, 0.0))
            if run is not None:
                observe(counts, RUN, max(run, 0.0))

    def taken(self, task: str, queue: str) -> None:
        """Count a job as `claimed` does, of those whose end `ran` is to tell."""
        if self.is_on:
            with self._lock:
                self._runs_of(task, queue).claimed += 1

    def ran(self, task: str, queue: str, wait: float | None, run: float) -> None:
        """Count a success as `ended` does."""
        if self.is_on:
            with self._lock:
                self._runs_of(task, queue).succeed(wait, run)

    def timed_out(self, task: str, queue: str) -> None:
        """Count a job that was killed at its time limit; `ended` is called for it as well."""
        with self._lock:
            _increase(self._of(Series(task, queue)), FIELDS["timed_out"])

    def count(self, what: str, number: int = 1) -> None:
        """Count something of the worker's own, such as `events_dropped`."""
        with self._lock:
            add(self._of(WORKERS), {what: number})

    def flush(self) -> None:
        """Send what was counted since the last time. It never raises: counting disturbs no work.

        What could not be sent goes with the next flush. A flush whose answer was lost is not
        counted twice.
        """
        if self._holdings is None:
            return
        with self._flushing:
            try:
                # What was sent before without an answer must be sent again as it was.
                if self._unsent:
                    self._send(self._unsent)
                with self._lock:
                    self._add_runs()
                    self._unsent, self._counted = self._counted, {}
                    self._flushes += 1
                if self._unsent:
                    self._send(self._unsent)
            except redis.RedisError as error:
                _logger.debug("history could not be sent, and is kept: %s", error)

    def _runs_of(self, task: str, queue: str) -> Runs:
        found = self._runs.get((task, queue))
        if found is None:
            found = self._runs[task, queue] = Runs()
        return found

    def _add_runs(self) -> None:
        for (task, queue), runs in self._runs.items():
            add(self._of(Series(task, queue)), runs.counts())
        self._runs = {}

    def _of(self, series: Series) -> Counts:
        found = self._counted.get(series)
        if found is None:
            if len(self._counted) >= store.MOST_SERIES and series != WORKERS:
                series = OTHER
            found = self._counted.setdefault(series, {})
        return found

    def _send(self, counted: Mapping[Series, Counts]) -> None:
        if self._holdings is None:
            return
        pairs = [part for series, counts in counted.items() for part in (_field(series), counts)]
        arguments = [part if isinstance(part, str) else json.dumps(part) for part in pairs]
        store.add(self._holdings.client, self._prefix, f"{self._name}-{self._flushes}", arguments)
        self._unsent = {}


def _increase(counts: Counts, name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def _field(series: Series) -> str:
    return store.SEPARATOR.join(part[: store.LONGEST_NAME] for part in series)


recorder = Recorder()
"""That of this process."""


# A process of the pool begins with a copy of what its parent has, and must not send it once more.
os.register_at_fork(after_in_child=recorder.forget)
