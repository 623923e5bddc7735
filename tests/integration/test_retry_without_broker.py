"""A next attempt that cannot be sent is not the end of the job."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks import failures, scheduler
from tasks.errors import NoSuchFailedJob
from tasks.states import JobState
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "retry-tests"


@pytest.fixture
def own_worker(valkey: Valkey, tmp_path: Path) -> Iterator[Program]:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE) as program:
        yield program


def test_a_job_whose_next_attempt_cannot_be_sent_is_tried_again(
    valkey: Valkey, own_worker: Program
) -> None:
    job_id = scheduler.schedule("tests.pass_after_refusal", {"key": "refuse-writes"}, queue=QUEUE)
    found = wait_for(
        lambda: (status := scheduler.status(job_id)).state.is_final and status, "the job's end"
    )
    assert found
    assert (found.state, found.data) == (JobState.COMPLETE, "sent in the end")
    with pytest.raises(NoSuchFailedJob):
        failures.show(job_id)
    assert int(valkey.client.get("refuse-writes") or 0) > 1
    own_worker.check_alive()
