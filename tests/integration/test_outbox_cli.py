"""`celery -A tasks outbox ...` in a terminal, and the relay as a process."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from tasks import outbox
from tasks.celery import app
from tasks.cli_outbox import outbox as command
from tasks.outbox import database, operating, rows
from tests.integration.outbox_fixtures import engine, postgres, queued, url
from tests.support.programs import Program
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

__all__ = ["engine", "postgres", "url"]


@pytest.fixture
def queue() -> str:
    return f"cli-{uuid4()}"


@pytest.fixture(scope="module")
def relay(
    engine: Engine, url: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    assert engine.dialect.name in url
    argv = ["celery", "-A", "tests.support.outbox_jobs", "outbox", "relay"]
    env = {"OUTBOX_TEST_URL": url, "DATABASE_URL": url, "BROKER_URL": valkey.url}
    log = tmp_path_factory.mktemp("relay") / "relay.log"
    with Program.python(*argv, log=log, env=env) as program:
        yield program.wait_until_printed("looks twice a second")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, obj=SimpleNamespace(app=app))


def insert(queue: str) -> str:
    new = outbox.new_row("outbox.book", queue=queue)
    with database.engine().begin() as connection:
        connection.execute(outbox.OutboxRow.__table__.insert().values(**new))  # type: ignore[attr-defined] # a table
    return new["id"]


def test_the_relay_publishes_what_was_missed_and_ends_when_told(
    relay: Program, valkey: Valkey, queue: str
) -> None:
    job_id = insert(queue)
    wait_for(lambda: queued(valkey, queue) == [job_id], "it published", doing=relay.check_alive)
    valkey.client.delete(queue)
    assert relay.stop() == 0


def test_rows_can_be_counted_listed_shown_and_published_again(
    engine: Engine, valkey: Valkey, queue: str
) -> None:
    job_id = insert(queue)
    assert json.loads(run("status", "--json").output)["unfinished"] >= 1
    assert "not finished" in run("status").output
    assert job_id in run("list", "--limit", "1000").output
    assert job_id in {one["id"] for one in json.loads(run("list", "--json").output)}
    assert f"queue         {queue}" in run("show", job_id).output
    assert json.loads(run("show", job_id, "--json").output)["queue"] == queue
    again = json.loads(run("publish-again", job_id, "--json").output)
    assert again == {"job_id": job_id, "published": True}
    assert queued(valkey, queue) == [job_id]
    valkey.client.delete(queue)
    with engine.begin() as connection:
        rows.finish(connection, job_id, rows.COMPLETE, None, None)
    assert (
        CliRunner()
        .invoke(command, ["publish-again", job_id], obj=SimpleNamespace(app=app), input="n\n")
        .exit_code
    )
    assert queued(valkey, queue) == []
    old = ("prune", "--older-than", "0", "--json")
    would = json.loads(run(*old, "--dry-run").output)
    assert operating.find(job_id) is not None
    assert json.loads(run(*old, "--yes").output) == {**would, "dry_run": False}
    assert would["done"] >= 1
    assert operating.find(job_id) is None
    assert run(*old, "--yes").exit_code == 1
    assert run("create-table").exit_code == 0


def test_exit_codes_tell_what_is_the_matter(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("show", "nobody").exit_code == 1
    assert run("publish-again", "nobody", "--yes").exit_code == 1
    assert run("list", "--failed").exit_code == 1
    assert run("prune").exit_code == 2
    with monkeypatch.context() as patched:
        patched.setattr(database._used, "engine", None)
        patched.setattr(database._used, "make", None)
        patched.setattr(app.loader, "import_default_modules", lambda: None)
        assert run("status").exit_code == 78
    assert database.engine() is engine


def test_without_a_database_that_answers_the_exit_code_says_unavailable(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.support.outbox_jobs import make_engine

    absent = make_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    # Whoever makes the engine, and however often: it is this one.
    monkeypatch.setattr(app.loader, "import_default_modules", lambda: None)
    monkeypatch.setattr(database._used, "make", lambda: absent)
    monkeypatch.setattr(database._used, "engine", None)
    assert run("status").exit_code == 69
    assert engine is not absent
