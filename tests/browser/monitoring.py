"""What the tests of Flower's extra pages do, around their browser."""

from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.visitor import Visitor

QUEUE = "browser-failing"
"""The queue of the worker whose jobs fail."""


def visit(driver: Chrome, url: str) -> Iterator[Visitor]:
    """Yield somebody in a new tab of the browser."""
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    visitor = Visitor(driver, url)
    visitor.tell_browser("Network.clearBrowserCookies")
    yield visitor
    complaints = visitor.complaints()
    driver.close()
    driver.switch_to.window(first)
    assert complaints == [], "the browser's console complains"


def fail_until(file: Path) -> str:
    """Schedule a job that fails until the file is there; return its id once it has failed."""
    from tasks import failures
    from tasks.scheduler import schedule
    from tests.support.waiting import wait_for

    job_id = schedule("failing.until", {"file": str(file)}, queue=QUEUE)

    def has_failed() -> bool:
        found = failures.list(task="failing.until", limit=100).jobs
        return job_id in {job.job_id for job in found}

    wait_for(has_failed, "the job to fail")
    return job_id
