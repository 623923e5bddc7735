"""A claim belongs to its worker for as long as that worker lives, however long its job runs."""

import signal

import pytest

from tasks.states import JobState
from tests.faults.arena import POOLS, Pool
from tests.faults.conftest import MakeArena
from tests.support.waiting import wait_for

LEASE = 1.0


def test_a_job_of_four_leases_runs_once_in_every_pool(make_arena: MakeArena) -> None:
    arena = make_arena(lease=LEASE)
    for pool in POOLS:
        arena.worker(pool, queues=pool, concurrency=1)
    jobs = {
        number: arena.send("faults.work", queue=pool, number=number, seconds=4 * LEASE)
        for number, pool in enumerate(POOLS)
    }
    wait_for(lambda: len(arena.ledger.read().starts) == len(POOLS), "all jobs to run")
    arena.worker("threads", queues=",".join(POOLS))  # it would take what it could get
    for job_id in jobs.values():
        arena.wait_for_state(job_id, JobState.COMPLETE)
    assert {n: len(starts) for n, starts in arena.ledger.read().starts.items()} == {
        0: 1,
        1: 1,
        2: 1,
    }
    assert arena.broker.client.hlen("deaths") == 0


@pytest.mark.parametrize("pool", POOLS)
def test_a_worker_frozen_past_its_lease_neither_acknowledges_nor_records_over_the_newer_run(
    pool: Pool, make_arena: MakeArena
) -> None:
    arena = make_arena(lease=LEASE)
    frozen = arena.worker(pool, concurrency=1)
    job_id = arena.send("faults.work", number=1, seconds=4)
    wait_for(lambda: arena.ledger.read().running(frozen.node), "the job to run")
    frozen.signal_group(signal.SIGSTOP)
    other = arena.worker(pool, concurrency=1)
    wait_for(lambda: arena.ledger.read().running(other.node), "the job to run elsewhere")
    frozen.signal_group(signal.SIGCONT)
    wait_for(lambda: len(arena.ledger.read().ends[1]) == 1, "the first run's end")
    # Its next job shows that the frozen worker is done with the first one, as it sees it.
    arena.send("faults.work", number=2, seconds=0)
    wait_for(lambda: arena.ledger.read().ends[2], "the second job")
    (newer,) = arena.ledger.running(other.node)
    assert newer.number == 1
    assert arena.broker.client.hexists("unacked", newer.tag)
    assert arena.state(job_id) is JobState.RUNNING
    arena.wait_for_state(job_id, JobState.COMPLETE)
    wait_for(lambda: not arena.unacked(), "the claim's end")
    assert [end.worker for end in arena.ledger.read().ends[1]] == [frozen.node, other.node]


def test_a_busy_solo_worker_leaves_the_next_job_to_others_whatever_its_concurrency(
    make_arena: MakeArena,
) -> None:
    arena = make_arena()
    for number in range(3):
        arena.send("faults.work", number=number, seconds=2)
    worker = arena.worker("solo", concurrency=4, wait=False)
    wait_for(lambda: arena.ledger.read().running(worker.node), "the first to run")
    assert (arena.unacked(), arena.queued()) == (1, 2)
