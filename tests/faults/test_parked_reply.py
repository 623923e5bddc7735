"""The hole of kombu's transport that needs no crash to open: a reply that nobody reads.

A worker asks for a message and waits. Its room for messages vanishes meanwhile: a job whose time
had come, a retry. Then a message arrives. Kombu's BRPOP takes it off its list, and it lies in the
socket, on no record, for as long as the job runs; a worker that is killed then has lost it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from kombu import Connection, Queue

from tests.faults.arena import Arena
from tests.faults.conftest import MakeArena
from tests.support.waiting import wait_for

OURS = "tasks.broker.transport:Transport"
BUSY, HOT = "busy", "hot"


class Waiting:
    """A consumer of `HOT` with room for one message, which has asked and waits."""

    def __init__(self, arena: Arena, transport: str, stack: ExitStack) -> None:
        self.arena = arena
        self.received: list[Any] = []
        self.connection = stack.enter_context(Connection(arena.broker.url, transport=transport))
        self.publisher = stack.enter_context(Connection(arena.broker.url, transport=transport))
        self.channel = self.connection.channel()
        self.channel.basic_qos(0, 1, False)
        consumer = self.connection.Consumer(
            Queue(HOT), channel=self.channel, callbacks=[self.receive]
        )
        stack.enter_context(consumer)
        self.look()

    def receive(self, body: object, message: Any) -> None:  # noqa: ANN401 (kombu's)
        self.received.append((body, message))

    def look(self) -> None:
        """Take what comes within a moment; otherwise the question stays open."""
        try:
            self.connection.drain_events(timeout=0.2)
        except TimeoutError:
            return

    def publish(self, queue: str) -> None:
        with self.publisher.Producer() as producer:
            producer.publish("x", routing_key=queue, declare=[Queue(queue)])

    def lose_room(self) -> Any:  # noqa: ANN401 (kombu's message)
        """Take another message meanwhile, as a job whose time has come does."""
        self.publish(BUSY)
        return self.channel.basic_get(BUSY)

    def on_record(self) -> int:
        """Count what is in the list or claimed with a lease, but for the one that keeps it busy."""
        redis = self.arena.broker.client
        claimed = set(redis.hkeys("unacked")) & set(redis.zrange("unacked_index", 0, -1))
        return int(redis.llen(HOT)) + len(claimed) - len(self.channel.qos._delivered)


@contextmanager
def waiting(arena: Arena, transport: str) -> Iterator[Waiting]:
    with ExitStack() as stack:
        yield Waiting(arena, transport, stack)


def test_a_message_is_in_its_list_or_leased_while_a_waiting_worker_has_no_room(
    make_arena: MakeArena,
) -> None:
    with waiting(make_arena(), OURS) as worker:
        busy = worker.lose_room()
        worker.publish(HOT)
        assert worker.on_record() == 1
        worker.look()
        assert (worker.received, worker.on_record()) == ([], 1)
        assert worker.arena.queued(HOT) == 1
        busy_tag = busy.delivery_tag
        worker.channel.basic_ack(busy_tag)
        worker.look()
        ((_, message),) = worker.received
        assert worker.arena.broker.client.zscore("unacked_index", message.delivery_tag)
        message.ack()
        wait_for(lambda: not worker.arena.unacked(), "nothing left")


def test_the_same_steps_leave_the_stock_transports_message_on_no_record(
    make_arena: MakeArena,
) -> None:
    with waiting(make_arena(), "redis") as worker:
        worker.lose_room()
        worker.publish(HOT)
        worker.look()
        assert (worker.received, worker.on_record()) == ([], 0)


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_worker_killed_while_jobs_with_a_time_come_due_loses_nothing(
    pool: Any,  # noqa: ANN401 (parametrized)
    make_arena: MakeArena,
) -> None:
    arena = make_arena(lease=1)
    worker = arena.worker(pool, concurrency=1)
    first = [arena.send("faults.work", number=n, seconds=2, countdown=0.5) for n in range(2)]
    wait_for(lambda: arena.ledger.read().running(worker.node), "the first to run")
    second = [arena.send("faults.work", number=10 + n, seconds=0) for n in range(5)]
    worker.kill()
    arena.worker(pool, concurrency=2)
    for number in (*range(2), *range(10, 15)):
        wait_for(lambda: arena.ledger.read().ends[number], f"job {number}")  # noqa: B023 (called at once)
    assert len({*first, *second}) == 7
