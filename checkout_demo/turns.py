"""Writers of one process take turns at an SQLite file, instead of all knocking at its lock.

SQLite's own waiting is a sleep that grows to 100 ms between two looks, and nobody stands in a
queue: among many threads, some look at the wrong moments until their time is up. Here one thread
of a process asks SQLite, and the others wait for that one.

A turn begins with the first statement of a transaction that writes, and ends when its connection
goes back to the pool.
"""

import os
import re
import sqlite3
from contextlib import suppress
from threading import Lock
from time import monotonic
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

_WRITES = re.compile(r"\s*(BEGIN IMMEDIATE|INSERT|UPDATE|DELETE|REPLACE|WITH)\b", re.IGNORECASE)
"""How a statement begins that takes SQLite's write lock; one `WITH` that does not takes it too."""

_TURN = "writers_turn"
"""Where a connection notes that it has its turn."""


def take_turns(engine: Engine, seconds: float) -> None:
    """Have the engine's transactions that write wait for each other, and then for SQLite.

    Both together wait for about so many seconds; then they raise the same `OperationalError`.
    """
    turns = _Turns(seconds)
    event.listen(engine, "before_cursor_execute", turns.begin)
    event.listen(engine, "checkin", turns.end)


class _Turns:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._turn = Lock()
        self._pid = os.getpid()

    def begin(
        self,
        connection: Connection,
        cursor: DBAPICursor,
        statement: str,
        parameters: Any,  # noqa: ANN401 (the driver's)
        _context: object,
        _many: bool,
    ) -> None:
        """Wait for a turn, if the transaction has none and its statement needs one."""
        if _TURN in connection.info or not _WRITES.match(statement):
            return
        if self._pid != os.getpid():
            # A thread that is not in this process may have had its turn.
            self._turn, self._pid = Lock(), os.getpid()
        began = monotonic()
        # Noted first: whatever interrupts the wait, a turn is never kept. One that is given back
        # without having been had lets two ask SQLite at once, which does no harm.
        connection.info[_TURN] = True
        if not self._turn.acquire(timeout=self._seconds):
            del connection.info[_TURN]
            locked = sqlite3.OperationalError("database is locked by a writer of this process")
            raise OperationalError(statement, parameters, locked)
        left = self._seconds - (monotonic() - began)
        cursor.execute(f"PRAGMA busy_timeout = {max(1, round(left * 1000))}")

    def end(self, _connection: object, entry: ConnectionPoolEntry) -> None:
        """Let the next one have its turn."""
        if entry.info.pop(_TURN, False):
            with suppress(RuntimeError):
                self._turn.release()
