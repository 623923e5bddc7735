"""A job of the outbox runs once at a time, and its row ends with the body's own commit."""

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tasks import failures, outbox, scheduler
from tasks.broker.bulk import publish_many
from tasks.celery import app
from tasks.outbox import database, locks, operating
from tasks.outbox.publishing import job_of
from tasks.outbox.rows import Outgoing
from tasks.outbox.table import OutboxRow
from tasks.scheduler import backend
from tasks.states import JobState
from tests.integration.outbox_fixtures import engine, postgres, url
from tests.support.outbox_jobs import Booking
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

StartWorker = Callable[..., Program]


__all__ = ["engine", "postgres", "url"]

SHARED = "outbox-once"
"""The queue of the worker that most tests share."""


@pytest.fixture(scope="module")
def start(
    valkey: Valkey, engine: Engine, url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartWorker]:
    """Return what starts a worker on a queue; it ends with the module, if not before."""
    assert engine.dialect.name in url
    with ExitStack() as stack:

        def begin(queue: str, *, pool: str = "prefork", **env: str) -> Program:
            return stack.enter_context(
                start_worker(
                    tmp_path_factory.mktemp("worker") / f"{queue}.log",
                    broker_url=valkey.url,
                    queues=queue,
                    jobs="tests.support.outbox_jobs",
                    pool=pool,
                    env={"OUTBOX_TEST_URL": url, **env},
                )
            )

        yield begin


@pytest.fixture(scope="module")
def worker(start: StartWorker) -> Program:
    return start(SHARED)


@pytest.fixture
def queue() -> str:
    """A queue that nobody works on yet."""
    return f"once-{uuid4()}"


def enqueue(task: str, queue: str, **data: object) -> str:
    with Session(database.engine()) as session, session.begin():
        return outbox.schedule(session, task, data, queue=queue)  # type: ignore[arg-type] # JSON


def row_of(job_id: str) -> OutboxRow:
    found = operating.find(job_id)
    assert found is not None
    return found


def wait_for_outcome(job_id: str, outcome: str) -> OutboxRow:
    wait_for(lambda: row_of(job_id).outcome == outcome, f"{job_id} to be {outcome}")
    return row_of(job_id)


def deliver_again(job_id: str) -> None:
    """Publish the job's message once more, as a relay may."""
    row = row_of(job_id)
    names = Outgoing.__dataclass_fields__
    publish_many(app, [job_of(Outgoing(**{name: getattr(row, name) for name in names}))])


def bookings(job_id: str) -> int:
    with Session(database.engine()) as session:
        return len(session.scalars(select(Booking).where(Booking.job_id == job_id)).all())


def is_idle(valkey: Valkey, queue: str) -> bool:
    return not valkey.client.llen(queue) and not valkey.client.hlen("unacked")


def test_the_bodys_own_work_and_the_rows_end_are_one_commit_and_a_second_delivery_does_nothing(
    worker: Program, valkey: Valkey
) -> None:
    job_id = enqueue("outbox.book", SHARED, note="hello")
    row = wait_for_outcome(job_id, "complete")
    assert (row.attempts, row.result) == (1, '{"note": "hello"}')
    assert row.started_at is not None
    assert row.finished_at is not None
    assert row.started_at <= row.finished_at
    for _ in range(3):
        deliver_again(job_id)
    wait_for(lambda: is_idle(valkey, SHARED), "all deliveries", doing=worker.check_alive)
    assert bookings(job_id) == 1
    assert row_of(job_id).attempts == 1
    assert scheduler.status(job_id).data == {"note": "hello"}


def test_two_deliveries_never_run_at_the_same_time(
    start: StartWorker, valkey: Valkey, queue: str, tmp_path: Path
) -> None:
    # The lock is to hold between processes, and between the threads of one.
    workers = [start(queue, pool=pool) for pool in ("prefork", "threads")]
    book = tmp_path / "book"
    job_id = enqueue("outbox.append", queue, file=str(book), seconds=1.5)
    wait_for(book.exists, "the first run")
    for _ in range(3):
        deliver_again(job_id)
    wait_for_outcome(job_id, "complete")
    wait_for(lambda: is_idle(valkey, queue), "all deliveries to be done with")
    for worker in workers:
        worker.stop()
    lines = book.read_text().splitlines()
    assert [line.split()[0] for line in lines] == ["begin", "end"]


def test_what_a_frozen_worker_runs_nobody_else_runs_and_when_it_dies_another_does(
    start: StartWorker, queue: str, tmp_path: Path
) -> None:
    frozen = start(queue, LEASE="1")
    book = tmp_path / "book"
    job_id = enqueue("outbox.append", queue, file=str(book), seconds=1)
    wait_for(book.exists, "the first run")
    frozen.kill(signal.SIGSTOP)
    other = start(queue, LEASE="1")
    wait_for(lambda: "runs already" in other.output(), "the second delivery to be dropped")
    assert len(book.read_text().splitlines()) == 1
    assert locks.running(database.engine(), [job_id, "nobody"]) == {job_id}
    frozen.kill()
    frozen.process.wait()
    wait_for(lambda: not locks.running(database.engine(), [job_id]), "the lock to be free")
    deliver_again(job_id)
    wait_for_outcome(job_id, "complete")
    other.stop()
    assert len(book.read_text().splitlines()) == 3
    assert row_of(job_id).attempts == 2


def test_a_body_that_is_done_is_not_run_again_because_the_outbox_is_locked(
    start: StartWorker, queue: str, tmp_path: Path
) -> None:
    worker = start(queue, OUTBOX_TEST_LOCK="50")
    book, key = tmp_path / "book", tmp_path / "key"
    job_id = enqueue("outbox.append", queue, file=str(book), until=str(key))
    wait_for(book.exists, "the run")
    with database.engine().begin() as other:
        # On SQLite, the transaction itself shuts all others out.
        other.execute(select(OutboxRow.id).where(OutboxRow.id == job_id).with_for_update())
        key.touch()
        wait_for(
            lambda: f"{job_id} waits for the outbox" in worker.output(),
            "its end to be refused",
            doing=worker.check_alive,
        )
    assert wait_for_outcome(job_id, "complete").attempts == 1
    worker.stop()
    assert [line.split()[0] for line in book.read_text().splitlines()] == ["begin", "end"]


def test_attempts_and_the_last_error_stand_in_the_row(worker: Program, tmp_path: Path) -> None:
    worker.check_alive()
    job_id = enqueue("outbox.append", SHARED, file=str(tmp_path / "book"), failures=2)
    row = wait_for_outcome(job_id, "complete")
    assert (row.attempts, row.error, row.result) == (3, "not yet", "3")


def test_a_failed_row_is_with_the_failed_jobs_and_a_retry_there_continues_it(
    worker: Program, tmp_path: Path
) -> None:
    worker.check_alive()
    key = tmp_path / "key"
    job_id = enqueue("outbox.refuse", SHARED, unless=str(key))
    row = wait_for_outcome(job_id, "failed")
    assert row.error == "ValueError: refused"
    assert failures.show(job_id).error_type == "ValueError"
    key.touch()
    failures.retry(job_id)
    row = wait_for_outcome(job_id, "complete")
    assert (row.attempts, row.run, row.result) == (2, 1, f'"{job_id}"')
    wait_for(lambda: scheduler.status(job_id).state is JobState.COMPLETE, "its state")


def test_a_retry_opens_the_row_before_any_worker_has_it(
    start: StartWorker, queue: str, tmp_path: Path
) -> None:
    worker = start(queue)
    job_id = enqueue("outbox.refuse", queue, unless=str(tmp_path / "never"))
    wait_for_outcome(job_id, "failed")
    worker.stop()
    failures.retry(job_id)
    assert row_of(job_id).outcome is None
    failures_left = failures.count(failures.Filter(queue=queue))
    assert failures_left == 0


def test_a_cancelled_job_is_cancelled_in_its_row(start: StartWorker, queue: str) -> None:
    job_id = enqueue("outbox.book", queue)
    wait_for(lambda: scheduler.status(job_id).state is JobState.WAITING, "it to wait")
    wait_for(lambda: backend().record_of(job_id), "its mark")
    scheduler.cancel(job_id)
    worker = start(queue)
    wait_for_outcome(job_id, "cancelled")
    worker.stop()
    assert bookings(job_id) == 0


def test_a_job_without_its_row_is_not_run(worker: Program, tmp_path: Path) -> None:
    with Session(database.engine()) as session:
        row = outbox.new_row("outbox.append", {"file": str(tmp_path / "book")}, queue=SHARED)
        outbox.publish_now([row])
        session.rollback()
    wait_for(lambda: scheduler.status(row["id"]).state is JobState.CANCELLED, "it to be given up")
    assert not (tmp_path / "book").exists()
    worker.check_alive()


def test_the_state_is_waiting_before_it_is_published_and_complete_after_its_result_is_gone(
    worker: Program, valkey: Valkey
) -> None:
    row = outbox.new_row("outbox.book", {"note": "late"}, queue=SHARED)
    with database.engine().begin() as connection:
        connection.execute(OutboxRow.__table__.insert().values(**row))  # type: ignore[attr-defined] # a table
    assert scheduler.status(row["id"]).state is JobState.WAITING
    worker.check_alive()
    outbox.publish_now([row])
    wait_for_outcome(row["id"], "complete")
    wait_for(lambda: scheduler.status(row["id"]).state is JobState.COMPLETE, "its result")
    for name in ("celery-task-meta-", "expresslane-job-"):
        valkey.client.delete(f"{name}{row['id']}")
    status = scheduler.status(row["id"])
    assert (status.state, status.data) == (JobState.COMPLETE, {"note": "late"})
