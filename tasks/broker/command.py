"""The command that queues messages, marks their jobs and tells of them, as the server reads it.

redis-py looks at each part of a command by itself, which takes its time for the hundreds that a
batch has. Here they are put together as one text.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import chain

from tasks.broker import scripts
from tasks.broker.jsontext import quote
from tasks.broker.marks import Marks
from tasks.broker.told import EventForm
from tasks.broker.uuids import split
from tasks.broker.wire import Text, number, word

PUBLISH = Text(scripts.PUBLISH)

_WORDS = 3 + 2 + scripts.PUBLISHED_FROM - 1
"""The words of a command without messages: its beginning, two keys, what comes before messages."""

_NO_MARK = number(0) + word("") * 4


class Content:
    """What goes to one list in one step."""

    __slots__ = ("count", "events", "ids", "keys", "messages", "pairs", "uuids")

    def __init__(self, keys: str) -> None:
        self.keys = keys
        """The list's and its queue's, as two words."""
        self.count = 0
        """How many messages there are."""
        self.messages: list[bytes] = []
        """Each as a word, which may be in pieces."""
        self.ids: list[str] = []
        """Jobs to be marked."""
        self.uuids: list[str] = []
        """More of them, whose ids are UUIDs; a text may have several, one behind the other."""
        self.events: defaultdict[EventForm, list[str]] = defaultdict(list)
        """Events in each form."""
        self.pairs: list[str] = []
        """Channels, each with what else is published there, as two words."""

    def packed(self, marks: Marks | None) -> bytes:
        """Return the command; without marks, it marks no jobs."""
        told = [pair for form, events in self.events.items() for pair in form.words(events)]
        pairs = [*self.pairs, *told]
        uuids = "".join(self.uuids)
        head, tail = around(self.keys, self.count, uuids, self.ids, marks, pairs)
        return b"".join([head.encode(), *self.messages, tail.encode()])


def around(
    keys: str,
    count: int,
    uuids: str,
    ids: Sequence[str],
    marks: Marks | None,
    pairs: Sequence[str],
) -> tuple[str, str]:
    """Return the command for one list: what comes before its messages, and behind them.

    Args:
        keys: the list's and its queue's, as two words.
        count: how many messages there are.
        uuids: of jobs to be marked, one behind the other.
        ids: of more of them, which may be any texts.
        marks: how they are; None: they are not, here.
        pairs: channels, each with what is published there, as two words.

    """
    if not marks:
        uuids, ids = "", ()
    many = _WORDS + count + 2 * len(ids) + 2 * len(pairs)
    marked = [word(marks.key(job_id)) for job_id in ids] if marks else ()
    mark = marks.words if marks else _NO_MARK
    head = (
        f"*{many}\r\n{PUBLISH.called}{number(2 + len(ids))}{keys}{''.join(marked)}"
        f"{number(count)}{mark}{word(uuids)}"
    )
    return head, f"{''.join(map(word, map(quote, ids)))}{''.join(pairs)}"


def ids_in(contents: Iterable[Content]) -> list[str]:
    """Return the ids of all jobs that are to be marked."""
    return [
        job_id
        for content in contents
        for job_id in (*content.ids, *chain.from_iterable(map(split, content.uuids)))
    ]
