"""States of jobs, recorded for all threads of a process in as few trips as there can be.

Where one job finishes after the other, each state is a trip of its own: the job is acknowledged
only when its state is stored. Where several threads finish at the same time, one of them takes
what the others have to record along, and they wait for its trip instead of for one of their own.
"""

import os
from collections import deque
from collections.abc import Sequence
from threading import Lock
from typing import Any

import redis

from tasks.broker.wire import Text, Wire, Word, server_of


class Recorder:
    """Runs one script for all threads."""

    def __init__(self, script: Text, pool: redis.ConnectionPool) -> None:
        self.pid = os.getpid()
        self._script = script
        # Celery's `ensure` tries again what a closed connection has not recorded.
        self._wire = Wire(pool, unchecked=1.0)
        self._waiting: deque[_Record] = deque()
        self._sending = Lock()

    def run(self, keys: Sequence[str | bytes], arguments: Sequence[Word]) -> Any:  # noqa: ANN401 (the script's)
        """Run the script, perhaps together with what other threads want to; return its answer.

        Raises:
            redis.RedisError: when the server refused this or did not answer in time.

        """
        record = _Record(keys, arguments)
        self._waiting.append(record)
        with self._sending:
            if not record.is_answered:
                self._send()
        if isinstance(record.answer, Exception):
            raise record.answer
        return record.answer

    def _send(self) -> None:
        together = []
        while self._waiting:
            together.append(self._waiting.popleft())
        answers: Sequence[object] = [_NO_ANSWER] * len(together)
        try:
            answers = self._wire.run_each(self._script, [(r.keys, r.arguments) for r in together])
        except redis.RedisError as error:
            answers = [error] * len(together)
        finally:
            for record, answer in zip(together, answers, strict=True):
                record.is_answered, record.answer = True, answer


class _Record:
    """What one thread waits for."""

    __slots__ = ("answer", "arguments", "is_answered", "keys")

    def __init__(self, keys: Sequence[str | bytes], arguments: Sequence[Word]) -> None:
        self.keys = keys
        self.arguments = arguments
        self.is_answered = False
        self.answer: object = None


_NO_ANSWER = redis.ConnectionError("the thread that was sending has been interrupted")

_recorders: dict[tuple[object, ...], Recorder] = {}
_making = Lock()


def _begin_anew() -> None:
    """Leave the parent's locks to the parent: who held them is not in this process."""
    global _making  # noqa: PLW0603 (there is one for the process)
    _making = Lock()
    _recorders.clear()


os.register_at_fork(after_in_child=_begin_anew)


def recorder_of(script: Text, pool: redis.ConnectionPool) -> Recorder:
    """Return the one that all of this process use for this script on that pool's server.

    Celery has a result backend for each thread, and each of those a pool.
    """
    key = (script.digest, *server_of(pool))
    with _making:
        found = _recorders.get(key)
        if found is None:
            found = _recorders[key] = Recorder(script, pool)
        return found
