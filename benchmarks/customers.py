"""Customers of the store: as many at a time as there are, or as the clock says (an open loop).

One request, one connection, as a buyer's browser makes it. A bare HTTP/1.1 client over asyncio: one
for every purpose would take more of the processor than the store does.
"""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from uuid import UUID

PATIENCE = 10.0
"""Seconds that a buyer waits for an answer before leaving."""

SKUS = ("press-pot", "desk-mug")


@dataclass(frozen=True)
class Bought:
    """What one buyer met with."""

    at: float
    """Seconds from the beginning until the buyer came."""
    took: float
    """Seconds from then until the answer, or until the buyer left without one."""
    status: int
    """HTTP's; 0 where no answer came in time."""
    order_id: str | None = None

    @property
    def is_served(self) -> bool:
        """Whether the buyer was told that the order is placed."""
        return self.order_id is not None


def schedule(rate: float, seconds: float, seed: int) -> list[float]:
    """Return the moments at which buyers come: independent of each other, `rate` a second."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    moments, moment = [], chance.expovariate(rate)
    while moment < seconds:
        moments.append(moment)
        moment += chance.expovariate(rate)
    return moments


async def open_loop(
    port: int, moments: Sequence[float], seed: int, *, patience: float = PATIENCE
) -> list[Bought]:
    """Have a buyer come at each of these moments, however many still wait."""
    began, chance = perf_counter(), random.Random(str(seed))  # noqa: S311 (no secret)
    coming = []
    for moment in moments:
        await asyncio.sleep(began + moment - perf_counter())
        key = UUID(int=chance.getrandbits(128))
        coming.append(asyncio.create_task(_buy(port, began, moment, key, patience)))
    return list(await asyncio.gather(*coming))


async def closed_loop(port: int, buyers: int, seconds: float, seed: int) -> list[Bought]:
    """Have so many buyers order one after the other for a while."""
    began, chance = perf_counter(), random.Random(str(seed))  # noqa: S311 (no secret)
    bought: list[Bought] = []

    async def one() -> None:
        while (now := perf_counter() - began) < seconds:
            bought.append(await _buy(port, began, now, UUID(int=chance.getrandbits(128)), PATIENCE))

    await asyncio.gather(*(one() for _ in range(buyers)))
    return bought


async def _buy(port: int, began: float, moment: float, key: UUID, patience: float) -> Bought:
    body = json.dumps(
        {
            "customer": {"name": "Ada Lovelace", "email": "ada@example.com"},
            "items": [{"sku": SKUS[key.int % len(SKUS)], "quantity": 1 + key.int % 3}],
        }
    ).encode()
    head = (
        f"POST /api/orders HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    try:
        async with asyncio.timeout(began + moment + patience - perf_counter()):
            answer = await _exchange(port, head + body)
    except (OSError, TimeoutError):
        return Bought(moment, perf_counter() - began - moment, 0)
    took = perf_counter() - began - moment
    first, _, rest = answer.partition(b"\r\n")
    status = int(first.split()[1]) if first.startswith(b"HTTP/") else 0
    placed = json.loads(rest.partition(b"\r\n\r\n")[2])["order_id"] if status == 201 else None
    return Bought(moment, took, status, placed)


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()
