"""A worker whose server is full (`maxmemory`, noeviction) while its jobs run."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

JOBS = 4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as process:
        yield process


def fill(server: Valkey) -> None:
    """Have the server take nothing any more."""
    server.client.config_set("maxmemory-policy", "noeviction")
    server.client.config_set("maxmemory", 1)


def schedule(server: Valkey, tmp_path: Path, number: int) -> Path:
    """Schedule a plain job from another process; return the file that its body writes."""
    file = tmp_path / f"book-{number}"
    code = (
        "from tasks.scheduler import schedule; "
        f"print(schedule('outbox.append', {{'file': {str(file)!r}, 'seconds': 1}}))"
    )
    with Program(
        [sys.executable, "-c", code],
        log=tmp_path / f"schedule-{number}.log",
        env={"BROKER_URL": server.url},
    ) as program:
        assert program.process.wait(60) == 0, program.output()
    return file


def test_a_full_server_takes_no_new_jobs_and_those_that_it_has_are_done_without_room(
    server: Valkey, tmp_path: Path
) -> None:
    files = [schedule(server, tmp_path, number) for number in range(JOBS)]
    jobs = [(tmp_path / f"schedule-{number}.log").read_text().strip() for number in range(JOBS)]
    with start_worker(
        tmp_path / "worker.log", broker_url=server.url, jobs="tests.support.outbox_jobs"
    ) as worker:
        wait_for(lambda: any(file.exists() for file in files), "a body to begin")
        fill(server)
        done = b'"status": "SUCCESS"'

        def complete() -> bool:
            metas = [server.client.get(f"celery-task-meta-{job}") for job in jobs]
            return all(isinstance(meta, bytes) and done in meta for meta in metas)

        wait_for(complete, "all jobs to be Complete", doing=worker.check_alive)
        wait_for(lambda: not server.client.hlen("unacked"), "all to be acknowledged")
        with pytest.raises(redis.OutOfMemoryError):
            server.client.lpush("default", "a new job")
    assert server.client.llen("default") == 0
    assert [file.read_text().count("begin") for file in files] == [1] * JOBS


def test_a_worker_starts_on_a_full_server_and_makes_room_there(
    server: Valkey, tmp_path: Path
) -> None:
    files = [schedule(server, tmp_path, number) for number in range(JOBS)]
    fill(server)
    with start_worker(
        tmp_path / "worker.log", broker_url=server.url, jobs="tests.support.outbox_jobs"
    ) as worker:
        wait_for(
            lambda: all(file.exists() and "end" in file.read_text() for file in files),
            "all bodies to end",
            doing=worker.check_alive,
        )
        wait_for(lambda: not server.client.hlen("unacked"), "all to be acknowledged")
    assert server.client.llen("default") == 0
