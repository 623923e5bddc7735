"""Counts of what became of jobs, and how long they waited and ran."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

BOUNDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3_600.0)
"""Upper bounds of the histograms' classes, in seconds; the last class has none.

From a no-op job to one that waits for hours; 180 is the default time limit.
"""

FIELDS = {
    "claimed": "k",
    "redelivered": "d",
    "succeeded": "s",
    "failed": "f",
    "retried": "r",
    "cancelled": "c",
    "timed_out": "t",
}
"""The counts, and how they are written where they are kept."""

WAIT, RUN = "w", "u"
"""How the classes of the two histograms begin where they are kept; their sums end with `s`."""

Counts = dict[str, float]


class Series(NamedTuple):
    """What is counted together."""

    task: str
    queue: str


OTHER = Series("(other tasks)", "(other queues)")
"""Where it is counted when there are more series than are kept."""

UNKNOWN_TASK = "(not registered)"
"""How all tasks are called that no worker knows: anybody may think of any number of them."""

WORKERS = Series("", "")
"""The series that holds what is counted of workers, rather than of jobs."""


@dataclass(frozen=True)
class Histogram:
    """How many took how long."""

    classes: tuple[int, ...]
    """How many took at most `BOUNDS[i]` seconds and longer than the bound before; the rest last."""
    sum: float
    """Seconds of all together."""

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.classes)

    @property
    def mean(self) -> float | None:
        """Their mean in seconds; None for none."""
        return self.sum / self.count if self.count else None

    def percentile(self, share: float) -> float | None:
        """Return the seconds that this share of them (0 to 1) took at most; None for none.

        It is right to within its class, in which it is read off a straight line. What took longer
        than the last bound is said to be at that bound.
        """
        wanted, before, low = share * self.count, 0, 0.0
        for number, high in zip(self.classes, BOUNDS, strict=False):
            if number and before + number >= wanted:
                return low + (high - low) * max(wanted - before, 0) / number
            before, low = before + number, high
        return BOUNDS[-1] if self.count else None


@dataclass(frozen=True)
class Tally:
    """What was counted of jobs."""

    claimed: int
    """Times that a worker took a job in order to run it."""
    redelivered: int
    """Such times after a worker had died over the job."""
    succeeded: int
    failed: int
    """Jobs that have failed for good."""
    retried: int
    """Attempts that ended with another one to come."""
    cancelled: int
    """Jobs that ended without a result: cancelled, expired, ignored."""
    timed_out: int
    """Jobs that were killed at their hard time limit; they are among the failed."""
    wait: Histogram
    """From when a job could have been run until it started, in seconds."""
    run: Histogram
    """From the start of an attempt to its end, in seconds."""

    @property
    def processed(self) -> int:
        """Jobs that came to an end with a result or an error."""
        return self.succeeded + self.failed


def tally_of(many: Iterable[Mapping[str, float]]) -> Tally:
    """Return the sum of counts as they are kept."""
    total: Counts = {}
    for counts in many:
        add(total, counts)
    number = {name: int(total.get(short, 0)) for name, short in FIELDS.items()}
    return Tally(**number, wait=_histogram(total, WAIT), run=_histogram(total, RUN))


def add(to: Counts, more: Mapping[str, float]) -> None:
    """Add counts to others."""
    for name, number in more.items():
        to[name] = to.get(name, 0) + number


def observe(counts: Counts, kind: str, seconds: float) -> None:
    """Note in a histogram that something took so long."""
    name = f"{kind}{bisect_left(BOUNDS, seconds)}"
    counts[name] = counts.get(name, 0) + 1
    counts[f"{kind}s"] = round(counts.get(f"{kind}s", 0.0) + seconds, 6)


def _histogram(counts: Mapping[str, float], kind: str) -> Histogram:
    classes = tuple(int(counts.get(f"{kind}{i}", 0)) for i in range(len(BOUNDS) + 1))
    return Histogram(classes, counts.get(f"{kind}s", 0.0))
