"""A broker that stops answering and comes back: nothing is lost, and nobody waits for ever."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

import pytest
import redis

from tasks.broker.holdings import LOOKS, Holdings
from tests.integration.test_transport_leases import claim, holder
from tests.support.programs import Program
from tests.support.servers import Party
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

PAUSE = 15.0
"""Seconds: longer than the lease and three times as long as a claim waits."""

AWAY = "leases are not renewed until the broker is back"
BACK = "the broker is back, and leases are renewed again"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as running:
        yield running


@contextmanager
def paused(server: Valkey) -> Iterator[None]:
    """The server accepts connections, and answers nothing."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


def publish(url: str, queue: str, numbers: Iterable[int]) -> None:
    """Publish jobs as a stock producer does."""
    with Party(url, transport="redis") as stock:
        for number in numbers:
            headers = {"id": f"{queue}-{number}", "task": "tests.log_only"}
            stock.publish(queue, [[], {"mark": f"{queue}-{number}."}, {}], headers=headers)


def cut_off(server: Valkey) -> Holdings:
    """Holdings of a process whose claim of 4 messages was sent, done, and never answered."""
    holdings = holder(f"{server.url}?socket_timeout=0.3")
    assert not claim(holdings, "empty")  # the server knows the connection and the script now
    with paused(server), pytest.raises(redis.TimeoutError):
        claim(holdings, "q", 4)
    # The server reads what was sent to it before: the claim is done now, behind our back.
    wait_for(lambda: server.client.hlen("unacked") == 4, "the claim that nobody waits for")
    return holdings


def test_a_claim_whose_answer_never_came_is_not_overwritten_by_the_next(server: Valkey) -> None:
    server.client.lpush("q", *range(10))
    holdings = cut_off(server)
    found = claim(holdings, "q", 4)
    assert [int(one.message) for one in found] == [4, 5, 6, 7]
    assert server.client.hlen("unacked") == 8


def test_what_was_claimed_without_our_knowing_goes_back_and_counts_as_nobodys_death(
    server: Valkey,
) -> None:
    server.client.lpush("q", *range(4))
    before = server.client.lrange("q", 0, -1)
    holdings = cut_off(server)
    assert [holdings.give_back_loose() for _ in range(LOOKS)] == [4, *[0] * (LOOKS - 1)]
    assert not holdings.is_in_use
    assert server.client.lrange("q", 0, -1) == before
    assert server.client.exists("unacked", "unacked_index", "deaths") == 0
    assert all(one.deaths == 0 for one in claim(holdings, "q"))


@contextmanager
def workers(server: Valkey, directory: Path) -> Iterator[dict[str, Program]]:
    """A worker of each pool, each with a queue of the pool's name."""
    with ExitStack() as stack:
        yield {
            pool: stack.enter_context(
                start_worker(
                    directory / f"{pool}.log", broker_url=server.url, queues=pool, pool=pool
                )
            )
            for pool in ("prefork", "threads", "solo")
        }


def test_workers_go_on_after_a_pause_of_the_broker_and_lose_nothing(
    server: Valkey, tmp_path: Path
) -> None:
    numbers = range(10)
    with workers(server, tmp_path) as programs:
        with paused(server):
            began = monotonic()
            for worker in programs.values():
                worker.wait_until_printed(AWAY)
            wait_for(lambda: monotonic() - began > PAUSE, "the broker to be away for long")
        for pool, worker in programs.items():
            publish(server.url, pool, numbers)
            for number in numbers:
                worker.wait_until_printed(f"child {pool}-{number}.")
        wait_for(lambda: not server.client.exists("unacked", *programs), "acknowledgements")
        assert not server.client.exists("deaths")
        for worker in programs.values():
            worker.wait_until_printed(BACK)
            assert worker.output().count(AWAY) == worker.output().count(BACK) == 1


def test_workers_end_on_sigterm_although_their_broker_is_paused(
    server: Valkey, tmp_path: Path
) -> None:
    with workers(server, tmp_path) as programs, paused(server):
        for worker in programs.values():
            worker.wait_until_printed(AWAY)
        for worker in programs.values():
            worker.process.terminate()
        for worker in programs.values():
            # Within the patience of a wait: some have hung in a heartbeat until they were killed.
            wait_for(lambda: worker.process.poll() is not None, f"the end of {worker.argv}")  # noqa: B023 (called at once)
            assert worker.process.returncode == 0, worker.output()


def test_the_lease_keeper_of_a_process_that_holds_and_consumes_nothing_ends(
    server: Valkey,
) -> None:
    url = f"redis://127.0.0.1:{server.port}/3"
    with Party(url, "q", lease=1.0) as party:
        party.publish("q", 1)
        party.take(1)
        keeper = party.channel._keepers[party.channel._server]
        assert not keeper.join(timeout=1.0)
        party.got[0].ack()
    assert keeper.join(timeout=30)
    with Party(url, "q", lease=1.0) as again:
        another = again.channel._keepers[again.channel._server]
        assert another is not keeper
        again.publish("q", 2)
        assert again.take(1) == [2]
        another.stop()
        assert another.join(timeout=30)


def test_a_lease_keeper_can_be_stopped_while_the_broker_is_away(server: Valkey) -> None:
    url = f"redis://127.0.0.1:{server.port}/4"
    with Party(url, "q", lease=1.0, claim_timeout=1.0) as party:
        keeper = party.channel._keepers[party.channel._server]
        with paused(server):
            wait_for(lambda: keeper._is_away, "it to notice")
            keeper.stop()
            assert keeper.join(timeout=30)
