"""`make demo-order`: buy something in the running demo, and watch the order's jobs to their end."""

import sys
import time
from typing import Any
from uuid import uuid4

import httpx
from rich.console import Console
from rich.live import Live
from rich.table import Table

from checkout_demo.settings import store_settings

PATIENCE = 120.0
"""Seconds until this gives up. With all parts up, jobs are final within a second or two."""
_FINAL = {"Complete", "Failed", "Cancelled", "Unknown"}


def main() -> int:
    """Place the order; return 0 if all its jobs are Complete."""
    console = Console(highlight=False)
    base = f"http://127.0.0.1:{store_settings().store_port}"
    try:
        with httpx.Client(base_url=base, timeout=10, trust_env=False) as store:
            order = place(store)
            console.print(f"Order {order['order_id']}: {order['total']} {order['currency']}")
            console.print(f"  {httpx.URL(base).join(order['url'])}", soft_wrap=True)
            return 0 if watch(store, order["jobs"], console) else 1
    except httpx.ConnectError:
        console.print(f"No store answers at {base}. Start it first, in another terminal: make demo")
        return 1
    except httpx.HTTPError as error:
        console.print(f"The store could not take the order: {error}")
        return 1


def place(store: httpx.Client) -> dict[str, Any]:
    """Order two of the first product and one of the second; return the store's answer."""
    products = store.get("/api/products").raise_for_status().json()
    items = [
        {"sku": product["sku"], "quantity": quantity}
        for product, quantity in zip(products, (2, 1), strict=False)
    ]
    cart = {"customer": {"name": "Ada", "email": "ada@example.com"}, "items": items}
    key = {"Idempotency-Key": str(uuid4())}
    answer = store.post("/api/orders", json=cart, headers=key).raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def watch(store: httpx.Client, jobs: list[dict[str, str]], console: Console) -> bool:
    """Show the jobs until all are final; tell whether all are Complete."""
    end = time.monotonic() + PATIENCE
    with Live(console=console, refresh_per_second=8) as live:
        while True:
            found = [store.get(job["status_url"]).json() for job in jobs]
            live.update(_table(jobs, found))
            states = {status["status"] for status in found}
            if states <= _FINAL or time.monotonic() > end:
                return states == {"Complete"}
            time.sleep(0.2)


def _table(jobs: list[dict[str, str]], found: list[dict[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for job, status in zip(jobs, found, strict=True):
        attempts = f"attempt {status['attempts']}" if status["attempts"] else ""
        table.add_row(f"  {job['task']}", status["status"], attempts, status["error"] or "")
    return table


if __name__ == "__main__":
    sys.exit(main())
