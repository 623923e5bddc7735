"""Celery's app, with what a caller of `delay` should know and Celery does not tell.

Data that would not arrive as they were sent are refused at once. And when the broker is away, the
error says whether the job may be in its queue all the same.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from functools import cached_property
from typing import Any

import redis
from celery import Celery, Task, result
from kombu.exceptions import OperationalError

from tasks import async_result
from tasks.broker.batch import Batch
from tasks.envelopes import refuse_envelopes
from tasks.errors import Unreachable
from tasks.quick import Quick
from tasks.unpublished import unreachable

_OWN_WAYS = ("producer", "publisher", "connection")
"""Options of a caller who has a producer or a connection of its own."""


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
    def AsyncResult(self) -> Any:  # noqa: N802, ANN401 (Celery's)
        """The class of this app's results."""
        return self.subclass_with_self(async_result.AsyncResult)

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
    ) -> result.AsyncResult[Any]:
        """Put a job into its queue. `delay`, `apply_async` and `schedule` all come here.

        Raises:
            BadJob: when the data would not arrive as they are; nothing was queued.
            Unreachable: when the broker or the result backend did not answer in time.

        """
        refuse_envelopes(args, name)
        refuse_envelopes(kwargs, name)
        try:
            if more or any(options.get(way) for way in _OWN_WAYS) or not self.quick.is_possible:
                return super().send_task(name, args, kwargs, *more, **options)
            return self.quick.send(
                super().send_task, name, args, kwargs, options, self.quick.at_once
            )
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
        refuse_envelopes(args, name)
        refuse_envelopes(kwargs, name)
        self.quick.send(super().send_task, name, args, kwargs, options, batch)

    def delay_quickly(
        self,
        task: Task[..., Any],
        args: Sequence[Any] | None,
        kwargs: dict[str, Any] | None,
        task_id: str | None,
    ) -> result.AsyncResult[Any] | None:
        """Do as `apply_async` of the task does without options; None if Celery must do it.

        Raises as `send_task`.
        """
        if type(self).send_task is not App.send_task:
            # Somebody has more to do for each job.
            return None
        try:
            return self.quick.delay(task, args, kwargs, task_id)
        except Unreachable:
            raise
        except (redis.RedisError, OperationalError) as error:
            raise unreachable(error) from error

    def batch(self) -> Batch:
        """Return a batch for `put_into`, to be entered as a context."""
        return Batch(self, self.acquire_timeout)

    @cached_property
    def quick(self) -> Quick:
        """What sends jobs by patterns."""
        return Quick(self)
