"""The broker's server, for what is kept there beside the queues: failed jobs, quarantine.

A client of kombu's own making, so addresses, TLS, users and Sentinel are those of the app's broker.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import redis
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from tasks.broker.channel import ClaimingChannel
from tasks.broker.holdings import Keys
from tasks.broker.transport import Transport
from tasks.errors import Unreachable

AWAY = (redis.ConnectionError, redis.TimeoutError, OperationalError)
"""What means that the server did not answer."""


@dataclass(frozen=True)
class Server:
    """One app's access to its broker's server. Safe to use from several threads."""

    client: redis.Redis
    """It adds no prefix to keys: `keys.prefix` must stand before each."""
    keys: Keys
    channel: ClaimingChannel
    connection: Connection
    """Kept, because the client ends with it."""
    pid: int

    def queue_key(self, queue: str, priority: int = 0) -> str:
        """Return the key of the list that holds a queue's messages of this priority."""
        return self.channel.list_key(queue, priority)

    def key(self, name: str) -> str:
        """Return the name with the broker's prefix before it."""
        return self.keys.prefix + name


_servers: WeakKeyDictionary[Celery, Server] = WeakKeyDictionary()
_lock = Lock()


def server_of(app: Celery) -> Server:
    """Return the access to the server of the app's broker; one for each app and process.

    Raises:
        OperationalError: when the server did not answer.
        TypeError: when the app's `broker_transport` is not the one of this project.

    """
    with _lock:
        found = _servers.get(app)
        if found is None or found.pid != os.getpid():
            found = _servers[app] = _connect(app)
        return found


@contextmanager
def reachable(advice: str) -> Iterator[None]:
    """Turn a server that does not answer into Unreachable, with this advice."""
    try:
        yield
    except Unreachable:
        raise
    except AWAY as error:
        raise Unreachable(str(error), advice) from error


def _after_fork() -> None:
    global _lock  # noqa: PLW0603 (a thread that is not in this process may hold it)
    _lock = Lock()


os.register_at_fork(after_in_child=_after_fork)


def check_transport(app: Celery) -> None:
    """Check that the app's broker is one that jobs are claimed from as this project does.

    Raises:
        TypeError: when it is not.

    """
    if not issubclass(app.connection_for_write().get_transport_cls(), Transport):
        raise TypeError("broker_transport must be tasks.broker.transport:Transport")


def _connect(app: Celery) -> Server:
    check_transport(app)
    connection = app.connection_for_write()
    channel = connection.default_channel
    client = channel.separate_client()
    # kombu's limit of 10 is an error for the eleventh thread, not a wait.
    client.connection_pool.max_connections = 2**31
    return Server(client, channel.keys(), channel, connection, os.getpid())
