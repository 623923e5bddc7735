"""`make demo`, used as a stranger would, and broken as a stranger could."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import httpx

from config.settings import ADDRESSES_FILE
from tests.support.demo import Demo, is_running, without_broker
from tests.support.programs import ROOT
from tests.support.waiting import wait_for


def make(target: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a make target to its end."""
    return subprocess.run(
        ["make", "--no-print-directory", target],
        env={**os.environ, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def stock(demo: Demo, sku: str) -> int:
    """Return how many of the product the ERP has."""
    items = httpx.get(f"{demo.erp}/inventory").json()
    return next(int(item["quantity"]) for item in items if item["sku"] == sku)


def first_sku(demo: Demo) -> str:
    """Return the first product of the catalogue."""
    products = httpx.get(f"{demo.store}/api/products").json()
    return str(products[0]["sku"])


def states(demo: Demo, order: dict[str, object]) -> set[str]:
    """Return the states of the order's jobs."""
    jobs = order["jobs"]
    assert isinstance(jobs, list)
    return {
        httpx.get(httpx.URL(demo.store).join(job["status_url"])).json()["status"] for job in jobs
    }


def complete(demo: Demo, order: dict[str, object]) -> None:
    """Wait until the order's three jobs are Complete."""
    wait_for(lambda: states(demo, order) == {"Complete"}, "three Complete jobs")


def test_an_order_has_its_three_effects_once(demo: Demo) -> None:
    sku = first_sku(demo)
    before = stock(demo, sku)
    order = demo.order(sku, quantity=3)
    complete(demo, order)
    assert before - stock(demo, sku) == 3
    sales = httpx.get(f"{demo.erp}/sales").json()
    assert [sale["total"] for sale in sales if sale["order_id"] == order["order_id"]] == [
        order["total"]
    ]
    jobs = order["jobs"]
    assert isinstance(jobs, list)
    mails = httpx.get(f"{demo.store}/api/inbox").json()
    (receipt,) = [mail for mail in mails if jobs[0]["job_id"] in mail["message_id"]]
    assert str(order["total"]) in receipt["html"]


def test_make_demo_order_shows_three_complete_jobs(demo: Demo) -> None:
    done = make("demo-order", demo.env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Complete") == 3


def test_a_worker_started_by_hand_joins_the_demo(demo: Demo) -> None:
    shown = subprocess.run(
        [ROOT / ".venv/bin/celery", "-A", "tasks", "inspect", "ping"],
        env={**os.environ, **demo.env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "pong" in shown


def test_a_killed_worker_is_started_again_and_works(demo: Demo) -> None:
    killed = demo.pid_of("worker")
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: demo.pid_of("worker") != killed, "another worker")
    complete(demo, demo.order(first_sku(demo)))


def test_a_second_demo_in_the_same_directory_is_refused(demo: Demo) -> None:
    done = make("demo", demo.env)
    assert done.returncode != 0
    assert "already runs" in done.stderr
    assert "STATE_DIR=.local2" in done.stderr


def test_demo_clean_is_refused_while_the_demo_runs(demo: Demo) -> None:
    assert "already runs" in make("demo-clean", demo.env).stderr


def test_a_taken_port_is_named_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = make("demo", {**without_broker(), "STATE_DIR": str(tmp_path), "STORE_PORT": port})
    assert done.returncode != 0
    assert f"port {port} (STORE_PORT), which the store needs" in done.stderr
    assert "STORE_PORT=8100" in done.stderr


def test_bad_settings_are_all_reported_before_anything_runs(tmp_path: Path) -> None:
    bad = {"STATE_DIR": str(tmp_path), "STORE_PORT": "many", "DATABASE_URL": "mysql://root:pw@x/y"}
    done = make("demo", {**bad, "BROKER_URL": "amqp://x"})
    assert done.returncode != 0
    assert all(name in done.stderr for name in ("STORE_PORT", "DATABASE_URL", "BROKER_URL"))
    assert "root:pw" not in done.stderr
    assert not (tmp_path / "log").exists()


def test_two_demos_run_side_by_side_and_what_they_did_is_kept_until_it_is_cleaned(
    demo: Demo, tmp_path: Path
) -> None:
    state = tmp_path / "a state directory"
    with Demo(state, tmp_path / "first.log") as second:
        second.wait_until_open()
        order = second.order(first_sku(second))
        complete(second, order)
        pids = [
            second.pid_of(name) for name in ("web", "outbox", "worker", "beat", "flower", "valkey")
        ]
    assert not any(is_running(pid) for pid in pids)
    assert not (state / ADDRESSES_FILE).exists()
    assert httpx.get(f"{demo.store}/readyz").is_success
    with Demo(state, tmp_path / "second.log", second.env) as again:
        again.wait_until_open()
        page = httpx.get(f"{again.store}/orders/{order['order_id']}")
        assert page.is_success
        assert states(again, order) == {"Complete"}
    assert make("demo-clean", again.env).returncode == 0
    assert [path.name for path in state.iterdir()] == ["demo.lock"]
