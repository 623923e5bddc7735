"""How a pattern is made of the first message of its kind."""

from collections.abc import Mapping
from typing import Any

from tasks.broker.channel import ClaimingChannel
from tasks.broker.gaps import Template, gap, with_gaps
from tasks.broker.jsontext import dumps
from tasks.broker.making import CONSUMED, EventTaker, message_of, properties_of
from tasks.broker.pattern import OF_CALL, Draft, Pattern
from tasks.broker.told import Around, EventForm

_IN_HEADERS = {name: name for name in OF_CALL.values()}
_IN_EVENT = {**OF_CALL, "clock": "clock", "timestamp": "timestamp"}

JOBS = "task"
"""Celery's name of the group of events that are about jobs."""


def pattern_of(
    draft: Draft,
    channel: ClaimingChannel,
    queue: str,
    options: Mapping[str, Any],
    dispatcher: Any,  # noqa: ANN401 (Celery's)
    event: dict[str, Any],
) -> Pattern:
    """Make a pattern of a message that was sent, as it was before its signals.

    Args:
        draft: the message.
        channel: what it was sent over.
        queue: where it went.
        options: what Celery gave to its producer.
        dispatcher: what makes Celery's event of this message.
        event: the event's fields; none if there is no event.

    """
    ids = {"correlation_id": gap("id"), "reply_to": gap("reply_to")}
    given = {**options, **draft.properties, **ids}
    priority = given.pop("priority", 0)
    headers = with_gaps(draft.headers, _IN_HEADERS, more=True)
    message = message_of(channel, None, queue, headers, properties_of(given, priority, None))
    form = _event_form(channel, dispatcher, event) if event else None
    kept = {name: value for name, value in options.items() if name in CONSUMED}
    return Pattern(draft, queue, kept, _emptied(message), form)


def _event_form(channel: ClaimingChannel, dispatcher: Any, fields: dict[str, Any]) -> EventForm:  # noqa: ANN401 (see above)
    taker = EventTaker(channel)
    dispatcher.publish("task-sent", fields, taker)
    body, single = taker.body, _around(taker)
    dispatcher._publish([body], taker, f"{JOBS}.multi")  # noqa: SLF001 (as its own `flush` does)
    return EventForm(Template.of(dumps(with_gaps(body, _IN_EVENT))), single, _around(taker))


def _around(taker: EventTaker) -> Around:
    return Around(taker.topics, Template.of(_emptied(taker.message())))


def _emptied(message: dict[str, Any]) -> str:
    message["body"] = gap("body")
    message["properties"]["delivery_tag"] = gap("delivery_tag")
    return dumps(message)
