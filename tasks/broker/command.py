"""The command that queues messages, marks their jobs and tells of them, as the server reads it.

redis-py looks at each part of a command by itself, which takes its time for the hundreds that a
batch has. Here they are put together as one text.
"""

from collections.abc import Sequence

from tasks.broker import scripts
from tasks.broker.jsontext import quote
from tasks.broker.marks import Marks
from tasks.broker.told import EventForm
from tasks.broker.wire import Text, number, word

PUBLISH = Text(scripts.PUBLISH)

_NO_MARK = number(0) + word("") * 3


class Content:
    """What goes to one list in one step."""

    __slots__ = ("_events", "_keys", "_messages", "_told", "ids")

    def __init__(self, keys: str) -> None:
        """Make an empty one, for the list and the queue of these keys: two words."""
        self.ids: list[str] = []
        """Jobs to be marked."""
        self._keys = keys
        self._messages: list[str] = []
        self._events: list[str] = []
        self._told: dict[EventForm, list[str]] = {}

    def add(self, message: str, marked: Sequence[str]) -> None:
        """Add a message, and the ids of jobs to be marked."""
        self._messages.append(word(message))
        self.ids.extend(marked)

    def tell(self, form: EventForm, event: str) -> None:
        """Add an event that is told in this form."""
        found = self._told.get(form)
        if found is None:
            found = self._told[form] = []
        found.append(event)

    def publish(self, pairs: Sequence[str]) -> None:
        """Add what is to be published on channels of the server: two words each."""
        self._events += pairs

    def packed(self, marks: Marks | None) -> bytes:
        """Return the command; without marks, it marks no jobs."""
        told = [pair for form, events in self._told.items() for pair in form.words(events)]
        return packed(self._keys, self._messages, self.ids, marks, [*self._events, *told])


def packed(
    keys: str,
    messages: Sequence[str],
    ids: Sequence[str],
    marks: Marks | None,
    pairs: Sequence[str],
) -> bytes:
    """Return the command for one list.

    Args:
        keys: the list's and its queue's, as two words.
        messages: each as a word.
        ids: of the jobs to be marked.
        marks: how they are; None: they are not, here.
        pairs: channels, each with what is published there, as two words.

    """
    prefix, mark = (marks.prefix, marks.words) if marks else ("", _NO_MARK)
    if not marks:
        ids = ()
    many = 10 + 2 * len(ids) + len(messages) + 2 * len(pairs)
    parts = [
        f"*{many}\r\n{PUBLISH.called}{number(2 + len(ids))}{keys}",
        *[word(prefix + job_id) for job_id in ids],
        number(len(messages)) + mark,
        *messages,
        *[word(quote(job_id)) for job_id in ids],
        *pairs,
    ]
    return "".join(parts).encode()
