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

    Entering it raises as `take`.
    """

    __slots__ = ("_connection", "_pool", "_timeout")

    def __init__(self, pool: Any, acquire_timeout: float | None) -> None:  # noqa: ANN401 (kombu's)
        self._pool = pool
        self._timeout = acquire_timeout
        self._connection: Any = None

    def __enter__(self) -> Any:  # noqa: ANN401 (a channel)
        self._connection = take(self._pool, self._timeout)
        try:
            return channel_of(self._connection)
        except BaseException:
            self._pool.release(self._connection)
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        give_back(self._pool, self._connection)


def take(pool: Any, acquire_timeout: float | None) -> Any:  # noqa: ANN401 (kombu's)
    """Take a connection out of the pool, to be given back.

    One that was used before is taken with less around it than the pool's own way.

    Raises:
        OperationalError: when no connection was free within `broker_pool_acquire_timeout` seconds.

    """
    if pool._limit and not pool._closed:  # noqa: SLF001 (as the pool's own)
        free = pool._resource  # noqa: SLF001 (likewise)
        with free.mutex:
            # The others are places for those that are yet to be made.
            if free.queue and type(free.queue[-1]) is PooledConnection:
                found = free.queue.pop()
                pool._dirty.add(found)  # noqa: SLF001 (likewise)
                return found
    try:
        return pool.acquire(block=True, timeout=acquire_timeout)
    except LimitExceeded as error:
        raise OperationalError(
            f"all {pool.limit} connections to the broker (broker_pool_limit) were in use "
            f"for {acquire_timeout} s"
        ) from error


def give_back(pool: Any, connection: Any) -> None:  # noqa: ANN401 (kombu's)
    """Give a connection back, as the pool's own way does."""
    if not pool._limit or pool._closed:  # noqa: SLF001 (as the pool's own)
        pool.release(connection)
        return
    pool._dirty.discard(connection)  # noqa: SLF001 (likewise)
    free = pool._resource  # noqa: SLF001 (likewise)
    with free.mutex:
        free.queue.append(connection)
        free.unfinished_tasks += 1
        if free.not_empty._waiters:  # noqa: SLF001 (it asks more than is needed)
            free.not_empty.notify()


def channel_of(connection: Any) -> Any:  # noqa: ANN401 (kombu's)
    """Return the connection's channel, which is made if there is none.

    Raises:
        OperationalError: when the connection could not be made.

    """
    channel = connection._default_channel if connection.connected else None  # noqa: SLF001 (it asks more than is needed)
    if channel is not None and not channel.closed:
        return channel
    return connection.default_channel


def declare(channel: ClaimingChannel, entities: list[Any] | None) -> None:
    """Declare queues and exchanges that this channel has not declared yet."""
    for entity in entities or ():
        if channel.declared.get(id(entity)) is not entity:
            maybe_declare(entity, channel)
            if len(channel.declared) > MOST_DECLARED:
                channel.declared.clear()
            channel.declared[id(entity)] = entity
