"""The database that holds the outbox, as this process knows it.

    from tasks import outbox

    outbox.use(lambda: create_engine(...))

Called where workers, relays and web processes come by, such as the module of your tasks. The
engine is made when it is first needed, once in each process: connections do not survive a fork.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from sqlalchemy import Engine

from tasks import scheduler
from tasks.errors import NoOutbox

SUPPORTED = ("postgresql", "sqlite")


@dataclass
class _Used:
    make: Callable[[], Engine] | None = None
    engine: Engine | None = None
    pid: int = 0


_used = _Used()
_lock = Lock()


def use(make: Callable[[], Engine]) -> None:
    """Say how to make the engine of the database that holds the outbox.

    The engine may be one that the application uses as well. With SQLite, set a `busy_timeout`, so
    that writers wait for each other.
    """
    from tasks.outbox.operating import status_of_row  # noqa: PLC0415 (it imports this module)

    with _lock:
        _used.make, _used.engine = make, None
    if status_of_row not in scheduler.elsewhere:
        scheduler.elsewhere.append(status_of_row)


def is_used() -> bool:
    """Tell whether this process knows the outbox's database."""
    return _used.make is not None


def engine() -> Engine:
    """Return this process's engine.

    Raises:
        NoOutbox: when nobody has said which, or it is neither PostgreSQL nor SQLite.

    """
    with _lock:
        if _used.engine is None or _used.pid != os.getpid():
            _used.engine, _used.pid = _make(), os.getpid()
        return _used.engine


def _make() -> Engine:
    if _used.make is None:
        raise NoOutbox("no database is known; call tasks.outbox.use(make_engine) at import")
    made = _used.make()
    if made.dialect.name not in SUPPORTED:
        raise NoOutbox(f"the outbox needs PostgreSQL or SQLite, not {made.dialect.name}")
    return made


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 (a thread that is not in this process may hold it)
    _lock = Lock()
    if _used.engine is not None:
        # Its connections are the parent's; to close them would end the parent's sessions.
        _used.engine.dispose(close=False)


os.register_at_fork(after_in_child=_after_fork)
