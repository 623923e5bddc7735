"""What happens to a job, in a real worker over a real server."""

from pathlib import Path

import pytest
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from tasks import scheduler
from tasks.scheduler import JobStatus
from tasks.states import JobState
from tests.support import jobs
from tests.support.programs import Program
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("worker")


def final(job_id: str) -> JobStatus:
    """Wait until the job is final, and return its status."""

    def status() -> JobStatus | None:
        now = scheduler.status(job_id)
        return now if now.state.is_final else None

    found = wait_for(status, f"job {job_id} to be final")
    assert found is not None
    return found


def test_delay_with_named_data_runs_the_body_and_keeps_its_return_value() -> None:
    result = jobs.add.delay(first=2, second=3)
    assert result.get(timeout=30) == 5
    assert scheduler.status(result.id) == JobStatus(
        result.id, JobState.COMPLETE, data=5, attempts=1
    )


def test_apply_async_takes_data_and_a_queue() -> None:
    result = jobs.add.apply_async(kwargs={"first": 1, "second": 1}, queue="default")
    assert final(result.id).data == 2


def test_a_job_is_scheduled_by_its_name() -> None:
    assert final(scheduler.schedule("tests.add", {"first": 4, "second": 4})).data == 8


def test_the_body_knows_its_job_id_and_its_data() -> None:
    job_id = scheduler.schedule("tests.describe", {"word": "hello"})
    assert final(job_id).data == {"job_id": job_id, "data": {"word": "hello"}, "word": "hello"}


def test_data_set_on_the_way_stand_when_the_body_returns_nothing() -> None:
    found = final(scheduler.schedule("tests.publish_and_return_nothing"))
    assert found.data == {"rows": 7}
    assert found.progress is not None
    assert (found.progress.done, found.progress.total, found.progress.message) == (1, 2, "half way")


def test_a_passing_error_is_retried_until_it_passes() -> None:
    found = final(scheduler.schedule("tests.pass_after", {"failures": 2}))
    assert (found.state, found.data, found.attempts) == (JobState.COMPLETE, 3, 3)
    assert found.error is None


def test_a_passing_error_that_stays_fails_the_job_in_the_end() -> None:
    found = final(scheduler.schedule("tests.never_pass"))
    assert (found.state, found.attempts) == (JobState.FAILED, 2)
    assert found.error == "MayPass: still there"


@pytest.mark.parametrize(("passing", "attempts"), [(True, 3), (False, 1)])
def test_a_job_gives_up_once_and_its_data_survive(
    tmp_path: Path, passing: bool, attempts: int
) -> None:
    file = tmp_path / "given-up"
    job_id = scheduler.schedule("tests.give_up", {"file": str(file), "passing": passing})
    found = final(job_id)
    assert (found.state, found.attempts, found.data) == (JobState.FAILED, attempts, {"kept": True})
    error = "MayPass" if passing else "WillNotPass"
    assert wait_for(lambda: file.exists() and file.read_text(), "the hook") == f"{job_id} {error}\n"


def test_a_soft_time_limit_ends_the_body() -> None:
    found = final(scheduler.schedule("tests.run_past_soft_limit"))
    assert found.state is JobState.FAILED
    assert SoftTimeLimitExceeded.__name__ in str(found.error)


def test_a_hard_time_limit_ends_the_process_and_fails_the_job() -> None:
    found = final(scheduler.schedule("tests.run_past_hard_limit"))
    assert found.state is JobState.FAILED
    assert TimeLimitExceeded.__name__ in str(found.error)


def test_a_task_that_no_worker_knows_fails_and_the_worker_goes_on(worker: Program) -> None:
    found = final(scheduler.schedule("tests.nobody_knows_me"))
    assert (found.state, found.error) == (JobState.FAILED, "NotRegistered: 'tests.nobody_knows_me'")
    worker.check_alive()
    assert jobs.add.delay(first=1, second=1).get(timeout=30) == 2


def test_a_running_job_stops_when_it_is_cancelled() -> None:
    job_id = scheduler.schedule("tests.run_until_cancelled")
    wait_for(lambda: scheduler.status(job_id).progress, "the first progress")
    assert scheduler.cancel(job_id).state in (JobState.RUNNING, JobState.CANCELLED)
    assert final(job_id).state is JobState.CANCELLED


def test_a_finished_job_cannot_be_cancelled() -> None:
    job_id = scheduler.schedule("tests.add", {"first": 1, "second": 2})
    final(job_id)
    assert scheduler.cancel(job_id).state is JobState.COMPLETE


def test_hooks_run_before_and_after_the_body(worker: Program) -> None:
    job_id = scheduler.schedule("tests.hooked")
    assert final(job_id).data == {"before_start": job_id, "args": [], "kwargs": "{}"}
    worker.wait_until_printed(f"after_return of {job_id}: SUCCESS")


def test_one_request_id_is_on_the_lines_of_a_job_its_retry_and_its_subtask(worker: Program) -> None:
    from config import bound as log_fields

    tokens = log_fields.bind({"request_id": "click-4711"})
    parent = jobs.log_and_start_another.delay(mark="m1")
    log_fields.unbind(tokens)
    child = final(parent.id).data
    final(child)
    lines = [line for line in worker.output().splitlines() if "m1" in line]
    assert [line.split("] ")[1].split(" [")[0] for line in lines] == ["parent m1"] * 2 + [
        "child m1"
    ]
    assert all("request_id=click-4711" in line for line in lines)
    assert all(f"job_id={parent.id}" in line for line in lines[:2])
    assert f"job_id={child}" in lines[2]


def test_workers_tells_who_works_on_what() -> None:
    # Other modules' workers may be on this broker as well.
    (found,) = [one for one in scheduler.workers() if one.name.startswith("worker-prefork@")]
    assert found.queues == ("default",)
