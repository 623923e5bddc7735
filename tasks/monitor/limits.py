"""A limit for changes of many jobs: somebody in front of a browser waits for them."""

from collections.abc import Callable
from time import monotonic

MANY_SECONDS = 20.0
"""How long a change of many goes on; what is left then is said, and is done by doing it again.

Time for some 43,000 retries on a busy machine of two cores. A browser would wait longer; somebody
in front of it hardly.
"""


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
