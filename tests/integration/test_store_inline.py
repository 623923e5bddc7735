from collections.abc import Iterator

import httpx
import pytest

from tests.integration.erp_calls import left, sales_of
from tests.integration.store_fixtures import Shop, inline_shop
from tests.support.store import ADA, item

__all__ = ["inline_shop"]

ORDER = {"customer": ADA, "items": [item("press-pot")]}


@pytest.fixture
def http(inline_shop: Shop) -> Iterator[httpx.Client]:
    with inline_shop.store.client() as client:
        yield client


@pytest.fixture
def erp(inline_shop: Shop) -> Iterator[httpx.Client]:
    with inline_shop.erp.client() as client:
        yield client
        client.put("/faults", json={"down": False})


def test_all_is_done_before_the_answer(http: httpx.Client, erp: httpx.Client) -> None:
    stock, mails = left(erp), len(http.get("/api/inbox").json())
    placed = http.post("/api/orders", json=ORDER).raise_for_status().json()
    assert len(sales_of(erp, placed["order_id"])) == 1
    assert left(erp) == stock - 1
    assert len(http.get("/api/inbox").json()) == mails + 1
    page = http.get(placed["url"]).text
    assert "All 3 jobs are complete." in page
    assert "CHECKOUT_MODE=inline" in page


def test_an_effect_that_fails_is_named_and_the_order_stands(
    http: httpx.Client, erp: httpx.Client
) -> None:
    erp.put("/faults", json={"down": True})
    headers = {"Idempotency-Key": "inline-1"}
    answer = http.post("/api/orders", json=ORDER, headers=headers)
    assert answer.status_code == 502
    assert [fault["field"] for fault in answer.json()["detail"]] == ["sale", "inventory"]
    assert "2 failed" in http.get(answer.json()["url"]).text


def test_the_same_request_again_does_what_is_missing_and_only_that(
    http: httpx.Client, erp: httpx.Client
) -> None:
    erp.put("/faults", json={"down": True})
    headers = {"Idempotency-Key": "inline-2"}
    order_id = http.post("/api/orders", json=ORDER, headers=headers).json()["order_id"]
    mails = len(http.get("/api/inbox").json())
    erp.put("/faults", json={"down": False})
    again = http.post("/api/orders", json=ORDER, headers=headers)
    assert (again.status_code, again.json()["order_id"]) == (200, order_id)
    assert len(sales_of(erp, order_id)) == 1
    assert len(http.get("/api/inbox").json()) == mails


def test_a_customer_can_ask_for_what_is_missing(http: httpx.Client, erp: httpx.Client) -> None:
    erp.put("/faults", json={"down": True})
    http.post("/cart", data={"sku": "press-pot"})
    answer = http.post("/checkout", data=ADA, headers={"Accept": "text/html"})
    assert answer.status_code == 502
    path = answer.text.partition('action="/orders/')[2].partition('"')[0]
    assert http.post(f"/orders/{path}").status_code == 502
    erp.put("/faults", json={"down": False})
    done = http.post(f"/orders/{path}", follow_redirects=True)
    assert "Everything about your order is done now." in done.text
    assert "All 3 jobs are complete." in done.text
