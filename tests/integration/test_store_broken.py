from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import httpx
import pytest
from sqlalchemy import text

from checkout_demo.database import BUSY_SECONDS
from tests.integration.store_fixtures import nobody_there
from tests.support.programs import GRACE
from tests.support.store import ADA, StoreProcess, item, rows
from tests.support.valkey import Valkey

ORDER = {"customer": ADA, "items": [item("press-pot")]}
AT_ONCE = 3.0
"""Seconds: far above what a refused connection takes, far below any timeout that would add up."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store whose broker is not there."""
    env = {"BROKER_URL": nobody_there()}
    with StoreProcess(tmp_path_factory.mktemp("broken"), env) as process:
        yield process


@pytest.fixture
def http(store: StoreProcess) -> Iterator[httpx.Client]:
    with store.client() as client:
        yield client


def test_an_order_is_answered_without_a_broker(http: httpx.Client, store: StoreProcess) -> None:
    began = monotonic()
    answer = http.post("/api/orders", json=ORDER)
    assert answer.status_code == 201
    assert monotonic() - began < AT_ONCE
    assert rows(store.database)["order"] == 1
    for job in answer.json()["jobs"]:
        assert http.get(job["status_url"]).json()["status"] == "Waiting"


def test_an_orders_page_shows_its_receipt_without_a_broker(http: httpx.Client) -> None:
    page = http.get(http.post("/api/orders", json=ORDER).json()["url"])
    assert page.status_code == 200
    assert "€42.00" in page.text
    assert page.text.count("Kept with the order.") == 3
    assert "It goes into the queue by itself" in page.text
    assert 'data-settled="false"' in page.text


@pytest.mark.parametrize("path", ["/jobs/some-job", "/jobs/some-job/events"])
def test_a_state_that_cannot_be_looked_up_is_503(http: httpx.Client, path: str) -> None:
    began = monotonic()
    answer = http.get(path)
    assert answer.status_code == 503
    assert monotonic() - began < AT_ONCE
    assert "job queue does not answer" in answer.json()["detail"][0]["message"]
    assert answer.headers["Retry-After"]


def test_a_sample_job_is_not_scheduled_in_silence(http: httpx.Client) -> None:
    assert http.post("/api/jobs", json={"task": "work.test_job"}).status_code == 503
    form = {"task": "work.test_job", "payload": "hello", "wait_at_most": "0"}
    page = http.post("/demo", data=form, headers={"Accept": "text/html"})
    assert page.status_code == 503
    assert "<h1>Service Unavailable</h1>" in page.text


def test_readiness_names_the_broker(http: httpx.Client) -> None:
    began = monotonic()
    answer = http.get("/readyz")
    assert answer.status_code == 503
    assert monotonic() - began < AT_ONCE
    assert answer.json()["database"] == "ok"
    assert "refused" in answer.json()["broker"].lower()
    assert http.get("/healthz").status_code == 200


def test_an_order_waits_for_another_writer(http: httpx.Client, store: StoreProcess) -> None:
    with store.database.writing() as session:
        session.execute(text("UPDATE product SET description = description"))
        # Readers are not disturbed while somebody writes.
        assert http.get("/").status_code == 200
    assert http.post("/api/orders", json=ORDER).status_code == 201


def test_a_locked_database_is_told_soon_and_the_same_key_makes_one_order_later(
    http: httpx.Client, store: StoreProcess
) -> None:
    headers = {"Idempotency-Key": "locked"}
    page = http.post("/api/orders", json=ORDER).json()["url"]
    before = rows(store.database)["order"]
    with store.database.writing() as session:
        session.execute(text("UPDATE product SET description = description"))
        # A worker would wait for BUSY_SECONDS; a request must have its answer before.
        answer = http.post("/api/orders", json=ORDER, headers=headers, timeout=BUSY_SECONDS - 0.5)
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert "never makes a second order" in answer.json()["detail"][0]["message"]
        # Looking waits for no writer.
        for path in ("/", page, "/operator/effects", "/readyz"):
            assert http.get(path, timeout=BUSY_SECONDS - 0.5).status_code in (200, 503)
        assert "Kept with the order." in http.get(page).text
    assert rows(store.database)["order"] == before
    again = [http.post("/api/orders", json=ORDER, headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in again] == [201, 200]
    assert rows(store.database)["order"] == before + 1


def test_a_database_that_is_away_is_told_in_plain_words(tmp_path: Path) -> None:
    with StoreProcess(tmp_path, {"BROKER_URL": nobody_there()}) as store, store.client() as http:
        with store.database.writing() as session:
            session.execute(text("ALTER TABLE product RENAME TO gone"))
        answer = http.get("/readyz")
        assert answer.status_code == 503
        assert "product" in answer.json()["database"]
        page = http.get("/", headers={"Accept": "text/html"})
        assert page.status_code == 503
        assert "database does not answer" in page.text
        assert page.headers["X-Request-ID"]


def test_a_fault_in_the_code_is_a_page_with_its_request_id(tmp_path: Path) -> None:
    with StoreProcess(tmp_path, {"BROKER_URL": nobody_there()}) as store, store.client() as http:
        with store.database.writing() as session:
            session.execute(text("UPDATE product SET price = 'no number'"))
        page = http.get("/", headers={"Accept": "text/html", "X-Request-ID": "a-fault-in-here"})
        assert page.status_code == 500
        assert "The store made a mistake." in page.text
        assert page.headers["X-Request-ID"] == "a-fault-in-here"
        assert "Content-Security-Policy" in page.headers
        assert "request failed" in store.output()
        assert http.get("/healthz").status_code == 200


def test_the_store_ends_when_told_to_though_a_page_watches(tmp_path: Path, valkey: Valkey) -> None:
    env = {"BROKER_URL": f"{valkey.url.rpartition('/')[0]}/3"}
    with StoreProcess(tmp_path, env) as store, store.client() as http:
        location = http.post("/api/jobs", json={"task": "work.test_job"}).headers["Location"]
        with http.stream("GET", f"{location}/events") as events:
            lines = events.iter_lines()
            assert "Waiting" in next(lines)
            began = monotonic()
            store.stop()
            assert monotonic() - began < GRACE / 2
        assert "Traceback" not in store.output()
