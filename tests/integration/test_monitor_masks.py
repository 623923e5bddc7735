"""What must be hidden is read nowhere: a real job tells it in every way, a real Flower looks."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any, Self

import pytest
from celery.events import EventReceiver

from tasks.celery import app
from tasks.scheduler import status
from tests.support.flower import LOGINS, OPERATOR, Flower
from tests.support.programs import Program
from tests.support.telltale import SECRETS, TELLTALES
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "telltale"


class Eavesdropper:
    """Somebody who hears all events."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self._receiver: EventReceiver | None = None
        self._thread = Thread(target=self._hear)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_for(lambda: any(event["type"] == "worker-heartbeat" for event in self.heard), "events")
        return self

    def __exit__(self, *_: object) -> None:
        if self._receiver is not None:
            self._receiver.should_stop = True
        self._thread.join()

    def _hear(self) -> None:
        with app.connection_for_read() as connection:
            hear = {"*": self.heard.append}
            self._receiver = EventReceiver(connection, handlers=hear, app=app)
            self._receiver.capture(limit=None, timeout=None, wakeup=False)

    def events_of(self, job_id: str) -> list[dict[str, Any]]:
        """Return the events of a job."""
        return [event for event in self.heard if event.get("uuid") == job_id]


@pytest.fixture(scope="module")
def worker_log(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A worker for the jobs that tell, with all that it logs."""
    log = tmp_path_factory.mktemp("telltale") / "telltale.log"
    with start_worker(
        log,
        broker_url=valkey.url,
        queues=QUEUE,
        jobs="tests.support.telltale",
        env={"LOG_LEVEL": "DEBUG"},
    ) as program:
        yield program


def tells(text: str) -> list[str]:
    """Return what can be read there and should not."""
    return [secret for secret in TELLTALES if secret in text]


def test_secrets_are_read_nowhere(valkey: Valkey, worker_log: Program, tmp_path: Path) -> None:
    log = tmp_path / "flower.log"
    with Flower(log, valkey, env=LOGINS) as flower, Eavesdropper() as heard:
        flower.wait_until_open()
        with flower.visitor(OPERATOR) as caller:
            wait_for(lambda: caller.get("/api/workers").json(), "Flower to hear of the worker")
            jobs = {
                "good": send("telltale.tell", fails=False, **SECRETS),
                "bad": send("telltale.tell", fails=True, **SECRETS),
                "placed": str(
                    app.send_task(
                        "telltale.tell_by_place",
                        args=(SECRETS["email"], SECRETS["api_token"]),
                        queue=QUEUE,
                    ).id
                ),
            }
            for job_id in jobs.values():
                wait_for(lambda: status(job_id).state.is_final, "the job's end")  # noqa: B023 (called at once)
                ends = {"task-succeeded", "task-failed"}
                wait_for(
                    lambda: ends & {event["type"] for event in heard.events_of(job_id)},  # noqa: B023 (likewise)
                    "the event of its end",
                )
                assert tells(repr(heard.events_of(job_id))) == []
                knows = lambda: caller.get(f"/api/task/info/{job_id}").status_code == 200  # noqa: E731, B023 (likewise)
                wait_for(knows, "Flower to know the job")
            for path in pages(jobs):
                answer = caller.get(path)
                assert (path, answer.status_code, tells(answer.text)) == (path, 200, [])
            assert "***" in caller.get(f"/job/{jobs['bad']}").text
            revealed = caller.submit(f"/job/{jobs['bad']}/reveal").text
            assert set(tells(revealed)) == set(TELLTALES)
        assert tells(flower.output()) == []
    # The job itself got them all, and the log tells of it.
    assert status(jobs["good"]).data == SECRETS
    assert "data of ***@example.com" in worker_log.output()
    assert "Refused" in worker_log.output()
    assert tells(worker_log.output()) == []


def pages(jobs: dict[str, str]) -> list[str]:
    """Return the pages, of Flower and of ours, that tell of these jobs."""
    found = ["/tasks", "/failed", "/api/tasks", "/metrics", "/pending", datatable()]
    for job_id in jobs.values():
        found += [f"/task/{job_id}", f"/api/task/info/{job_id}", f"/job/{job_id}"]
        found += [f"/api/task/result/{job_id}"]
    return found


def datatable() -> str:
    """Return what Flower's own list of tasks asks for."""
    order = "order[0][column]=0&order[0][dir]=desc&columns[0][data]=received"
    return f"/tasks/datatable?draw=1&start=0&length=100&search[value]=&{order}"


def send(task: str, **data: Any) -> str:
    """Send a job whose code the sender does not know."""
    return str(app.send_task(task, kwargs=data, queue=QUEUE).id)


@pytest.mark.usefixtures("worker_log")
def test_what_a_worker_tells_of_its_jobs_is_masked(tmp_path: Path) -> None:
    running, go_on = tmp_path / "running", tmp_path / "go-on"
    try:
        send("telltale.hold", running=str(running), go_on=str(go_on), **SECRETS)
        wait_for(running.exists, "the job to run")
        answers = app.control.inspect(timeout=2).active()
    finally:
        go_on.touch()
    told = json.dumps(answers)
    assert "telltale.hold" in told
    assert re.search(r"'email': '\*\*\*'", told)
    assert tells(told) == []
