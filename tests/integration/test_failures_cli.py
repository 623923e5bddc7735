"""`celery -A tasks failed ...`: what it prints, does, and answers with its exit code."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import entry_points

import pytest
from celery import Celery
from celery.bin.base import CLIContext
from click.testing import CliRunner, Result

from tasks import failures
from tasks.app import App
from tasks.celery import app
from tasks.cli import failed
from tests.support.failed import QUEUE, fail, failure, keep
from tests.support.programs import ROOT, free_port
from tests.support.valkey import Valkey

pytestmark = pytest.mark.usefixtures("clean_failed_jobs")


def run(*args: str, typed: str = "", on: Celery = app) -> Result:
    context = CLIContext(app=on, no_color=True, workdir=None)
    return CliRunner().invoke(failed, args, obj=context, input=typed)


def broken_off(result: Result) -> list[str]:
    """The words of each line."""
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_list_shows_a_line_for_each_job_the_newest_first() -> None:
    first, second = fail("orders.send", error="Refused"), fail("orders.book", error="NotYet")
    result = run("list")
    assert result.exit_code == 0
    assert broken_off(result) == [
        "JOB TASK QUEUE FAILED TRIES ERROR",
        f"{second} orders.book {QUEUE} just now 1 NotYet: NotYet of orders.book",
        f"{first} orders.send {QUEUE} just now 1 Refused: Refused of orders.send",
        "2 of 2",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--task", "a"), ["three", "one"]),
        (("--queue", "other"), ["two"]),
        (("--error", "Refused"), ["two", "one"]),
        (("--newer-than", "1h"), ["three", "two", "one"]),
        (("--task", "a", "--limit", "1"), ["three"]),
    ],
)
def test_list_takes_filters(options: tuple[str, ...], expected: list[str]) -> None:
    fail("a", job_id="one", error="Refused")
    fail("b", job_id="two", error="Refused", queue="other")
    fail("a", job_id="three", error="NotYet")
    listed = json.loads(run("list", "--json", *options).stdout)["jobs"]
    assert [job["job_id"] for job in listed] == expected


@pytest.mark.parametrize(
    "command",
    [
        ("list",),
        ("list", "--older-than", "1h"),
        ("retry", "--all", "--yes"),
        ("discard", "--task", "never", "--yes"),
        ("clear",),
    ],
)
def test_nothing_that_fits_is_exit_code_1(command: tuple[str, ...]) -> None:
    if "--all" not in command and len(command) > 1:
        fail()
    result = run(*command)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "no failed job fits\n"


@pytest.mark.parametrize("command", ["show", "retry", "discard"])
def test_a_job_that_has_not_failed_is_exit_code_1(command: str) -> None:
    result = run(command, "never-failed")
    assert result.exit_code == 1
    assert "no failed job has the id never-failed" in result.stderr


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("list", "--older-than", "yesterday"), "write 90s, 15m, 2h, 7d or 4w"),
        (("retry",), "say which jobs to retry"),
        (("discard",), "say which jobs to discard"),
        (("discard", "--limit", "3"), "say which jobs to discard"),
        (("retry", "id", "--all"), "not both"),
        (("retry", "id", "--data", "[1]"), "write a JSON object"),
        (("retry", "id", "--data", "{"), "this is no JSON"),
        (("retry", "--all", "--data", "{}"), "--data needs exactly one JOB_ID"),
        (("nonsense",), "No such command"),
    ],
)
def test_what_cannot_be_understood_is_exit_code_2_and_says_what_to_write(
    command: tuple[str, ...], says: str
) -> None:
    result = run(*command)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())


def test_show_tells_all_that_is_known() -> None:
    job_id = fail("orders.send", data={"order": 4}, error="Refused", request_id="click-1")
    lines = broken_off(run("show", job_id))
    for line in (
        f"job {job_id}",
        "task orders.send",
        'data {"order": 4}',
        "attempts 1",
        "request click-1",
        "error Refused: Refused of orders.send",
        "Traceback (most recent call last):",
    ):
        assert line in lines
    shown = json.loads(run("show", job_id, "--json").stdout)
    assert (shown["job_id"], shown["data"], shown["args"]) == (job_id, {"order": 4}, [])


def test_nothing_that_a_job_carries_can_command_the_terminal() -> None:
    evil = "\x1b]0;owned\x07\x9b31m"
    failed_job = failure(evil, error=evil, data={"name": evil})
    details = json.loads(failed_job.details)
    details["traceback"] = f"line one\n{evil}"
    keep(replace(failed_job, details=json.dumps(details)))
    shown = run("list").stdout + run("show", failed_job.job_id).stdout
    assert "owned" in shown
    assert not set(shown) & {"\x1b", "\x07", "\x9b"}


def test_a_named_job_is_retried_without_a_question(valkey: Valkey) -> None:
    job_id = fail()
    result = run("retry", job_id)
    assert (result.exit_code, result.stdout) == (0, "retried 1 job\n")
    assert valkey.client.llen(QUEUE) == 1
    assert failures.count() == 0


def test_of_several_named_jobs_those_that_are_there_are_retried(valkey: Valkey) -> None:
    result = run("retry", fail(), "never-failed", fail())
    assert result.exit_code == 1
    assert result.stdout == "retried 2 jobs; 1 job not there (any more)\n"
    assert valkey.client.llen(QUEUE) == 2


def test_a_job_can_be_retried_with_other_data(valkey: Valkey) -> None:
    job_id = fail(data={"first": 1})
    assert run("retry", job_id, "--data", '{"first": 2}').exit_code == 0
    message = valkey.client.lindex(QUEUE, 0)
    assert isinstance(message, bytes)
    keep(replace(failure(job_id=job_id), message=message))
    assert failures.show(job_id).data == {"first": 2}


@pytest.mark.parametrize(
    ("command", "past", "in_queue"),
    [("retry", "retried", 3), ("discard", "discarded", 0)],
)
def test_many_jobs_are_asked_about_first(
    valkey: Valkey, command: str, past: str, in_queue: int
) -> None:
    for _ in range(3):
        fail("a")
    fail("b")
    no = run(command, "--task", "a", typed="n\n")
    assert (no.exit_code, failures.count()) == (1, 4)
    assert f"{command} 3 jobs?" in no.stderr
    yes = run(command, "--task", "a", typed="y\n")
    assert (yes.exit_code, yes.stdout) == (0, f"{past} 3 jobs\n")
    assert (failures.count(), valkey.client.llen(QUEUE)) == (1, in_queue)


def test_a_dry_run_changes_nothing(valkey: Valkey) -> None:
    job_id = fail()
    for command in (("retry", "--all"), ("discard", "--all"), ("clear",), ("retry", job_id)):
        result = run(*command, "--dry-run")
        assert result.exit_code == 0
        assert result.stdout.splitlines()[-1].startswith("would ")
    assert failures.count() == 1
    assert valkey.client.llen(QUEUE) == 0


def test_clear_discards_everything() -> None:
    for _ in range(3):
        fail()
    result = run("clear", "--yes", "--json")
    assert json.loads(result.stdout) == {
        "action": "discard",
        "dry_run": False,
        "done": 3,
        "gone": 0,
    }
    assert failures.count() == 0


def test_a_limit_takes_the_oldest(valkey: Valkey) -> None:
    made = [fail() for _ in range(3)]
    assert run("retry", "--all", "--limit", "2", "--yes").stdout == "retried 2 jobs\n"
    assert [job.job_id for job in failures.list().jobs] == made[2:]
    assert valkey.client.llen(QUEUE) == 2


def test_a_broker_that_is_away_is_exit_code_69_and_no_secret_is_shown() -> None:
    other = App("away", broker=f"redis://worker:s3cret@127.0.0.1:{free_port()}/0")
    other.conf.update(
        broker_transport="tasks.broker.transport:Transport", broker_connection_timeout=1
    )
    result = run("list", on=other)
    assert result.exit_code == 69
    assert "ask again later" in result.stderr
    assert "s3cret" not in result.output


def test_an_app_without_our_transport_is_told_what_may_be_missing() -> None:
    result = run("list", on=App("stock", broker="redis://127.0.0.1:1/0"))
    assert result.exit_code == 2
    assert "is `-A tasks` missing?" in result.stderr


def test_no_celery_command_pays_for_this_one() -> None:
    load = "import sys, tasks.cli; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", load], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "tasks.cli" in loaded
    heavy = {"redis", "tasks.celery", "tasks.failures", "config.settings", "pydantic"}
    assert heavy & set(loaded) == set()


def test_celery_finds_the_command() -> None:
    if "failed" not in entry_points(group="celery.commands").names:
        pytest.skip("the entry point is not installed yet: run `make setup` again")
    job_id = fail("orders.send")
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", "failed", "list"],
        env={**os.environ},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert job_id in done.stdout
