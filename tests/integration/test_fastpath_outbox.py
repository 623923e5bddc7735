"""Jobs of the outbox take the short way as well, and their rows end as ever."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from tasks import outbox, scheduler
from tasks.outbox import operating
from tasks.outbox.publisher import publisher
from tests.integration.fastpath_fixtures import server
from tests.integration.outbox_fixtures import engine
from tests.support import plain_outbox_jobs
from tests.support.outbox_jobs import Booking
from tests.support.two_ways import BOTH, SHORT, Way, all_alike, queue_of, wait_until, working
from tests.support.valkey import Valkey

__all__ = ["engine", "server"]

JOBS = f"tests.support.plain_jobs,{plain_outbox_jobs.__name__}"

THEN = {
    "return": ["short"],
    "fail": ["short"],
    "fail late": ["short"],
    "retry": ["short", "short"],
    "memory": ["short", "short", "celery", "celery"],
    "cancel": [],
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database of the module's own."""
    return f"sqlite:///{tmp_path_factory.mktemp('outbox') / 'outbox.db'}"


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_a_row_ends_alike_by_both_ways(
    server: Valkey, engine: Engine, url: str, tmp_path: Path, pool: str
) -> None:
    found: dict[str, dict[str, Any]] = {}
    for name in BOTH:
        ids = {}
        with Session(engine) as session, session.begin():
            for then in THEN:
                data = {"then": then}
                ids[then] = outbox.schedule(session, "plain.book", data, queue=queue_of(name, pool))
        assert publisher.flush(30)
        scheduler.cancel(ids["cancel"])
        env = {"OUTBOX_TEST_URL": url}
        with working(server, tmp_path, pool, name, env=env, jobs=JOBS) as way:
            wait_until(way.is_idle, "the end of all", way)
        found[name] = {
            then: [way.kept_of(job_id), all_alike(row(job_id)), booked(engine, job_id)]
            for then, job_id in ids.items()
        }
        assert {then: ways_of(way, ids[then]) for then in THEN} == {
            then: ways if name == SHORT else ["celery"] * len(ways) for then, ways in THEN.items()
        }
    for then in THEN:
        assert found["short"][then] == found["celerys"][then], then


def ways_of(way: Way, job_id: str) -> list[str]:
    return [one.decode() for one in way.client.lrange(f"ways-of-{job_id}", 0, -1)]


def row(job_id: str) -> list[object]:
    found = operating.find(job_id)
    assert found is not None
    return [found.outcome, found.attempts, found.result, found.error]


def booked(engine: Engine, job_id: str) -> int:
    with Session(engine) as session:
        return len(session.scalars(select(Booking).where(Booking.job_id == job_id)).all())
