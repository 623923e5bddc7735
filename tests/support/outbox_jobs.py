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


def make_engine(url: str) -> Engine:
    """Make an engine; SQLite's writes from several processes wait for each other."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _on_connect)
        event.listen(
            engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )
    return engine


def _on_connect(connection: DBAPIConnection, _: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA busy_timeout = 20000")
    cursor.close()


if "OUTBOX_TEST_URL" in os.environ:
    outbox.use(lambda: make_engine(os.environ["OUTBOX_TEST_URL"]))


@app.task(name="outbox.book", base=Job, bind=True)
def book(self: Job, note: str = "") -> dict[str, str]:
    """Store a booking, in one commit with the row's end."""
    result = {"note": note}
    with outbox.finishing(self, result) as session:
        session.add(Booking(job_id=self.job_id))
    return result


@app.task(name="outbox.append", base=Job, bind=True, autoretry_for=(MayPass,), retry_backoff_max=0)
def append(self: Job, file: str, seconds: float = 0, failures: int = 0) -> int:
    """Write down that it begins and ends; ask for other attempts at first."""
    path = Path(file)
    _append(path, f"begin {self.job_id} {os.getpid()}")
    time.sleep(seconds)
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
