"""The thread that publishes what this process has committed, right after the commit.

The commit's caller waits for nothing: not for the broker, nor for the note in the database that a
job is published. What comes while the thread is busy is published together. When the broker is
away, or this process dies, a relay does the same a little later.
"""

import atexit
import logging
import os
from collections.abc import Sequence
from threading import Condition, Thread
from time import monotonic

from sqlalchemy.exc import SQLAlchemyError

from tasks.celery import app
from tasks.errors import Unreachable
from tasks.outbox import database, rows
from tasks.outbox.publishing import publish
from tasks.outbox.rows import Outgoing

_logger = logging.getLogger("tasks.outbox")

MOST_AT_ONCE = 500
"""Rows that are published in one go."""

MOST_WAITING = 10_000
"""Rows that wait for the thread, at most; more than these are left to a relay."""

EXIT_SECONDS = 2.0
"""How long the end of the process waits for what is left."""

PAUSE_SECONDS = 1.0
"""How long nothing is tried after the broker was found away. Relays go on asking for it."""


class Publisher:
    """One thread of one process, started when there is something to do."""

    def __init__(self) -> None:
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._waiting: list[Outgoing] = []
        self._is_busy = False
        self._thread: Thread | None = None
        self._changed = Condition()
        self._away_until = 0.0

    def publish(self, committed: Sequence[Outgoing]) -> None:
        """Publish these rows soon. Returns at once."""
        if not committed:
            return
        with self._changed:
            room = MOST_WAITING - len(self._waiting)
            if room <= 0 or monotonic() < self._away_until:
                return
            self._waiting += committed[:room]
            self._changed.notify_all()
            if self._thread is None:
                self._thread = Thread(target=self._run, name="outbox-publisher", daemon=True)
                self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing is left to publish; False: the time was over before."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._is_busy, seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                part, self._waiting = (
                    self._waiting[:MOST_AT_ONCE],
                    self._waiting[MOST_AT_ONCE:],
                )
                self._is_busy = True
            self._publish(part)

    def _publish(self, part: Sequence[Outgoing]) -> None:
        try:
            published = publish(app, part)
            if database.is_used():
                rows.mark_published(database.engine(), published)
        except Unreachable as error:
            with self._changed:
                self._away_until = monotonic() + PAUSE_SECONDS
                left, self._waiting = len(part) + len(self._waiting), []
            _logger.warning("a relay will publish %d jobs when the broker is back: %s", left, error)
        except SQLAlchemyError as error:
            # They are published; a relay that does not know will do it again, which does no harm.
            _logger.warning("could not note that %d jobs are published: %s", len(part), error)
        except Exception:
            _logger.exception("could not publish %d jobs; a relay will try", len(part))


publisher = Publisher()
atexit.register(lambda: publisher.flush(EXIT_SECONDS))
# Of the parent's thread there is nothing in a child, and what waits there is the parent's to do.
os.register_at_fork(after_in_child=publisher._begin_anew)  # noqa: SLF001 (its own module)
