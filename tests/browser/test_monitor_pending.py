"""Pending jobs, queues, quarantine and the audit in Flower, in a real browser."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tasks import pending, quarantine, queues
from tasks.scheduler import schedule, status
from tests.browser.monitoring import QUEUE, visit
from tests.browser.visitor import Visitor
from tests.support.flower import Flower
from tests.support.valkey import Valkey

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("failing_worker")]


@pytest.fixture
def _resumed(valkey: Valkey) -> Iterator[None]:
    """The worker's queue, resumed and empty after the test."""
    yield
    queues.resume(QUEUE)
    pending.remove_all(QUEUE)
    valkey.client.delete("quarantine", "quarantine.count")


def row(name: str) -> str:
    """Return the selector of the buttons of one row."""
    return f'[aria-label$="{name}"]'


@pytest.mark.usefixtures("_resumed")
def test_a_queue_is_paused_its_jobs_are_mended_and_it_is_resumed(
    operator: Visitor, tmp_path: Path
) -> None:
    operator.open("/queues")
    operator.click(f'button[aria-label="Pause {QUEUE}"]')
    operator.wait_for_text(f"The queue {QUEUE} is paused", '[role="status"]')
    there = tmp_path / "there"
    there.touch()
    ids = [schedule("failing.until", {"file": f"/nowhere/{n}"}, queue=QUEUE) for n in range(3)]
    operator.open(f"/pending?queue={QUEUE}")
    assert operator.texts("#pending-jobs .monitor-id") == ids
    assert "paused" in operator.text('.monitor-brokers [aria-current="true"]')

    operator.click(f"a{row(ids[0])}.btn-outline-danger")
    operator.click(".btn-danger")
    operator.wait_for_text(f"{ids[0]} is removed", '[role="status"]')
    operator.click(f"button{row(ids[2])}")
    operator.wait_for_text(f"{ids[2]} is the next", '[role="status"]')
    assert operator.texts("#pending-jobs .monitor-id") == [ids[2], ids[1]]
    for job_id in ids[1:]:
        operator.click(f"a{row(job_id)}.btn-outline-secondary")
        operator.click("summary")
        operator.write("#changed-data", f'{{"file": "{there}"}}')
        operator.click("details button")
        operator.wait_for_text(f"{job_id} waits with its new data", '[role="status"]')

    operator.open("/queues")
    operator.click(f'button[aria-label="Resume {QUEUE}"]')
    for job_id in ids[1:]:
        operator.wait_for(lambda: str(status(job_id).state) == "Complete", "it to be done")  # noqa: B023 (called at once)
    assert str(status(ids[0]).state) == "Cancelled"
    operator.open("/audit")
    told = operator.text("table")
    for what in ("resume a queue", "edit a waiting job", "move a waiting job to the front"):
        assert what in told


@pytest.mark.usefixtures("_resumed")
def test_garbage_is_looked_at_and_discarded_without_javascript(
    plain_operator: Visitor, valkey: Valkey
) -> None:
    valkey.client.lpush(QUEUE, b"\xfe<i>garbage</i>")
    plain_operator.wait_for(quarantine.count, "the worker to find it")
    plain_operator.open("/")
    plain_operator.open("/quarantine")
    assert r"\xfe<i>garbage</i>" in plain_operator.text("table")
    plain_operator.click("tbody a")
    assert r"\xfe<i>garbage</i>" in plain_operator.text("pre")
    plain_operator.click(".btn-outline-danger")
    plain_operator.click(".btn-danger")
    assert "The message is discarded" in plain_operator.text('[role="status"]')
    assert "Nothing is in quarantine" in plain_operator.text("table")


def test_a_page_comes_back_by_itself_when_the_broker_does(
    with_javascript: Chrome, tmp_path: Path
) -> None:
    with Valkey(tmp_path) as own, Flower(tmp_path / "flower.log", own) as flower:
        flower.wait_until_open()
        for visitor in visit(with_javascript, flower.url):
            visitor.expect_complaint("status of 503")
            own.process.send_signal(signal.SIGSTOP)
            try:
                visitor.open("/failed")
                assert "is away" in visitor.text('[role="alert"]')
            finally:
                own.process.send_signal(signal.SIGCONT)
            visitor.wait_for_text("No job has failed", "#main-content")
