"""Calls of `delay` as they mostly are: outside of a job, with nobody who listens to signals.

All that such a call needs is looked up beforehand, for each task and thread. What is left is what
differs: the data, the id, the time. It is done here in one go, because between two calls the
processor forgets: a hundred small functions that take 20 us in a loop take 50 us after a trip.
"""

from collections.abc import Mapping, Sequence
from time import monotonic, time
from typing import Any

import redis
from celery import signals
from celery.result import AsyncResult

from tasks.along import headers_along
from tasks.broker.batch import AtOnce, ask, keys_of
from tasks.broker.channel import ClaimingChannel
from tasks.broker.command import PUBLISH, around
from tasks.broker.connections import channel_of, give_back, take
from tasks.broker.jsontext import as_base64, quote
from tasks.broker.marks import Marks
from tasks.broker.pattern import Pattern, as_more, of_nobody_else
from tasks.broker.sender import publishing_is_heard
from tasks.broker.uuids import SIZE, new_id, new_tag
from tasks.broker.wire import word
from tasks.envelopes import refuse_envelopes
from tasks.prepared import PlainCall, Prepared, is_as_made, running_task
from tasks.results import JobResults

_ANY_ID = "i" * SIZE


def is_usual(app: Any) -> bool:  # noqa: ANN401 (Celery's types leave half of an app out)
    """Tell whether nothing else is to be done for a call: nobody listens, and no job makes it."""
    return (
        is_as_made()
        and not publishing_is_heard()
        and not signals.task_sent.receivers
        and running_task(app) is None
    )


class Straight:
    """Sends calls of one task without options, from one thread."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401 (see above)
        task: Any,  # noqa: ANN401 (see above)
        prepared: Prepared,
        plain: PlainCall,
        pattern: Pattern,
        way: AtOnce,
        backend: JobResults,
    ) -> None:
        self._app = app
        self._backend = backend
        self._task = task
        self._name = task.name
        self._prepared = prepared
        self._plain = plain
        self._pattern = pattern
        self._way = way
        known = of_nobody_else(app.thread_oid)
        self._message = pattern.message.narrowed(known)
        self._form = pattern.event
        self._event = pattern.event.body.narrowed(known) if pattern.event else None
        self._is_marked = not plain.options["ignore_result"]
        self._is_around: tuple[str, Marks | None, int] = "", None, 0
        self._found_around = "", ""

    def holds(self) -> bool:
        """Tell whether all of it still holds."""
        app = self._app
        return (
            self._prepared.is_of(app)
            and monotonic() < self._pattern.until
            and self._plain.is_of(self._task)
            and app.backend is self._backend
            and is_usual(app)
        )

    def send(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> AsyncResult[Any] | None:
        """Send a job, and return its result; None: nothing was sent, it must go another way.

        Raises as `App.send_task`.
        """
        pattern, prepared, way = self._pattern, self._prepared, self._way
        pool = way.pool
        if not pool.limit or not self._may_send(args, kwargs):
            return None
        headers = headers_along(None)
        if not pattern.is_all_of(headers):
            return None
        argsrepr, kwargsrepr = prepared.amqp.reprs(
            self._name, args, kwargs, None, None, prepared.repr_levels
        )
        job_id = new_id()
        values = {
            "id": f'"{job_id}"',
            "argsrepr": quote(argsrepr),
            "kwargsrepr": quote(kwargsrepr),
            "more": as_more(headers),
            "body": as_base64(pattern.body_of(args, kwargs)),
            "delivery_tag": f'"{new_tag()}"',
        }
        pairs: list[str] = []
        if self._form is not None and self._event is not None:
            values["clock"] = str(self._app.clock.forward())
            values["timestamp"] = repr(time())
            pairs = self._form.single.words(self._event.fill(values))
        message = word(self._message.fill(values))
        connection = take(pool, way.acquire_timeout)
        try:
            return self._queue(channel_of(connection), job_id, message, pairs)
        finally:
            give_back(pool, connection)

    def _may_send(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
        """Tell whether Celery would send it; False: it says itself why not."""
        task = self._task
        soft, hard = task.soft_time_limit, task.time_limit
        if soft and hard and soft > hard:
            return False
        if task.typing:
            task.__header__(*args, **kwargs)
        if args:
            refuse_envelopes(args, self._name)
        if kwargs:
            refuse_envelopes(kwargs, self._name)
        return True

    def _queue(
        self, channel: ClaimingChannel, job_id: str, message: str, pairs: Sequence[str]
    ) -> AsyncResult[Any]:
        """Send what is made, and return the result."""
        backend, marks, circuit = self._backend, None, None
        if self._is_marked and channel.shares_server_with(backend):
            marks, circuit = backend.marks, backend.circuit
            ask(circuit)
        elif self._is_marked:
            backend.mark([job_id])
        before, after = self._around(keys_of(channel, self._pattern), marks, 2 * len(pairs))
        mark = f"{job_id}{after}" if marks else ""
        wire, command = channel.wire, f"{before}{mark}{message}{''.join(pairs)}".encode()
        try:
            wire.begin_at_once(command)
            # While the server works at it.
            result: AsyncResult[Any] = self._app.AsyncResult(job_id, backend)
            if not self._is_marked:
                result.ignored = True
            wire.finish(PUBLISH, (command,))
        except redis.RedisError as error:
            if circuit is not None:
                circuit.note(error)
            raise
        if circuit is not None:
            circuit.note(None)
        return result

    def _around(self, keys: str, marks: Marks | None, words: int) -> tuple[str, str]:
        """Return what a command has before the id of the job to be marked, and up to its message.

        Args:
            keys: from `keys_of`.
            marks: as `around` takes them.
            words: how many come behind the message.

        """
        known = keys, marks, words
        if known != self._is_around:
            text, _ = around(keys, 1, _ANY_ID if marks else "", (), marks, [""] * (words // 2))
            before, _, after = text.partition(_ANY_ID)
            self._is_around, self._found_around = known, (before, after)
        return self._found_around
