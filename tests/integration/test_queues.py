"""Queues: how each is, and pausing them, which every worker obeys."""

import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tasks import pending, queues
from tasks.celery import app
from tasks.errors import NoSuchQueue
from tests.support import jobs
from tests.support.servers import Party, client_of
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE, OTHER = "paused-tests", "other-tests"
KEEPS = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture(autouse=True)
def _empty(valkey: Valkey) -> Iterator[None]:
    yield
    valkey.client.delete(
        "expresslane-paused",
        *(
            f"{queue}{part}"
            for queue in (QUEUE, OTHER, "high")
            for part in ("", ".bell", "\x06\x163")
        ),
    )


def send(queue: str = QUEUE, **options: Any) -> str:
    return str(jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=queue, **options).id)


def is_done(job_id: str) -> bool:
    return bool(app.AsyncResult(job_id).ready())


# -- how they are ----------------------------------------------------------------------------------


def test_a_configured_queue_is_shown_though_nobody_has_used_it() -> None:
    found = {queue.name: queue for queue in queues.list()}
    assert {"default", "high", "low"} <= set(found)
    high = found["high"]
    assert (high.length, high.age, high.is_paused, high.fault) == (0, None, False, None)


def test_a_queue_tells_its_length_and_since_when_its_oldest_job_waits() -> None:
    before = datetime.now(UTC)
    for priority in (3, 0, 0):
        send(priority=priority)
    found = queues.show(QUEUE)
    assert (found.length, found.by_priority) == (3, {0: 2, 3: 1, 6: 0, 9: 0})
    assert found.oldest_at is not None
    assert found.age is not None
    assert (found.oldest_at - before).total_seconds() > -0.01
    assert 0 <= found.age <= (datetime.now(UTC) - before).total_seconds() + 0.1
    assert not found.is_consumed


def test_the_age_of_a_stock_producers_job_is_unknown(valkey: Valkey) -> None:
    with Party(valkey.url, transport="redis") as stock:
        stock.publish("high", [[], {}, {}], headers={"id": "1", "task": "x"})
    found = queues.show("high")
    assert (found.length, found.age) == (1, None)


def test_a_queue_whose_key_is_no_list_says_so(valkey: Valkey) -> None:
    valkey.client.set("high", "no list")
    found = queues.show("high")
    assert found.length == 0
    assert found.fault is not None
    assert "WRONGTYPE" in found.fault


def test_a_queue_that_does_not_exist_cannot_be_paused() -> None:
    for act in (queues.show, queues.pause, queues.resume):
        with pytest.raises(NoSuchQueue, match="there are default, high, low"):
            act("defualt")
    assert not any(queue.is_paused for queue in queues.list())


# -- workers ---------------------------------------------------------------------------------------


def test_workers_obey_a_pause_at_once_later_ones_too_and_other_queues_go_on(
    valkey: Valkey, tmp_path: Path
) -> None:
    send()
    both = f"{QUEUE},{OTHER}"
    with start_worker(tmp_path / "first.log", broker_url=valkey.url, queues=both) as worker:
        wait_for(lambda: queues.show(QUEUE).is_consumed, "a consumer")
        assert queues.show(QUEUE).consumers == queues.show(OTHER).consumers
        wait_for(lambda: queues.show(QUEUE).length == 0, "the worker at work")
        assert queues.pause(QUEUE)
        assert not queues.pause(QUEUE)
        paused = send()
        assert jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=OTHER).get(timeout=30)
        assert not is_done(paused)
        worker.check_alive()
    with start_worker(tmp_path / "second.log", broker_url=valkey.url, queues=both):
        assert jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=OTHER).get(timeout=30)
        found = queues.show(QUEUE)
        assert (found.length, found.is_paused, found.is_consumed) == (1, True, True)
        assert queues.resume(QUEUE)
        wait_for(lambda: is_done(paused), "the paused job")
        assert not queues.resume(QUEUE)


def test_a_worker_of_paused_queues_answers_and_asks_the_server_no_more_than_when_idle(
    valkey: Valkey, tmp_path: Path
) -> None:
    send()
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        wait_for(lambda: queues.show(QUEUE).length == 0, "the worker at work")
        queues.pause(QUEUE)
        for _ in range(200):
            send()
        # All tokens of the bell are used up, and the worker waits as one that finds nothing.
        wait_for(lambda: not valkey.client.llen(f"{QUEUE}.bell"), "the bell to be silent")
        asked = valkey.client.info("commandstats")["cmdstat_evalsha"]["calls"]
        answers = [app.control.ping(timeout=1) for _ in range(3)]
        assert all(answers)
        asked = valkey.client.info("commandstats")["cmdstat_evalsha"]["calls"] - asked
        # A claim each second, a renewal and a look for the dead now and then, in three seconds.
        assert asked < 100
        assert queues.show(QUEUE).length == 200


def test_a_delayed_job_of_a_paused_queue_waits_in_it_when_it_is_due(
    valkey: Valkey, tmp_path: Path
) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=f"{QUEUE},{OTHER}"):
        job_id = send(countdown=2)
        wait_for(lambda: pending.delayed().total == 1, "the job to be put aside")
        queues.pause(QUEUE)
        wait_for(lambda: pending.delayed().total == 0, "the job to be due")
        assert jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=OTHER).get(timeout=30)
        assert queues.show(QUEUE).length == 1
        assert not is_done(job_id)
        queues.resume(QUEUE)
        wait_for(lambda: is_done(job_id), "the delayed job")


def test_a_pause_outlives_the_broker_and_the_worker(tmp_path: Path) -> None:
    from tests.support.failed import an_app

    with Valkey(tmp_path, options=KEEPS) as first:
        there = queues.Queues(an_app(first.url))
        assert there.pause("celery")
        first.kill(signal.SIGKILL)
        first.process.wait()
    with Valkey(tmp_path, port=first.port, options=KEEPS) as second:
        with Party(second.url, transport="redis") as stock:
            headers = {"id": "job-1", "task": "tests.log_only"}
            stock.publish("celery", [[], {"mark": "after the pause"}, {}], headers=headers)
        with (
            start_worker(tmp_path / "w.log", broker_url=second.url, queues="celery,o") as worker,
            client_of(second.url) as client,
        ):
            with Party(second.url, transport="redis") as stock:
                headers = {"id": "job-2", "task": "tests.log_only"}
                stock.publish("o", [[], {"mark": "of the other"}, {}], headers=headers)
            worker.wait_until_printed("child of the other")
            assert client.llen("celery") == 1
            assert there.resume("celery")
            worker.wait_until_printed("child after the pause")


def test_claims_are_counted_for_their_queue(valkey: Valkey, tmp_path: Path) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        job = jobs.run_until_cancelled.apply_async(queue=QUEUE)
        wait_for(lambda: queues.show(QUEUE).held == 1, "the claim to be counted")
        assert queues.show("default").held == 0
        from tasks import scheduler

        scheduler.cancel(job.id)
        wait_for(lambda: queues.show(QUEUE).held == 0, "the job to be over")
