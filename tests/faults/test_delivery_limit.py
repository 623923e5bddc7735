"""A job that takes its worker with it is given up after three deaths, and the others go on."""

from tasks.states import JobState
from tests.faults.arena import Arena, Worker
from tests.faults.conftest import MakeArena
from tests.support.waiting import wait_for

LIMIT = 3
GOOD = range(100, 120)


def send_good_ones(arena: Arena) -> list[str]:
    return [arena.send("faults.work", number=number, seconds=0.01) for number in GOOD]


def is_given_up(arena: Arena, job_id: str) -> bool:
    result = arena.meta(job_id).get("result")
    return isinstance(result, dict) and result.get("exc_type") == "DeliveryLimitReached"


def assert_given_up(arena: Arena, job_id: str, number: int) -> None:
    wait_for(lambda: is_given_up(arena, job_id), f"job {number} to be given up")
    assert arena.state(job_id) is JobState.FAILED
    assert len(arena.ledger.read().starts[number]) == LIMIT


def test_a_job_that_kills_its_process_is_given_up_and_the_worker_goes_on(
    make_arena: MakeArena,
) -> None:
    arena = make_arena(lease=1)
    worker = arena.worker("prefork")
    ways = ("exit", "SIGSEGV", "SIGKILL", "memory")
    bad = [arena.send("faults.die", number=n, how=how) for n, how in enumerate(ways)]
    good = send_good_ones(arena)
    for number, job_id in enumerate(bad):
        assert_given_up(arena, job_id, number)
    for job_id in good:
        arena.wait_for_state(job_id, JobState.COMPLETE)
    worker.check_alive()
    wait_for(lambda: not arena.unacked() and not arena.queued(), "nothing left")
    assert arena.broker.client.hlen("deaths") == 0


def test_the_count_of_dead_workers_survives_them_and_the_server(make_arena: MakeArena) -> None:
    arena = make_arena(lease=1)
    bad = arena.send("faults.die", number=1, how="SIGSEGV")
    good = send_good_ones(arena)
    crew: list[Worker] = []

    def supervise() -> None:
        if not crew or crew[-1].process.poll() is not None:
            if len(crew) == 1:
                arena.restart_broker()
            # The crowd is held together with the killer, and must not be given up with it.
            crew.append(arena.worker("solo", prefetch=8, wait=False))

    wait_for(lambda: is_given_up(arena, bad), "the job's end", doing=supervise)
    assert_given_up(arena, bad, 1)
    for job_id in good:
        arena.wait_for_state(job_id, JobState.COMPLETE)
    assert len(crew) == LIMIT + 1
