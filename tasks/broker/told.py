"""The event `task-sent`, for monitors: how one is published, and how many are at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tasks.broker.gaps import Template
from tasks.broker.jsontext import as_base64
from tasks.broker.uuids import new_tag
from tasks.broker.wire import word

MOST_IN_ONE = 250
"""Events in one message, some 150 KB: as many as a worker sends at once (`tasks/events.py`)."""


BETWEEN = ", "
"""What JSON has between two events in a list."""


class Around:
    """What goes around the text of events, and the channels that it is published on."""

    def __init__(self, topics: Sequence[str], message: Template) -> None:
        self._topics = [word(topic) for topic in topics]
        self._message = message

    def words(self, body: str) -> list[str]:
        """Return each channel with what is published there: two words of a command."""
        values = {"body": as_base64(body), "delivery_tag": f'"{new_tag()}"'}
        text = word(self._message.fill(values))
        return [topic + text for topic in self._topics]


@dataclass(frozen=True, eq=False)
class EventForm:
    """How the events of one kind of message are told."""

    body: Template
    """One event."""
    single: Around
    multiple: Around
    """Celery's form of many events in one message, which every monitor reads."""

    def narrowed(self, known: Mapping[str, Sequence[str]]) -> Template:
        """Return one event as `Template.narrowed` does, with what comes behind it in a list."""
        pieces = self.body.narrowed(known).pieces
        return Template([*pieces[:-1], pieces[-1] + BETWEEN])

    def words_of(self, events: Sequence[Iterable[bytes]]) -> list[str]:
        """Return each channel with what is published there, as `Around.words`.

        Args:
            events: for each message, the pieces of events, with `BETWEEN` behind each event.

        """
        texts = [b"".join(pieces).decode()[: -len(BETWEEN)] for pieces in events]
        return [pair for text in texts for pair in self.multiple.words(f"[{text}]")]

    def words(self, events: Sequence[str]) -> list[str]:
        """Return each channel with what is published there for these events, as `Around.words`."""
        if len(events) == 1:
            return self.single.words(events[0])
        parts = [events[at : at + MOST_IN_ONE] for at in range(0, len(events), MOST_IN_ONE)]
        return [pair for part in parts for pair in self.multiple.words(f"[{BETWEEN.join(part)}]")]
