"""A browser for the tests: one process for all of them, a tab and an empty memory for each."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import chromium
from tests.browser.visitor import Visitor
from tests.support.demo import Demo

Faults = Callable[..., None]


@pytest.fixture(scope="session")
def with_javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """The browser that all tests share."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture(scope="session")
def without_javascript(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """A browser whose owner has switched JavaScript off."""
    with chromium(tmp_path_factory.mktemp("chromium-plain"), javascript=False) as driver:
        yield driver


@pytest.fixture
def browser(with_javascript: Chrome, demo: Demo) -> Iterator[Visitor]:
    """A visitor of the store who has never been there."""
    yield from _visit(with_javascript, demo)


@pytest.fixture
def plain_browser(without_javascript: Chrome, demo: Demo) -> Iterator[Visitor]:
    """A visitor whose browser runs no JavaScript."""
    yield from _visit(without_javascript, demo)


@pytest.fixture
def faults(demo: Demo) -> Iterator[Faults]:
    """Switch faults of the ERP on: `faults(down=True)`. They are off again after the test."""

    def switch(**wanted: object) -> None:
        httpx.put(f"{demo.erp}/faults", json=wanted).raise_for_status()

    yield switch
    switch(down=False, latency_ms=0, fail_next=0)


def _visit(driver: Chrome, demo: Demo) -> Iterator[Visitor]:
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    visitor = Visitor(driver, demo.store)
    visitor.tell_browser("Network.clearBrowserCookies")
    yield visitor
    complaints = visitor.complaints()
    driver.close()
    driver.switch_to.window(first)
    assert complaints == [], "the browser's console complains"
