"""Customers who order all the time, and ask again with the same key until they are answered."""

import random
import time
from collections.abc import Sequence
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from checkout_demo.catalogue import CATALOGUE

SKUS = [product.sku for product in CATALOGUE]

CREATED, KNOWN = 201, 200
BUSY = (500, 502, 503, 504)

PATIENCE = 10.0
"""Seconds that a customer waits for an answer."""


class Customers:
    """Some threads that order until they are sent home."""

    def __init__(
        self, ports: Sequence[int], chance: random.Random, *, number: int, pause: float
    ) -> None:
        self._ports = ports
        self._pause = pause
        self._lock = Lock()
        self._closed = Event()
        self.answered: dict[str, str] = {}
        """Order's id by its key: all that were answered 200 or 201."""
        self.other_order: list[str] = []
        """Keys that were answered with two different orders."""
        self.refused = 0
        """Answers of 5xx."""
        self.cut_off = 0
        """Requests without an answer: the server was killed, or was not there."""
        self.unexpected: list[str] = []
        """Answers that no customer should get."""
        self._threads = [
            Thread(target=self._shop, args=(random.Random(chance.random()),))  # noqa: S311
            for _ in range(number)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.go_home()

    def go_home(self) -> None:
        """Order no more; what is on its way is still asked for."""
        self._closed.set()
        for thread in self._threads:
            thread.join()

    def _shop(self, chance: random.Random) -> None:
        with httpx.Client(trust_env=False, timeout=PATIENCE) as client:
            while not self._closed.is_set():
                self._order(client, chance)
                self._closed.wait(chance.uniform(0, 2 * self._pause))

    def _order(self, client: httpx.Client, chance: random.Random) -> None:
        key, body = uuid4().hex, _cart(chance)
        # Who has gone home asks a little longer for what was begun.
        end = time.monotonic() + 3 * PATIENCE
        while time.monotonic() < end:
            port = chance.choice(self._ports)
            try:
                answer = client.post(
                    f"http://127.0.0.1:{port}/api/orders",
                    json=body,
                    headers={"Idempotency-Key": key},
                )
            except httpx.TransportError:
                with self._lock:
                    self.cut_off += 1
                time.sleep(0.1)  # so long, a real customer would take as well
                continue
            if self._note(key, answer):
                # One in ten is impatient, and sends the same once more.
                if chance.random() > 0.1:
                    return
            else:
                time.sleep(0.1)  # likewise

    def _note(self, key: str, answer: httpx.Response) -> bool:
        with self._lock:
            if answer.status_code in (CREATED, KNOWN):
                order_id = answer.json()["order_id"]
                if self.answered.setdefault(key, order_id) != order_id:
                    self.other_order.append(key)
                return True
            if answer.status_code in BUSY:
                self.refused += 1
                return False
            self.unexpected.append(f"{answer.status_code} {answer.text[:200]}")
            return True


def _cart(chance: random.Random) -> dict[str, Any]:
    skus = chance.sample(SKUS, chance.randint(1, 3))
    return {
        "customer": {"name": "Ada Lovelace", "email": "ada@example.com"},
        "items": [{"sku": sku, "quantity": chance.randint(1, 3)} for sku in skus],
    }
