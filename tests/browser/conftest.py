"""A browser for the tests: one process for all of them, a tab and an empty memory for each."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from selenium.webdriver import Chrome

from tests.browser.chromium import chromium
from tests.browser.monitoring import QUEUE, visit
from tests.browser.visitor import Visitor
from tests.support.demo import Demo
from tests.support.flower import Flower
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.worker import start_worker

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


@pytest.fixture(scope="session")
def flower(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    """A Flower without a login."""
    with Flower(tmp_path_factory.mktemp("flower") / "flower.log", valkey) as running:
        yield running.wait_until_open()


@pytest.fixture(scope="session")
def failing_worker(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A worker whose jobs fail when they are told to."""
    log = tmp_path_factory.mktemp("failing") / "failing.log"
    jobs = "tests.support.failing"
    with start_worker(log, broker_url=valkey.url, queues=QUEUE, jobs=jobs) as program:
        yield program


@pytest.fixture
def operator(with_javascript: Chrome, flower: Flower) -> Iterator[Visitor]:
    """Somebody with a browser, at Flower."""
    yield from visit(with_javascript, flower.url)


@pytest.fixture
def plain_operator(without_javascript: Chrome, flower: Flower) -> Iterator[Visitor]:
    """Somebody whose browser runs no JavaScript."""
    yield from visit(without_javascript, flower.url)


def _visit(driver: Chrome, demo: Demo) -> Iterator[Visitor]:
    yield from visit(driver, demo.store)
