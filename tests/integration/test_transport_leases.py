"""What the dead held goes back, once, in its order, and whatever its bytes."""

import multiprocessing
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.broker.claims import Claim, Source, Sources
from tasks.broker.holdings import Holdings, Keys
from tests.support.servers import MANY_DATABASES, Party, client_of, fresh_database
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("leases"), options=MANY_DATABASES) as running:
        yield running


@pytest.fixture
def url(server: Valkey) -> str:
    return fresh_database(server)


def keys_under(prefix: str = "") -> Keys:
    return Keys(
        prefix=prefix,
        unacked=prefix + "unacked",
        index=prefix + "unacked_index",
        deaths=prefix + "deaths",
        delayed=prefix + "delayed",
        delayed_messages=prefix + "delayed.messages",
        paused=prefix + "expresslane-paused",
        quarantine=prefix + "quarantine",
        separator="\x06\x16",
    )


def holder(url: str) -> Holdings:
    """Holdings as those of one more process, without the thread that renews."""
    return Holdings(client_of(url), keys_under())


def claim(holdings: Holdings, queue: str, most: int = 100) -> list[Claim]:
    found = holdings.claim(Sources([Source(queue, queue, 0)]), most)
    return [one for one in found if isinstance(one, Claim)]


def age(url: str, tags: list[str], seconds: float) -> None:
    with client_of(url) as client:
        for tag in tags:
            client.zincrby("unacked_index", -seconds, tag)


def test_only_what_is_past_its_lease_goes_back_in_the_old_order(url: str) -> None:
    dead, other = holder(url), holder(url)
    client = dead.client
    client.lpush("q", *range(10))
    tags = [one.tag for one in claim(dead, "q", 6)]
    age(url, tags[:4], 60)
    assert other.take_from_the_dead(10) == (4, [])
    assert [int(one) for one in reversed(client.lrange("q", 0, -1))] == [0, 1, 2, 3, 6, 7, 8, 9]
    assert set(client.hkeys("unacked")) == {tag.encode() for tag in tags[4:]}


def test_a_renewed_claim_is_not_taken(url: str) -> None:
    alive, other = holder(url), holder(url)
    alive.client.lpush("q", 1)
    tags = [one.tag for one in claim(alive, "q")]
    age(url, tags, 60)
    assert alive.renew() == []
    assert other.take_from_the_dead(10) == (0, [])


def test_an_acknowledgement_after_the_lease_does_not_touch_the_newer_claim(url: str) -> None:
    frozen, other = holder(url), holder(url)
    frozen.client.lpush("q", 1)
    (old,) = claim(frozen, "q")
    age(url, [old.tag], 60)
    other.take_from_the_dead(10)
    (new,) = claim(other, "q")
    assert (new.message, new.deaths) == (old.message, 1)
    frozen.acknowledge(old.tag)
    frozen.flush()
    assert other.client.hkeys("unacked") == [new.tag.encode()]
    assert frozen.renew() == []
    assert other.renew() == []


def _sweep(url: str, total: "multiprocessing.Queue[int]") -> None:
    other = holder(url)
    total.put(sum(other.take_from_the_dead(10, most=7)[0] for _ in range(100)))


def test_two_processes_that_sweep_at_once_put_each_message_back_once(url: str) -> None:
    dead = holder(url)
    dead.client.lpush("q", *range(400))
    age(url, [one.tag for one in claim(dead, "q", 400)], 60)
    context = multiprocessing.get_context("spawn")
    total: multiprocessing.Queue[int] = context.Queue()
    sweeps = [context.Process(target=_sweep, args=(url, total)) for _ in range(2)]
    for sweep in sweeps:
        sweep.start()
    assert sum(total.get(timeout=30) for _ in sweeps) == 400
    for sweep in sweeps:
        sweep.join()
    assert sorted(map(int, dead.client.lrange("q", 0, -1))) == list(range(400))
    assert dead.client.exists("unacked", "unacked_index") == 0


@settings(max_examples=80, deadline=None)
@given(messages=st.lists(st.binary(), min_size=1, max_size=8), dies=st.booleans())
def test_any_bytes_go_back_as_they_were_and_where_they_were(
    server: Valkey, messages: list[bytes], dies: bool
) -> None:
    url = server.url
    held = holder(url)
    queue = f"bytes-{uuid4().hex}"
    held.client.lpush(queue, *messages)
    before = held.client.lrange(queue, 0, -1)
    claims = claim(held, queue)
    assert [one.message for one in claims] == messages
    tags = [one.tag for one in claims]
    if dies:
        age(url, tags, 60)
        assert holder(url).take_from_the_dead(10)[0] == len(messages)
    else:
        assert held.give_back(tags) == len(messages)
    assert held.client.lrange(queue, 0, -1) == before
    assert held.client.exists("unacked", "unacked_index") == 0
    held.client.delete(queue)


def test_every_key_of_a_full_cycle_carries_the_prefix(url: str) -> None:
    prefix = "shop:"
    client = client_of(url)
    dead = Holdings(client_of(url), keys_under(prefix))
    options: dict[str, Any] = {"global_keyprefix": prefix, "lease": 1.0}
    with Party(url, **options) as producer:
        producer.publish("q", 1, 2)
    claims = dead.claim(Sources([Source("q", "shop:q", 0)]), 1)
    assert len(claims) == 1
    client.lpush("shop:q", b"\xff garbage")
    with Party(url, "q", **options) as party:
        wait_for(lambda: sorted(map(str, party.bodies)) == ["1", "2"], "both", doing=party.look)
        wait_for(lambda: client.exists("shop:quarantine"), "quarantine", doing=party.look)
        party.got[0].requeue()
        party.take(3)
        for message in party.got[1:]:
            message.ack()
        assert client.hlen("shop:unacked") == 0
        assert {bytes(key)[:5] for key in client.scan_iter()} == {b"shop:"}


def held_by(url: str, *, deaths: int) -> tuple[Holdings, Claim]:
    """Claim the only message of `q`, which so many workers have died over."""
    held = holder(url)
    (one,) = claim(held, "q")
    assert one.deaths == deaths
    return held, one


def die(url: str, tag: str) -> None:
    age(url, [tag], 60)
    assert holder(url).take_from_the_dead(10) == (1, [])


def test_a_bystander_of_any_number_of_deaths_is_counted_once(url: str) -> None:
    with client_of(url) as client:
        client.lpush("q", "bystander")
    for deaths in (0, 1, 1, 1):
        _, one = held_by(url, deaths=deaths)
        die(url, one.tag)


def test_every_death_of_a_job_that_had_started_is_counted(url: str) -> None:
    with client_of(url) as client:
        client.lpush("q", "killer")
    for deaths in range(4):
        held, one = held_by(url, deaths=deaths)
        assert held.start(one.tag)
        die(url, one.tag)


@pytest.mark.parametrize("end", ["acknowledge", "give back"])
def test_a_start_that_was_noted_is_forgotten_with_its_claim(url: str, end: str) -> None:
    with client_of(url) as client:
        client.lpush("q", "suspect")
        _, first = held_by(url, deaths=0)
        die(url, first.tag)
        held, one = held_by(url, deaths=1)
        assert held.start(one.tag)
        assert client.hlen("deaths") == 2
        if end == "acknowledge":
            held.acknowledge(one.tag)
            held.flush()
            assert client.exists("deaths", "unacked", "unacked_index", "q") == 0
        else:
            held.give_back([one.tag])
            assert client.hvals("deaths") == [b"1"]


def test_what_has_gone_back_does_not_start(url: str) -> None:
    with client_of(url) as client:
        client.lpush("q", 1, 2)
        held = holder(url)
        first, second = claim(held, "q")
        assert held.start(first.tag)
        assert held.give_back_waiting() == 1
        assert not held.start(second.tag)
        assert client.lrange("q", 0, -1) == [b"2"]
        assert client.hkeys("unacked") == [first.tag.encode()]


def test_a_suspect_whose_lease_was_lost_does_not_start(url: str) -> None:
    with client_of(url) as client:
        client.lpush("q", "suspect")
        _, first = held_by(url, deaths=0)
        die(url, first.tag)
        frozen, one = held_by(url, deaths=1)
        die(url, one.tag)
        assert not frozen.start(one.tag)
        assert client.hvals("deaths") == [b"1"]


def test_a_claim_whose_answer_is_cut_off_shares_no_tag_with_the_next_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = holder(url)
    held.client.lpush("q", *range(4))
    really = held._wire.answer

    def cut_off() -> None:
        really()
        raise redis.ConnectionError

    with monkeypatch.context() as cut:
        cut.setattr(held._wire, "answer", cut_off)
        with pytest.raises(redis.ConnectionError):
            claim(held, "q", 2)
    assert [one.message for one in claim(held, "q", 2)] == [b"2", b"3"]
    tags: Any = held.client.hkeys("unacked")
    age(url, [tag.decode() for tag in tags], 60)
    assert held.renew() == []
    # Nobody knows of the first two, so nobody renews them.
    assert holder(url).take_from_the_dead(10) == (2, [])
    assert held.client.lrange("q", 0, -1) == [b"1", b"0"]
