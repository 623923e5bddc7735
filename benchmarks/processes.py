"""What running programs take, as Linux tells it: processor time and memory."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Megabytes (of 1,000,000 bytes) that processes hold."""

    pss: float
    """Proportional: what several share is counted once."""
    rss: float
    """Resident: what several share is counted for each."""
    processes: int


def cpu_seconds(*sessions: int) -> float:
    """Return the processor time of all processes of these sessions, ended children included."""
    # utime, stime, cutime, cstime: proc_pid_stat(5)
    return sum(sum(map(int, fields[11:15])) for _, fields in _of(sessions)) / _TICK


def memory(*sessions: int) -> Memory:
    """Return what all processes of these sessions hold now."""
    pss = rss = count = 0
    for process, _ in _of(sessions):
        rows = (line.split() for line in (process / "smaps_rollup").read_text().splitlines())
        kilobytes = {row[0]: int(row[1]) for row in rows if row[-1] == "kB"}
        pss += kilobytes["Pss:"]
        rss += kilobytes["Rss:"]
        count += 1
    return Memory(pss * 1_024 / 1e6, rss * 1_024 / 1e6, count)


def _of(sessions: tuple[int, ...]) -> Iterator[tuple[Path, list[str]]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The second field is a name in brackets, which may hold anything.
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) in sessions and fields[0] != "Z":
            yield stat.parent, fields
