"""Celery's app, with what a caller of `delay` should know and Celery does not tell.

Data that would not arrive as they were sent are refused at once. And when the broker is away, the
error says whether the job may be in its queue all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any
from uuid import uuid4

import redis
from celery import Celery, signals
from celery.result import AsyncResult
from kombu.exceptions import LimitExceeded, OperationalError

from tasks.along import headers_along
from tasks.broker.pattern import Call, Patterns, kind_of
from tasks.broker.sender import Batch, Sender
from tasks.errors import BadJob, Unreachable
from tasks.results import JobResults

_OWN_WAYS = ("producer", "publisher", "connection")
"""Options of a caller who has a producer or a connection of its own."""

_SCALARS = frozenset({str, int, float, bool, type(None)})

_ENVELOPE = {"__type__", "__value__"}
"""kombu writes a date, a UUID, a Decimal, ... as a JSON object with these two names."""


class App(Celery):
    """Celery's app."""

    amqp_cls = "tasks.amqp:AMQP"
    events_cls = "tasks.events:Events"

    def _acquire_producer(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (Celery's)
        """Take a producer out of the pool, within `broker_pool_acquire_timeout`.

        kombu waits so long for the producer, and then for ever for the connection that it needs.
        """
        pool: Any = self.producer_pool
        pool._acquire_connection = lambda: pool.connections.acquire(block=True, timeout=timeout)  # noqa: SLF001 (kombu's)
        return super()._acquire_producer(timeout=timeout)  # type: ignore[misc] # not in the stubs

    def producer_or_acquire(self, producer: Any = None) -> Any:  # noqa: ANN401 (Celery's)
        """Return a context with this producer, or with one out of the pool."""
        return nullcontext(producer) if producer else super().producer_or_acquire()

    @cached_property
    def acquire_timeout(self) -> float | None:
        """Seconds that a free connection to the broker is waited for."""
        seconds: float | None = self.conf.broker_pool_acquire_timeout
        return seconds

    def send_task(
        self,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        *more: Any,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Put a job into its queue. `delay`, `apply_async` and `schedule` all come here.

        Raises:
            BadJob: when the data would not arrive as they are; nothing was queued.
            Unreachable: when the broker or the result backend did not answer in time.

        """
        refuse_envelopes(args, name)
        refuse_envelopes(kwargs, name)
        self._check(name, args, kwargs)
        try:
            if more or any(options.get(way) for way in _OWN_WAYS) or not self._sends_quickly:
                return super().send_task(name, args, kwargs, *more, **options)
            return self._send_quickly(name, args, kwargs, options)
        except Unreachable:
            raise
        except (redis.RedisError, OperationalError) as error:
            raise unreachable(error) from error

    def put_into(
        self,
        batch: Batch,
        name: str,
        args: Sequence[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        """Do as `send_task` does, but have the message sent with the batch.

        What no batch can hold, as what goes to another exchange, is sent at once.

        Raises:
            BadJob: when the data would not arrive as they are; the batch is as before.

        """
        self._check(name, args, kwargs)
        self._send_quickly(name, args, kwargs, options, batch)

    def putter(
        self, batch: Batch, name: str, options: Mapping[str, Any]
    ) -> Callable[[dict[str, Any], str], None]:
        """Return what puts jobs of one kind into the batch: `put(data, job_id)`.

        It raises as `put_into` does, and takes a third of its time.
        """
        kind = kind_of(name, options)
        sender = Sender(self, self.acquire_timeout, batch=batch)
        is_marked = not options.get("ignore_result")

        def put(data: dict[str, Any], job_id: str) -> None:
            self._check(name, None, data)
            pattern = self._patterns.find(kind, self.conf.changes or {}) if kind else None
            parent = self.current_worker_task
            if pattern is None or parent or signals.task_sent.receivers:
                self._send_quickly(name, None, data, {**options, "task_id": job_id}, batch)
                return
            if is_marked:
                sender.mark(job_id)
            call = self._call(name, {**options, "task_id": job_id}, None, data, None)
            sender.publish_by(pattern, name, call)

        return put

    @staticmethod
    def _check(name: str, args: object, kwargs: object) -> None:
        refuse_envelopes(args, name)
        refuse_envelopes(kwargs, name)

    def batch(self) -> Batch:
        """Return a batch for `put_into`, to be entered as a context."""
        return Batch(self, self.acquire_timeout)

    def _send_quickly(
        self,
        name: str,
        args: Sequence[Any] | None,
        kwargs: dict[str, Any] | None,
        options: dict[str, Any],
        batch: Batch | None = None,
    ) -> AsyncResult[Any]:
        """Send by a pattern if there is one, else as Celery does, and make a pattern of that."""
        kind = kind_of(name, options)
        pattern = self._patterns.find(kind, self.conf.changes or {}) if kind else None
        parent = self.current_worker_task
        is_usual = _are_usual(args, kwargs) and not signals.task_sent.receivers
        if pattern is None or not is_usual or (parent and self._inherits_priority):
            sender = Sender(self, self.acquire_timeout, kind, batch)
            options["producer"] = sender
            result = super().send_task(name, args, kwargs, **options)
            if kind is not None and sender.pattern is not None:
                self._patterns.learn(kind, sender.pattern)
            return result
        call = self._call(name, options, args, kwargs, parent)
        sender = Sender(self, self.acquire_timeout, batch=batch)
        ignores = options.get("ignore_result")
        if not ignores:
            sender.mark(call.task_id)
        sender.publish_by(pattern, name, call)
        result = (options.get("result_cls") or self.AsyncResult)(call.task_id)
        result.ignored = ignores
        if parent:
            parent.add_trail(result)
        return result

    def _call(
        self,
        name: str,
        options: Mapping[str, Any],
        args: Sequence[Any] | None,
        kwargs: dict[str, Any] | None,
        parent: Any,  # noqa: ANN401 (a task; None outside of a worker)
    ) -> Call:
        task_id = options.get("task_id") or str(uuid4())
        root_id, parent_id = task_id, None
        if parent:
            parent_id = parent.request.id
            root_id = parent.request.root_id or parent_id
        shown = (options.get("argsrepr"), options.get("kwargsrepr"))
        amqp: Any = self.amqp
        argsrepr, kwargsrepr = amqp.reprs(name, args, kwargs, *shown)
        return Call(
            *(task_id, args or (), kwargs or {}, argsrepr, kwargsrepr, root_id, parent_id),
            *(self.thread_oid, headers_along(options.get("headers"))),
        )

    @property
    def _inherits_priority(self) -> bool:
        return bool(self.conf.task_inherit_parent_priority)

    @cached_property
    def _patterns(self) -> Patterns:
        return Patterns()

    @property
    def _sends_quickly(self) -> bool:
        # Another result backend may ask a producer for more than a Sender has.
        return bool(self.producer_pool.limit) and isinstance(self.backend, JobResults)


def _are_usual(args: object, kwargs: object) -> bool:
    """Tell whether arguments are such as Celery accepts; it says what is wrong with others."""
    return isinstance(args, (list, tuple, type(None))) and isinstance(kwargs, (dict, type(None)))


def unreachable(error: Exception) -> Unreachable:
    """Say what an error of a publish means for the job."""
    cause = error.__cause__ if isinstance(error.__cause__, redis.RedisError) else error
    # Without a connection, or with an answer that is a refusal, nothing is queued. What could not
    # connect has sent nothing, but redis-py names that step in its message only.
    is_full = isinstance(error.__cause__, LimitExceeded)
    is_loading = isinstance(cause, redis.BusyLoadingError)
    refused = is_full or is_loading or isinstance(cause, redis.ResponseError)
    if refused or "connecting to" in str(cause):
        return Unreachable(str(error), "the job was not queued; schedule it again later")
    advice = "the job may have been queued; its id will tell when the broker is back"
    return Unreachable(str(error), advice, may_be_queued=True)


def refuse_envelopes(value: object, name: str) -> None:
    """Raise BadJob for a mapping that kombu would take for one of its own.

    Its worker would try to build a Python object of it, and fail, or build another one.
    """
    if type(value) in _SCALARS:
        return
    if isinstance(value, Mapping):
        if value.keys() == _ENVELOPE:
            raise BadJob(
                f"{name}: a value with exactly the names __type__ and __value__ cannot be sent; "
                "rename one of them, or send it as text (json.dumps)"
            )
        for part in value.values():
            refuse_envelopes(part, name)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for part in value:
            refuse_envelopes(part, name)
