"""The command that queues messages, marks their jobs and tells of them, as the server reads it.

redis-py looks at each part of a command by itself, which takes its time for the hundreds that a
batch has. Here they are put together as one text.
"""

from collections.abc import Iterable, Sequence

from tasks.broker import scripts
from tasks.broker.jsontext import quote
from tasks.broker.marks import Marks
from tasks.broker.told import EventForm
from tasks.broker.wire import Text, word

PUBLISH = Text(scripts.PUBLISH)


class Content:
    """What goes to one list in one step."""

    __slots__ = ("_count", "_events", "_ids", "_keys", "_messages", "_told")

    def __init__(self, keys: str) -> None:
        """Make an empty one, for the list and the queue of these keys: two words."""
        self._keys = keys
        self._count = 0
        self._messages: list[str] = []
        self._ids: list[str] = []
        self._events: list[str] = []
        self._told: dict[EventForm, list[str]] = {}

    def add(self, message: str, marked: Sequence[str]) -> None:
        """Add a message, and the ids of jobs to be marked."""
        self._count += 1
        self._messages.append(word(message))
        self._ids.extend(marked)

    def tell(self, form: EventForm, event: str) -> None:
        """Add an event that is told in this form."""
        found = self._told.get(form)
        if found is None:
            found = self._told[form] = []
        found.append(event)

    def publish(self, texts: Iterable[tuple[str, str]]) -> None:
        """Add what is to be published on channels of the server."""
        self._events += [word(part) for pair in texts for part in pair]

    @property
    def marked(self) -> list[str]:
        """The ids of the jobs to be marked."""
        return self._ids

    def packed(self, marks: Marks | None) -> bytes:
        """Return the command; without marks, it marks no jobs."""
        ids = self._ids if marks else []
        prefix, before, after, seconds = marks or ("", "", "", 0)
        for form, events in self._told.items():
            self.publish(form.texts(events))
        parts = [
            PUBLISH.called,
            word(str(2 + len(ids))),
            self._keys,
            *[word(prefix + job_id) for job_id in ids],
            f"{word(str(self._count))}{word(str(seconds))}{word(before)}{word(after)}",
            *self._messages,
            *[word(quote(job_id)) for job_id in ids],
            *self._events,
        ]
        many = 9 + 2 * len(ids) + len(self._messages) + len(self._events)
        return f"*{many}\r\n{''.join(parts)}".encode()
