"""A worker is ready when it consumes, which is more than to answer a ping."""

import os
import signal
from pathlib import Path

import pytest

from tasks import liveness, scheduler
from tasks.celery import app
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "liveness-tests"


def test_a_worker_that_consumes_is_ready_and_one_that_has_stopped_is_not(
    valkey: Valkey, tmp_path: Path
) -> None:
    assert not liveness.is_ready(queue=QUEUE)
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        wait_for(lambda: liveness.is_ready(queue=QUEUE), "a ready worker")
        (worker,) = [one for one in liveness.workers() if QUEUE in one.queues]
        assert liveness.is_ready(worker=worker.name, queue=QUEUE)
        assert not liveness.is_ready(worker="somebody@else")
    assert not liveness.is_ready(queue=QUEUE)


def test_a_worker_whose_main_loop_is_stuck_is_not_ready(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "STALE_SECONDS", 3.0)
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE) as worker:
        wait_for(lambda: liveness.is_ready(queue=QUEUE), "a ready worker")
        os.kill(worker.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: not liveness.is_ready(queue=QUEUE), "the worker to be missed")
        finally:
            os.kill(worker.pid, signal.SIGCONT)
        wait_for(lambda: liveness.is_ready(queue=QUEUE), "the worker to be back")


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_busy_worker_is_ready(valkey: Valkey, tmp_path: Path, pool: str) -> None:
    with start_worker(
        tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, pool=pool, concurrency=1
    ):
        job_id = scheduler.schedule("tests.run_until_cancelled", queue=QUEUE)
        wait_for(lambda: scheduler.status(job_id).progress, "the job to run")
        wait_for(lambda: [w for w in liveness.workers() if QUEUE in w.queues and w.held], "a beat")
        assert liveness.is_ready(queue=QUEUE)
        scheduler.cancel(job_id)


def test_a_worker_that_was_killed_is_missed_soon(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(liveness, "STALE_SECONDS", 3.0)
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE) as worker:
        wait_for(lambda: liveness.is_ready(queue=QUEUE), "a ready worker")
        worker.kill()
        wait_for(lambda: not liveness.is_ready(queue=QUEUE), "the worker to be missed")


def test_a_worker_that_answers_a_ping_and_has_left_its_last_queue_is_not_ready(
    valkey: Valkey, tmp_path: Path
) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        wait_for(lambda: liveness.is_ready(queue=QUEUE), "a ready worker")
        (name,) = [one.name for one in liveness.workers() if QUEUE in one.queues]
        # A command that is sent before the worker listens for commands is nobody's.
        wait_for(lambda: app.control.ping(destination=[name], timeout=1), "an answer to a ping")
        app.control.cancel_consumer(QUEUE, destination=[name], reply=True)
        wait_for(lambda: not liveness.is_ready(worker=name), "it to say so")
        assert app.control.ping(destination=[name], timeout=5) == [{name: {"ok": "pong"}}]
        app.control.add_consumer(QUEUE, destination=[name], reply=True)
        wait_for(lambda: liveness.is_ready(worker=name, queue=QUEUE), "it to be back")
        assert scheduler.schedule("tests.add", {"first": 1, "second": 2}, queue=QUEUE)
        wait_for(lambda: not scheduler.size(QUEUE), "the job to be taken")
