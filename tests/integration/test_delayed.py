"""Jobs whose time has not come wait on the server, and not in a worker's memory."""

import json
import re
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tasks import scheduler
from tasks.broker.holdings import Holdings
from tasks.liveness import workers
from tasks.states import JobState
from tests.integration.test_transport_leases import keys_under
from tests.support import jobs
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

FAR = 3_600


@pytest.fixture
def queue(valkey: Valkey) -> Iterator[str]:
    """A queue of the test's own, emptied afterwards."""
    yield "delayed-tests"
    valkey.client.delete("delayed-tests", "delayed", "delayed.messages")


@pytest.fixture
def own_worker(valkey: Valkey, queue: str, tmp_path: Path) -> Iterator[Program]:
    with start_worker(tmp_path / "own.log", broker_url=valkey.url, queues=queue) as program:
        yield program


def delayed(valkey: Valkey) -> int:
    return int(valkey.client.zcard("delayed"))


def claimed(valkey: Valkey, queue: str) -> list[object]:
    """Return what workers hold of this queue; other tests share the server."""
    return [held for held in valkey.client.hvals("unacked") if queue in str(held)]


def test_many_delayed_jobs_do_not_keep_a_job_waiting_nor_fill_a_worker(
    valkey: Valkey, queue: str, own_worker: Program
) -> None:
    for number in range(300):
        jobs.add.apply_async(
            kwargs={"first": number, "second": 0}, countdown=FAR, queue=queue, ignore_result=True
        )
    found = jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=queue)
    assert found.get(timeout=30) == 3
    wait_for(lambda: delayed(valkey) == 300, "300 delayed jobs on the server")
    # The result is there a moment before the acknowledgement; a beat comes every two seconds.
    wait_for(lambda: not claimed(valkey, queue), "the worker to hold no message")
    wait_for(lambda: [w for w in workers() if queue in w.queues and not w.held], "it to say so")
    own_worker.check_alive()


def test_a_delayed_job_runs_when_it_is_due_and_not_before(queue: str, own_worker: Program) -> None:
    due = datetime.now(UTC) + timedelta(seconds=1.5)
    job = jobs.add.apply_async(kwargs={"first": 1, "second": 2}, eta=due, queue=queue)
    assert job.get(timeout=30) == 3
    assert datetime.now(UTC) >= due
    own_worker.check_alive()


def test_a_delayed_job_outlives_the_worker_that_has_put_it_aside(
    valkey: Valkey, queue: str, tmp_path: Path
) -> None:
    with start_worker(tmp_path / "first.log", broker_url=valkey.url, queues=queue) as first:
        job = jobs.add.apply_async(kwargs={"first": 1, "second": 2}, countdown=2, queue=queue)
        wait_for(lambda: delayed(valkey) == 1, "the job to be put aside")
        first.kill()
    with start_worker(tmp_path / "second.log", broker_url=valkey.url, queues=queue):
        assert job.get(timeout=30) == 3


def test_a_delayed_job_can_be_cancelled(valkey: Valkey, queue: str, own_worker: Program) -> None:
    job = jobs.add.apply_async(kwargs={"first": 1, "second": 2}, countdown=1, queue=queue)
    assert scheduler.cancel(job.id).state is JobState.CANCELLED
    gone = lambda: not delayed(valkey) and not claimed(valkey, queue)  # noqa: E731 (one line)
    wait_for(gone, "its message to be gone")
    assert scheduler.status(job.id).state is JobState.CANCELLED
    own_worker.check_alive()


def rss(worker: Program) -> int:
    """Return the memory of its main process, in kB."""
    (line,) = re.findall(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text())
    return int(line)


def load(valkey: Valkey, queue: str, first: int, last: int, due: float) -> None:
    """Put jobs where a worker puts them that has seen that their time has not come.

    Their times are a millisecond apart.
    """
    body = b64encode(b"[[], {}, {}]").decode()
    with valkey.client.pipeline(transaction=False) as pipe:
        for number in range(first, last):
            job = f"bulk-{number:06}"
            envelope = {
                "body": body,
                "content-encoding": "utf-8",
                "content-type": "application/json",
                "headers": {"id": job, "task": "tests.nobody_runs_this"},
                "properties": {
                    "body_encoding": "base64",
                    "delivery_info": {"exchange": "", "routing_key": queue},
                    "delivery_tag": job,
                },
            }
            tag = f"lane-bulk.{number}.0"
            stored = f'[{json.dumps(envelope)},"","{queue}"]'
            pipe.hset("delayed.messages", tag, stored)
            pipe.zadd("delayed", {tag: due + number / 1_000})
            if number % 5_000 == 4_999:
                pipe.execute()
        pipe.execute()


def test_a_hundred_thousand_delayed_jobs_cost_a_worker_no_memory_and_come_in_their_order(
    valkey: Valkey, queue: str, own_worker: Program
) -> None:
    many = 100_000
    load(valkey, queue, 0, 1_000, time.time() + FAR)
    assert jobs.add.apply_async(args=(1, 2), queue=queue).get(timeout=30) == 3
    before = rss(own_worker)
    load(valkey, queue, 1_000, many, time.time() + FAR)
    # Through the whole way as well: a worker claims these and puts them aside.
    for _ in range(100):
        jobs.add.apply_async(args=(1, 2), countdown=2 * FAR, queue=queue, ignore_result=True)
    wait_for(lambda: delayed(valkey) == many + 100, "all of them put aside")
    assert jobs.add.apply_async(args=(1, 2), queue=queue).get(timeout=30) == 3
    # A worker that held them would need some 1,000 bytes for each, which is 100 MB.
    assert rss(own_worker) - before < 20_000
    own_worker.stop()

    everything: list[bytes] = valkey.client.zrange("delayed", 0, -1)  # type: ignore[assignment] # redis-py's
    for start in range(0, len(everything), 5_000):
        part = everything[start : start + 5_000]
        valkey.client.zadd("delayed", {tag: start + n for n, tag in enumerate(part)})
    holdings = Holdings(valkey.client, keys_under())
    wait_for(lambda: holdings.release_due() is None, "all of them released", every=0)
    ids = [
        json.loads(message)["headers"]["id"]
        for message in reversed(valkey.client.lrange(queue, 0, -1))
    ]
    assert ids[:many] == [f"bulk-{number:06}" for number in range(many)]
    assert len(set(ids)) == many + 100
