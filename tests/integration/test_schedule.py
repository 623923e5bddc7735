"""beat: what it sends, once; what it remembers; what one may ask of it."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab

from tasks import pending
from tasks.app import App
from tasks.beat.scheduler import Scheduler
from tasks.beat.store import EntryStore
from tasks.errors import NoSuchEntry
from tasks.schedule import Schedule
from tests.support.failed import an_app
from tests.support.programs import Program
from tests.support.servers import MANY_DATABASES, client_of, fresh_database
from tests.support.ticking import QUEUE
from tests.support.valkey import Valkey
from tests.support.waiting import wait_for

KEEPS = ("--appendonly", "yes", "--appendfsync", "always")
DAY = 86_400.0


def entry(task: str = "tests.tick", when: float | crontab = DAY, **more: Any) -> dict[str, Any]:
    options = {"queue": QUEUE, "ignore_result": True}
    return {"task": task, "schedule": when, "options": options, **more}


class Beat:
    """A beat in this process, that ticks when it is told to."""

    def __init__(self, url: str, **entries: dict[str, Any]) -> None:
        self.app: App = an_app(url)
        self.app.conf.beat_schedule = entries
        self.scheduler: Any = Scheduler(self.app)
        self.schedule = Schedule(self.app)
        self.waiting = pending.Pending(self.app)

    def tick(self) -> "Beat":
        """Tick until there is nothing to do at once."""
        while not self.scheduler.tick():
            pass
        return self

    def sent(self) -> list[pending.QueuedJob]:
        """Return the jobs that were sent, the oldest first."""
        return list(self.waiting.list(QUEUE, limit=100).jobs)

    def miss(self, url: str, name: str, seconds: float = 5 * DAY) -> None:
        """Have the entry be due for so long."""
        base = datetime.now(UTC).timestamp() - seconds
        with client_of(url) as client:
            client.hset(f"expresslane-schedule:{name}", "base", f"{base:.6f}")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("beat"), options=MANY_DATABASES) as running:
        yield running


@pytest.fixture
def url(server: Valkey) -> str:
    return fresh_database(server)


# -- ticks -----------------------------------------------------------------------------------------


def test_an_entry_is_not_due_when_beat_first_sees_it(url: str) -> None:
    beat = Beat(url, daily=entry(when=crontab(hour="2", minute="0"))).tick()
    assert beat.sent() == []
    (found,) = beat.schedule.list()
    assert (found.name, found.task, found.words) == ("daily", "tests.tick", "at 02:00 every day")
    assert (found.queue, found.timezone, found.total_runs) == (QUEUE, "UTC", 0)
    assert (found.last_run_at, found.error, found.is_paused) == (None, None, False)
    assert found.next_run_at is not None
    assert (found.next_run_at.hour, found.next_run_at.minute) == (2, 0)
    assert beat.schedule.is_running()


def test_what_was_missed_is_sent_once_however_often_it_was_due(url: str) -> None:
    beat = Beat(url, daily=entry(kwargs={"word": "x"})).tick()
    beat.miss(url, "daily")
    beat.tick().tick()
    (job,) = beat.sent()
    assert (job.task, dict(job.data)) == ("tests.tick", {"word": "x"})
    assert job.enqueued_at is not None
    found = beat.schedule.show("daily")
    assert (found.total_runs, found.last_job_id) == (1, job.job_id)
    assert found.last_run_at is not None
    assert found.next_run_at is not None
    assert abs(found.next_run_at - found.last_run_at - timedelta(days=1)).total_seconds() < 1


def test_a_beat_that_starts_anew_remembers(url: str) -> None:
    Beat(url, daily=entry()).tick().miss(url, "daily")
    Beat(url, daily=entry()).tick()
    again = Beat(url, daily=entry()).tick()
    assert len(again.sent()) == 1
    assert again.schedule.show("daily").total_runs == 1


def test_of_two_beats_that_see_the_same_tick_one_sends_it(url: str) -> None:
    one, other = Beat(url, daily=entry()).tick(), Beat(url, daily=entry()).tick()
    one.miss(url, "daily")
    store = _store(one)
    state = store.states(("daily",))["daily"]
    assert state.base is not None
    for beat in (one, other, one):
        # As a beat does that has read the state before another one has sent the tick.
        scheduled = beat.scheduler.schedule["daily"]
        beat.scheduler._run(_store(beat), "daily", scheduled, "base", state.base)
    assert len(one.sent()) == 1
    assert one.schedule.show("daily").total_runs == 1


def _store(beat: Beat) -> EntryStore:
    return beat.schedule._store()


def test_a_tick_that_meets_a_dead_broker_is_sent_once_when_it_is_back(tmp_path: Path) -> None:
    with Valkey(tmp_path, options=KEEPS) as first:
        beat = Beat(first.url, daily=entry(), other=entry(when=3 * DAY)).tick()
        beat.miss(first.url, "daily")
    assert beat.scheduler.tick() == 1
    assert beat.scheduler.tick() == 1
    with Valkey(tmp_path, port=first.port, options=KEEPS):
        beat.tick().tick()
        assert len(beat.sent()) == 1
        assert beat.schedule.show("daily").total_runs == 1


def test_a_tick_waits_while_its_queue_is_broken_and_other_entries_go_on(url: str) -> None:
    good = entry()
    good["options"] = {**good["options"], "queue": "other"}
    beat = Beat(url, bad=entry(), good=good).tick()
    beat.miss(url, "bad")
    beat.miss(url, "good")
    with client_of(url) as client:
        client.set(QUEUE, "no list")
        beat.scheduler.tick()
        assert client.llen("other") == 1
        client.delete(QUEUE)
    beat.tick()
    assert len(beat.sent()) == 1


def test_a_job_that_cannot_be_made_is_left_out_and_says_why(url: str) -> None:
    beat = Beat(url, bad=entry(kwargs={"x": object()}), good=entry()).tick()
    beat.miss(url, "bad")
    beat.miss(url, "good")
    beat.tick()
    assert len(beat.sent()) == 1
    bad, good = beat.schedule.list()
    assert bad.error is not None
    assert "not JSON serializable" in bad.error
    assert (bad.total_runs, good.total_runs, good.error) == (0, 1, None)


def test_entries_that_are_in_the_settings_no_more_are_forgotten(url: str) -> None:
    Beat(url, one=entry(), two=entry()).tick()
    assert [found.name for found in Beat(url, two=entry()).tick().schedule.list()] == ["two"]
    assert Beat(url).tick().schedule.list() == ()


def test_a_broker_that_has_forgotten_everything_is_told_again(url: str) -> None:
    beat = Beat(url, daily=entry()).tick()
    with client_of(url) as client:
        client.flushdb()
    beat.tick()
    assert [found.name for found in beat.schedule.list()] == ["daily"]
    assert beat.sent() == []


# -- what one may ask ------------------------------------------------------------------------------


def test_a_paused_entry_is_left_out_and_goes_on_with_its_next_time(url: str) -> None:
    beat = Beat(url, daily=entry()).tick()
    assert beat.schedule.pause("daily")
    assert not beat.schedule.pause("daily")
    beat.miss(url, "daily")
    again = Beat(url, daily=entry()).tick()
    found = again.schedule.show("daily")
    assert (again.sent(), found.is_paused, found.next_run_at) == ([], True, None)
    assert again.schedule.resume("daily")
    assert not again.schedule.resume("daily")
    again.tick()
    assert again.sent() == []
    assert again.schedule.show("daily").next_run_at is not None
    again.miss(url, "daily")
    assert len(again.tick().sent()) == 1


def test_an_entry_can_be_run_now_once_for_each_time_it_is_asked_for(url: str) -> None:
    beat = Beat(url, daily=entry()).tick()
    before = beat.schedule.show("daily").next_run_at
    assert beat.schedule.run_now("daily")
    assert not beat.schedule.run_now("daily")
    assert beat.schedule.show("daily").requested_at is not None
    beat.tick().tick()
    assert len(beat.sent()) == 1
    found = beat.schedule.show("daily")
    assert (found.requested_at, found.next_run_at, found.total_runs) == (None, before, 1)
    beat.schedule.pause("daily")
    beat.schedule.run_now("daily")
    beat.tick()
    assert len({job.job_id for job in beat.sent()}) == 2


def test_an_entry_that_does_not_exist_cannot_be_changed(url: str) -> None:
    beat = Beat(url, daily=entry()).tick()
    asked = beat.schedule
    for act in (asked.show, asked.pause, asked.resume, asked.run_now):
        with pytest.raises(NoSuchEntry, match="no entry 'dayli'; there are daily"):
            act("dayli")


# -- real beats ------------------------------------------------------------------------------------


def start_beat(url: str, log: Path) -> Program:
    command = ("-A", "tests.support.ticking", "beat", "--pidfile", "")
    return Program([sys.executable, "-m", "celery", *command], log=log, env={"BROKER_URL": url})


def test_two_beats_send_each_tick_once_and_one_is_enough(server: Valkey, tmp_path: Path) -> None:
    url = fresh_database(server)
    there = pending.Pending(an_app(url))
    entries = Schedule(an_app(url))

    def sent() -> int:
        return there.list(QUEUE, limit=1).total

    with start_beat(url, tmp_path / "one.log") as one, start_beat(url, tmp_path / "two.log") as two:
        wait_for(lambda: sent() >= 4, "four ticks", doing=one.check_alive)
        one.kill()
        so_far = sent()
        wait_for(lambda: sent() >= so_far + 3, "three more", doing=two.check_alive)
        assert entries.is_running()
    ticks = there.list(QUEUE, limit=100).jobs
    assert entries.show("often").total_runs == len(ticks)
    times = [job.enqueued_at for job in ticks if job.enqueued_at]
    gaps = [(b - a).total_seconds() for a, b in pairwise(times)]
    # Celery's own would send two within one second.
    assert min(gaps) > 0.9
    assert all(json.loads(job.message)["headers"]["celery_beat_task"] for job in ticks)
