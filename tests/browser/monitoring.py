"""What the tests of Flower's extra pages do, around their browser."""

from collections.abc import Iterator
from pathlib import Path

from selenium.webdriver import Chrome

from tests.browser.test_phone import SCREEN, THUMB, WIDTH
from tests.browser.visitor import Visitor

QUEUE = "browser-failing"
"""The queue of the worker whose jobs fail."""

_TOO_WIDE = """
const page = document.documentElement;
if (page.scrollWidth <= arguments[0] && innerWidth <= arguments[0]) return [];
return Array.from(document.querySelectorAll("main *"))
  .filter((one) => one.getBoundingClientRect().right > arguments[0])
  .map((one) => one.outerHTML.slice(0, 120))
  .concat(`the page is ${page.scrollWidth} px wide`);
"""
_TOO_LOW = """
const targets = "main button, main .btn, main input:not([type=hidden]), main select, main summary";
return Array.from(document.querySelectorAll(targets))
  .map((one) => [Math.round(one.getBoundingClientRect().height), one])
  .filter(([height, one]) => one.checkVisibility() && height < arguments[0])
  .map(([height, one]) => `${height} px: ${one.outerHTML.slice(0, 120)}`);
"""
_UNNAMED = """
return Array.from(document.querySelectorAll("main input:not([type=hidden]), main select, textarea"))
  .filter((one) => one.labels.length === 0)
  .map((one) => one.outerHTML.slice(0, 120));
"""


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


def hold_a_phone(visitor: Visitor) -> None:
    """Have the browser be a phone's from here on."""
    visitor.tell_browser("Emulation.setDeviceMetricsOverride", **SCREEN)


def check_on_a_phone(visitor: Visitor) -> None:
    """Check that nothing is wider than the screen, and that a thumb hits every button."""
    visitor.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert visitor.script(_TOO_WIDE, WIDTH) == []
    assert visitor.script(_TOO_LOW, THUMB) == []
    assert visitor.script(_UNNAMED) == []
    assert visitor.script("return document.querySelectorAll('h1').length") == 1
