"""pytest-celery's fixtures, on processes of this machine.

The names are pytest-celery's: a test that asks for `celery_setup` gets the same object as with its
Docker containers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery
from pytest_celery import CeleryTestBackend, CeleryTestBroker, CeleryTestWorker

from tests.cluster.nodes import LocalServer, LocalWorker
from tests.support.programs import free_port
from tests.support.valkey import Valkey


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """One server for both, as `make demo` has it; it keeps its data through a restart."""
    port = free_port()
    server = LocalServer(lambda: Valkey(tmp_path, port=port, options=("--appendonly", "yes")))
    yield server
    server.teardown()


@pytest.fixture
def celery_broker(server: LocalServer) -> CeleryTestBroker:
    """The broker's node."""
    return CeleryTestBroker(server)


@pytest.fixture
def celery_backend(server: LocalServer) -> CeleryTestBackend:
    """The result backend's node."""
    return CeleryTestBackend(server)


@pytest.fixture
def celery_worker(
    tmp_path: Path, server: LocalServer, celery_setup_app: Celery
) -> Iterator[CeleryTestWorker]:
    """One worker's node."""
    node = CeleryTestWorker(
        LocalWorker(tmp_path / "worker.log", server.process.url), celery_setup_app
    )
    yield node
    node.teardown()


@pytest.fixture
def celery_setup_config(server: LocalServer) -> dict[str, str]:
    """The configuration of the test's own app: it speaks to the same queues and results."""
    return {
        "broker_url": server.process.url,
        "result_backend": f"tasks.results:ResultBackend+{server.process.url}",
        "task_default_queue": "default",
        "task_default_exchange": "jobs",
        "task_default_routing_key": "default",
    }
