"""Messages of one kind, made from a pattern: the second and all later ones of a task.

The first message of a kind is made by Celery (`learning.py`). All others differ from it in a few
places only: the job's id, its arguments, those of its parents. So the first one's text is kept with
gaps in these places, and filling them makes the very bytes that Celery would have made. Signals are
sent as Celery sends them; what a receiver changes is sent as it has changed it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import isfinite
from time import monotonic, time
from typing import Any, NamedTuple

from celery import signals

from tasks.broker.gaps import Template
from tasks.broker.jsontext import as_base64, dumps, quote
from tasks.broker.kinds import SHOWN
from tasks.broker.told import EventForm
from tasks.broker.uuids import new_tag

FRESH_SECONDS = 60.0
"""How long a pattern is used. An event tells the distance to UTC, which may change at night."""

OF_CALL = {
    "uuid": "id",
    "root_id": "root_id",
    "parent_id": "parent_id",
    "args": "argsrepr",
    "kwargs": "kwargsrepr",
}
"""What an event calls them, and how they are called in headers."""


class Call(NamedTuple):
    """What differs between two messages of one kind."""

    task_id: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    argsrepr: str
    kwargsrepr: str
    root_id: str
    parent_id: str | None
    reply_to: str
    headers: Mapping[str, Any]
    """Headers of the caller's own."""


@dataclass(frozen=True)
class Draft:
    """The first message of a kind, as Celery has made it, before any signal was sent."""

    headers: dict[str, Any]
    properties: dict[str, Any]
    embed: dict[str, Any]
    event: dict[str, Any] | None


class Pattern:
    """What the messages of one kind have in common."""

    def __init__(
        self,
        draft: Draft,
        queue: str,
        options: Mapping[str, Any],
        message: str,
        event: EventForm | None,
    ) -> None:
        self.draft = draft
        self.queue = queue
        self.options = {**options, "retry_policy": dict(options["retry_policy"])}
        """What Celery gives a producer beside the message's own parts."""
        self.declare: list[Any] = options["declare"] or []
        self.declared = len(self.declare)
        self.retry_policy: dict[str, Any] = options["retry_policy"]
        self.shown = [option for option in SHOWN if option in draft.properties]
        self.until = monotonic() + FRESH_SECONDS
        self.event = event
        """How its events are told; None if they are not."""
        self.message = Template.of(message)
        self.embed = dumps(draft.embed)
        """The third part of a body."""

    def event_of(self, call: Call) -> dict[str, Any] | None:
        """Return what an event about the job says, apart from its queue."""
        if not self.draft.event:
            return None
        values = call._asdict()
        own: dict[str, Any] = {
            name: values["task_id" if of == "id" else of] for name, of in OF_CALL.items()
        }
        return {**self.draft.event, **own}

    def is_all_of(self, headers: Mapping[str, Any]) -> bool:
        """Tell whether a call's headers add to those of the kind, and change none of them."""
        return not headers or headers.keys().isdisjoint(self.draft.headers)

    def body_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Return the body's JSON.

        Raises:
            kombu.exceptions.EncodeError: when an argument cannot be written as JSON.

        """
        return (
            f"[{dumps(args) if args else '[]'}, {dumps(kwargs) if kwargs else '{}'}, {self.embed}]"
        )

    def values_of(self, call: Call, headers: Mapping[str, Any]) -> dict[str, str]:
        """Return the values of the gaps, all but the body's, with these headers at the end."""
        job_id = quote(call.task_id)
        return {
            "id": job_id,
            "root_id": job_id if call.root_id is call.task_id else quote(call.root_id),
            "parent_id": "null" if call.parent_id is None else quote(call.parent_id),
            "argsrepr": quote(call.argsrepr),
            "kwargsrepr": quote(call.kwargsrepr),
            "reply_to": quote(call.reply_to),
            "more": as_more(headers),
        }

    def fill(
        self,
        values: dict[str, str],
        body: str,
        clock: Any,  # noqa: ANN401 (Celery's)
    ) -> tuple[str, str]:
        """Return the message's text, and that of the event: '' if there is none.

        Args:
            values: from `values_of`; it is added to.
            body: the body's JSON.
            clock: the app's.

        """
        values["body"] = as_base64(body)
        values["delivery_tag"] = f'"{new_tag()}"'
        message = self.message.fill(values)
        if self.event is None:
            return message, ""
        values["clock"], values["timestamp"] = str(clock.forward()), repr(time())
        return message, self.event.body.fill(values)


def of_nobody_else(reply_to: str) -> dict[str, Sequence[str]]:
    """Return what is known of messages that one thread sends while it runs no job itself."""
    return {"root_id": ("", "id", ""), "parent_id": ("null",), "reply_to": (quote(reply_to),)}


def as_more(headers: Mapping[str, Any]) -> str:
    """Return what stands in a message's text for headers that come after those of its kind."""
    if len(headers) == 1:
        ((name, value),) = headers.items()
        if type(value) is float and type(name) is str and isfinite(value):
            # As it mostly is: the time.
            return f", {quote(name)}: {value!r}"
    return f", {dumps(headers)[1:-1]}" if headers else ""


class Made:
    """One message, with what its signals tell of it."""

    __slots__ = ("body", "headers", "is_as_planned", "more", "properties")

    def __init__(self, pattern: Pattern, name: str, call: Call) -> None:
        own: dict[str, Any] = {
            "id": call.task_id,
            "root_id": call.root_id,
            "parent_id": call.parent_id,
            "argsrepr": call.argsrepr,
            "kwargsrepr": call.kwargsrepr,
        }
        ids = {"correlation_id": call.task_id, "reply_to": call.reply_to}
        if pattern.shown:
            ids |= {option: own[option] for option in pattern.shown}
        self.headers = {**pattern.draft.headers, **own, **call.headers}
        self.properties = {**pattern.draft.properties, **ids}
        self.body = (call.args, call.kwargs, {**pattern.draft.embed})
        before = signals.before_task_publish
        if before.receivers:
            before.send(
                sender=name,
                body=self.body,
                exchange="",
                routing_key=pattern.queue,
                declare=pattern.declare,
                headers=self.headers,
                properties=self.properties,
                retry_policy={**pattern.retry_policy},
            )
        known = len(pattern.draft.headers)
        self.more = dict(islice(self.headers.items(), known, None))
        self.is_as_planned = (
            self.headers == {**pattern.draft.headers, **own, **self.more}
            and self.properties == {**pattern.draft.properties, **ids}
            and len(pattern.declare) == pattern.declared
        )
