"""The store on PostgreSQL: its migrations, its transaction, and a table that is locked."""

from collections.abc import Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import OperationalError

from checkout_demo import models
from checkout_demo.checkout import place_order
from checkout_demo.database import Database
from checkout_demo.ledger import EffectState, Shown, entries, record
from checkout_demo.migrate import prepare
from checkout_demo.models import EffectKind
from tasks import outbox
from tasks.outbox import OutboxRow
from tasks.outbox.publisher import publisher
from tests.integration.outbox_fixtures import postgres
from tests.support.postgres import Postgres
from tests.support.store import ADA, item, rows

__all__ = ["postgres"]

BUSY = 0.2


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Iterator[Database]:
    made = Database(postgres.make_database("store"), busy_seconds=BUSY)
    prepare(made)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def unpublished(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody publishes here."""
    monkeypatch.setattr(publisher, "publish", lambda _: None)


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        both: Any = [models.Base.metadata, outbox.metadata]  # its types know of one only
        assert compare_metadata(context, both) == []
        found = {
            index["name"]: index.get("dialect_options", {}).get("postgresql_where")
            for table in ("job_outbox", "order_effect")
            for index in inspect(connection).get_indexes(table)
        }
    assert found["ix_job_outbox_due_at"] == "(finished_at IS NULL)"
    assert "outcome" in str(found["ix_job_outbox_failed_at"])
    assert found["ix_job_outbox_finished_at"] is None
    assert found["ix_order_effect_not_done"] == "(done_at IS NULL)"


def test_an_order_and_its_jobs_are_one_commit(database: Database) -> None:
    order = place_order(database, [item("press-pot")], ADA).order
    with database.reading() as session:
        stored = session.scalars(select(OutboxRow)).all()
    assert {row.id for row in stored} == {effect.job_id for effect in order.effects}
    listed = entries(database, Shown.OPEN, number=order.number)
    assert [entry.state for entry in listed] == [EffectState.WAITING] * 3
    with database.writing() as session:
        record(session, order, EffectKind.SALE, {"sale_id": 1})
    (done,) = [e for e in entries(database, Shown.ALL) if e.effect.kind is EffectKind.SALE]
    assert done.response == {"sale_id": 1}


def test_a_locked_table_is_not_waited_for_for_ever(database: Database) -> None:
    before = rows(database)
    with database.writing() as session:
        session.execute(text('LOCK TABLE "order" IN EXCLUSIVE MODE'))
        with pytest.raises(OperationalError, match="lock timeout"):
            place_order(database, [item("press-pot")], ADA)
    assert rows(database) == before
