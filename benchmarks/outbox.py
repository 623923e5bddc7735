"""What the outbox costs a checkout: `place_order` with its three jobs, against the same without.

    python -m benchmarks.outbox --orders 200 --rounds 5

Both are the store's own transaction, on SQLite and on a PostgreSQL server of the run's own, with a
Valkey that the jobs are published to. Within a round the two take turns in an order that the seed
draws. Printed are the median times of a call, and the median over the rounds of their ratio, with
the smallest and the largest. The jobs' publication goes on in another thread: in the first table it
is waited for between two calls, outside of the time that counts, as in a store with room to spare;
in the second, calls follow each other at once, and it takes its share of the same processor.
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
    found = {
        "idle": Table("database", "without jobs, ms", "with jobs, ms", "ratio", "spread"),
        "saturated": Table("database", "without jobs, ms", "with jobs, ms", "ratio", "spread"),
    }
    with tempfile.TemporaryDirectory() as name, Progress(console=console) as progress:
        directory = Path(name)
        total = len(found) * 2 * arguments.rounds
        bar = progress.add_task("rounds", total=total)
        with Valkey(directory) as valkey, Postgres() as postgres:
            os.environ.update(BROKER_URL=valkey.url, STATE_DIR=name)
            urls = {
                "SQLite": f"sqlite:///{directory / 'store.db'}",
                "PostgreSQL": postgres.make_database("store"),
            }
            for kind, url in urls.items():
                for mode, table in found.items():
                    rounds = []
                    for number in range(arguments.rounds):
                        chance = random.Random(arguments.seed + number)  # noqa: S311 (no secret)
                        with calls(url) as (without, with_jobs, settle):
                            rounds.append(
                                one_round(
                                    without,
                                    with_jobs,
                                    settle if mode == "idle" else lambda: None,
                                    arguments.orders,
                                    chance,
                                )
                            )
                        progress.advance(bar)
                    add(table, kind, rounds)
    console.print("Calls with a pause, in which jobs are published:", found["idle"])
    console.print(
        "Calls one after the other, beside the thread that publishes:", found["saturated"]
    )
    return 0


@contextmanager
def calls(url: str) -> Iterator[tuple[Call, Call, Call]]:
    """Yield the call without jobs, the one with them, and what waits until they are published."""
    # Not before the environment says where the broker is.
    from checkout_demo import checkout  # noqa: PLC0415 (see above)
    from checkout_demo.checkout import place_order  # noqa: PLC0415 (see above)
    from checkout_demo.database import Database, hold_outbox  # noqa: PLC0415 (see above)
    from checkout_demo.migrate import prepare  # noqa: PLC0415 (see above)
    from tasks.outbox.publisher import publisher  # noqa: PLC0415 (see above)

    database = Database(url)
    prepare(database)
    hold_outbox(lambda: database)
    # In the mode that has no jobs, what follows in the request is left out: the transaction counts.
    perform, checkout.perform = checkout.perform, lambda *_: None  # type: ignore[assignment] # for a while
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


def one_round(
    without: Call, with_jobs: Call, settle: Call, orders: int, chance: random.Random
) -> tuple[float, float]:
    """Return the median seconds of a call of each kind."""
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


def add(table: Table, kind: str, rounds: list[tuple[float, float]]) -> None:
    """Add what the rounds on one database gave."""
    ratios = [with_jobs / without for without, with_jobs in rounds]
    without, with_jobs = (statistics.median(each) * 1000 for each in zip(*rounds, strict=True))
    table.add_row(
        *(kind, f"{without:.2f}", f"{with_jobs:.2f}", f"{statistics.median(ratios):.2f}"),
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    )


if __name__ == "__main__":
    sys.exit(main())
