import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Table, inspect, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex

from checkout_demo import models
from checkout_demo.catalogue import CATALOGUE, in_stock, seed
from checkout_demo.database import Database
from checkout_demo.migrate import prepare, upgrade
from tasks import outbox
from tests.support.programs import ROOT, Program
from tests.support.store import store_in
from tests.support.waiting import PATIENCE


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with store_in(tmp_path) as prepared:
        yield prepared


def test_models_and_migrations_agree(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        both: Any = [models.Base.metadata, outbox.metadata]  # its types know of one only
        assert compare_metadata(context, both) == []


@pytest.mark.parametrize("table", [outbox.OutboxRow.__table__, models.OrderEffect.__table__])
def test_the_migrated_table_is_as_sqlalchemy_would_make_it(
    database: Database, table: Table
) -> None:
    """What Alembic's comparison passes over: checks, and the condition of a partial index."""
    with database.engine.connect() as connection:
        found = set(
            connection.scalars(
                text("SELECT sql FROM sqlite_master WHERE tbl_name = :table AND type = 'index'"),
                {"table": table.name},
            )
        ) - {None}
        checks = inspect(connection).get_check_constraints(table.name)
    wanted = {str(CreateIndex(index).compile(dialect=sqlite.dialect())) for index in table.indexes}
    assert {_squeezed(sql) for sql in found} == {_squeezed(sql) for sql in wanted}
    assert {check["name"] for check in checks} == {
        str(each.name) for each in table.constraints if isinstance(each, CheckConstraint)
    }


def test_every_migration_can_be_taken_back(database: Database) -> None:
    config = Config(ROOT / "checkout_demo" / "alembic.ini")
    config.attributes["database"] = database
    command.downgrade(config, "base")
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    upgrade(database)
    assert "order" in inspect(database.engine).get_table_names()


def test_preparing_twice_changes_nothing(database: Database) -> None:
    prepare(database)
    with database.reading() as session:
        assert [product.sku for product in in_stock(session)] == [p.sku for p in CATALOGUE]


def test_two_programs_may_prepare_at_once(tmp_path: Path) -> None:
    env = {"DATABASE_URL": f"sqlite:///{tmp_path / 'deep' / 'down' / 'store.db'}"}
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    programs = [Program.python("checkout_demo.migrate", log=log, env=env) for log in logs]
    codes = [program.process.wait(PATIENCE) for program in programs]
    assert codes == [0, 0], "\n".join(program.output() for program in programs)


def test_the_catalogue_file_is_the_truth(database: Database) -> None:
    with database.writing() as session:
        session.execute(text("UPDATE product SET name = 'Old name', price = 1"))
    seed(database)
    with database.reading() as session:
        found = {p.sku: (p.name, p.price) for p in in_stock(session)}
    assert found == {p.sku: (p.name, p.price) for p in CATALOGUE}


def test_every_product_has_its_picture() -> None:
    pictures = [ROOT / "checkout_demo" / "static" / product.picture for product in CATALOGUE]
    assert [picture for picture in pictures if not picture.is_file()] == []
    assert len({product.sku for product in CATALOGUE}) == len(CATALOGUE) == 12


def test_sqlite_keeps_money_as_whole_cents(database: Database) -> None:
    with database.reading() as session:
        kinds = session.scalars(text("SELECT DISTINCT typeof(price) FROM product")).all()
    assert kinds == ["integer"]


def test_sqlite_is_durable_and_checks_foreign_keys(database: Database) -> None:
    with database.reading() as session:
        found = [
            session.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    full = 2
    assert found == ["wal", full, 1, 5000]


def test_a_line_needs_its_order(database: Database) -> None:
    orphan = models.OrderEffect(order_id="none", kind=models.EffectKind.SALE, job_id="1")
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(orphan)


def test_writers_queue_instead_of_failing(database: Database) -> None:
    """Both read before they write: with a late lock, the second would fail at once."""
    both_began = threading.Barrier(2, timeout=30)
    errors: list[Exception] = []

    def write(sku: str) -> None:
        both_began.wait()
        try:
            with database.writing() as session:
                product = session.scalars(select(models.Product).where(models.Product.sku == sku))
                product.one().description += "!"
        except Exception as error:  # noqa: BLE001 (told below)
            errors.append(error)

    threads = [threading.Thread(target=write, args=(p.sku,)) for p in CATALOGUE[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_moments_are_utc_whatever_the_zone_they_came_in() -> None:
    utc, dialect = models.Utc(), sqlite.dialect()
    noon = datetime(2026, 11, 23, 12, tzinfo=timezone(timedelta(hours=2)))
    stored = utc.process_bind_param(noon, dialect)
    assert stored == datetime(2026, 11, 23, 10, tzinfo=UTC)
    assert utc.process_result_value(stored.replace(tzinfo=None), dialect) == noon
    with pytest.raises(ValueError, match="no time zone"):
        utc.process_bind_param(noon.replace(tzinfo=None), dialect)


def _squeezed(sql: str) -> str:
    return " ".join(sql.replace('"', "").split())
