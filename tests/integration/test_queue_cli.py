"""`celery -A tasks queue ...` and `celery -A tasks schedule ...`: output, effect, exit code."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import click
import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from tasks import pending, queues, scheduler
from tasks.app import App
from tasks.beat.scheduler import Scheduler
from tasks.celery import app
from tasks.cli_queue import queue
from tasks.cli_schedule import schedule
from tasks.states import JobState
from tests.support.failed import an_app
from tests.support.programs import ROOT, free_port
from tests.support.valkey import Valkey

QUEUE, OTHER = "cli-tests", "low"


@pytest.fixture(autouse=True)
def _empty(valkey: Valkey) -> Iterator[None]:
    keys = (QUEUE, f"{QUEUE}.bell", f"{QUEUE}\x06\x166", OTHER, f"{OTHER}.bell")
    more = ("delayed", "delayed.messages", "expresslane-paused", "quarantine", "quarantine.count")
    valkey.client.delete(*keys, *more)
    yield
    valkey.client.delete(*keys, *more)


def run(command: click.Command, *args: str, typed: str = "", on: Celery = app) -> Result:
    context = CLIContext(app=on, no_color=True, workdir=None)
    return CliRunner().invoke(command, args, obj=context, input=typed)


def lines(result: Result) -> list[str]:
    """The words of each line."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def send(number: int = 1, **options: Any) -> str:
    data = {"first": number, "second": 0}
    return str(app.send_task("tests.add", kwargs=data, queue=QUEUE, **options).id)


def waiting(name: str = QUEUE) -> list[str | None]:
    return [job.job_id for job in pending.list(name).jobs]


# -- queues ----------------------------------------------------------------------------------------


def test_list_shows_each_queue_and_flags_one_that_nobody_works_on() -> None:
    send()
    shown = [line for line in lines(run(queue, "list")) if line.startswith((QUEUE, "QUEUE"))]
    assert shown[0] == "QUEUE WAITING OLDEST HELD STATE WORKERS"
    assert shown[1] == f"{QUEUE} 1 0s 0 NOBODY WORKS ON IT"
    found = {one["name"]: one for one in json.loads(run(queue, "list", "--json").stdout)}
    assert found[QUEUE]["length"] == 1
    assert found[QUEUE]["consumers"] == []


def test_a_queue_is_paused_and_resumed() -> None:
    send()
    assert run(queue, "pause", QUEUE).stdout == f"{QUEUE} is paused\n"
    assert run(queue, "pause", QUEUE).stdout == f"{QUEUE} was paused already\n"
    again = json.loads(run(queue, "pause", QUEUE, "--json").stdout)
    assert again == {"queue": QUEUE, "paused": True, "changed": False}
    assert queues.show(QUEUE).is_paused
    assert f"{QUEUE} 1 0s 0 paused" in lines(run(queue, "list"))
    assert run(queue, "resume", QUEUE).stdout == f"{QUEUE} is resumed\n"
    assert run(queue, "resume", QUEUE).stdout == f"{QUEUE} was not paused\n"
    assert not json.loads(run(queue, "resume", QUEUE, "--json").stdout)["changed"]
    assert not queues.show(QUEUE).is_paused


# -- jobs ------------------------------------------------------------------------------------------


def test_jobs_are_listed_in_pages_from_either_end() -> None:
    first, second, third = send(1), send(2), send(3)
    shown = lines(run(queue, "jobs", QUEUE, "--limit", "2"))
    assert shown[0] == "JOB TASK WAITS TRIES PRIORITY DATA"
    assert shown[1] == f'{first} tests.add 0s 0 0 {{"first": 1, "second": 0}}'
    assert shown[2].startswith(second)
    assert shown[3].startswith("2 of 3; the next page: --cursor ")
    cursor = shown[3].rpartition(" ")[2]
    assert lines(run(queue, "jobs", QUEUE, "--cursor", cursor))[1].startswith(third)
    last = json.loads(run(queue, "jobs", QUEUE, "--end", "last", "--json").stdout)
    assert [job["job_id"] for job in last["jobs"]] == [third, second, first]


def test_nothing_that_waits_is_exit_code_1() -> None:
    for command in (("jobs", QUEUE), ("delayed",), ("remove", QUEUE, "--all", "--yes")):
        result = run(queue, *command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("no job waits")


@pytest.mark.parametrize("by", ["id", "ref"])
def test_one_job_is_shown_edited_moved_and_removed(by: str) -> None:
    job_id = send(4)

    def name() -> str:
        return job_id if by == "id" else pending.list(QUEUE).jobs[0].ref

    shown = lines(run(queue, "show", QUEUE, name()))
    assert f"job {job_id}" in shown
    assert 'data {"first": 4, "second": 0}' in shown
    edited = run(queue, "edit", QUEUE, name(), "--data", '{"first": 5}')
    assert edited.stdout == f'{job_id} will run with {{"first": 5}}\n'
    assert dict(pending.find(QUEUE, job_id).data) == {"first": 5}
    edited = run(queue, "edit", QUEUE, name(), "--data", '{"first": 5, "email": "x"}', "--json")
    assert json.loads(edited.stdout)["data"] == {"first": 5, "email": "***"}
    other = send(1)
    assert run(queue, "front", QUEUE, other).stdout == "moved to the front 1 job\n"
    assert waiting() == [other, job_id]
    assert run(queue, "move", QUEUE, job_id, "--to", OTHER).stdout == "moved 1 job\n"
    assert (waiting(), waiting(OTHER)) == ([other], [job_id])
    assert run(queue, "remove", OTHER, job_id).stdout == "removed 1 job\n"
    assert scheduler.status(job_id).state is JobState.CANCELLED


def test_a_job_that_is_gone_is_exit_code_1_and_the_others_are_done() -> None:
    job_id = send()
    result = run(queue, "remove", QUEUE, "never-sent", job_id)
    assert result.exit_code == 1
    assert result.stdout == "removed 1 job; 1 job not there (any more)\n"
    assert "never-sent: it is not among the first" in result.stderr


def test_many_jobs_are_asked_about_first_and_a_dry_run_changes_nothing() -> None:
    sent: list[str | None] = [send(number) for number in range(3)]
    move = ("move", QUEUE, "--all", "--to", OTHER)
    assert run(queue, *move, "--dry-run").stdout == "would move 3 jobs\n"
    no = run(queue, *move, typed="n\n")
    assert no.exit_code == 1
    assert "move 3 jobs?" in no.stderr
    assert (waiting(), waiting(OTHER)) == (sent, [])
    assert run(queue, *move, typed="y\n").stdout == "moved 3 jobs\n"
    assert (waiting(), waiting(OTHER)) == ([], sent)
    answer = json.loads(run(queue, "remove", OTHER, "--all", "--yes", "--json").stdout)
    assert answer == {"action": "remove", "dry_run": False, "done": 3, "gone": 0}


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("move", QUEUE, "--to", OTHER), "say which jobs: JOB ..., or --all"),
        (("remove", QUEUE, "id", "--all"), "say which jobs: JOB ..., or --all"),
        (("move", QUEUE, "--all", "--to", QUEUE), "already"),
        (("edit", QUEUE, "id", "--data", "[1]"), "write a JSON object"),
        (("jobs", QUEUE, "--cursor", "x"), "leads to no page"),
    ],
)
def test_what_cannot_be_understood_is_exit_code_2(command: tuple[str, ...], says: str) -> None:
    result = run(queue, *command)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_a_message_that_is_no_job_is_listed_by_its_reference_and_removed(valkey: Valkey) -> None:
    valkey.client.lpush(QUEUE, b"\x1b[31m garbage token=pa55")
    ref = pending.list(QUEUE).jobs[0].ref
    listed = run(queue, "jobs", QUEUE)
    assert lines(listed)[1].startswith(f"{ref} (no job) - 0 0 JSONDecodeError")
    shown = run(queue, "show", QUEUE, ref)
    assert "garbage" in shown.stdout
    assert "\x1b" not in listed.stdout + shown.stdout
    as_json = run(queue, "show", QUEUE, ref, "--json")
    assert "token=***" in as_json.stdout
    assert "pa55" not in shown.stdout + as_json.stdout
    assert "pa55" in run(queue, "show", QUEUE, ref, "--reveal").stdout
    assert run(queue, "edit", QUEUE, ref, "--data", "{}").exit_code == 2
    assert run(queue, "remove", QUEUE, ref).exit_code == 0
    assert valkey.client.xlen("quarantine") == 1


def test_delayed_jobs_are_listed_run_and_cancelled(valkey: Valkey) -> None:
    sent = [send(number, countdown=3_600) for number in range(3)]
    for number in range(3):
        message = valkey.client.rpop(QUEUE)
        assert isinstance(message, bytes)
        tag = f"lane-{number:032x}.1.0"
        stored = b"[" + message + b',"",' + json.dumps(QUEUE).encode() + b"]"
        valkey.client.hset("delayed.messages", tag, stored)
        valkey.client.zadd("delayed", {tag: 4_000_000_000 + number})
    shown = lines(run(queue, "delayed"))
    assert shown[0] == "JOB TASK QUEUE DUE TRIES DATA"
    assert shown[1].startswith(f"{sent[0]} tests.add {QUEUE} 2096-10-02 07:06:40 0")
    assert shown[4] == "3 of 3"
    assert run(queue, "run-now", sent[1]).stdout == "queued 1 job\n"
    assert waiting() == [sent[1]]
    assert run(queue, "cancel", f"lane-{0:032x}.1.0").stdout == "cancelled 1 job\n"
    assert scheduler.status(sent[0]).state is JobState.CANCELLED
    again = run(queue, "cancel", sent[0])
    assert again.exit_code == 1
    assert "not among the first 10,000 jobs that wait" in again.stderr


# -- the schedule ----------------------------------------------------------------------------------


@pytest.fixture
def scheduled(valkey: Valkey) -> Iterator[App]:
    other = an_app(valkey.url, global_keyprefix="cli-schedule:")
    entry = {
        # What no module of the tests' knows is sent by its name.
        "task": "elsewhere.add",
        "schedule": 30,
        "kwargs": {"first": 1, "second": 2, "token": "pa55"},
        "options": {"ignore_result": True},
    }
    other.conf.beat_schedule = {"adding": entry}
    yield other
    for key in valkey.client.keys("cli-schedule:*"):
        valkey.client.delete(key)


def test_the_schedule_is_listed_and_an_entry_paused_resumed_and_run(scheduled: App) -> None:
    empty = run(schedule, "list", on=scheduled)
    assert (empty.exit_code, empty.stdout) == (1, "")
    assert "no beat is running" in empty.stderr
    beat = Scheduler(scheduled)
    beat.tick()
    listed = lines(run(schedule, "list", on=scheduled))
    assert listed[0] == "ENTRY SCHEDULE TASK LAST RUN NEXT RUN RUNS STATE"
    assert listed[1].startswith("adding every 30 seconds elsewhere.add - 20")
    assert listed[1].endswith("0 ok")
    assert run(schedule, "pause", "adding", on=scheduled).stdout == "adding is paused\n"
    assert lines(run(schedule, "list", on=scheduled))[1].endswith("- - 0 paused")
    assert run(schedule, "resume", "adding", on=scheduled).stdout == "adding is resumed\n"
    assert run(schedule, "run", "adding", on=scheduled).stdout == "adding will run now\n"
    beat.tick()
    found = json.loads(run(schedule, "list", "--json", on=scheduled).stdout)
    assert found["is_running"]
    assert found["entries"][0]["data"] == {"first": 1, "second": 2, "token": "***"}
    assert [entry["total_runs"] for entry in found["entries"]] == [1]
    asked = json.loads(run(schedule, "run", "adding", "--json", on=scheduled).stdout)
    assert (asked["entry"], asked["changed"], asked["is_running"]) == ("adding", True, True)
    paused = json.loads(run(schedule, "pause", "adding", "--json", on=scheduled).stdout)
    assert paused == {"entry": "adding", "paused": True, "changed": True}
    unknown = run(schedule, "run", "addding", on=scheduled)
    assert unknown.exit_code == 1
    assert "no entry 'addding'; there are adding" in unknown.stderr


# -- both ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "args"),
    [(queue, ("list",)), (queue, ("jobs", "q")), (queue, ("delayed",)), (schedule, ("list",))],
)
def test_a_broker_that_is_away_is_exit_code_69(
    command: click.Command, args: tuple[str, ...]
) -> None:
    result = run(command, *args, on=an_app(f"redis://:s3cret@127.0.0.1:{free_port()}/0"))
    assert result.exit_code == 69
    assert "ask again later" in result.stderr
    assert "s3cret" not in result.output


def test_no_celery_command_pays_for_these() -> None:
    load = "import sys, tasks.cli_queue, tasks.cli_schedule; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", load], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    heavy = {"redis", "tasks.celery", "tasks.pending", "tasks.schedule", "config.settings"}
    assert heavy & set(loaded) == set()
