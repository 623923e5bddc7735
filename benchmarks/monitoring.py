"""What it costs to be watched: a drain of no-op jobs with Flower and events, against one without.

    python -m benchmarks.monitoring --jobs 10000 --rounds 3

In each round, one after the other: nothing at all (no events, no Flower, no history); with history;
with history, events and a running Flower; and Celery's own worker, without and with events and
Flower. After each drain the history must have counted every job, or the run ends with an error.

Printed are medians, and the ratio to the same worker with nothing, of each round: of the jobs a
second (speed), and of the jobs for a second of the workers' processor time (CPU speed), which other
work on the machine does not disturb as much.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.runner import Drained, Load, Place, place
from benchmarks.sides import EXPRESSLANE, STOCK, Side
from tests.support.flower import Flower
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class Way:
    """How closely the workers are watched."""

    name: str
    side: Side
    history: bool
    events: bool
    base: bool = False
    """Whether the others of its side are compared with it."""


WAYS = (
    Way("nothing", EXPRESSLANE, history=False, events=False, base=True),
    Way("history", EXPRESSLANE, history=True, events=False),
    Way("history, events, Flower", EXPRESSLANE, history=True, events=True),
    Way("Celery's own, nothing", STOCK, history=False, events=False, base=True),
    Way("Celery's own, events, Flower", STOCK, history=False, events=True),
)
POOLS = ("prefork", "threads", "solo")


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pool", choices=POOLS, action="append")
    arguments = parser.parse_args()
    pools = arguments.pool or POOLS
    found: dict[tuple[str, Way], list[Drained]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("draining", total=arguments.rounds * len(pools) * len(WAYS))
        for _ in range(arguments.rounds):
            for pool in pools:
                for way in WAYS:
                    found.setdefault((pool, way), []).append(measure(pool, way, arguments.jobs))
                    progress.advance(task)
    Console().print(table(pools, found))
    return 0


def measure(pool: str, way: Way, jobs: int) -> Drained:
    """Drain this way."""
    env = {"BENCH_EVENTS": str(int(way.events)), "BENCH_HISTORY": str(int(way.history))}
    with place(way.side, Load(pool, env=env)) as made:
        with flower(made) if way.events else nullcontext():
            drained = made.drain(jobs)
        if way.history and way.side is EXPRESSLANE:
            name = "bench.noop\x1fdefault"
            total = made.server.client.hget("expresslane-history-total", name)
            counted = json.loads(str(total, "utf-8") if isinstance(total, bytes) else "{}")
            if counted.get("s") != jobs:
                raise SystemExit(f"{jobs} jobs ran, and the history has {counted}")
        return drained


@contextmanager
def flower(made: Place) -> Iterator[None]:
    """Run a Flower that listens to the events."""
    log, env = made.directory / "flower.log", {"STATE_DIR": str(made.directory)}
    with Flower(log, made.server, env=env) as running:
        running.wait_until_open()
        wait_for(made.server.client.pubsub_numpat, "Flower to listen to events")
        yield
        shown = httpx.get(f"{running.url}/metrics", trust_env=False).text
        if "task-succeeded" not in shown:
            raise SystemExit("Flower has seen no job end")


def table(pools: Sequence[str], found: dict[tuple[str, Way], list[Drained]]) -> Table:
    """Lay it out."""
    laid = Table("workers", "watched by", "jobs/s", "speed", "spread", "CPU us/job", "CPU speed")
    for pool in pools:
        for way in WAYS:
            base = next(one for one in WAYS if one.base and one.side == way.side)
            mine, bare = found[pool, way], found[pool, base]
            speeds = [one.rate / other.rate for one, other in zip(mine, bare, strict=True)]
            costs = [other.cpu / one.cpu for one, other in zip(mine, bare, strict=True)]
            laid.add_row(
                *(pool, way.name, f"{statistics.median(one.rate for one in mine):,.0f}"),
                *(f"{statistics.median(speeds):.2f}", f"{min(speeds):.2f} to {max(speeds):.2f}"),
                f"{statistics.median(one.cpu for one in mine):,.0f}",
                f"{statistics.median(costs):.2f}",
            )
    return laid


if __name__ == "__main__":
    sys.exit(main())
