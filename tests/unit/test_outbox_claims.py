"""What a job of the outbox meets when it takes its claim."""

import subprocess
import sys

import pytest
from sqlalchemy import QueuePool, create_engine

from tasks.outbox.claims import OutboxAway, raising_away
from tests.support.programs import ROOT


def test_a_process_whose_connections_are_all_in_use_may_have_one_later() -> None:
    pool = {"poolclass": QueuePool, "pool_size": 1, "max_overflow": 0, "pool_timeout": 0.01}
    engine = create_engine("sqlite://", **pool)
    with (
        engine.connect(),
        pytest.raises(OutboxAway, match="QueuePool limit of size 1 overflow 0 reached"),
        raising_away(),
        engine.connect(),
    ):
        pass
    engine.dispose()


def test_the_stores_jobs_wait_for_a_free_connection() -> None:
    # In a process of its own: the jobs' module gives the whole process an outbox.
    program = """
from checkout_demo import jobs
from sqlalchemy.exc import TimeoutError
for job in (jobs.send_receipt, jobs.record_sale, jobs.decrease_inventory):
    assert TimeoutError in job.autoretry_for
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
