"""Since when a job waits, through retries and redeliveries; and what is done now and then."""

import json
from collections.abc import Iterator
from pathlib import Path
from time import time

import pytest

from tasks import failures, pending
from tasks.housekeeping import prune
from tests.support import jobs
from tests.support.failed import fail
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "enqueued-tests"


@pytest.fixture(autouse=True)
def _empty(valkey: Valkey) -> Iterator[None]:
    yield
    valkey.client.delete(QUEUE, f"{QUEUE}.bell", "delayed", "delayed.messages")


def test_a_retry_waits_since_it_is_due_and_a_redelivery_since_it_was_sent(
    valkey: Valkey, tmp_path: Path
) -> None:
    retried = jobs.never_pass.apply_async(queue=QUEUE)
    (first,) = pending.list(QUEUE).jobs
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE) as worker:

        def failed() -> list[failures.FailedJob]:
            return [job for job in failures.list().jobs if job.job_id == retried.id]

        (last,) = wait_for(failed, "both attempts", doing=worker.check_alive)
        headers = json.loads(last.message)["headers"]
        assert headers["retries"] == 1
        assert headers["enqueued_at"] > first.headers["enqueued_at"]
        failures.discard(retried.id)
        running = jobs.run_until_cancelled.apply_async(queue=QUEUE)
        wait_for(lambda: running.state == "STARTED", "the job to run")
        (held,) = [m for m in valkey.client.hvals("unacked") if QUEUE in str(m)]
        noted = json.loads(held)[0]["headers"]["enqueued_at"]
        worker.kill()
    # Another process looks for claims of the dead.
    with start_worker(tmp_path / "v.log", broker_url=valkey.url, queues="other-enqueued"):
        wait_for(lambda: valkey.client.llen(QUEUE) == 1, "the job to be back")
    (job,) = pending.list(QUEUE).jobs
    assert job.headers["enqueued_at"] == noted
    pending.remove(job.ref)


@pytest.mark.usefixtures("clean_failed_jobs")
def test_failed_jobs_that_are_too_old_are_pruned_though_none_fails(valkey: Valkey) -> None:
    old, new = fail("a"), fail("a")
    month = 30 * 86_400
    valkey.client.zadd("expresslane-failed-at", {old: time() - month - 60})
    assert prune() == {"discarded": 1}
    assert [job.job_id for job in failures.list().jobs] == [new]
    assert prune() == {"discarded": 0}
