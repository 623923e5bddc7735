"""Two ways of sending messages that are made: each at once, and many together in one trip."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self

from tasks.broker.channel import ClaimingChannel
from tasks.broker.command import PUBLISH, Content
from tasks.broker.connections import Taken, declare
from tasks.broker.pattern import Pattern
from tasks.broker.told import EventForm
from tasks.broker.wire import word
from tasks.circuit import CircuitOpen
from tasks.errors import Unreachable

_MOST_ROUTES = 1_000

_Told = tuple[EventForm, str]
"""An event, and the form that it is told in."""


class AtOnce:
    """Sends each message by itself. One of an app serves all threads."""

    def __init__(self, app: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (the app)
        self.app = app
        self._acquire_timeout = acquire_timeout

    def connection(self) -> AbstractContextManager[Any]:
        """Return a context with a channel. Entering it raises as `Taken` does."""
        return Taken(self.app, self._acquire_timeout)

    def put(
        self,
        channel: ClaimingChannel,
        keys: str,
        message: str,
        marked: Sequence[str],
        told: _Told | None = None,
        published: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send a message, the ids of jobs to be marked, and the message's event.

        Args:
            channel: what to send it over.
            keys: from `keys_of` or `words`.
            message: as it goes to its list.
            marked: the ids.
            told: the event, if it was made from a pattern.
            published: else, each channel with what is published there.

        Raises:
            redis.RedisError: when the server refused it or did not answer in time.
            Unreachable: when the results are kept elsewhere, and the server there did not answer.

        """
        content = Content(keys)
        _add(content, message, marked, told, published)
        send(self.app, channel, [content])


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
        told: _Told | None = None,
        published: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Put a message in, to be sent by `flush`. As `AtOnce.put`."""
        content = self._lists.get(keys)
        if content is None:
            content = self._lists[keys] = Content(keys)
        _add(content, message, marked, told, published)
        self.count += 1
        self.size += len(message)

    def flush(self) -> None:
        """Send what is in it, and be empty again, whether or not that succeeds.

        All that goes to one list is queued, marked and told of in one step. Raises as `AtOnce.put`.
        """
        lists, self._lists = self._lists, {}
        self.count = self.size = 0
        if lists:
            send(self.app, self.channel, list(lists.values()))

    def __enter__(self) -> Self:
        self.channel = self._stack.enter_context(Taken(self.app, self._acquire_timeout))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _add(
    content: Content,
    message: str,
    marked: Sequence[str],
    told: _Told | None,
    published: Iterable[tuple[str, str]],
) -> None:
    content.add(message, marked)
    if told is not None:
        content.tell(*told)
    content.publish(published)


def send(app: Any, channel: ClaimingChannel, contents: Sequence[Content]) -> None:  # noqa: ANN401 (see above)
    """Send what goes to some lists, in one trip; before it, set marks that are kept elsewhere.

    Raises:
        redis.RedisError: when the server refused some of it or did not answer in time.
        Unreachable: when the results are kept elsewhere, and the server there did not answer.

    """
    backend = app.backend
    marked = [job for content in contents for job in content.marked]
    if not marked:
        channel.wire.send(PUBLISH, [content.packed(None) for content in contents])
        return
    if not channel.is_server_of(backend.client.connection_pool):
        backend.mark(marked)
        channel.wire.send(PUBLISH, [content.packed(None) for content in contents])
        return
    marks = backend.marks()
    commands = [content.packed(marks) for content in contents]
    try:
        with backend.circuit:
            channel.wire.send(PUBLISH, commands)
    except CircuitOpen as error:
        advice = "the job was not queued; schedule it again later"
        raise Unreachable(str(error), advice) from error


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
