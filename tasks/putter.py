"""Many jobs of one kind into a batch: what they have in common is looked at once for each trip.

Nothing is done for each job that can be done for all of them together. Their ids, their data, the
texts that are shown of them: each is a column, made by a few calls. Putting the pieces of all
messages one behind the other is one more.
"""

from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import add
from time import time
from typing import Any, TypeAlias

from celery import signals
from kombu.exceptions import EncodeError

from tasks.along import headers_along
from tasks.broker.batch import Batch, keys_of
from tasks.broker.gaps import Template
from tasks.broker.jsontext import quote
from tasks.broker.kinds import kind_of
from tasks.broker.pattern import Pattern, as_more, of_nobody_else
from tasks.broker.sender import publishing_is_heard
from tasks.broker.told import MOST_IN_ONE
from tasks.broker.uuids import SIZE, TagsTogether, new_tags, split
from tasks.envelopes import refuse_envelopes
from tasks.quick import Quick
from tasks.rows import Written, names_alike

_base64 = partial(b2a_base64, newline=False)
_decimal: Callable[[int], bytes] = b"%d".__mod__

_Column: TypeAlias = "Sequence[bytes] | repeat[bytes]"

_ID = ('"', "id", '"')
_UNQUOTED: Mapping[str, Sequence[str]] = {
    "id": _ID,
    "root_id": _ID,
    "kwargsrepr": ('"', "kwargsrepr", '"'),
    "body": ('"', "body", '"'),
    "delivery_tag": ('"', "tags", "", "tag", '"'),
}
"""The columns have values without their quotes."""


class BadRow(Exception):
    """Some data cannot make a job. What came before them is in the batch."""

    def __init__(self, number: int, cause: Exception) -> None:
        self.number = number
        """Which, counted from zero."""
        self.cause = cause
        super().__init__(number, cause)


class Putter:
    """Puts jobs of one kind into a batch, for a fraction of what `put_into` takes for each."""

    def __init__(
        self,
        app: Any,  # noqa: ANN401 (Celery's types leave half of it out)
        batch: Batch,
        name: str,
        options: Mapping[str, Any],
        parameters: Callable[..., object] | None,
    ) -> None:
        """Make one.

        Args:
            app: the app.
            batch: where to put the jobs.
            name: the task's.
            options: as `send_task` takes them.
            parameters: what raises TypeError for data that the task does not take, if that is
                known.

        """
        self._app = app
        self._batch = batch
        self._name = name
        self._options = options
        self._parameters = parameters
        self._kind = kind_of(name, options)
        self._is_marked = not options.get("ignore_result")
        self._common: _Common | None = None

    def put(self, rows: Sequence[Any], ids: str) -> None:
        """Put a job in for each of these data.

        Args:
            rows: the data.
            ids: those of the jobs, UUIDs one behind the other.

        Raises:
            BadRow: when some of the data are none or would not arrive as they are.

        """
        first = 0
        if self._batch.count == 0 or self._common is None:
            self._common = self._in_common()
        while self._common is None and first < len(rows):
            self._put_one(first, rows[first], ids[SIZE * first : SIZE * (first + 1)])
            first += 1
            self._common = self._in_common()
        if self._common is not None and first < len(rows):
            self._put_written(self._common, first, rows[first:], ids[SIZE * first :])

    def _put_one(self, number: int, data: Any, job_id: str) -> None:  # noqa: ANN401 (a mapping, it is hoped)
        """Put one in, by the way that does for any kind."""
        try:
            values = self._checked(data)
            options = {**self._options, "task_id": job_id}
            self._app.put_into(self._batch, self._name, None, values, **options)
        except (TypeError, ValueError, EncodeError) as error:
            raise BadRow(number, error) from error

    def _checked(self, data: Any) -> dict[str, Any]:  # noqa: ANN401 (see above)
        if not isinstance(data, Mapping):
            raise TypeError(f"a job's data are named values, not {data!r:.100}")
        if self._parameters is not None:
            self._parameters(**data)
        refuse_envelopes(data, self._name)
        return dict(data)

    def _put_written(self, common: "_Common", first: int, rows: Sequence[Any], ids: str) -> None:
        pattern, longest, levels = common.pattern, common.longest, common.levels
        if names_alike(rows) and self._takes(rows[0]):
            written = Written.of(rows, pattern.embed, longest, levels)
            if written is not None:
                self._put_columns(common, written, ids)
                return
        written, bad = Written(), None
        for number, data in enumerate(rows, first):
            try:
                values = self._checked(data)
                written.add(values, pattern.body_of((), values), longest, levels)
            except (TypeError, ValueError, EncodeError) as error:
                bad = BadRow(number, error)
                break
        if written.bodies:
            self._put_columns(common, written, ids[: SIZE * len(written.bodies)])
        if bad is not None:
            raise bad from bad.cause

    def _takes(self, data: dict[str, Any]) -> bool:
        try:
            self._checked(data)
        except (TypeError, ValueError):
            # It is said of the one that it is.
            return False
        return True

    def _put_columns(self, common: "_Common", written: Written, ids: str) -> None:
        pattern, count = common.pattern, len(written.bodies)
        columns: dict[str, _Column] = {
            "id": [one.encode() for one in split(ids)],
            "kwargsrepr": written.shown,
            "body": list(map(_base64, written.bodies)),
            "more": repeat(as_more(headers_along(self._options.get("headers"))).encode()),
            "tags": repeat(new_tags().encode()),
            "tag": TagsTogether.ENDS[:count],
        }
        sizes = list(common.sizes(columns, count))
        columns["size"] = list(map(_decimal, sizes))
        published: list[str] = []
        if pattern.event is not None and common.event is not None:
            clock = self._app.clock
            columns["clock"] = [_decimal(clock.forward()) for _ in range(count)]
            columns["timestamp"] = repeat(repr(time()).encode())
            parts = [
                common.event.fill_each(_part(columns, at)) for at in range(0, count, MOST_IN_ONE)
            ]
            published = pattern.event.words_of(parts)
        self._batch.put_many(
            common.keys,
            list(common.message.fill_each(columns)),
            count,
            sum(sizes),
            ids if self._is_marked else "",
            published,
        )

    def _in_common(self) -> "_Common | None":
        """Look whether there is a pattern to send by; without one, each job is sent as ever."""
        app, batch = self._app, self._batch
        quick: Quick = app.quick
        prepared = quick.prepared
        pattern = prepared.pattern_of(self._kind)
        is_heard = publishing_is_heard() or signals.task_sent.receivers
        # A job that queues others names them in its trail.
        if pattern is None or pattern.shown or is_heard or app.current_worker_task:
            return None
        if not pattern.is_all_of(headers_along(self._options.get("headers"))):
            return None
        longest, levels = prepared.amqp.kwargsrepr_maxsize, prepared.repr_levels
        return _Common(pattern, keys_of(batch.channel, pattern), app.thread_oid, longest, levels)


class _Common:
    """What the messages of one trip have in common."""

    def __init__(
        self, pattern: Pattern, keys: str, reply_to: str, longest: int, levels: int
    ) -> None:
        self.pattern = pattern
        self.keys = keys
        self.longest = longest
        """Characters that are shown of a job's data."""
        self.levels = levels
        """How many values inside of others are shown."""
        known = {**of_nobody_else(reply_to), "argsrepr": (quote("()"),), **_UNQUOTED}
        message = pattern.message.narrowed(known)
        first, *pieces, last = message.pieces
        self._message_size = message.size
        self._sized = message.names
        self.message = Template(["$", "size", f"\r\n{first}", *pieces, f"{last}\r\n"])
        """A message, as a word of a command."""
        self.event = None if pattern.event is None else pattern.event.narrowed(known)

    def sizes(self, columns: Mapping[str, _Column], count: int) -> Iterable[int]:
        """Return how many bytes each message has."""
        found: Iterable[int] = repeat(self._message_size, count)
        for name in self._sized:
            found = map(add, found, map(len, columns[name]))
        return found


def _part(columns: Mapping[str, _Column], at: int) -> dict[str, _Column]:
    """Return some of each column."""
    return {
        name: column if isinstance(column, repeat) else column[at : at + MOST_IN_ONE]
        for name, column in columns.items()
    }
