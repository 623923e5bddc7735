"""Many jobs of one kind into a batch: what they have in common is looked at once for each trip."""

from collections.abc import Mapping
from time import monotonic
from typing import Any

from celery import signals

from tasks.along import headers_along
from tasks.broker.batch import Batch, keys_of
from tasks.broker.jsontext import quote
from tasks.broker.kinds import kind_of
from tasks.broker.pattern import Call, Pattern, as_more
from tasks.broker.sender import publishing_is_heard
from tasks.envelopes import refuse_envelopes
from tasks.quick import Quick

ALONG_SECONDS = 0.001
"""How long jobs carry the same headers along, which say when they were queued."""


class Putter:
    """Puts jobs of one kind into a batch, for a fraction of what `put_into` takes for each."""

    def __init__(self, app: Any, batch: Batch, name: str, options: Mapping[str, Any]) -> None:  # noqa: ANN401 (the app)
        self._app = app
        self._clock = app.clock
        self._quick: Quick = app.quick
        self._prepared = self._quick.prepared
        self._batch = batch
        self._name = name
        self._options = options
        self._kind = kind_of(name, options)
        self._is_marked = not options.get("ignore_result")
        self._pattern: Pattern | None = None
        self._values: dict[str, str] = {}
        self._keys = ""
        self._until = 0.0

    def put(self, data: Mapping[str, Any], job_id: str) -> None:
        """Put a job in.

        Raises:
            BadJob, kombu.exceptions.EncodeError: when the data would not arrive as they are; the
                batch is as before.

        """
        batch = self._batch
        if batch.count == 0 or self._pattern is None:
            self._begin_trip()
        pattern = self._pattern
        if pattern is None or type(data) is not dict:
            options = {**self._options, "task_id": job_id}
            self._app.put_into(batch, self._name, None, dict(data), **options)
            return
        refuse_envelopes(data, self._name)
        values = self._values
        now = monotonic()
        if now >= self._until:
            self._until = now + ALONG_SECONDS
            values["more"] = as_more(headers_along(self._options.get("headers")))
        values["id"] = values["root_id"] = quote(job_id)
        prepared = self._prepared
        _, shown = prepared.amqp.reprs(self._name, (), data, "()", None, prepared.repr_levels)
        values["kwargsrepr"] = quote(shown)
        message, event = pattern.fill(values, pattern.body_of((), data), self._clock)
        told = (pattern.event, event) if pattern.event else None
        marked = (job_id,) if self._is_marked else ()
        batch.put(batch.channel, self._keys, message, marked, told)

    def _begin_trip(self) -> None:
        """Look whether there is a pattern to send by; without one, each job is sent as ever."""
        self._pattern, options = None, self._options
        self._prepared = self._quick.prepared
        pattern = self._prepared.pattern_of(self._kind)
        is_heard = publishing_is_heard() or signals.task_sent.receivers
        # A job that queues others names them in its trail.
        if pattern is None or pattern.shown or is_heard or self._app.current_worker_task:
            return
        headers = headers_along(options.get("headers"))
        if not pattern.is_all_of(headers):
            return
        app = self._app
        argsrepr, kwargsrepr = app.amqp.reprs(self._name, (), {})
        call = Call("", (), {}, argsrepr, kwargsrepr, "", None, app.thread_oid, {})
        self._values = pattern.values_of(call, headers)
        self._keys = keys_of(self._batch.channel, pattern)
        self._pattern = pattern
