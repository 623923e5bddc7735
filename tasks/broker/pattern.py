"""Messages of one kind, made from a pattern: the second and all later ones of a task.

The first message of a kind is made by Celery. All others differ from it in a few places only: the
job's id, its arguments, those of its parents. So the first one's text is kept with gaps in these
places, and filling them makes the very bytes that Celery would have made. Signals are sent as
Celery sends them; what a receiver changes is sent as it has changed it.

A kind is a task with the options that are part of it: queue, priority, time limits. Calls with
other options (`eta`, `link`, `headers`, ...) are of no kind, and made by Celery each time.
"""

import json
import os
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic, time
from typing import Any, NamedTuple
from uuid import uuid4

from celery import signals
from kombu import serialization
from kombu.utils.json import JSONEncoder

Kind = tuple[object, ...]

FRESH_SECONDS = 60.0
"""How long a pattern is used. An event tells the distance to UTC, which may change at night."""

_MOST_KINDS = 1_000

_GAP = f"gap-{uuid4().hex}-"
_MORE = f', "{_GAP}more-": 0'
"""Stands where headers of a signal's receiver may come."""

_IN_HEADERS = ("id", "root_id", "parent_id", "argsrepr", "kwargsrepr")
_OF_CALL = {
    "uuid": "id",
    "root_id": "root_id",
    "parent_id": "parent_id",
    "args": "argsrepr",
    "kwargs": "kwargsrepr",
}
"""What an event calls them, and how they are called in headers."""
_IN_EVENT = {**_OF_CALL, "clock": "clock", "timestamp": "timestamp"}
_PART_OF_KIND = ("queue", "priority", "serializer", "time_limit", "soft_time_limit")
_KNOWN = frozenset(
    ["task_id", "task_type", "result_cls", "ignore_result", "argsrepr", "kwargsrepr", "headers"]
)
SHOWN = ("argsrepr", "kwargsrepr")
"""Texts of the arguments. Celery puts those that it is given into the properties as well."""

_SIMPLE = frozenset({str, int, float, bool, type(None)})

_encoder = JSONEncoder()


def _prepared() -> Callable[[object, int], Sequence[str]] | None:
    # The standard library makes a new one of these for each value. This one has no memory of its
    # own (the first argument), so threads may share it; what contains itself ends in an error.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return None
    separators = (_encoder.key_separator, _encoder.item_separator)
    prepared: Callable[[object, int], Sequence[str]] = make(
        None, _encoder.default, quote, None, *separators, False, False, True
    )
    return prepared


quote = json.encoder.encode_basestring_ascii
_encode = _prepared()


def dumps(value: object) -> str:
    """Return what kombu's own `dumps` returns, without making an encoder for each value.

    Raises:
        kombu.exceptions.EncodeError: when it cannot be written as JSON.

    """
    try:
        return "".join(_encode(value, 0)) if _encode else _encoder.encode(value)
    except Exception:  # noqa: BLE001 (whatever it is, kombu says it)
        return str(serialization.dumps(value, "json")[2])


def kind_of(name: str, options: Mapping[str, Any]) -> Kind | None:
    """Return the kind of a message that Celery would make of these options; None: of no kind."""
    by_name = "task_type" not in options
    for option, value in options.items():
        if option not in _KNOWN and option not in _PART_OF_KIND:
            if value is not None:
                return None
        elif by_name and value is None:
            # Clears what the task says of itself.
            return None
    parts = [options.get(option) for option in _PART_OF_KIND]
    if not all(type(part) in _SIMPLE for part in parts):
        return None
    task = options.get("task_type")
    shown = tuple(options.get(option) is not None for option in SHOWN)
    return (name, task, os.getpid(), by_name, options.get("ignore_result"), *shown, *parts)


def gap(name: str) -> str:
    """Return what stands in a text where the value of this name is to come."""
    return f"{_GAP}{name}-"


def with_gaps(text: str) -> str:
    """Return a text made with `gap` as a format for values that are written as JSON."""
    text = text.replace("%", "%%").replace(_MORE, "%(more)s")
    parts = text.split(f'"{_GAP}')
    return parts[0] + "".join("%({})s{}".format(*part.split('-"', 1)) for part in parts[1:])


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


class Made:
    """One message, with what its signals tell of it."""

    __slots__ = ("body", "headers", "is_as_planned", "more", "properties")

    def __init__(self, pattern: "Pattern", name: str, call: Call) -> None:
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


class Pattern:
    """What the messages of one kind have in common."""

    def __init__(
        self,
        draft: Draft,
        queue: str,
        options: Mapping[str, Any],
        message: str,
        events: Sequence[tuple[str, str, str]],
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
        self._message = with_gaps(message)
        # Of each event: the channel that it is published on, its body, and what goes around that.
        self._events = [(topic, with_gaps(body), with_gaps(text)) for topic, body, text in events]

    def event_of(self, call: Call) -> dict[str, Any] | None:
        """Return what an event about the job says, apart from its queue."""
        if not self.draft.event:
            return None
        values = call._asdict()
        own: dict[str, Any] = {
            name: values["task_id" if of == "id" else of] for name, of in _OF_CALL.items()
        }
        return {**self.draft.event, **own}

    def is_all_of(self, call: Call) -> bool:
        """Tell whether a call's headers add to those of the kind, and change none of them."""
        return not call.headers or call.headers.keys().isdisjoint(self.draft.headers)

    def fill(
        self,
        call: Call,
        body: object,
        more: Mapping[str, Any],
        clock: Any,  # noqa: ANN401 (Celery's)
    ) -> tuple[str, list[str]]:
        """Return the message's text, and those of its events, each after its channel.

        Raises:
            kombu.exceptions.EncodeError: when an argument cannot be written as JSON.

        """
        job_id = quote(call.task_id)
        values = {
            "id": job_id,
            "root_id": quote(call.root_id),
            "parent_id": "null" if call.parent_id is None else quote(call.parent_id),
            "argsrepr": quote(call.argsrepr),
            "kwargsrepr": quote(call.kwargsrepr),
            "reply_to": quote(call.reply_to),
            "more": f", {dumps(more)[1:-1]}" if more else "",
            "delivery_tag": _tag(),
            "body": _as_base64(dumps(body)),
        }
        message = self._message % values
        if not self._events:
            return message, []
        values["clock"], values["timestamp"] = str(clock.forward()), repr(time())
        values["delivery_tag"] = _tag()
        events = []
        for topic, event, text in self._events:
            values["body"] = _as_base64(event % values)
            events += [topic, text % values]
        return message, events


class Patterns:
    """The patterns of one app, forgotten when its settings change."""

    def __init__(self) -> None:
        self._found: dict[Kind, Pattern] = {}
        self._settings: dict[str, Any] = {}

    def find(self, kind: Kind, settings: dict[str, Any]) -> Pattern | None:
        """Return the pattern of this kind; None if it is to be learnt (again)."""
        if settings != self._settings:
            self._found, self._settings = {}, dict(settings)
        found = self._found.get(kind)
        return found if found is not None and monotonic() < found.until else None

    def learn(self, kind: Kind, pattern: Pattern) -> None:
        """Keep a pattern."""
        if len(self._found) >= _MOST_KINDS:
            self._found.clear()
        self._found[kind] = pattern


def headers_with_gaps(draft: Draft) -> dict[str, Any]:
    """Return the headers, with gaps for what differs from call to call."""
    return {**draft.headers, **{name: gap(name) for name in _IN_HEADERS}, gap("more"): 0}


def event_with_gaps(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event, with gaps for what differs from call to call."""
    return {**event, **{name: gap(value) for name, value in _IN_EVENT.items()}}


def _tag() -> str:
    """Return a random UUID of version 4, in quotes; for a third of what `uuid4` takes."""
    text = os.urandom(16).hex()
    variant = "89ab"[int(text[16], 16) & 3]
    return f'"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"'


def _as_base64(text: str) -> str:
    return f'"{b2a_base64(text.encode(), newline=False).decode()}"'
