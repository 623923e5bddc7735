"""Celery's app, with what a caller of `delay` should know and Celery does not tell.

Data that would not arrive as they were sent are refused at once. And when the broker is away, the
error says whether the job may be in its queue all the same.

What events, Flower and logs show of a job's data is masked where it is published: see
`config/masking.py`.
"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from celery import Celery
from celery.result import AsyncResult
from celery.utils.saferepr import saferepr
from kombu.exceptions import LimitExceeded, OperationalError

from config.masking import HIDDEN, rules
from tasks.errors import BadJob, Unreachable

_ENVELOPE = {"__type__", "__value__"}
"""kombu writes a date, a UUID, a Decimal, ... as a JSON object with these two names."""


class App(Celery):
    """Celery's app."""

    events_cls = "tasks.events:Events"

    def _acquire_producer(self, timeout: float | None = None) -> Any:  # noqa: ANN401 (Celery's)
        """Take a producer out of the pool, within `broker_pool_acquire_timeout`.

        kombu waits so long for the producer, and then for ever for the connection that it needs.
        """
        pool: Any = self.producer_pool
        pool._acquire_connection = lambda: pool.connections.acquire(block=True, timeout=timeout)  # noqa: SLF001 (kombu's)
        return super()._acquire_producer(timeout=timeout)  # type: ignore[misc] # not in the stubs

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
        options.setdefault("argsrepr", self._shown_arguments(name, args or ()))
        options.setdefault("kwargsrepr", self._shown(kwargs or {}))
        try:
            return super().send_task(name, args, kwargs, *more, **options)
        except Unreachable:
            raise
        except (redis.RedisError, OperationalError) as error:
            raise unreachable(error) from error

    def _shown_arguments(self, name: str, args: Sequence[Any]) -> str:
        """Return what events, Flower and logs show of positional arguments.

        Their names stand in the task's code. Where that is not known, they are all hidden.
        """
        if not args:
            return "()"
        task = self.tasks.get(name)
        names = list(inspect.signature(task.run).parameters) if task is not None else []
        return self._shown(
            tuple(
                rules().value({names[i]: value})[names[i]] if i < len(names) else HIDDEN
                for i, value in enumerate(args)
            )
        )

    def _shown(self, value: object) -> str:
        levels = self.conf.task_repr_maxlevels
        return saferepr(rules().value(value), self.amqp.argsrepr_maxsize, maxlevels=levels)


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
