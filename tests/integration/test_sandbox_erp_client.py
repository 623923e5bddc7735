"""The store's ERP client against the real sandbox, and against services that misbehave."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import httpx
import pytest

from checkout_demo.catalogue import CATALOGUE
from checkout_demo.effects.erp import ErpClient, Sale
from checkout_demo.effects.errors import EffectError, ErpUnavailable, OrderRefused
from config.bound import bind, unbind
from config.secret import SecretStr
from tests.integration.sandboxes import ErpProcess
from tests.support.programs import free_port

SKU = CATALOGUE[0].sku
GOOD = b'{"sku": "x", "quantity": 1}'


def client(url: str, timeout: float = 30) -> ErpClient:
    return ErpClient(SecretStr(url), timeout=timeout)


def sale(order_id: str) -> Sale:
    return {
        "order_id": order_id,
        "total": "12.50",
        "currency": "EUR",
        "customer": {"name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": SKU, "quantity": 2, "price": "6.25"}],
    }


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErpProcess]:
    with ErpProcess(tmp_path_factory.mktemp("erp")) as process:
        yield process


@pytest.fixture
def erp(sandbox: ErpProcess) -> Iterator[ErpClient]:
    with client(sandbox.url) as erp:
        yield erp
    httpx.put(f"{sandbox.url}/faults", json={"fail_next": 0, "down": False}, trust_env=False)


class Service:
    """A real HTTP server that answers every POST alike, and remembers what it was sent."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.answer = (status, body, headers)
        self.calls: list[dict[str, str]] = []
        self.hold = Event()
        self.hold.set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                service.calls.append({"path": self.path, **self.headers})
                service.hold.wait()
                status, body, headers = service.answer
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"


@contextmanager
def service(
    status: int = 201, body: bytes = GOOD, headers: dict[str, str] | None = None
) -> Iterator[Service]:
    it = Service(status, body, headers or {})
    thread = Thread(target=it.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield it
    finally:
        it.hold.set()
        it.server.shutdown()
        thread.join()
        it.server.server_close()


def decrease(url: str, **settings: Any) -> dict[str, Any]:
    with client(url, **settings) as erp:
        return erp.decrease_inventory("x", 1, order_id="7", key="k")


def failure(url: str, **settings: Any) -> EffectError:
    with pytest.raises(EffectError) as caught:
        decrease(url, **settings)
    return caught.value


def test_a_sale_and_a_decrement_are_answered(erp: ErpClient) -> None:
    order_id = str(uuid4())
    answer = erp.record_sale(sale(order_id), key=f"{order_id}-sale")
    assert (answer["order_id"], answer["total"]) == (order_id, "12.50")
    assert erp.decrease_inventory(SKU, 2, order_id, key=f"{order_id}-stock")["sku"] == SKU


def test_a_call_again_is_answered_as_the_first_time(erp: ErpClient) -> None:
    key = str(uuid4())
    first = erp.decrease_inventory(SKU, 2, "7", key)
    assert erp.decrease_inventory(SKU, 2, "7", key) == first


def test_a_fault_of_the_erp_may_pass_and_does(sandbox: ErpProcess, erp: ErpClient) -> None:
    order_id = str(uuid4())
    httpx.put(f"{sandbox.url}/faults", json={"fail_next": 1}, trust_env=False)
    with pytest.raises(ErpUnavailable) as caught:
        erp.record_sale(sale(order_id), key=order_id)
    assert (caught.value.order_id, caught.value.status) == (order_id, 503)
    assert erp.record_sale(sale(order_id), key=order_id)["order_id"] == order_id


@pytest.mark.parametrize(
    ("sku", "quantity", "status", "reason"),
    [("nothing/of this?", 1, 404, "Not Found"), ("none", 1, 404, "none"), (SKU, 9_999, 409, SKU)],
)
def test_an_order_that_cannot_be_served_is_refused_with_the_erps_reason(
    erp: ErpClient, sku: str, quantity: int, status: int, reason: str
) -> None:
    with pytest.raises(OrderRefused) as caught:
        erp.decrease_inventory(sku, quantity, "7", key=str(uuid4()))
    assert (caught.value.order_id, caught.value.status) == ("7", status)
    assert reason in caught.value.reason


def test_one_key_for_two_calls_is_refused(erp: ErpClient) -> None:
    key = str(uuid4())
    erp.decrease_inventory(SKU, 1, "7", key)
    with pytest.raises(OrderRefused, match="Idempotency-Key"):
        erp.record_sale(sale("7"), key)


def test_nobody_listening_may_pass() -> None:
    error = failure(f"http://127.0.0.1:{free_port()}")
    assert isinstance(error, ErpUnavailable)
    assert error.status is None
    assert "ConnectError" in str(error)


def test_an_answer_that_does_not_come_in_time_may_pass() -> None:
    with service() as it:
        it.hold.clear()
        error = failure(f"http://{it.host}", timeout=0.1)
    assert isinstance(error, ErpUnavailable)
    assert error.status is None
    assert "ReadTimeout" in error.reason


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 302])
def test_an_answer_that_asks_for_patience_may_pass(status: int) -> None:
    with service(status, b"", {"Location": "/elsewhere"}) as it:
        error = failure(f"http://{it.host}")
    assert isinstance(error, ErpUnavailable)
    assert error.status == status


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_an_answer_that_says_no_will_not_pass(status: int) -> None:
    with service(status, b'{"detail": "credit of bob@example.com  is used up"}') as it:
        error = failure(f"http://{it.host}")
    assert isinstance(error, OrderRefused)
    assert (error.status, error.reason) == (status, "credit of <address> is used up")


@pytest.mark.parametrize(
    "body", [b"", b"<html>login</html>", b"[1]", b"null", b'{"sku": "x"}', b"[" * 100_000]
)
def test_a_success_that_is_not_the_expected_json_may_pass(body: bytes) -> None:
    with service(200, body) as it:
        error = failure(f"http://{it.host}")
    assert isinstance(error, ErpUnavailable)
    assert error.status == 200
    assert len(error.reason) <= 200


def test_a_body_that_is_not_what_its_header_says_may_pass() -> None:
    with service(201, GOOD, {"Content-Encoding": "gzip"}) as it:
        assert isinstance(failure(f"http://{it.host}"), ErpUnavailable)


def test_a_call_carries_its_key_and_the_id_of_the_request_that_caused_it() -> None:
    tokens = bind({"request_id": "req-1"})
    try:
        with service() as it:
            decrease(f"http://{it.host}/base/")
    finally:
        unbind(tokens)
    (call,) = it.calls
    assert call["path"] == "/base/inventory/x/decrements"
    assert (call["Idempotency-Key"], call["X-Request-ID"]) == ("k", "req-1")


def test_without_a_request_no_id_is_sent() -> None:
    with service() as it:
        decrease(f"http://{it.host}")
    assert "X-Request-ID" not in it.calls[0]


def test_the_password_is_sent_to_the_erp_and_shown_to_nobody() -> None:
    with service(500) as it:
        error = failure(f"http://shop:s3cr%2Ft@{it.host}")
    given = it.calls[0]["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(given) == b"shop:s3cr/t"
    refused = failure(f"http://shop:s3cr%2Ft@127.0.0.1:{free_port()}")
    shown = f"{error} {refused} {refused.__cause__!r} {error.args} {refused.args}"
    assert "s3cr" not in shown


def test_a_proxy_in_the_environment_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with service() as it:
        assert decrease(f"http://{it.host}") == {"sku": "x", "quantity": 1}
