"""Jobs exist if and when the caller's transaction commits, as SQLAlchemy's users expect."""

import asyncio
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from tasks import outbox
from tasks.errors import BadJob
from tasks.outbox.publisher import publisher
from tasks.outbox.table import OutboxRow
from tests.integration.outbox_fixtures import engine, postgres, queued, url
from tests.support import outbox_jobs
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

__all__ = ["engine", "postgres", "url"]


@pytest.fixture
def queue() -> str:
    return f"outbox-{uuid4()}"


def stored(engine: Engine, queue: str) -> set[str]:
    with Session(engine) as session:
        return set(session.scalars(select(OutboxRow.id).where(OutboxRow.queue == queue)))


def enqueue(session: outbox.AnySession, queue: str) -> str:
    return outbox.schedule(session, "outbox.book", {"note": "x"}, queue=queue)


def test_what_is_committed_is_published_at_once_and_noted(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    with Session(engine) as session, session.begin():
        ids = [enqueue(session, queue) for _ in range(3)]
        assert queued(valkey, queue) == []
    wait_for(lambda: queued(valkey, queue) == ids, "the jobs in their queue")
    assert publisher.flush(10)
    with Session(engine) as session:
        rows = session.scalars(select(OutboxRow).where(OutboxRow.queue == queue)).all()
    assert {row.id for row in rows} == set(ids)
    assert all(row.published_at and row.due_at > row.published_at for row in rows)


def test_what_is_rolled_back_never_was(engine: Engine, valkey: Valkey, queue: str) -> None:
    with Session(engine) as session:
        enqueue(session, queue)
        session.flush()
        session.rollback()
        kept = enqueue(session, queue)
        session.commit()
    wait_for(lambda: queued(valkey, queue) == [kept], "the second job alone")
    assert stored(engine, queue) == {kept}


def test_a_savepoint_takes_its_jobs_along_when_it_is_rolled_back(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    with Session(engine) as session, session.begin():
        before = enqueue(session, queue)
        with session.begin_nested():
            inside = enqueue(session, queue)
            with suppress(LookupError), session.begin_nested():
                enqueue(session, queue)
                raise LookupError
        savepoint = session.begin_nested()
        enqueue(session, queue)
        savepoint.rollback()
        assert queued(valkey, queue) == []
        after = enqueue(session, queue)
    assert publisher.flush(10)
    assert set(queued(valkey, queue)) == stored(engine, queue) == {before, inside, after}


def test_a_released_savepoint_publishes_nothing_before_the_outer_commit(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    with Session(engine) as session:
        with session.begin_nested():
            enqueue(session, queue)
        assert publisher.flush(10)
        assert queued(valkey, queue) == []
        session.rollback()
    assert publisher.flush(10)
    assert (queued(valkey, queue), stored(engine, queue)) == ([], set())


def test_sessions_of_one_process_keep_their_jobs_apart(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    first, second = Session(engine), scoped_session(sessionmaker(engine))
    lost = enqueue(first, queue)
    first.rollback()
    kept = enqueue(second, queue)
    second.commit()
    second.remove()
    first.close()
    assert publisher.flush(10)
    assert queued(valkey, queue) == [kept] != [lost]


def test_a_session_within_somebody_elses_transaction_publishes_nothing(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    with engine.connect() as connection, connection.begin() as outer:
        with Session(connection, join_transaction_mode="create_savepoint") as session:
            enqueue(session, queue)
            session.commit()
        assert publisher.flush(10)
        assert queued(valkey, queue) == []
        outer.rollback()
    assert stored(engine, queue) == set()


def test_many_threads_publish_what_each_has_committed(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    def work() -> None:
        for _ in range(10):
            with Session(engine) as session, session.begin():
                enqueue(session, queue)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.flush(10)
    assert len(queued(valkey, queue)) == 40
    assert set(queued(valkey, queue)) == stored(engine, queue)


def test_an_asynchronous_session_does_the_same(engine: Engine, valkey: Valkey, queue: str) -> None:
    address = engine.url.set(
        drivername={"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}[
            engine.dialect.name
        ]
    )

    async def order() -> str:
        asynchronous = create_async_engine(address)
        async with AsyncSession(asynchronous) as session:
            enqueue(session, queue)
            await session.rollback()
            async with session.begin():
                kept = enqueue(session, queue)
        await asynchronous.dispose()
        return kept

    kept = asyncio.run(order())
    assert publisher.flush(10)
    assert queued(valkey, queue) == [kept]
    assert stored(engine, queue) == {kept}


def test_a_row_inserted_without_sqlalchemy_is_published_when_told(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    row = outbox.new_row(outbox_jobs.book, {"note": "raw"}, queue=queue)
    with engine.begin() as connection:
        connection.execute(OutboxRow.__table__.insert().values(**row))  # type: ignore[attr-defined] # a table
    outbox.publish_now([row])
    wait_for(lambda: queued(valkey, queue) == [row["id"]], "the job in its queue")


def test_options_go_along(engine: Engine, valkey: Valkey, queue: str) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    with Session(engine) as session, session.begin():
        job_id = outbox.schedule(
            session, outbox_jobs.book, queue=queue, job_id=f"mine-{queue}", priority=9, run_at=later
        )
    assert job_id == f"mine-{queue}"
    assert publisher.flush(10)
    (message,) = valkey.client.lrange(f"{queue}\x06\x169", 0, -1)
    assert later.isoformat()[:19].encode() in message
    with Session(engine) as session:
        row = session.get_one(OutboxRow, job_id)
    assert row.due_at == later


@pytest.mark.parametrize(
    ("task", "data", "reason"),
    [
        ("", {}, "name of its task"),
        ("outbox.book", {"note": object()}, "what JSON can carry"),
        ("outbox.book", {"note": {"__type__": "x", "__value__": 1}}, "__type__"),
        ("outbox.book", {"unknown": 1}, "unexpected keyword argument"),
        (outbox_jobs.append, {}, "missing 1 required"),
        ("x" * 300, {}, "300 characters"),
    ],
)
def test_what_cannot_become_a_job_is_refused_at_once(
    task: str, data: dict[str, object], reason: str
) -> None:
    with Session() as session, pytest.raises(BadJob, match=reason):
        outbox.enqueue(session, task, **data)  # type: ignore[arg-type] # bad on purpose
    assert not session.new
