"""Sending by patterns: what `delay` does for the second and all later jobs of a kind.

Celery's own way (`apply_async`, `send_task`, routes, a producer) is taken for the first job of a
kind, for what is of no kind, and where somebody has put something around it. The messages are the
same, and so are signals, results and the trail of a job that sends others.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import local
from typing import Any

from celery import signals
from celery.result import AsyncResult

from tasks.along import headers_along
from tasks.broker.batch import AtOnce, Batch
from tasks.broker.kinds import kind_of
from tasks.broker.pattern import Call, Pattern
from tasks.broker.sender import Sender, publishing_is_heard, put_by
from tasks.broker.uuids import new_id
from tasks.envelopes import refuse_envelopes
from tasks.prepared import Prepared, running_task
from tasks.results import JobResults
from tasks.straight import Straight, is_usual

Args = Sequence[Any] | None
Kwargs = Mapping[str, Any] | None


class Quick:
    """What sends the jobs of one app."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 (Celery's types leave half of an app out)
        self.app = app
        self._prepared: Prepared | None = None
        self._of_thread = _OfThread()

    @property
    def prepared(self) -> Prepared:
        """What is known of the app."""
        found = self._prepared
        if found is None or not found.is_of(self.app):
            found = self._prepared = Prepared(self.app)
        return found

    @property
    def is_possible(self) -> bool:
        """Tell whether jobs can be sent here at all."""
        return self._is_possible(self.prepared)

    def _is_possible(self, prepared: Prepared) -> bool:
        # Another result backend may ask a producer for more than a Sender has.
        limit = prepared.amqp.producer_pool.limit
        return bool(limit) and isinstance(self.app.backend, JobResults)

    @cached_property
    def at_once(self) -> AtOnce:
        """What sends each message by itself."""
        return AtOnce(self.app, self.app.acquire_timeout)

    def delay(
        self,
        task: Any,  # noqa: ANN401 (see above)
        args: Args,
        kwargs: Kwargs,
        task_id: str | None,
    ) -> AsyncResult[Any] | None:
        """Send a job of the task without options, as its `apply_async` does.

        Returns:
            Its result; None: nothing was sent, because Celery must do it.

        """
        if task_id is None and type(args) is tuple and type(kwargs) is dict:
            straight = self._of_thread.known.get(task)
            if straight is None or not straight.holds():
                straight = self._straight(task)
            sent = straight.send(args, kwargs) if straight is not None else None
            if sent is not None:
                return sent
        prepared = self.prepared
        if not self._may_use(prepared, args, kwargs):
            return None
        soft, hard = task.soft_time_limit, task.time_limit
        if not self._is_possible(prepared) or (soft and hard and soft > hard):
            return None
        plain = prepared.plain_call_of(task)
        pattern = prepared.pattern_of(plain.kind) if plain else None
        if plain is None or pattern is None:
            return None
        if task.typing:
            task.__header__(*(args or ()), **(kwargs or {}))
        if args:
            refuse_envelopes(args, task.name)
        if kwargs:
            refuse_envelopes(kwargs, task.name)
        options = plain.options if task_id is None else {**plain.options, "task_id": task_id}
        return self._send_by(prepared, pattern, task.name, args, kwargs, options, self.at_once)

    def _straight(self, task: Any) -> Straight | None:  # noqa: ANN401 (see above)
        """Make what sends the task's calls from this thread; None if they go another way."""
        if not is_usual(self.app):
            return None
        known = self._of_thread.known
        known.pop(task, None)
        prepared, backend = self.prepared, self.app.backend
        plain = prepared.plain_call_of(task)
        pattern = prepared.pattern_of(plain.kind) if plain else None
        if plain is None or pattern is None or not isinstance(backend, JobResults):
            return None
        made = Straight(self.app, task, prepared, plain, pattern, self.at_once, backend)
        known[task] = made
        return made

    def send(
        self,
        as_celery: Callable[..., AsyncResult[Any]],
        name: str,
        args: Args,
        kwargs: Kwargs,
        options: dict[str, Any],
        way: AtOnce | Batch,
    ) -> AsyncResult[Any]:
        """Send a job by a pattern if there is one, else as Celery does, and make one of that.

        Args:
            as_celery: Celery's own `send_task`.
            name: the task's.
            args: the job's.
            kwargs: the job's.
            options: as `send_task` takes them.
            way: at once, or with a batch.

        """
        prepared, kind = self.prepared, kind_of(name, options)
        pattern = prepared.pattern_of(kind)
        if pattern is not None and self._may_use(prepared, args, kwargs):
            return self._send_by(prepared, pattern, name, args, kwargs, options, way)
        sender = Sender(self.app, way, kind)
        result = as_celery(name, args, kwargs, **{**options, "producer": sender})
        if kind is not None and sender.pattern is not None:
            prepared.learn(kind, sender.pattern)
        return result

    def _may_use(self, prepared: Prepared, args: object, kwargs: object) -> bool:
        """Tell whether a call with these arguments can be sent by a pattern, as things are."""
        # Celery says what is wrong with other arguments.
        return (
            isinstance(args, (list, tuple, type(None)))
            and isinstance(kwargs, (dict, type(None)))
            and not signals.task_sent.receivers
            and not (prepared.inherits_priority and self.app.current_worker_task)
        )

    def _send_by(
        self,
        prepared: Prepared,
        pattern: Pattern,
        name: str,
        args: Args,
        kwargs: Kwargs,
        options: Mapping[str, Any],
        way: AtOnce | Batch,
    ) -> AsyncResult[Any]:
        app = self.app
        job_id = root_id = options.get("task_id") or new_id()
        parent, parent_id = running_task(app), None
        if parent:
            parent_id = parent.request.id
            root_id = parent.request.root_id or parent_id
        given = options.get("argsrepr"), options.get("kwargsrepr")
        argsrepr, kwargsrepr = prepared.amqp.reprs(name, args, kwargs, *given, prepared.repr_levels)
        headers = headers_along(options.get("headers"))
        call = Call(
            *(job_id, args or (), kwargs or {}, argsrepr, kwargsrepr),
            *(root_id, parent_id, app.thread_oid, headers),
        )
        ignores = options.get("ignore_result")
        marked = [] if ignores else [job_id]
        if publishing_is_heard() or not pattern.is_all_of(headers):
            sender = Sender(app, way)
            sender.marked = marked
            sender.publish_by(pattern, name, call)
        else:
            values = pattern.values_of(call, headers)
            put_by(way, pattern, values, pattern.body_of(call.args, call.kwargs), marked)
        result = (options.get("result_cls") or app.AsyncResult)(job_id)
        result.ignored = ignores
        if parent:
            parent.add_trail(result)
        return result  # type: ignore[no-any-return] # any class that the caller names


class _OfThread(local):
    """What one thread knows."""

    def __init__(self) -> None:
        self.known: dict[Any, Straight] = {}
