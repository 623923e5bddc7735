"""Schedule, history and outbox in a real browser; and Flower is killed in the middle of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from sqlalchemy import Engine, insert

from tasks import outbox
from tests.browser.monitoring import check_on_a_phone, hold_a_phone, visit
from tests.browser.visitor import Visitor
from tests.support.flower import Flower
from tests.support.outbox_jobs import make_engine
from tests.support.programs import Program
from tests.support.ticking import QUEUE
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

pytestmark = pytest.mark.browser

ENTRY = "often"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Valkey]:
    """A broker with a beat that ticks each second, and a worker that does the ticks."""
    beat = ("celery", "-A", "tests.support.ticking", "beat")
    with (
        Valkey(tmp_path) as server,
        Program.python(*beat, log=tmp_path / "beat.log", env={"BROKER_URL": server.url}),
        start_worker(
            tmp_path / "w.log",
            broker_url=server.url,
            queues=QUEUE,
            pool="threads",
            jobs="tests.support.ticked",
        ),
    ):
        wait_for(lambda: server.client.exists("expresslane-history-total"), "the first count")
        yield server


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A database with a job that nobody has published."""
    made = make_engine(f"sqlite:///{tmp_path / 'store.db'}")
    outbox.metadata.create_all(made)
    with made.begin() as connection:
        connection.execute(
            insert(outbox.OutboxRow), [outbox.new_row("outbox.book", queue="nobody")]
        )
    yield made
    made.dispose()


def test_what_was_done_and_seen_outlives_flower(
    with_javascript: Chrome, own: Valkey, engine: Engine, tmp_path: Path
) -> None:
    env = {"DATABASE_URL": str(engine.url)}
    with Flower(tmp_path / "first.log", own, env=env) as first:
        first.wait_until_open()
        for visitor in visit(with_javascript, first.url):
            runs = pause_the_entry(visitor)
            publish_again(visitor)
            processed = processed_by(visitor)
            visitor.open("/schedule")
            first.kill()
            first.process.wait()
            with Flower(tmp_path / "second.log", own, env=env, port=first.port) as second:
                second.wait_until_open()
                # On the page that was open all the while.
                visitor.click(f'button[aria-label="Resume {ENTRY}"]')
                visitor.wait_for_text(f"{ENTRY} is resumed", '[role="status"]')
                goes_on = lambda: runs_of(visitor) > runs  # noqa: B023, E731 (called at once)
                visitor.wait_for(goes_on, "the entry to go on")
                assert processed_by(visitor) >= processed
                visitor.open("/audit")
                told = visitor.text("table")
                for what in ("pause an entry", "publish a job of the outbox again", "resume an"):
                    assert what in told
                hold_a_phone(visitor)
                for path in ("/schedule", "/history", "/outbox", "/outbox?show=failed", "/queues"):
                    visitor.open(path)
                    check_on_a_phone(visitor)


def pause_the_entry(visitor: Visitor) -> int:
    """Pause the entry, and return how often it has run."""
    visitor.open("/schedule")
    assert "every second" in visitor.text("#schedule")
    visitor.click(f'button[aria-label="Pause {ENTRY}"]')
    visitor.wait_for_text(f"{ENTRY} is paused", '[role="status"]')
    assert "paused" in visitor.text("#schedule")
    return runs_of(visitor)


def runs_of(visitor: Visitor) -> int:
    """Return how often the entry has run."""
    visitor.open("/schedule")
    return int(visitor.text('#schedule [data-label="Runs"]').replace(",", ""))


def publish_again(visitor: Visitor) -> None:
    """Publish what is not published."""
    visitor.open("/outbox")
    assert "1 not published" in visitor.text("header.page-header")
    visitor.click(".monitor-actions a")
    visitor.click(".btn-danger")
    visitor.wait_for_text("published again", '[role="status"]')


def processed_by(visitor: Visitor) -> int:
    """Return how many ticks the history has counted, and see its charts."""
    visitor.open("/history?task=tests.tick")
    assert visitor.texts(".monitor-charts figcaption")[0].startswith("Jobs")
    assert visitor.script("return document.querySelectorAll('.monitor-chart rect').length") > 0
    return int(visitor.text('#history [data-label="Processed"]').replace(",", ""))
