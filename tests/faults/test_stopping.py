"""A worker that is asked to stop finishes what runs, and gives the rest back at once."""

import os
import random
import signal

import pytest

from tasks.states import JobState
from tests.faults.arena import Arena, Pool, Worker
from tests.faults.campaign import Campaign
from tests.faults.conftest import MakeArena
from tests.support.waiting import wait_for


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_waits_is_back_in_its_queue_before_what_runs_has_ended(
    pool: Pool, make_arena: MakeArena
) -> None:
    arena = make_arena()
    jobs = [
        # Celery looks at a job that expires once more than at others before it starts.
        arena.send("faults.work", number=number, seconds=2, expires=3_600 if number % 2 else None)
        for number in range(8)
    ]
    # It comes later, to claim all at once: where enough wait with it, it leaves the rest alone.
    worker = arena.worker(pool, prefetch=4)
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
    figures = campaign.run(["terminate"] * 2)
    assert (figures.lost, figures.ran_twice, figures.not_complete) == (0, 0, 0), figures
    assert figures.executed == figures.accepted


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_what_waits_in_a_worker_whose_connections_are_cut_runs_once(
    pool: Pool, make_arena: MakeArena
) -> None:
    arena = make_arena()
    worker = arena.worker(pool, prefetch=4)
    jobs = [arena.send("faults.work", number=number, seconds=1) for number in range(8)]
    wait_for(lambda: len(arena.ledger.read().starts) == 2, "two of them to run")
    arena.cut_connections()
    wait_for(lambda: worker.output().count("Connected to ") == 2, "the next connection")
    for job_id in jobs:
        arena.wait_for_state(job_id, JobState.COMPLETE)
    wait_for(lambda: not arena.unacked() and not arena.queued(), "all acknowledgements")
    assert [len(starts) for starts in arena.ledger.read().starts.values()] == [1] * 8


def test_solo_starts_nothing_more_of_what_it_has_claimed(make_arena: MakeArena) -> None:
    arena = make_arena()
    for number in range(4):
        arena.send("faults.work", number=number, seconds=2)
    worker = arena.worker("solo", prefetch=4, wait=False)
    wait_for(lambda: arena.ledger.read().running(worker.node), "the first to run")
    assert arena.unacked() == 4
    worker.process.terminate()
    assert worker.process.wait(30) == 0
    assert (arena.queued(), arena.unacked()) == (3, 0)
    assert list(arena.ledger.read().starts) == list(arena.ledger.ends) == [0]


def hand_over(arena: Arena) -> tuple[Worker, int, str]:
    """Have a worker hand a job to its process, which is frozen; return both and the job's id."""
    worker = arena.worker("prefork", concurrency=1)
    wait_for(worker.children, "its process")
    (process,) = worker.children()
    os.kill(process, signal.SIGSTOP)
    job_id = arena.send("faults.work", number=1, seconds=0)
    worker.wait_until_printed("job received")
    return worker, process, job_id


def test_a_job_on_its_way_to_a_process_is_run_once_when_the_worker_stops(
    make_arena: MakeArena,
) -> None:
    arena = make_arena(lease=1)
    worker, process, job_id = hand_over(arena)
    worker.process.terminate()
    # It takes orders until it has closed its consumer.
    clients = arena.broker.client
    wait_for(lambda: clients.info("clients")["pubsub_clients"] == 0, "its consumer's end")
    os.kill(process, signal.SIGCONT)
    # Its process would wait 30 s for somebody to read the result.
    assert worker.process.wait(20) == 0
    assert arena.unacked() == 0
    assert arena.queued() + len(arena.ledger.read().ends[1]) == 1
    arena.worker("solo")
    arena.wait_for_state(job_id, JobState.COMPLETE)
    assert len(arena.ledger.read().starts[1]) == 1


def test_a_job_on_its_way_to_a_process_is_acknowledged_over_the_next_connection(
    make_arena: MakeArena,
) -> None:
    arena = make_arena(lease=1)
    worker, process, job_id = hand_over(arena)
    arena.cut_connections()
    wait_for(lambda: worker.output().count("Connected to ") == 2, "the next connection")
    os.kill(process, signal.SIGCONT)
    arena.wait_for_state(job_id, JobState.COMPLETE)
    wait_for(lambda: not arena.unacked() and not arena.queued(), "an acknowledgement")
    arena.wait_for_state(arena.send("faults.work", number=2, seconds=0), JobState.COMPLETE)
    assert [len(starts) for starts in arena.ledger.read().starts.values()] == [1, 1]
