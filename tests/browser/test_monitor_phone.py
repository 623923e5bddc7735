"""Flower's extra pages on a phone: nothing is wider than the screen, a thumb hits every button."""

from collections.abc import Iterator

import pytest

from tasks.scheduler import schedule
from tests.browser.monitoring import check_on_a_phone, hold_a_phone
from tests.browser.visitor import Visitor
from tests.support.failed import fail
from tests.support.valkey import Valkey

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("clean_failed_jobs")]

LONG = "Bartholomew" * 8
QUEUE = f"q-{LONG}"


@pytest.fixture
def something_everywhere(valkey: Valkey) -> Iterator[str]:
    """A failed job, a waiting one and a message in quarantine, with names that are hard to show."""
    data = {"name": LONG, "email": f"{LONG}@example.com"}
    job_id = fail(f"task.{LONG}", error=f"E{LONG}", data=data, queue=QUEUE)
    schedule(f"task.{LONG}", data, queue="low")
    about = f'{{"queue": "{QUEUE}", "reason": "ValueError: {LONG}", "at": 1}}'
    valkey.client.xadd("quarantine", {"about": about, "message": b"\xff" * 500})
    yield job_id
    valkey.client.delete("quarantine", "quarantine.count", "low", "low.bell")


@pytest.mark.parametrize(
    "path",
    [
        *("/failed", "/failed/retry", "/job/{job_id}", "/pending?queue=low", "/pending/delayed"),
        *("/pending/move?queue=low", "/queues", "/quarantine", "/audit", "/job/unknown"),
        *("pending job", "message"),
    ],
)
def test_a_page_fits_a_phone(path: str, operator: Visitor, something_everywhere: str) -> None:
    hold_a_phone(operator)
    if path == "/job/unknown":
        operator.expect_complaint("status of 404")
    if path == "pending job":
        operator.open("/pending?queue=low")
        operator.click("#pending-jobs .monitor-id")
    elif path == "message":
        operator.open("/quarantine")
        operator.click("tbody a")
    else:
        operator.open(path.format(job_id=something_everywhere))
    check_on_a_phone(operator)
