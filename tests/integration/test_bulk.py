"""Many jobs at once: all of them, in little memory, and an error that knows which are queued."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tasks.bulk import MOST_AT_ONCE, delay_many
from tasks.celery import app
from tasks.errors import BadJob
from tasks.scheduler import backend
from tests.support import jobs
from tests.support.programs import ROOT
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

QUEUE = "low"


@pytest.fixture
def server(valkey: Valkey) -> Iterator[Valkey]:
    yield valkey
    valkey.client.delete(QUEUE, f"{QUEUE}.bell")


def queued(server: Valkey) -> list[str]:
    """Return the ids of the jobs in the queue, the first first."""
    found = server.client.lrange(QUEUE, 0, -1) or []
    return [json.loads(message)["headers"]["id"] for message in reversed(found)]


def test_each_of_the_data_becomes_a_job_that_waits(server: Valkey) -> None:
    told: list[int] = []
    data = ({"first": number, "second": 1} for number in range(MOST_AT_ONCE + 3))
    ids = jobs.add.delay_many(data, queue=QUEUE, on_progress=lambda done: told.append(len(done)))
    assert queued(server) == list(ids)
    assert told == [MOST_AT_ONCE, MOST_AT_ONCE + 3]
    assert len(set(ids)) == len(ids) == MOST_AT_ONCE + 3
    assert {UUID(one).version for one in ids} == {4}
    assert list(ids[2:5]) == list(ids)[2:5]
    records = backend().records_of(list(ids))
    assert all(record is not None and record.state == "PENDING" for record in records)


def test_the_messages_are_those_of_a_single_call(server: Valkey) -> None:
    (own,) = delay_many(jobs.add, [{"first": 1, "second": 2}], queue=QUEUE, priority=0)
    jobs.add.apply_async((), {"first": 1, "second": 2}, task_id=own, queue=QUEUE, priority=0)
    first, second = (json.loads(message) for message in server.client.lrange(QUEUE, 0, -1) or ())
    for message in (first, second):
        del message["properties"]["delivery_tag"], message["headers"]["enqueued_at"]
    assert first == second


def test_monitors_hear_of_each_job(server: Valkey) -> None:
    told: list[dict[str, Any]] = []
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"task-sent": told.append})
        with receiver.consumer_context() as (listening, *_):
            with suppress(TimeoutError):
                listening.drain_events(timeout=0.01)
            wait_for(server.client.pubsub_numpat, "the receiver to listen")
            data = [{"first": number, "second": 1} for number in range(MOST_AT_ONCE + 3)]
            ids = delay_many("tests.add", [*data, {"first": "it", "second": 2}], queue=QUEUE)
            while len(told) < len(ids):
                listening.drain_events(timeout=10)
    assert [event["uuid"] for event in told] == list(ids)
    assert {event["queue"] for event in told} == {QUEUE}
    assert told[-1]["kwargs"] == "{'first': 'it', 'second': 2}"


def test_it_takes_no_more_memory_for_more_jobs(server: Valkey) -> None:
    def peak(many: int) -> int:
        tracemalloc.start()
        delay_many("tests.add", ({"first": n, "second": 1} for n in range(many)), queue=QUEUE)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        server.client.delete(QUEUE)
        return found

    peak(MOST_AT_ONCE)
    assert peak(8 * MOST_AT_ONCE) < 1.2 * peak(2 * MOST_AT_ONCE)


def test_bad_data_are_named_and_those_before_them_are_queued(server: Valkey) -> None:
    told: list[Sequence[str]] = []
    data = [{"first": 1, "second": 2}, {"first": 1}, {"first": 3, "second": 4}]
    with pytest.raises(BadJob, match=r"tests\.add: number 1 of the data: .*second"):
        delay_many(jobs.add, data, queue=QUEUE, on_progress=told.append)
    assert queued(server) == list(told[-1])
    assert len(told[-1]) == 1


def test_when_the_data_end_in_an_error_all_that_was_sent_is_told_of(server: Valkey) -> None:
    told: list[Sequence[str]] = []

    def data() -> Iterator[dict[str, int]]:
        for number in range(MOST_AT_ONCE + 3):
            yield {"first": number, "second": 1}
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        delay_many(jobs.add, data(), queue=QUEUE, on_progress=told.append)
    assert queued(server) == list(told[-1])
    assert len(told[-1]) == MOST_AT_ONCE
    assert jobs.add.apply_async((1, 2), queue=QUEUE).state == "PENDING"


def test_what_the_one_who_is_told_raises_leaves_no_answer_to_be_misread(server: Valkey) -> None:
    def stop(_: Sequence[str]) -> None:
        raise LookupError("enough")

    data = [{"first": number, "second": 1} for number in range(3 * MOST_AT_ONCE)]
    with pytest.raises(LookupError, match="enough"):
        delay_many(jobs.add, data, queue=QUEUE, on_progress=stop)
    sent = [jobs.add.apply_async((1, 2), queue=QUEUE).id for _ in range(3)]
    assert queued(server)[-3:] == sent


def test_options_that_make_messages_of_no_kind_are_right_too(server: Valkey) -> None:
    ids = delay_many("tests.add", [{"first": 1, "second": 2}] * 3, queue=QUEUE, countdown=3_600)
    assert queued(server) == list(ids)
    last = (server.client.lrange(QUEUE, 0, -1) or [b""])[-1]
    assert json.loads(last)["headers"]["eta"] is not None


def test_what_a_batch_cannot_hold_is_sent_by_itself(server: Valkey) -> None:
    ids = delay_many("tests.add", [{"first": 1, "second": 2}], queue=QUEUE, compression="zlib")
    assert queued(server) == list(ids)
    assert app.AsyncResult(ids[0]).state == "PENDING"


_BREAK = """
import json, os, signal, sys
import redis
from tasks.bulk import delay_many
from tasks.errors import BulkStopped
from tests.support import jobs

taken = 0

def data():
    global taken
    for taken in range(1, 1_701):
        if taken == 1_200:
            server = redis.Redis(port={port})
            while server.llen("low") < 1_000:
                pass
            {act}
        yield {{"first": taken, "second": 1}}

try:
    delay_many(jobs.add, data(), queue="low")
except BulkStopped as error:
    parts = [list(part) for part in (error.queued, error.unknown, error.not_queued)]
    print(json.dumps({{"parts": parts, "taken": taken, "may": error.may_be_queued}}))
"""


@pytest.mark.parametrize(
    ("act", "sizes"),
    [
        ("os.kill({pid}, signal.SIGSTOP)", (1_000, 500)),
        ('server.config_set("maxmemory", "1mb")', (1_000, 0)),
    ],
    ids=["silent", "full"],
)
def test_when_it_breaks_off_the_error_knows_which_are_queued(
    tmp_path: Path, act: str, sizes: tuple[int, int]
) -> None:
    with Valkey(tmp_path) as broker:
        code = _BREAK.format(act=act.format(pid=broker.pid), port=broker.port)
        env = {"BROKER_URL": broker.url, "PUBLISH_TIMEOUT": "1"}
        try:
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**os.environ, **env},
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
        finally:
            os.kill(broker.pid, signal.SIGCONT)
        broker.client.config_set("maxmemory", 0)
        # What it has sent in vain stands before the end of its connection.
        wait_for(lambda: len(broker.client.client_list()) == 1, "the server to have read all")
        found = json.loads(done.stdout)
        known, unknown, not_queued = found["parts"]
        assert (len(known), len(unknown)) == sizes
        # While the server was thought to work at these, the next ones may have been taken.
        assert len(known) + len(unknown) + len(not_queued) == found["taken"]
        assert len(set(known + unknown + not_queued)) == found["taken"]
        assert found["may"] == bool(unknown)
        there = queued(broker)
        assert there in (known, known + unknown)
        # A job's status tells what became of it: its mark is set in the step that queues it.
        marked = [broker.client.exists(f"celery-task-meta-{one}") for one in unknown + not_queued]
        arrived = len(there) > len(known)
        assert marked == [arrived] * len(unknown) + [False] * len(not_queued)
