"""Makes the message of a job as Celery does, and hands it over instead of sending it."""

from dataclasses import dataclass
from typing import Any

from kombu import Connection
from kombu.utils.json import dumps

from tasks.broker.transport import Channel, SentinelChannel, SentinelTransport, Transport


@dataclass(frozen=True)
class Recorded:
    """A message that would have been sent."""

    list_key: str
    queue_key: str
    message: bytes


class _Records:
    """A channel that keeps what it is to put into queues."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.recorded: list[Recorded] = []
        super().__init__(*args, **kwargs)

    def _put(self, queue: str, message: dict[str, Any], **_: object) -> None:
        channel: Any = self
        priority = channel._get_message_priority(message, reverse=False)  # noqa: SLF001 (its own)
        found = Recorded(
            channel.list_key(queue, priority),
            channel.global_keyprefix + queue,
            dumps(message).encode(),
        )
        self.recorded.append(found)


class RecordingChannel(_Records, Channel):
    """To one server."""


class RecordingSentinelChannel(_Records, SentinelChannel):
    """To the master of servers that Redis Sentinel watches."""


class RecordingTransport(Transport):
    """`redis://` and `rediss://`."""

    Channel = RecordingChannel


class RecordingSentinelTransport(SentinelTransport):
    """`sentinel://`."""

    Channel = RecordingSentinelChannel


def recording(connection: Connection) -> Connection:
    """Have a connection that is not made yet keep what it is to put into queues; return it."""
    is_sentinel = issubclass(connection.get_transport_cls(), SentinelTransport)
    transport: Any = RecordingSentinelTransport if is_sentinel else RecordingTransport
    connection.transport_cls = transport
    return connection
