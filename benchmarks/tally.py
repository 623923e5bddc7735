"""What proves that a job ran: one record in a file, appended by the job itself.

A record is 24 bytes, three integers of 8 (little-endian): the job's number, the moment
(CLOCK_MONOTONIC in nanoseconds, the same clock in every process), the process. One `write` to a
file that was opened for appending is never mixed with another one (write(2), O_APPEND), and takes
about a microsecond. So each side does the same work for its proof, in any language, and the count
costs little beside what is measured. Numbers below 0 belong to jobs that only warm up.

Only the standard library: this module is loaded by every peer in an environment of its own.
"""

import os
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns

RECORD = struct.Struct("<qqq")
FILE_VARIABLE = "BENCH_TALLY"

_file: int | None = None


def note(number: int) -> None:
    """Write down that the job of this number ran, now and here."""
    global _file  # noqa: PLW0603 (opened once for the process, by its first job)
    if _file is None:
        _file = os.open(os.environ[FILE_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(_file, RECORD.pack(number, monotonic_ns(), os.getpid()))


@dataclass(frozen=True)
class Ran:
    """One run of one job."""

    number: int
    at: int
    """Nanoseconds of the monotonic clock."""
    pid: int


class WrongCount(SystemExit):
    """Not every job ran exactly once."""


class Tally:
    """The records in one file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.touch()

    def __len__(self) -> int:
        """Return how many jobs have run, those that warm up included."""
        return self.file.stat().st_size // RECORD.size

    def runs(self) -> list[Ran]:
        """Return all records, in the order in which they were written."""
        return [Ran(*fields) for fields in RECORD.iter_unpack(self.file.read_bytes())]

    def check(self, numbers: range) -> list[Ran]:
        """Return the runs of these jobs, the first one first.

        Raises:
            WrongCount: unless each of them ran exactly once, and no other beside those that warm
                up.

        """
        runs = [ran for ran in self.runs() if ran.number >= 0]
        counts = Counter(ran.number for ran in runs)
        missing = sum(number not in counts for number in numbers)
        again = counts.total() - len(counts)
        unknown = sum(number not in numbers for number in counts)
        if missing or again or unknown:
            raise WrongCount(
                f"of {len(numbers)} jobs {missing} did not run; there were {again} runs too many, "
                f"and {unknown} of jobs that nobody queued"
            )
        return sorted(runs, key=lambda ran: ran.at)
