"""A channel that sends: kombu's, with its ways of publishing and of connecting replaced."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from kombu.transport import redis as kombu_redis
from kombu.utils.json import dumps

from tasks.broker import scripts
from tasks.broker.wire import Wire, server_of

_logger = logging.getLogger("tasks.broker")


class SendingChannel(kombu_redis.Channel):
    """A channel that sends."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._shared_client: Any = None
        self._wire: Wire | None = None
        self._sharing: tuple[object, bool] = None, False
        self.declared: dict[int, object] = {}
        """Queues and exchanges that a sender has declared, by their `id`."""
        self.routes: dict[object, str] = {}
        """The keys of each pattern that messages were made from, as words of a command."""
        super().__init__(*args, **kwargs)
        self._publish = self.plain_client.register_script(scripts.PUBLISH)

    @property
    def plain_client(self) -> Any:  # noqa: ANN401 (redis-py's client is generic over its answers)
        """A client that adds no prefix to keys: the scripts name their keys themselves."""
        return redis.Redis(connection_pool=self.pool)

    def list_key(self, queue: str, priority: int) -> str:
        """Return the key of the list that holds a queue's messages of this priority."""
        return str(self.global_keyprefix + self._q_for_pri(queue, priority))

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:  # noqa: ANN401 (kombu's)
        """Yield a client. kombu makes a new one each time, which costs more than the command."""
        if client is None:
            if self._shared_client is None or self._shared_client.connection_pool is not self.pool:
                self._shared_client = self._create_client()
            client = self._shared_client
        yield client

    def _size(self, queue: str) -> int:
        """Return how many messages wait in the queue. Called for each queue at a worker's start.

        A list whose key holds something else counts as empty; claiming from it reports it.
        """
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            for priority in self.priority_steps:
                pipe.llen(self._q_for_pri(queue, priority))
            sizes = pipe.execute(raise_on_error=False)
        return sum(size for size in sizes if isinstance(size, int))

    @property
    def wire(self) -> Wire:
        """The connection that jobs are sent over."""
        if self._wire is None or self._wire.pool is not self.pool:
            self._wire = Wire(self.pool)
        return self._wire

    def shares_server_with(self, backend: Any) -> bool:  # noqa: ANN401 (a result backend of ours)
        """Tell whether the backend's results are on this channel's server, for the same user."""
        known, found = self._sharing
        if known is not backend:
            found = server_of(backend.client.connection_pool) == server_of(self.pool)
            self._sharing = backend, found
        return found

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)
        except redis.OutOfMemoryError as error:
            # A worker that cannot start on a full server would never make room there. Bindings that
            # expire are written again by kombu, the others by whoever declares the queue next.
            _logger.warning("the binding of queue %s is not stored yet: %s", queue, error)

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        if kwargs.get("_publish_batch") is not None or self._expires.get(queue):
            super()._put(queue, message, **kwargs)
            self._ring(queue, kwargs.get("_publish_batch"))
            return
        self._publish(self.keys_of(queue, message), [1, 0, *[""] * 5, dumps(message)])

    def keys_of(self, queue: str, message: dict[str, Any]) -> list[str]:
        """Return the keys of the list that the message goes to, and of its queue."""
        priority = self._get_message_priority(message, reverse=False)
        return [self.list_key(queue, priority), self.global_keyprefix + queue]

    def expires(self, queue: str) -> bool:
        """Tell whether the queue is deleted when nobody has used it for a while."""
        return bool(self._expires.get(queue))

    def _ring(self, queue: str, batch: Any = None) -> None:  # noqa: ANN401 (kombu's)
        bell = f"{queue}.bell"
        if batch is not None:
            batch.add("lpush", bell, 1)
            batch.add("pexpire", bell, scripts.BELL_EXPIRES_MS)
            return
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as pipe:
            pipe.lpush(bell, 1).ltrim(bell, 0, scripts.BELL_TOKENS - 1)
            pipe.pexpire(bell, scripts.BELL_EXPIRES_MS).execute()
