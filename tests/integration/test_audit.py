"""Who changed what, from the terminal: each change is noted, and what only looks is not."""

import os
import subprocess
import sys

import pytest

from tasks import audit
from tasks.celery import app
from tasks.scheduler import schedule
from tests.support.failed import QUEUE, fail
from tests.support.programs import ROOT
from tests.support.valkey import Valkey

pytestmark = pytest.mark.usefixtures("clean_failed_jobs")


@pytest.fixture(autouse=True)
def _nothing_noted(valkey: Valkey) -> None:
    valkey.client.delete(audit.KEY)


def run(*arguments: str) -> str:
    """Run a command of `celery -A tasks`, and return what it prints."""
    command = [sys.executable, "-m", "celery", "-A", "tasks", *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    return done.stdout


def noted() -> list[tuple[str, str, int]]:
    """Return what the audit has, the newest first."""
    return [(change.what, change.which, change.count) for change in audit.newest(app)]


def test_what_is_changed_in_a_terminal_is_noted_with_who_did_it() -> None:
    jobs = [fail("a.task") for _ in range(3)]
    run("failed", "retry", jobs[0])
    run("failed", "discard", "--task", "a.task", "--yes")
    assert noted() == [
        ("celery failed discard", "task a.task", 2),
        ("celery failed retry", f"job_ids {jobs[0]}", 1),
    ]
    assert audit.newest(app)[0].who.endswith(", in a terminal")


def test_what_only_looks_or_changes_nothing_is_not_noted() -> None:
    job_id = fail()
    for arguments in (
        ("list",),
        ("show", job_id),
        ("retry", job_id, "--dry-run"),
        ("retry", "nothing"),
    ):
        run("failed", *arguments)
    assert noted() == []


def test_changed_data_are_not_noted() -> None:
    job_id = schedule("tests.add", {"email": "ada@example.com"}, queue=QUEUE)
    shown = run("queue", "show", QUEUE, job_id)
    assert '{"email": "***"}' in shown
    assert "ada@example.com" in run("queue", "show", QUEUE, job_id, "--reveal")
    assert "***" in run("queue", "edit", QUEUE, job_id, "--data", '{"email": "b@example.com"}')
    assert noted() == [("celery queue edit", f"name {QUEUE}, job {job_id}", 1)]
