"""The short version of `make faults`: a few faults of each kind in each pool, then the count."""

import random

import pytest

from tests.faults.arena import POOLS, Pool
from tests.faults.campaign import Campaign, plan_of
from tests.faults.conftest import MakeArena
from tests.faults.figures import middle_and_most

DEFAULT_LEASE = 10.0


@pytest.mark.parametrize("pool", POOLS)
def test_no_accepted_job_is_lost_and_no_effect_doubled_whatever_is_killed(
    pool: Pool, make_arena: MakeArena, chance: random.Random
) -> None:
    campaign = Campaign(make_arena(), pool, chance)
    plan = plan_of(
        chance,
        kill_group=1,
        kill_parent=1,
        kill_child=1,
        terminate=1,
        freeze=1,
        restart_server=1,
        cut_connections=1,
        forget_scripts=1,
    )
    figures = campaign.run(plan)
    assert figures.accepted > len(plan)
    assert (figures.lost, figures.effects_twice, figures.not_complete) == (0, 0, 0), figures


def test_the_same_count_shows_what_the_stock_transport_loses(
    make_arena: MakeArena, chance: random.Random
) -> None:
    campaign = Campaign(make_arena(transport="stock"), "prefork", chance)
    for _ in range(5):
        # Each kill of ten loses at least one of them more often than not.
        if campaign.run(plan_of(chance, kill_group=5, kill_parent=5)).lost:
            break
    assert campaign.figures.lost > 0


def test_with_the_default_lease_a_dead_workers_jobs_are_done_within_15_seconds(
    make_arena: MakeArena, chance: random.Random
) -> None:
    campaign = Campaign(make_arena(lease=DEFAULT_LEASE), "threads", chance)
    for _ in range(5):
        figures = campaign.run(plan_of(chance, kill_group=3))
        # Each kill may find its worker between two jobs.
        if figures.recoveries:
            break
    assert figures.recoveries
    assert sorted(figures.recoveries)[len(figures.recoveries) // 2] <= 15, middle_and_most(
        figures.recoveries
    )
