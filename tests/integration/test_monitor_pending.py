"""The pages of queues and of what waits in them, beside workers that take it."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.queues import queue
from tasks import pending, queues
from tasks.celery import app
from tasks.liveness import KEY
from tasks.scheduler import schedule, status
from tests.support.flower import Caller, tabs_of, text_of
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

pytest_plugins = ("tests.integration.monitor_fixtures",)

HERE, THERE = "mp-here", "mp-there"


@pytest.fixture(autouse=True)
def two_queues(valkey: Valkey) -> Iterator[None]:
    """Two queues that are known and empty."""
    with app.connection_for_write() as connection:
        bound = [queue(name).bind(connection.default_channel) for name in (HERE, THERE)]
        for one in bound:
            one.declare()
        yield
        for one in bound:
            queues.resume(one.name)
            one.delete()
            valkey.client.delete(f"{one.name}.bell")


def waiting(name: str = HERE) -> list[object]:
    """Return the data of the jobs in the queue, the next one first."""
    return [dict(job.data) for job in pending.list(name).jobs]


def link_of(page: str, name: str, label: str) -> str:
    """Return where the link or form of a job leads to, by what it is called for the blind."""
    row = next(row for row in re.findall(r"(?s)<tr>.*?</tr>", page) if name in row)
    before = row[: row.index(label)]
    found = re.findall(r'(?:href|action)="([^"]*)"', before + row[len(before) :].partition(">")[0])
    return str(found[-1]).replace("&amp;", "&")


def test_an_empty_queue_says_so(anybody: Caller) -> None:
    assert "No job waits in this queue" in anybody.see(f"/pending?queue={HERE}")
    assert "0 jobs wait" in anybody.see("/pending?queue=never-heard-of")


def test_waiting_jobs_are_listed_from_both_ends_in_pages(anybody: Caller) -> None:
    ids = [schedule("tests.add", {"n": n}, queue=HERE) for n in range(60)]
    assert "60 jobs wait" in anybody.see(f"/pending?queue={HERE}")
    assert re.search(rf"{HERE} 60 \d+s|{HERE} 60 less", anybody.see(f"/pending?queue={THERE}"))
    for end, order in (("next", ids), ("last", ids[::-1])):
        seen: list[str] = []
        path = f"/pending?queue={HERE}&end={end}"
        while path:
            page = anybody.get(path).text
            seen += re.findall(r'monitor-id"[^>]*>([^<]+)<', page)
            path = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        assert seen == order


def test_the_tab_counts_what_waits_and_flags_what_nobody_takes(anybody: Caller) -> None:
    schedule("tests.add", {"n": 1}, queue=HERE)
    page = anybody.get("/queues").text
    assert re.search(r"Pending [\d,]+ Queues \d+", tabs_of(page))
    assert f"{HERE} nobody works on it 1 0" in text_of(page)


def test_workers_are_shown_with_the_jobs_they_hold_and_whether_they_are_lost(
    anybody: Caller, valkey: Valkey
) -> None:
    facts = json.dumps({"queues": [HERE], "held": 3, "silent": 0.0, "in_loop": False})
    now = int(time.time())
    said = {"at-work@here": now, "gone@here": now - 3_700}
    for name, at in said.items():
        valkey.client.hset(KEY, name, f"{at} {facts}")
    try:
        shown = text_of(anybody.get("/queues").text)
    finally:
        valkey.client.hdel(KEY, *said)
    assert f"at-work@here consuming {HERE} 3 " in shown
    assert f"gone@here lost gone without a word; its jobs are with others {HERE} — 1h ago" in shown


def test_no_page_looks_through_all_keys_of_the_server(anybody: Caller, valkey: Valkey) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    valkey.client.config_resetstat()
    for path in (
        *("/failed", "/failed?task=a&queue=b", "/pending", "/pending/delayed", "/queues"),
        *("/schedule", "/history", "/quarantine", "/audit", f"/job/{job_id}"),
    ):
        anybody.see(path)
    anybody.get("/metrics")
    asked = {name.partition("_")[2] for name in valkey.client.info("commandstats")}
    assert "llen" in asked
    assert asked & {"keys", "scan", "hscan", "sscan", "zscan"} == set()


def test_data_are_masked_in_lists_and_forms(anybody: Caller) -> None:
    schedule("tests.add", {"email": "ada@example.com", "note": "to ada@example.com"}, queue=HERE)
    page = anybody.get(f"/pending?queue={HERE}").text
    link = link_of(page, "tests.add", "Change</a>")
    for shown in (page, anybody.get(link).text):
        assert "***@example.com" in text_of(shown)
        assert "ada@" not in shown
    revealed = anybody.submit(link.replace("/pending/job?", "/pending/job/reveal?")).text
    assert "ada@example.com" in revealed
    assert "reveal a job's data" in anybody.see("/audit")


def test_a_waiting_job_gets_other_data_and_keeps_what_is_hidden(anybody: Caller) -> None:
    schedule("tests.add", {"email": "ada@example.com", "n": 1}, queue=HERE)
    link = link_of(anybody.get(f"/pending?queue={HERE}").text, "tests.add", "Change</a>")
    edit = link.replace("/pending/job?", "/pending/job/edit?")
    refused = anybody.submit(edit, data='{"n": ')
    assert refused.status_code == 422
    assert "line 1, column 7" in text_of(refused.text)
    assert "its new data" in anybody.do(edit, data='{"email": "***", "n": 2}')
    assert waiting() == [{"email": "ada@example.com", "n": 2}]


def test_a_waiting_job_is_put_before_all_others(anybody: Caller) -> None:
    ids = [schedule("tests.add", {"n": n}, queue=HERE) for n in range(3)]
    page = anybody.get(f"/pending?queue={HERE}").text
    assert "is the next" in anybody.do(link_of(page, ids[2], "To front"))
    assert waiting() == [{"n": 2}, {"n": 0}, {"n": 1}]


def test_a_waiting_job_is_moved_to_another_queue(anybody: Caller) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    link = link_of(anybody.get(f"/pending?queue={HERE}").text, job_id, "Change</a>")
    move = link.replace("/pending/job?", "/pending/job/move?")
    assert "there is no queue" in anybody.do(move, to="never-heard-of")
    assert f"waits in the queue {THERE} now" in anybody.do(move, to=THERE)
    assert (waiting(HERE), waiting(THERE)) == ([], [{"n": 1}])
    assert f"move a waiting job from {HERE} to {THERE} {job_id} 1" in anybody.see("/audit")


def test_a_waiting_job_is_removed_after_a_question(anybody: Caller) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    link = link_of(anybody.get(f"/pending?queue={HERE}").text, job_id, "Remove</a>")
    assert "Its state is Cancelled then" in anybody.see(link)
    assert waiting() == [{"n": 1}]
    assert "is removed" in anybody.do(link)
    assert (waiting(), str(status(job_id).state)) == ([], "Cancelled")


def test_who_is_slower_than_a_worker_is_told_so(
    anybody: Caller, valkey: Valkey, tmp_path: Path
) -> None:
    job_id = schedule("tests.add", {"first": 1, "second": 2}, queue=HERE)
    page = anybody.get(f"/pending?queue={HERE}").text
    with start_worker(tmp_path / "taker.log", broker_url=valkey.url, queues=HERE, pool="solo"):
        wait_for(lambda: status(job_id).state.is_final, "the job to be done")
    for label in ("To front", "Remove</a>"):
        said = anybody.do(link_of(page, job_id, label))
        assert "a worker took it first" in said
        assert f"wait in the queue {HERE}" in said
    assert "tests.add" not in anybody.see(f"/pending?queue={HERE}")


def test_all_that_waits_is_moved_in_its_order(anybody: Caller) -> None:
    for n in range(30):
        schedule("tests.add", {"n": n}, queue=HERE)
    assert "Move 30 waiting jobs" in anybody.see(f"/pending/move?queue={HERE}")
    assert f"30 jobs of {HERE} moved" in anybody.do(f"/pending/move?queue={HERE}", to=THERE)
    assert waiting(THERE) == [{"n": n} for n in range(30)]
    assert "in that queue already" in anybody.do(f"/pending/move?queue={HERE}", to=HERE)


def test_all_that_waits_is_removed_after_a_question(anybody: Caller) -> None:
    ids = [schedule("tests.add", {"n": n}, queue=HERE) for n in range(3)]
    assert "Remove 3 waiting jobs" in anybody.see(f"/pending/remove?queue={HERE}")
    assert f"3 jobs of {HERE} removed" in anybody.do(f"/pending/remove?queue={HERE}")
    assert {str(status(job_id).state) for job_id in ids} == {"Cancelled"}


def test_garbage_is_shown_and_removed_to_quarantine(anybody: Caller, valkey: Valkey) -> None:
    valkey.client.lpush(HERE, b"\xfe<b>garbage")
    page = anybody.get(f"/pending?queue={HERE}").text
    assert "no job" in text_of(page)
    assert r"\xfe<b>garbage" in anybody.see(link_of(page, "no job", "Change</a>"))
    remove = link_of(page, "no job", "Remove</a>")
    assert "It goes to quarantine" in anybody.see(remove)
    anybody.do(remove)
    assert r"\xfe<b>garbage" in anybody.see("/quarantine")
    valkey.client.delete("quarantine", "quarantine.count")


def test_a_job_that_waits_is_found_from_its_own_page(anybody: Caller) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    page = anybody.get(f"/job/{job_id}").text
    assert f"It waits in the queue {HERE} , since" in text_of(page)
    link = re.search(r'where-it-is">.*?href="([^"]*)"', page, re.DOTALL)
    assert link is not None
    assert "To the front" in anybody.see(link[1].replace("&amp;", "&"))


def test_a_job_in_the_middle_of_a_queue_is_looked_for_further(
    anybody: Caller, valkey: Valkey
) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    valkey.client.lpush(HERE, *[b"{}"] * 600)
    valkey.client.rpush(HERE, *[b"{}"] * 600)
    assert "Not at the ends of its queue" in anybody.see(f"/job/{job_id}")
    found = anybody.get("/pending/find", params={"job": job_id, "queue": HERE})
    assert found.status_code == 302
    assert job_id in anybody.see(found.headers["Location"])
    missing = anybody.get("/pending/find", params={"job": job_id, "queue": THERE})
    assert missing.status_code == 404


@pytest.mark.usefixtures("worker")
def test_delayed_jobs_are_run_now_and_cancelled(anybody: Caller) -> None:
    eta = datetime.now(UTC) + timedelta(hours=1)
    data = {"first": 1, "second": 2}
    first, second = (
        app.send_task("tests.add", kwargs=data, queue="default", eta=eta).id for _ in range(2)
    )
    both = lambda: {first, second} <= {job.job_id for job in pending.delayed(limit=100).jobs}  # noqa: E731
    wait_for(both, "both to wait for their time")
    page = anybody.get("/pending/delayed").text
    assert "in 59m" in text_of(page)
    assert f'href="/job/{second}"' in page
    seen = anybody.get(f"/job/{second}").text
    assert "It waits for its time, in 59m , among the delayed jobs" in text_of(seen)
    assert "/pending/delayed/cancel?ref=" in seen
    assert "is the next" in anybody.do(link_of(page, first, "Run now"))
    wait_for(lambda: str(status(first).state) == "Complete", "the first to run")
    cancel = link_of(page, second, "Cancel</a>")
    assert "It will not run" in anybody.see(cancel)
    assert "is cancelled" in anybody.do(cancel)
    assert str(status(second).state) == "Cancelled"
    assert "it waits for its time no more" in anybody.do(cancel)


def test_a_job_that_a_worker_holds_and_has_not_started_says_so(
    anybody: Caller, valkey: Valkey
) -> None:
    job_id = schedule("tests.add", {"n": 1}, queue=HERE)
    message = valkey.client.rpop(HERE)
    assert isinstance(message, bytes)
    tag = f"lane-{1:032x}.1.0"
    valkey.client.hset("unacked", tag, b"[" + message + b',"","%s"]' % HERE.encode())
    try:
        assert "A worker holds it" in anybody.see(f"/job/{job_id}")
        assert "not started it yet" in anybody.see(f"/job/{job_id}")
    finally:
        valkey.client.hdel("unacked", tag)


def test_a_job_leads_to_the_order_that_it_belongs_to(anybody: Caller) -> None:
    job_id = schedule("tests.add", {"order_id": "4711/<b>", "email": "ada@example.com"}, queue=HERE)
    page = anybody.get(f"/job/{job_id}").text
    assert re.search(r'href="http://127\.0\.0\.1:\d+/orders/4711%2F%3Cb%3E"', page)
    assert "order_id 4711/<b>" in text_of(page)
    assert "ada@" not in page


def test_a_queue_is_paused_and_resumed(anybody: Caller) -> None:
    assert f"The queue {HERE} is paused" in anybody.do(f"/queues/{HERE}/pause")
    assert queues.show(HERE).is_paused
    assert "was already paused" in anybody.do(f"/queues/{HERE}/pause")
    page = anybody.get("/queues").text
    assert "paused" in text_of(page)
    assert link_of(page, HERE, "Resume").endswith(f"/queues/{HERE}/resume")
    assert f"The queue {HERE} is resumed" in anybody.do(f"/queues/{HERE}/resume")
    assert not queues.show(HERE).is_paused
    assert "there is no queue" in anybody.do("/queues/never-heard-of/pause")
    assert f"pause a queue {HERE} 1" in anybody.see("/audit")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/pending?cursor=x", 400),
        ("/pending?end=middle", 400),
        ("/pending/delayed?cursor=x", 400),
        ("/pending/job?ref=x", 404),
        ("/pending/job", 404),
        ("/pending/move", 400),
        ("/pending/delayed/cancel?ref=x", 404),
    ],
)
def test_an_address_that_nobody_gave_is_refused(path: str, status: int, anybody: Caller) -> None:
    answer = anybody.get(path)
    assert answer.status_code == status
    assert json.dumps(path) not in answer.text
