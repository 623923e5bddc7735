"""The store as its tests start it: a real process on a real Valkey, and with it all that it needs.

Each module imports the fixtures it wants. The store's jobs live in a database of the server that
no other worker of the run looks into.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.integration.sandboxes import ErpProcess, MailProcess
from tests.support.programs import free_port
from tests.support.store import StoreProcess, rows
from tests.support.valkey import Valkey
from tests.support.worker import start_worker


@pytest.fixture(scope="module")
def store(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store without a worker: its jobs wait."""
    env = {"BROKER_URL": _database(valkey, 1)}
    with StoreProcess(tmp_path_factory.mktemp("store"), env) as process:
        yield process


@pytest.fixture
def http(store: StoreProcess) -> Iterator[httpx.Client]:
    """A program that speaks to the store."""
    with store.client() as client:
        yield client


@pytest.fixture
def browser(store: StoreProcess) -> Iterator[httpx.Client]:
    """A browser without JavaScript: it wants HTML and keeps cookies."""
    with store.client(Accept="text/html", Origin=store.url) as client:
        yield client


@pytest.fixture
def untouched(store: StoreProcess) -> Iterator[None]:
    """Check that a test has stored nothing."""
    before = rows(store.database)
    yield
    assert rows(store.database) == before


@dataclass(frozen=True)
class Shop:
    """A store and everything behind it."""

    store: StoreProcess
    erp: ErpProcess
    mail: MailProcess


@pytest.fixture(scope="module")
def shop(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A store with its worker, an ERP service and a mail server, all real processes."""
    directory = tmp_path_factory.mktemp("shop")
    with ErpProcess(directory) as erp, MailProcess(directory) as mail:
        env = {
            "BROKER_URL": _database(valkey, 2),
            **_addresses(directory, erp, mail),
            "FETCH_PRIVATE_ADDRESSES": "true",
        }
        with (
            StoreProcess(directory, env) as process,
            start_worker(directory / "worker.log", broker_url=env["BROKER_URL"], env=env),
        ):
            yield Shop(process, erp, mail)


@pytest.fixture(scope="module")
def inline_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A store that does everything inside the request, without any broker."""
    directory = tmp_path_factory.mktemp("inline")
    with ErpProcess(directory) as erp, MailProcess(directory) as mail:
        env = {
            "BROKER_URL": nobody_there(),
            "CHECKOUT_MODE": "inline",
            **_addresses(directory, erp, mail),
        }
        with StoreProcess(directory, env) as process:
            yield Shop(process, erp, mail)


def faults(answer: httpx.Response) -> dict[str, str]:
    """Return the faults that an answer names, by their fields."""
    return {fault["field"]: fault["message"] for fault in answer.json()["detail"]}


def nobody_there() -> str:
    """Return the address of a broker that is not there."""
    return f"redis://127.0.0.1:{free_port()}/0"


def _database(valkey: Valkey, number: int) -> str:
    return f"{valkey.url.rpartition('/')[0]}/{number}"


def _addresses(directory: Path, erp: ErpProcess, mail: MailProcess) -> dict[str, str]:
    return {
        "STATE_DIR": str(directory),
        "ERP_URL": erp.url,
        "SMTP_URL": f"smtp://{mail.address.host}:{mail.address.port}",
    }
