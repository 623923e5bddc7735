"""Failed jobs on a real server: how they are kept, found, and make room."""

from dataclasses import replace

import pytest

from tasks import failures
from tasks.app import App
from tasks.broker.access import server_of
from tasks.errors import NoSuchFailedJob, Unreachable
from tasks.failures import FailedJobs, Filter, Outcome
from tests.support.failed import QUEUE, an_app, fail, failure, keep, store
from tests.support.programs import free_port
from tests.support.valkey import Valkey

pytestmark = pytest.mark.usefixtures("clean_failed_jobs")


def ids(where: Filter) -> list[str]:
    found = failures.list(
        task=where.task,
        queue=where.queue,
        error=where.error,
        older_than=where.older_than,
        newer_than=where.newer_than,
    )
    assert found.total == failures.count(where) == len(found.jobs)
    return [job.job_id for job in found.jobs]


def test_the_newest_failure_is_listed_first() -> None:
    first, second, third = fail(), fail(), fail()
    assert ids(Filter()) == [third, second, first]


def test_failures_are_found_by_task_queue_and_error_and_by_all_of_them_together() -> None:
    a = fail("a", queue=QUEUE, error="Refused")
    b = fail("b", queue=QUEUE, error="Refused")
    c = fail("a", queue="other", error="Refused")
    d = fail("a", queue=QUEUE, error="NotYet")
    assert ids(Filter(task="a")) == [d, c, a]
    assert ids(Filter(queue=QUEUE)) == [d, b, a]
    assert ids(Filter(error="Refused")) == [c, b, a]
    assert ids(Filter(task="a", queue=QUEUE)) == [d, a]
    assert ids(Filter(task="a", queue=QUEUE, error="Refused")) == [a]
    assert ids(Filter(task="b", error="NotYet")) == []
    assert ids(Filter(task="never")) == []


def test_failures_are_found_by_age(valkey: Valkey) -> None:
    old, new = fail(), fail()
    assert ids(Filter(older_than=3_600)) == []
    assert ids(Filter(newer_than=3_600)) == [new, old]
    for name in ("-at", "-task:tests.add"):
        valkey.client.zincrby(f"expresslane-failed{name}", -7_200, old)
    assert ids(Filter(older_than=3_600)) == [old]
    assert ids(Filter(task="tests.add", newer_than=3_600)) == [new]


@pytest.mark.parametrize("where", [{}, {"task": "a"}, {"task": "a", "error": "Refused"}])
def test_pages_show_each_failure_once_though_others_come_and_go_meanwhile(
    where: dict[str, str],
) -> None:
    made = [fail("a" if i % 2 else "b", error="Refused") for i in range(20)]
    expected = [job_id for i, job_id in enumerate(made) if i % 2 or not where][::-1]
    page = failures.list(limit=3, **where)  # type: ignore[arg-type] # names of text fields
    seen = [job.job_id for job in page.jobs]
    assert page.total == len(expected)
    while page.next_cursor is not None:
        fail("a", error="Refused")
        failures.discard(seen[-1])
        page = failures.list(limit=3, cursor=page.next_cursor, **where)  # type: ignore[arg-type]
        seen += [job.job_id for job in page.jobs]
    assert seen == expected


def test_failures_of_the_very_same_moment_are_all_on_some_page(valkey: Valkey) -> None:
    made = {fail() for _ in range(7)}
    for name in ("-at", "-task:tests.add", f"-queue:{QUEUE}", "-error:ValueError"):
        valkey.client.zadd(f"expresslane-failed{name}", dict.fromkeys(made, 1_700_000_000.25))
    seen, cursor = [], None
    while True:
        page = failures.list(limit=2, cursor=cursor)
        seen += [job.job_id for job in page.jobs]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == 7
    assert set(seen) == made


def test_showing_a_job_that_has_not_failed_says_so() -> None:
    with pytest.raises(NoSuchFailedJob, match="no failed job has the id never-failed"):
        failures.show("never-failed")


def test_a_job_that_fails_again_is_listed_once_with_its_last_error() -> None:
    fail(job_id="twice", error="First")
    fail(job_id="twice", error="Second")
    assert ids(Filter()) == ["twice"]
    assert ids(Filter(error="First")) == []
    assert failures.show("twice").error_type == "Second"


def test_names_of_any_characters_can_be_looked_for() -> None:
    for name in ('quote"d', "back\\slash", "zwei\nzeilen", "Straße/☃", "[]{}", " "):
        job_id = fail(name, error=name)
        assert ids(Filter(task=name)) == [job_id]
        assert ids(Filter(error=name)) == [job_id]
        assert failures.show(job_id).task == name


# -- discarding ------------------------------------------------------------------------------------


def test_a_discarded_job_is_gone_for_good(valkey: Valkey) -> None:
    job_id = fail()
    failures.discard(job_id)
    assert failures.count() == 0
    assert valkey.client.llen(QUEUE) == 0
    with pytest.raises(NoSuchFailedJob):
        failures.discard(job_id)


def test_what_fits_a_filter_is_discarded_and_the_rest_stays() -> None:
    for _ in range(5):
        fail("a")
    kept = fail("b")
    seen: list[tuple[int, int]] = []
    outcome = failures.discard_many(
        Filter(task="a"), lambda done, total: seen.append((done, total))
    )
    assert outcome == Outcome(done=5, gone=0)
    assert seen == [(5, 5)]
    assert ids(Filter()) == [kept]


def test_a_limit_takes_the_oldest() -> None:
    made = [fail() for _ in range(5)]
    assert failures.discard_many(Filter(), limit=2) == Outcome(done=2, gone=0)
    assert ids(Filter()) == made[:1:-1]


# -- making room -----------------------------------------------------------------------------------


def test_the_oldest_make_room_and_are_counted() -> None:
    first, second, third = fail(), fail(), fail()
    kept = keep(failure(job_id="fourth"), most=3)
    assert kept.dropped == (first,)
    assert ids(Filter()) == ["fourth", third, second]
    assert store().dropped() == 1


def test_a_lowered_limit_is_reached_in_small_steps() -> None:
    for _ in range(30):
        fail()
    counts = []
    for _ in range(5):
        keep(failure(), most=8)
        counts.append(failures.count())
    assert counts == [21, 12, 8, 8, 8]


def test_what_is_too_old_goes_with_the_next_failure(valkey: Valkey) -> None:
    old, new = fail(), fail()
    valkey.client.zincrby("expresslane-failed-at", -100, old)
    assert keep(failure(job_id="next"), seconds=90).dropped == (old,)
    assert ids(Filter(task="tests.add")) == ["next", new]


# -- claims ----------------------------------------------------------------------------------------


def test_a_failure_and_the_end_of_its_claim_are_one_step(valkey: Valkey) -> None:
    valkey.client.hset("unacked", "lane-1.0", '[{"as": "sent"},"","elsewhere"]')
    failed = replace(failure(), tag="lane-1.0", must_be_held=True, message=b"")
    assert not keep(failed).is_lost
    assert not valkey.client.hexists("unacked", "lane-1.0")
    job = failures.show(failed.job_id)
    assert (job.message, job.queue) == (b'{"as": "sent"}', "elsewhere")
    assert ids(Filter(queue="elsewhere")) == [failed.job_id]


def test_a_worker_that_has_lost_its_claim_cannot_fail_the_job_that_runs_elsewhere() -> None:
    failed = replace(failure(), tag="lane-2.0", must_be_held=True, message=b"")
    assert keep(failed).is_lost
    assert failures.count() == 0


def test_a_failure_whose_answer_was_cut_off_can_be_told_again(valkey: Valkey) -> None:
    valkey.client.hset("unacked", "lane-3.0", '[{},"","elsewhere"]')
    failed = replace(failure(), tag="lane-3.0", must_be_held=True, message=b"")
    assert not keep(failed).is_lost
    assert not keep(failed).is_lost
    assert failures.count() == 1


def test_once_retried_a_late_second_report_of_the_same_failure_changes_nothing(
    valkey: Valkey,
) -> None:
    valkey.client.hset("unacked", "lane-4.0", failure_in_unacked())
    failed = replace(failure(), tag="lane-4.0", must_be_held=True, message=b"")
    keep(failed)
    failures.retry(failed.job_id)
    assert keep(failed).is_lost
    assert failures.count() == 0
    assert valkey.client.llen(QUEUE) == 1


def failure_in_unacked() -> str:
    return f'[{failure().message.decode()},"","{QUEUE}"]'


# -- servers ---------------------------------------------------------------------------------------


def test_a_global_key_prefix_stands_before_every_key(valkey: Valkey) -> None:
    other = an_app(valkey.url, global_keyprefix="shop-")
    server = server_of(other)
    assert server.queue_key("default") == "shop-default"
    assert server.queue_key("default", 6) == "shop-default\x06\x166"
    before = set(valkey.client.keys("*"))
    jobs = FailedJobs(other)
    failed = failure()
    type(store())(server).store(failed, 10, 10)
    assert jobs.count() == 1
    jobs.retry(failed.job_id)
    new = set(valkey.client.keys("*")) - before
    assert new == {f"shop-{QUEUE}".encode(), f"shop-{QUEUE}.bell".encode()}
    valkey.client.delete(*new)


def test_one_connection_serves_all_calls_of_an_app(valkey: Valkey) -> None:
    other = an_app(valkey.url)
    assert server_of(other) is server_of(other)


def test_a_broker_that_is_away_is_an_error_that_says_what_to_do() -> None:
    jobs = FailedJobs(an_app(f"redis://127.0.0.1:{free_port()}/0"))
    with pytest.raises(Unreachable, match="ask again later"):
        jobs.list()


def test_another_transport_is_refused(valkey: Valkey) -> None:
    other = App("stock", broker=valkey.url)
    with pytest.raises(TypeError, match="broker_transport must be"):
        FailedJobs(other).count()


def test_a_user_of_the_server_with_a_password_gets_in(valkey: Valkey) -> None:
    valkey.client.acl_setuser(
        "keeper", enabled=True, passwords=["+s3cret"], keys=["*"], commands=["+@all"]
    )
    fail()
    jobs = FailedJobs(an_app(f"redis://keeper:s3cret@127.0.0.1:{valkey.port}/0"))
    assert jobs.count() == 1
    valkey.client.acl_deluser("keeper")
