"""What a channel has delivered, and what becomes of it."""

from typing import TYPE_CHECKING, Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from tasks.broker.holdings import OWN_TAGS

if TYPE_CHECKING:
    from tasks.broker.channel import ClaimingChannel


class QoS(kombu_redis.QoS):
    """What a channel has delivered: kombu's count, with the claims that the process holds."""

    channel: "ClaimingChannel"

    def can_consume(self) -> bool:
        """Tell whether there is room for another message."""
        room = self.room()
        return room is None or room > 0

    def room(self) -> int | None:
        """Return how many more messages may be held; None for any number.

        Claims of an earlier connection count as well: their jobs are still running here.
        """
        if not self.prefetch_count:
            return None
        if not self.channel.is_claiming:
            return int(self.prefetch_count) - (len(self._delivered) - len(self._dirty))
        return int(self.prefetch_count) - len(self.channel.holdings.tags)

    def append(self, message: Any, delivery_tag: str) -> None:  # noqa: ANN401 (kombu's)
        """Note a delivered message. What was claimed is on record already."""
        if delivery_tag.startswith(OWN_TAGS):
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message."""
        if not delivery_tag.startswith(OWN_TAGS):
            super().ack(delivery_tag)
            return
        self.channel.holdings.acknowledge(delivery_tag)
        virtual.QoS.ack(self, delivery_tag)
        self.channel.flush_soon()

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Be done with a message, or put it behind what waits already."""
        if not delivery_tag.startswith(OWN_TAGS):
            super().reject(delivery_tag, requeue=requeue)
        elif requeue:
            died = self.channel.was_lost(delivery_tag)
            self.channel.holdings.give_back([delivery_tag], died=died, to_end=True)
            virtual.QoS.ack(self, delivery_tag)
        else:
            self.ack(delivery_tag)

    def restore_unacked(self, client: Any = None) -> None:  # noqa: ANN401 (kombu's)
        """Put back what has not started, when the channel closes.

        What runs keeps its claim: a closed channel means a cut connection as often as it means the
        end, and the job is acknowledged over the next one.
        """
        holdings = self.channel.holdings
        own = [tag for tag in self._delivered if tag.startswith(OWN_TAGS)]
        holdings.give_back_waiting(own)
        for tag in own:
            self._delivered.pop(tag, None)
        super().restore_unacked(client)

    def restore_visible(self, *_: object, **__: object) -> None:
        """Do nothing: the lease keeper takes back what the dead have held."""
