"""Brokers that go away and come back, a Flower that does, and several brokers in one Flower."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.broker.access import server_of
from tasks.failed.store import FailedStore
from tasks.failures import FailedJobs
from tests.support.failed import MANY, an_app, failure
from tests.support.flower import Caller, Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

PAGES = ("/failed", "/quarantine", "/audit", "/job/x", "/failed/retry")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Valkey]:
    """A broker of the test's own, which it may stop."""
    with Valkey(tmp_path) as server:
        yield server


def keep_one(server: Valkey, task: str) -> str:
    """Keep a failed job at this broker, and return its id."""
    failed = failure(task)
    FailedStore(server_of(an_app(server.url))).store(failed, MANY, MANY)
    return failed.job_id


def test_a_page_says_that_the_broker_is_away_and_comes_back_by_itself(
    own: Valkey, tmp_path: Path
) -> None:
    keep_one(own, "a.task")
    with Flower(tmp_path / "flower.log", own) as flower, flower.visitor() as caller:
        flower.wait_until_open()
        assert "1 job has failed" in caller.see("/failed")
        own.process.send_signal(signal.SIGSTOP)
        try:
            for path in PAGES:
                answer = caller.get(path)
                assert (path, answer.status_code) == (path, 503)
                assert "is away" in answer.text
                assert int(answer.headers["Refresh"]) > 0
            refused = caller.submit("/failed/discard")
            assert refused.status_code == 503
            assert "Refresh" not in refused.headers
            # Flower's own pages go on: its loop waits for nobody.
            assert caller.get("/healthcheck").elapsed.total_seconds() < 5
            assert caller.get("/tasks").status_code == 200
        finally:
            own.process.send_signal(signal.SIGCONT)
        wait_for(lambda: caller.get("/failed").status_code == 200, "the page to come back")


def test_a_broker_that_is_gone_is_named_without_its_password(tmp_path: Path) -> None:
    address = "redis://:pa55@127.0.0.1:1/0"
    with Flower(tmp_path / "flower.log", address) as flower, flower.visitor() as caller:
        flower.wait_until_open()
        answer = caller.get("/failed")
        assert answer.status_code == 503
        assert "redis://127.0.0.1:1/0" in answer.text
        assert "pa55" not in answer.text + flower.output()


def test_what_is_seen_outlives_flower(own: Valkey, tmp_path: Path) -> None:
    job_id = keep_one(own, "a.task")
    with Flower(tmp_path / "flower.log", own) as flower, flower.visitor() as caller:
        flower.wait_until_open()
        assert "1 job has failed" in caller.see("/failed")
        flower.kill()
        flower.process.wait()
        with Flower(tmp_path / "again.log", own, port=flower.port) as again:
            again.wait_until_open()
            # The form of the page that was open meanwhile still works.
            assert "is back in its queue" in caller.do(f"/failed/jobs/{job_id}/retry")
            assert "No job has failed" in caller.see("/failed")
            assert job_id in caller.see("/audit")


def test_each_broker_has_its_own_pages(own: Valkey, valkey: Valkey, tmp_path: Path) -> None:
    FailedJobs(an_app(valkey.url)).clear()
    here, there = keep_one(own, "a.here"), keep_one(valkey, "a.there")
    env = {"MONITOR_BROKERS": f"eu={valkey.url},gone=redis://:pa55@127.0.0.1:1/0"}
    with Flower(tmp_path / "flower.log", own, env=env) as flower, flower.visitor() as caller:
        flower.wait_until_open()
        page = caller.get("/failed").text
        assert here in page
        assert there not in page
        assert 'href="/failed?broker=eu"' in page
        page = caller.get("/failed?broker=eu").text
        assert there in page
        assert here not in page
        assert 'href="/quarantine?broker=eu"' in page
        assert_stays_at(caller, there)
        assert caller.get("/failed?broker=gone").status_code == 503
        assert caller.get("/failed?broker=nowhere").status_code == 404
        assert here in caller.see("/failed")
        assert "pa55" not in flower.output() + caller.get("/failed?broker=gone").text


def assert_stays_at(caller: Caller, job_id: str) -> None:
    """Retry the job through the form that its page shows."""
    page = caller.get(f"/job/{job_id}?broker=eu").text
    form = page.partition('method="post" action="/failed/jobs/')[2].partition('"')[0]
    assert form.endswith("?broker=eu")
    assert "is back in its queue" in caller.do(f"/failed/jobs/{form}")
    assert job_id in caller.see("/audit?broker=eu")
    assert job_id not in caller.see("/audit")
