"""A limit for changes of many jobs: somebody in front of a browser waits for them."""

from collections.abc import Callable
from time import monotonic


class TimeIsUp(Exception):
    """A change of many was stopped after its time; what is done, is done."""

    def __init__(self, done: int) -> None:
        self.done = done
        super().__init__(done)


def until(seconds: float) -> Callable[[int, int], None]:
    """Return a `progress` that stops the change after so many seconds, unless it is done then."""
    end = monotonic() + seconds

    def progress(done: int, total: int) -> None:
        if done < total and monotonic() > end:
            raise TimeIsUp(done)

    return progress
