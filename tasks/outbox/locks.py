"""While the body of a job of the outbox runs, nobody else runs it.

A lease would not do: a process that was frozen past its lease would wake up beside the one that
took its place. So the lock hangs on something that ends with its holder and not before:

- with PostgreSQL, on the session of the database connection (an advisory lock). It is free when the
  connection ends, which is at once when the process dies, and within `_KEEPALIVE` when its machine
  does. A pooler between them must not share sessions among clients (pgbouncer's transaction mode).
- with SQLite, on the process: a lock on one byte of a file beside the database, which the kernel
  takes back from the dead. All users of an SQLite file are on its machine, as SQLite itself asks.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock

from sqlalchemy import Connection, Engine, text

_KEEPALIVE = (
    "SET tcp_keepalives_idle = 5",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 3",
)
"""Have the server notice within 11 seconds that a client's machine is gone; by default, two hours
(https://www.postgresql.org/docs/current/runtime-config-connection.html)."""


_HELD = """
SELECT classid::bigint, objid::bigint FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
"""A key of 64 bits is shown in two halves, with an objsubid of 1
(https://www.postgresql.org/docs/current/view-pg-locks.html)."""


@contextmanager
def lock(engine: Engine, job_id: str) -> Iterator[Engine | Connection | None]:
    """Hold the job's lock, and yield what its transactions are bound to; None if it is taken.

    With PostgreSQL that is the very connection whose lock it is: a transaction on it that is
    committed proves that the lock was held until then.
    """
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            yield from _lock_postgresql(connection, _number(job_id))
    else:
        yield from _lock_file(engine, _number(job_id))


def running(engine: Engine, job_ids: Iterable[str]) -> set[str]:
    """Return those of the jobs that somebody runs at the moment."""
    if engine.dialect.name == "postgresql":
        with engine.connect() as connection:
            held = {high << 32 | low for high, low in connection.execute(text(_HELD))}
        return {job_id for job_id in job_ids if _number(job_id) in held}
    return {job_id for job_id in job_ids if _is_taken(_file_of(engine), job_id)}


def _is_taken(file: "_LockFile", job_id: str) -> bool:
    number = _number(job_id)
    if not file.take(number):
        return True
    file.give(number)
    return False


def _number(job_id: str) -> int:
    """Return 62 bits of the id's hash: what PostgreSQL takes for a key, and a file for a place."""
    return int.from_bytes(sha256(job_id.encode()).digest()[:8]) >> 2


def _lock_postgresql(connection: Connection, number: int) -> Iterator[Connection | None]:
    if connection.info.setdefault("expresslane_keepalive", False) is False:
        for statement in _KEEPALIVE:
            connection.execute(text(statement))
        connection.info["expresslane_keepalive"] = True
    taken = connection.scalar(text("SELECT pg_try_advisory_lock(:number)"), {"number": number})
    connection.commit()
    if not taken:
        yield None
        return
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    finally:
        # A connection that is broken has lost the lock already, and goes back to no pool.
        if not connection.invalidated and not connection.closed:
            connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": number})
            connection.commit()


def _lock_file(engine: Engine, number: int) -> Iterator[Engine | None]:
    file = _file_of(engine)
    if not file.take(number):
        yield None
        return
    try:
        yield engine
    finally:
        file.give(number)


class _LockFile:
    """The locks of this process in one file. Between its threads, a set of numbers decides."""

    def __init__(self, path: str | None) -> None:
        # Never closed: POSIX drops all of a process's locks on a file with any of its descriptors.
        self._descriptor = None if path is None else os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._taken: set[int] = set()
        self._lock = Lock()

    def take(self, number: int) -> bool:
        with self._lock:
            if number in self._taken:
                return False
            if self._descriptor is not None:
                try:
                    fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, number)
                except (BlockingIOError, PermissionError):
                    return False
            self._taken.add(number)
            return True

    def give(self, number: int) -> None:
        with self._lock:
            if self._descriptor is not None:
                fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, number)
            self._taken.discard(number)


_IN_MEMORY = ("", ":memory:")
"""What SQLite calls a database that no other process can see."""

_files: dict[tuple[int, str | None], _LockFile] = {}
_files_lock = Lock()


def _file_of(engine: Engine) -> _LockFile:
    database = engine.url.database
    path = (
        None
        if database is None or database in _IN_MEMORY
        else f"{Path(database).absolute()}-running"
    )
    with _files_lock:
        key = (os.getpid(), path)
        if key not in _files:
            _files[key] = _LockFile(path)
        return _files[key]


def _after_fork() -> None:
    global _files_lock  # noqa: PLW0603 (a thread that is not in this process may hold it)
    _files_lock = Lock()


os.register_at_fork(after_in_child=_after_fork)
