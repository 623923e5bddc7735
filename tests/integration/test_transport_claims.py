"""How messages are claimed, acknowledged and put back, over plain kombu connections."""

import gc
import json
from collections.abc import Iterator

import pytest
import redis
from kombu import Exchange, Queue
from kombu.asynchronous import Hub

from tasks.broker.claims import Claim
from tasks.broker.scripts import BELL_TOKENS
from tasks.broker.transport import _nudge_of
from tests.support.servers import MANY_DATABASES, Party, client_of, fresh_database
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("transport"), options=MANY_DATABASES) as running:
        yield running


@pytest.fixture
def url(server: Valkey) -> str:
    return fresh_database(server)


def test_a_delivered_message_is_on_record_in_the_form_of_kombu(url: str) -> None:
    with Party(url, "q") as party, client_of(url) as client:
        party.publish("q", {"n": 1})
        waiting = client.lindex("q", 0)
        party.take(1)
        ((tag, stored),) = client.hgetall("unacked").items()
        assert tag.decode() == party.got[0].delivery_tag
        message, exchange, routing_key = json.loads(stored)
        assert (message, exchange, routing_key) == (json.loads(waiting or b""), "", "q")
        assert client.zrange("unacked_index", 0, -1) == [tag]
        assert client.llen("q") == 0


def test_an_acknowledged_message_is_gone(url: str) -> None:
    with Party(url, "q") as party, client_of(url) as client:
        party.publish("q", 1)
        party.take(1)
        party.got[0].ack()
        assert client.keys("unacked*") == []
        assert client.llen("q") == 0


def test_a_message_rejected_for_requeueing_comes_again(url: str) -> None:
    with Party(url, "q") as party, client_of(url) as client:
        party.publish("q", 1)
        party.take(1)
        party.got[0].requeue()
        assert party.take(2) == [1, 1]
        party.got[1].reject()
        assert client.exists("q", "unacked", "unacked_index") == 0


def test_what_is_not_acknowledged_goes_back_in_its_order_when_the_channel_closes(url: str) -> None:
    with client_of(url) as client:
        with Party(url, "q") as first:
            first.publish("q", *range(5))
            before = client.lrange("q", 0, -1)
            first.take(5)
            assert client.llen("q") == 0
        assert client.lrange("q", 0, -1) == before


def test_a_channel_closes_quietly_when_the_bell_rings_after_its_last_queue_was_cancelled(
    url: str,
) -> None:
    with Party(url) as producer, Party(url, "q") as party:
        party.look()
        assert party.channel._in_poll
        party.consumer.cancel()
        producer.publish("q", 1)
        party.channel.close()
    with client_of(url) as client:
        assert client.llen("q") == 1


def test_a_busy_consumer_with_prefetch_one_leaves_the_rest_to_an_idle_one(url: str) -> None:
    with Party(url, "q", prefetch=1) as busy, client_of(url) as client:
        busy.publish("q", 1, 2)
        assert busy.take(1) == [1]
        busy.look()
        assert client.llen("q") == 1
        with Party(url, "q", prefetch=1, elsewhere=True) as idle:
            assert idle.take(1) == [2]
        assert busy.bodies == [1]


def test_the_first_queue_is_emptied_before_the_second(url: str) -> None:
    with Party(url) as producer:
        producer.publish("low", *[f"low {n}" for n in range(40)])
        producer.publish("high", *[f"high {n}" for n in range(3)])
    with Party(url, "high", "low", prefetch=1) as party:
        for number in range(1, 6):
            party.take(number)
            party.got[-1].ack()
        assert party.bodies == ["high 0", "high 1", "high 2", "low 0", "low 1"]


def test_priority_zero_comes_first(url: str) -> None:
    with Party(url) as producer:
        for priority in (9, 3, 6, 0):
            producer.publish("q", priority, priority=priority)
    with Party(url, "q") as party:
        assert party.take(4) == [0, 3, 6, 9]


@pytest.mark.parametrize("priority", range(10))
def test_a_message_goes_back_to_its_own_priority(url: str, priority: int) -> None:
    with Party(url) as producer:
        producer.publish("q", 1, priority=priority)
    with client_of(url) as client:
        where = client.keys("q*")
        with Party(url, "q") as party:
            party.take(1)
        assert [key for key in client.keys("q*") if not key.endswith(b".bell")] == [
            key for key in where if not key.endswith(b".bell")
        ]


def test_basic_get_claims_one_message(url: str) -> None:
    with Party(url) as party, client_of(url) as client:
        assert party.channel.basic_get("q") is None
        party.publish("q", 1, 2)
        message = party.channel.basic_get("q")
        assert message.payload == 1
        assert (client.hlen("unacked"), client.llen("q")) == (1, 1)
        message.ack()
        assert client.hlen("unacked") == 0


def test_a_publish_wakes_a_waiting_consumer(url: str) -> None:
    with Party(url, "q") as waiting, Party(url) as producer, client_of(url) as client:
        waiting.look()
        blocked = client.info("clients")["blocked_clients"]
        assert blocked >= 1
        producer.publish("q", 1)
        assert waiting.take(1) == [1]


def test_the_bell_is_bounded_and_expires(url: str) -> None:
    with Party(url) as producer, client_of(url) as client:
        for number in range(3 * BELL_TOKENS):
            producer.publish("q", number)
            if number % 2:
                client.rpop("q")
        assert 0 < client.llen("q.bell") <= BELL_TOKENS
        assert 0 < client.pttl("q.bell") <= 10_000


def test_fanout_reaches_every_consumer(url: str) -> None:
    news = Exchange("news", type="fanout")
    with Party(url) as producer, Party(url) as one, Party(url) as two:
        for number, party in enumerate((one, two)):
            party.consumer.add_queue(Queue(f"news-{number}", news, auto_delete=True))
            party.consumer.consume(no_ack=True)
            party.look()

        def publish_until_both_have_it() -> bool:
            producer.producer.publish("hello", exchange=news, declare=[news])
            one.look()
            two.look()
            return bool(one.got and two.got)

        wait_for(publish_until_both_have_it, "news at both")
        assert {one.got[0].payload, two.got[0].payload} == {"hello"}


def test_a_batch_is_published_whole(url: str) -> None:
    with Party(url) as producer, client_of(url) as client:
        with producer.producer.batch():  # type: ignore[attr-defined] # newer than the stubs
            producer.publish("q", *range(50))
            assert client.llen("q") == 0
        assert client.llen("q") == 50
    with Party(url, "q") as party:
        assert party.take(50) == list(range(50))


def test_a_megabyte_comes_as_it_was_sent(url: str) -> None:
    text = "ü" * 500_000
    with Party(url, "q") as party:
        party.publish("q", text)
        assert party.take(1) == [text]


NAMES = ('"', "'", " a b ", "größe ☃ 𝄞", ',"",', '",""]', "\\", "{x}", "a\nb", "[]")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_queue_works(url: str, name: str) -> None:
    with client_of(url) as client:
        with Party(url, name) as party:
            party.publish(name, 1, 2)
            before = client.lrange(name, 0, -1)
            assert party.take(2) == [1, 2]
        assert client.lrange(name, 0, -1) == before


@pytest.mark.filterwarnings(
    # Its two sockets end by being forgotten, the one with the loop's readers.
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_a_loop_that_was_reset_may_still_be_nudged() -> None:
    loop = Hub()
    nudge = _nudge_of(loop)
    loop.reset()
    nudge()
    loop.close()
    del nudge
    gc.collect()


def test_what_was_claimed_with_a_message_that_could_not_be_delivered_goes_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Party(url, "q") as party, client_of(url) as client:
        party.publish("q", 1, 2, 3)
        really = party.channel._deliver_claim
        claims: list[Claim] = []

        def fails_at_the_second(claim: Claim) -> None:
            claims.append(claim)
            if len(claims) == 2:
                raise redis.ConnectionError("the server is away")
            really(claim)

        with monkeypatch.context() as away:
            away.setattr(party.channel, "_deliver_claim", fails_at_the_second)
            with pytest.raises(redis.ConnectionError):
                party.channel.claim()
        assert party.bodies == [1]
        assert client.llen("q") == 2
        assert party.channel.holdings.tags.keys() == {claims[0].tag}
        assert party.take(3) == [1, 2, 3]
