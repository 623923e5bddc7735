"""How the cost of a job grows: with the queue's length, with queues, with workers, with its data.

    python -m benchmarks.growth --rounds 3 --only queued --only payload

One thing grows while the others stay: 1,000 jobs queued, one queue, one worker without a pool
(solo, results ignored, prefetch x4), 100 bytes of data. Each size is measured on a fresh Valkey, in
an order that the seed draws. What a job costs is told by the server itself: commands (INFO
commandstats, those inside scripts included), processor time (INFO cpu) and bytes on the wire (INFO
stats) for each job that was published and run; memory is what the queue adds while it waits (INFO
memory).
Each job must have run exactly once, or the run ends with an error.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import cpu_seconds
from benchmarks.results import RESULTS, Report, write_page
from benchmarks.runner import Load, Place, place
from benchmarks.sides import Side
from benchmarks.table import markdown
from benchmarks.turns import turns
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class Size:
    """What grows. Of all that is queued, `run` jobs are run."""

    queued: int = 1_000
    queues: int = 1
    workers: int = 1
    payload: int = 100
    """Bytes of data in each job."""
    run: int = 1_000

    def part(self, part: float) -> "Size":
        """Return the same with so many of the jobs."""
        return replace(self, queued=int(self.queued * part), run=int(self.run * part))


GROWTH = {
    "queued": [Size(queued=number) for number in (1_000, 100_000, 1_000_000)],
    "queues": [Size(queues=number) for number in (1, 8, 64)],
    "workers": [Size(workers=number, queued=8_000, run=8_000) for number in (1, 2, 4, 8)],
    "payload": [
        Size(payload=100),
        Size(payload=10_000),
        Size(payload=100_000, queued=500, run=500),
        Size(payload=1_000_000, queued=100, run=100),
    ],
}

HEADINGS = (
    *(
        "grows",
        "queued",
        "queues",
        "workers",
        "data, bytes",
        "commands a job",
        "server CPU, us a job",
    ),
    *("on the wire, bytes a job", "memory a queued job, bytes"),
    *("publishing, us of CPU a job", "worker, us of CPU a job", "jobs/s"),
)


@dataclass(frozen=True)
class Cost:
    """What one job cost."""

    commands: float
    server_cpu: float
    wire: float
    memory: float
    publishing: float
    worker_cpu: float
    rate: float

    @property
    def cells(self) -> list[str]:
        """The texts of its columns."""
        numbers = [getattr(self, name) for name in self.__dataclass_fields__]
        return [f"{number:,.0f}" if number >= 100 else f"{number:.3g}" for number in numbers]


@dataclass(frozen=True)
class Counters:
    """The server's own counts since its start."""

    commands: float
    cpu: float
    wire: float

    def since(self, before: "Counters", jobs: int) -> "Counters":
        """Return what has come since then, for each of so many jobs."""
        return Counters(
            (self.commands - before.commands) / jobs,
            (self.cpu - before.cpu) / jobs,
            (self.wire - before.wire) / jobs,
        )

    @classmethod
    def of(cls, made: Place) -> "Counters":
        """Read them; the read itself is one command."""
        told: dict[str, Any] = made.server.client.info("everything")
        calls = sum(stat["calls"] for name, stat in told.items() if name.startswith("cmdstat_"))
        cpu = told["used_cpu_user"] + told["used_cpu_sys"]
        return cls(calls, cpu, told["total_net_input_bytes"] + told["total_net_output_bytes"])


def measure(size: Size) -> Cost:
    """Publish, run, and return what a job of this size cost."""
    env = {
        "BENCH_QUEUES": str(size.queues),
        "BENCH_WORKERS": str(size.workers),
        "BENCH_PAYLOAD": str(size.payload),
    }
    load = Load("growth", processes=size.workers, env=env)
    with place(Side("Expresslane", "growing"), load) as made:
        made.publish("bulk", -size.queues, size.queues)  # connections, patterns, scripts
        memory, before = used_memory(made), Counters.of(made)
        took = made.publish("bulk", 0, size.queued)
        published = Counters.of(made).since(before, size.queued)
        memory = used_memory(made) - memory
        run, worker_cpu, rate = drain(made, size)
    return Cost(
        commands=published.commands + run.commands,
        server_cpu=(published.cpu + run.cpu) * 1e6,
        wire=published.wire + run.wire,
        memory=memory / size.queued,
        publishing=took["cpu"] / size.queued * 1e6,
        worker_cpu=worker_cpu,
        rate=rate,
    )


def drain(made: Place, size: Size) -> tuple[Counters, float, float]:
    """Run `size.run` of the jobs.

    Return the server's share for each, microseconds of the workers' processor time for each, and
    jobs a second.
    """
    made.start_workers()
    wait_for(made.all_run_jobs, "jobs on each worker", every=0.005)
    first, began = len(made.tally), perf_counter()
    used, before = cpu_seconds(*made.sessions), Counters.of(made)
    all_of_them = size.run >= size.queued
    made.wait_for(size.queued + size.queues if all_of_them else first + size.run)
    seconds, ran = perf_counter() - began, len(made.tally) - first
    run = Counters.of(made).since(before, ran)
    used = cpu_seconds(*made.sessions) - used
    made.stop_workers()
    if all_of_them:
        made.tally.check(range(size.queued))
    elif len({one.number for one in made.tally.runs()}) < len(made.tally):
        raise SystemExit(f"{size}: a job ran twice")
    return run, used / ran * 1e6, ran / seconds


def used_memory(made: Place) -> int:
    """Return the bytes that the server holds."""
    told: dict[str, Any] = made.server.client.info("memory")
    return int(told["used_memory"])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write the results down; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=GROWTH, action="append", help="what grows")
    parser.add_argument("--part", type=float, default=1.0, help="of the jobs: 0.1 for a short look")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, default=RESULTS, help="directory of the results")
    asked = parser.parse_args(argv)
    console = Console(stderr=True)
    report = Report("growth", asked.seed, asked.rounds, 1_000)
    sizes = [
        (what, size.part(asked.part)) for what in asked.only or GROWTH for size in GROWTH[what]
    ]
    every = list(dict.fromkeys(size for _, size in sizes))
    found: dict[Size, list[Cost]] = {size: [] for size in every}
    for size, _ in turns(every, report, console, str):
        found[size].append(measure(size))
    lines = [line(what, size, found[size]) for what, size in sizes]
    table = Table(*HEADINGS)
    for cells in lines:
        table.add_row(*cells)
    Console().print(table)
    for file in write_page(report, markdown(HEADINGS, lines), {}, asked.into):
        console.print(f"written: {file}")
    return 0


def line(what: str, size: Size, costs: Sequence[Cost]) -> list[str]:
    """Return a row of the table: the size, and the median of each figure."""
    names = Cost.__dataclass_fields__
    middle = Cost(
        **{name: statistics.median(getattr(one, name) for one in costs) for name in names}
    )
    of_size = (size.queued, size.queues, size.workers, size.payload)
    return [what, *(f"{number:,}" for number in of_size), *middle.cells]


if __name__ == "__main__":
    sys.exit(main())
