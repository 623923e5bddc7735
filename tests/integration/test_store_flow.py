import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.integration.erp_calls import left, sales_of
from tests.integration.store_fixtures import Shop, shop
from tests.support.store import ADA, item
from tests.support.waiting import wait_for

__all__ = ["shop"]


@pytest.fixture
def http(shop: Shop) -> Iterator[httpx.Client]:
    with shop.store.client() as client:
        yield client


@pytest.fixture
def erp(shop: Shop) -> Iterator[httpx.Client]:
    with shop.erp.client() as client:
        yield client
        client.put("/faults", json={"down": False, "latency_ms": 0, "fail_next": 0})


def order(http: httpx.Client, *items: dict[str, Any]) -> dict[str, Any]:
    body = {"customer": ADA, "items": list(items) or [item("press-pot")]}
    found: dict[str, Any] = http.post("/api/orders", json=body).raise_for_status().json()
    return found


def states(http: httpx.Client, placed: dict[str, Any]) -> list[str]:
    return [http.get(job["status_url"]).json()["status"] for job in placed["jobs"]]


def events(http: httpx.Client, path: str) -> Iterator[dict[str, Any]]:
    with http.stream("GET", path) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data:"):
                yield json.loads(line.removeprefix("data:"))


def test_an_order_has_its_three_effects_once(http: httpx.Client, erp: httpx.Client) -> None:
    stock = {sku: left(erp, sku) for sku in ("press-pot", "desk-mug")}
    placed = order(http, item("press-pot"), item("desk-mug", 3))
    wait_for(lambda: states(http, placed) == ["Complete"] * 3, "three Complete jobs")
    (sale,) = sales_of(erp, placed["order_id"])
    assert sale["total"] == placed["total"] == "90.00"
    assert left(erp, "press-pot") == stock["press-pot"] - 1
    assert left(erp, "desk-mug") == stock["desk-mug"] - 3
    receipt, recorded, taken = [
        http.get(job["status_url"]).json()["data"] for job in placed["jobs"]
    ]
    mails = [m for m in http.get("/api/inbox").json() if m["message_id"] == receipt["message_id"]]
    assert len(mails) == 1
    assert recorded == {"sale_id": sale["sale_id"]}
    assert taken == {"inventory": {sku: left(erp, sku) for sku in stock}}


def test_the_receipt_in_the_mail_is_the_one_on_the_page(http: httpx.Client) -> None:
    placed = order(http, item("wax-and-seal", 2))
    wait_for(lambda: states(http, placed)[0] == "Complete", "the mail")
    key = http.get(placed["jobs"][0]["status_url"]).json()["data"]["message_id"].strip("<>")
    mail = next(m for m in http.get("/api/inbox").json() if key in m["message_id"])
    assert mail["to"] == "Ada Lovelace <ada@example.com>"
    for fact in ("Wax &amp; Seal", "€38.00"):
        assert fact in http.get(placed["url"]).text
        assert fact in mail["html"]
    assert mail["subject"] in http.get("/inbox").text


def test_a_mail_is_shown_in_a_frame_that_can_do_nothing(http: httpx.Client) -> None:
    placed = order(http)
    wait_for(lambda: states(http, placed)[0] == "Complete", "the mail")
    message_id = http.get(placed["jobs"][0]["status_url"]).json()["data"]["message_id"]
    key = quote(message_id.strip("<>"))
    page = http.get(f"/inbox/{key}").text
    assert f'src="/inbox/{key}/html"' in page
    assert 'class="receipt' not in page
    policy = http.get(f"/inbox/{key}/html").headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


def test_an_erp_that_is_down_delays_an_order_and_loses_nothing(
    http: httpx.Client, erp: httpx.Client
) -> None:
    erp.put("/faults", json={"down": True})
    placed = order(http)
    wait_for(lambda: states(http, placed) == ["Complete", "Retrying", "Retrying"], "two Retrying")
    page = http.get(placed["url"]).text
    assert "It is tried again by itself" in page
    # What the ERP said is for whoever runs the store.
    assert "ErpUnavailable" not in page
    path = f"/operator/effects/{placed['jobs'][1]['job_id']}"
    assert "the ERP is switched off" in http.get(path).text
    erp.put("/faults", json={"down": False})
    wait_for(lambda: states(http, placed) == ["Complete"] * 3, "three Complete jobs")
    assert len(sales_of(erp, placed["order_id"])) == 1
    assert http.get(placed["jobs"][1]["status_url"]).json()["attempts"] > 1


def test_an_order_is_followed_by_one_stream_to_its_end(http: httpx.Client) -> None:
    placed = order(http)
    seen: dict[str, list[str]] = {}
    for event in events(http, f"/orders/{placed['order_id']}/events"):
        assert set(event) == {"jobId", "status", "data", "progress", "attempts", "error"}
        seen.setdefault(event["jobId"], []).append(event["status"])
    assert set(seen) == {job["job_id"] for job in placed["jobs"]}
    assert [statuses[-1] for statuses in seen.values()] == ["Complete"] * 3


def test_a_job_is_followed_with_its_progress(http: httpx.Client) -> None:
    body = {"task": "work.test_job", "data": {"payload": "hello", "wait_at_most": 1}}
    job_id = http.post("/api/jobs", json=body).json()["jobId"]
    found = list(events(http, f"/jobs/{job_id}/events"))
    assert found[-1] == http.get(f"/jobs/{job_id}").json()
    assert found[-1]["status"] == "Complete"
    assert "hello" in found[-1]["data"]
    assert any(event["progress"] for event in found)
    assert "hello" in http.get(f"/demo/{job_id}").text


def test_the_part_of_the_page_that_changes_tells_when_to_stop(http: httpx.Client) -> None:
    placed = order(http)
    wait_for(lambda: states(http, placed) == ["Complete"] * 3, "three Complete jobs")
    part = http.get(f"/orders/{placed['order_id']}/jobs").text
    assert 'data-settled="true"' in part
    assert "All 3 jobs are complete." in part
    assert "<html" not in part


def test_a_failed_job_is_told_with_what_comes_next(http: httpx.Client) -> None:
    body = {"task": "work.test_job", "data": {"wait_at_most": 1000}}
    job_id = http.post("/api/jobs", json=body).json()["jobId"]
    wait_for(lambda: http.get(f"/jobs/{job_id}").json()["status"] == "Failed", "a Failed job")
    page = http.get(f"/demo/{job_id}").text
    assert "ValueError" in page
    assert "mend the cause and retry it" in page
    assert 'data-settled="true"' in page


def test_one_request_id_runs_through_web_and_worker(shop: Shop, http: httpx.Client) -> None:
    body = {"customer": ADA, "items": [item("press-pot")]}
    headers = {"X-Request-ID": "followed-all-the-way"}
    placed = http.post("/api/orders", json=body, headers=headers).json()
    wait_for(lambda: states(http, placed) == ["Complete"] * 3, "three Complete jobs")
    log = (shop.store.log_file.parent / "worker.log").read_text()
    started = [line for line in log.splitlines() if "followed-all-the-way" in line]
    assert {
        job["job_id"] for job in placed["jobs"] if any(job["job_id"] in s for s in started)
    } == {job["job_id"] for job in placed["jobs"]}
