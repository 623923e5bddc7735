"""Two ways of sending messages that are made: each at once, and many together in one trip."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self

from tasks.broker.channel import ClaimingChannel
from tasks.broker.command import PUBLISH, Content, packed
from tasks.broker.connections import Taken, declare
from tasks.broker.marks import Marks
from tasks.broker.pattern import Pattern
from tasks.broker.told import EventForm
from tasks.broker.wire import word
from tasks.circuit import CircuitOpen
from tasks.errors import Unreachable

_MOST_ROUTES = 1_000

Told = tuple[EventForm, str]
"""An event, and the form that it is told in."""


class AtOnce:
    """Sends each message by itself. One of an app serves all threads."""

    def __init__(self, app: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (the app)
        self.app = app
        # To look it up in the app takes as long as all of the rest.
        self._amqp: Any = app.amqp
        self._acquire_timeout = acquire_timeout

    def connection(self) -> AbstractContextManager[Any]:
        """Return a context with a channel. Entering it raises as `Taken` does."""
        return Taken(self._amqp.producer_pool.connections, self._acquire_timeout)

    def put(
        self,
        channel: ClaimingChannel,
        keys: str,
        message: str,
        marked: Sequence[str],
        told: Told | None = None,
        published: Sequence[str] = (),
    ) -> None:
        """Send a message, the ids of jobs to be marked, and the message's event.

        Args:
            channel: what to send it over.
            keys: from `keys_of` or `words`.
            message: as it goes to its list.
            marked: the ids.
            told: the event, if it was made from a pattern.
            published: else, each channel with what is published there, as two words.

        Raises:
            redis.RedisError: when the server refused it or did not answer in time.
            Unreachable: when the results are kept elsewhere, and the server there did not answer.

        """
        pairs = told[0].single.words(told[1]) if told else published
        messages = (word(message),)
        _send(
            *(self.app, channel, marked),
            lambda marks: [packed(keys, messages, marked, marks, pairs)],
        )


class Batch:
    """Messages that are sent together, in one trip: in two if the results are kept elsewhere."""

    def __init__(self, app: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (the app)
        self.app = app
        self.channel: Any = None
        """The channel of the connection that is held from `__enter__` to `__exit__`."""
        self.count = self.size = 0
        """How many messages are in it, and how many characters they have."""
        self._acquire_timeout = acquire_timeout
        self._stack = ExitStack()
        self._lists: dict[str, Content] = {}

    def connection(self) -> AbstractContextManager[Any]:
        """Return a context with the channel."""
        return nullcontext(self.channel)

    def put(
        self,
        channel: ClaimingChannel,  # noqa: ARG002 (as `AtOnce` has it)
        keys: str,
        message: str,
        marked: Sequence[str],
        told: Told | None = None,
        published: Sequence[str] = (),
    ) -> None:
        """Put a message in, to be sent by `flush`. As `AtOnce.put`."""
        content = self._lists.get(keys)
        if content is None:
            content = self._lists[keys] = Content(keys)
        content.messages.append(word(message))
        content.ids.extend(marked)
        content.pairs.extend(published)
        if told is not None:
            content.events[told[0]].append(told[1])
        self.count += 1
        self.size += len(message)

    def flush(self) -> None:
        """Send what is in it, and be empty again, whether or not that succeeds.

        All that goes to one list is queued, marked and told of in one step. Raises as `AtOnce.put`.
        """
        contents = list(self._lists.values())
        self._lists = {}
        self.count = self.size = 0
        if contents:
            marked = [job_id for content in contents for job_id in content.ids]
            _send(
                *(self.app, self.channel, marked),
                lambda marks: [content.packed(marks) for content in contents],
            )

    def __enter__(self) -> Self:
        pool = self.app.producer_pool.connections
        self.channel = self._stack.enter_context(Taken(pool, self._acquire_timeout))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _send(
    app: Any,  # noqa: ANN401 (see above)
    channel: ClaimingChannel,
    marked: Sequence[str],
    commands: Callable[[Marks | None], Sequence[bytes]],
) -> None:
    """Send commands in one trip, with the marks in them; before them if those are kept elsewhere.

    Raises:
        redis.RedisError: when the server refused some of it or did not answer in time.
        Unreachable: when the results are kept elsewhere, and the server there did not answer.

    """
    backend = app.backend if marked else None
    if backend is not None and channel.shares_server_with(backend):
        try:
            with backend.circuit:
                channel.wire.send(PUBLISH, commands(backend.marks))
        except CircuitOpen as error:
            advice = "the job was not queued; schedule it again later"
            raise Unreachable(str(error), advice) from error
        return
    if backend is not None:
        backend.mark(marked)
    channel.wire.send(PUBLISH, commands(None))


def words(keys: Iterable[str]) -> str:
    """Return the keys of a list and its queue as words of a command."""
    return "".join(map(word, keys))


def keys_of(channel: ClaimingChannel, pattern: Pattern) -> str:
    """Return the keys, as words, that a pattern's messages go to over the channel.

    Its queue is declared there if it was not before.
    """
    found = channel.routes.get(pattern)
    if found is None:
        declare(channel, pattern.declare)
        if len(channel.routes) > _MOST_ROUTES:
            channel.routes.clear()
        keys = channel.keys_of(pattern.queue, {"properties": pattern.draft.properties})
        found = channel.routes[pattern] = words(keys)
    return found
