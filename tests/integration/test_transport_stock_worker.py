"""Stock Celery workers and producers on our server, each taking over from the other."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

_STOCK = """
from pathlib import Path
from celery import Celery
app = Celery("stock", broker={url!r}, backend={url!r})
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={{
        "visibility_timeout": 2, "unacked_restore_interval": 1, "unacked_restore_throttle": 1
    }},
)

@app.task(name="tests.wait_for_file")
def wait_for_file(file):
    with Path(file).open("a") as log:
        log.write("stock ran\\n")
    return "done by stock"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as running:
        yield running


@pytest.fixture
def stock(server: Valkey) -> Iterator[Celery]:
    """An app with Celery's own transport and backend."""
    app = Celery("stock", broker=server.url, backend=server.url, set_as_current=False)
    app.conf.broker_connection_timeout = 1
    yield app
    app.close()


def start_stock_worker(server: Valkey, directory: Path) -> Program:
    """Start `celery worker` with nothing of ours."""
    (directory / "stock_app.py").write_text(_STOCK.format(url=server.url))
    argv = [sys.executable, "-m", "celery", "-A", "stock_app", "worker"]
    argv += ["-Q", "default", "-c", "2", "-l", "INFO", "-n", "stock@%h"]
    program = Program(
        argv, log=directory / "stock.log", cwd=directory, env={"BROKER_URL": server.url}
    )
    return program.wait_until_printed(" ready.")


def send(stock: Celery, file: Path) -> str:
    return str(
        stock.send_task("tests.wait_for_file", kwargs={"file": str(file)}, queue="default").id
    )


def test_a_stock_worker_takes_over_after_a_crash_and_works_off_what_waits(
    server: Valkey, stock: Celery, tmp_path: Path
) -> None:
    files = [tmp_path / f"job-{number}" for number in range(6)]
    with start_worker(tmp_path / "ours.log", broker_url=server.url, env={"LEASE": "60"}) as ours:
        jobs = [send(stock, file) for file in files]
        wait_for(lambda: sum(map(Path.exists, files)) == 2, "two jobs that run")
        ours.kill()
    with start_stock_worker(server, tmp_path) as theirs:
        for file in files:
            file.with_name(f"{file.name}.go").touch()
        for job in jobs:
            wait_for(
                lambda: stock.AsyncResult(job).state == "SUCCESS",  # noqa: B023 (called at once)
                f"job {job}",
                doing=theirs.check_alive,
            )
        wait_for(lambda: not server.client.exists("unacked", "default"), "acknowledgements")
    assert {file.read_text().split("\n")[-2] for file in files} == {"stock ran"}


def test_what_a_stock_producer_sends_to_a_worker_of_ours_is_done(
    server: Valkey, stock: Celery, tmp_path: Path
) -> None:
    file = tmp_path / "job"
    file.with_name("job.go").touch()
    with start_worker(tmp_path / "ours.log", broker_url=server.url):
        result = stock.AsyncResult(send(stock, file))
        wait_for(lambda: result.state == "SUCCESS", "the job")
        assert result.result == "done"
    assert file.read_text() == "ran\n"
