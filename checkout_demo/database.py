"""The store's database: SQLite by default, PostgreSQL by `DATABASE_URL`.

    with database.reading() as session: ...    one consistent view; nothing is stored
    with database.writing() as session: ...    one transaction; committed unless the block raises

SQLite lets one writer in at a time. A transaction that reads first and writes later can find the
door shut in between, and then fails at once, whatever the timeout. So `writing` asks for the lock
when it begins (BEGIN IMMEDIATE), where waiting works: writers queue, and readers are not disturbed.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import Session, sessionmaker

from checkout_demo.settings import store_settings
from checkout_demo.turns import take_turns
from tasks import outbox

BUSY_SECONDS = 5.0
"""How long a writer waits for another one. A transaction here takes some milliseconds."""

WEB_BUSY_SECONDS = 0.7
"""The same where somebody waits for an answer: a checkout is told within a second."""

_BEGIN = "sqlite_begin"

# The web server runs 40 threads, beside them one publishes jobs; a worker runs 20, and each of its
# jobs holds one connection for its claim and needs another. None should wait for another one's.
_POOL: Mapping[str, int] = {"pool_size": 10, "max_overflow": 40}

_ON_CONNECT = (
    "PRAGMA journal_mode = WAL",
    # An order that was answered survives a power cut; NORMAL may lose the last few.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class Database:
    """One database: its engine, and the two kinds of transaction.

    `busy_seconds` is how long a writer waits for another one.
    """

    def __init__(self, url: str, *, busy_seconds: float = BUSY_SECONDS) -> None:
        self.engine = make_engine(url, busy_seconds)
        self._reading = sessionmaker(self.engine, expire_on_commit=False)
        self._writing = sessionmaker(self.for_writing(), expire_on_commit=False)

    def for_writing(self) -> Engine:
        """Return the same engine, whose transactions ask for SQLite's write lock as they begin."""
        return self.engine.execution_options(**{_BEGIN: "IMMEDIATE"})

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session that stores nothing. What it loaded stays usable afterwards."""
        with self._reading() as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Open a session whose work is committed when the block ends, or not at all."""
        with self._writing.begin() as session:
            yield session

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@cache
def store_database() -> Database:
    """Return this process's database, as `DATABASE_URL` names it."""
    return Database(store_settings().database)


def hold_outbox(database: Callable[[], Database]) -> None:
    """Have this process's outbox in this database, which is made when it is first needed."""
    outbox.use(lambda: database().engine)


def make_engine(url: str, busy_seconds: float) -> Engine:
    """Make an engine that behaves alike on both databases."""
    parsed = make_url(url)
    milliseconds = int(busy_seconds * 1000)
    pool: dict[str, Any] = {**_POOL, "pool_timeout": busy_seconds}
    if parsed.get_backend_name() != "sqlite":
        # A database that is away shall not hold a request up; psycopg counts from two seconds.
        connect = {"connect_timeout": 2, "options": f"-c lock_timeout={milliseconds}"}
        return create_engine(parsed, **pool, pool_pre_ping=True, connect_args=connect)
    _make_directory(parsed)
    engine = create_engine(parsed, **pool)
    event.listen(engine, "connect", lambda made, _: _on_connect(made, milliseconds))
    event.listen(engine, "begin", _begin)
    take_turns(engine, busy_seconds)
    return engine


def _make_directory(url: URL) -> None:
    if url.database and url.database != ":memory:":
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)


def _on_connect(connection: DBAPIConnection, busy_milliseconds: int) -> None:
    # The driver would begin transactions by itself, late and without a lock; `_begin` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (*_ON_CONNECT, f"PRAGMA busy_timeout = {busy_milliseconds}"):
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN, "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
