"""The short way of a plain job has the outcome of Celery's way, in all that can be seen of it."""

from dataclasses import dataclass
from typing import Any

import pytest

from tasks.celery import app
from tests.integration.fastpath_fixtures import server
from tests.support import plain_jobs as jobs
from tests.support.hostile import HOSTILE
from tests.support.scenarios import SCENARIOS as PROPER
from tests.support.scenarios import Sender
from tests.support.two_ways import BOTH, CELERYS, SHORT, Way, alike, wait_until, working
from tests.support.valkey import Valkey

SCENARIOS = {**PROPER, **HOSTILE}

REVOKED = "revoked"

__all__ = ["server"]


@dataclass(frozen=True)
class Both:
    """The two workers of a pool, which have run all jobs and are stopped."""

    short: Way
    celerys: Way
    stats: dict[str, Any]


@pytest.fixture(scope="module", params=["threads", "solo"])
def both(
    request: pytest.FixtureRequest, server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Both:
    pool: str = request.param
    directory = tmp_path_factory.mktemp(f"two-ways-{pool}")
    ways, stats = {}, {}
    for name in BOTH:
        for scenario, found in SCENARIOS.items():
            found.send(Sender(name, pool, scenario, server))
        with working(server, directory, pool, name, concurrency=2, multiplier=4) as way:
            wait_until(way.is_idle, f"the end of all jobs that go {name}", way)
            id_ = way.job_id(REVOKED)
            app.control.broadcast(
                "revoke",
                {"task_id": [id_]},
                destination=[way.host],
                reply=True,
                timeout=30,
                limit=1,
            )
            jobs.see.apply_async(task_id=id_, queue=way.queue)
            wait_until(way.is_idle, "the end of the revoked job", way)
            stats[name] = way.ask("stats")
        ways[name] = way
    return Both(ways[SHORT], ways[CELERYS], stats)


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_is_kept_and_logged_of_a_job_is_the_same(both: Both, name: str) -> None:
    for part in SCENARIOS[name].parts:
        short, celerys = (way.kept(f"{name}{part}") for way in (both.short, both.celerys))
        for what, expected in celerys.items():
            assert short[what] == expected, what


@pytest.mark.parametrize("name", [name for name, one in SCENARIOS.items() if one.ways is not None])
def test_a_plain_job_takes_the_short_way_and_no_other_does(both: Both, name: str) -> None:
    expected = list(SCENARIOS[name].ways or ())
    assert both.short.ways(name) == expected
    assert both.celerys.ways(name) == ["celery"] * len(expected)


def test_a_revoked_job_does_not_run(both: Both) -> None:
    assert both.short.state(REVOKED) == "REVOKED"
    assert both.short.ways(REVOKED) == []
    assert both.short.kept(REVOKED) == both.celerys.kept(REVOKED)


def test_the_history_counts_the_same(both: Both) -> None:
    assert both.short.counts() == both.celerys.counts()


def test_the_worker_counts_the_same(both: Both) -> None:
    assert both.stats[SHORT]["total"] == both.stats[CELERYS]["total"]


def test_the_same_is_in_quarantine(both: Both) -> None:
    assert both.short.quarantined() == both.celerys.quarantined()


def test_what_no_job_logs_is_the_same(both: Both) -> None:
    assert both.short.other_lines() == both.celerys.other_lines()


def test_the_words_that_make_it_alike_leave_what_matters() -> None:
    assert alike("short-x 1.5 2020-01-01") == "x 1.5 2020-01-01"
