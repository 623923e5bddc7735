"""The configuration: every name is one that Celery knows, and nothing secret is in it."""

import json
import os
import subprocess
import sys

from celery.app.defaults import NAMESPACES, flatten

import celeryconfig

KNOWN = {setting[0] for setting in flatten(NAMESPACES)}

_TABLE = """
import json
from tasks.celery import app
print(json.dumps({key: repr(value) for key, value in app.conf.items()}))
"""


def _public_names(module: object) -> set[str]:
    return {name for name in vars(module) if not name.startswith("_")}


def test_every_setting_is_one_that_celery_knows() -> None:
    assert _public_names(celeryconfig) - KNOWN == set()


def test_a_misspelt_setting_would_be_noticed() -> None:
    assert "task_ack_late" not in KNOWN
    assert "task_acks_late" in KNOWN


def test_no_password_is_in_the_configuration() -> None:
    url = "redis://worker:s3cret@127.0.0.1:6379/0"
    shown = subprocess.run(
        [sys.executable, "-c", _TABLE],
        env={**os.environ, "BROKER_URL": url, "RESULT_BACKEND_URL": url},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "broker_url" in json.loads(shown)
    assert "s3cret" not in shown


def test_the_celery_command_shows_no_password_that_it_finds_by_itself() -> None:
    url = "redis://worker:s3cret@127.0.0.1:1/0"
    shown = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tests.unit.show_broker_url", "report"],
        env={**os.environ, "BROKER_URL": url, "RESULT_BACKEND_URL": url},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "in use: redis://127.0.0.1:1/0?" in shown
    assert "s3cret" not in shown


def test_jobs_outlive_their_worker() -> None:
    assert celeryconfig.task_acks_late
    assert celeryconfig.task_reject_on_worker_lost
