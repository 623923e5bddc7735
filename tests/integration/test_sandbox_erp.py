"""The ERP sandbox, as its own process and over real HTTP."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from checkout_demo.sandbox.erp import INITIAL_STOCK
from tests.integration.erp_calls import (
    OTHER_SKU,
    SKU,
    left,
    new_id,
    post,
    sale,
    sales_of,
    same,
    take,
)
from tests.integration.sandboxes import ErpProcess


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpProcess]:
    with ErpProcess(tmp_path_factory.mktemp("erp")) as process:
        yield process


@pytest.fixture
def http(erp: ErpProcess) -> Iterator[httpx.Client]:
    with erp.client() as client:
        yield client


def test_a_sale_is_recorded_as_it_was_sent(http: httpx.Client) -> None:
    order_id = new_id()
    answer = post(http, "/sales", sale(order_id), key=new_id())
    assert answer.status_code == 201
    (row,) = sales_of(http, order_id)
    assert answer.json() == {"sale_id": row["sale_id"], "order_id": order_id, "total": "12.50"}
    assert sale(order_id).items() <= row.items()


def test_a_decrement_answers_what_is_left(http: httpx.Client) -> None:
    before = left(http)
    answer = take(http, 3, key=new_id())
    assert answer.status_code == 201
    assert answer.json() == {"sku": SKU, "quantity": before - 3}
    assert left(http) == before - 3


def test_the_same_key_again_sells_nothing_and_answers_as_the_first_time(http: httpx.Client) -> None:
    order_id, key = new_id(), new_id()
    first = post(http, "/sales", sale(order_id), key)
    assert same(first, post(http, "/sales", sale(order_id), key))
    assert len(sales_of(http, order_id)) == 1


def test_the_same_key_again_takes_nothing_and_answers_as_the_first_time(http: httpx.Client) -> None:
    key, before = new_id(), left(http)
    first = take(http, 1, key=key)
    take(http, 5, key=new_id())
    assert same(first, take(http, 1, key=key))
    assert left(http) == before - 6


def test_a_refusal_is_repeated_under_its_key(http: httpx.Client) -> None:
    key = new_id()
    first = take(http, INITIAL_STOCK + 1, key=key)
    take(http, 1, key=new_id())
    assert first.status_code == 409
    assert same(first, take(http, INITIAL_STOCK + 1, key=key))


def test_a_body_written_in_another_order_is_the_same_body(http: httpx.Client) -> None:
    order_id, key = new_id(), new_id()
    first = post(http, "/sales", sale(order_id), key)
    assert same(first, post(http, "/sales", dict(reversed(sale(order_id).items())), key))


def test_a_key_that_comes_with_another_body_is_an_error(http: httpx.Client) -> None:
    order_id, key = new_id(), new_id()
    post(http, "/sales", sale(order_id), key)
    answer = post(http, "/sales", sale(order_id, total="99.00"), key)
    assert answer.status_code == 422
    assert "Idempotency-Key" in answer.json()["detail"]
    assert [row["total"] for row in sales_of(http, order_id)] == ["12.50"]


def test_a_key_that_comes_with_another_path_is_an_error(http: httpx.Client) -> None:
    key, before = new_id(), left(http, OTHER_SKU)
    take(http, 1, key=key)
    assert take(http, 1, key=key, sku=OTHER_SKU).status_code == 422
    assert post(http, "/sales", sale(new_id()), key).status_code == 422
    assert left(http, OTHER_SKU) == before


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": ""}, {"Idempotency-Key": "k" * 256}])
@pytest.mark.parametrize("path", ["/sales", f"/inventory/{SKU}/decrements"])
def test_a_call_without_a_usable_key_is_told_to_send_one(
    http: httpx.Client, path: str, headers: dict[str, str]
) -> None:
    answer = http.post(path, json={}, headers=headers)
    assert answer.status_code == 400
    assert "send the header Idempotency-Key" in answer.json()["detail"]


def test_many_threads_with_one_key_make_one_sale(http: httpx.Client) -> None:
    order_id, key = new_id(), new_id()
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(post, http, "/sales", sale(order_id), key) for _ in range(32)]
    assert {(call.result().status_code, call.result().content) for call in calls} == {
        (201, calls[0].result().content)
    }
    assert len(sales_of(http, order_id)) == 1


def test_many_threads_with_a_key_each_lose_no_piece(http: httpx.Client) -> None:
    before = left(http)
    with ThreadPoolExecutor(16) as pool:
        calls = [pool.submit(take, http, 1, key=new_id()) for _ in range(32)]
    assert {call.result().json()["quantity"] for call in calls} == set(range(before - 32, before))


def test_an_unknown_sku_is_named(http: httpx.Client) -> None:
    answer = take(http, 1, key=new_id(), sku="no-such-thing")
    assert answer.status_code == 404
    assert "no-such-thing" in answer.json()["detail"]


def test_more_than_there_is_takes_nothing(http: httpx.Client) -> None:
    before = left(http)
    answer = take(http, before + 1, key=new_id())
    assert answer.status_code == 409
    assert (answer.json()["sku"], answer.json()["available"]) == (SKU, before)
    assert left(http) == before


@pytest.mark.parametrize(
    "changes",
    [
        {"total": 12.5},
        {"total": "12,50"},
        {"total": "-1.00"},
        {"currency": "euro"},
        {"items": []},
        {"items": [{"sku": SKU, "quantity": 0, "price": "1.00"}]},
        {"items": [{"sku": SKU, "quantity": 10**30, "price": "1.00"}]},
        {"customer": None},
        {"order_id": ""},
    ],
)
def test_a_sale_that_makes_no_sense_is_not_recorded(
    http: httpx.Client, changes: dict[str, Any]
) -> None:
    before = http.get("/sales").json()
    assert post(http, "/sales", sale(new_id()) | changes, new_id()).status_code == 422
    assert http.get("/sales").json() == before


def test_a_body_that_is_not_json_is_refused(http: httpx.Client) -> None:
    answer = http.post("/sales", content=b"{", headers={"Idempotency-Key": new_id()})
    assert answer.status_code == 422


def test_a_call_is_logged_with_the_id_of_the_request_that_caused_it(
    erp: ErpProcess, http: httpx.Client
) -> None:
    request_id = new_id()
    headers = {"Idempotency-Key": new_id(), "X-Request-ID": request_id}
    http.post("/sales", json=sale(new_id()), headers=headers)
    erp.wait_until_printed(request_id)
    (line,) = [json.loads(line) for line in erp.output().splitlines() if request_id in line]
    assert (line["request_id"], line["path"], line["status"]) == (request_id, "/sales", 201)
    assert "ada@example.com" not in erp.output()
