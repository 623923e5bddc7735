"""The client of the ERP service.

Each call carries an idempotency key: the ERP does a call once for one key, however often it comes.
A key stands for one call only, so two calls of one job need two keys.
"""

from types import TracebackType
from typing import Any, Final, Self, TypedDict
from urllib.parse import quote

import httpx

from checkout_demo.effects.errors import ErpUnavailable, OrderRefused
from config.bound import bound
from config.secret import SecretStr
from config.settings import credentials, without_password

# 408 Request Timeout, 425 Too Early, 429 Too Many Requests: the client's turn to come again later.
_LATER: Final = frozenset({408, 425, 429})


class SaleCustomer(TypedDict):
    """Who bought."""

    name: str
    email: str


class SaleItem(TypedDict):
    """One line of an order; the price of one piece as a decimal string."""

    sku: str
    quantity: int
    price: str


class Sale(TypedDict):
    """An order as the ERP wants it; `total` is a decimal string, `currency` an ISO 4217 code."""

    order_id: str
    total: str
    currency: str
    customer: SaleCustomer
    items: list[SaleItem]


class ErpClient:
    """Calls to one ERP service over connections that are kept open; safe to share by threads.

    `timeout` is in seconds and bounds each step: to connect, to send, to wait for the next bytes.
    """

    def __init__(self, url: SecretStr, *, timeout: float) -> None:
        user, password = credentials(url)
        base = without_password(url)
        self._http = httpx.Client(
            base_url=base,
            # Not left in the address: httpx shows addresses in its logs and errors.
            auth=httpx.BasicAuth(user or "", password or "") if user or password else None,
            timeout=timeout,
            # Proxies and .netrc come from the environment, which only config/ reads.
            trust_env=False,
            # Reading the CA certificates takes longer than a whole call in the clear.
            verify=base.startswith("https:"),
        )

    def record_sale(self, sale: Sale, key: str) -> dict[str, Any]:
        """Record an order as sold, once for this key: `{"sale_id", "order_id", "total"}`.

        Raises:
            ErpUnavailable: when it may work later, with the same key.
            OrderRefused: when it will not.

        """
        wanted = {"sale_id", "order_id", "total"}
        return self._post("/sales", sale, sale["order_id"], key, wanted)

    def decrease_inventory(
        self, sku: str, quantity: int, order_id: str, key: str
    ) -> dict[str, Any]:
        """Take pieces from the stock, once for this key: `{"sku", "quantity"}`, what is left.

        Raises:
            ErpUnavailable: when it may work later, with the same key.
            OrderRefused: when it will not: an unknown sku, or too little left.

        """
        path = f"/inventory/{quote(sku, safe='')}/decrements"
        body = {"quantity": quantity, "order_id": order_id}
        return self._post(path, body, order_id, key, {"sku", "quantity"})

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _post(
        self, path: str, body: object, order_id: str, key: str, wanted: set[str]
    ) -> dict[str, Any]:
        headers = {"Idempotency-Key": key}
        if request_id := bound("request_id"):
            headers["X-Request-ID"] = request_id
        try:
            response = self._http.post(path, json=body, headers=headers)
        except httpx.RequestError as error:
            raise ErpUnavailable(order_id, None, f"{type(error).__name__}: {error}") from error
        return _answer(response, order_id, wanted)


def _answer(response: httpx.Response, order_id: str, wanted: set[str]) -> dict[str, Any]:
    status = response.status_code
    if response.is_client_error and status not in _LATER:
        raise OrderRefused(order_id, status, _reason(response))
    if not response.is_success:
        raise ErpUnavailable(order_id, status, _reason(response))
    answer = _json(response)
    if not isinstance(answer, dict) or not wanted <= answer.keys():
        raise ErpUnavailable(order_id, status, f"not the JSON expected: {response.text}")
    return answer


def _reason(response: httpx.Response) -> str:
    answer = _json(response)
    if isinstance(answer, dict) and "detail" in answer:
        return str(answer["detail"])
    return response.text or response.reason_phrase


def _json(response: httpx.Response) -> object:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None
