"""A circuit: while a server is away, those who ask for it fail at once instead of waiting each.

    with circuit:
        client.get(...)

After a failure nobody asks for `pause` seconds. Then one does, and finds out for all: the others
go on failing at once until its answer is there.
"""

import os
from collections.abc import Callable
from threading import Lock
from time import monotonic
from types import TracebackType
from typing import Self

import redis

PAUSE_SECONDS = 1.0
"""Short, so that a server that is back is noticed; and a page is not slower for it."""

_FAILURES = (redis.ConnectionError, redis.TimeoutError)


class CircuitOpen(redis.ConnectionError):
    """The server did not answer a moment ago, so it was not asked."""


class Circuit:
    """What one process knows of one server. Safe to use from several threads."""

    def __init__(
        self, pause: float = PAUSE_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        self._pause = pause
        self._clock = clock
        self._lock = Lock()
        self._reason = ""
        """Why the server was called away; empty while it is not."""
        self._next_probe = 0.0
        _circuits.append(self)

    def __enter__(self) -> Self:
        """Let the caller ask the server. Raises as `check`."""
        self.check()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Note what came of it."""
        self.note(error)

    def check(self) -> None:
        """Let the caller ask the server, who then tells `note` what came of it.

        Raises:
            CircuitOpen: when it was away a moment ago.

        """
        if not self._reason:
            return
        with self._lock:
            if self._reason:
                if self._clock() < self._next_probe:
                    raise CircuitOpen(f"away a moment ago: {self._reason}")
                # This one probes. Should it never come back, the next one does after a while.
                self._next_probe = self._clock() + self._pause

    def note(self, error: BaseException | None) -> None:
        """Note what came of asking. A server that answers with an error is there."""
        if error is None and not self._reason:
            return
        with self._lock:
            if isinstance(error, _FAILURES):
                self._reason = str(error) or type(error).__name__
                self._next_probe = self._clock() + self._pause
            elif error is None or isinstance(error, redis.RedisError):
                self._reason = ""

    def _forget_threads(self) -> None:
        self._lock = Lock()


_circuits: list[Circuit] = []
"""Those of this process, for its children: a thread that is not there may hold a lock."""


def _after_fork() -> None:
    for circuit in _circuits:
        circuit._forget_threads()  # noqa: SLF001 (its own module)


os.register_at_fork(after_in_child=_after_fork)
