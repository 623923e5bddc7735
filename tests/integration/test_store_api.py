import json
from decimal import Decimal
from typing import Any

import httpx
import pytest

from checkout_demo.catalogue import CATALOGUE
from tests.integration.store_fixtures import faults, http, store, untouched
from tests.support.programs import Program
from tests.support.store import ADA, NOTHING, StoreProcess, item, rows
from tests.support.waiting import wait_for

__all__ = ["http", "store", "untouched"]

ORDER = {"customer": ADA, "items": [item("press-pot"), item("desk-mug", 2)]}


def test_products_are_listed_with_decimal_strings(http: httpx.Client) -> None:
    found = http.get("/api/products").json()
    assert found == [{"sku": p.sku, "name": p.name, "price": f"{p.price:.2f}"} for p in CATALOGUE]
    assert all(Decimal(product["price"]) > 0 for product in found)


def test_an_order_is_answered_with_its_jobs(http: httpx.Client, store: StoreProcess) -> None:
    answer = http.post("/api/orders", json=ORDER)
    order = answer.json()
    assert answer.status_code == 201
    assert (order["total"], order["currency"]) == ("74.00", "EUR")
    assert order["url"] == answer.headers["Location"] == f"{store.url}/orders/{order['order_id']}"
    assert [job["task"] for job in order["jobs"]] == [
        "orders.send_receipt",
        "orders.record_sale",
        "orders.decrease_inventory",
    ]
    assert http.get(order["url"]).status_code == 200


def test_each_job_of_an_order_waits_for_a_worker(http: httpx.Client) -> None:
    for job in http.post("/api/orders", json=ORDER).json()["jobs"]:
        assert http.get(job["status_url"]).json() == {
            "jobId": job["job_id"],
            "status": "Waiting",
            "data": None,
            "progress": None,
            "attempts": 0,
            "error": None,
        }


def test_the_same_key_again_is_the_same_order(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "api-1"}
    first = http.post("/api/orders", json=ORDER, headers=headers)
    again = http.post("/api/orders", json=ORDER, headers=headers)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_the_same_key_with_another_cart_is_refused(http: httpx.Client) -> None:
    headers = {"Idempotency-Key": "api-2"}
    http.post("/api/orders", json=ORDER, headers=headers)
    other = {**ORDER, "items": [item("press-pot", 5)]}
    answer = http.post("/api/orders", json=other, headers=headers)
    assert answer.status_code == 422
    assert "another order" in faults(answer)["Idempotency-Key"]


@pytest.mark.usefixtures("untouched")
def test_every_fault_of_an_order_is_named(http: httpx.Client) -> None:
    cart = [item("no-such-thing"), item("press-pot", -1), item("desk-mug", 10**9)]
    body = {"customer": {"name": "", "email": "nobody"}, "items": cart}
    answer = http.post("/api/orders", json=body, headers={"Idempotency-Key": "x" * 201})
    assert answer.status_code == 422
    assert set(faults(answer)) == {
        "customer.name",
        "customer.email",
        "items.0.sku",
        "items.1.quantity",
        "items.2.quantity",
        "Idempotency-Key",
    }


@pytest.mark.parametrize("job_id", ["no-such-job", "00000000-0000-4000-8000-000000000000", "%00"])
def test_a_job_never_seen_is_unknown(http: httpx.Client, job_id: str) -> None:
    answer = http.get(f"/jobs/{job_id}")
    assert answer.status_code == 404
    assert answer.json()["status"] == "Unknown"
    assert http.get(f"/jobs/{job_id}/events").status_code == 404


@pytest.mark.parametrize("queue", [{}, {"queue": "default"}, {"queue": "high"}])
def test_a_sample_job_is_scheduled(http: httpx.Client, queue: dict[str, str]) -> None:
    body = {"task": "work.test_job", "data": {"payload": "hello"}, **queue}
    answer = http.post("/api/jobs", json=body)
    assert answer.status_code == 202
    assert http.get(answer.headers["Location"]).json()["jobId"] == answer.json()["jobId"]


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"task": "orders.send_receipt", "data": {}}, {"task"}),
        ({"task": "tests.add"}, {"task"}),
        ({"task": ["work.test_job"]}, {"task"}),
        ({"task": "work.test_job", "data": []}, {"data"}),
        ({"task": "work.test_job", "queue": "no-such-queue"}, {"queue"}),
        ({"data": 1, "queue": 2}, {"task", "data", "queue"}),
    ],
)
def test_only_sample_jobs_are_scheduled(
    http: httpx.Client, body: dict[str, Any], fields: set[str]
) -> None:
    answer = http.post("/api/jobs", json=body)
    assert answer.status_code == 422
    assert set(faults(answer)) == fields


def test_a_visitor_who_leaves_ends_the_stream_in_silence(
    http: httpx.Client, store: StoreProcess
) -> None:
    location = http.post("/api/jobs", json={"task": "work.test_job"}).headers["Location"]
    headers = {"X-Request-ID": f"left{location.replace('/', '-')}"}
    with http.stream("GET", f"{location}/events", headers=headers) as events:
        assert "Waiting" in next(events.iter_lines())
    wait_for(lambda: log_lines(store, headers["X-Request-ID"]), "the end of the request")
    assert "Traceback" not in store.output()


def test_an_order_never_seen_is_not_there(http: httpx.Client) -> None:
    for path in ("/orders/no-such-order", "/orders/x/jobs", "/orders/x/events"):
        assert http.get(path).status_code == 404


def test_errors_for_programs_are_json(http: httpx.Client) -> None:
    assert faults(http.get("/api/nowhere"))["request"]
    assert faults(http.delete("/api/orders"))["request"]


def test_a_healthy_store_says_so(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    answer = http.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "database": "ok", "broker": "ok"}


def test_the_api_is_described(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/api/orders", "/api/products", "/jobs/{job_id}", "/api/jobs", "/api/inbox"} <= set(
        paths
    )
    assert "/checkout" not in paths
    schema = paths["/api/orders"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"customer", "items"}


def log_lines(program: Program, request_id: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in program.output().splitlines() if request_id in line]
    return [line for line in lines if line["event"] == "request"]


def test_a_sane_request_id_goes_through_and_others_are_replaced(
    http: httpx.Client, store: StoreProcess
) -> None:
    sane = "request-0123456789"
    assert http.get("/healthz", headers={"X-Request-ID": sane}).headers["X-Request-ID"] == sane
    # The line is written when the answer is out.
    wait_for(lambda: log_lines(store, sane), "the request's line")
    assert len(log_lines(store, sane)) == 1
    made = http.get("/healthz", headers={"X-Request-ID": "in sane"}).headers["X-Request-ID"]
    assert len(made) == 32


def test_a_log_line_holds_no_query_string_and_no_body(
    http: httpx.Client, store: StoreProcess
) -> None:
    headers = {"X-Request-ID": "no-secrets-here"}
    http.post("/api/orders?secret=one", json={"secret": "two"}, headers=headers)
    (line,) = wait_for(lambda: log_lines(store, "no-secrets-here"), "the request's line")
    assert (line["method"], line["path"], line["status"]) == ("POST", "/api/orders", 422)
    assert "secret=" not in store.output()


def test_nothing_was_stored_by_looking(store: StoreProcess, http: httpx.Client) -> None:
    before = rows(store.database)
    for path in ("/", "/demo", "/inbox", "/api/products", "/api/inbox", "/readyz", "/checkout"):
        assert http.get(path).status_code in (200, 303)
    assert rows(store.database) == before != NOTHING
