"""How one job is sent: its mark as Waiting, its message and its event, in one step on the server.

Celery's own `send_task` makes the message as ever: options, routes, signals. A `Sender` is what it
is given in the place of a producer. What Celery would send in three trips, through three clients,
is collected here and sent in one. What is not covered (an exchange that is no direct one, a
publish that is to be repeated, another serializer, ...) goes to a producer of kombu's.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Self

from celery import signals
from kombu import serialization
from kombu.common import maybe_declare
from kombu.entity import maybe_delivery_mode
from kombu.exceptions import LimitExceeded, OperationalError

from tasks.broker import scripts
from tasks.broker.channel import ClaimingChannel
from tasks.broker.pattern import (
    Call,
    Draft,
    Kind,
    Made,
    Pattern,
    dumps,
    event_with_gaps,
    gap,
    headers_with_gaps,
)
from tasks.broker.wire import Text
from tasks.circuit import CircuitOpen
from tasks.errors import Unreachable
from tasks.results import UNFINISHED_EXPIRES, JobResults, Marker

_SEND = Text(scripts.PUBLISH)

_OTHERS = frozenset({"mandatory", "immediate", "content_type", "content_encoding"})
"""Options of kombu's producer that are not covered."""


class Sender(Marker):
    """Sends one job."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401 (the app; Celery's types leave half of it out)
        acquire_timeout: float | None,
        kind: Kind | None = None,
        batch: "Batch | None" = None,
    ) -> None:
        self._batch = batch
        self.kind = kind
        """What kind of message it is; None if there is no pattern to be made of it."""
        self.app = app
        self.acquire_timeout = acquire_timeout
        self.connection = self
        """Celery asks the producer's connection for the one method below."""
        self.event: dict[str, Any] | None = None
        """What an event about the job says, apart from its queue."""
        self.draft: Draft | None = None
        """The message before its signals, where a pattern is to be made of it."""
        self.pattern: Pattern | None = None
        """What was made of it."""
        self._marked: list[str] = []

    def _reraise_as_library_errors(self) -> AbstractContextManager[None]:
        # tasks/app.py reads redis-py's errors.
        return nullcontext()

    def mark(self, task_id: str) -> None:
        """Note that the job is to be marked as waiting, with or before its message."""
        self._marked.append(task_id)

    def mark_now(self) -> None:
        """Set the mark, in a trip of its own."""
        if self._marked:
            _backend(self.app).mark(self._marked)
            self._marked = []

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
        fields = self.event_fields(exchange, routing_key)
        if exchange == "" and _is_covered(options):
            with self._connection() as channel:
                if isinstance(channel, ClaimingChannel) and not channel.expires(routing_key):
                    declare(channel, options.get("declare"))
                    properties = _properties(options, priority, expiration)
                    message = _message(channel, body, routing_key, headers, properties)
                    event = self._event(channel, fields) if fields else ()
                    self._send(
                        channel, channel.keys_of(routing_key, message), dumps(message), event
                    )
                    if self.draft is not None:
                        self.pattern = _pattern(self, channel, routing_key, options)
                    return
        given = {**options, "exchange": exchange, "routing_key": routing_key, "headers": headers}
        given |= {"priority": priority, "expiration": expiration}
        self._publish_as_kombu(body, fields, given)

    def publish_by(self, pattern: Pattern, name: str, call: Call) -> None:
        """Send a message of a known kind."""
        after = signals.after_task_publish
        if pattern.is_all_of(call) and not (
            signals.before_task_publish.receivers or after.receivers
        ):
            body = (call.args, call.kwargs, pattern.draft.embed)
            self._fill(pattern, call, body, call.headers)
            return
        made = Made(pattern, name, call)
        if made.is_as_planned:
            self._fill(pattern, call, made.body, made.more)
        else:
            self.event = pattern.event_of(call)
            given = {**pattern.options, **made.properties}
            self.publish(
                made.body, exchange="", routing_key=pattern.queue, headers=made.headers, **given
            )
        after.send(
            sender=name,
            body=made.body,
            headers=made.headers,
            exchange="",
            routing_key=pattern.queue,
        )

    def _fill(self, pattern: Pattern, call: Call, body: object, more: Mapping[str, Any]) -> None:
        message, events = pattern.fill(call, body, more, self.app.clock)
        with self._connection() as channel:
            declare(channel, pattern.declare)
            keys = channel.keys_of(pattern.queue, {"properties": pattern.draft.properties})
            self._send(channel, keys, message, events)

    def _send(
        self,
        channel: ClaimingChannel,
        keys: Sequence[str],
        message: str,
        events: Sequence[str],
    ) -> None:
        batch = self._batch or Batch(self.app, self.acquire_timeout)
        batch.add(keys, message, self._marked, events)
        self._marked = []
        if self._batch is None:
            batch.send_over(channel)

    def _connection(self) -> AbstractContextManager[Any]:
        if self._batch is not None:
            return nullcontext(self._batch.channel)
        return connection(self.app, self.acquire_timeout)

    def event_fields(self, exchange: str, routing_key: str) -> dict[str, Any]:
        """Return the event's fields, as Celery completes them; none if no event is wanted."""
        if not self.event:
            return {}
        queue = {"queue": routing_key, "exchange": exchange, "routing_key": routing_key}
        return {**self.event, **queue}

    def _event(self, channel: ClaimingChannel, fields: dict[str, Any]) -> tuple[str, ...]:
        """Return the channels of the event that Celery makes of the fields, each with its text."""
        recorded = _Recorder()
        _dispatcher(self.app).publish("task-sent", fields, recorded)
        return recorded.as_sent_by(channel)

    def _publish_as_kombu(
        self, body: object, fields: dict[str, Any], options: Mapping[str, Any]
    ) -> None:
        with self.app.producer_or_acquire() as producer:
            self.mark_now()
            producer.publish(body, **options)
            if fields:
                _dispatcher(self.app).publish("task-sent", fields, producer)


class Batch:
    """Jobs that are sent together, in one trip: in two if the results are kept elsewhere."""

    def __init__(self, app: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (the app)
        self.app = app
        self.channel: Any = None
        """The channel of the connection that is held from `__enter__` to `__exit__`."""
        self.count = self.size = 0
        """How many jobs are in it, and how many characters their messages have."""
        self._acquire_timeout = acquire_timeout
        self._stack = ExitStack()
        self._lists: dict[tuple[str, ...], _Content] = {}

    def add(
        self, keys: Sequence[str], message: str, marked: Sequence[str], events: Sequence[str]
    ) -> None:
        """Put a message in, the ids of jobs to be marked, and events with their channels."""
        key = tuple(keys)
        content = self._lists.get(key)
        if content is None:
            content = self._lists[key] = _Content([], [], [])
        content.messages.append(message)
        content.marked.extend(marked)
        content.events.extend(events)
        self.count += 1
        self.size += len(message)

    def send_over(self, channel: ClaimingChannel) -> None:
        """Send what is in it, and be empty again, whether or not that succeeds.

        All that goes to one list is queued, marked and told of in one step.

        Raises:
            redis.RedisError: when the server refused some of it or did not answer in time.
            Unreachable: when the results are kept elsewhere, and the server there did not answer.

        """
        lists, self._lists = self._lists, {}
        self.count = self.size = 0
        backend: Any = self.app.backend
        marked = [job for content in lists.values() for job in content.marked]
        is_shared = bool(marked) and channel.is_server_of(backend.client.connection_pool)
        if marked and not is_shared:
            backend.mark(marked)
        calls = []
        for keys, content in lists.items():
            marks = [backend.mark_of(job) for job in content.marked] if is_shared else []
            values = [value for _, value in marks]
            head = (len(content.messages), UNFINISHED_EXPIRES)
            arguments = [*head, *content.messages, *values, *content.events]
            calls.append(([*keys, *(key for key, _ in marks)], arguments))
        if not calls:
            return
        try:
            with backend.circuit if is_shared else nullcontext():
                _send(channel, calls)
        except CircuitOpen as error:
            advice = "the job was not queued; schedule it again later"
            raise Unreachable(str(error), advice) from error

    def flush(self) -> None:
        """Send what is in it over the connection that is held. Raises as `send_over`."""
        if self._lists:
            self.send_over(self.channel)

    def __enter__(self) -> Self:
        self.channel = self._stack.enter_context(connection(self.app, self._acquire_timeout))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _send(channel: ClaimingChannel, calls: list[Any]) -> None:
    if len(calls) == 1:
        channel.wire.run(_SEND, *calls[0])
        return
    for answer in channel.wire.run_each(_SEND, calls):
        if isinstance(answer, Exception):
            raise answer


@dataclass
class _Content:
    """What goes to one list."""

    messages: list[str]
    marked: list[str]
    events: list[str]


class _Recorder:
    """Takes an event in the place of a producer."""

    def __init__(self) -> None:
        self.body: Any = None
        self._options: dict[str, Any] = {}

    def publish(self, body: object, **options: Any) -> None:
        self.body, self._options = body, options

    def as_sent_by(self, channel: ClaimingChannel) -> tuple[str, ...]:
        text = dumps(self.message(channel))
        return tuple(part for topic in self.topics(channel) for part in (topic, text))

    def topics(self, channel: ClaimingChannel) -> list[str]:
        exchange, key = self._options["exchange"], self._options["routing_key"]
        found = channel._get_publish_topics(exchange, key)  # noqa: SLF001 (as kombu's own)
        return [channel.global_keyprefix + topic for topic in found]

    def message(self, channel: ClaimingChannel) -> dict[str, Any]:
        options = self._options
        exchange, key = options["exchange"], options["routing_key"]
        properties = {"delivery_mode": maybe_delivery_mode(options["delivery_mode"])}
        return _message(channel, self.body, key, options["headers"], properties, exchange=exchange)


@contextmanager
def connection(app: Any, acquire_timeout: float | None) -> Iterator[Any]:  # noqa: ANN401 (see above)
    """Yield the channel of a connection from the pool.

    Raises:
        OperationalError: when none was free within `broker_pool_acquire_timeout`, or none could be
            made.

    """
    pool: Any = app.producer_pool.connections
    timeout = acquire_timeout
    try:
        found = pool.acquire(block=True, timeout=timeout)
    except LimitExceeded as error:
        raise OperationalError(
            f"all {pool.limit} connections to the broker (broker_pool_limit) were in use for "
            f"{timeout} s"
        ) from error
    try:
        channel = found._default_channel if found.connected else None  # noqa: SLF001 (it asks more than is needed)
        if channel is None or channel.closed:
            channel = found.default_channel
        yield channel
    finally:
        found.release()


def declare(channel: ClaimingChannel, entities: list[Any] | None) -> None:
    """Declare queues and exchanges that this channel has not declared yet."""
    for entity in entities or ():
        if channel.declared.get(id(entity)) is not entity:
            maybe_declare(entity, channel)
            if len(channel.declared) > 1_000:
                channel.declared.clear()
            channel.declared[id(entity)] = entity


def _pattern(
    sender: Sender, channel: ClaimingChannel, queue: str, options: Mapping[str, Any]
) -> Pattern | None:
    """Make a pattern of a message that was sent, as it was before its signals."""
    draft = sender.draft
    if draft is None or len(draft.headers) == 0:
        return None
    given = {
        **options,
        **draft.properties,
        "correlation_id": gap("id"),
        "reply_to": gap("reply_to"),
    }
    priority = given.pop("priority", 0)
    message = _message(
        channel, None, queue, headers_with_gaps(draft), _properties(given, priority, None)
    )
    events = []
    if draft.event:
        recorded = _Recorder()
        sender.event = draft.event
        fields = sender.event_fields("", queue)
        _dispatcher(sender.app).publish("task-sent", fields, recorded)
        event, around = event_with_gaps(recorded.body), _emptied(recorded.message(channel))
        events = [(topic, dumps(event), dumps(around)) for topic in recorded.topics(channel)]
    kept = {name: value for name, value in options.items() if name in _CONSUMED}
    return Pattern(draft, queue, kept, dumps(_emptied(message)), events)


def _emptied(message: dict[str, Any]) -> dict[str, Any]:
    message["body"] = gap("body")
    message["properties"]["delivery_tag"] = gap("delivery_tag")
    return message


def _is_covered(options: Mapping[str, Any]) -> bool:
    return not (
        options.get("retry")
        or options.get("compression")
        or options.get("serializer") != "json"
        or not isinstance(options.get("reply_to"), str)
        or any(options.get(other) for other in _OTHERS)
    )


def _properties(
    options: Mapping[str, Any], priority: int | None, expiration: float | None
) -> dict[str, Any]:
    """Return a message's properties, in the order in which kombu's producer has them."""
    found = {name: value for name, value in options.items() if name not in _UNUSED}
    found["delivery_mode"] = maybe_delivery_mode(options.get("delivery_mode"))
    if expiration is not None:
        found["expiration"] = str(int(expiration * 1_000))
    found["delivery_info"] = {}
    found["priority"] = priority or 0
    return found


_CONSUMED = frozenset(
    (
        *("serializer", "compression", "retry", "retry_policy"),
        *("delivery_mode", "declare", "timeout", "confirm_timeout"),
    )
)
"""Options that are no properties of the message."""

_UNUSED = _CONSUMED | _OTHERS


def _message(
    channel: ClaimingChannel,
    body: object,
    routing_key: str,
    headers: dict[str, Any],
    properties: dict[str, Any],
    exchange: str = "",
) -> dict[str, Any]:
    content_type, encoding, text = serialization.dumps(body, "json")
    message = channel.prepare_message(text, None, content_type, encoding, headers, properties)
    channel._inplace_augment_message(message, exchange, routing_key)  # noqa: SLF001 (as kombu's own)
    return dict(message)


def _dispatcher(app: Any) -> Any:  # noqa: ANN401 (Celery's)
    return app.amqp._event_dispatcher  # noqa: SLF001 (the one that Celery uses for this event)


def _backend(app: Any) -> JobResults:  # noqa: ANN401 (see above)
    found = app.backend
    assert isinstance(found, JobResults)  # noqa: S101 (only it hands its marks over)
    return found
