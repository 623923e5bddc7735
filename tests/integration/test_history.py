"""History: what workers count, what the server keeps of it, and the page that shows it."""

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from tasks.broker.access import server_of
from tasks.celery import app
from tasks.cli_monitoring import history
from tasks.history import HOUR, OTHER, PERIODS, History, Series, Tally, store, total
from tasks.history.recorder import Recorder
from tasks.job import Job
from tests.support import jobs
from tests.support.flower import Caller, Flower
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for
from tests.support.worker import start_worker

pytest_plugins = ("tests.integration.monitor_fixtures",)

QUEUE = "history-tests"


@pytest.fixture(autouse=True)
def _fresh(valkey: Valkey) -> Iterator[None]:
    forget(valkey)
    yield
    forget(valkey)
    valkey.client.delete(QUEUE, f"{QUEUE}.bell")


def forget(valkey: Valkey) -> None:
    for key in valkey.client.scan_iter("expresslane-history-*"):
        valkey.client.delete(key)


def send(task: Job, **data: object) -> str:
    return str(task.apply_async(kwargs=data, queue=QUEUE).id)


def counted(task: str) -> Tally:
    found = History(app).totals().get(Series(task, QUEUE))
    return found or total([])


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_every_outcome_is_counted_once_in_every_pool(
    valkey: Valkey, tmp_path: Path, pool: str
) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE, pool=pool):
        for _ in range(20):
            send(jobs.add, first=1, second=2)
        send(jobs.pass_after, failures=1)
        send(jobs.add, first="no", second=2)
        wait_for(lambda: counted("tests.add").processed == 21, "the counts")
        wait_for(lambda: counted("tests.pass_after").processed == 1, "the retried job")
    added, passed = counted("tests.add"), counted("tests.pass_after")
    assert (added.claimed, added.succeeded, added.failed, added.retried) == (21, 20, 1, 0)
    assert (added.wait.count, added.run.count) == (21, 21)
    assert (passed.claimed, passed.succeeded, passed.failed, passed.retried) == (2, 1, 0, 1)
    hour = History(app).read(HOUR)
    assert len(hour) == HOUR.buckets
    assert total(hour, task="tests.add", queue=QUEUE) == added


def test_a_worker_that_stops_sends_what_it_has_counted(valkey: Valkey, tmp_path: Path) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        ids = [send(jobs.add, first=1, second=number) for number in range(5)]
        wait_for(lambda: all(app.AsyncResult(one).ready() for one in ids), "the jobs")
    assert counted("tests.add").succeeded == 5


def test_a_job_that_is_killed_at_its_limit_has_failed_once(valkey: Valkey, tmp_path: Path) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        send(jobs.run_past_hard_limit)
        wait_for(lambda: counted("tests.run_past_hard_limit").failed, "the count")
    found = counted("tests.run_past_hard_limit")
    assert (found.failed, found.timed_out, found.processed) == (1, 1, 1)


def test_a_task_that_nobody_knows_is_counted_under_one_name(valkey: Valkey, tmp_path: Path) -> None:
    with start_worker(tmp_path / "w.log", broker_url=valkey.url, queues=QUEUE):
        for name in ("tests.nobody_knows", "tests.nobody_knows_either"):
            app.send_task(name, queue=QUEUE)
        wait_for(lambda: counted("(not registered)").failed == 2, "the counts")


def recorder() -> Recorder:
    server = server_of(app)
    made = Recorder()
    made.attach(server.channel.holdings, server.keys.prefix)
    return made


def test_more_series_than_are_kept_are_counted_as_others(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_SERIES", 3)
    for number in range(5):
        one = recorder()
        one.ended(f"task-{number}", QUEUE, "succeeded", 0.1, 0.1)
        one.flush()
    totals = History(app).totals()
    assert set(totals) == {Series(f"task-{number}", QUEUE) for number in range(3)} | {OTHER}
    assert totals[OTHER].succeeded == 2
    assert valkey.client.hlen("expresslane-history-total") == 4


def test_a_bucket_is_forgotten_in_time_and_the_totals_are_not(valkey: Valkey) -> None:
    one = recorder()
    one.ended("task", QUEUE, "succeeded", None, None)
    one.flush()
    kept = {key: valkey.client.ttl(key) for key in valkey.client.scan_iter("expresslane-history-*")}
    (minute,) = [left for key, left in kept.items() if b"-minute-" in key]
    (hour,) = [left for key, left in kept.items() if b"-hour-" in key]
    assert 6 * 3_600 < minute <= 7 * 3_600
    assert 14 * 86_400 < hour <= 15 * 86_400
    assert kept[b"expresslane-history-total"] == -1


def test_a_flush_whose_answer_was_lost_is_not_counted_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, really = recorder(), store.add

    def lose_the_answer(*arguments: Any) -> None:
        really(*arguments)
        raise redis.TimeoutError("no answer")

    one.ended("task", QUEUE, "failed", None, None)
    monkeypatch.setattr(store, "add", lose_the_answer)
    one.flush()
    monkeypatch.setattr(store, "add", really)
    one.ended("task", QUEUE, "failed", None, None)
    one.flush()
    assert History(app).totals()[Series("task", QUEUE)].failed == 2


def test_what_could_not_be_sent_is_sent_with_the_next_flush(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, really = recorder(), store.add

    def refuse(*_: object) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(store, "add", refuse)
    for _ in range(3):
        one.ended("task", QUEUE, "failed", None, None)
        one.flush()
    monkeypatch.setattr(store, "add", really)
    one.flush()
    assert History(app).totals()[Series("task", QUEUE)].failed == 3


@pytest.mark.parametrize("name", PERIODS)
def test_a_period_is_whole_and_ends_now(name: str) -> None:
    one = recorder()
    one.ended("task", QUEUE, "succeeded", 0.1, 0.2)
    one.flush()
    found = History(app).read(PERIODS[name])
    assert len(found) == PERIODS[name].buckets
    assert {b.at - a.at for a, b in pairwise(found)} == {PERIODS[name].step}
    assert found[-1].total(task="task").succeeded + found[-2].total(task="task").succeeded == 1


def test_the_terminal_shows_the_same() -> None:
    one = recorder()
    one.ended("shop.pay", QUEUE, "succeeded", 0.1, 0.2)
    one.ended("shop.pay", QUEUE, "failed", 0.1, 0.2)
    one.flush()
    code, output = run("--json", "--task", "shop.pay")
    (series,) = json.loads(output)["series"]
    assert (code, series["processed"], series["failed"], series["run_mean"]) == (0, 2, 1, 0.2)
    assert "shop.pay" in run("--queue", QUEUE)[1]
    assert run("--task", "nobody") == (0, "No job has ended in the last hour.\n")


def run(*arguments: str) -> tuple[int, str]:
    class Named:
        """What Celery's command line hands to its commands."""

    named: Any = Named()
    named.app = app
    result = CliRunner().invoke(history, arguments, obj=named)
    return result.exit_code, result.output


def test_the_page_shows_it_and_a_flower_that_starts_later_too(
    valkey: Valkey, tmp_path: Path
) -> None:
    for log in ("first.log", "second.log"):
        one = recorder()
        one.ended("shop.<pay>", QUEUE, "failed", 1.0, 2.0)
        one.flush()
        with Flower(tmp_path / log, valkey) as flower, flower.wait_until_open().visitor() as caller:
            page = caller.see("/history")
            picture = caller.get("/history?last=7d").text
    assert f"shop.<pay> {QUEUE} 2 2 0 " in page
    assert 'class="bad"' in picture
    assert "shop.&lt;pay&gt;" in picture


def test_the_page_says_so_when_there_is_nothing(anybody: Caller) -> None:
    assert "No job has ended in the last hour" in anybody.see("/history")
    assert "that fits" in anybody.see("/history?task=nobody")
    anybody.see("/history?last=3y", status=400)
