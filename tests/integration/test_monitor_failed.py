"""The page of failed jobs: found, filtered, paged, retried, discarded; and a job's own page."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tasks import failures
from tasks.failed.job import Filter, Outcome
from tasks.failed.message import arguments
from tasks.monitor.pages.failed import AT_ONCE, in_parts
from tests.support.failed import QUEUE, fail
from tests.support.flower import Caller, tabs_of, text_of
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

pytest_plugins = ("tests.integration.monitor_fixtures",)
pytestmark = pytest.mark.usefixtures("clean_failed_jobs")

NASTY = "a/b?c=d&e#f %2F<b>\"'ü"


def queued(valkey: Valkey) -> list[dict[str, Any]]:
    """Return the data of the jobs in the queue, the first to run first."""
    found = valkey.client.lrange(QUEUE, 0, -1)
    return [arguments(json.loads(message))[1] for message in reversed(found)]


def test_without_failed_jobs_the_page_says_so(anybody: Caller) -> None:
    page = anybody.get("/failed").text
    assert "No job has failed" in text_of(page)
    assert "Failed Pending" in tabs_of(page)
    assert "Retry all" not in page


def test_a_failed_job_is_listed_with_what_one_needs_to_know(anybody: Caller) -> None:
    job_id = fail("orders.send_receipt", error="OrderRefused", queue="high")
    page = anybody.get("/failed").text
    for part in ("1 job has failed", job_id, "orders.send_receipt", "high", "OrderRefused", "now"):
        assert part in text_of(page)
    assert "Failed 1 Pending" in tabs_of(page)
    in_flower = lambda: "Failed 1 Pending" in tabs_of(anybody.get("/tasks").text)  # noqa: E731
    assert wait_for(in_flower, "the count in the tabs of Flower's own page")
    failures.discard(job_id)


def test_the_filter_is_by_task_queue_error_and_age(anybody: Caller) -> None:
    ours = fail("a.one", error="Refused")
    fail("a.two", error="Refused")
    fail("a.one", error="Other")
    page = anybody.see("/failed?task=a.one&error=Refused&queue=" + QUEUE)
    assert "1 job has failed" in page
    assert ours in page
    assert "3 jobs have failed" in anybody.see("/failed?age=newer-1h")
    assert "No failed job fits" in anybody.see("/failed?age=older-1h")
    assert "No failed job fits" in anybody.see("/failed?task=a.one&queue=elsewhere")


def test_pages_lead_from_the_newest_to_the_oldest(anybody: Caller) -> None:
    ids = [fail(data={"n": n}) for n in range(60)]
    seen, path, pages = [], "/failed?task=tests.add", 0
    while path:
        page = anybody.get(path).text
        seen += [job_id for job_id in reversed(ids) if f"/job/{job_id}" in page]
        link = page.partition('rel="next" href="')[2].partition('"')[0]
        path, pages = link.replace("&amp;", "&"), pages + 1
    assert seen == ids[::-1]
    assert pages == 3


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=1:", "age=7", "cursor=(1:x", "cursor=1e999:x"]
)
def test_an_address_that_nobody_gave_is_refused(query: str, anybody: Caller) -> None:
    assert anybody.get(f"/failed?{query}").status_code == 400


def test_a_job_is_retried(anybody: Caller, valkey: Valkey) -> None:
    job_id = fail(data={"n": 1})
    assert f"The job {job_id} is back in its queue" in anybody.do(f"/failed/jobs/{job_id}/retry")
    assert queued(valkey) == [{"n": 1}]
    assert "No job has failed" in anybody.see("/failed")
    assert f"this machine retry a failed job {job_id} 1" in anybody.see("/audit")


def test_what_is_said_is_said_once(anybody: Caller) -> None:
    job_id = fail()
    assert "is back in its queue" in anybody.do(f"/failed/jobs/{job_id}/retry")
    assert "is back in its queue" not in anybody.see("/failed")


def test_who_comes_too_late_is_told_so(anybody: Caller, valkey: Valkey) -> None:
    job_id = fail()
    failures.discard(job_id)
    for verb in ("retry", "discard"):
        assert "it may have been retried" in anybody.do(f"/failed/jobs/{job_id}/{verb}")
    assert queued(valkey) == []


def test_of_several_who_retry_a_job_at_once_one_does(anybody: Caller, valkey: Valkey) -> None:
    job_id = fail(data={"n": 1})
    anybody.get("/failed")
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: anybody.submit(f"/failed/jobs/{job_id}/retry"), range(6)))
    assert queued(valkey) == [{"n": 1}]


def test_all_that_fit_are_retried_after_a_question(anybody: Caller, valkey: Valkey) -> None:
    for n in range(30):
        fail("a.one", data={"n": n})
    fail("a.two", data={"n": 30})
    question = anybody.see("/failed/retry?task=a.one")
    assert "Retry 30 failed jobs?" in question
    assert "task a.one" in question
    assert queued(valkey) == []
    assert "30 failed jobs retried" in anybody.do("/failed/retry?task=a.one")
    assert queued(valkey) == [{"n": n} for n in range(30)]
    assert "1 job has failed" in anybody.see("/failed")
    assert "retry failed jobs task a.one 30" in anybody.see("/audit")


def test_all_are_discarded_after_a_question(anybody: Caller) -> None:
    for _ in range(3):
        fail()
    assert "Discard 3 failed jobs?" in anybody.see("/failed/discard")
    assert failures.count() == 3
    assert "3 failed jobs discarded" in anybody.do("/failed/discard")
    assert failures.count() == 0


def test_a_change_of_many_ends_in_time_and_says_what_is_left() -> None:
    left = [3 * AT_ONCE]

    def handle(where: Filter, progress: None, limit: int) -> Outcome:  # noqa: ARG001 (the shape)
        done = min(limit, left[0])
        left[0] -= done
        return Outcome(done, 0)

    assert in_parts(handle, Filter(), seconds=60) == (3 * AT_ONCE, True)
    left[0] = 3 * AT_ONCE
    done, is_all = in_parts(handle, Filter(), seconds=1e-9)
    assert (done, is_all) in ((0, False), (AT_ONCE, False))


def test_what_fails_again_meanwhile_is_not_retried_again() -> None:
    bounds = []

    def handle(where: Filter, progress: None, limit: int) -> Outcome:  # noqa: ARG001 (the shape)
        bounds.append(where.older_than)
        return Outcome(limit if len(bounds) < 3 else 0, 0)

    in_parts(handle, Filter(older_than=None))
    first, *later = bounds
    assert first is None
    assert all(bound is not None and bound > 0 for bound in later)


def test_a_jobs_page_shows_all_that_is_known(anybody: Caller) -> None:
    job_id = fail("orders.send_receipt", data={"order": 4}, error="OrderRefused", request_id="r-1")
    page = anybody.see(f"/job/{job_id}", status=200)
    for part in ("orders.send_receipt", QUEUE, '"order": 4', "OrderRefused", "Traceback", "r-1"):
        assert part in page


def test_an_id_never_seen_is_unknown(anybody: Caller) -> None:
    assert "Unknown" in anybody.see("/job/never-seen", status=404)


def test_any_id_has_its_page(anybody: Caller, valkey: Valkey) -> None:
    fail(job_id=NASTY, data={"n": 1})
    page = anybody.get("/failed").text
    link = page.partition('monitor-id" href="')[2].partition('"')[0]
    shown = anybody.get(link.replace("&amp;", "&")).text
    assert NASTY in text_of(shown)
    assert "<b>" not in shown
    form = shown.partition('<form method="post" action="/failed/jobs/')[2].partition('"')[0]
    anybody.do(f"/failed/jobs/{form}".replace("&amp;", "&"))
    assert queued(valkey) == [{"n": 1}]


def test_a_job_is_retried_with_changed_data(anybody: Caller, valkey: Valkey) -> None:
    job_id = fail(data={"n": 1, "keep": "x"})
    changed = json.dumps({"n": 2, "keep": "x"})
    assert "changed data" in anybody.do(f"/job/{job_id}/retry-changed", data=changed)
    assert queued(valkey) == [{"n": 2, "keep": "x"}]


def test_hidden_values_stay_as_they_are_when_others_are_changed(
    anybody: Caller, valkey: Valkey
) -> None:
    data = {"email": "ada@example.com", "n": 1, "note": "for ada@example.com", "token": "t"}
    job_id = fail(data=data)
    page = anybody.get(f"/job/{job_id}").text
    assert "ada@" not in page
    shown = {"email": "***", "n": 2, "note": "for ***@example.com", "token": "new"}
    anybody.do(f"/job/{job_id}/retry-changed", data=json.dumps(shown))
    assert queued(valkey) == [{**data, "n": 2, "token": "new"}]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"n": }', "line 1, column 7"),
        ("", "this is no JSON"),
        ("[1]", "a JSON object"),
        ('{"n": "***"}', "stands for a hidden value where there was none"),
        ('{"n": {"__type__": "x", "__value__": 1}}', "cannot be sent"),
    ],
)
def test_bad_data_are_refused_and_nothing_is_lost(
    text: str, fault: str, anybody: Caller, valkey: Valkey
) -> None:
    job_id = fail(data={"n": 1})
    answer = anybody.submit(f"/job/{job_id}/retry-changed", data=text)
    assert answer.status_code == 422
    assert fault in text_of(answer.text)
    assert text in text_of(answer.text)
    assert queued(valkey) == []
    assert failures.show(job_id).data == {"n": 1}


def test_what_is_hidden_is_revealed_when_asked_for_and_that_is_noted(anybody: Caller) -> None:
    job_id = fail(data={"email": "ada@example.com", "n": 1})
    assert "ada@" not in anybody.get(f"/job/{job_id}").text
    anybody.get("/audit")
    revealed = anybody.submit(f"/job/{job_id}/reveal")
    assert "ada@example.com" in revealed.text
    assert revealed.headers["Cache-Control"] == "no-store"
    assert f"reveal a job's data {job_id}" in anybody.see("/audit")
    assert anybody.get(f"/job/{job_id}/reveal").status_code == 302
