"""Which ends of a job make it a failed job, in a real worker: each of them, and each once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain
from celery.result import AsyncResult

from config import bound as log_fields
from tasks import failures, scheduler
from tasks.celery import app
from tasks.failures import FailedJob, FailedJobs
from tasks.scheduler import JobStatus
from tasks.states import JobState
from tests.support import failing, jobs
from tests.support.failed import an_app
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "failing"


@pytest.fixture(scope="module")
def failing_worker(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    log = tmp_path_factory.mktemp("failing") / "failing.log"
    modules = "tests.support.failing,tests.support.jobs"
    with start_worker(log, broker_url=valkey.url, queues=QUEUE, jobs=modules) as program:
        yield program


@pytest.fixture(autouse=True)
def _no_failed_jobs(failing_worker: Program) -> None:
    failing_worker.check_alive()
    failures.clear()


def listed(job_id: str) -> FailedJob:
    def mine() -> list[FailedJob]:
        return [job for job in failures.list(queue=QUEUE).jobs if job.job_id == job_id]

    (found,) = wait_for(mine, f"job {job_id} among the failed ones")
    return found


def final(job_id: str) -> JobStatus:
    def status() -> JobStatus | None:
        found = scheduler.status(job_id)
        return found if found.state.is_final else None

    found = wait_for(status, f"the end of job {job_id}")
    assert found is not None
    return found


def first_of(last: AsyncResult[Any]) -> str:
    """The id of the first of two jobs in a chain."""
    assert isinstance(last.parent, AsyncResult)
    return last.parent.id


def nobody_holds(valkey: Valkey) -> bool:
    return not valkey.client.exists("unacked") and not valkey.client.llen(QUEUE)


@pytest.mark.parametrize(
    ("task", "data", "error_type", "attempts", "deaths"),
    [
        ("failing.refuse", {"order": 4}, "Refused", 1, 0),
        ("failing.not_yet", {}, "NotYet", 3, 0),
        ("failing.reject", {}, "Reject", 1, 0),
        ("failing.run_too_long", {}, "TimeLimitExceeded", 1, 0),
        ("failing.kill_process_once", {}, "WorkerLostError", 1, 0),
        ("failing.kill_process", {}, "DeliveryLimitReached", 1, 3),
        ("failing.acknowledged_early", {"order": 4}, "Refused", 1, 0),
        ("failing.cannot_be_pickled", {}, "CannotBePickled", 1, 0),
        ("nobody.knows_this", {"order": 4}, "NotRegistered", 1, 0),
    ],
)
def test_every_final_failure_is_kept_once_with_what_it_takes_to_run_it_again(
    valkey: Valkey,
    task: str,
    data: dict[str, int],
    error_type: str,
    attempts: int,
    deaths: int,
) -> None:
    job_id = scheduler.schedule(task, data, queue=QUEUE)
    job = listed(job_id)
    assert (job.task, job.queue, job.error_type) == (task, QUEUE, error_type)
    assert (job.attempts, job.deaths, job.reruns) == (attempts, deaths, 0)
    assert (job.args, job.data) == ((), data)
    assert job.worker.startswith("failing-prefork@")
    assert final(job_id).state is JobState.FAILED
    wait_for(lambda: nobody_holds(valkey), "the message to be gone")
    assert failures.count() == 1


def test_the_error_and_its_traceback_are_kept() -> None:
    job = listed(scheduler.schedule("failing.refuse", {"order": 4}, queue=QUEUE))
    assert job.error == "order 4 was refused"
    assert "in refuse" in job.traceback
    assert job.traceback.rstrip().endswith("Refused: order 4 was refused")


def test_a_job_whose_results_nobody_wants_is_kept() -> None:
    job_id = failing.refuse.apply_async(
        kwargs={"order": 1}, queue=QUEUE, ignore_result=True, task_id="ignored-1"
    ).id
    assert listed(job_id).headers["ignore_result"]
    assert scheduler.status(job_id).state is JobState.UNKNOWN


def test_positional_arguments_priority_and_the_callers_headers_are_kept() -> None:
    tokens = log_fields.bind({"request_id": "click-1"})
    sent = failing.refuse.apply_async((7,), queue=QUEUE, priority=3, headers={"shop": "berlin"})
    log_fields.unbind(tokens)
    job = listed(sent.id)
    assert (job.args, job.data, job.priority) == ((7,), {}, 3)
    assert (job.request_id, job.headers["shop"]) == ("click-1", "berlin")


def test_data_are_kept_as_they_were_sent_not_as_the_body_has_left_them() -> None:
    job = listed(scheduler.schedule("failing.spoil", {"items": [1, 2]}, queue=QUEUE))
    assert job.data == {"items": [1, 2]}


def test_a_job_that_will_retry_by_itself_is_not_a_failed_one() -> None:
    job_id = jobs.pass_after.apply_async(kwargs={"failures": 1}, queue=QUEUE).id
    assert final(job_id).state is JobState.COMPLETE
    assert failures.count() == 0


def test_of_a_chain_only_the_job_that_ran_is_kept() -> None:
    first = failing.refuse.si(order=2).set(queue=QUEUE)
    last = chain(first, jobs.add.si(first=1, second=2).set(queue=QUEUE)).apply_async()
    listed(first_of(last))
    assert final(last.id).state is JobState.FAILED
    assert failures.count() == 1


def test_a_cancelled_job_is_not_a_failed_one(valkey: Valkey) -> None:
    job_id = jobs.run_until_cancelled.apply_async(queue=QUEUE).id
    wait_for(lambda: scheduler.status(job_id).progress, "the first progress")
    scheduler.cancel(job_id)
    assert final(job_id).state is JobState.CANCELLED
    wait_for(lambda: nobody_holds(valkey), "the message to be gone")
    assert failures.count() == 0


def test_a_task_called_in_place_is_not_a_failed_job() -> None:
    assert failing.refuse.apply(kwargs={"order": 1}).failed()
    assert failures.count() == 0


def test_a_retried_job_runs_under_its_id_from_its_first_attempt(tmp_path: Path) -> None:
    file = tmp_path / "now"
    tokens = log_fields.bind({"request_id": "click-2"})
    job_id = scheduler.schedule("failing.until", {"file": str(file)}, queue=QUEUE)
    log_fields.unbind(tokens)
    listed(job_id)
    failures.retry(job_id)
    again = listed(job_id)
    assert (again.attempts, again.reruns, again.request_id) == (1, 1, "click-2")
    file.touch()
    failures.retry(job_id)
    found = final(job_id)
    assert (found.state, found.data, found.attempts) == (JobState.COMPLETE, 1, 1)
    assert failures.count() == 0


def test_attempts_of_a_retried_job_are_counted_anew(failing_worker: Program) -> None:
    job_id = scheduler.schedule("failing.not_yet", queue=QUEUE)
    assert listed(job_id).attempts == 3
    failures.retry(job_id)
    wait_for(
        lambda: (
            failing_worker.output().count(f"job started, attempt 3 [tasks] job_id={job_id}") == 2
        ),
        "the third attempt of the second run",
        doing=failing_worker.check_alive,
    )
    assert listed(job_id).attempts == 3
    assert final(job_id).attempts == 3


def test_a_job_that_kills_its_workers_gets_all_its_deliveries_again_when_it_is_retried() -> None:
    job_id = scheduler.schedule("failing.kill_process", queue=QUEUE)
    listed(job_id)
    failures.retry(job_id)
    again = listed(job_id)
    assert (again.deaths, again.reruns) == (3, 1)


def test_the_rest_of_a_chain_follows_when_its_failed_job_is_retried(tmp_path: Path) -> None:
    file = tmp_path / "now"
    first = failing.until.s(file=str(file)).set(queue=QUEUE)
    last = chain(first, jobs.add.s(second=2).set(queue=QUEUE)).apply_async()
    listed(first_of(last))
    file.touch()
    failures.retry(first_of(last))
    wait_for(lambda: scheduler.status(last.id).state is JobState.COMPLETE, "the end of the chain")
    assert scheduler.status(last.id).data == 3


def test_a_job_acknowledged_early_can_be_retried() -> None:
    job_id = scheduler.schedule("failing.acknowledged_early", {"order": 9}, queue=QUEUE)
    before = listed(job_id)
    failures.retry(job_id)
    after = listed(job_id)
    assert (after.data, after.reruns) == (before.data, 1)
    assert after.headers["root_id"] == before.headers["root_id"]


def test_a_job_can_be_retried_with_other_data(tmp_path: Path) -> None:
    file = tmp_path / "there"
    file.touch()
    job_id = scheduler.schedule("failing.until", {"file": "/nowhere"}, queue=QUEUE)
    listed(job_id)
    failures.retry(job_id, data={"file": str(file)})
    assert final(job_id).state is JobState.COMPLETE


def test_the_worker_says_what_to_do_about_a_task_it_does_not_know(failing_worker: Program) -> None:
    job_id = app.send_task("nobody.knows_that", queue=QUEUE).id
    listed(job_id)
    failing_worker.wait_until_printed("add its module to `imports`")


def test_a_worker_that_dies_before_it_acknowledges_a_failure_leaves_one_failed_job(
    valkey: Valkey, tmp_path: Path
) -> None:
    log, file, queue = tmp_path / "dies.log", tmp_path / "starts", "failing-and-dying"
    modules = "tests.support.failing,tests.support.jobs"
    env = {"LEASE": "1"}
    with start_worker(log, broker_url=valkey.url, queues=queue, jobs=modules, env=env) as worker:
        job_id = scheduler.schedule(
            "failing.hang_after_the_failure", {"file": str(file)}, queue=queue
        )
        wait_for(failures.count, "the failure", doing=worker.check_alive)
        assert valkey.client.zcard("unacked_index") == 1
        worker.kill()
        worker.process.wait()
    again = tmp_path / "again.log"
    with start_worker(again, broker_url=valkey.url, queues=queue, jobs=modules, env=env) as worker:
        wait_for(
            lambda: not valkey.client.exists("unacked_index"),
            "the end of the dead worker's lease",
            doing=worker.check_alive,
        )
        assert jobs.add.apply_async((1, 2), queue=queue).get(timeout=30) == 3
    assert file.read_text() == "start\n"
    assert [job.job_id for job in failures.list().jobs] == [job_id]


def test_a_failure_while_the_broker_is_away_is_kept_when_it_is_back(tmp_path: Path) -> None:
    running, go_on = tmp_path / "running", tmp_path / "go-on"
    durable = ("--appendonly", "yes", "--appendfsync", "always")
    with Valkey(tmp_path, options=durable) as server:
        jobs_there = FailedJobs(an_app(server.url))
        log = tmp_path / "waits.log"
        with start_worker(log, broker_url=server.url, jobs="tests.support.failing") as worker:
            an_app(server.url).send_task(
                "failing.refuse_when_told",
                kwargs={"running": str(running), "go_on": str(go_on)},
                queue="default",
                task_id="told-1",
                ignore_result=True,
            )
            wait_for(running.exists, "the start of the job", doing=worker.check_alive)
            server.stop()
            go_on.touch()
            worker.wait_until_printed("a failed job waits")
            with Valkey(tmp_path, port=server.port, options=durable):
                wait_for(jobs_there.count, "the failed job", doing=worker.check_alive)
                assert jobs_there.show("told-1").error == "told so"
                worker.stop()


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_failures_are_kept_in_every_pool(valkey: Valkey, tmp_path: Path, pool: str) -> None:
    queue = f"failing-{pool}"
    with start_worker(
        tmp_path / "pool.log",
        broker_url=valkey.url,
        queues=queue,
        jobs="tests.support.failing",
        pool=pool,
    ) as worker:
        sent = {
            scheduler.schedule("failing.spoil", {"items": [1]}, queue=queue): "Refused",
            scheduler.schedule("failing.not_yet", queue=queue): "NotYet",
            scheduler.schedule("nobody.knows_this", queue=queue): "NotRegistered",
        }
        wait_for(lambda: failures.count() == 3, "three failures", doing=worker.check_alive)
        assert {job.job_id: job.error_type for job in failures.list().jobs} == sent
        wait_for(lambda: not valkey.client.exists("unacked"), "no claims")
        failures.retry_many(failures.Filter(task="failing.spoil"))
        wait_for(lambda: failures.count() == 3, "the failure of the retry")
        (spoilt,) = failures.list(task="failing.spoil").jobs
        assert (spoilt.data, spoilt.reruns) == ({"items": [1]}, 1)
