"""A worker that is asked to stop finishes what runs, and gives the rest back at once."""

import random

import pytest

from tasks.states import JobState
from tests.faults.arena import Pool
from tests.faults.campaign import Campaign
from tests.faults.conftest import MakeArena
from tests.support.waiting import wait_for


@pytest.mark.parametrize("pool", ["prefork", "threads"])
@pytest.mark.parametrize("expires", [None, 3_600.0], ids=["", "expires"])
def test_what_waits_is_back_in_its_queue_before_what_runs_has_ended(
    pool: Pool, expires: float | None, make_arena: MakeArena
) -> None:
    arena = make_arena()
    worker = arena.worker(pool, prefetch=4)
    jobs = [
        arena.send("faults.work", number=number, seconds=3, expires=expires) for number in range(8)
    ]
    wait_for(lambda: not arena.queued(), "all jobs to be claimed")
    wait_for(lambda: len(arena.ledger.read().starts) == 2, "two of them to run")
    worker.process.terminate()
    wait_for(lambda: arena.queued() == 6, "the others to be back", patience=10)
    assert not arena.ledger.read().ends
    assert worker.process.wait(30) == 0
    ran = arena.ledger.read()
    assert len(ran.ends) == len(ran.starts) == 2
    assert [arena.state(jobs[number]) for number in ran.ends] == [JobState.COMPLETE] * 2
    assert arena.unacked() == 0
    arena.worker(pool, concurrency=6)
    for job_id in jobs:
        arena.wait_for_state(job_id, JobState.COMPLETE)
    assert all(len(starts) == 1 for starts in arena.ledger.read().starts.values())


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_a_rolling_restart_under_load_loses_and_doubles_nothing(
    pool: Pool, make_arena: MakeArena, chance: random.Random
) -> None:
    campaign = Campaign(make_arena(), pool, chance, workers=2)
    figures = campaign.run(["terminate"] * 4)
    assert (figures.lost, figures.ran_twice, figures.not_complete) == (0, 0, 0), figures
    assert figures.executed == figures.accepted
