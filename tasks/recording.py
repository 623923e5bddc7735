"""States of jobs, recorded for all threads of a process in as few trips as there can be.

A job's state is recorded before its message is acknowledged. Three ways save trips:

- Where several threads record at the same time, one of them takes what the others have to record
  along, and they wait for its trip instead of for one of their own.
- Nobody needs the answer when a job's success is recorded. So where the jobs run in the process
  that acknowledges them (threads, solo), and both go to one server, the success is left here. It
  goes with the next thing that is recorded, which is that the next job begins, and at the latest
  right before acknowledgements are sent, which are never sent without it.
- The connection is kept.
"""

import logging
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any

import redis

from tasks.broker.holdings import Holdings
from tasks.broker.wire import Text, Wire, Word, Words, server_of

_logger = logging.getLogger("tasks.results")

_AWAY = (
    *(redis.ConnectionError, redis.TimeoutError, redis.exceptions.ReadOnlyError),
    *(redis.exceptions.MasterDownError, redis.exceptions.TryAgainError),
    redis.OutOfMemoryError,
)
"""Errors that another server, or the same one later, will not answer with."""


LOOKS = 150
"""Some 200 microseconds: longer than the server needs, if it has nothing else to do."""


class Recorder:
    """Runs one script for all threads: with the keys and arguments of all, it answers for each."""

    def __init__(self, script: Text, pool: redis.ConnectionPool) -> None:
        self.pid = os.getpid()
        self.server = server_of(pool)
        self._script = script
        # Celery's `ensure` tries again what a closed connection has not recorded.
        self._wire = Wire(pool, unchecked=1.0)
        self._left: deque[_Record] = deque()
        self._waiting: deque[_Record] = deque()
        self._sending = Lock()

    def look_for_answers(self) -> None:
        """Look for an answer before sleeping until it comes: for one who has nothing else to do.

        A processor that sleeps needs longer to wake up than the server to answer. Whoever else
        wants to run, the server first of all, goes before each look.
        """
        self._wire.looks = LOOKS

    def run(self, keys: Sequence[str | bytes], arguments: Sequence[Word]) -> Any:  # noqa: ANN401 (the script's)
        """Run the script, perhaps together with what other threads want to; return its answer.

        Raises:
            redis.RedisError: when the server refused this or did not answer in time.

        """
        return self.ask_for(Words.of(keys), Words.of(arguments))()

    def ask_for(self, keys: Words, arguments: Words) -> Callable[[], Any]:
        """Do as `run`, but leave it to the caller when to wait for the answer.

        Returns what waits for it, which must be called by this thread, soon, and with nothing asked
        or left in between: nobody else can record anything until then.
        """
        record = _Record(keys, arguments)
        self._waiting.append(record)
        self._sending.acquire()
        try:
            asked = None if record.is_answered else self._ask()
        except BaseException:
            self._sending.release()
            raise

        def answer() -> Any:  # noqa: ANN401 (the script's)
            try:
                if asked is not None:
                    self._hear(asked)
            finally:
                self._sending.release()
            if isinstance(record.answer, Exception):
                raise record.answer
            return record.answer

        return answer

    def leave(self, keys: Sequence[str | bytes], arguments: Sequence[Word]) -> None:
        """Have the script run with the next call of `run`, or of `flush`."""
        self.leave_for(Words.of(keys), Words.of(arguments))

    def leave_for(self, keys: Words, arguments: Words) -> None:
        """Do as `leave`."""
        self._left.append(_Record(keys, arguments))

    @property
    def has_left(self) -> bool:
        """Whether something is left, or just being sent."""
        return bool(self._left) or self._sending.locked()

    def flush(self) -> None:
        """Send what was left.

        Raises:
            redis.RedisError: when the server did not answer, twice. It stays left then.

        """
        # Also where nothing is left: it may be on its way, and come back.
        with self._sending:
            if self._left and self._send() is not None:
                # It may be the connection alone that is gone. To record it twice changes nothing.
                error = self._send()
                if error is not None:
                    raise error

    def _send(self) -> redis.RedisError | None:
        """Send what was left and what threads wait for; return why some of the former stays."""
        return self._hear(self._ask())

    def _ask(self) -> "_Asked":
        """Send what was left and what threads wait for."""
        left, waiting = _all_of(self._left), _all_of(self._waiting)
        asked = _Asked(left, [*left, *waiting])
        try:
            keys = Words.together([record.keys for record in asked.records])
            arguments = Words.together([record.arguments for record in asked.records])
            self._wire.ask(self._script, keys, arguments)
        except redis.RedisError as error:
            asked.error = error
        except BaseException:
            asked.end([_NO_ANSWER] * len(asked.records))
            self._left.extendleft(reversed(left))
            raise
        return asked

    def _hear(self, asked: "_Asked") -> redis.RedisError | None:
        """Take the answers; return why some of what was left stays."""
        answers: Sequence[object] = [asked.error or _NO_ANSWER] * len(asked.records)
        try:
            if asked.error is None:
                answers = self._wire.answer()
        except redis.RedisError as error:
            answers = [error] * len(asked.records)
        finally:
            asked.end(answers)
            stays = [one for one in asked.left if _is_to_be_sent_again(one)]
            self._left.extendleft(reversed(stays))
        return next((one.answer for one in stays if isinstance(one.answer, redis.RedisError)), None)


class _Asked:
    """What is on its way to the server."""

    def __init__(self, left: "list[_Record]", records: "list[_Record]") -> None:
        self.left = left
        self.records = records
        self.error: redis.RedisError | None = None
        """Why it could not be sent."""

    def end(self, answers: Sequence[object]) -> None:
        """Give each record its answer."""
        for record, answer in zip(self.records, answers, strict=True):
            record.is_answered, record.answer = True, answer


class _Record:
    """What one thread waits for, or has left."""

    __slots__ = ("answer", "arguments", "is_answered", "keys")

    def __init__(self, keys: Words, arguments: Words) -> None:
        self.keys = keys
        self.arguments = arguments
        self.is_answered = False
        self.answer: object = None


def _all_of(records: "deque[_Record]") -> list[_Record]:
    found = []
    while records:
        found.append(records.popleft())
    return found


def _is_to_be_sent_again(record: _Record) -> bool:
    if isinstance(record.answer, redis.RedisError) and not isinstance(record.answer, _AWAY):
        key = record.keys.text.split(b"\r\n")[1].decode(errors="replace")
        _logger.error("the result in %r could not be stored: %s", key, record.answer)
    return isinstance(record.answer, _AWAY)


_NO_ANSWER = redis.ConnectionError("the thread that was sending has been interrupted")

_recorders: dict[tuple[object, ...], Recorder] = {}
_making = Lock()
_runner: Holdings | None = None
"""Whose jobs run in this process."""
_runners_server: tuple[object, ...] = ()


def _begin_anew() -> None:
    """Leave the parent's locks to the parent: who held them is not in this process."""
    global _making, _runner
    _making, _runner = Lock(), None
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


def jobs_run_here(holdings: Holdings) -> None:
    """Say that jobs run in this process, and are acknowledged from here."""
    global _runner, _runners_server
    _runner, _runners_server = holdings, server_of(holdings.client.connection_pool)
    holdings.before_acknowledging = flush_all


def may_be_left(recorder: Recorder, properties: Mapping[str, Any] | None) -> bool:
    """Tell whether the success of the job with these properties can be left with the recorder.

    It is to be a job that runs here and is acknowledged afterwards, to the same server.
    """
    if _runner is None or recorder.server != _runners_server or not properties:
        return False
    # Acknowledgements of a worker that stops may have to wait until its last job has ended.
    return not _runner.is_stopping and _runner.is_started(str(properties.get("delivery_tag")))


def is_any_left() -> bool:
    """Tell whether something was left to be sent, or is on its way and may come back."""
    return any(recorder.has_left for recorder in _recorders.values())


def flush_all() -> None:
    """Send what was left, to whichever server.

    Raises:
        redis.RedisError: when a server did not answer. It stays left then.

    """
    for recorder in tuple(_recorders.values()):
        recorder.flush()
