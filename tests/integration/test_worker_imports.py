"""A worker holds what its jobs need, and not what the rest of the project does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.celery import app
from tests.support.programs import ROOT, Program
from tests.support.valkey import Valkey

QUEUE = "lean"
OTHERS = {
    *("flower", "tornado", "prometheus_client"),
    *("fastapi", "starlette", "uvicorn", "jinja2", "sqlalchemy", "alembic"),
    *("bs4", "soupsieve", "httpx", "httpcore", "aiosmtpd", "checkout_demo"),
    *("pydantic", "pydantic_core", "pydantic_settings", "dotenv"),
    *("rich", "pygments", "click_repl", "prompt_toolkit", "wcwidth"),
    *("opentelemetry", "psutil", "yaml", "sqlite3", "xml", "http", "html", "unittest", "pdb"),
}
INSTALLED = ["click_repl", "pygments", "rich", "opentelemetry", "psutil", "yaml"]
"""Of those, what is left out at the start for the libraries alone that would have loaded it."""

CONFIG = f"""
from pathlib import Path
exec(Path({str(ROOT / "celeryconfig.py")!r}).read_text())
imports = ("lean",)
"""

LEAN = """
import gc, importlib, sys
from tasks.celery import app

@app.task(name="lean.modules")
def modules():
    return sorted({name.partition(".")[0] for name in sys.modules})

@app.task(name="lean.load")
def load(names):
    return [bool(importlib.import_module(name).__spec__) for name in names]

@app.task(name="lean.frozen")
def frozen():
    return gc.get_freeze_count()
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lean")
    (made / "celeryconfig.py").write_text(CONFIG)
    (made / "lean.py").write_text(LEAN)
    return made


@pytest.fixture(scope="module", params=["solo", "prefork"])
def worker(request: pytest.FixtureRequest, valkey: Valkey, directory: Path) -> Iterator[None]:
    argv = ["tasks", "worker", "-Q", QUEUE, "--pool", request.param, "-c", "1", "-n", "lean@%h"]
    env = {"BROKER_URL": valkey.url, "PYTHONPATH": str(directory)}
    with Program.python(
        *argv, log=directory / f"{request.param}.log", env=env, cwd=directory
    ) as running:
        running.wait_until_printed(" ready.")
        yield


def ran(name: str, *args: object) -> Any:  # noqa: ANN401 (what the job returns)
    return app.send_task(f"lean.{name}", args, queue=QUEUE).get(timeout=30)


@pytest.mark.usefixtures("worker")
def test_a_worker_of_a_users_own_jobs_loads_nothing_that_they_do_not_need() -> None:
    loaded = set(ran("modules"))
    assert {"tasks", "celery", "lean"} <= loaded
    assert loaded & OTHERS == set()
    # A job that does need it has it. (After the look above: it stays in the process.)
    assert ran("load", INSTALLED) == [True] * len(INSTALLED)


@pytest.mark.usefixtures("worker")
def test_what_was_loaded_at_the_start_is_left_out_of_garbage_collection() -> None:
    assert ran("frozen") > 10_000


def test_another_app_can_be_named_in_the_light_way_too() -> None:
    argv = [sys.executable, "-m", "tasks", "-A", "no_such_app", "worker"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "no_such_app" in done.stderr


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
