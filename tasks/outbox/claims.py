"""Who runs a job of the outbox: one process, for as long as its lock stands.

    with locked(job_id) as claim: ...    the claim, or None if somebody else has it

The end of a job is a commit that says so in its row. See `locks.py` for the lock.
"""

import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic, sleep

from kombu.utils.json import dumps
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from tasks.outbox import database, rows
from tasks.outbox.locks import lock

_logger = logging.getLogger("tasks.outbox")

_LOCK_SECONDS = 0.5
"""How long a delivery waits for the lock. An attempt that asks for another one at once still has it
when that one arrives, for some milliseconds."""

_LOCK_EVERY = 0.02

_AWAY = (OperationalError, InterfaceError)
"""What drivers raise for a database that is away, has cut the connection, or is locked."""

_END_SECONDS = 60.0
"""How long a body that is done waits until the database takes that down. To give up has it run
again, with whatever it did elsewhere; to wait costs one place in the pool."""

_END_EVERY = (0.02, 0.2)


class OutboxAway(Exception):
    """The outbox's database did not answer, or was locked for too long. It may pass."""


class LostClaim(Exception):
    """The job had ended elsewhere when this run came to its end; nothing of it was stored."""


@contextmanager
def raising_away() -> Iterator[None]:
    """Raise `OutboxAway` for what drivers raise, without the data of the statement."""
    try:
        yield
    except _AWAY as error:
        raise OutboxAway(str(error.orig)) from error.orig
    except PoolTimeout as error:
        # All of this process's connections are in use: each job holds one for as long as it runs.
        raise OutboxAway(str(error)) from error


@dataclass
class Claim:
    """A job that runs here, and nowhere else."""

    job_id: str
    bind: Engine | Connection
    is_finished: bool = False

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session whose transaction is committed when the block ends.

        Raises:
            OutboxAway: when the database did not carry it out.

        """
        with raising_away(), Session(self.bind) as session, session.begin():
            yield session

    @contextmanager
    def ending(self, result: object) -> Iterator[Session]:
        """Open a session whose commit, when the block ends, notes that the job is complete.

        Raises:
            OutboxAway: when the database did not carry it out, a lock having been waited for.
            LostClaim: when the job had ended elsewhere.

        """
        with raising_away(), Session(self.bind) as session:
            # First, because a transaction of SQLite's that begins with reading may find itself shut
            # out when it comes to write; and because until the block has begun, it can be repeated.
            self._wait_to_finish(session, result)
            yield session
            session.commit()
        self.is_finished = True

    def _wait_to_finish(self, session: Session, result: object) -> None:
        end = monotonic() + _END_SECONDS
        while True:
            try:
                self.finish(session, result)
            except _AWAY as error:
                # A claim that hung on a connection is lost with it, and somebody may run the job.
                if monotonic() > end or error.connection_invalidated or self._is_cut:
                    raise
                session.rollback()
                why = error.orig
                _logger.info("job %s waits for the outbox to note its end: %s", self.job_id, why)
                sleep(random.uniform(*_END_EVERY))  # noqa: S311 (no secret)
            else:
                return

    @property
    def _is_cut(self) -> bool:
        return isinstance(self.bind, Connection) and (self.bind.invalidated or self.bind.closed)

    def finish(self, session: Session, result: object) -> None:
        """Note in the session's transaction that the job is complete."""
        stored = None if result is None else dumps(result)
        if not rows.finish(session.connection(), self.job_id, rows.COMPLETE, stored, None):
            raise LostClaim(self.job_id)


@contextmanager
def locked(job_id: str) -> Iterator[Claim | None]:
    """Hold the job's lock; yield None if somebody else does, for longer than a moment."""
    end = monotonic() + _LOCK_SECONDS
    while True:
        with ExitStack() as stack:
            with raising_away():
                bind = stack.enter_context(lock(database.engine(), job_id))
            if bind is not None or monotonic() > end:
                yield None if bind is None else Claim(job_id, bind)
                return
        sleep(_LOCK_EVERY)
