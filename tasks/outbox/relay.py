"""The relay: publishes what its process could not, and finds what the broker has lost.

Any number may run at once, on any machine: each takes rows that no other one has in its hands. What
one of them does twice does no harm, because a job's row decides whether it runs (`once.py`).

    publish     rows that are not published a second after their commit
    reconcile   rows that were published and are not finished in time, or all of them once the
                broker may have forgotten something: who is in no queue, with no worker and in no
                final state is published again, with the same id
    prune       rows that finished long ago
"""

import logging
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from time import monotonic

import redis
from kombu.exceptions import OperationalError
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import framework_settings
from tasks.app import App
from tasks.broker.access import server_of
from tasks.broker.memory import Memory, memory_of
from tasks.errors import Unreachable
from tasks.outbox import rows
from tasks.outbox.publishing import publish
from tasks.outbox.reconcile import reconcile

EVERY = 0.5
"""Seconds between two looks. With the second that a process has for publishing its own, a row that
was missed is published within two."""

BATCH = 500
"""Rows that are taken at once."""

LEASE = timedelta(seconds=5)
"""How long a row stays with a relay that took it: it takes milliseconds, or the relay is dead."""

SUSPECT_EVERY = 3.0
"""Seconds between two looks at everything while a server evicts more and more, and to the second
look after a loss: what was published just before it may have been noted as published just after."""

SUSPECTS = 10_000
"""Rows that are looked for at once: the broker's queues are gone through once for all of them."""

PRUNE_EVERY = 60.0

_AWAY = (redis.RedisError, OperationalError, Unreachable, SQLAlchemyError, OSError)

_logger = logging.getLogger("tasks.outbox")


class Relay:
    """One relay. `run` is its life, `tick` is one look."""

    def __init__(self, app: App, engine: Engine, clock: Callable[[], float] = monotonic) -> None:
        self._app = app
        self._engine = engine
        self._clock = clock
        self._memory: Memory | None = None
        self._looks_left = 0
        self._suspected_at = float("-inf")
        self._pruned_at = float("-inf")
        self._is_away = False

    def run(self, stop: Event) -> None:
        """Look again and again until told to stop."""
        while not stop.is_set():
            busy = False
            try:
                busy = self.tick()
                self._say(away=None)
            except _AWAY as error:
                self._say(away=error)
            except Exception:
                _logger.exception("the relay met an error, and goes on")
            stop.wait(0 if busy else EVERY)

    def tick(self) -> bool:
        """Look once; tell whether there is likely more to do at once.

        Raises:
            Unreachable: and others of `_AWAY`, when the broker or the database did not answer.

        """
        self._watch_memory()
        published = self._publish()
        looked = self._reconcile()
        self._prune()
        return published >= BATCH or looked >= SUSPECTS

    def _watch_memory(self) -> None:
        """Ask first of all, so that no row is taken while the broker is away."""
        memory = memory_of(server_of(self._app))
        if memory != self._memory:
            # A relay that has just started does not know what happened before.
            self._looks_left = 2
        if not self._looks_left or self._clock() - self._suspected_at < SUSPECT_EVERY:
            return
        suspects = rows.suspect_all(self._engine)
        if suspects:
            _logger.warning("the broker may have lost jobs; looking for %d of them", suspects)
        self._memory, self._suspected_at = memory, self._clock()
        self._looks_left -= 1

    def _publish(self) -> int:
        due = rows.lease_due(self._engine, BATCH, LEASE, published=False)
        if not due:
            return 0
        try:
            published = publish(self._app, due)
        except Unreachable:
            rows.look_again(self._engine, [row.id for row in due], timedelta(0))
            raise
        rows.mark_published(self._engine, published)
        _logger.info("published %d jobs that were waiting in the outbox", len(published))
        return len(due)

    def _reconcile(self) -> int:
        due = rows.lease_due(self._engine, SUSPECTS, LEASE, published=True)
        if due:
            reconcile(self._app, self._engine, due)
        return len(due)

    def _prune(self) -> None:
        if self._clock() - self._pruned_at < PRUNE_EVERY:
            return
        settings = framework_settings()
        keep = timedelta(seconds=settings.outbox_keep)
        keep_failed = max(keep, timedelta(seconds=settings.failed_jobs_max_age))
        while rows.prune(self._engine, keep, keep_failed):
            continue
        self._pruned_at = self._clock()

    def _say(self, away: Exception | None) -> None:
        """Say once that something is away, and once that it is back."""
        if away is not None and not self._is_away:
            _logger.warning("the relay waits for the broker and the database: %s", away)
        elif away is None and self._is_away:
            _logger.warning("the broker and the database are back; the relay goes on")
        self._is_away = away is not None
