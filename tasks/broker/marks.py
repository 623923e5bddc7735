"""How jobs are marked as waiting, in the results' own form."""

from time import time

from tasks.broker.jsontext import quote
from tasks.broker.wire import word


class Marks:
    """What makes marks of jobs' ids. A mark is to be set where nothing is stored."""

    def __init__(self, prefix: str, parts: tuple[str, str, str], seconds: int) -> None:
        """Take the form of a mark.

        Args:
            prefix: what stands before the id in the mark's key.
            parts: the mark's JSON before the id, between that and the time, and behind it.
            seconds: how long it is kept.

        """
        self.prefix = prefix
        self.seconds = seconds
        self.words = "".join(map(word, (str(seconds), *parts, prefix)))
        """What `scripts.PUBLISH` is told of them. There, the time is the server's."""
        self._before, self._between, self._end = parts

    def key(self, job_id: str) -> str:
        """Return the mark's key."""
        return self.prefix + job_id

    def value(self, job_id: str) -> str:
        """Return what is stored there."""
        return f"{self._before}{quote(job_id)}{self._between}{time()!r}{self._end}"
