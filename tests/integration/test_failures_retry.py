"""Retrying failed jobs: the message that is sent, and that it is one step, whoever else does so."""

import json
import os
from collections import Counter
from dataclasses import replace
from threading import Barrier, Thread
from typing import Any

import pytest
import redis
from celery import states as celery_states
from celery.app.task import Context

from tasks import failures, scheduler
from tasks.broker.access import server_of
from tasks.celery import app
from tasks.errors import BadJob, NoSuchFailedJob
from tasks.failures import Filter, Outcome
from tasks.states import JobState
from tests.support.failed import QUEUE, fail, failure, keep
from tests.support.valkey import Valkey

pytestmark = pytest.mark.usefixtures("clean_failed_jobs")


def queued(valkey: Valkey, key: str = QUEUE) -> list[dict[str, Any]]:
    return [json.loads(message) for message in valkey.client.lrange(key, 0, -1)]


def queued_ids(valkey: Valkey, key: str = QUEUE) -> list[str]:
    """The oldest first, which is the one that is taken first."""
    return [message["headers"]["id"] for message in queued(valkey, key)][::-1]


def record(job_id: str, state: str, attempt: int = 1, **fields: Any) -> None:
    result = ValueError("x") if state == celery_states.FAILURE else None
    request = Context(id=job_id, retries=attempt - 1, **fields)
    scheduler.backend().store_result(job_id, result, state, request=request)


# -- the message -----------------------------------------------------------------------------------


def test_a_retried_job_is_queued_and_listed_no_more(valkey: Valkey) -> None:
    job_id = fail(data={"first": 4, "second": 5}, root_id="root", group="g", request_id="r")
    failures.retry(job_id)
    assert failures.count() == 0
    (message,) = queued(valkey)
    headers = message["headers"]
    assert (headers["id"], headers["root_id"], headers["group"]) == (job_id, "root", "g")
    assert (headers["retries"], headers["reruns"], headers["request_id"]) == (0, 1, "r")
    assert valkey.client.llen(f"{QUEUE}.bell") == 1


def test_what_is_queued_is_what_celery_has_sent(valkey: Valkey) -> None:
    job_id = app.send_task(
        "tests.add", (1,), {"second": 2}, queue=QUEUE, headers={"shop": "x"}, time_limit=9
    ).id
    (sent,) = queued(valkey)
    valkey.client.delete(QUEUE)
    keep(replace(failure(job_id=job_id), message=json.dumps(sent).encode()))
    failures.retry(job_id)
    (again,) = queued(valkey)
    assert again["headers"].pop("reruns") == 1
    assert again["headers"].pop("enqueued_at") > sent["headers"].pop("enqueued_at")
    assert again["properties"].pop("delivery_tag") != sent["properties"].pop("delivery_tag")
    assert again == sent


def test_a_message_that_had_to_be_composed_is_what_celery_would_send(valkey: Valkey) -> None:
    job_id = app.send_task("tests.add", kwargs={"first": 1, "second": 2}, queue=QUEUE).id
    (sent,) = queued(valkey)
    valkey.client.delete(QUEUE)
    kept = {name: sent["headers"][name] for name in ("ignore_result", "origin", "timelimit")}
    fail(job_id=job_id, **kept)
    failures.retry(job_id)
    (again,) = queued(valkey)
    for message in (sent, again):
        message["properties"].pop("delivery_tag")
        message["properties"].pop("reply_to")
    assert again["headers"].pop("reruns") == 1
    assert again["headers"].pop("enqueued_at") > sent["headers"].pop("enqueued_at")
    assert again == sent


def test_a_retry_clears_what_would_keep_the_job_from_running(valkey: Valkey) -> None:
    failed = failure()
    message = json.loads(failed.message)
    message["headers"].update(
        {"expires": "2020-01-01T00:00:00", "eta": "2999-01-01T00:00:00", "retries": 7, "deaths": 2}
    )
    message["properties"]["expiration"] = "1000"
    keep(replace(failed, message=json.dumps(message).encode()))
    failures.retry(failed.job_id)
    (again,) = queued(valkey)
    headers = again["headers"]
    assert (headers["expires"], headers["eta"], headers["retries"]) == (None, None, 0)
    assert "deaths" not in headers
    assert "expiration" not in again["properties"]


def test_a_job_goes_back_to_the_list_of_its_priority(valkey: Valkey) -> None:
    job_id = fail(priority=6)
    failures.retry(job_id)
    key = f"{QUEUE}\x06\x166"
    assert queued_ids(valkey, key) == [job_id]
    assert valkey.client.llen(f"{QUEUE}.bell") == 1
    valkey.client.delete(key)


def test_other_data_take_the_place_of_all_arguments(valkey: Valkey) -> None:
    job_id = fail(data={"first": 1, "secret": "s3cret"})
    failures.retry(job_id, data={"first": 9})
    (message,) = queued(valkey)
    keep(replace(failure(job_id=job_id), message=json.dumps(message).encode()))
    again = failures.show(job_id)
    assert (again.args, again.data) == ((), {"first": 9})
    assert "s3cret" not in json.dumps(message)


@pytest.mark.parametrize(
    "data", [{"first": object()}, [1, 2], 7, {"first": {"__type__": "x", "__value__": 1}}]
)
def test_data_that_cannot_be_sent_are_refused_and_the_job_stays_failed(
    valkey: Valkey, data: object
) -> None:
    job_id = fail()
    with pytest.raises(BadJob, match=r"a job's data|cannot be sent"):
        failures.retry(job_id, data=data)  # type: ignore[arg-type] # which is the point
    assert failures.count() == 1
    assert queued(valkey) == []


def test_a_queue_whose_key_is_no_list_leaves_the_job_failed(valkey: Valkey) -> None:
    valkey.client.set(QUEUE, "not a list")
    job_id = fail()
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        failures.retry(job_id)
    assert failures.show(job_id).job_id == job_id


# -- its state -------------------------------------------------------------------------------------


def test_a_retried_job_is_waiting() -> None:
    job_id = fail()
    record(job_id, celery_states.FAILURE, attempt=3)
    failures.retry(job_id)
    found = scheduler.status(job_id)
    assert (found.state, found.attempts, found.error) == (JobState.WAITING, 0, None)


def test_a_job_whose_state_was_forgotten_is_waiting_once_it_is_retried() -> None:
    job_id = fail()
    assert scheduler.status(job_id).state is JobState.UNKNOWN
    failures.retry(job_id)
    assert scheduler.status(job_id).state is JobState.WAITING


def test_the_new_run_counts_its_attempts_anew_and_is_not_taken_for_a_late_one() -> None:
    job_id = fail()
    record(job_id, celery_states.FAILURE, attempt=3, deaths=1)
    failures.retry(job_id)
    record(job_id, celery_states.STARTED, attempt=1, reruns=1)
    found = scheduler.status(job_id)
    assert (found.state, found.attempts) == (JobState.RUNNING, 1)


def test_a_worker_that_is_faster_than_the_mark_keeps_its_state() -> None:
    job_id = fail()
    record(job_id, celery_states.FAILURE, attempt=3)
    record(job_id, celery_states.STARTED, attempt=1, reruns=1)
    failures.retry(job_id)
    assert scheduler.status(job_id).state is JobState.RUNNING


def test_what_an_old_run_reports_late_does_not_touch_the_new_one() -> None:
    job_id = fail()
    record(job_id, celery_states.FAILURE, attempt=3)
    failures.retry(job_id)
    record(job_id, celery_states.FAILURE, attempt=3)
    assert scheduler.status(job_id).state is JobState.WAITING
    record(job_id, celery_states.SUCCESS, attempt=1, reruns=1)
    record(job_id, celery_states.FAILURE, attempt=9)
    assert scheduler.status(job_id).state is JobState.COMPLETE


def test_a_wish_to_cancel_that_came_before_the_failure_does_not_cancel_the_new_run() -> None:
    job_id = fail()
    record(job_id, celery_states.STARTED)
    scheduler.cancel(job_id)
    record(job_id, celery_states.FAILURE)
    failures.retry(job_id)
    record(job_id, celery_states.STARTED, reruns=1)
    assert scheduler.status(job_id).state is JobState.RUNNING


def test_a_retried_job_can_be_cancelled_while_it_waits() -> None:
    job_id = fail()
    record(job_id, celery_states.FAILURE, attempt=2)
    failures.retry(job_id)
    assert scheduler.cancel(job_id).state is JobState.CANCELLED
    record(job_id, celery_states.STARTED, reruns=1)
    assert scheduler.status(job_id).state is JobState.CANCELLED


def test_a_job_whose_results_are_ignored_has_no_state_after_a_retry() -> None:
    job_id = fail(ignore_result=True)
    record(job_id, celery_states.FAILURE)
    failures.retry(job_id)
    assert scheduler.status(job_id).state is JobState.UNKNOWN


def test_a_job_is_queued_even_if_its_state_cannot_be_changed(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = fail()
    nobody = redis.Redis(port=1, socket_connect_timeout=0.2)
    monkeypatch.setattr(scheduler.backend(), "client", nobody)
    failures.retry(job_id)
    assert queued_ids(valkey) == [job_id]
    nobody.close()


# -- many ------------------------------------------------------------------------------------------


def test_many_are_retried_the_oldest_first_and_the_rest_stays(valkey: Valkey) -> None:
    wanted = [fail("a") for _ in range(450)]
    other = fail("b")
    seen: list[tuple[int, int]] = []
    outcome = failures.retry_many(Filter(task="a"), lambda done, total: seen.append((done, total)))
    assert outcome == Outcome(done=450, gone=0)
    assert seen == [(200, 450), (400, 450), (450, 450)]
    assert queued_ids(valkey) == wanted
    assert [job.job_id for job in failures.list().jobs] == [other]
    assert {scheduler.status(job_id).state for job_id in wanted[:3]} == {JobState.WAITING}


def test_jobs_that_fail_while_others_are_retried_are_not_retried_with_them() -> None:
    for _ in range(250):
        fail("a")
    late: list[str] = []
    failures.retry_many(Filter(task="a"), lambda *_: late.append(fail("a")))
    assert {job.job_id for job in failures.list().jobs} == set(late)


def test_a_server_that_forgets_its_scripts_half_way_loses_and_doubles_nothing(
    valkey: Valkey,
) -> None:
    wanted = [fail() for _ in range(250)]
    outcome = failures.retry_many(Filter(), lambda *_: valkey.client.script_flush())
    assert outcome.done == 250
    assert queued_ids(valkey) == wanted


def test_many_threads_that_retry_the_same_jobs_queue_each_exactly_once(valkey: Valkey) -> None:
    wanted = [fail() for _ in range(40)]
    start = Barrier(12)
    successes: Counter[str] = Counter()

    def one_by_one(number: int) -> None:
        start.wait()
        for job_id in wanted[number:] + wanted[:number]:
            try:
                failures.retry(job_id)
            except NoSuchFailedJob:
                continue
            successes[job_id] += 1

    def all_at_once() -> None:
        start.wait()
        failures.retry_many(Filter())

    threads = [Thread(target=one_by_one, args=(3 * number,)) for number in range(10)]
    threads += [Thread(target=all_at_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(queued_ids(valkey)) == Counter(wanted)
    assert failures.count() == 0
    assert all(count == 1 for count in successes.values())


def test_a_retry_and_a_discard_of_the_same_job_do_not_both_happen(valkey: Valkey) -> None:
    outcomes: Counter[str] = Counter()
    jobs = [fail() for _ in range(30)]

    def handle(name: str) -> None:
        for job_id in jobs:
            try:
                getattr(failures, name)(job_id)
            except NoSuchFailedJob:
                continue
            outcomes[name] += 1

    threads = [Thread(target=handle, args=(name,)) for name in ("retry", "discard") * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.total() == 30
    assert len(queued_ids(valkey)) == outcomes["retry"]


def test_a_forked_process_has_connections_of_its_own() -> None:
    failures.count()
    ours = server_of(app)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover (the child's)
        answer = b"1" if server_of(app) is not ours and failures.count() == 0 else b"0"
        os.write(writer, answer)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader)
    os.close(writer)
    assert failures.count() == 0
