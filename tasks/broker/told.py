"""The event `task-sent`, for monitors: how one is published, and how many are at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tasks.broker.gaps import Template
from tasks.broker.jsontext import as_base64
from tasks.broker.uuids import new_tag

MOST_IN_ONE = 250
"""Events in one message, some 150 KB: as many as a worker sends at once (`tasks/events.py`)."""


@dataclass(frozen=True, eq=False)
class Around:
    """What goes around the text of events, and the channels that it is published on."""

    topics: Sequence[str]
    message: Template

    def texts(self, body: str) -> Iterator[tuple[str, str]]:
        """Yield each channel with what is published there."""
        values = {"body": as_base64(body), "delivery_tag": f'"{new_tag()}"'}
        text = self.message.fill(values)
        return ((topic, text) for topic in self.topics)


@dataclass(frozen=True, eq=False)
class EventForm:
    """How the events of one kind of message are told."""

    body: Template
    """One event."""
    single: Around
    multiple: Around
    """Celery's form of many events in one message, which every monitor reads."""

    def texts(self, events: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Yield each channel with what is published there, for these events."""
        if len(events) == 1:
            yield from self.single.texts(events[0])
            return
        rest = iter(events)
        while some := list(islice(rest, MOST_IN_ONE)):
            yield from self.multiple.texts(f"[{', '.join(some)}]")
