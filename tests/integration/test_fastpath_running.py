"""Jobs of the short way while they run: looked at from outside, and cancelled."""

from pathlib import Path
from typing import Any

import pytest

from tasks import scheduler
from tests.integration.fastpath_fixtures import server
from tests.support import plain_jobs as jobs
from tests.support.two_ways import BOTH, CELERYS, SHORT, Way, all_alike, wait_until, working
from tests.support.valkey import Valkey

__all__ = ["server"]


def asked(way: Way, command: str, *ids: str) -> object:
    """Return a worker's answer, sorted, made alike; what is to be a time or its process is one."""
    answer: Any = way.ask(command, *ids)
    found = (
        list(answer.values()) if isinstance(answer, dict) else [[command, one] for one in answer]
    )
    for _, one in found:
        if one["time_start"] is not None:
            assert 1.7e9 < one["time_start"] < 2e9
            one["time_start"] = "TIME"
            assert one["worker_pid"] == way.worker.pid
        one["worker_pid"] = one["worker_pid"] is not None
    return sorted((all_alike(one) for one in found), key=str)


def test_inspect_shows_what_threads_run_and_what_waits_for_one(
    server: Valkey, tmp_path: Path
) -> None:
    answers: dict[str, list[Any]] = {}
    for name in BOTH:
        files = [tmp_path / f"{name}-{number}" for number in range(3)]
        with working(server, tmp_path, "threads", name, concurrency=2, multiplier=2) as way:
            ids = [way.job_id(f"held {number}") for number in range(3)]
            for job_id, file in zip(ids, files, strict=True):
                jobs.hold.apply_async((str(file),), task_id=job_id, queue=way.queue)
            wait_until(lambda: files[0].exists() and files[1].exists(), "two that run", way)  # noqa: B023 (called at once)
            wait_until(lambda: len(way.ask("reserved")) == 1, "one that waits", way)
            answers[name] = [
                asked(way, "active"),
                asked(way, "reserved"),
                asked(way, "query_task", *ids),
                all_alike(way.ask("query_task", "nobody")),
            ]
            for file in files:
                file.with_name(f"{file.name}.go").touch()
            wait_until(way.is_idle, "the end of all", way)
            wait_until(lambda: not way.ask("active") and not way.ask("reserved"), "none", way)
            assert way.ask("query_task", *ids) == {}
        assert [file.read_text() for file in files] == [
            {SHORT: "short\n", CELERYS: "celery\n"}[name]
        ] * 3
    assert answers[SHORT] == answers[CELERYS]
    assert [len(one) for one in answers[SHORT]] == [2, 1, 3, 0]


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_job_that_is_cancelled_while_it_runs_ends_alike(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    found: dict[str, list[object]] = {}
    for name in BOTH:
        thens = ("stop", "tell again", "fail later", "go on")
        with working(server, tmp_path, pool, name) as way:
            for then in thens:
                job_id = way.job_id(f"cancelled {then}")
                jobs.until_cancelled.apply_async((then,), task_id=job_id, queue=way.queue)
                wait_until(lambda: scheduler.status(job_id).progress, "progress", way)  # noqa: B023
                scheduler.cancel(job_id)
                wait_until(way.is_idle, f"its end: {then}", way)
                assert way.ways(f"cancelled {then}") == [{SHORT: "short", CELERYS: "celery"}[name]]
        found[name] = [*(way.kept(f"cancelled {then}") for then in thens), way.counts()]
    assert found[SHORT] == found[CELERYS]
