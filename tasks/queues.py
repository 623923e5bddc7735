"""The queues: how long each is, how old its oldest job, who works on it; pause and resume it.

    from tasks import queues

    for queue in queues.list():
        print(queue.name, queue.length, queue.age, queue.consumers)
    queues.pause("low")

`celery -A tasks queue list|pause|resume` does the same in a terminal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from celery import Celery

from tasks.broker.access import Server, reachable, server_of
from tasks.celery import app as tasks_app
from tasks.errors import NoSuchQueue
from tasks.liveness import workers_of
from tasks.queued import facts
from tasks.queued.facts import QueueFacts

__all__ = ["Queue", "Queues", "list", "pause", "resume", "show"]


@dataclass(frozen=True)
class Queue:
    """How one queue is."""

    name: str
    length: int
    """Jobs that wait in it, over all priorities."""
    by_priority: Mapping[int, int]
    """The same for each priority; 0 is the highest."""
    held: int | None
    """Jobs of it that workers have claimed; None when so many are that counting would take long."""
    oldest_at: datetime | None
    """Since when the job waits whose turn is next, of the priority where that is longest, in UTC.

    None when the queue is empty, or a producer has not noted the time (a stock Celery does not).
    """
    age: float | None
    """The same as seconds until now."""
    paused_at: datetime | None
    """When it was paused, in UTC; None when it is not."""
    consumers: tuple[str, ...]
    """The workers that take jobs from it, or would if it were not paused."""
    fault: str | None
    """Why no worker can take from it (its key holds something else than a list), or None."""

    @property
    def is_paused(self) -> bool:
        """Tell whether it is paused."""
        return self.paused_at is not None

    @property
    def is_consumed(self) -> bool:
        """Tell whether any worker takes jobs from it. If none does, they wait for ever."""
        return bool(self.consumers)


class Queues:
    """The queues of one app. The functions of this module are those of `tasks.celery.app`."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def list(self) -> tuple[Queue, ...]:
        """Return all queues: those configured, then others that are used, by name.

        Raises:
            Unreachable: when the broker did not answer.

        """
        consumers = self._consumers()
        with reachable("ask again later"):
            server = server_of(self._app)
            found_facts = facts.facts_of(server, self._known(server))
        return tuple(_queue(found, consumers) for found in found_facts)

    def show(self, name: str) -> Queue:
        """Return one queue.

        Raises:
            NoSuchQueue: when it is not one of `list`.
            Unreachable: when the broker did not answer.

        """
        consumers = self._consumers()
        with reachable("ask again later"):
            server = self._server_with(name)
            (found,) = facts.facts_of(server, (name,))
        return _queue(found, consumers)

    def pause(self, name: str) -> bool:
        """Have no worker take jobs from the queue any more, until `resume`; False: it was paused.

        It is obeyed at each worker's next claim, by workers that start later too, and kept by the
        broker like the jobs. What a worker has claimed already runs. Nothing is refused that is
        sent to the queue, and jobs whose time comes wait in it.

        Raises:
            NoSuchQueue: when there is no such queue.
            Unreachable: when the broker did not answer.

        """
        with reachable("look at the queue before you do it again"):
            return facts.pause(self._server_with(name), name)

    def resume(self, name: str) -> bool:
        """Have workers take jobs from the queue again; False: it was not paused.

        Raises:
            NoSuchQueue: when there is no such queue, and none of this name is paused.
            Unreachable: when the broker did not answer.

        """
        with reachable("look at the queue before you do it again"):
            return facts.resume(self._server_with(name), name)

    def _server_with(self, name: str) -> Server:
        server = server_of(self._app)
        known = self._known(server)
        if name not in known:
            raise NoSuchQueue(name, known)
        return server

    def _known(self, server: Server) -> tuple[str, ...]:
        configured = tuple(self._app.amqp.queues)
        others = facts.used(server, self._app.conf.task_default_exchange)
        consumed = {queue for worker in workers_of(self._app) for queue in worker.queues}
        return configured + tuple(sorted((others | consumed) - set(configured)))

    def _consumers(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for worker in workers_of(self._app):
            if worker.is_consuming:
                for queue in worker.queues:
                    found[queue] = (*found.get(queue, ()), worker.name)
        return found


def _queue(found: QueueFacts, consumers: Mapping[str, tuple[str, ...]]) -> Queue:
    return Queue(
        name=found.name,
        length=sum(found.by_priority.values()),
        by_priority=found.by_priority,
        held=found.held,
        oldest_at=None if found.oldest is None else datetime.fromtimestamp(found.oldest, UTC),
        age=None if found.oldest is None else max(found.now - found.oldest, 0.0),
        paused_at=None if found.paused is None else datetime.fromtimestamp(found.paused, UTC),
        consumers=consumers.get(found.name, ()),
        fault=found.fault,
    )


_queues = Queues(tasks_app)
list = _queues.list  # noqa: A001 (`queues.list` says what it does)
pause = _queues.pause
resume = _queues.resume
show = _queues.show
