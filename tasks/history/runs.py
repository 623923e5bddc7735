"""Counts of jobs that were run one like the other, noted in as few steps as there can be."""

from bisect import bisect_left

from tasks.history.tally import BOUNDS, FIELDS, RUN, WAIT, Counts


class Runs:
    """What one task's jobs of one queue have come to. Belongs to whoever holds its lock."""

    __slots__ = ("claimed", "ran", "runs", "succeeded", "waited", "waits")

    def __init__(self) -> None:
        self.claimed = 0
        self.succeeded = 0
        self.waits = [0] * (len(BOUNDS) + 1)
        self.runs = [0] * (len(BOUNDS) + 1)
        self.waited = 0.0
        self.ran = 0.0

    def succeed(self, wait: float | None, run: float) -> None:
        """Note a success: seconds from when it could have been run to its start, and to its end."""
        self.succeeded += 1
        if wait is not None:
            wait = max(wait, 0.0)
            self.waits[bisect_left(BOUNDS, wait)] += 1
            self.waited += wait
        self.runs[bisect_left(BOUNDS, run)] += 1
        self.ran += run

    def counts(self) -> Counts:
        """Return it in the form in which it is kept."""
        found: Counts = {}
        for name, number in (("claimed", self.claimed), ("succeeded", self.succeeded)):
            if number:
                found[FIELDS[name]] = number
        for kind, classes, total in ((WAIT, self.waits, self.waited), (RUN, self.runs, self.ran)):
            if any(classes):
                found |= {f"{kind}{i}": number for i, number in enumerate(classes) if number}
                found[f"{kind}s"] = round(total, 6)
        return found
