"""How one job is sent: its mark as Waiting, its message and its event, in one step on the server.

Celery's own `send_task` makes the message as ever: options, routes, signals. A `Sender` is what it
is given in the place of a producer. What Celery would send in three trips, through three clients,
is collected here and sent in one. What is not covered (an exchange that is no direct one, a
publish that is to be repeated, another serializer, ...) goes to a producer of kombu's.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from celery import signals

from tasks.broker.batch import AtOnce, Batch, keys_of, words
from tasks.broker.channel import ClaimingChannel
from tasks.broker.connections import declare
from tasks.broker.jsontext import dumps
from tasks.broker.kinds import Kind
from tasks.broker.learning import pattern_of
from tasks.broker.making import EventTaker, is_covered, message_of, properties_of
from tasks.broker.pattern import Call, Draft, Made, Pattern
from tasks.results import JobResults, Marker


class Sender(Marker):
    """Sends one job."""

    def __init__(self, app: Any, way: AtOnce | Batch, kind: Kind | None = None) -> None:  # noqa: ANN401 (the app; Celery's types leave half of it out)
        self._way = way
        self.kind = kind
        """What kind of message it is; None if there is no pattern to be made of it."""
        self.app = app
        self.connection = self
        """Celery asks the producer's connection for the one method below."""
        self.event: dict[str, Any] | None = None
        """What an event about the job says, apart from its queue."""
        self.draft: Draft | None = None
        """The message before its signals, where a pattern is to be made of it."""
        self.pattern: Pattern | None = None
        """What was made of it."""
        self.marked: list[str] = []
        """Jobs that are to be marked as waiting."""

    def _reraise_as_library_errors(self) -> AbstractContextManager[None]:
        # tasks/app.py reads redis-py's errors.
        return nullcontext()

    def mark(self, task_id: str) -> None:
        """Note that the job is to be marked as waiting, with or before its message."""
        self.marked.append(task_id)

    def mark_now(self) -> None:
        """Set the mark, in a trip of its own."""
        if self.marked:
            backend = self.app.backend
            assert isinstance(backend, JobResults)  # noqa: S101 (only it hands its marks over)
            backend.mark(self.marked)
            self.marked = []

    def publish(
        self,
        body: object,
        *,
        exchange: str,
        routing_key: str,
        headers: dict[str, Any],
        priority: int | None = 0,
        expiration: float | None = None,
        **options: Any,
    ) -> None:
        """Send what Celery would have given to a producer."""
        fields = _event_fields(self.event, exchange, routing_key)
        if exchange == "" and is_covered(options):
            with self._way.connection() as channel:
                if isinstance(channel, ClaimingChannel) and not channel.expires(routing_key):
                    properties = properties_of(options, priority, expiration)
                    message = message_of(channel, body, routing_key, headers, properties)
                    self._put(channel, routing_key, message, options, fields)
                    return
        given = {**options, "exchange": exchange, "routing_key": routing_key, "headers": headers}
        given |= {"priority": priority, "expiration": expiration}
        self._publish_as_kombu(body, fields, given)

    def publish_by(self, pattern: Pattern, name: str, call: Call) -> None:
        """Send a message of a known kind, and have its signals sent."""
        made = Made(pattern, name, call)
        if made.is_as_planned:
            values = pattern.values_of(call, made.more)
            put_by(self._way, pattern, values, dumps(made.body), self.marked)
        else:
            self.event = pattern.event_of(call)
            given = {**pattern.options, **made.properties}
            self.publish(
                made.body, exchange="", routing_key=pattern.queue, headers=made.headers, **given
            )
        signals.after_task_publish.send(
            sender=name,
            body=made.body,
            headers=made.headers,
            exchange="",
            routing_key=pattern.queue,
        )

    def _put(
        self,
        channel: ClaimingChannel,
        queue: str,
        message: dict[str, Any],
        options: Mapping[str, Any],
        fields: dict[str, Any],
    ) -> None:
        declare(channel, options.get("declare"))
        published: list[str] = []
        if fields:
            taker = EventTaker(channel)
            _dispatcher(self.app).publish("task-sent", fields, taker)
            published = taker.words()
        keys = words(channel.keys_of(queue, message))
        self._way.put(channel, keys, dumps(message), self.marked, published=published)
        if self.draft is not None and self.draft.headers:
            event = _event_fields(self.draft.event, "", queue)
            dispatcher = _dispatcher(self.app)
            self.pattern = pattern_of(self.draft, channel, queue, options, dispatcher, event)

    def _publish_as_kombu(
        self, body: object, fields: dict[str, Any], options: Mapping[str, Any]
    ) -> None:
        with self.app.producer_or_acquire() as producer:
            self.mark_now()
            producer.publish(body, **options)
            if fields:
                _dispatcher(self.app).publish("task-sent", fields, producer)


def publishing_is_heard() -> bool:
    """Tell whether somebody listens to Celery's signals before or after a message is sent."""
    return bool(signals.before_task_publish.receivers or signals.after_task_publish.receivers)


def put_by(
    way: AtOnce | Batch,
    pattern: Pattern,
    values: dict[str, str],
    body: str,
    marked: list[str],
) -> None:
    """Send a message of a known kind, of which no signal is sent."""
    message, event = pattern.fill(values, body, way.app.clock)
    told = (pattern.event, event) if pattern.event else None
    with way.connection() as channel:
        way.put(channel, keys_of(channel, pattern), message, marked, told)


def _event_fields(event: Mapping[str, Any] | None, exchange: str, key: str) -> dict[str, Any]:
    """Return an event's fields, as Celery completes them; none if no event is wanted."""
    return {**event, "queue": key, "exchange": exchange, "routing_key": key} if event else {}


def _dispatcher(app: Any) -> Any:  # noqa: ANN401 (Celery's)
    return app.amqp._event_dispatcher  # noqa: SLF001 (the one that Celery uses for this event)
