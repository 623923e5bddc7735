"""Jobs of an outbox, and the database that their workers use: `OUTBOX_TEST_URL`."""

import os
import time
from pathlib import Path

from sqlalchemy import Engine, String, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tasks import outbox
from tasks.celery import app
from tasks.job import Job


class Base(DeclarativeBase):
    """The tests' own tables."""


class Booking(Base):
    """What a body stores: which job did it, once."""

    __tablename__ = "booking"
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    job_id: Mapped[str] = mapped_column(String(255))


class MayPass(Exception):
    """An error that passes."""


def make_engine(url: str, lock_milliseconds: int = 20_000) -> Engine:
    """Make an engine whose writers wait so long for each other."""
    engine = create_engine(url)
    patience = _PATIENCE[engine.dialect.name].format(lock_milliseconds)
    event.listen(engine, "connect", lambda made, _: _on_connect(made, patience))
    if engine.dialect.name == "sqlite":
        event.listen(
            engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )
    return engine


_PATIENCE = {
    "sqlite": "PRAGMA busy_timeout = {}",
    "postgresql": "SET lock_timeout = {}",
}


def _on_connect(connection: DBAPIConnection, patience: str) -> None:
    cursor = connection.cursor()
    if "PRAGMA" in patience:
        connection.isolation_level = None
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute(patience)
    cursor.close()
    connection.commit()


if "OUTBOX_TEST_URL" in os.environ:
    _lock = int(os.environ.get("OUTBOX_TEST_LOCK", "20000"))
    outbox.use(lambda: make_engine(os.environ["OUTBOX_TEST_URL"], _lock))


@app.task(name="outbox.book", base=Job, bind=True)
def book(self: Job, note: str = "") -> dict[str, str]:
    """Store a booking, in one commit with the row's end."""
    result = {"note": note}
    with outbox.finishing(self, result) as session:
        session.add(Booking(job_id=self.job_id))
    return result


@app.task(name="outbox.append", base=Job, bind=True, autoretry_for=(MayPass,), retry_backoff_max=0)
def append(
    self: Job, file: str, seconds: float = 0, failures: int = 0, until: str | None = None
) -> int:
    """Write down that it begins and ends; ask for other attempts at first.

    It takes so many seconds, and goes on until a file is there.
    """
    path = Path(file)
    _append(path, f"begin {self.job_id} {os.getpid()}")
    time.sleep(seconds)
    while until and not Path(until).exists():
        time.sleep(0.01)
    _append(path, f"end {self.job_id} {os.getpid()}")
    if (self.request.retries or 0) < failures:
        raise MayPass("not yet")
    return int(self.request.retries or 0) + 1


@app.task(name="outbox.refuse", base=Job, bind=True)
def refuse(self: Job, unless: str) -> str:
    """Fail for good, unless a file is there."""
    if not Path(unless).exists():
        raise ValueError("refused")
    return self.job_id


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(f"{line}\n")
