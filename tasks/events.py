"""Events of a worker, which monitors show, and which must not hold the worker up.

Celery's heartbeat asks for its publish to be repeated until it succeeds, in the worker's main loop.
While the broker does not answer, that loop ends never: the worker takes no jobs, and cannot even be
stopped. Here an event is sent once. One that could not be sent is kept, as Celery does, and goes
with the next connection.
"""

from collections import deque
from typing import TYPE_CHECKING, Any

from celery.app.events import Events as CeleryEvents
from celery.events.dispatcher import EventDispatcher as CeleryEventDispatcher

KEEP = 1_000
"""Events that are kept while the broker is away: half an hour of heartbeats. The newest count."""


class EventDispatcher(CeleryEventDispatcher):
    """Celery's dispatcher, without its endless patience."""

    if TYPE_CHECKING:
        # What Celery has and its type stubs leave out.
        _outbound_buffer: deque[tuple[dict[str, Any], str]]

    def send(self, *args: Any, **options: Any) -> Any:  # noqa: ANN401 (Celery's)
        """Send an event, or keep it for later."""
        options["retry"] = False
        while len(self._outbound_buffer) >= KEEP:
            self._outbound_buffer.popleft()
        return super().send(*args, **options)


class Events(CeleryEvents):
    """What `app.events` is."""

    dispatcher_cls = "tasks.events:EventDispatcher"
