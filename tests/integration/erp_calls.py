"""Calls to an ERP service, as short as the tests want them."""

from typing import Any
from uuid import uuid4

import httpx

from checkout_demo.catalogue import CATALOGUE

SKU = CATALOGUE[0].sku
OTHER_SKU = CATALOGUE[1].sku


def sale(order_id: str, **changes: Any) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "total": "12.50",
        "currency": "EUR",
        "customer": {"name": "Ada", "email": "ada@example.com"},
        "items": [{"sku": SKU, "quantity": 2, "price": "6.25"}],
        **changes,
    }


def new_id() -> str:
    return str(uuid4())


def post(http: httpx.Client, path: str, body: object, key: str) -> httpx.Response:
    return http.post(path, json=body, headers={"Idempotency-Key": key})


def take(
    http: httpx.Client, quantity: int, *, key: str, order_id: str = "1", sku: str = SKU
) -> httpx.Response:
    body = {"quantity": quantity, "order_id": order_id}
    return post(http, f"/inventory/{sku}/decrements", body, key)


def sales_of(http: httpx.Client, order_id: str) -> list[dict[str, Any]]:
    return [row for row in http.get("/sales").json() if row["order_id"] == order_id]


def left(http: httpx.Client, sku: str = SKU) -> int:
    stock = {row["sku"]: row["quantity"] for row in http.get("/inventory").json()}
    return int(stock[sku])


def same(first: httpx.Response, second: httpx.Response) -> bool:
    return (first.status_code, first.content) == (second.status_code, second.content)
