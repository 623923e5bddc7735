"""Plain jobs do take the short way, under the settings as they are; and what closes it."""

from pathlib import Path
from typing import Any

import pytest

from tasks.celery import app
from tasks.history import History
from tasks.job import Job
from tests.integration.fastpath_fixtures import server
from tests.support import plain_jobs as jobs
from tests.support.listener import Listener
from tests.support.two_ways import CELERYS, SHORT, Way, wait_until, working
from tests.support.valkey import Valkey

POOLS = ("threads", "solo")

EVENTS = ["task-received", "task-started", "task-succeeded"]


__all__ = ["server"]


def send(way: Way, name: str, task: Job = jobs.see, *args: object, **options: Any) -> str:
    """Send a job to a way's worker, and return its name."""
    way.client.delete(f"ways-of-{way.job_id(name)}")
    options = {"queue": way.queue, "task_id": way.job_id(name), **options}
    task.apply_async(args, **options)
    return name


def ways_of(way: Way, name: str, task: Job = jobs.see, *args: object, **options: Any) -> list[str]:
    """Send a job, wait until it is done with, and return by which ways it was run."""
    send(way, name, task, *args, **options)
    wait_until(way.is_idle, f"the end of {name}", way)
    return way.ways(name)


@pytest.mark.parametrize("pool", POOLS)
def test_plain_jobs_take_the_short_way_with_the_settings_as_they_are(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    # Events are on, and 50 jobs a second have them; what is beyond goes the short way.
    env = {"EVENT_JOBS_MAX": "50", "LOG_FORMAT": "console", "LOG_LEVEL": "INFO"}
    with working(server, tmp_path, pool, SHORT, env=env) as way:
        kept = [send(way, f"kept {number}") for number in range(400)]
        ignored = [send(way, f"ignored {number}", jobs.ignoring) for number in range(400)]
        wait_until(way.is_idle, "the end of all", way)
        for names in (kept, ignored):
            assert {tuple(way.ways(name)) for name in names} == {("short",), ("celery",)}
        assert all(way.state(name) == "SUCCESS" for name in kept)
        # A state is not kept of what is ignored, whatever the way.
        assert not any(way.client.exists(f"celery-task-meta-{way.job_id(one)}") for one in ignored)


@pytest.mark.parametrize("pool", POOLS)
def test_without_events_every_plain_job_takes_it_kept_or_ignored(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    with working(server, tmp_path, pool, SHORT) as way:
        assert ways_of(way, "kept") == ["short"]
        assert ways_of(way, "ignored by its task", jobs.ignoring) == ["short"]
        assert ways_of(way, "ignored by its sender", ignore_result=True) == ["short"]
        assert ways_of(way, "untracked", jobs.untracked) == ["short"]


@pytest.mark.parametrize("pool", POOLS)
def test_a_job_has_all_its_events_or_takes_the_short_way_and_is_counted(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    unheard = History(app).of_workers().get("jobs_without_events", 0)
    with Listener() as listener:
        with working(server, tmp_path, pool, SHORT, env={"EVENT_JOBS_MAX": "1"}) as way:
            names = [send(way, f"job {number}") for number in range(30)]
            failing = [send(way, f"fail {number}", jobs.fail, "ordinary") for number in range(30)]
            wait_until(way.is_idle, "the end of all", way)
        heard = {name: listener.of(way.job_id(name)) for name in (*names, *failing)}
        told = [name for name in heard if way.ways(name) == ["celery"]]

        def all_are_heard() -> bool:
            return all(len(listener.of(way.job_id(name))) == len(EVENTS) for name in told)

        wait_until(all_are_heard, "the events")
        heard = {name: listener.of(way.job_id(name)) for name in heard}
    assert len(told) in range(2, 60)
    for name, events in heard.items():
        if name not in told:
            assert (events, way.ways(name)) == ([], ["short"])
        elif name in names:
            assert events == EVENTS
        else:
            assert events == [*EVENTS[:2], "task-failed"]
    assert History(app).of_workers()["jobs_without_events"] - unheard == len(heard) - len(told)


@pytest.mark.parametrize("pool", POOLS)
def test_a_rate_limit_closes_it_for_its_task_and_opens_it_again(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    def limit(rate: str) -> None:
        app.control.rate_limit(
            "plain.limited", rate, destination=[way.host], reply=True, timeout=30, limit=1
        )

    with working(server, tmp_path, pool, SHORT) as way:
        assert ways_of(way, "before", jobs.limited) == ["short"]
        limit("1000/s")
        assert ways_of(way, "limited", jobs.limited) == ["celery"]
        assert ways_of(way, "of another task") == ["short"]
        limit("0")
        assert ways_of(way, "after", jobs.limited) == ["short"]


@pytest.mark.parametrize("pool", POOLS)
def test_somebody_who_listens_closes_it(server: Valkey, tmp_path: Path, pool: str) -> None:
    with working(server, tmp_path, pool, CELERYS) as way:
        assert ways_of(way, "heard") == ["celery"]


def test_processes_never_take_it(server: Valkey, tmp_path: Path) -> None:
    with working(server, tmp_path, "prefork", SHORT) as way:
        assert ways_of(way, "in a process") == ["celery"]
