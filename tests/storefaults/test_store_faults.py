"""The short version of `python -m tests.storefaults`: some faults over each database, the count."""

import random
from pathlib import Path

import pytest

from tests.faults.conftest import SEED
from tests.storefaults.audit import BETWEEN, Figures
from tests.storefaults.campaign import Campaign, plan_of
from tests.storefaults.world import Kind, Way, World

# A broken store is noticed by waiting in vain, for longer than tests wait elsewhere.
pytestmark = pytest.mark.timeout(420)

PLANS: dict[Kind, dict[str, int]] = {
    "sqlite": {
        BETWEEN: 3,
        "worker killed": 1,
        "broker killed": 1,
        "broker full": 1,
        "mail killed": 1,
        "database away": 1,
    },
    "postgresql": {
        BETWEEN: 3,
        "worker frozen": 1,
        "producer's machine": 1,
        "FLUSHALL": 1,
        "broker evicts": 1,
        "ERP frozen": 1,
        "database away": 1,
    },
}


def run(directory: Path, kind: Kind, way: Way, plan: dict[str, int]) -> Figures:
    print(f"seed {SEED}; another one: FAULTS_SEED=... make test")  # noqa: T201 (shown on failure)
    chance = random.Random(SEED)  # noqa: S311 (no secret)
    with World(directory, kind, way=way) as world:
        return Campaign(world, chance).run(plan_of(chance, plan))


@pytest.mark.parametrize("kind", PLANS)
def test_every_answered_order_has_its_effects_once_whatever_is_killed_wiped_or_full(
    kind: Kind, tmp_path: Path
) -> None:
    figures = run(tmp_path, kind, "outbox", PLANS[kind])
    assert figures.answered > len(PLANS[kind])
    assert figures.wrong() == {}, figures


def test_the_same_count_shows_what_delay_after_the_commit_loses(tmp_path: Path) -> None:
    figures = run(tmp_path, "sqlite", "delay", {BETWEEN: 3})
    assert figures.lost > 0
