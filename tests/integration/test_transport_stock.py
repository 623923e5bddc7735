"""Stock kombu on the same server: each side works with what the other has left there."""

from collections.abc import Iterator

import pytest

from tests.support.servers import MANY_DATABASES, Party, client_of, fresh_database
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("stock"), options=MANY_DATABASES) as running:
        yield running


@pytest.fixture
def url(server: Valkey) -> str:
    return fresh_database(server)


def test_what_a_stock_producer_publishes_is_consumed_here(url: str) -> None:
    with Party(url, transport="redis") as stock, Party(url, "q") as ours:
        ours.look()
        stock.publish("q", {"n": 1})
        assert ours.take(1) == [{"n": 1}]


def test_what_is_published_here_is_consumed_by_stock(url: str) -> None:
    with Party(url) as ours, Party(url, "q", transport="redis") as stock:
        ours.publish("q", {"n": 1})
        assert stock.take(1) == [{"n": 1}]
        stock.got[0].ack()


def test_stock_takes_over_what_was_claimed_here_and_is_old(url: str) -> None:
    with Party(url, "q", lease=3_600) as dead, client_of(url) as client:
        dead.publish("q", 1)
        dead.take(1)
        client.zincrby("unacked_index", -60, dead.got[0].delivery_tag)
        with Party(url, "q", transport="redis", visibility_timeout=1) as stock:
            stock.channel.qos.restore_visible(interval=1)
            assert stock.take(1) == [1]


def test_what_stock_claimed_comes_back_after_its_visibility_timeout_and_not_before(
    url: str,
) -> None:
    with Party(url, "q", transport="redis") as stock, client_of(url) as client:
        stock.publish("q", "young", "old")
        stock.take(2)
        client.zincrby("unacked_index", -200, stock.got[1].delivery_tag)
        with Party(url, "q", elsewhere=True, lease=1.0, visibility_timeout=100) as ours:
            assert ours.take(1) == ["old"]
            assert client.zscore("unacked_index", stock.got[0].delivery_tag) is not None


def test_flower_reads_how_many_messages_wait(url: str) -> None:
    import asyncio

    from flower.utils.broker import Broker

    with Party(url) as ours, client_of(url) as client:
        ours.publish("q", *range(7))
        assert client.llen("q") == 7
        broker = Broker(url, broker_options={})
        (found,) = asyncio.run(broker.queues(["q"]))
        assert found["messages"] == 7


def test_a_consumer_goes_on_after_its_scripts_were_forgotten(url: str) -> None:
    with Party(url, "q") as ours, client_of(url) as client:
        for number in range(1, 4):
            client.script_flush()
            ours.publish("q", number)
            client.script_flush()
            ours.take(number)
            client.script_flush()
            ours.got[-1].ack()
        assert client.hlen("unacked") == 0
        wait_for(lambda: ours.bodies == [1, 2, 3], "three messages in their order")
