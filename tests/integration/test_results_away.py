"""A worker whose result backend is away for longer than anybody wants to wait."""

from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any
from uuid import uuid4

import pytest
import redis
from celery import Celery
from celery.app.trace import TraceInfo, build_tracer

from tasks import results
from tasks.job import Job
from tests.support.valkey import Valkey


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    with Valkey(tmp_path) as process:
        yield process


@pytest.fixture
def app(server: Valkey) -> Iterator[Celery]:
    made = Celery("away", set_as_current=False)
    made.config_from_object("celeryconfig")
    made.conf.update(result_backend=f"tasks.results:ResultBackend+{server.url}")
    yield made
    made.close()


def run(app: Celery, done: list[str]) -> TraceInfo | None:
    """Run a job as a worker's pool does, and return how it ended."""

    @app.task(name=f"away.work-{uuid4()}", base=Job, bind=True)
    def work(self: Job) -> None:
        done.append(self.job_id)

    request = {
        "id": "a-job",
        "task": work.name,
        "is_eager": False,
        "delivery_info": {"routing_key": "default"},
        "properties": {},
    }
    trace: Any = build_tracer(work.name, app.tasks[work.name], app=app)
    info: TraceInfo | None = trace("a-job", [], {}, request)[1]
    return info


def test_a_job_that_cannot_be_noted_as_begun_goes_back_instead_of_failing(
    app: Celery, server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "AWAY_SECONDS", 1.0)
    server.kill()
    done: list[str] = []
    info = run(app, done)
    assert info is not None
    assert (info.state, info.retval.requeue) == ("REJECTED", True)
    assert done == []


def test_a_worker_waits_for_a_server_that_comes_back(
    app: Celery, server: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Celery's own way gives up after so many tries, whatever the time.
    monkeypatch.setattr(app.backend, "retry_policy", {**app.backend.retry_policy, "max_retries": 1})
    server.kill()
    server.process.wait()
    again: list[Valkey] = []
    timer = Timer(3, lambda: again.append(Valkey(tmp_path, port=server.port)))
    timer.start()
    done: list[str] = []
    try:
        assert run(app, done) is None
        assert done == ["a-job"]
        client = redis.Redis(port=server.port)
        assert b'"SUCCESS"' in (client.get("celery-task-meta-a-job") or b"")
        client.close()
    finally:
        timer.join()
        for new in again:
            new.stop()
