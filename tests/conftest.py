"""What every test may ask for. Nothing here leaves the loopback interface."""

import os
import tempfile
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from config.monitor import MonitorSettings
from tests.support.demo import Demo
from tests.support.programs import Program, free_port
from tests.support.valkey import Valkey
from tests.support.worker import start_worker

_PORT = free_port()
_STATE = tempfile.TemporaryDirectory(prefix="expresslane-tests-")


def pytest_configure() -> None:
    """Point the settings at the tests' own server before anything reads them.

    The apps read their settings once, when they are imported, and the machine's own environment
    must not reach a test.
    """
    names = {
        *(field.name for field in fields(MonitorSettings)),
        "flower_address",
        "database_url",
        "erp_url",
        "store_url",
        "checkout_mode",
    }
    for name in {*names, "store_port", "erp_port", "smtp_port", "flower_port"}:
        os.environ.pop(name.upper(), None)
    # A proxy of the machine's would be asked for the loopback addresses as well.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    os.environ["BROKER_URL"] = f"redis://127.0.0.1:{_PORT}/0"
    os.environ["STATE_DIR"] = _STATE.name


def pytest_unconfigure() -> None:
    """Remove what the tests have kept on disk."""
    _STATE.cleanup()


@pytest.fixture(scope="session")
def state_dir() -> Path:
    """The directory that `STATE_DIR` names during the tests."""
    return Path(_STATE.name)


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """One real Valkey server for the whole run, at the address that the settings name."""
    with Valkey(tmp_path_factory.mktemp("valkey"), port=_PORT) as server:
        yield server


@pytest.fixture(scope="session")
def worker(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One real worker process for the whole run, on the queue `default`."""
    log = tmp_path_factory.mktemp("worker") / "worker.log"
    with start_worker(log, broker_url=valkey.url) as program:
        yield program


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """One whole demo for the whole run, started as a user does: `make demo`."""
    directory = tmp_path_factory.mktemp("demo")
    with Demo(directory / "state", directory / "demo.log") as running:
        yield running.wait_until_open()


@pytest.fixture
def clean_failed_jobs(valkey: Valkey) -> Iterator[None]:
    """No failed jobs at the start, and not one key of theirs at the end."""
    from tasks import failures
    from tests.support.failed import QUEUE

    dropped = "expresslane-failed-dropped"
    failures.clear()
    valkey.client.delete(QUEUE, dropped)
    yield
    failures.clear()
    valkey.client.delete(QUEUE, f"{QUEUE}.bell", dropped)
    assert valkey.client.keys("expresslane-failed*") == []
