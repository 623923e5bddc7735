"""The result backend on a real server: which moves of a job's state it makes and refuses."""

import asyncio
import json
from threading import Barrier, Thread

import pytest
import redis
from celery import states as celery_states
from celery.app.task import Context
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.settings import framework_settings
from tasks import scheduler
from tasks.celery import app
from tasks.errors import BadJob, Unreachable
from tasks.results import UNFINISHED_EXPIRES, JobResults
from tasks.states import JobState
from tasks.watch import follow
from tests.support import jobs
from tests.support.valkey import Valkey

NOBODY_WORKS_HERE = "nobody-works-here"


@pytest.fixture(autouse=True)
def _empty_queue(valkey: Valkey) -> None:
    valkey.client.delete(NOBODY_WORKS_HERE)


def wait_in_queue() -> str:
    return scheduler.schedule("tests.add", {"first": 1, "second": 2}, queue=NOBODY_WORKS_HERE)


def record(job_id: str, state: str, attempt: int, result: object = None) -> Context:
    request = Context(id=job_id, retries=attempt - 1)
    scheduler.backend().store_result(job_id, result, state, request=request)
    return request


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
