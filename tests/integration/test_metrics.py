"""Metrics: that they are right, and that the alerts and the dashboard use no others."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import create_engine

from tasks import queues
from tasks.celery import app
from tasks.metrics import text_of
from tasks.outbox import OutboxRow
from tests.support import jobs
from tests.support.flower import LOGINS, OPERATOR, Flower
from tests.support.programs import ROOT, Program, free_port
from tests.support.requirements import require_programs
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

QUEUE = "metrics-tests"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "expresslane.json"


@pytest.fixture(autouse=True)
def _clean(valkey: Valkey) -> Iterator[None]:
    yield
    valkey.client.delete(QUEUE, f"{QUEUE}.bell", "quarantine", "expresslane-paused")


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(name: str, text: str | None = None, **labels: str) -> float | None:
    found = samples(text_of(app).decode() if text is None else text)
    return found.get((name, frozenset(labels.items())))


@pytest.mark.usefixtures("valkey")
def test_what_waits_is_measured() -> None:
    for _ in range(3):
        jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=QUEUE)
    queues.pause(QUEUE)
    text = text_of(app).decode()
    assert value("expresslane_up", text) == 1
    assert value("expresslane_queue_length", text, queue=QUEUE) == 3
    assert value("expresslane_queue_paused", text, queue=QUEUE) == 1
    assert value("expresslane_queue_consumers", text, queue=QUEUE) == 0
    assert (value("expresslane_queue_oldest_job_age_seconds", text, queue=QUEUE) or 0) > 0


def test_what_ran_is_measured(valkey: Valkey, tmp_path: Path) -> None:
    labels = {"task": "tests.add", "queue": QUEUE}
    before = value("expresslane_jobs_succeeded_total", **labels) or 0
    # Other modules' workers may be on this broker as well.
    others = value("expresslane_workers", state="consuming") or 0
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        valkey.client.lpush(QUEUE, b"no job")
        for _ in range(5):
            jobs.add.apply_async(kwargs={"first": 1, "second": 2}, queue=QUEUE)
        wait_for(
            lambda: value("expresslane_jobs_succeeded_total", **labels) == before + 5, "the count"
        )
        text = text_of(app).decode()
        assert value("expresslane_queue_consumers", text, queue=QUEUE) == 1
        assert value("expresslane_workers", text, state="consuming") == others + 1
        assert value("expresslane_quarantine_messages", text) == 1
        ended = value("expresslane_jobs_claimed_total", text, **labels)
        assert value("expresslane_job_run_seconds_bucket", text, le="+Inf", **labels) == ended
        assert value("expresslane_job_wait_seconds_count", text, **labels) == ended


def test_a_worker_that_was_killed_is_lost_and_one_that_was_stopped_is_not(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.liveness.STALE_SECONDS", 3.0)
    before = value("expresslane_workers", state="lost") or 0
    with start_worker(tmp_path / "stopped.log", broker_url=valkey.url, queues=QUEUE) as worker:
        worker.stop()
    with start_worker(tmp_path / "killed.log", broker_url=valkey.url, queues=QUEUE) as worker:
        wait_for(lambda: value("expresslane_queue_consumers", queue=QUEUE) == 1, "the worker")
        worker.kill(signal.SIGKILL)
        wait_for(lambda: value("expresslane_workers", state="lost") == before + 1, "the loss")


def test_flower_serves_them_behind_its_login_after_its_own(valkey: Valkey, tmp_path: Path) -> None:
    with Flower(tmp_path / "flower.log", valkey, env=LOGINS) as flower:
        flower.wait_until_open()
        with flower.visitor() as stranger, flower.visitor(OPERATOR) as operator:
            assert stranger.get("/metrics").status_code == 401
            answer = operator.get("/metrics")
    assert value("expresslane_up", answer.text) == 1
    assert "flower_events_total" in answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")


def test_without_a_broker_they_say_so_and_nothing_hangs(tmp_path: Path) -> None:
    env = {"BROKER_URL": f"redis://127.0.0.1:{free_port()}/0", "STATE_DIR": str(tmp_path)}
    done = command("metrics", env=env)
    assert done.returncode == 69
    assert value("expresslane_up", done.stdout) == 0


def test_the_terminal_prints_them_and_serves_them(valkey: Valkey, tmp_path: Path) -> None:
    env = {"BROKER_URL": valkey.url}
    assert value("expresslane_up", command("metrics", env=env).stdout) == 1
    port = free_port()
    argv = ("celery", "-A", "tasks", "metrics", "--serve", str(port))
    with Program.python(*argv, log=tmp_path / "serve.log", env=env) as program:
        program.wait_until_listening(port)
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        assert value("expresslane_up", text) == 1
        assert command("metrics", "--serve", str(port), env=env).returncode == 2
        assert program.stop() == 0


def command(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "celery", "-A", "tasks", *arguments],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# -- alerts and dashboard --------------------------------------------------------------------------


def exposed(text: str) -> set[str]:
    """Return the names that a query may use."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return {
        f"{family.name}{suffix}"
        for family in text_string_to_metric_families(text)
        for suffix in suffixes.get(family.type, ("",))
    }


def names_in(queries: str) -> set[str]:
    return set(re.findall(r"\bexpresslane_\w+", queries))


@pytest.fixture(scope="module")
def all_names(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What a live process with an outbox exposes."""
    url = f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'outbox.db'}"
    engine = create_engine(url)
    OutboxRow.metadata.create_all(engine)
    engine.dispose()
    done = command("metrics", env={"BROKER_URL": valkey.url, "DATABASE_URL": url})
    assert done.returncode == 0, done.stderr
    return exposed(done.stdout)


def test_every_metric_of_the_alerts_exists(all_names: set[str]) -> None:
    used = names_in(ALERTS.read_text())
    assert len(used) > 10
    assert used - all_names == set()


def test_the_runbook_says_what_to_do_about_each_alert() -> None:
    runbook = (ROOT / "docs" / "operating.md").read_text()
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert len(alerts) > 10
    assert [
        alert for alert in alerts if f"`{alert.removeprefix('Expresslane')}`" not in runbook
    ] == []


def test_every_metric_of_the_dashboard_exists_and_each_is_on_it(all_names: set[str]) -> None:
    board = json.loads(DASHBOARD.read_text())
    queries = "\n".join(t["expr"] for panel in board["panels"] for t in panel["targets"])
    used = names_in(queries) | names_in(json.dumps(board["templating"]))
    assert used - all_names == set()
    assert all_names - used == set()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_the_rules_and_the_dashboards_queries_are_promql(tmp_path: Path) -> None:
    (promtool,) = require_programs("promtool", package="prometheus")
    board = json.loads(DASHBOARD.read_text())
    queries = [t["expr"] for panel in board["panels"] for t in panel["targets"]]
    rules = [
        {"record": f"panel:{i}", "expr": query.replace("$__rate_interval", "5m")}
        for i, query in enumerate(queries)
    ]
    made = tmp_path / "panels.yml"
    made.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    shutil.copy(ALERTS, tmp_path / "alerts.yml")
    for path in (made, tmp_path / "alerts.yml"):
        done = subprocess.run(
            [promtool, "check", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert (
        f"{len(rules)} rules found"
        in subprocess.run(
            [promtool, "check", "rules", str(made)], capture_output=True, text=True, check=True
        ).stdout
    )
