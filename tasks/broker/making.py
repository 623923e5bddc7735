"""Messages as kombu's producer makes them for a channel, without a producer."""

from collections.abc import Mapping
from typing import Any

from kombu import serialization
from kombu.entity import maybe_delivery_mode

from tasks.broker.channel import ClaimingChannel
from tasks.broker.jsontext import dumps
from tasks.broker.wire import word

_OTHERS = frozenset({"mandatory", "immediate", "content_type", "content_encoding"})
"""Options of kombu's producer that are not covered."""

CONSUMED = frozenset(
    (
        *("serializer", "compression", "retry", "retry_policy"),
        *("delivery_mode", "declare", "timeout", "confirm_timeout"),
    )
)
"""Options that are no properties of the message."""

_UNUSED = CONSUMED | _OTHERS


def is_covered(options: Mapping[str, Any]) -> bool:
    """Tell whether a message with these options of kombu's producer can be made here."""
    return not (
        options.get("retry")
        or options.get("compression")
        or options.get("serializer") != "json"
        or not isinstance(options.get("reply_to"), str)
        or any(options.get(other) for other in _OTHERS)
    )


def properties_of(
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


def message_of(
    channel: ClaimingChannel,
    body: object,
    routing_key: str,
    headers: dict[str, Any],
    properties: dict[str, Any],
    exchange: str = "",
) -> dict[str, Any]:
    """Return the message, as it goes to a list or to a channel of events."""
    content_type, encoding, text = serialization.dumps(body, "json")
    message = channel.prepare_message(text, None, content_type, encoding, headers, properties)
    channel._inplace_augment_message(message, exchange, routing_key)  # noqa: SLF001 (as kombu's own)
    return dict(message)


class EventTaker:
    """Takes an event from Celery's dispatcher, in the place of a producer."""

    def __init__(self, channel: ClaimingChannel) -> None:
        self._channel = channel
        self.body: Any = None
        self._options: dict[str, Any] = {}

    def publish(self, body: object, **options: Any) -> None:
        """Take what Celery's dispatcher publishes."""
        self.body, self._options = body, options

    @property
    def topics(self) -> list[str]:
        """The channels that it goes to."""
        exchange, key = self._options["exchange"], self._options["routing_key"]
        found = self._channel._get_publish_topics(exchange, key)  # noqa: SLF001 (as kombu's own)
        return [self._channel.global_keyprefix + topic for topic in found]

    def message(self) -> dict[str, Any]:
        """Return what goes there."""
        options = self._options
        exchange, key = options["exchange"], options["routing_key"]
        properties = {"delivery_mode": maybe_delivery_mode(options["delivery_mode"])}
        headers = options["headers"]
        return message_of(self._channel, self.body, key, headers, properties, exchange=exchange)

    def words(self) -> list[str]:
        """Return each channel with what is published there: two words of a command."""
        text = word(dumps(self.message()))
        return [word(topic) + text for topic in self.topics]
