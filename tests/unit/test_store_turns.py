"""Writers of one process at one SQLite file."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from checkout_demo.database import Database

ADD = text("INSERT INTO line DEFAULT VALUES")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url, busy_seconds=30)
    with database.writing() as session:
        session.execute(text("CREATE TABLE line (number INTEGER PRIMARY KEY)"))
    yield database
    database.close()


@pytest.fixture
def hasty(database: Database, url: str) -> Iterator[Database]:
    """The same file, for writers who wait for a twentieth of a second."""
    assert lines(database) == 0
    hasty = Database(url, busy_seconds=0.05)
    yield hasty
    hasty.close()


def lines(database: Database) -> int:
    with database.reading() as session:
        return int(session.scalar(text("SELECT count(*) FROM line")) or 0)


def busy_timeout(session: Session) -> int:
    return int(session.scalar(text("PRAGMA busy_timeout")) or 0)


def test_many_writers_all_come_to_their_turn(database: Database) -> None:
    def write(_: int) -> None:
        with database.writing() as session:
            session.execute(ADD)

    with ThreadPoolExecutor(20) as threads:
        assert len(list(threads.map(write, range(200)))) == 200
    assert lines(database) == 200


def test_a_writer_that_waits_too_long_is_told_that_the_database_is_locked(hasty: Database) -> None:
    with hasty.writing() as first:
        first.execute(ADD)
        with pytest.raises(OperationalError, match="database is locked"), hasty.writing() as second:
            second.execute(ADD)
        # Nobody who reads has to wait.
        assert lines(hasty) == 0
    with hasty.writing() as third:
        third.execute(ADD)
    assert lines(hasty) == 2


def test_a_statement_that_writes_takes_a_turn_in_any_transaction(hasty: Database) -> None:
    with hasty.engine.begin() as first:
        first.execute(ADD)
        with (
            pytest.raises(OperationalError, match="by a writer of this process"),
            hasty.engine.begin() as second,
        ):
            second.execute(ADD)


def test_the_wait_for_another_process_is_what_is_left(database: Database, hasty: Database) -> None:
    with database.writing() as session:
        assert 0 < busy_timeout(session) <= 30_000
    with hasty.writing() as session:
        assert 0 < busy_timeout(session) <= 50


def test_an_error_ends_the_turn(hasty: Database) -> None:
    with pytest.raises(ZeroDivisionError), hasty.writing() as session:
        session.execute(ADD, {"number": 1 / 0})
    with pytest.raises(OperationalError, match="no such table"), hasty.writing() as session:
        session.execute(text("INSERT INTO nowhere DEFAULT VALUES"))
    with hasty.writing() as session:
        session.execute(ADD)
    assert lines(hasty) == 1
