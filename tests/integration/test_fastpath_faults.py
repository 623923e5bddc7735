"""Workers that end, and servers that go away, in the middle of jobs of the short way."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.history.store import SEPARATOR
from tasks.job import Job
from tests.support import plain_jobs as jobs
from tests.support.carried_jobs import carry
from tests.support.two_ways import BOTH, CELERYS, SHORT, Way, queue_of, wait_until, working
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

POOLS = ("threads", "solo")
KEEPS = ("--appendonly", "yes", "--appendfsync", "always")
WAY = {SHORT: "short\n", CELERYS: "celery\n"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, options=KEEPS) as running:
        yield running


@pytest.fixture
def send(valkey: Valkey, server: Valkey) -> Callable[..., str]:
    """What sends a job to a server of the test's own, and returns its id."""

    def send(way: str, pool: str, task: Job, *args: object, **options: Any) -> str:
        return carry(valkey, server, task, queue_of(way, pool), *args, **options)

    return send


def state_of(server: Valkey, job_id: str) -> str | None:
    found = server.client.get(f"celery-task-meta-{job_id}")
    assert not isinstance(found, str)
    return str(json.loads(found)["status"]) if found else None


def waiting(server: Valkey, queue: str) -> list[str]:
    """Return the ids of the jobs that wait, the next one first."""
    messages = server.client.lrange(queue, 0, -1)
    return [json.loads(message)["headers"]["id"] for message in reversed(messages)]


def go_on(*files: Path) -> None:
    for file in files:
        file.with_name(f"{file.name}.go").touch()


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("pool", POOLS)
def test_what_has_not_started_goes_back_in_order_when_a_worker_stops(
    server: Valkey, send: Callable[..., str], tmp_path: Path, pool: str, name: str
) -> None:
    files = [tmp_path / f"job-{number}" for number in range(16)]
    ids = [send(name, pool, jobs.hold, str(file)) for file in files]
    running = 1 if pool == "solo" else 2
    options: dict[str, Any] = {"concurrency": 2, "multiplier": 16 if pool == "solo" else 8}
    with working(server, tmp_path, pool, name, **options) as way:
        wait_until(lambda: all(file.exists() for file in files[:running]), "jobs that run", way)
        wait_until(lambda: server.client.hlen("unacked") == 16, "a claim of all", way)
        way.worker.process.terminate()
        way.worker.wait_until_printed("Warm shutdown")
        if pool == "threads":
            wait_until(lambda: waiting(server, way.queue) == ids[2:], "the others to be back", way)
        go_on(*files[:running])
        assert way.worker.process.wait(30) == 0
    assert waiting(server, way.queue) == ids[running:]
    assert [state_of(server, job) for job in ids[:running]] == ["SUCCESS"] * running
    assert [file.exists() for file in files] == [True] * running + [False] * (16 - running)
    assert [file.read_text() for file in files[:running]] == [WAY[name]] * running
    assert not server.client.exists("unacked", "deaths")
    with working(server, tmp_path, pool, name, **options) as way:
        go_on(*files)
        wait_until(way.is_idle, "the rest", way)
    assert [state_of(server, job) for job in ids] == ["SUCCESS"] * 16
    assert [file.read_text() for file in files] == [WAY[name]] * 16


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("pool", POOLS)
def test_all_jobs_run_in_the_end_when_their_worker_is_killed(
    server: Valkey, send: Callable[..., str], tmp_path: Path, pool: str, name: str
) -> None:
    ids = [send(name, pool, jobs.see, number) for number in range(40)]
    file = tmp_path / "held"
    held = send(name, pool, jobs.hold, str(file))
    ids += [send(name, pool, jobs.see, number) for number in range(40)]
    options: dict[str, Any] = {"concurrency": 2, "multiplier": 16, "env": {"LEASE": "1"}}
    with working(server, tmp_path, pool, name, **options) as way:
        wait_until(file.exists, "a job that runs", way)
        if pool == "solo":
            wait_until(lambda: state_of(server, held) == "STARTED", "its state", way)
        way.worker.kill(signal.SIGKILL)
        way.worker.process.wait()
    go_on(file)
    with working(server, tmp_path, pool, name, **options) as way:
        wait_until(way.is_idle, "the rest", way)
    assert {state_of(server, job) for job in (*ids, held)} == {"SUCCESS"}
    assert file.read_text().splitlines()[0] == WAY[name].strip()
    assert len(file.read_text().splitlines()) == 2


def results_at(server: Valkey) -> dict[str, str]:
    return {"RESULT_BACKEND_URL": server.url}


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("pool", POOLS)
def test_a_job_ends_while_the_results_are_away(
    server: Valkey, send: Callable[..., str], tmp_path: Path, pool: str, name: str
) -> None:
    directory = tmp_path / "results"
    directory.mkdir()
    with Valkey(directory, options=KEEPS) as results:
        file, second = tmp_path / "held", tmp_path / "second"
        first_id = send(name, pool, jobs.hold, str(file))
        second_id = send(name, pool, jobs.hold, str(second))
        with working(
            server, tmp_path, pool, name, concurrency=1, multiplier=2, env=results_at(results)
        ) as way:
            wait_until(file.exists, "a job that runs", way)
            results.stop()
            go_on(file, second)
            # Nobody is told how the first has ended, and nobody can be told that the second begins.
            with Valkey(directory, port=results.port, options=KEEPS) as back:
                wait_until(lambda: state_of(back, second_id) == "SUCCESS", "the second", way)
                wait_until(way.is_idle, "acknowledgements", way)
                assert state_of(back, first_id) == "SUCCESS"
            assert (file.read_text(), second.read_text()) == (WAY[name], WAY[name])


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("pool", POOLS)
def test_a_job_begins_while_the_results_are_away(
    server: Valkey, send: Callable[..., str], tmp_path: Path, pool: str, name: str
) -> None:
    directory = tmp_path / "results"
    directory.mkdir()
    with Valkey(directory, options=KEEPS) as results:
        with working(server, tmp_path, pool, name, env=results_at(results)) as way:
            results.stop()
            file = tmp_path / "held"
            go_on(file)
            job_id = send(name, pool, jobs.hold, str(file))
            wait_until(lambda: job_id in way.worker.output(), "it to begin", way)
            assert not file.exists()
            with Valkey(directory, port=results.port, options=KEEPS) as back:
                wait_until(lambda: state_of(back, job_id) == "SUCCESS", "its result", way)
                wait_until(way.is_idle, "its acknowledgement", way)
        assert file.read_text() == WAY[name]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("pool", POOLS)
def test_a_job_that_runs_while_the_server_is_restarted_runs_once_and_is_counted(
    server: Valkey, send: Callable[..., str], tmp_path: Path, pool: str, name: str
) -> None:
    files = [tmp_path / f"job-{number}" for number in range(3)]
    ids = [send(name, pool, jobs.hold, str(file)) for file in files]
    with working(server, tmp_path, pool, name, concurrency=1, multiplier=4) as way:
        wait_until(files[0].exists, "a job that runs", way)
        server.stop()
        go_on(*files)
        with Valkey(tmp_path, port=server.port, options=KEEPS) as back:
            for job in ids:
                wait_until(lambda: state_of(back, job) == "SUCCESS", job, way)  # noqa: B023 (called at once)
            wait_for(lambda: not back.client.exists("unacked", way.queue), "acknowledgements")
            way.worker.stop()
            counted = json.loads(back.client.hget("expresslane-history-total", history(way)) or "")
            assert counted["s"] == 3
    assert [file.read_text() for file in files] == [WAY[name]] * 3


def history(way: Way) -> str:
    """Return the name of the field that counts a way's held jobs."""
    return SEPARATOR.join(("plain.hold", way.queue))
