"""One job's timeline and its log lines, wherever it ran."""

import json
from pathlib import Path
from typing import Any

import pytest
from celery import Task
from celery.bin.base import CLIContext
from click.testing import CliRunner

from tasks.celery import app
from tasks.cli_monitoring import job
from tasks.timeline import Timeline, timeline_of
from tests.support import jobs
from tests.support.flower import Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "timeline-tests"


def send(task: "Task[..., Any]", **data: object) -> str:
    return str(task.apply_async(kwargs=data, queue=QUEUE).id)


def found(job_id: str) -> Timeline:
    timeline = timeline_of(app, job_id)
    assert timeline is not None
    return timeline


def texts(job_id: str) -> list[str]:
    return [step.text.partition(", at ")[0] for step in found(job_id).steps()]


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_every_attempt_tells_its_times_its_error_and_its_lines(
    valkey: Valkey, tmp_path: Path, pool: str
) -> None:
    waiting = send(jobs.log_and_start_another, mark="token=abc123 of ada@example.com")
    assert texts(waiting) == ["sent"]
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, pool=pool):
        wait_for(lambda: texts(waiting)[-1] == "finished", "the job")
        wait_for(lambda: len(found(waiting).lines) == 2, "its lines")
    # The next attempt is sent, and may be claimed, before this one's end is recorded.
    assert sorted(texts(waiting)) == sorted(
        [
            *("sent", "claimed by a worker", "started, attempt 1"),
            "failed, to be tried again: MayPass: once",
            *("sent for attempt 2", "claimed by a worker", "started, attempt 2", "finished"),
        ]
    )
    for one in found(waiting).attempts:
        times = [one.queued_at, one.claimed_at, one.started_at, one.ended_at]
        known = [time for time in times if time is not None]
        assert len(known) == 4
        assert known == sorted(known)
    line = found(waiting).lines[0]
    assert (line.level, line.logger) == ("INFO", "tests.support.jobs")
    assert line.text == "parent token=*** of ***@example.com"


def test_only_the_last_lines_are_kept_and_none_if_so_set(valkey: Valkey, tmp_path: Path) -> None:
    for most, expected in (("1", 1), ("0", 0)):
        job_id = send(jobs.log_and_start_another, mark="x")
        with start_worker(
            tmp_path / f"{most}.log",
            broker_url=valkey.url,
            queues=QUEUE,
            env={"JOB_LOG_LINES": most},
        ):
            wait_for(lambda: texts(job_id)[-1] == "finished", "the job")  # noqa: B023 (called at once)
        assert len(found(job_id).lines) == expected


def test_the_page_and_the_terminal_show_it(valkey: Valkey, tmp_path: Path) -> None:
    job_id = send(jobs.add, first="x", second=1)
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        wait_for(lambda: texts(job_id)[-1].startswith("failed for good: TypeError"), "the job")
    with Flower(tmp_path / "f.log", valkey) as flower, flower.wait_until_open().visitor() as caller:
        page = caller.see(f"/job/{job_id}")
    assert "Timeline" in page
    assert "claimed by a worker" in page
    code, output = run("show", job_id)
    assert code == 0
    assert "failed for good: TypeError" in output
    steps = json.loads(run("show", job_id, "--json")[1])["steps"]
    assert steps[0]["text"] == "sent"
    assert json.loads(run("show", job_id, "--json")[1])["state"] == "Failed"
    assert run("show", "nobody")[0] == 1


def test_the_terminal_tells_where_a_job_waits(valkey: Valkey) -> None:
    valkey.client.delete(QUEUE)
    job_id = send(jobs.add, first=1, second=1)
    assert run("show", job_id)[1].startswith(f"Waiting, in the queue {QUEUE}\n")
    told = json.loads(run("show", job_id, "--json")[1])
    assert (told["state"], told["place"]["where"]) == ("Waiting", "queued")
    assert told["place"]["data"] == {"first": 1, "second": 1}
    valkey.client.delete(QUEUE)


def run(*arguments: str) -> tuple[int, str]:
    context = CLIContext(app=app, no_color=True, workdir=None)
    result = CliRunner().invoke(job, arguments, obj=context)
    return result.exit_code, result.output


@pytest.mark.usefixtures("valkey")
def test_an_attempt_that_is_recorded_after_the_next_has_begun_keeps_its_error() -> None:
    from celery.app.task import Context

    from tasks.scheduler import backend

    first, second = (Context(retries=number, hostname="w@h") for number in (0, 1))
    backend().store_result("overtaken", None, "STARTED", request=first)
    backend().store_result("overtaken", None, "STARTED", request=second)
    backend().store_result("overtaken", ValueError("late"), "RETRY", request=first)
    before, last = found("overtaken").attempts
    assert (before.number, before.state, before.error) == (1, "RETRY", "ValueError: late")
    assert before.ended_at is not None
    assert (last.number, last.state) == (2, "STARTED")


@pytest.mark.usefixtures("valkey")
def test_a_job_of_many_attempts_keeps_a_bounded_timeline() -> None:
    from celery.app.task import Context

    from tasks.scheduler import backend

    for attempt in range(60):
        request = Context(retries=attempt, enqueued_at=1.0, claimed_at=2.0, hostname="w@h")
        backend().store_result("many", None, "STARTED", request=request)
        backend().store_result("many", ValueError("x" * 5_000), "RETRY", request=request)
    timeline = found("many")
    assert len(timeline.attempts) == 21
    assert timeline.attempts[-1].number == 60
    assert len(timeline.attempts[-1].error) == 300
