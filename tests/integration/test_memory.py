"""A process of the pool that has outgrown its limit is replaced after its job."""

from pathlib import Path

from tasks.celery import app
from tasks.history import History
from tests.support import jobs
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "memory-tests"


def test_a_process_over_its_memory_limit_is_replaced_and_counted_and_its_job_is_complete(
    valkey: Valkey, tmp_path: Path
) -> None:
    def recycled() -> int:
        return History(app).of_workers().get("processes_recycled", 0)

    def run(megabytes: int) -> int:
        sent = jobs.grow.apply_async(kwargs={"megabytes": megabytes}, queue=QUEUE)
        return int(sent.get(timeout=60))

    before = recycled()
    with start_worker(
        tmp_path / "w.log",
        broker_url=valkey.url,
        queues=QUEUE,
        concurrency=1,
        env={"WORKER_MAX_MEMORY_MB": "400"},
    ):
        small = run(1)
        assert run(500) == small
        wait_for(lambda: recycled() == before + 1, "the count")
        assert run(1) != small
