"""Two ways of sending messages that are made: each at once, and many together in one trip."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self

import redis

from tasks.broker.channel import ClaimingChannel
from tasks.broker.command import PUBLISH, Content, around, ids_in
from tasks.broker.connections import Taken, declare
from tasks.broker.marks import Marks
from tasks.broker.pattern import Pattern
from tasks.broker.told import EventForm
from tasks.broker.wire import word
from tasks.circuit import Circuit, CircuitOpen
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
        self.acquire_timeout = acquire_timeout

    @property
    def pool(self) -> Any:  # noqa: ANN401 (kombu's)
        """Where connections are taken from."""
        return self._amqp.producer_pool.connections

    def connection(self) -> AbstractContextManager[Any]:
        """Return a context with a channel. Entering it raises as `Taken` does."""
        return Taken(self.pool, self.acquire_timeout)

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
        circuit, marks = _marking(self.app, channel, lambda: marked) if marked else (None, None)
        head, tail = around(keys, 1, "", marked, marks, pairs)
        commands = [f"{head}{word(message)}{tail}".encode()]
        _noted(circuit, lambda: channel.wire.send(PUBLISH, commands))


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
        self._under_way: tuple[Sequence[bytes], Circuit | None] | None = None

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
        content = self._content(keys)
        content.count += 1
        content.messages.append(word(message).encode())
        content.ids.extend(marked)
        content.pairs.extend(published)
        if told is not None:
            content.events[told[0]].append(told[1])
        self.count += 1
        self.size += len(message)

    def put_many(
        self,
        keys: str,
        messages: Sequence[bytes],
        count: int,
        size: int,
        uuids: str,
        published: Sequence[str],
    ) -> None:
        """Put many messages in that go to one list.

        Args:
            keys: from `keys_of`.
            messages: as words, which may be in pieces.
            count: how many they are.
            size: how many bytes they have.
            uuids: the ids of those jobs that are to be marked, one behind the other.
            published: as in `put`.

        """
        content = self._content(keys)
        content.count += count
        content.messages += messages
        if uuids:
            content.uuids.append(uuids)
        content.pairs.extend(published)
        self.count += count
        self.size += size

    def _content(self, keys: str) -> Content:
        content = self._lists.get(keys)
        if content is None:
            content = self._lists[keys] = Content(keys)
        return content

    def flush(self) -> None:
        """Send what is in it, and be empty again, whether or not that succeeds.

        All that goes to one list is queued, marked and told of in one step. Raises as `AtOnce.put`.
        """
        self.begin()
        self.finish()

    def begin(self) -> None:
        """Do the first half of `flush`: send, and leave the answer for `finish`.

        The server works while the next ones are put in. Raises as `AtOnce.put`.
        """
        contents = list(self._lists.values())
        self._lists = {}
        self.count = self.size = 0
        if contents:
            circuit, marks = None, None
            if any(content.ids or content.uuids for content in contents):
                circuit, marks = _marking(self.app, self.channel, lambda: ids_in(contents))
            commands = [content.packed(marks) for content in contents]
            try:
                self.channel.wire.begin(commands)
            except redis.RedisError as error:
                if circuit is not None:
                    circuit.note(error)
                raise
            self._under_way = commands, circuit

    def finish(self) -> None:
        """Take the answer to `begin`, if there is one to come. Raises as `AtOnce.put`."""
        if self._under_way is not None:
            (commands, circuit), self._under_way = self._under_way, None
            _noted(circuit, lambda: self.channel.wire.finish(PUBLISH, commands))

    def __enter__(self) -> Self:
        pool = self.app.producer_pool.connections
        self.channel = self._stack.enter_context(Taken(pool, self._acquire_timeout))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def _marking(
    app: Any,  # noqa: ANN401 (see above)
    channel: ClaimingChannel,
    marked: Callable[[], Sequence[str]],
) -> tuple[Circuit | None, Marks | None]:
    """Return how jobs are marked in the step that queues them, and the circuit of that server.

    If their results are kept elsewhere, they are marked there now, and there is nothing to return.

    Raises:
        Unreachable: when the results are kept elsewhere, and the server there did not answer.

    """
    backend = app.backend
    if not channel.shares_server_with(backend):
        backend.mark(marked())
        return None, None
    ask(backend.circuit)
    return backend.circuit, backend.marks


def ask(circuit: Circuit) -> None:
    """Let a job be sent whose mark goes to this circuit's server.

    Raises:
        Unreachable: when that was away a moment ago.

    """
    try:
        circuit.check()
    except CircuitOpen as error:
        advice = "the job was not queued; schedule it again later"
        raise Unreachable(str(error), advice) from error


def _noted(circuit: Circuit | None, act: Callable[[], None]) -> None:
    """Do it, and have the circuit note what came of it."""
    if circuit is None:
        act()
        return
    try:
        act()
    except redis.RedisError as error:
        circuit.note(error)
        raise
    circuit.note(None)


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
