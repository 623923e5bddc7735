"""What the outbox costs a checkout: `place_order` with its three jobs, against the same without.

    python -m benchmarks.outbox --orders 200 --rounds 5

Both are the store's own transaction, on SQLite and on a PostgreSQL server of the run's own, with a
Valkey that the jobs are published to. Printed are the medians of the rounds, and their ratio with
the smallest and the largest. Jobs are published by another thread, after the commit:

request   what one buyer waits for. Calls of both kinds take turns in an order that the seed draws,
          and the thread is let finish in between; median time of a call.
busy      a store without a pause: all calls of a kind follow each other, in an order of kinds that
          the seed draws, and the thread takes its share of the processor and of the database's
          lock; mean time of a call, up to the end of the last publication.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.support.postgres import Postgres
from tests.support.valkey import Valkey

CART = [{"sku": "press-pot", "quantity": 1}, {"sku": "desk-mug", "quantity": 2}]
BUYER = {"name": "Ada Lovelace", "email": "ada@example.com"}

Call = Callable[[], object]


def main() -> int:
    """Measure, print; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.outbox")
    parser.add_argument("--orders", type=int, default=200, help="of each kind in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    console = Console()
    found = Table("measured", "database", "without jobs, ms", "with jobs, ms", "ratio", "spread")
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        directory = Path(name)
        bar = progress.add_task("rounds", total=2 * len(MEASURES) * arguments.rounds)
        with Valkey(directory) as valkey, Postgres() as postgres:
            os.environ.update(BROKER_URL=valkey.url, STATE_DIR=name)
            urls = {
                "SQLite": f"sqlite:///{directory / 'store.db'}",
                "PostgreSQL": postgres.make_database("store"),
            }
            for kind, url in urls.items():
                for measured, measure in MEASURES.items():
                    rounds = []
                    for number in range(arguments.rounds):
                        chance = random.Random(arguments.seed + number)  # noqa: S311 (no secret)
                        with calls(url) as three:
                            rounds.append(measure(*three, arguments.orders, chance))
                        progress.advance(bar)
                    found.add_row(measured, kind, *columns(rounds))
    console.print(found)
    return 0


@contextmanager
def calls(url: str) -> Iterator[tuple[Call, Call, Call]]:
    """Yield the call without jobs, the one with them, and what waits until they are published."""
    # Not before the environment says where the broker is.
    from checkout_demo import checkout as module  # noqa: PLC0415 (see above)
    from checkout_demo.checkout import place_order  # noqa: PLC0415 (see above)
    from checkout_demo.database import Database, hold_outbox  # noqa: PLC0415 (see above)
    from checkout_demo.migrate import prepare  # noqa: PLC0415 (see above)
    from tasks.outbox.publisher import publisher  # noqa: PLC0415 (see above)

    database = Database(url)
    prepare(database)
    hold_outbox(lambda: database)
    # In the mode that has no jobs, what follows in the request is left out: the transaction counts.
    checkout: Any = module
    perform, checkout.perform = checkout.perform, lambda *_: None
    try:
        yield (
            lambda: place_order(database, CART, BUYER, mode="inline"),
            lambda: place_order(database, CART, BUYER),
            lambda: publisher.flush(30),
        )
    finally:
        publisher.flush(30)
        checkout.perform = perform
        database.close()


def request(
    without: Call, with_jobs: Call, settle: Call, orders: int, chance: random.Random
) -> tuple[float, float]:
    """Return the median seconds of a call of each kind, between which nothing else goes on."""
    spent: dict[Call, list[float]] = {without: [], with_jobs: []}
    turns = [without, with_jobs] * orders
    chance.shuffle(turns)
    for call in (without, with_jobs):
        call()
    for call in turns:
        settle()
        began = time.perf_counter()
        call()
        spent[call].append(time.perf_counter() - began)
    return statistics.median(spent[without]), statistics.median(spent[with_jobs])


def busy(
    without: Call, with_jobs: Call, settle: Call, orders: int, chance: random.Random
) -> tuple[float, float]:
    """Return the mean seconds of a call of each kind, what goes on beside them included."""
    spent: dict[Call, float] = {}
    for call in chance.sample([without, with_jobs], 2):
        call()
        settle()
        began = time.perf_counter()
        for _ in range(orders):
            call()
        settle()
        spent[call] = (time.perf_counter() - began) / orders
    return spent[without], spent[with_jobs]


MEASURES = {"request": request, "busy": busy}


def columns(rounds: list[tuple[float, float]]) -> tuple[str, ...]:
    """Return the medians of what the rounds gave, their ratio and its spread."""
    ratios = [with_jobs / without for without, with_jobs in rounds]
    without, with_jobs = (statistics.median(each) * 1000 for each in zip(*rounds, strict=True))
    middle, spread = statistics.median(ratios), f"{min(ratios):.2f} to {max(ratios):.2f}"
    return f"{without:.2f}", f"{with_jobs:.2f}", f"{middle:.2f}", spread


if __name__ == "__main__":
    sys.exit(main())
