"""The command that queues messages, marks their jobs and tells of them, as the server reads it.

redis-py looks at each part of a command by itself, which takes its time for the hundreds that a
batch has. Here they are put together as one text.
"""

from collections import defaultdict
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

    __slots__ = ("events", "ids", "keys", "messages", "pairs")

    def __init__(self, keys: str) -> None:
        self.keys = keys
        """The list's and its queue's, as two words."""
        self.messages: list[str] = []
        """Each as a word."""
        self.ids: list[str] = []
        """Jobs to be marked."""
        self.events: defaultdict[EventForm, list[str]] = defaultdict(list)
        """Events in each form."""
        self.pairs: list[str] = []
        """Channels, each with what else is published there, as two words."""

    def packed(self, marks: Marks | None) -> bytes:
        """Return the command; without marks, it marks no jobs."""
        told = [pair for form, events in self.events.items() for pair in form.words(events)]
        return packed(self.keys, self.messages, self.ids, marks, [*self.pairs, *told])


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
        *map(word, [prefix + job_id for job_id in ids]),
        number(len(messages)) + mark,
        *messages,
        *map(word, map(quote, ids)),
        *pairs,
    ]
    return "".join(parts).encode()
