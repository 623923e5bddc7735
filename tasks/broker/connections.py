"""A connection out of the app's pool, for one step, and what is declared over it."""

from types import TracebackType
from typing import Any

from kombu.common import maybe_declare
from kombu.connection import PooledConnection
from kombu.exceptions import LimitExceeded, OperationalError

from tasks.broker.channel import ClaimingChannel

MOST_DECLARED = 1_000


class Taken:
    """A context with the channel of a connection from the pool.

    Entering it raises OperationalError when no connection was free within
    `broker_pool_acquire_timeout`, or none could be made.
    """

    __slots__ = ("_connection", "_pool", "_timeout")

    def __init__(self, pool: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (kombu's)
        self._pool = pool
        self._timeout = acquire_timeout
        self._connection: Any = None

    def __enter__(self) -> Any:  # noqa: ANN401 (a channel)
        found = self._connection = self._at_once() or self._acquired()
        channel = found._default_channel if found.connected else None  # noqa: SLF001 (it asks more than is needed)
        if channel is not None and not channel.closed:
            return channel
        try:
            return found.default_channel
        except BaseException:
            self._pool.release(found)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pool, connection = self._pool, self._connection
        if not pool.limit or pool._closed:  # noqa: SLF001 (as the pool's own)
            pool.release(connection)
            return
        pool._dirty.discard(connection)  # noqa: SLF001 (likewise)
        free = pool._resource  # noqa: SLF001 (likewise)
        with free.mutex:
            free.queue.append(connection)
            free.unfinished_tasks += 1
            free.not_empty.notify()

    def _at_once(self) -> Any:  # noqa: ANN401 (a connection, or None)
        """Take one that was used before, with less around it than the pool's own way."""
        pool = self._pool
        if not pool.limit or pool._closed:  # noqa: SLF001 (as the pool's own)
            return None
        free = pool._resource  # noqa: SLF001 (likewise)
        with free.mutex:
            # The others are places for those that are yet to be made.
            if not free.queue or type(free.queue[-1]) is not PooledConnection:
                return None
            found = free.queue.pop()
        pool._dirty.add(found)  # noqa: SLF001 (likewise)
        return found

    def _acquired(self) -> Any:  # noqa: ANN401 (a connection)
        try:
            return self._pool.acquire(block=True, timeout=self._timeout)
        except LimitExceeded as error:
            raise OperationalError(
                f"all {self._pool.limit} connections to the broker (broker_pool_limit) were in use "
                f"for {self._timeout} s"
            ) from error


def declare(channel: ClaimingChannel, entities: list[Any] | None) -> None:
    """Declare queues and exchanges that this channel has not declared yet."""
    for entity in entities or ():
        if channel.declared.get(id(entity)) is not entity:
            maybe_declare(entity, channel)
            if len(channel.declared) > MOST_DECLARED:
                channel.declared.clear()
            channel.declared[id(entity)] = entity
