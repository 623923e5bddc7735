"""Databases with an outbox: SQLite in a file, and a PostgreSQL server for the module."""

import json
from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy import Engine

from tasks import outbox
from tasks.celery import app
from tasks.outbox import database
from tasks.outbox.publisher import publisher
from tests.support.outbox_jobs import Base, make_engine
from tests.support.postgres import Postgres
from tests.support.valkey import Valkey

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One PostgreSQL server for the whole run."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module", params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database of each kind, empty at the module's start."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'outbox.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.make_database(f"outbox-{uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def engine(url: str, valkey: Valkey) -> Iterator[Engine]:  # noqa: ARG001 (jobs are published there)
    """The engine that this process uses for its outbox; its tables are there."""
    # The store's jobs name another database when they are loaded: before, and not later.
    app.loader.import_default_modules()
    made = make_engine(url)
    outbox.metadata.create_all(made)
    Base.metadata.create_all(made)
    outbox.use(lambda: made)
    yield made
    assert publisher.flush(10)
    database._used.make = database._used.engine = None
    made.dispose()


def queued(valkey: Valkey, queue: str) -> list[str]:
    """Return the ids of the jobs in a queue, the oldest first."""
    messages = valkey.client.lrange(queue, 0, -1)
    return [json.loads(message)["headers"]["id"] for message in reversed(messages)]
