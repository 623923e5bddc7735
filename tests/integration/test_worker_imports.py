"""A worker holds what its jobs need, and not what the rest of the project does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.celery import app
from tests.support.programs import ROOT, Program
from tests.support.valkey import Valkey

QUEUE = "lean"
OTHERS = {
    *("flower", "tornado", "prometheus_client"),
    *("fastapi", "starlette", "uvicorn", "jinja2", "sqlalchemy", "alembic"),
    *("bs4", "soupsieve", "httpx", "httpcore", "aiosmtpd", "checkout_demo"),
}

CONFIG = f"""
from pathlib import Path
exec(Path({str(ROOT / "celeryconfig.py")!r}).read_text())
imports = ("lean",)
"""

LEAN = """
import sys
from tasks.celery import app

@app.task(name="lean.modules")
def modules():
    return sorted({name.partition(".")[0] for name in sys.modules})
"""


def test_a_worker_of_a_users_own_jobs_loads_nothing_that_they_do_not_need(
    valkey: Valkey, tmp_path: Path
) -> None:
    (tmp_path / "celeryconfig.py").write_text(CONFIG)
    (tmp_path / "lean.py").write_text(LEAN)
    argv = ["tasks", "worker", "-Q", QUEUE, "--pool", "solo", "-n", "lean@%h"]
    env = {"BROKER_URL": valkey.url, "PYTHONPATH": str(tmp_path)}
    log = tmp_path / "worker.log"
    with Program.python(*argv, log=log, env=env, cwd=tmp_path) as worker:
        worker.wait_until_printed(" ready.")
        loaded = set(app.send_task("lean.modules", queue=QUEUE).get(timeout=30))
    assert {"tasks", "celery", "lean"} <= loaded
    assert loaded & OTHERS == set()


@pytest.mark.parametrize("command", ["flower", "failed", "quarantine", "outbox", "ready"])
def test_each_command_is_there_in_the_light_way_too(command: str) -> None:
    argv = [sys.executable, "-m", "tasks", command, "--help"]
    done = subprocess.run(
        argv, env=os.environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "Usage:" in done.stdout) == (0, True), done.stderr


def test_help_without_a_command_names_all_of_them() -> None:
    argv = [sys.executable, "-m", "tasks", "--help"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert {"worker", "flower", "failed", "outbox"} <= set(done.stdout.split())
