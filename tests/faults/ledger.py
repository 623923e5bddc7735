"""What the book says: who ran what, when, and how often it had its effect."""

import json
from collections import defaultdict
from dataclasses import dataclass

import redis
from kombu.utils.encoding import bytes_to_str

from tests.faults.bodies import ACCEPTED, EFFECTS, EVENTS, REFUSED


@dataclass(frozen=True)
class Event:
    """One line of the book."""

    what: str
    number: int
    job_id: str
    worker: str
    tag: str
    at: float
    pid: int


class Ledger:
    """The book, read on from where it was read last."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.starts: dict[int, list[Event]] = defaultdict(list)
        self.ends: dict[int, list[Event]] = defaultdict(list)
        self.by_worker: dict[str, dict[str, Event]] = defaultdict(dict)
        """For each worker, its last event of each job."""
        self._read = 0

    def read(self) -> "Ledger":
        """Read what was written since the last time."""
        lines = self.client.lrange(EVENTS, self._read, -1)
        self._read += len(lines)
        for line in lines:
            event = Event(*json.loads(line))
            if event.what != "again":
                (self.starts if event.what == "start" else self.ends)[event.number].append(event)
            self.by_worker[event.worker][event.job_id] = event
        return self

    def running(self, worker: str) -> list[Event]:
        """Return the starts of what this worker has begun and not ended."""
        return [e for e in self.by_worker.get(worker, {}).values() if e.what == "start"]

    def has_worked(self, worker: str) -> bool:
        """Tell whether this worker has begun anything yet."""
        return worker in self.read().by_worker

    def ended_elsewhere(self, held: Event) -> float | None:
        """Return when another worker ended the job that was held; None if none has."""
        times = [e.at for e in self.ends[held.number] if e.worker != held.worker]
        return min(times, default=None)

    @property
    def accepted(self) -> dict[int, str]:
        """Number and job id of every `delay` that returned."""
        pairs = (line.split() for line in self._lines(ACCEPTED))
        return {int(number): job_id for number, job_id in pairs}

    @property
    def refused(self) -> list[str]:
        """Number and error of every `delay` that raised."""
        return self._lines(REFUSED)

    @property
    def effects(self) -> dict[int, int]:
        """How often each number's effect was applied."""
        return {int(n): int(times) for n, times in self.client.hgetall(EFFECTS).items()}

    def _lines(self, name: str) -> list[str]:
        return [bytes_to_str(line) for line in self.client.lrange(name, 0, -1)]
