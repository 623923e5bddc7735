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
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from benchmarks.drain import Setup, drain
from tests.support.flower import Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class Way:
    """How closely the workers are watched."""

    name: str
    kind: str
    history: bool
    events: bool
    base: bool = False
    """Whether the others of its kind are compared with it."""


WAYS = (
    Way("nothing", "expresslane", history=False, events=False, base=True),
    Way("history", "expresslane", history=True, events=False),
    Way("history, events, Flower", "expresslane", history=True, events=True),
    Way("Celery's own, nothing", "stock", history=False, events=False, base=True),
    Way("Celery's own, events, Flower", "stock", history=False, events=True),
)
SETUPS = (Setup("prefork", 2, 4, 1), Setup("threads", 10, 4, 1), Setup("solo", 1, 4, 1))


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.monitoring")
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pool", choices=[setup.pool for setup in SETUPS], action="append")
    arguments = parser.parse_args()
    setups = [setup for setup in SETUPS if setup.pool in (arguments.pool or [setup.pool])]
    found: dict[tuple[Setup, Way], list[Measured]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("draining", total=arguments.rounds * len(setups) * len(WAYS))
        for _ in range(arguments.rounds):
            for setup in setups:
                for way in WAYS:
                    found.setdefault((setup, way), []).append(measure(setup, way, arguments.jobs))
                    progress.advance(task)
    Console().print(table(setups, found))
    return 0


@dataclass(frozen=True)
class Measured:
    """What one drain took."""

    rate: float
    """Jobs a second. On a machine that does other work too, it tells of that as well."""
    cpu: float
    """Microseconds of the workers' processor time for a job, which tells of the workers alone."""


def measure(setup: Setup, way: Way, jobs: int) -> Measured:
    """Drain this way."""
    used: list[float] = []

    def check(server: Valkey) -> None:
        if way.history and way.kind == "expresslane":
            counted = json.loads(
                server.client.hget("expresslane-history-total", "bench.noop\x1fdefault") or "{}"
            )
            if counted.get("s") != jobs:
                raise SystemExit(f"{jobs} jobs ran, and the history has {counted}")

    env = {"BENCH_EVENTS": str(int(way.events)), "BENCH_HISTORY": str(int(way.history))}
    beside = flower if way.events else None
    rate = drain(
        *(setup, way.kind, jobs),
        more=env,
        beside=beside,
        watching=lambda workers: used.append(sum(cpu_seconds(one.pid) for one in workers)),
        afterwards=check,
    )
    return Measured(rate, (used[1] - used[0]) / jobs * 1_000_000)


def cpu_seconds(group: int) -> float:
    """Return the processor time of all processes of this group, as Linux tells it."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group:
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


@contextmanager
def flower(server: Valkey, directory: Path) -> Iterator[Flower]:
    """Run a Flower that listens to the events."""
    with Flower(directory / "flower.log", server, env={"STATE_DIR": str(directory)}) as running:
        running.wait_until_open()
        wait_for(server.client.pubsub_numpat, "Flower to listen to events")
        yield running
        shown = httpx.get(f"{running.url}/metrics", trust_env=False).text
        if "task-succeeded" not in shown:
            raise SystemExit("Flower has seen no job end")


def table(setups: list[Setup], found: dict[tuple[Setup, Way], list[Measured]]) -> Table:
    """Lay it out."""
    laid = Table("workers", "watched by", "jobs/s", "speed", "spread", "CPU us/job", "CPU speed")
    for setup in setups:
        for way in WAYS:
            base = next(one for one in WAYS if one.base and one.kind == way.kind)
            mine, bare = found[setup, way], found[setup, base]
            speeds = [one.rate / other.rate for one, other in zip(mine, bare, strict=True)]
            costs = [other.cpu / one.cpu for one, other in zip(mine, bare, strict=True)]
            laid.add_row(
                *(setup.name, way.name, f"{statistics.median(one.rate for one in mine):,.0f}"),
                *(f"{statistics.median(speeds):.2f}", f"{min(speeds):.2f} to {max(speeds):.2f}"),
                f"{statistics.median(one.cpu for one in mine):,.0f}",
                f"{statistics.median(costs):.2f}",
            )
    return laid


if __name__ == "__main__":
    sys.exit(main())
