"""The result backend on a real server: which moves of a job's state it makes and refuses."""

import asyncio
import json
from threading import Barrier, Thread

import pytest
import redis
from celery import states as celery_states
from celery.app.task import Context
from celery.backends.redis import RedisBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.settings import framework_settings
from tasks import failures, scheduler
from tasks.celery import app
from tasks.circuit import Circuit
from tasks.errors import BadJob, Unreachable
from tasks.results import UNFINISHED_EXPIRES, JobResults
from tasks.states import JobState
from tasks.watch import follow
from tests.support import jobs
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

NOBODY_WORKS_HERE = "nobody-works-here"


@pytest.fixture(autouse=True)
def _empty_queue(valkey: Valkey) -> None:
    valkey.client.delete(NOBODY_WORKS_HERE)


def wait_in_queue() -> str:
    return scheduler.schedule("tests.add", {"first": 1, "second": 2}, queue=NOBODY_WORKS_HERE)


def record(
    job_id: str, state: str, attempt: int, result: object = None, **headers: object
) -> Context:
    request = Context(id=job_id, retries=attempt - 1, **headers)
    scheduler.backend().store_result(job_id, result, state, request=request)
    return request


def failed_ids() -> list[str]:
    return [job.job_id for job in failures.list(queue="default").jobs]


def test_an_id_never_seen_is_unknown() -> None:
    assert scheduler.status("never-seen").state is JobState.UNKNOWN


def test_a_queued_job_is_waiting() -> None:
    assert scheduler.status(wait_in_queue()).state is JobState.WAITING


def test_celerys_own_view_agrees() -> None:
    assert app.AsyncResult(wait_in_queue()).state == celery_states.PENDING


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (celery_states.STARTED, JobState.RUNNING),
        (celery_states.RETRY, JobState.RETRYING),
        (celery_states.SUCCESS, JobState.COMPLETE),
        (celery_states.FAILURE, JobState.FAILED),
    ],
)
def test_a_waiting_mark_never_overwrites_what_a_faster_worker_stored(
    valkey: Valkey, state: str, seen: JobState
) -> None:
    assert valkey.client.ping()
    job_id = f"fast-{state}"
    record(job_id, state, 1, ValueError("x") if state in ("FAILURE", "RETRY") else None)
    scheduler.backend().on_task_call(None, job_id)
    assert scheduler.status(job_id).state is seen


def test_a_late_attempt_does_not_overwrite_a_newer_one() -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.STARTED, 2)
    record(job_id, celery_states.RETRY, 1, ValueError("late"))
    assert scheduler.status(job_id).state is JobState.RUNNING


@pytest.mark.parametrize("late", [celery_states.STARTED, celery_states.FAILURE])
def test_nothing_overwrites_complete(late: str) -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.SUCCESS, 1, "done")
    record(job_id, late, 2, ValueError("late") if late == celery_states.FAILURE else None)
    assert scheduler.status(job_id).data == "done"


@pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # of Celery's own backend
def test_nothing_overwrites_what_a_worker_with_celerys_own_backend_has_completed(
    valkey: Valkey,
) -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.STARTED, 1)
    stock = RedisBackend(app=app, url=valkey.url)
    stock.store_result(job_id, {"by": "stock"}, celery_states.SUCCESS)
    record(job_id, celery_states.FAILURE, 1, ValueError("late"))
    assert scheduler.status(job_id).data == {"by": "stock"}


def test_data_that_speak_of_success_are_not_taken_for_one() -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.FAILURE, 1, ValueError('{"status": "SUCCESS"}'))
    record(job_id, celery_states.STARTED, 2)
    assert scheduler.status(job_id).state is JobState.RUNNING


# -- a job that is begun anew under its id ---------------------------------------------------------


@pytest.mark.parametrize("number", [1, 7])
@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (celery_states.STARTED, JobState.RUNNING),
        (celery_states.RETRY, JobState.RETRYING),
        (celery_states.SUCCESS, JobState.COMPLETE),
        (celery_states.FAILURE, JobState.FAILED),
    ],
)
def test_a_new_run_is_recorded_from_its_first_attempt(
    number: int, state: str, seen: JobState
) -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.RETRY, 3, ValueError("the third time"), deaths=2)
    error = ValueError("x") if state in ("FAILURE", "RETRY") else None
    record(job_id, state, 1, error, reruns=number)
    found = scheduler.status(job_id)
    assert (found.state, found.attempts) == (seen, 1)


@pytest.mark.parametrize("late", [celery_states.STARTED, "RETRY", "FAILURE", "SUCCESS"])
@pytest.mark.parametrize("by", [{}, {"reruns": 1, "deaths": 2}])
def test_what_an_older_run_reports_late_is_refused(late: str, by: dict[str, int]) -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.STARTED, 1, reruns=2)
    record(job_id, late, 9, ValueError("late") if late in ("RETRY", "FAILURE") else 1, **by)
    found = scheduler.status(job_id)
    assert (found.state, found.attempts) == (JobState.RUNNING, 1)


def test_a_new_run_does_not_touch_complete() -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.SUCCESS, 1, "done")
    record(job_id, celery_states.STARTED, 1, reruns=1)
    record(job_id, celery_states.SUCCESS, 1, "again", reruns=1)
    assert scheduler.status(job_id).data == "done"


@pytest.mark.parametrize("before", [None, celery_states.STARTED, celery_states.RETRY])
def test_a_job_that_was_cancelled_before_it_was_begun_anew_stays_cancelled(
    before: str | None,
) -> None:
    job_id = wait_in_queue()
    if before:
        record(job_id, before, 2, ValueError("x") if before == celery_states.RETRY else None)
    scheduler.cancel(job_id)
    scheduler.backend().on_task_call(None, job_id)
    assert getattr(record(job_id, celery_states.STARTED, 1, reruns=1), "cancelled", False)
    assert scheduler.status(job_id).state is JobState.CANCELLED


def test_the_next_run_has_a_higher_number_than_any_before() -> None:
    job_id = wait_in_queue()
    backend = scheduler.backend()
    assert (backend.next_run(job_id), backend.next_run(job_id, at_least=3)) == (1, 3)
    record(job_id, celery_states.STARTED, 1, reruns=4)
    assert (backend.next_run(job_id), backend.next_run(job_id, at_least=3)) == (5, 5)


def test_a_job_that_is_sent_again_after_the_server_has_lost_everything_is_recorded(
    valkey: Valkey, worker: Program
) -> None:
    job_id = wait_in_queue()
    valkey.client.delete(NOBODY_WORKS_HERE, *valkey.client.keys(f"*{job_id}*"))
    assert scheduler.status(job_id).state is JobState.UNKNOWN
    sent = app.send_task(
        "tests.add", kwargs={"first": 1, "second": 2}, task_id=job_id, headers={"reruns": 1}
    )
    assert sent.get(timeout=30) == 3
    assert (scheduler.status(job_id).attempts, scheduler.backend().next_run(job_id)) == (1, 2)
    worker.check_alive()


def test_a_run_that_failed_and_is_retried_has_a_yet_higher_number(worker: Program) -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.RETRY, 3, ValueError("x"))
    app.send_task("tests.never_pass", task_id=job_id, headers={"reruns": 2})
    for number in (2, 3):
        wait_for(lambda: job_id in failed_ids(), "the failed job")
        assert failures.show(job_id).reruns == number
        assert scheduler.status(job_id).state is JobState.FAILED
        assert scheduler.backend().next_run(job_id) == number + 1
        if number == 2:
            failures.retry(job_id)
    failures.discard(job_id)
    worker.check_alive()


def test_a_waiting_job_is_cancelled_at_once_and_a_worker_is_told() -> None:
    job_id = wait_in_queue()
    assert scheduler.cancel(job_id).state is JobState.CANCELLED
    assert getattr(record(job_id, celery_states.STARTED, 1), "cancelled", False)
    assert scheduler.status(job_id).state is JobState.CANCELLED


def test_a_job_cancelled_while_it_runs_does_not_retry() -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.STARTED, 1)
    scheduler.cancel(job_id)
    record(job_id, celery_states.RETRY, 1, ValueError("again"))
    assert scheduler.status(job_id).state is JobState.CANCELLED


def test_cancelling_an_unknown_job_leaves_it_unknown() -> None:
    assert scheduler.cancel("never-seen").state is JobState.UNKNOWN


def test_the_error_is_the_exceptions_own_sentence() -> None:
    class Refused(Exception):
        def __init__(self, order: int) -> None:
            super().__init__(order)
            self.order = order

        def __str__(self) -> str:
            return f"order {self.order} was refused"

    job_id = wait_in_queue()
    record(job_id, celery_states.FAILURE, 1, Refused(4))
    assert scheduler.status(job_id).error == "Refused: order 4 was refused"


def test_finished_states_expire_failures_later_than_successes(valkey: Valkey) -> None:
    kept = {}
    for state in (celery_states.SUCCESS, celery_states.FAILURE):
        job_id = wait_in_queue()
        record(job_id, state, 1, ValueError("x") if state == celery_states.FAILURE else None)
        for key in (f"celery-task-meta-{job_id}", f"expresslane-job-{job_id}"):
            kept[state] = valkey.client.ttl(key)
            assert 0 < kept[state] <= UNFINISHED_EXPIRES
    now = framework_settings()
    assert now.result_expires - 60 < kept[celery_states.SUCCESS] <= now.result_expires
    assert kept[celery_states.SUCCESS] < kept[celery_states.FAILURE] <= now.result_failure_expires


def test_a_forgotten_job_is_unknown_and_leaves_nothing_behind(valkey: Valkey) -> None:
    job_id = wait_in_queue()
    scheduler.backend().publish_fields(job_id, {"data": 1})
    app.AsyncResult(job_id).forget()
    assert valkey.client.keys(f"*{job_id}*") == []


def test_a_global_key_prefix_is_put_before_both_keys(valkey: Valkey) -> None:
    from celery import Celery

    other = Celery("prefixed", broker=valkey.url)
    other.conf.update(
        result_backend=f"tasks.results:ResultBackend+{valkey.url}",
        result_backend_transport_options={"global_keyprefix": "shop"},
    )
    results = other.backend
    assert isinstance(results, JobResults)
    results.store_result("p1", "done", celery_states.SUCCESS, request=Context(id="p1"))
    assert set(valkey.client.keys("shop*p1")) == {
        b"shop_celery-task-meta-p1",
        b"shop_expresslane-job-p1",
    }


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(value=JSON_VALUES)
def test_data_come_back_as_they_were_set(valkey: Valkey, value: object) -> None:
    assert valkey.client.ping()
    scheduler.backend().on_task_call(None, "roundtrip")
    scheduler.backend().publish_fields("roundtrip", {"data": value})  # type: ignore[dict-item]
    assert scheduler.status("roundtrip").data == json.loads(json.dumps(value))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["PENDING", "STARTED", "RETRY", "SUCCESS", "FAILURE", "cancel"]),
        st.integers(1, 3),
    ),
    max_size=12,
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
@given(steps=STEPS)
def test_whatever_comes_late_complete_and_cancelled_stay_and_attempts_never_fall(
    valkey: Valkey, steps: list[tuple[str, int]]
) -> None:
    valkey.client.delete("celery-task-meta-late", "expresslane-job-late")
    before = scheduler.status("late")
    for step, attempt in steps:
        if step == "cancel":
            scheduler.cancel("late")
        elif step == "PENDING":
            scheduler.backend().on_task_call(None, "late")
        else:
            record("late", step, attempt, ValueError("x") if step in ("RETRY", "FAILURE") else None)
        after = scheduler.status("late")
        if before.state in (JobState.COMPLETE, JobState.CANCELLED):
            assert after == before
        assert after.attempts >= before.attempts
        before = after


def test_two_workers_that_finish_at_once_leave_one_whole_result() -> None:
    job_id = wait_in_queue()
    start = Barrier(8)

    def finish(number: int) -> None:
        start.wait()
        record(job_id, celery_states.SUCCESS, 1, {"worker": number, "same": number})

    threads = [Thread(target=finish, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    data = scheduler.status(job_id).data
    assert data["worker"] == data["same"]


@pytest.mark.parametrize(
    ("name", "data", "queue"),
    [
        ("", {}, "default"),
        ("tests.add", [1, 2], "default"),
        ("tests.add", {"what": object()}, "default"),
        ("tests.add", {}, ""),
    ],
)
def test_what_cannot_be_a_job_is_refused_and_leaves_no_trace(
    valkey: Valkey, name: str, data: object, queue: str
) -> None:
    before = set(valkey.client.keys("*"))
    with pytest.raises(BadJob, match="a job"):
        scheduler.schedule(name, data, queue)  # type: ignore[arg-type] # which is the point
    assert set(valkey.client.keys("*")) == before


def test_a_task_called_with_wrong_data_is_refused_at_delay() -> None:
    with pytest.raises(TypeError, match="second"):
        jobs.add.delay(first=1)


def test_size_counts_what_waits() -> None:
    assert scheduler.size(NOBODY_WORKS_HERE) == 0
    for _ in range(3):
        wait_in_queue()
    assert scheduler.size(NOBODY_WORKS_HERE) == 3


def test_queues_are_those_configured_and_those_used() -> None:
    wait_in_queue()
    found = scheduler.queues()
    assert found[:3] == ("default", "high", "low")
    assert NOBODY_WORKS_HERE in found


def test_a_status_that_cannot_be_had_is_an_error_not_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nobody = redis.Redis(port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr(scheduler.backend(), "quick_client", nobody)
    # One of its own, so that the next test is not told that the server was away a moment ago.
    monkeypatch.setattr(scheduler.backend(), "circuit", Circuit())
    with pytest.raises(Unreachable, match="ask again later"):
        scheduler.status("any")
    nobody.close()


def test_following_jobs_yields_each_change_and_ends_with_the_last_one() -> None:
    first, second = wait_in_queue(), wait_in_queue()

    async def watch() -> list[tuple[str, JobState]]:
        seen = []
        async for status in follow([first, second, "never-seen"]):
            seen.append((status.job_id, status.state))
            if seen[-1] == (second, JobState.WAITING):
                record(first, celery_states.STARTED, 1)
            if seen[-1] == (first, JobState.RUNNING):
                record(first, celery_states.SUCCESS, 1)
                scheduler.cancel(second)
        return seen

    seen = asyncio.run(watch())
    assert [state for job_id, state in seen if job_id == first] == [
        JobState.WAITING,
        JobState.RUNNING,
        JobState.COMPLETE,
    ]
    assert seen[-1][1].is_final
    assert ("never-seen", JobState.UNKNOWN) in seen
    assert (second, JobState.CANCELLED) in seen


def test_progress_wakes_whoever_follows() -> None:
    job_id = wait_in_queue()
    record(job_id, celery_states.STARTED, 1)

    async def watch() -> list[object]:
        seen: list[object] = []
        async for status in follow([job_id]):
            seen.append(status.data)
            if status.data is None:
                scheduler.backend().publish_fields(job_id, {"data": "half"})
            elif not status.state.is_final:
                record(job_id, celery_states.SUCCESS, 1, "whole")
        return seen

    assert asyncio.run(watch()) == [None, "half", "whole"]
