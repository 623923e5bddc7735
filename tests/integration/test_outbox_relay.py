"""The relay: what was missed is published, what the broker has lost is published again."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, update
from sqlalchemy.orm import Session

from tasks import failures, outbox, scheduler
from tasks.celery import app
from tasks.outbox import locks, operating, rows
from tasks.outbox.publisher import publisher
from tasks.outbox.relay import SUSPECT_EVERY, Relay
from tasks.outbox.table import OutboxRow
from tasks.scheduler import backend
from tasks.states import JobState
from tests.integration.outbox_fixtures import engine, postgres, queued, url
from tests.support.failed import fail, store
from tests.support.valkey import Valkey

__all__ = ["engine", "postgres", "url"]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def relay(engine: Engine, clock: Clock) -> Relay:
    return Relay(app, engine, clock)


@pytest.fixture(autouse=True)
def clean(engine: Engine) -> Iterator[None]:
    yield
    with engine.begin() as connection:
        connection.execute(OutboxRow.__table__.delete())  # type: ignore[attr-defined] # a table


@pytest.fixture
def queue() -> str:
    return f"relay-{uuid4()}"


def insert(
    engine: Engine, queue: str, number: int = 1, *, due: bool = True, **more: object
) -> list[str]:
    """Insert rows that nobody has published; return their ids."""
    new = [outbox.new_row("outbox.book", queue=queue, **more) for _ in range(number)]  # type: ignore[arg-type] # options
    with engine.begin() as connection:
        connection.execute(OutboxRow.__table__.insert(), new)  # type: ignore[attr-defined] # a table
    ids = [row["id"] for row in new]
    if due:
        make_due(engine, ids)
    return ids


def make_due(engine: Engine, ids: list[str]) -> None:
    with engine.begin() as connection:
        connection.execute(update(OutboxRow).where(OutboxRow.id.in_(ids)).values(due_at=LONG_AGO))


def row(job_id: str) -> OutboxRow:
    found = operating.find(job_id)
    assert found is not None
    return found


def test_a_row_that_was_missed_is_published_once(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    ids = insert(engine, queue, 3)
    assert operating.stats().unpublished == 3
    assert operating.stats().lag >= 0
    relay.tick()
    relay.tick()
    assert sorted(queued(valkey, queue)) == sorted(ids)
    assert scheduler.status(ids[0]).state is JobState.WAITING
    assert operating.stats().unpublished == 0


def test_a_fresh_row_is_left_to_the_process_that_made_it(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    (job_id,) = insert(engine, queue, due=False)
    relay.tick()
    assert queued(valkey, queue) == []
    made = row(job_id)
    assert made.due_at - made.created_at <= timedelta(seconds=1)


def test_many_relays_publish_each_row_once(engine: Engine, valkey: Valkey, queue: str) -> None:
    ids = insert(engine, queue, 1_200)
    relays = [Relay(app, engine) for _ in range(4)]

    def work(one: Relay) -> None:
        while one.tick() or rows.counts(engine).unpublished:
            continue

    threads = [threading.Thread(target=work, args=(one,)) for one in relays]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(queued(valkey, queue)) == sorted(ids)


@pytest.mark.parametrize("loss", ["flush", "list"])
def test_what_the_broker_has_lost_is_published_again_with_the_same_id(
    loss: str, engine: Engine, relay: Relay, clock: Clock, valkey: Valkey, queue: str
) -> None:
    ids = insert(engine, queue, 5)
    relay.tick()
    clock.now += SUSPECT_EVERY
    relay.tick()
    assert len(queued(valkey, queue)) == 5
    if loss == "flush":
        valkey.client.flushall()
    else:
        valkey.client.delete(queue)
        make_due(engine, ids)  # a minute later
    clock.now += SUSPECT_EVERY
    relay.tick()
    assert sorted(queued(valkey, queue)) == sorted(ids)
    assert {row(job_id).run for job_id in ids} == {1}
    clock.now += SUSPECT_EVERY
    relay.tick()
    assert len(queued(valkey, queue)) == 5


def test_what_is_queued_held_or_put_aside_is_not_published_again(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    ids = insert(engine, queue, 3)
    relay.tick()
    held, aside, waiting = queued(valkey, queue)
    with app.connection_for_read() as connection:
        channel = connection.channel()
        first = channel.basic_get(queue)
        second = channel.basic_get(queue)
        assert (first.headers["id"], second.headers["id"]) == (held, aside)
        channel.delay(second.delivery_tag, datetime.now(UTC).timestamp() + 3_600)
        make_due(engine, ids)
        relay.tick()
        assert queued(valkey, queue) == [waiting]
        assert {row(job_id).run for job_id in ids} == {0}
        first.ack()
    valkey.client.delete("delayed", "delayed.messages")


def test_a_job_that_runs_is_not_published_again_whatever_the_broker_has_lost(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    (job_id,) = insert(engine, queue)
    relay.tick()
    valkey.client.delete(queue)
    make_due(engine, [job_id])
    with locks.lock(engine, job_id) as bind:
        assert bind is not None
        relay.tick()
        assert queued(valkey, queue) == []
    make_due(engine, [job_id])
    relay.tick()
    assert queued(valkey, queue) == [job_id]


def test_how_a_job_has_ended_is_noted_where_its_worker_could_not(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    complete, failed, cancelled, discarded = ids = insert(engine, queue, 4)
    relay.tick()
    valkey.client.delete(queue)
    backend().store_result(complete, {"n": 1}, "SUCCESS")
    fail("outbox.book", job_id=failed, queue=queue)
    scheduler.cancel(cancelled)
    backend().store_result(discarded, ValueError("gone"), "FAILURE")
    make_due(engine, ids)
    relay.tick()
    assert [row(job_id).outcome for job_id in ids] == ["complete", "failed", "cancelled", "failed"]
    assert row(complete).result == '{"n": 1}'
    assert "ValueError" in str(row(failed).error)
    assert row(discarded).error == "ValueError: gone"
    assert queued(valkey, queue) == []
    failures.discard(failed)
    assert not store().get_many([failed])


def test_a_job_for_later_is_not_looked_for_before_its_time(
    engine: Engine, relay: Relay, queue: str
) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    (job_id,) = insert(engine, queue, run_at=later)
    relay.tick()
    assert row(job_id).due_at == later


def test_an_operator_can_run_any_row_anew(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    (job_id,) = insert(engine, queue)
    relay.tick()
    with engine.begin() as connection:
        rows.finish(connection, job_id, rows.COMPLETE, "1", None)
    valkey.client.delete(queue)
    operating.publish_again(job_id)
    assert queued(valkey, queue) == [job_id]
    assert (row(job_id).outcome, row(job_id).run) == (None, 1)


def test_old_rows_are_pruned_in_small_steps_and_failed_ones_are_kept_longer(
    engine: Engine, relay: Relay, queue: str
) -> None:
    complete, failed, fresh, waiting = insert(engine, queue, 4, due=False)
    old = datetime.now(UTC) - timedelta(days=10)
    with engine.begin() as connection:
        for job_id, outcome in ((complete, "complete"), (failed, "failed"), (fresh, "complete")):
            rows.finish(connection, job_id, outcome, None, None)
        connection.execute(
            update(OutboxRow).where(OutboxRow.id.in_([complete, failed])).values(finished_at=old)
        )
    relay.tick()
    assert operating.find(complete) is None
    assert all(operating.find(job_id) for job_id in (failed, fresh, waiting))
    assert rows.prune(engine, timedelta(0), timedelta(0), most=1) == 1
    assert operating.prune(timedelta(0)) == 1
    assert [one.id for one in operating.unfinished()] == [waiting]


def test_a_row_that_cannot_be_published_keeps_no_other_back(
    engine: Engine, relay: Relay, valkey: Valkey, queue: str
) -> None:
    good = insert(engine, queue, 2)
    (bad,) = insert(engine, queue)
    with engine.begin() as connection:
        connection.execute(update(OutboxRow).where(OutboxRow.id == bad).values(data="no JSON"))
    relay.tick()
    assert sorted(queued(valkey, queue)) == sorted(good)
    assert row(bad).published_at is None


def test_what_is_in_the_outbox_can_be_counted_and_paged(engine: Engine, queue: str) -> None:
    ids = sorted(insert(engine, queue, 3))
    first = operating.unfinished(limit=2)
    assert [one.id for one in first] == ids[:2]
    assert [one.id for one in operating.unfinished(after=first[-1].id)] == ids[2:]
    with Session(engine) as session, session.begin():
        rows.finish(session.connection(), ids[0], rows.FAILED, None, "x")
    assert [one.id for one in operating.failed()] == ids[:1]
    stats = operating.stats()
    assert (stats.unpublished, stats.unfinished, stats.failed) == (2, 2, 1)
    assert publisher.flush(1)
