"""One measurement: a fresh server, a side's producer and its workers, and the proof that all ran.

For a drain the queue is filled first, and then the workers are started. The time begins when the
last of their processes has run its first job, so that no program's start is in it.
"""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_seconds
from benchmarks.sides import Producer, Side
from benchmarks.tally import FILE_VARIABLE, Ran, Tally
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

PROCESSES = 2
"""Processes that run jobs, on every side of a comparison."""

_BURST = 50
"""Jobs that warm up, at a time."""
_MOST_BURSTS = 40


@dataclass(frozen=True)
class Load:
    """What is to be run, and by which workers."""

    workers: str = "noop"
    """Which of the side's command lines."""
    results: bool = False
    processes: int = PROCESSES
    """How many of them run jobs."""
    env: Mapping[str, str] | None = None
    """What is added to the environment of all."""

    @property
    def waits(self) -> bool:
        """Whether a job waits for 20 ms."""
        return self.workers == "io"


@dataclass(frozen=True)
class Drained:
    """What it took to run jobs that waited in a queue."""

    rate: float
    """Jobs a second, from the first job of the last process to begin until the last job."""
    cpu: float
    """Microseconds of the workers' processor time for a job."""
    runs: Sequence[Ran]


class TooFew(Exception):
    """One process ran most jobs before the other had begun: that tells nothing of both."""


class Place:
    """A side with a server, a tally and a producer of its own."""

    def __init__(self, side: Side, load: Load, server: Valkey, directory: Path) -> None:
        self.side = side
        self.server = server
        self.directory = directory
        self.tally = Tally(directory / "tally")
        self.load = load
        self.env = {
            **dict.fromkeys(("BENCH_URL", "BROKER_URL", "RQ_REDIS_URL"), server.url),
            "STATE_DIR": str(directory),
            FILE_VARIABLE: str(self.tally.file),
            "BENCH_RESULTS": str(int(load.results)),
            "BENCH_WAITS": str(int(load.waits)),
            **(load.env or {}),
        }
        self._log = (directory / "producer.log").open("ab")
        self.producer = Producer(side, self.env, self._log.fileno())
        self.workers: list[Program] = []
        self._warmed = 0

    def start_workers(self) -> None:
        """Start the workers."""
        for number, argv in enumerate(
            self.producer.ask(do="describe")["workers"][self.load.workers]
        ):
            log = self.directory / f"worker{number}.log"
            self.workers.append(Program(argv, log=log, env=self.side.environment(self.env)))

    def publish(self, do: str, first: int, count: int) -> Mapping[str, Any]:
        """Publish jobs, and return what it took: see `peers/protocol.py`."""
        return self.producer.ask(do=do, first=first, count=count)

    def warm_up(self) -> None:
        """Run jobs until each process has run some, and the queue is empty again."""
        for _ in range(_MOST_BURSTS):
            self._warmed += _BURST
            self.publish("one", -self._warmed, _BURST)
            self.wait_for(self._warmed)
            if self.all_run_jobs():
                return
        raise SystemExit(f"{self.side.name}: fewer than {self.load.processes} processes run jobs")

    def wait_for(self, jobs: int, *, every: float = 0.005) -> None:
        """Wait until so many jobs have run in all."""
        wait_for(
            lambda: len(self.tally) >= jobs,
            f"{jobs} jobs of {self.side.name}",
            every=every,
            patience=300,
            doing=self._check_alive,
        )

    def drain(self, jobs: int) -> Drained:
        """Fill the queue, start the workers, and wait until they have drained it.

        Raises:
            TooFew: when the last process began to run jobs too late to measure anything.

        """
        self.publish("bulk", 0, jobs)
        self.start_workers()
        wait_for(
            lambda: self.all_run_jobs() or len(self.tally) >= jobs,
            f"jobs on each process of {self.side.name}",
            every=0.01,
        )
        used, before = cpu_seconds(*self.sessions), len(self.tally)
        self.wait_for(jobs)
        used = cpu_seconds(*self.sessions) - used
        self.stop_workers()
        runs = self.tally.check(range(jobs))
        firsts = {ran.pid: position for position, ran in reversed(list(enumerate(runs)))}
        first = sorted([*firsts.values(), jobs])[self.load.processes - 1]
        if min(jobs - first, jobs - before) < jobs / 3:
            raise TooFew(f"{self.side.name}: of {jobs} jobs {first} ran before the last process")
        seconds = (runs[-1].at - runs[first].at) / 1e9
        return Drained((jobs - 1 - first) / seconds, used / (jobs - before) * 1e6, runs)

    def all_run_jobs(self) -> bool:
        """Tell whether each process has run a job."""
        self._check_alive()
        return len({ran.pid for ran in self.tally.runs()}) >= self.load.processes

    @property
    def sessions(self) -> list[int]:
        """The sessions of the workers' processes."""
        return [worker.pid for worker in self.workers]

    def stop_workers(self) -> None:
        """End them as an operator does; what is left of their groups is killed."""
        for worker in self.workers:
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        for worker in self.workers:
            worker.stop()
            with suppress(ProcessLookupError):
                worker.kill()
        self.workers.clear()

    def close(self) -> None:
        """End all of it."""
        self.stop_workers()
        self.producer.close()
        self._log.close()

    def _check_alive(self) -> None:
        for worker in self.workers:
            worker.check_alive()


@contextmanager
def place(side: Side, load: Load) -> Iterator[Place]:
    """Make a place that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        directory = Path(name)
        server = stack.enter_context(Valkey(directory))
        made = Place(side, load, server, directory)
        stack.callback(made.close)
        yield made
