"""The ERP sandbox with faults switched on, and killed."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from checkout_demo.catalogue import CATALOGUE
from checkout_demo.sandbox.erp import INITIAL_STOCK
from tests.integration.erp_calls import left, new_id, post, sale, sales_of, same, take
from tests.integration.sandboxes import ErpProcess


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpProcess]:
    with ErpProcess(tmp_path_factory.mktemp("erp")) as process:
        yield process


@pytest.fixture
def http(erp: ErpProcess) -> Iterator[httpx.Client]:
    with erp.client() as client:
        yield client
        client.put("/faults", json={"latency_ms": 0, "fail_next": 0, "down": False})


def test_a_fault_is_changed_alone(http: httpx.Client) -> None:
    http.put("/faults", json={"fail_next": 2})
    answer = http.put("/faults", json={"latency_ms": 1})
    assert answer.json() == {"latency_ms": 1, "fail_next": 2, "down": False}
    assert http.get("/faults").json() == answer.json()


@pytest.mark.parametrize(
    "faults", [{"latency_ms": -1}, {"latency_ms": 60_001}, {"fail_next": 1_001}, {"dwon": True}]
)
def test_a_fault_that_does_not_exist_is_refused(
    http: httpx.Client, faults: dict[str, object]
) -> None:
    before = http.get("/faults").json()
    assert http.put("/faults", json=faults).status_code == 422
    assert http.get("/faults").json() == before


def test_the_next_calls_fail_without_effect_and_then_work_under_the_same_key(
    http: httpx.Client,
) -> None:
    order_id, key = new_id(), new_id()
    http.put("/faults", json={"fail_next": 2})
    statuses = [post(http, "/sales", sale(order_id), key).status_code for _ in range(2)]
    assert statuses == [503, 503]
    assert sales_of(http, order_id) == []
    assert post(http, "/sales", sale(order_id), key).status_code == 201


def test_an_erp_that_is_down_refuses_all_calls_and_can_still_be_looked_at(
    http: httpx.Client,
) -> None:
    before = left(http)
    http.put("/faults", json={"down": True})
    assert take(http, 1, key=new_id()).status_code == 503
    assert http.post("/sales", content=b"{").status_code == 503
    assert left(http) == before
    assert http.get("/healthz").json() == {"status": "ok"}


def test_latency_holds_every_call_and_no_look(http: httpx.Client) -> None:
    http.put("/faults", json={"latency_ms": 300})
    start = time.monotonic()
    take(http, 1, key=new_id())
    assert time.monotonic() - start >= 0.3
    # All eight waited at once: had they waited one after the other, it would be 2.4 seconds.
    start = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        for _ in range(8):
            pool.submit(take, http, 1, key=new_id())
    assert time.monotonic() - start < 2.4


def test_an_erp_stopped_amid_a_long_latency_answers_and_does_nothing(tmp_path: Path) -> None:
    with ErpProcess(tmp_path) as erp, erp.client() as http, ThreadPoolExecutor(1) as pool:
        http.put("/faults", json={"latency_ms": 60_000})
        call = pool.submit(take, http, 1, key=new_id())
        erp.wait_until_printed("a call waits")
        assert erp.stop() in (0, -signal.SIGTERM)
        assert call.result().status_code == 503
        assert "Traceback" not in erp.output()
    with ErpProcess(tmp_path) as erp, erp.client() as http:
        assert left(http) == INITIAL_STOCK


def test_a_killed_erp_still_knows_the_sale_and_its_key(tmp_path: Path) -> None:
    order_id, sale_key, stock_key = new_id(), new_id(), new_id()
    with ErpProcess(tmp_path) as erp, erp.client() as http:
        sold = post(http, "/sales", sale(order_id), sale_key)
        taken = take(http, 4, key=stock_key)
        http.put("/faults", json={"latency_ms": 1, "down": True})
        erp.kill()
    with ErpProcess(tmp_path) as erp, erp.client() as http:
        assert http.get("/faults").json() == {"latency_ms": 0, "fail_next": 0, "down": False}
        assert same(sold, post(http, "/sales", sale(order_id), sale_key))
        assert same(taken, take(http, 4, key=stock_key))
        assert len(sales_of(http, order_id)) == 1
        assert left(http) == INITIAL_STOCK - 4
        assert len(http.get("/inventory").json()) == len(CATALOGUE)


def test_an_erp_killed_amid_calls_does_each_once_when_they_come_again(tmp_path: Path) -> None:
    keys = [new_id() for _ in range(40)]
    with ErpProcess(tmp_path) as erp, erp.client() as http, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(take, http, 1, key=key) for key in keys]
        calls[5].result()
        erp.kill()
    with ErpProcess(tmp_path) as erp, erp.client() as http:
        assert {take(http, 1, key=key).status_code for key in keys} == {201}
        assert left(http) == INITIAL_STOCK - len(keys)
