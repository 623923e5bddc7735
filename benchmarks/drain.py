"""How fast workers drain a queue of no-op jobs: this project's transport against Celery's own.

    python -m benchmarks.drain --jobs 4000 --rounds 3

Both run the same tasks with the same settings, late acknowledgement included, one after the other
in each round, each on a fresh Valkey. Printed is the median of the rounds and its ratio to Celery's
own; each job must have run exactly once, or the run ends with an error.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.support.programs import ROOT, Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for


@dataclass(frozen=True)
class Setup:
    """Workers of one kind."""

    pool: str
    concurrency: int
    multiplier: int
    workers: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.workers} x {self.pool} {self.concurrency}, prefetch x{self.multiplier}"


SETUPS = (
    Setup("prefork", 2, 4, 1),
    Setup("threads", 10, 4, 1),
    # The fastest that Celery's own transport was found to be with no-op jobs.
    Setup("solo", 1, 4, 2),
)
KINDS = ("stock", "expresslane")


def main() -> int:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drain")
    parser.add_argument("--jobs", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    rates: dict[tuple[Setup, str], list[float]] = {}
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("draining", total=arguments.rounds * len(SETUPS) * len(KINDS))
        for _ in range(arguments.rounds):
            for setup in SETUPS:
                for kind in KINDS:
                    rate = drain(setup, kind, arguments.jobs)
                    rates.setdefault((setup, kind), []).append(rate)
                    progress.advance(task)
    Console().print(table(rates))
    return 0


def drain(
    setup: Setup,
    kind: str,
    jobs: int,
    *,
    more: Mapping[str, str] | None = None,
    beside: Callable[[Valkey, Path], AbstractContextManager[object]] | None = None,
    watching: Callable[[list[Program]], object] = lambda _: None,
    afterwards: Callable[[Valkey], object] = lambda _: None,
) -> float:
    """Return how many jobs a second these workers have run.

    Args:
        setup: the workers.
        kind: one of `KINDS`.
        jobs: how many.
        more: what is added to the workers' environment.
        beside: starts what runs meanwhile, given the server and a directory.
        watching: called with the workers after the first job and after the last.
        afterwards: called with the server when all have ended, the workers too.

    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        with Valkey(directory) as server:
            env = {"BROKER_URL": server.url, "STATE_DIR": name, "BENCH_KIND": kind, **(more or {})}
            publish(env, jobs, directory)
            with nullcontext() if beside is None else beside(server, directory):
                workers = [start(setup, number, env, directory) for number in range(setup.workers)]
                try:
                    wait_for(lambda: done(server) > 0, "the first job", every=0.001)
                    watching(workers)
                    began, first = time.perf_counter(), done(server)
                    wait_for(
                        lambda: done(server) >= jobs, "the last job", every=0.002, patience=300
                    )
                    rate = (jobs - first) / (time.perf_counter() - began)
                    watching(workers)
                finally:
                    for worker in workers:
                        worker.stop()
                afterwards(server)
            ran = done(server)
            if ran != jobs:
                raise SystemExit(f"{kind}: {jobs} jobs were published and {ran} ran")
            return rate


def publish(env: dict[str, str], jobs: int, directory: Path) -> None:
    """Fill the queue."""
    argv = [sys.executable, "-m", "benchmarks.drain_jobs", str(jobs)]
    producer = Program(argv, log=directory / "producer.log", env=env, cwd=ROOT)
    if producer.process.wait(300):
        raise SystemExit(producer.output())


def start(setup: Setup, number: int, env: dict[str, str], directory: Path) -> Program:
    """Start one worker, without waiting for it."""
    argv = [
        *(sys.executable, "-m", "celery", "-A", "benchmarks.drain_jobs", "worker", "-Q", "default"),
        *("--pool", setup.pool, "--concurrency", str(setup.concurrency), "-n", f"w{number}@%h"),
        *("--prefetch-multiplier", str(setup.multiplier), "-l", "WARNING"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]
    return Program(argv, log=directory / f"worker{number}.log", env={**os.environ, **env})


def done(server: Valkey) -> int:
    """Return how many jobs have run."""
    return int(server.client.get("ran") or 0)


def table(rates: dict[tuple[Setup, str], list[float]]) -> Table:
    """Lay the rates out."""
    found = Table("workers", "Celery's own, jobs/s", "Expresslane, jobs/s", "ratio", "spread")
    for setup in SETUPS:
        stock, ours = (rates[setup, kind] for kind in KINDS)
        ratios = [mine / theirs for mine, theirs in zip(ours, stock, strict=True)]
        found.add_row(
            *(setup.name, f"{statistics.median(stock):,.0f}", f"{statistics.median(ours):,.0f}"),
            *(f"{statistics.median(ratios):.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}"),
        )
    return found


if __name__ == "__main__":
    sys.exit(main())
