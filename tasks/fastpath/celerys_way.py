"""How a job of the short way looks to Celery, and how Celery takes it over."""

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from celery.app import trace
from celery.concurrency.base import apply_target
from celery.concurrency.thread import TaskPool as ThreadPool
from celery.worker.request import create_request_cls

from tasks.broker.channel import ClaimingChannel
from tasks.broker.claims import Claim
from tasks.broker.envelope import read
from tasks.events import EventDispatcher
from tasks.fastpath.plain import CALLBACKS
from tasks.replay import FIELD, Replay
from tasks.results import CLAIMED_AT
from tasks.worker import Consumer, Request


class Celerys:
    """Makes Celery's own requests, for one consumer."""

    def __init__(self, consumer: Consumer, channel: ClaimingChannel) -> None:
        self._consumer = consumer
        self._channel = channel
        self._in_threads = isinstance(consumer.pool, ThreadPool)
        self._kinds: dict[str, type[Request]] = {}

    def request(self, claim: Claim, claimed_at: float) -> Request:
        """Return the request that Celery would have made of the message."""
        consumer = self._consumer
        message = self._channel.Message(read(claim), channel=self._channel)
        message.headers[CLAIMED_AT] = claimed_at
        message.accept = consumer.task_consumer.accept
        message.waits_in_pool, message.runs_here = False, True
        ack, reject = message.ack_log_error, message.reject_log_error
        if self._in_threads:
            ack, reject = (
                partial(consumer.call_soon_ack, ack),
                partial(consumer.call_soon_ack, reject),
            )
        kind = self._kind(message.headers["task"])
        return kind(
            message,
            on_ack=ack,
            on_reject=reject,
            app=consumer.app,
            hostname=consumer.hostname,
            eventer=consumer.event_dispatcher,
            task=consumer.app.tasks[message.headers["task"]],
            connection_errors=consumer.connection_errors,
            body=message.body,
            headers=message.headers,
            decoded=False,
            utc=consumer.app.uses_utc_timezone(),
        )

    def take_over(self, request: Request, known: Mapping[str, Any], replay: Replay) -> None:
        """Have Celery do what it does when a body ends like this.

        Args:
            request: as made above.
            known: what was noted of the job in its request while it ran.
            replay: what its body has raised or returned.

        """
        if isinstance(request.eventer, EventDispatcher):
            # It was received without an event.
            request.eventer.leave_out(request.id)
        request.request_dict.update(known)
        request.request_dict[FIELD] = replay
        error = replay.error
        if error is not None:
            with suppress(AttributeError):  # what has no traceback of its own gets one here
                error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
        args, kwargs, _ = request.body
        embed = {name: request.request_dict.get(name) for name in CALLBACKS}
        apply_target(
            trace.fast_trace_task,
            args=(
                *(request.type, request.id, request.request_dict),
                *((args, kwargs, embed), None, None),
            ),
            callback=request.on_success,
        )

    def _kind(self, name: str) -> type[Request]:
        found = self._kinds.get(name)
        if found is None:
            consumer = self._consumer
            found = self._kinds[name] = create_request_cls(
                Request,
                consumer.app.tasks[name],
                consumer.pool,
                consumer.hostname,
                consumer.event_dispatcher,
                app=consumer.app,
            )
        return found


class Shown:
    """A job that runs, for those who look at what a worker does: `celery inspect`, its shutdown.

    It is cheap to make, and asks Celery's own request for all that is seldom looked at.
    """

    __slots__ = (
        "__weakref__",
        "_celerys",
        "_claim",
        "_claimed_at",
        "_request",
        "id",
        "name",
        "time_start",
    )

    acknowledged = False

    def __init__(
        self, celerys: Celerys, claim: Claim, job_id: str, name: str, claimed_at: float
    ) -> None:
        self._celerys = celerys
        self._claim = claim
        self._claimed_at = claimed_at
        self._request: Request | None = None
        self.id = job_id
        self.name = name
        self.time_start: float | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (any of a request's)
        if self._request is None:
            self._request = self._celerys.request(self._claim, self._claimed_at)
        self._request.time_start = self.time_start
        self._request.worker_pid = os.getpid() if self.time_start else None
        return getattr(self._request, name)
