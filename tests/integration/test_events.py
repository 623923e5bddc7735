"""Flower shows the jobs of a worker that sends its events together."""

from pathlib import Path

import pytest

from tasks.celery import app
from tasks.history import History, Series
from tests.support import jobs
from tests.support.flower import LOGINS, OPERATOR, Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "events-tests"


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_flower_shows_every_job_and_how_it_ended(valkey: Valkey, tmp_path: Path, pool: str) -> None:
    with (
        Flower(tmp_path / "flower.log", valkey, env=LOGINS) as flower,
        start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, pool=pool),
        flower.wait_until_open().visitor(OPERATOR) as caller,
    ):
        online = f'flower_worker_online{{worker="w-{pool}@'
        wait_for(lambda: online in caller.get("/metrics").text, "Flower to hear the worker")
        ids = {
            str(jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=QUEUE).id)
            for _ in range(30)
        }
        failing = str(jobs.add.apply_async(kwargs={"first": "x", "second": 2}, queue=QUEUE).id)

        def states() -> dict[str, str]:
            found = caller.get("/api/tasks?limit=1000").json()
            return {job: one["state"] for job, one in found.items() if job in {*ids, failing}}

        wanted = {**dict.fromkeys(ids, "SUCCESS"), failing: "FAILURE"}
        wait_for(lambda: states() == wanted, "Flower to know how all ended")


def test_jobs_that_no_event_tells_of_are_counted_all_the_same(
    valkey: Valkey, tmp_path: Path
) -> None:
    def total() -> int:
        found = History(app).totals().get(Series("tests.add", QUEUE))
        return found.processed if found else 0

    before, unheard = total(), History(app).of_workers().get("jobs_without_events", 0)
    with start_worker(
        tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, env={"EVENT_JOBS_MAX": "0"}
    ):
        for _ in range(25):
            jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=QUEUE)
        wait_for(lambda: total() == before + 25, "the counts")
    assert History(app).of_workers()["jobs_without_events"] == unheard + 25
