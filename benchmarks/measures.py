"""What is measured of each side, and how its figures are called.

Each measure gives one value for each of its figures, from one fresh server.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.processes import memory
from benchmarks.runner import Load, Place, TooFew, place
from benchmarks.sides import Side


@dataclass(frozen=True)
class Figure:
    """One column of the results."""

    key: str
    unit: str
    more_is_better: bool = False


RATE = Figure("rate", "jobs/s", more_is_better=True)
CPU = Figure("cpu", "us of CPU a job")
TIME = Figure("time", "us a job")

Values = Mapping[Figure, float]

MOST_JOBS = 200_000
"""So many are enough for any side."""


@dataclass(frozen=True)
class Sizes:
    """How many jobs each measure takes. They follow from one number."""

    drain: int

    @property
    def io(self) -> int:
        """Jobs that wait for 20 ms."""
        return max(self.drain // 5, 20)

    @property
    def one(self) -> int:
        """Calls of `delay()`."""
        return max(self.drain // 5, 20)

    @property
    def bulk(self) -> int:
        """Jobs that are queued together."""
        return self.drain

    @property
    def paced(self) -> int:
        """Jobs for an idle worker."""
        return max(self.drain // 50, 20)


@dataclass(frozen=True)
class Measure:
    """One thing that is measured."""

    key: str
    """What `--only` calls it. Several may share one."""
    title: str
    load: Load
    take: Callable[[Place, Sizes, int], Values]
    """Measures in this place; the last argument is a seed."""

    def of(self, side: Side, sizes: Sizes, seed: int) -> Values:
        """Measure this side; with more jobs if it is too fast for so few."""
        while True:
            try:
                with place(side, self.load) as made:
                    return self.take(made, sizes, seed)
            except TooFew:
                if sizes.drain >= MOST_JOBS:
                    raise
                sizes = Sizes(4 * sizes.drain)


def drain(made: Place, sizes: Sizes, _: int) -> Values:
    """Return how fast workers run what waits in the queue."""
    drained = made.drain(sizes.io if made.load.waits else sizes.drain)
    return {RATE: drained.rate, CPU: drained.cpu}


def one(made: Place, sizes: Sizes, _: int) -> Values:
    """Return what a call of `delay()` takes."""
    return _published(made, "one", sizes.one, lambda took, jobs: {TIME: took * 1e6 / jobs})


def bulk(made: Place, sizes: Sizes, _: int) -> Values:
    """Return how fast many jobs are queued."""
    return _published(made, "bulk", sizes.bulk, lambda took, jobs: {RATE: jobs / took})


def _published(
    made: Place, do: str, jobs: int, figure: Callable[[float, int], dict[Figure, float]]
) -> Values:
    """Publish, and have what was published run: each job once."""
    made.publish(do, -20, 20)
    took = made.publish(do, 0, jobs)
    made.start_workers()
    made.wait_for(20 + jobs)
    made.stop_workers()
    made.tally.check(range(jobs))
    return {**figure(took["seconds"], jobs), CPU: took["cpu"] * 1e6 / jobs}


P50 = Figure("p50", "us, median")
P99 = Figure("p99", "us, 99th percentile")


def latency(made: Place, sizes: Sizes, seed: int) -> Values:
    """Return how long it takes from before `delay()` until the body starts, on an idle worker."""
    made.start_workers()
    made.warm_up()
    sent = made.producer.ask(do="paced", first=0, count=sizes.paced, seed=seed)["sent"]
    made.stop_workers()
    began = {ran.number: ran.at for ran in made.tally.check(range(sizes.paced))}
    took = [(began[number] - at) / 1_000 for number, at in enumerate(sent)]
    cuts: Sequence[float] = statistics.quantiles(took, n=100)
    return {P50: cuts[49], P99: cuts[98]}


PSS = Figure("pss", "MB PSS")
RSS = Figure("rss", "MB RSS")


def idle(made: Place, _: Sizes, __: int) -> Values:
    """Return the memory of all processes of the workers, once each has run some jobs."""
    made.start_workers()
    made.warm_up()
    held = memory(*made.sessions)
    return {PSS: held.pss, RSS: held.rss}


NOOP = "no-op jobs drained"
COMMON = (
    Measure("io", "jobs of 20 ms drained", Load("io"), drain),
    Measure("one", "delay()", Load(results=True), one),
    Measure("bulk", "many queued together", Load(results=True), bulk),
    Measure("latency", "from delay() to the body's start, idle worker", Load(), latency),
)
BENCH = (
    *(
        Measure(key, f"{NOOP}, {pool}, {what}", Load(pool, results=results), drain)
        for key, what, results in (
            ("drain", "results ignored", False),
            ("results", "results stored", True),
        )
        for pool in ("prefork", "threads", "solo")
    ),
    *COMMON,
    Measure("memory", "idle worker, prefork 2", Load("prefork"), idle),
)
PEERS = (
    Measure("drain", f"{NOOP}, results ignored", Load(), drain),
    Measure("results", f"{NOOP}, results stored", Load(results=True), drain),
    *COMMON,
    Measure("memory", "idle workers, two processes that run jobs", Load(), idle),
)
