"""A real worker whose connections are cut, whose server restarts, and that is asked for things."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.programs import ROOT, Program
from tests.support.servers import Party, client_of
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

KEEPS = ("--appendonly", "yes", "--appendfsync", "always")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path, options=KEEPS) as running:
        yield running


@pytest.fixture
def own_worker(server: Valkey, tmp_path: Path) -> Iterator[Program]:
    with start_worker(tmp_path / "w.log", broker_url=server.url) as program:
        yield program


def run_one(url: str, number: int, worker: Program) -> None:
    """Publish one job as a stock producer does, and wait until it has left no trace."""
    headers = {"id": f"job-{number}", "task": "tests.log_only"}
    body = [[], {"mark": f"mark-{number}"}, {}]
    with Party(url, transport="redis") as stock:
        stock.publish("default", body, headers=headers)
    worker.wait_until_printed(f"child mark-{number}")
    with client_of(url) as client:
        wait_for(lambda: not client.exists("unacked", "default"), "an acknowledgement")
    assert worker.output().count(f"child mark-{number}") == 1


def send(url: str, task: str, *, ignore_result: bool = False, **data: object) -> str:
    """Publish one job as a stock producer does, and return its id."""
    job_id = str(uuid4())
    headers = {"id": job_id, "task": task, "ignore_result": ignore_result}
    with Party(url, transport="redis") as stock:
        stock.publish("default", [[], data, {}], headers=headers)
    return job_id


def state_of(server: Valkey, job_id: str) -> str | None:
    """Return Celery's name of the job's state."""
    found = server.client.get(f"celery-task-meta-{job_id}")
    return str(json.loads(found)["status"]) if found else None


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
def test_a_worker_goes_on_after_its_connections_were_killed(
    server: Valkey, own_worker: Program, kind: str
) -> None:
    run_one(server.url, 1, own_worker)
    server.client.execute_command("CLIENT", "KILL", "TYPE", kind)  # type: ignore[no-untyped-call] # redis-py's
    run_one(server.url, 2, own_worker)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_jobs_that_were_held_while_all_connections_were_cut_run_once_and_are_complete(
    server: Valkey, tmp_path: Path, pool: str
) -> None:
    with start_worker(
        tmp_path / "w.log", broker_url=server.url, pool=pool, concurrency=2
    ) as worker:
        files = [tmp_path / f"job-{number}" for number in range(5)]
        jobs = [send(server.url, "tests.wait_for_file", file=str(file)) for file in files]
        running = 1 if pool == "solo" else 2
        wait_for(lambda: sum(map(Path.exists, files)) == running, "jobs that run")
        for kind in ("normal", "pubsub"):
            server.client.execute_command("CLIENT", "KILL", "TYPE", kind)  # type: ignore[no-untyped-call] # redis-py's
        if pool != "solo":
            worker.wait_until_printed("Connection to broker lost")
            wait_for(lambda: worker.output().count("mingle: all alone") == 2, "it to be back")
        for file in files:
            file.with_name(f"{file.name}.go").touch()
        for job in jobs:
            wait_for(lambda: state_of(server, job) == "SUCCESS", f"job {job}")  # noqa: B023 (called at once)
        wait_for(lambda: not server.client.exists("unacked", "default"), "acknowledgements")
        assert [file.read_text() for file in files] == ["ran\n"] * 5


def test_a_job_that_was_on_its_way_to_a_process_when_a_connection_was_cut_is_done(
    server: Valkey, tmp_path: Path
) -> None:
    with start_worker(tmp_path / "w.log", broker_url=server.url, concurrency=1) as worker:
        for number in range(3):
            # It wakes up to an answer that there was nothing, looks for a job, finds one, and only
            # then finds that its connections are gone.
            worker.kill(signal.SIGSTOP)
            nobody_waits = lambda: not server.client.info("clients")["blocked_clients"]  # noqa: E731 (one line)
            wait_for(nobody_waits, "the end of its wait")
            job = send(server.url, "tests.log_only", mark=f"mark-{number}.")
            for kind in ("normal", "pubsub"):
                server.client.execute_command("CLIENT", "KILL", "TYPE", kind)  # type: ignore[no-untyped-call] # redis-py's
            worker.kill(signal.SIGCONT)
            wait_for(lambda: state_of(server, job) == "SUCCESS", f"job {job}")  # noqa: B023 (called at once)
            wait_for(lambda: not server.client.exists("unacked", "default"), "acknowledgements")
        assert not server.client.exists("deaths")


def test_a_result_is_there_while_the_next_job_of_its_batch_runs(
    server: Valkey, tmp_path: Path
) -> None:
    first = send(server.url, "tests.add", first=1, second=2)
    file = tmp_path / "job"
    send(server.url, "tests.wait_for_file", ignore_result=True, file=str(file))
    with start_worker(tmp_path / "w.log", broker_url=server.url, pool="solo", multiplier=4):
        wait_for(file.exists, "the second job's start")
        assert state_of(server, first) == "SUCCESS"
        assert server.client.hlen("unacked") == 2
        file.with_name("job.go").touch()
        wait_for(lambda: not server.client.exists("unacked"), "acknowledgements")


def test_a_claim_brings_several_jobs_where_enough_wait_here_and_acknowledgements_do_not_wait(
    server: Valkey, tmp_path: Path
) -> None:
    files = [tmp_path / f"job-{number}" for number in range(6)]
    for file in files:
        send(server.url, "tests.wait_for_file", file=str(file))
    with start_worker(
        tmp_path / "w.log", broker_url=server.url, concurrency=1, multiplier=4
    ) as worker:
        wait_for(files[0].exists, "the first job's start")
        wait_for(lambda: server.client.llen("default") == 2, "a claim of four")
        files[0].with_name("job-0.go").touch()
        wait_for(files[1].exists, "the second job's start")
        wait_for(lambda: server.client.hlen("unacked") == 3, "an acknowledgement by itself")
        assert server.client.llen("default") == 2
        files[1].with_name("job-1.go").touch()
        wait_for(lambda: server.client.llen("default") == 0, "a claim of two")
        for file in files:
            file.with_name(f"{file.name}.go").touch()
        wait_for(lambda: not server.client.exists("unacked"), "the end of all")
        assert [file.read_text() for file in files] == ["ran\n"] * 6
        assert worker.process.poll() is None


def test_a_worker_goes_on_after_its_server_was_restarted(
    server: Valkey, own_worker: Program, tmp_path: Path
) -> None:
    run_one(server.url, 1, own_worker)
    server.stop()
    with Valkey(tmp_path, port=server.port, options=KEEPS):
        run_one(server.url, 2, own_worker)


def test_inspect_and_control_are_answered(server: Valkey, own_worker: Program) -> None:
    own_worker.check_alive()
    for command in (("inspect", "active"), ("control", "enable_events")):
        done = subprocess.run(
            [sys.executable, "-m", "celery", "-A", "tasks", *command, "--timeout", "3"],
            env={"BROKER_URL": server.url, "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1 node online" in done.stdout or "OK" in done.stdout


def test_an_acl_user_works_and_its_password_shows_nowhere(server: Valkey, tmp_path: Path) -> None:
    secret = "hidden-password"  # noqa: S105 (of a server that lives for one test)
    server.client.execute_command(  # type: ignore[no-untyped-call] # redis-py's
        *("ACL", "SETUSER", "lane", "on", f">{secret}", "~*", "&*", "+@all", "-@admin")
    )
    url = server.url.replace("redis://", f"redis://lane:{secret}@")
    with start_worker(tmp_path / "acl.log", broker_url=url) as worker:
        run_one(server.url, 1, worker)
        assert secret not in worker.output()
