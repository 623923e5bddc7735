"""Whatever is done to failed jobs, in whatever order: they are where a simple model has them."""

import json

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tasks import failures
from tasks.errors import NoSuchFailedJob
from tasks.failures import Filter
from tests.support.failed import QUEUE, failure, keep
from tests.support.valkey import Valkey

IDS = st.sampled_from([f"job-{number}" for number in range(6)])
TASKS = st.sampled_from(["a", "b"])
ERRORS = st.sampled_from(["Refused", "NotYet"])


class FailedJobsMachine(RuleBasedStateMachine):
    """The model: failed jobs in the order of their last failure, and what is queued."""

    valkey: Valkey

    def __init__(self) -> None:
        super().__init__()
        failures.clear()
        self.valkey.client.delete(QUEUE)
        self.failed: dict[str, tuple[str, str]] = {}
        self.queued: list[str] = []

    @rule(job_id=IDS, task=TASKS, error=ERRORS, most=st.integers(1, 6))
    def fail(self, job_id: str, task: str, error: str, most: int) -> None:
        kept = keep(failure(task, job_id=job_id, error=error), most=most)
        self.failed.pop(job_id, None)
        self.failed[job_id] = (task, error)
        surplus = list(self.failed)[: max(0, len(self.failed) - most)]
        assert list(kept.dropped) == surplus
        for old in surplus:
            del self.failed[old]

    @rule(job_id=IDS)
    def retry(self, job_id: str) -> None:
        if job_id not in self.failed:
            with pytest.raises(NoSuchFailedJob):
                failures.retry(job_id)
            return
        failures.retry(job_id)
        del self.failed[job_id]
        self.queued.append(job_id)

    @rule(job_id=IDS)
    def discard(self, job_id: str) -> None:
        if job_id not in self.failed:
            with pytest.raises(NoSuchFailedJob):
                failures.discard(job_id)
            return
        failures.discard(job_id)
        del self.failed[job_id]

    @rule(task=TASKS, error=ERRORS)
    def retry_many(self, task: str, error: str) -> None:
        found = [job_id for job_id, names in self.failed.items() if names == (task, error)]
        assert failures.retry_many(Filter(task=task, error=error)).done == len(found)
        self.queued += found
        for job_id in found:
            del self.failed[job_id]

    @rule(error=ERRORS)
    def discard_many(self, error: str) -> None:
        found = [job_id for job_id, (_, its) in self.failed.items() if its == error]
        assert failures.discard_many(Filter(error=error)).done == len(found)
        for job_id in found:
            del self.failed[job_id]

    @invariant()
    def every_view_agrees_with_the_model(self) -> None:
        for task in (None, "a", "b"):
            for error in (None, "Refused", "NotYet"):
                expected = [
                    job_id
                    for job_id, (its_task, its_error) in self.failed.items()
                    if task in (None, its_task) and error in (None, its_error)
                ]
                page = failures.list(task=task, error=error)
                assert [job.job_id for job in page.jobs] == expected[::-1]
                assert page.total == len(expected)

    @invariant()
    def the_queue_holds_what_was_retried_and_nothing_else(self) -> None:
        messages = self.valkey.client.lrange(QUEUE, 0, -1)
        assert [json.loads(message)["headers"]["id"] for message in messages] == self.queued[::-1]


@pytest.mark.usefixtures("clean_failed_jobs")
def test_failed_jobs_are_where_a_simple_model_has_them(valkey: Valkey) -> None:
    FailedJobsMachine.valkey = valkey
    run_state_machine_as_test(
        FailedJobsMachine,
        settings=settings(
            max_examples=25,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
