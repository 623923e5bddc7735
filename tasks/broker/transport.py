"""kombu's Redis transport with the claims of `scripts.py`. Set by `broker_transport`.

What is kombu's stays kombu's: connections, TLS, users, Sentinel, fanout (control commands and
events), queues that need no acknowledgement (replies to control commands). Of the rest,
`channel.py` replaces how a message is published, claimed, acknowledged and put back.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import socketpair
from time import monotonic
from typing import Any

from kombu.asynchronous import Hub
from kombu.transport import redis as kombu_redis

from tasks.broker.channel import ClaimingChannel


class Channel(ClaimingChannel):
    """A channel to one server."""


class SentinelChannel(ClaimingChannel, kombu_redis.SentinelChannel):
    """A channel to the master of servers that Redis Sentinel watches.

    The Sentinels are in the option `sentinels`, and not in a URL with `;` as kombu has it: when a
    connection is lost, kombu goes on to the next address of such a URL, and for that takes the
    transport that the address names, which is its own.
    """

    sentinels: Sequence[str] = ()
    """Their addresses, `sentinel://host:port`; that of the URL alone by default."""

    from_transport_options = (
        *ClaimingChannel.from_transport_options,
        *("master_name", "min_other_sentinels", "sentinel_kwargs", "sentinel_fanout_compat"),
        "sentinels",
    )

    def _sentinel_managed_pool(self, asynchronous: bool = False) -> Any:  # noqa: ANN401 (kombu's)
        client = self.connection.client
        alternatives, client.alt = client.alt, list(self.sentinels)
        try:
            return super()._sentinel_managed_pool(asynchronous)
        finally:
            client.alt = alternatives


class Poller(kombu_redis.MultiChannelPoller):
    """kombu's poller; it lets channels claim before it waits."""

    def get(self, callback: Any, timeout: float | None = None) -> None:  # noqa: ANN401 (kombu's)
        """Deliver something, or wait for `timeout` seconds."""
        for channel in list(self._channels):
            if channel.is_claiming and not channel._in_poll and channel.claim():  # noqa: SLF001
                return
        super().get(callback, timeout)

    def on_poll_start(self) -> None:
        """Start waiting where there is room, and send what was acknowledged."""
        for channel in list(self._channels):
            channel.turns_at_once = False
        super().on_poll_start()
        for channel in list(self._channels):
            if channel.is_claiming:
                channel.holdings.last_look = monotonic()
                channel.flush_by_turn()


class Transport(kombu_redis.Transport):
    """`redis://` and `rediss://`."""

    Channel = Channel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()
        self.loop: Hub | None = None
        self.nudge: Callable[[], object] | None = None

    def register_with_event_loop(self, connection: object, loop: Hub) -> None:
        """Take part in the worker's event loop."""
        super().register_with_event_loop(connection, loop)
        self.loop = loop
        self.nudge = _nudge_of(loop)


class SentinelTransport(Transport):
    """`sentinel://`."""

    Channel = SentinelChannel


def _nudge_of(loop: Hub) -> Callable[[], object]:
    """Return what makes the loop's next wait return at once.

    The loop's own `call_soon` does so for other threads only.
    """
    ours, theirs = socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    loop.add_reader(theirs, lambda: theirs.recv(1_024))

    def nudge() -> None:
        # A loop that is reset runs what is left to do when it has forgotten its readers: an error
        # here would keep the rest from being cleaned up.
        with suppress(OSError):
            ours.send(b".")

    return nudge
