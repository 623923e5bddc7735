"""The page of the outbox in Flower."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, delete, insert

from tasks import outbox
from tasks.outbox import rows
from tests.integration.outbox_fixtures import queued
from tests.support.flower import Caller, Flower, tabs_of
from tests.support.outbox_jobs import make_engine
from tests.support.valkey import Valkey


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'store.db'}")
    yield made
    made.dispose()


@pytest.fixture(scope="module")
def flower(
    engine: Engine, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Flower]:
    log: Path = tmp_path_factory.mktemp("flower") / "flower.log"
    with Flower(log, valkey, env={"DATABASE_URL": str(engine.url)}) as running:
        yield running.wait_until_open()


@pytest.fixture
def anybody(flower: Flower) -> Iterator[Caller]:
    with flower.visitor() as caller:
        yield caller


@pytest.fixture
def table(engine: Engine) -> Iterator[Engine]:
    outbox.metadata.create_all(engine)
    yield engine
    with engine.begin() as connection:
        connection.execute(delete(outbox.OutboxRow))


def add(engine: Engine, number: int = 1, **more: object) -> list[str]:
    """Insert rows that nobody has published; return their ids, in order."""
    queue = str(more.pop("queue", "nobody-works-on-the-outbox"))
    new = [{**outbox.new_row("outbox.book", queue=queue), **more} for _ in range(number)]
    with engine.begin() as connection:
        connection.execute(insert(outbox.OutboxRow), new)
    return sorted(str(row["id"]) for row in new)


def test_a_database_without_the_table_is_told_as_such(anybody: Caller) -> None:
    told = anybody.see("/outbox", 503)
    assert "The outbox's database is away" in told
    assert "no such table" in told


@pytest.mark.usefixtures("table")
def test_an_outbox_with_nothing_left_to_do_says_so(anybody: Caller) -> None:
    assert "Every job of the outbox is finished" in anybody.see("/outbox")
    assert "No job of the outbox has failed" in anybody.see("/outbox?show=failed")


def test_rows_are_counted_paged_and_shown(anybody: Caller, table: Engine) -> None:
    ids = add(table, 27, created_at=datetime.now(UTC) - timedelta(hours=3))
    page = anybody.get("/outbox").text
    assert "27 not published, the oldest for 3h" in anybody.see("/outbox")
    assert all(one in page for one in ids[:25])
    assert ids[25] not in page
    link = page.partition('rel="next" href="')[2].partition('"')[0]
    assert all(one in anybody.get(link).text for one in ids[25:])
    assert "not published" in anybody.see(f"/outbox/{ids[0]}")
    assert anybody.get("/outbox/nobody").status_code == 404


def test_failed_rows_are_counted_in_the_tab_and_what_must_be_hidden_is(
    anybody: Caller, table: Engine
) -> None:
    (job_id,) = add(table)
    with table.begin() as connection:
        rows.finish(connection, job_id, rows.FAILED, None, "MailRefused: for ada@example.com")
    shown = anybody.see("/outbox?show=failed")
    assert job_id in shown
    assert "MailRefused: for ***@example.com" in shown
    assert "Outbox 1 " in tabs_of(anybody.get("/outbox").text)


def test_a_job_is_published_again_after_a_question(
    anybody: Caller, table: Engine, valkey: Valkey
) -> None:
    queue = f"outbox-{uuid4()}"
    (job_id,) = add(table, queue=queue)
    assert "second delivery runs nothing" in anybody.see(f"/outbox/{job_id}/publish-again")
    assert queued(valkey, queue) == []
    assert "is published again" in anybody.do(f"/outbox/{job_id}/publish-again")
    assert queued(valkey, queue) == [job_id]
    assert "In the outbox published, not finished" in anybody.see(f"/job/{job_id}")
    assert f"publish a job of the outbox again {job_id} 1" in anybody.see("/audit")
    with table.begin() as connection:
        rows.finish(connection, job_id, rows.COMPLETE, None, None)
    assert "Its body runs again" in anybody.see(f"/outbox/{job_id}/publish-again")
    valkey.client.delete(queue, f"{queue}.bell")
