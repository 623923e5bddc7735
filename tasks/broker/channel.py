"""A channel that claims: kombu's, with its way of taking messages replaced.

One thing is done in another way than kombu does it: a claim is not sent now and read later, when
the socket is readable, but asked and answered in one go. In between, the worker's credit could
vanish, and the answer would lie in the socket with messages in it that nobody works on.
"""

import atexit
import logging
import os
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty
from threading import Lock
from time import monotonic, time
from typing import Any, ClassVar, Protocol

import redis
from kombu.asynchronous import Hub
from kombu.exceptions import OperationalError
from kombu.transport import virtual
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.broker.claims import BrokenQueue, Claim, Source, Sources
from tasks.broker.envelope import Message, read
from tasks.broker.holdings import Asked, Holdings, Keys
from tasks.broker.leases import LeaseKeeper
from tasks.broker.qos import QoS
from tasks.broker.sending import SendingChannel

_logger = logging.getLogger("tasks.broker")

CONNECTION_LOST = (redis.RedisError, OSError, OperationalError)
"""What means that the server is away. kombu counts KeyError and others of Python's as well."""

ACKNOWLEDGE_SECONDS = 0.005
"""How long an acknowledgement waits for the next claim, where that is put off."""

MOST_ORDERS = 100
"""Orders of queues that are kept as a claim needs them. Where queues take turns, each is one."""

REPORT_SECONDS = 60.0
"""How often a queue whose key is no list is reported, while it is."""


class FastPath(Protocol):
    """What runs a job without Celery's own consumer."""

    def is_open(self) -> bool:
        """Tell whether it takes jobs now."""
        ...

    def take(self, claim: Claim, envelope: dict[str, Any]) -> bool:
        """Take this job; False: it is for Celery's consumer, and nothing was done."""
        ...

    def finish(self, *, runs: bool = True) -> None:
        """Be done with what was taken, where jobs run in this thread; not `runs`: without it."""
        ...


class ClaimingChannel(SendingChannel):
    """A channel that claims."""

    QoS = QoS
    Message = Message
    lease = 10.0
    """Seconds after which a claim that nobody has renewed goes back to its queue."""
    claim_timeout = 5.0
    """Seconds that a claim, an acknowledgement or a renewal waits for the server."""
    claim_batch = 16
    """Messages that one claim takes at most."""
    delivery_limit = 3
    """Workers that a message may outlive before it is taken for their murderer."""
    quarantine_limit = 10_000
    """Messages that are kept in quarantine; the oldest make room."""

    from_transport_options = (
        *SendingChannel.from_transport_options,
        *("lease", "claim_timeout", "claim_batch", "delivery_limit", "quarantine_limit"),
    )

    _holdings: ClassVar[dict[object, Holdings]] = {}
    _keepers: ClassVar[dict[object, LeaseKeeper]] = {}
    _making = Lock()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._without_ack: set[str] = set()
        self._lost: set[str] = set()
        self._reported: dict[str, float] = {}
        self._held: Holdings | None = None
        self._turn_is_planned = False
        self._flush_is_planned = False
        self._may_be_more = False
        self.fast_path: FastPath | None = None
        """What takes jobs before kombu delivers their messages."""
        self._is_fast = False
        self._known_sources: dict[tuple[str, ...], Sources] = {}
        self._waits_for_bell = False
        self.turns_at_once = False
        """Whether the loop takes its next turn without waiting."""
        super().__init__(*args, **kwargs)
        # Kept, because a closed channel has no connection, and is still told that a job has ended.
        uri = self.connection.client.as_uri()
        self._server: tuple[str, ...] = (uri, self.global_keyprefix, self.unacked_key)

    # -- connections -------------------------------------------------------------------------------

    @property
    def holdings(self) -> Holdings:
        """What this process holds on this channel's server."""
        if self._held is None or self._held.pid != os.getpid():
            with self._making:
                found = self._holdings.get(self._server)
                if found is None or found.pid != os.getpid():
                    found = Holdings(self.separate_client(), self.keys())
                    self._holdings[self._server] = found
                self._held = found
        return self._held

    @classmethod
    def all_holdings(cls) -> list[Holdings]:
        """Return what this process holds, on whichever servers."""
        return [found for found in cls._holdings.values() if found.pid == os.getpid()]

    def separate_client(self) -> redis.Redis:
        """Return a client like `plain_client`, with connections of its own, and more patient.

        It sends nothing twice by itself: a claim whose answer is cut off has been done.
        """
        pool = self._get_pool()
        pool.connection_kwargs["retry"] = Retry(NoBackoff(), 0)
        pool.connection_kwargs["socket_timeout"] = float(self.claim_timeout)
        return redis.Redis(connection_pool=pool)

    def keys(self) -> Keys:
        """Return the names of the keys on this channel's server."""
        prefix = self.global_keyprefix
        return Keys(
            prefix=prefix,
            unacked=prefix + self.unacked_key,
            index=prefix + self.unacked_index_key,
            deaths=prefix + "deaths",
            delayed=prefix + "delayed",
            delayed_messages=prefix + "delayed.messages",
            paused=prefix + "expresslane-paused",
            quarantine=prefix + "quarantine",
            separator=self.sep,
        )

    # -- claiming ----------------------------------------------------------------------------------

    @property
    def is_claiming(self) -> bool:
        """Tell whether this channel consumes queues whose messages are acknowledged."""
        queues = self.active_queues
        return bool(queues) and not any(queue in self._without_ack for queue in queues)

    def basic_consume(self, queue: str, no_ack: bool = False, *args: Any, **kwargs: Any) -> None:
        """Consume from the queue; from now on, what this process holds is kept."""
        if no_ack:
            self._without_ack.add(queue)
        super().basic_consume(queue, no_ack, *args, **kwargs)
        if self.is_claiming:
            self.holdings.consumers.add(self)
            self._keep_leases()

    def basic_cancel(self, consumer_tag: str) -> Any:  # noqa: ANN401 (kombu's)
        """Consume from one queue less."""
        found = super().basic_cancel(consumer_tag)
        if not self.is_claiming:
            self.holdings.consumers.discard(self)
        return found

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:  # noqa: ANN401
        """Take one message, claimed like every other; None if there is none."""
        if no_ack:
            return super().basic_get(queue, no_ack=no_ack, **kwargs)
        for claim in self.holdings.claim(self._sources((queue,)), 1):
            if isinstance(claim, Claim):
                self._keep_leases()
                message = self.Message(read(claim), channel=self)
                self.qos.append(message, message.delivery_tag)
                return message
        return None

    def claim(self) -> int:
        """Claim what there is room for, deliver it, and return how many messages came."""
        asked = self._ask()
        return self._deliver_claims(asked) if asked is not None else 0

    def _ask(self) -> Asked | None:
        """Send a claim for what there is room for; None if there is none."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        room = self.qos.room()
        most = self.claim_batch if room is None else min(self.claim_batch, room)
        if not queues or most <= 0:
            return None
        return self.holdings.ask(self._sources(tuple(queues)), most)

    def _deliver_claims(self, asked: Asked) -> int:
        """Deliver what was claimed, and return how many messages that were."""
        self._is_fast = self.fast_path is not None and self.fast_path.is_open()
        found = asked.take()
        undelivered = deque(found)
        try:
            while undelivered:
                claim = undelivered[0]
                if isinstance(claim, BrokenQueue):
                    self._report(claim)
                else:
                    self._queue_cycle.rotate(claim.queue)
                    self._deliver_claim(claim)
                undelivered.popleft()
            self._finish_fast_path()
        except BaseException as error:
            # The worker may be told to end at once, rather than that something has gone wrong.
            self._finish_fast_path(runs=isinstance(error, Exception))
            self._give_back_undelivered(undelivered)
            raise
        claimed = sum(isinstance(claim, Claim) for claim in found)
        self._may_be_more = claimed == asked.most
        if claimed:
            self._end_wait()
        return claimed

    def _give_back_undelivered(self, claims: Iterable[Claim | BrokenQueue]) -> None:
        """Put back what nobody works on, as what was delivered is when the channel closes."""
        delivered = self.qos._delivered  # noqa: SLF001 (kombu's)
        tags = [claim.tag for claim in claims if isinstance(claim, Claim)]
        with suppress(*CONNECTION_LOST):  # then the lease keeper puts them back
            self.holdings.give_back_waiting([tag for tag in tags if tag not in delivered])

    def _finish_fast_path(self, *, runs: bool = True) -> None:
        if self._is_fast and self.fast_path is not None:
            self.fast_path.finish(runs=runs)

    def _sources(self, queues: tuple[str, ...]) -> Sources:
        found = self._known_sources.get(queues)
        if found is None:
            if len(self._known_sources) >= MOST_ORDERS:
                self._known_sources.clear()
            found = self._known_sources[queues] = Sources(
                [
                    Source(queue, self.list_key(queue, priority), priority)
                    for priority in self.priority_steps
                    for queue in queues
                ]
            )
        return found

    def _deliver_claim(self, claim: Claim) -> None:
        try:
            envelope = read(claim)
            if (
                self._is_fast
                and self.fast_path is not None
                and self.fast_path.take(claim, envelope)
            ):
                return
            self.connection._deliver(envelope, claim.queue)  # noqa: SLF001 (kombu's own way)
        except (*CONNECTION_LOST, MemoryError):
            raise
        except Exception as error:
            _logger.exception("a message of queue %s cannot become a job", claim.queue)
            self.quarantine(claim.tag, claim.queue, error)

    def quarantine(self, tag: str, queue: str, error: BaseException | str) -> None:
        """Keep the message aside with the reason, instead of delivering it ever again."""
        reason = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        about: dict[str, object] = {"queue": queue, "reason": reason[:2_000], "at": time()}
        if self.holdings.quarantine(tag, about, self.quarantine_limit):
            _logger.critical("quarantined a message of queue %s: %s", queue, reason[:200])
        virtual.QoS.ack(self.qos, tag)

    def delay(self, tag: str, due: float) -> None:
        """Put the message aside until it is due, in seconds since 1970."""
        self.holdings.delay(tag, due)
        virtual.QoS.ack(self.qos, tag)
        self._keep_leases()

    def _report(self, broken: BrokenQueue) -> None:
        now = monotonic()
        if now - self._reported.get(broken.key, -REPORT_SECONDS) >= REPORT_SECONDS:
            self._reported[broken.key] = now
            _logger.critical(
                "queue %s is skipped: its key %r holds something else than a list (%s). Rename or "
                "delete that key",
                *(broken.queue, broken.key, broken.error),
            )

    # -- waiting -----------------------------------------------------------------------------------

    def _brpop_start(self, timeout: float | None = None) -> None:
        if not self.is_claiming:
            super()._brpop_start(timeout)
            return
        if self._is_well_supplied:
            return
        self.claim()
        if self.qos.can_consume() and not self._may_be_more:
            prefix = self.global_keyprefix
            bells = [f"{prefix}{queue}.bell" for queue in self.active_queues]
            self._in_poll = self.client.connection
            self._waits_for_bell = True
            self._brpop_sent_at = monotonic()
            wait = self.brpop_timeout if timeout is None else timeout
            self.client.connection.send_command("BRPOP", *bells, wait or 0)

    def _end_wait(self) -> None:
        """Have the loop turn at once, instead of waiting for something to read.

        The pool may have had its turn already, and would wait for the next one with the jobs.
        """
        if self.connection.nudge is not None:
            self.turns_at_once = True
            self.connection.nudge()
        elif self._may_be_more:
            # Without a loop, the only wait is for the bell.
            self._may_be_more = False
            self._ring(self.active_queues[0])

    def _brpop_read(self, **options: Any) -> Any:  # noqa: ANN401 (kombu's)
        # Its last queue may have been cancelled since it was asked for the bell.
        if not self._waits_for_bell:
            return super()._brpop_read(**options)
        self._waits_for_bell = False
        asked: Asked | None = None
        try:
            # Before the bell's answer is read, which takes as long as the server needs for this.
            asked = self._ask()
            self.client.connection.read_response()
        except BaseException:
            # Else what is still to come would be taken for the answer to the next wait.
            self.client.connection.disconnect()
            if asked is not None:
                with suppress(*CONNECTION_LOST):  # then the lease keeper puts it back
                    asked.put_back()
            raise
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if asked is not None and self._deliver_claims(asked):
            return True
        # Somebody was faster, or it is only time to look again.
        raise Empty

    # -- afterwards --------------------------------------------------------------------------------

    def flush_soon(self) -> None:
        """See to it that acknowledgements are sent: in a loop in its next turn, else now.

        Each turn claims what there is room for before it waits, or sends them by themselves.
        """
        if self.loop is None:
            self.holdings.flush()
        elif not self._turn_is_planned:
            self._turn_is_planned = True
            self.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_is_planned = False

    @property
    def _is_well_supplied(self) -> bool:
        """Tell whether enough jobs wait here for what runs: then the next claim brings several.

        It is put off until half of the room is free, and never with a prefetch multiplier of 1,
        where none wait here.
        """
        if self.loop is None or not self.qos.prefetch_count:
            return False
        held, started = self.holdings.count()
        is_half_full = 2 * held > self.qos.prefetch_count
        return is_half_full and 0 < started < 2 * (held - started)

    def flush_by_turn(self) -> None:
        """Send what was acknowledged: now, or with the next claim where there is one soon."""
        if self.turns_at_once:
            return  # solo has run what it has just claimed, and claims again in the next turn
        if not self._is_well_supplied:
            self.holdings.flush()
        elif self.loop is not None and not self._flush_is_planned and self.holdings.has_finished:
            self._flush_is_planned = True
            self.loop.call_later(ACKNOWLEDGE_SECONDS, self._flush_planned)

    def _flush_planned(self) -> None:
        self._flush_is_planned = False
        if not self.closed:
            self.holdings.flush()

    @property
    def loop(self) -> Hub | None:
        """The worker's event loop, if there is one."""
        found: Hub | None = getattr(self.connection, "loop", None)
        return found

    def mark_lost(self, tag: str) -> None:
        """Note that the process that ran this message is gone; its rejection counts as a death."""
        self._lost.add(tag)

    def was_lost(self, tag: str) -> bool:
        """Tell, once, whether `mark_lost` was called for this message."""
        found = tag in self._lost
        self._lost.discard(tag)
        return found

    def close(self) -> None:
        """Close the channel, with what was acknowledged sent."""
        if self._waits_for_bell and self._in_poll:
            # What is still to come is a token of the bell, for which kombu would wait here.
            self._in_poll.disconnect()
            self._in_poll = None
        if self.is_claiming and not self.closed:
            try:
                self.holdings.flush()
            except CONNECTION_LOST as error:
                # It stays collected, and goes with the next connection.
                _logger.warning("acknowledgements wait for the next connection: %s", error)
        self.holdings.consumers.discard(self)
        super().close()

    def _keep_leases(self) -> None:
        holdings = self.holdings
        with self._making:
            keeper = self._keepers.get(self._server)
            if keeper is None or not keeper.wake():
                self._keepers[self._server] = LeaseKeeper(
                    holdings, float(self.lease), self._restore_stock_claims
                )

    def _restore_stock_claims(self, tags: list[str]) -> None:
        """Put back what stock workers have held for longer than `visibility_timeout`."""
        oldest = time() - self.visibility_timeout
        with self.conn_or_acquire() as client:
            for tag in tags:
                claimed_at = client.zscore(self.unacked_index_key, tag)
                if claimed_at is not None and claimed_at < oldest:
                    self.qos.restore_by_tag(tag, client)


@atexit.register
def stop_lease_keepers() -> None:
    """Have the lease keepers of this process end: it is over, and so are its claims."""
    for keeper in tuple(ClaimingChannel._keepers.values()):  # noqa: SLF001 (of this module)
        keeper.stop()


def give_back_waiting() -> None:
    """Give back, on every server, what this process has claimed and not started."""
    for holdings in tuple(ClaimingChannel.all_holdings()):
        try:
            given = holdings.stop()
            holdings.flush()
        except CONNECTION_LOST as error:
            # Their leases end by themselves.
            _logger.warning("could not give back waiting jobs: %s", error)
        else:
            if given:
                _logger.info("gave back %d jobs that had not started", given)
